#include "merpati/mailauth/authenticate.hpp"

#include "merpati/base/side_by_side.hpp"
#include "merpati/dns/domain_name.hpp"

namespace merpati::mailauth {
namespace {
constexpr std::size_t kSmallBody = 64 * 1024;  // octets: hashed where we are, without a hop to another thread
constexpr std::size_t kFewSignatures = 2;      // checked where we are: some 25 microseconds each for RSA of 2048 bits

class Check {
 public:
  Check(dns::Resolver& resolver, AuthenticationQuery query, Deadline deadline)
      : resolver_(resolver), query_(std::move(query)), deadline_(deadline) {
    spf_query_.helo = query_.helo;
    spf_query_.mail_from = query_.reverse_path;
    spf_query_.receiver = query_.receiver;
    spf_query_.now = query_.now;
    if (query_.client) spf_query_.client = *query_.client;
    authors_ = author_domains(query_.header_block);
  }

  Task<Authentication> run() {
    const Deadline lookups = deadline_.within(query_.lookup_time);
    std::vector<asio::awaitable<void>> checks;
    if (query_.client) {
      checks.push_back(keep(check_spf(resolver_, spf_query_, lookups), out_.spf));
      if (!query_.reverse_path.empty())
        checks.push_back(keep(check_spf_helo(resolver_, spf_query_, lookups), out_.spf_helo));
      checks.push_back(keep(check_iprev(resolver_, *query_.client, lookups), out_.iprev));
    }
    if (query_.body) checks.push_back(check_signatures(lookups));
    if (!authors_.empty()) checks.push_back(ask_ahead("_dmarc." + authors_.front(), lookups));
    MERPATI_CO_CHECK(co_await run_side_by_side(std::move(checks)));
    DmarcQuery dmarc = dmarc_query();
    // A record that nobody gave until now would cost as much again, and most likely for nothing.
    const Deadline last = record_unknown_ ? lookups : deadline_.within(query_.lookup_time);
    auto evaluated = co_await check_dmarc(resolver_, std::move(dmarc), last);
    if (evaluated.has_error()) co_return evaluated.error();
    if (query_.body || evaluated->result != DmarcResult::kFail) out_.dmarc = *std::move(evaluated);
    tell();
    co_return std::move(out_);
  }

 private:
  // An error is a cancellation, which run_side_by_side reports.
  template <class T>
  static asio::awaitable<void> keep(Task<T> check, std::optional<T>& into) {
    auto result = co_await std::move(check);
    if (result.has_value()) into = *std::move(result);
  }

  // DMARC needs all the others first; its record is on its way meanwhile, and the resolver remembers it.
  asio::awaitable<void> ask_ahead(std::string name, Deadline lookups) {
    const auto answer = co_await resolver_.txt(std::move(name), lookups);
    record_unknown_ = answer.has_value() && answer->status == dns::Status::kTemporary;
  }

  template <class Work>
  asio::awaitable<void> compute(bool much, Work work) {
    if (much && query_.blocking != nullptr)
      co_await run_blocking(*query_.blocking, std::move(work));
    else
      work();
  }

  // DKIM and ARC: one pass over the body, one set of keys.
  asio::awaitable<void> check_signatures(Deadline lookups) {
    const DkimVerifier dkim(query_.header_block, hashes_);
    const ArcVerifier arc(query_.header_block, hashes_);
    auto hash = [this] {
      hashes_.update(*query_.body);
      hashes_.finish();
    };
    co_await compute(hashes_.size() > 0 && query_.body->size() > kSmallBody, std::move(hash));
    std::vector<std::string> names = dkim.key_names(hashes_, query_.now);
    for (auto& name : arc.key_names(hashes_, query_.now)) names.push_back(std::move(name));
    KeyAnswers keys;
    keys.known = query_.known_keys;
    if ((co_await fetch_keys(resolver_, std::move(names), lookups, keys)).has_error()) co_return;
    auto verify = [&] {
      out_.dkim = dkim.check(keys, hashes_, query_.now);
      out_.arc = arc.check(keys, hashes_, query_.now);
    };
    co_await compute(dkim.signatures() + arc.signatures() > kFewSignatures, std::move(verify));
  }

  DmarcQuery dmarc_query() const {
    DmarcQuery out;
    out.authors = authors_;
    out.for_reports = query_.for_reports;
    if (out_.spf) {
      const std::string domain = dns::to_ascii(out_.spf->domain).value_or("");
      if (out_.spf->result == SpfResult::kPass) out.spf_domain = domain;
      if (out_.spf->result == SpfResult::kTempError) out.unknown_spf_domain = domain;
    }
    if (!out_.dkim) return out;
    for (const auto& signature : out_.dkim->signatures) {
      if (signature.result == DkimResult::kPass) out.dkim_domains.push_back(signature.domain);
      if (signature.result == DkimResult::kTempError) out.unknown_dkim_domains.push_back(signature.domain);
    }
    return out;
  }

  void tell() {
    auto& methods = out_.methods;
    if (out_.iprev) methods.push_back(method_result(*out_.iprev, *query_.client));
    if (out_.spf) methods.push_back(method_result(*out_.spf, spf_query_));
    // A HELO name without a record says nothing, and most have none.
    if (out_.spf_helo && out_.spf_helo->result != SpfResult::kNone)
      methods.push_back(method_result(*out_.spf_helo, spf_query_));
    if (out_.dkim) {
      for (auto& one : method_results(*out_.dkim)) methods.push_back(std::move(one));
    }
    if (out_.dmarc) methods.push_back(method_result(*out_.dmarc));
    if (out_.arc) methods.push_back(method_result(*out_.arc));
  }

  dns::Resolver& resolver_;
  const AuthenticationQuery query_;
  const Deadline deadline_;
  SpfQuery spf_query_;
  std::vector<std::string> authors_;
  BodyHashes hashes_;
  bool record_unknown_ = false;  ///< DNS did not say whether there is one at the author's domain
  Authentication out_;
};
}  // namespace

Task<Authentication> authenticate(dns::Resolver& resolver, AuthenticationQuery query, Deadline deadline) {
  Check check(resolver, std::move(query), deadline);
  co_return co_await check.run();
}

}  // namespace merpati::mailauth
