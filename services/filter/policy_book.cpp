#include "filter/policy_book.hpp"

#include <algorithm>
#include <set>

namespace merpati::filter {
namespace {
constexpr std::size_t kMostRemembered = 100'000;  // accounts, and as many domains
}

/// What one message's recipients have.
struct PolicyBook::Found {
  std::int64_t generation = 0;
  bool any = true;
  std::map<std::int64_t, SharedPolicy> accounts;
  std::map<std::string, SharedPolicy, std::less<>> domains;
  std::set<std::int64_t> unknown_accounts;
  std::set<std::string, std::less<>> unknown_domains;
};

Task<void> PolicyBook::look_up(Found& found, Deadline deadline) {
  std::vector<std::int64_t> accounts(found.unknown_accounts.begin(), found.unknown_accounts.end());
  std::vector<std::string> domains(found.unknown_domains.begin(), found.unknown_domains.end());
  MERPATI_CO_TRY(const auto stored, co_await table_.find(std::move(accounts), std::move(domains), deadline));
  for (const auto account : found.unknown_accounts) {
    const auto at = stored.accounts.find(account);
    found.accounts[account] = at == stored.accounts.end() ? nullptr : std::make_shared<const Policy>(at->second);
  }
  for (const auto& domain : found.unknown_domains) {
    const auto at = stored.domains.find(domain);
    found.domains[domain] = at == stored.domains.end() ? nullptr : std::make_shared<const Policy>(at->second);
  }
  known_.with([&](Known& known) {
    if (known.generation != found.generation) return;
    if (known.accounts.size() >= kMostRemembered) known.accounts.clear();
    if (known.domains.size() >= kMostRemembered) known.domains.clear();
    for (const auto account : found.unknown_accounts) known.accounts[account] = found.accounts[account];
    for (const auto& domain : found.unknown_domains) known.domains[domain] = found.domains[domain];
  });
  co_return Result<void>();
}

Task<RulesOfRecipients> PolicyBook::rules_for(std::vector<RecipientOwner> recipients, Deadline deadline) {
  Found found;
  known_.with([&](const Known& known) {
    found.generation = known.generation;
    found.any = known.any;
    if (!found.any) return;
    const auto take = [](const auto& from, const auto& key, auto& into, auto& unknown) {
      const auto at = from.find(key);
      if (at == from.end())
        unknown.insert(key);
      else
        into[key] = at->second;
    };
    for (const auto& one : recipients) {
      if (one.account == 0) continue;
      take(known.accounts, one.account, found.accounts, found.unknown_accounts);
      if (!one.domain.empty()) take(known.domains, one.domain, found.domains, found.unknown_domains);
    }
  });
  if (!found.unknown_accounts.empty() || !found.unknown_domains.empty())
    MERPATI_CO_CHECK(co_await look_up(found, deadline));
  RulesOfRecipients out;
  std::map<std::pair<const Policy*, const Policy*>, SharedRules> merged;
  for (const auto& one : recipients) {
    const auto account = found.accounts.find(one.account);
    const auto domain = found.domains.find(one.domain);
    const Policy* of_account = account == found.accounts.end() ? nullptr : account->second.get();
    const Policy* of_domain =
        account == found.accounts.end() || domain == found.domains.end() ? nullptr : domain->second.get();
    if (of_account == nullptr && of_domain == nullptr) {
      out.push_back(configured_);
      continue;
    }
    auto& rules = merged[{of_domain, of_account}];
    if (rules == nullptr) rules = merge(configured_->scoring, of_domain, of_account);
    out.push_back(rules);
  }
  co_return out;
}

Task<void> PolicyBook::refresh(Deadline deadline) {
  const auto asked_in = known_.with([](const Known& known) { return known.generation; });
  MERPATI_CO_TRY(const auto now, co_await table_.version(deadline));
  known_.with([&](Known& known) {
    // forget() came between: what was read may be older than its change.
    if (known.generation != asked_in || known.version == now.version) return;
    known = {known.generation + 1, now.version, now.any, {}, {}};
  });
  co_return Result<void>();
}

void PolicyBook::forget() {
  known_.with([](Known& known) { known = {known.generation + 1, std::nullopt, true, {}, {}}; });
}

}  // namespace merpati::filter
