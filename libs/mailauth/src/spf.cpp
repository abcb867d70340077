#include "merpati/mailauth/spf.hpp"

#include <algorithm>

#include "merpati/dns/domain_name.hpp"
#include "merpati/mailauth/spf_record.hpp"
#include "merpati/mime/header.hpp"

namespace merpati::mailauth {
namespace {
using Kind = SpfTerm::Kind;

bool in_network(const dns::IpAddress& address, const dns::IpAddress& network, const SpfTerm& term) {
  if (address.is_v4() != network.is_v4()) return false;
  const auto same = [](const auto& a, const auto& b, int bits) {
    for (std::size_t i = 0; i < a.size() && bits > 0; ++i, bits -= 8) {
      const int mask = bits >= 8 ? 0xff : 0xff << (8 - bits) & 0xff;
      if ((a[i] & mask) != (b[i] & mask)) return false;
    }
    return true;
  };
  if (address.is_v4()) return same(address.to_v4().to_bytes(), network.to_v4().to_bytes(), term.prefix4);
  return same(address.to_v6().to_bytes(), network.to_v6().to_bytes(), term.prefix6);
}

SpfResult result_of(char qualifier) {
  switch (qualifier) {
    case '-':
      return SpfResult::kFail;
    case '~':
      return SpfResult::kSoftFail;
    case '?':
      return SpfResult::kNeutral;
    default:
      return SpfResult::kPass;
  }
}

// RFC 7208 4.8, 7.3: what is longer than a name can be loses labels on its left. Empty: not a name.
std::string as_name(std::string name) {
  if (name.ends_with('.')) name.pop_back();
  while (name.size() > 253) {
    const auto dot = name.find('.');
    if (dot == std::string::npos) return {};
    name.erase(0, dot + 1);
  }
  std::size_t label = 0;
  for (const char c : name) {
    label = c == '.' ? 0 : label + 1;
    if (label > 63) return {};
  }
  if (name.starts_with('.') || name.ends_with('.') || name.find("..") != std::string::npos) return {};
  return mime::to_lower(name);
}

bool is_below(std::string_view name, std::string_view domain) {
  return mime::iequals(name, domain) || (name.size() > domain.size() && name[name.size() - domain.size() - 1] == '.' &&
                                         mime::iequals(name.substr(name.size() - domain.size()), domain));
}

// A check_host() of RFC 7208 4 with everything that its recursion shares.
class Check {
 public:
  Check(dns::Resolver& resolver, const SpfQuery& query, const SpfLimits& limits, Deadline deadline)
      : resolver_(resolver), limits_(limits), deadline_(deadline), client_(query.client) {
    if (client_.is_v6() && client_.to_v6().is_v4_mapped()) {
      client_ = boost::asio::ip::make_address_v4(boost::asio::ip::v4_mapped, client_.to_v6());
    }
    macros_.client = client_;
    macros_.helo = query.helo;
    macros_.receiver = query.receiver;
    macros_.unix_time = std::chrono::duration_cast<std::chrono::seconds>(query.now.time_since_epoch()).count();
  }

  Task<SpfOutcome> run(const std::string& local, const std::string& domain) {
    macros_.sender_local = local.empty() ? "postmaster" : local;  // 4.3
    macros_.sender_domain = domain;
    out_.domain = domain;
    // 4.3: malformed or not fully qualified: no domain to check.
    const auto name = dns::to_ascii(domain);
    if (!name || name->find('.') == std::string::npos) {
      out_.problem = "\"" + domain + "\" is no domain name";
      co_return std::move(out_);
    }
    MERPATI_CO_TRY(out_.result, co_await check_host(*name, 0));
    co_return std::move(out_);
  }

 private:
  enum class Match : std::uint8_t { kNo, kYes, kTempError, kPermError };

  void note(std::string what, std::string result) {
    if (out_.steps.size() < 1000) out_.steps.push_back({std::move(what), std::move(result)});
  }
  template <class T>
  void note_answer(const std::string& what, const dns::Answer<T>& answer) {
    std::string text(dns::to_string(answer.status));
    if (answer.status == dns::Status::kFound) text += ", " + std::to_string(answer.records.size()) + " records";
    note(what, std::move(text));
  }
  static bool failed(dns::Status status) { return status == dns::Status::kTemporary || status == dns::Status::kBogus; }
  SpfResult temp_error(const std::string& what) {
    out_.problem = what;
    return SpfResult::kTempError;
  }
  SpfResult perm_error(const std::string& what) {
    out_.problem = what;
    return SpfResult::kPermError;
  }
  Match error(Match kind, const std::string& what) {
    out_.problem = what;
    return kind;
  }

