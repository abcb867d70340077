#include "merpati/mailauth/dmarc.hpp"

#include <algorithm>
#include <map>

namespace merpati::mailauth {
namespace {
struct Found {
  std::string domain;
  DmarcRecord record;
};

// What a tree walk found (RFC 9989 4.10), from the longest name to the shortest.
struct Walk {
  std::vector<Found> records;
  std::string organizational_domain;
  std::string failure;  // a temporary one, which ended the walk
};

bool is_at_or_below(std::string_view name, std::string_view domain) {
  return name == domain ||
         (name.size() > domain.size() && name.ends_with(domain) && name[name.size() - domain.size() - 1] == '.');
}

// The last `labels` labels.
std::string last_labels(std::string_view name, std::ptrdiff_t labels) {
  auto have = std::count(name.begin(), name.end(), '.') + 1;
  for (; have > labels; --have) name.remove_prefix(name.find('.') + 1);
  return std::string(name);
}

// RFC 9989 4.10.2
std::string organizational_domain(const std::string& start, const std::vector<Found>& records) {
  for (const auto& found : records) {
    if (found.record.psd == DmarcRecord::Psd::kNo) return found.domain;
    if (found.record.psd == DmarcRecord::Psd::kYes && found.domain != start) {
      return last_labels(start, std::count(found.domain.begin(), found.domain.end(), '.') + 2);
    }
  }
  return records.empty() ? start : records.back().domain;
}

class Check {
 public:
  Check(dns::Resolver& resolver, DmarcQuery query, Deadline deadline)
      : resolver_(resolver), query_(std::move(query)), deadline_(deadline) {}

  /// Of a check that is asked nothing else.
  Task<std::string> organizational_domain_of(std::string domain) {
    MERPATI_CO_TRY(const Walk* walked, co_await walk(std::move(domain)));
    if (!walked->failure.empty()) co_return Error(ErrorCode::kUnavailable, walked->failure);
    co_return walked->organizational_domain;
  }

  Task<DmarcOutcome> run() {
    if (query_.authors.size() > 10) {
      out_.result = DmarcResult::kPermError;
      out_.steps.push_back({"From", "more than 10 domains"});
      co_return std::move(out_);
    }
    for (const std::string& author : query_.authors) {
      MERPATI_CO_TRY(auto evaluation, co_await evaluate(author));
      std::string text(to_string(evaluation.result));
      if (!evaluation.aligned_by.empty()) text += " by " + evaluation.aligned_by;
      if (!evaluation.problem.empty()) text += ": " + evaluation.problem;
      out_.steps.push_back({"author " + author, std::move(text)});
      if (evaluation.result == DmarcResult::kFail) out_.policy = std::max(out_.policy, evaluation.policy);
      out_.evaluations.push_back(std::move(evaluation));
    }
    out_.result = worst();
    co_return std::move(out_);
  }

 private:
  DmarcResult worst() const {
    // A failing author counts before one of whom nothing is known.
    constexpr DmarcResult kOrder[] = {DmarcResult::kFail, DmarcResult::kTempError, DmarcResult::kPermError,
                                      DmarcResult::kNone, DmarcResult::kPass};
    for (const auto result : kOrder) {
      for (const auto& e : out_.evaluations) {
        if (e.result == result) return result;
      }
    }
    return DmarcResult::kNone;
  }

  Task<const Walk*> walk(std::string start) {
    const auto known = walks_.find(start);
    if (known != walks_.end()) co_return &known->second;
    Walk out;
    for (const std::string& name : tree_walk(start)) {
      const std::string owner = "_dmarc." + name;
      MERPATI_CO_TRY(const auto answer, co_await resolver_.txt(owner, deadline_));
      std::vector<std::string> records;
      std::copy_if(answer.records.begin(), answer.records.end(), std::back_inserter(records), is_dmarc_record);
      std::string text(dns::to_string(answer.status));
      if (answer.status == dns::Status::kFound) text = std::to_string(records.size()) + " records";
      if (records.size() == 1) text = records[0].substr(0, 500);
      if (answer.status == dns::Status::kTemporary || answer.status == dns::Status::kBogus) {
        out.failure = "TXT " + owner + ": " + answer.reason;
        out_.steps.push_back({"TXT " + owner, answer.reason});
        break;
      }
      if (records.size() == 1) {  // several are all discarded
        auto record = parse_dmarc_record(records[0]);
        if (record.has_error()) text += " (" + record.error().message() + ")";
        if (record.has_value()) out.records.push_back({name, *std::move(record)});
      }
      out_.steps.push_back({"TXT " + owner, std::move(text)});
      if (!out.records.empty() && out.records.back().domain == name &&
          out.records.back().record.psd != DmarcRecord::Psd::kUnknown) {
        break;
      }
    }
    out.organizational_domain = organizational_domain(start, out.records);
    co_return &walks_.emplace(std::move(start), std::move(out)).first->second;
  }

  // RFC 9989 4.10.1: the author's own record, the organizational domain's, the public suffix's.
  static const Found* applicable(const Walk& walk, const std::string& author) {
    const auto of = [&](const std::string& domain) -> const Found* {
      const auto found =
          std::find_if(walk.records.begin(), walk.records.end(), [&](const Found& f) { return f.domain == domain; });
      return found == walk.records.end() ? nullptr : &*found;
    };
    if (const Found* own = of(author)) return own;
    if (const Found* organization = of(walk.organizational_domain)) return organization;
    for (const Found& found : walk.records) {
      if (found.record.psd == DmarcRecord::Psd::kYes) return &found;
    }
    return nullptr;
  }