  // 4.6.4: counts what asks DNS.
  bool may_look_up() { return ++out_.lookups <= limits_.lookups; }
  Match too_many() {
    return error(Match::kPermError, "more than " + std::to_string(limits_.lookups) + " terms that ask DNS");
  }
  // kNo: go on. 4.6.4: void lookups are limited; 5: a failure of DNS ends the check.
  template <class T>
  Match count(const std::string& what, const dns::Answer<T>& answer) {
    note_answer(what, answer);
    if (failed(answer.status)) return error(Match::kTempError, what + ": " + answer.reason);
    if (answer.status != dns::Status::kFound && ++out_.void_lookups > limits_.void_lookups) {
      return error(Match::kPermError,
                   "more than " + std::to_string(limits_.void_lookups) + " lookups without an answer");
    }
    return Match::kNo;
  }
  dns::Family family() const { return client_.is_v4() ? dns::Family::kV4 : dns::Family::kV6; }

  Task<SpfResult> check_host(std::string domain, int depth) {
    MERPATI_CO_TRY(const auto answer, co_await resolver_.txt(domain, deadline_));
    note_answer("TXT " + domain, answer);
    if (failed(answer.status)) co_return temp_error("TXT " + domain + ": " + answer.reason);  // 4.4
    std::vector<std::string> found;
    std::copy_if(answer.records.begin(), answer.records.end(), std::back_inserter(found), is_spf_record);
    if (found.empty()) co_return SpfResult::kNone;                                         // 4.5
    if (found.size() > 1) co_return perm_error(domain + " has more than one SPF record");  // 4.5
    note("record of " + domain, found[0].substr(0, 500));
    auto record = parse_spf_record(found[0]);
    if (record.has_error()) co_return perm_error(domain + ": " + record.error().message());
    co_return co_await evaluate(std::move(domain), *std::move(record), depth);
  }

  Task<SpfResult> evaluate(std::string domain, SpfRecord record, int depth) {
    for (const SpfTerm& term : record.terms) {
      if (++terms_ > limits_.terms) co_return perm_error("too many terms");
      MERPATI_CO_TRY(const Match match, co_await matches(domain, term, depth));
      if (match == Match::kTempError) co_return SpfResult::kTempError;
      if (match == Match::kPermError) co_return SpfResult::kPermError;
      note(term.text, match == Match::kYes ? "match" : "no match");
      if (match == Match::kNo) continue;
      const SpfResult result = result_of(term.qualifier);
      if (depth == 0) {
        out_.mechanism = term.text;
        if (result == SpfResult::kFail && record.explanation) {
          MERPATI_CO_CHECK(co_await explain(std::move(domain), std::move(*record.explanation)));
        }
      }
      co_return result;
    }
    if (!record.redirect) {
      if (depth == 0) out_.mechanism = "default";
      co_return SpfResult::kNeutral;  // 4.7
    }
    co_return co_await redirected(std::move(domain), std::move(*record.redirect), depth);
  }

  // 6.1
  Task<SpfResult> redirected(std::string domain, std::string spec, int depth) {
    if (!may_look_up()) {
      too_many();
      co_return SpfResult::kPermError;
    }
    MERPATI_CO_TRY(const std::string target, co_await expand(std::move(domain), std::move(spec)));
    note("redirect", target);
    if (target.empty()) co_return perm_error("redirect to what is no domain");
    MERPATI_CO_TRY(const SpfResult result, co_await check_host(target, depth));
    if (result == SpfResult::kNone) co_return perm_error("redirect to " + target + ", which has no SPF record");
    co_return result;
  }

  Task<Match> matches(std::string domain, SpfTerm term, int depth) {
    switch (term.kind) {
      case Kind::kAll:
        co_return Match::kYes;
      case Kind::kIp4:
      case Kind::kIp6:
        co_return in_network(client_, term.network, term) ? Match::kYes : Match::kNo;
      default:
        break;
    }
    if (!may_look_up()) co_return too_many();
    std::string target = domain;
    if (!term.domain_spec.empty()) {
      MERPATI_CO_TRY(target, co_await expand(domain, term.domain_spec));
      if (target.empty()) co_return Match::kNo;  // 4.8: no name, so nothing matches
    }
    switch (term.kind) {
      case Kind::kInclude:
        co_return co_await included(std::move(target), depth);
      case Kind::kA:
        co_return co_await address_matches(std::move(target), std::move(term));
      case Kind::kMx:
        co_return co_await mx_matches(std::move(target), std::move(term));
      case Kind::kPtr:
        co_return co_await ptr_matches(std::move(target));
      default:
        break;
    }
    // 5.7: exists asks for A, whatever the client's family.
    MERPATI_CO_TRY(const auto answer, co_await resolver_.addresses_of(dns::Family::kV4, target, deadline_));
    const Match state = count("A " + target, answer);
    if (state != Match::kNo) co_return state;
    co_return answer.status == dns::Status::kFound ? Match::kYes : Match::kNo;
  }

  // 5.2
  Task<Match> included(std::string target, int depth) {
    MERPATI_CO_TRY(const SpfResult result, co_await check_host(target, depth + 1));
    switch (result) {
      case SpfResult::kPass:
        co_return Match::kYes;
      case SpfResult::kTempError:
        co_return Match::kTempError;
      case SpfResult::kPermError:
        co_return Match::kPermError;
      case SpfResult::kNone:
        co_return error(Match::kPermError, "include of " + target + ", which has no SPF record");
      default:
        co_return Match::kNo;
    }
  }

  Task<Match> address_matches(std::string target, SpfTerm term) {
    MERPATI_CO_TRY(const auto answer, co_await resolver_.addresses_of(family(), target, deadline_));
    const Match state = count((client_.is_v4() ? "A " : "AAAA ") + target, answer);
    if (state != Match::kNo) co_return state;
    co_return any_in_network(answer, term) ? Match::kYes : Match::kNo;
  }
  bool any_in_network(const dns::Answer<dns::IpAddress>& answer, const SpfTerm& term) const {
    return std::any_of(answer.records.begin(), answer.records.end(),
                       [&](const dns::IpAddress& a) { return in_network(client_, a, term); });
  }

  // 5.4; 4.6.4: more than ten hosts are a permerror.
  Task<Match> mx_matches(std::string target, SpfTerm term) {
    MERPATI_CO_TRY(const auto hosts, co_await resolver_.mx(target, deadline_));
    const Match state = count("MX " + target, hosts);
    if (state != Match::kNo) co_return state;
    if (hosts.records.size() > static_cast<std::size_t>(limits_.mx_hosts)) {
      co_return error(Match::kPermError, target + " has more than " + std::to_string(limits_.mx_hosts) + " MX");
    }
    for (const dns::Mx& mx : hosts.records) {
      if (mx.host.empty()) continue;
      MERPATI_CO_TRY(const auto answer, co_await resolver_.addresses_of(family(), mx.host, deadline_));
      const Match found = count((client_.is_v4() ? "A " : "AAAA ") + mx.host, answer);
      if (found != Match::kNo) co_return found;
      if (any_in_network(answer, term)) co_return Match::kYes;
    }
    co_return Match::kNo;
  }

  // 5.5: names of the address that have the address.
  Task<Match> ptr_matches(std::string target) {
    MERPATI_CO_TRY(const bool asked, co_await find_validated_names());
    if (!asked) co_return ptr_state_;
    const bool match = std::any_of(validated_.begin(), validated_.end(),
                                   [&](const std::string& name) { return is_below(name, target); });
    co_return match ? Match::kYes : Match::kNo;
  }

  // An address without names is a void lookup each time that it is asked for, although DNS is asked only once.
  bool names_are_void() {
    if (!no_names_ || ++out_.void_lookups <= limits_.void_lookups) return false;
    ptr_state_ =
        error(Match::kPermError, "more than " + std::to_string(limits_.void_lookups) + " lookups without an answer");
    return true;
  }

  // Once for a check. False: the void limit ended it. Failures of DNS mean "no name" (5.5).
  Task<bool> find_validated_names() {
    if (names_known_) co_return !names_are_void();
    names_known_ = true;
    MERPATI_CO_TRY(const auto names, co_await resolver_.names(client_, deadline_));
    note_answer("PTR " + client_.to_string(), names);
    no_names_ = names.status == dns::Status::kNoName || names.status == dns::Status::kNoData;
    if (names_are_void()) co_return false;
    int left = limits_.ptr_names;
    for (const std::string& name : names.records) {
      if (left-- == 0) break;  // 4.6.4: the rest is ignored
      MERPATI_CO_TRY(const auto answer, co_await resolver_.addresses_of(family(), name, deadline_));
      note_answer((client_.is_v4() ? "A " : "AAAA ") + name, answer);
      if (std::find(answer.records.begin(), answer.records.end(), client_) != answer.records.end()) {
        validated_.push_back(name);
      }
    }
    co_return true;
  }