  Task<DmarcEvaluation> evaluate(std::string author) {
    DmarcEvaluation out;
    out.author_domain = author;
    MERPATI_CO_TRY(const Walk* walked, co_await walk(author));
    const Found* found = applicable(*walked, author);
    // What was found before a failure of DNS counts when it is the author's own.
    if (!walked->failure.empty() && (found == nullptr || found->domain != author)) {
      out.result = DmarcResult::kTempError;
      out.problem = walked->failure;
      co_return out;
    }
    out.organizational_domain = walked->organizational_domain;
    if (found == nullptr) co_return out;
    const Found applied = *found;
    out.record_domain = applied.domain;
    out.record = applied.record;
    MERPATI_CO_TRY(out.published, co_await published_policy(applied, author));
    out.policy = out.published;
    // RFC 9989 4.7, t=: one step milder than published.
    if (applied.record.testing && out.policy != DmarcPolicy::kNone) {
      out.policy = out.policy == DmarcPolicy::kReject ? DmarcPolicy::kQuarantine : DmarcPolicy::kNone;
    }
    MERPATI_CO_CHECK(co_await align(applied, author, out));
    co_return out;
  }

  Task<DmarcPolicy> published_policy(Found applied, std::string author) {
    if (applied.domain == author) co_return applied.record.policy;
    const auto sub = applied.record.subdomain_policy.value_or(applied.record.policy);
    if (!applied.record.nonexistent_policy) co_return sub;
    // A name does not exist when DNS says NXDOMAIN, whatever the type (RFC 8020 2).
    MERPATI_CO_TRY(const auto answer, co_await resolver_.addresses_of(dns::Family::kV4, author, deadline_));
    out_.steps.push_back({"A " + author, std::string(dns::to_string(answer.status))});
    co_return answer.status == dns::Status::kNoName ? *applied.record.nonexistent_policy : sub;
  }

  Task<void> align(Found applied, std::string author, DmarcEvaluation& out) {
    const auto one = [](const std::string& domain) {
      return domain.empty() ? std::vector<std::string>() : std::vector<std::string>{domain};
    };
    std::string failure;
    const DmarcRecord& record = applied.record;
    MERPATI_CO_TRY(out.aligned_by,
                   co_await first_aligned("dkim=", query_.dkim_domains, author, record.strict_dkim, failure));
    out.dkim_aligned = !out.aligned_by.empty();
    if (!out.dkim_aligned || (query_.for_reports && !record.aggregate_reports.empty())) {
      MERPATI_CO_TRY(const std::string by_spf,
                     co_await first_aligned("spf=", one(query_.spf_domain), author, record.strict_spf, failure));
      out.spf_aligned = !by_spf.empty();
      if (!out.dkim_aligned) out.aligned_by = by_spf;
    }
    if (!out.aligned_by.empty()) {
      out.result = DmarcResult::kPass;
      co_return boost::system::in_place_value;
    }
    // RFC 7489 6.6.2: what could have passed but for a failure of DNS is no fail.
    MERPATI_CO_TRY(std::string unknown,
                   co_await first_aligned("dkim=", query_.unknown_dkim_domains, author, record.strict_dkim, failure));
    if (unknown.empty()) {
      MERPATI_CO_TRY(
          unknown, co_await first_aligned("spf=", one(query_.unknown_spf_domain), author, record.strict_spf, failure));
    }
    if (!unknown.empty()) failure = unknown + " cannot be checked now";
    out.result = failure.empty() ? DmarcResult::kFail : DmarcResult::kTempError;
    out.problem = failure.empty() ? "no identifier that passed is aligned" : failure;
    co_return boost::system::in_place_value;
  }

  // `method` and the first of `domains` that is aligned; empty: none.
  Task<std::string> first_aligned(std::string method, std::vector<std::string> domains, std::string author, bool strict,
                                  std::string& failure) {
    for (const std::string& domain : domains) {
      MERPATI_CO_TRY(const bool aligned, co_await is_aligned(domain, author, strict, failure));
      if (aligned) co_return method + domain;
    }
    co_return std::string();
  }

  Task<bool> is_aligned(std::string domain, std::string author, bool strict, std::string& failure) {
    if (domain == author) co_return true;
    if (strict) co_return false;
    MERPATI_CO_TRY(const Walk* author_walk, co_await walk(author));
    if (!author_walk->failure.empty()) {
      failure = author_walk->failure;
      co_return false;
    }
    // Both must have the same organizational domain, and each is within its own: others need no walk.
    const std::string organization = author_walk->organizational_domain;
    if (!is_at_or_below(domain, organization)) co_return false;
    MERPATI_CO_TRY(const Walk* other, co_await walk(domain));
    if (!other->failure.empty()) failure = other->failure;
    co_return other->failure.empty() && other->organizational_domain == organization;
  }

  dns::Resolver& resolver_;
  DmarcQuery query_;
  const Deadline deadline_;
  std::map<std::string, Walk> walks_;
  DmarcOutcome out_;
};
}  // namespace

std::string_view to_string(DmarcResult result) {
  switch (result) {
    case DmarcResult::kNone:
      return "none";
    case DmarcResult::kPass:
      return "pass";
    case DmarcResult::kFail:
      return "fail";
    case DmarcResult::kTempError:
      return "temperror";
    case DmarcResult::kPermError:
      return "permerror";
  }
  return "none";
}

Task<std::string> find_organizational_domain(dns::Resolver& resolver, std::string domain, Deadline deadline) {
  Check check(resolver, {}, deadline);
  co_return co_await check.organizational_domain_of(std::move(domain));
}

Task<DmarcOutcome> check_dmarc(dns::Resolver& resolver, DmarcQuery query, Deadline deadline) {
  Check check(resolver, std::move(query), deadline);
  co_return co_await check.run();
}

}  // namespace merpati::mailauth