  Task<std::string> expand(std::string domain, std::string spec) {
    MERPATI_CO_TRY(std::string text, co_await expand_text(std::move(domain), std::move(spec)));
    co_return as_name(std::move(text));
  }
  Task<std::string> expand_text(std::string domain, std::string spec) {
    SpfMacros macros = macros_;
    macros.domain = domain;
    if (uses_validated_name(spec)) {
      MERPATI_CO_CHECK(co_await find_validated_names());
      // 7.3: the domain itself before a name below it before any other.
      const auto best = [&](auto rule) {
        const auto at = std::find_if(validated_.begin(), validated_.end(), rule);
        if (at != validated_.end() && macros.validated_name == "unknown") macros.validated_name = *at;
      };
      best([&](const std::string& name) { return mime::iequals(name, domain); });
      best([&](const std::string& name) { return is_below(name, domain); });
      best([](const std::string&) { return true; });
    }
    co_return expand_macros(spec, macros);
  }

  // 6.2: whatever is wrong with an explanation, there is none then.
  Task<void> explain(std::string domain, std::string spec) {
    MERPATI_CO_TRY(const std::string target, co_await expand(domain, std::move(spec)));
    if (target.empty()) co_return boost::system::in_place_value;
    MERPATI_CO_TRY(const auto answer, co_await resolver_.txt(target, deadline_));
    note_answer("TXT " + target, answer);
    if (answer.status != dns::Status::kFound || answer.records.size() != 1) co_return boost::system::in_place_value;
    const std::string& text = answer.records[0];
    if (!valid_macro_string(text, MacroUse::kExplanation)) co_return boost::system::in_place_value;
    MERPATI_CO_TRY(out_.explanation, co_await expand_text(std::move(domain), text));
    if (out_.explanation.size() > 500) out_.explanation.resize(500);
    const bool ascii =
        std::all_of(out_.explanation.begin(), out_.explanation.end(), [](char c) { return c >= 32 && c < 127; });
    if (!ascii) out_.explanation.clear();
    co_return boost::system::in_place_value;
  }

  dns::Resolver& resolver_;
  const SpfLimits limits_;
  const Deadline deadline_;
  dns::IpAddress client_;
  SpfMacros macros_;
  SpfOutcome out_;
  int terms_ = 0;
  bool names_known_ = false;
  bool no_names_ = false;
  Match ptr_state_ = Match::kNo;
  std::vector<std::string> validated_;
};

}  // namespace

std::string_view to_string(SpfResult result) {
  switch (result) {
    case SpfResult::kNone:
      return "none";
    case SpfResult::kNeutral:
      return "neutral";
    case SpfResult::kPass:
      return "pass";
    case SpfResult::kFail:
      return "fail";
    case SpfResult::kSoftFail:
      return "softfail";
    case SpfResult::kTempError:
      return "temperror";
    case SpfResult::kPermError:
      return "permerror";
  }
  return "none";
}

Task<SpfOutcome> check_spf(dns::Resolver& resolver, SpfQuery query, Deadline deadline, SpfLimits limits) {
  if (query.mail_from.empty()) co_return co_await check_spf_helo(resolver, std::move(query), deadline, limits);
  const auto at = query.mail_from.rfind('@');
  const std::string local = at == std::string::npos ? std::string() : query.mail_from.substr(0, at);
  const std::string domain = query.mail_from.substr(at == std::string::npos ? 0 : at + 1);
  Check check(resolver, query, limits, deadline);
  co_return co_await check.run(local, domain);
}

Task<SpfOutcome> check_spf_helo(dns::Resolver& resolver, SpfQuery query, Deadline deadline, SpfLimits limits) {
  Check check(resolver, query, limits, deadline);
  MERPATI_CO_TRY(auto out, co_await check.run("postmaster", query.helo));
  out.identity = SpfIdentity::kHelo;
  co_return out;
}

}  // namespace merpati::mailauth
