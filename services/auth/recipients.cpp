#include "auth/recipients.hpp"

#include <algorithm>
#include <deque>
#include <set>

#include "merpati/runtime/log.hpp"

namespace merpati::auth {
namespace {

using Response = v1::ResolveRecipientResponse;

constexpr int kDeepestAlias = 5;
constexpr std::size_t kMostTargets = 500;
constexpr auto kGrantLife = std::chrono::minutes(30);  // longer than the slowest DATA

std::int64_t unix_seconds(WallTime time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

v1::RecipientGrant grant_for(const Account& account, const std::string& recipient, const std::string& detail) {
  v1::RecipientGrant grant;
  grant.set_account_id(account.id);
  grant.set_cell(account.cell);
  grant.set_recipient(recipient);
  grant.set_detail(detail);
  grant.set_quota_bytes(account.quota_bytes);
  grant.set_quota_messages(account.quota_messages);
  grant.set_expires_at(unix_seconds(Clock::system().wall() + kGrantLife));
  grant.set_address(account.address);
  return grant;
}

const char* name_of(Response::Status status) {
  switch (status) {
    case Response::STATUS_LOCAL:
      return "local";
    case Response::STATUS_UNKNOWN:
      return "unknown";
    case Response::STATUS_DISABLED:
      return "disabled";
    case Response::STATUS_REMOTE:
      return "remote";
    default:
      return "other";
  }
}

}  // namespace

Recipients::Recipients(Directory& directory, const Keys& keys, runtime::Metrics& metrics,
                       std::optional<mailauth::Srs> srs)
    : directory_(directory), keys_(keys), metrics_(metrics), srs_(std::move(srs)) {}

Task<Response> Recipients::resolve(std::string address, Deadline deadline) {
  auto response = co_await walk(std::move(address), deadline);
  const char* status = response.has_error() ? "error" : name_of(response->status());
  metrics_.counter("merpati_auth_recipients_total", "Recipients that were looked up.", {{"status", status}}).add();
  co_return response;
}

Task<Response> Recipients::walk(std::string address, Deadline deadline) {
  Response response;
  const auto at = address.rfind('@');
  auto first = parse_address(address);
  int depth = 0;
  if (srs_ && srs_->is_ours(address)) {
    // A bounce of what was redirected goes to who sent it, as if that were behind an alias.
    const auto sender = srs_->reverse(address, Clock::system().wall());
    first = sender.has_value() ? parse_address(*sender) : Result<Address>(sender.error());
    depth = 1;
    if (first.has_error()) {
      response.set_status(Response::STATUS_UNKNOWN);
      co_return response;
    }
  }
  if (first.has_error()) {
    // A local part that we could not have; whose it is decides the domain alone.
    const auto domain = at == std::string::npos ? Result<std::string>(Error()) : parse_domain(address.substr(at + 1));
    response.set_status(at == std::string::npos ? Response::STATUS_UNKNOWN : Response::STATUS_REMOTE);
    if (domain) {
      MERPATI_CO_TRY(const auto found, co_await directory_.lookup({"", *domain}, deadline));
      if (found.our_domain) response.set_status(Response::STATUS_UNKNOWN);
    }
    co_return response;
  }
  struct Step {
    Address address;
    int depth;
  };
  std::deque<Step> steps{{*first, depth}};
  std::set<std::string> visited{first->text()};
  std::set<std::int64_t> accounts;
  bool disabled = false;
  while (!steps.empty()) {
    const auto step = std::move(steps.front());
    steps.pop_front();
    MERPATI_CO_TRY(const auto found, co_await directory_.lookup(step.address, deadline));
    if (!found.our_domain) {
      if (step.depth > 0) {
        response.add_remote_addresses(step.address.text());
        continue;
      }
      response.set_status(Response::STATUS_REMOTE);
      co_return response;
    }
    if (!found.domain_enabled) disabled = true;
    if (!found.domain_enabled || found.candidates.empty()) continue;
    const auto& best = found.candidates.front();
    if (best.account) {
      if (!best.account->usable()) disabled = true;
      if (!best.account->usable() || !accounts.insert(best.account->id).second) continue;
      auto grant = grant_for(*best.account, first->text(), step.depth == 0 ? best.detail : "");
      auto& recipient = *response.add_recipients();
      recipient.set_grant(keys_.sign_grant(grant));
      *recipient.mutable_claims() = std::move(grant);
    }
    for (const auto& target : best.targets) {
      auto next = parse_address(target);
      if (next.has_error() || !visited.insert(next->text()).second) continue;
      // Nobody may be left out silently, so the client hears that it has to wait for the operator.
      if (step.depth >= kDeepestAlias || visited.size() > kMostTargets) {
        log::error("auth_alias_too_wide", "an alias leads through too many others, or to too many addresses",
                   {{"address", first->text()}, {"deepest", kDeepestAlias}, {"most", kMostTargets}});
        co_return Error(ErrorCode::kResourceExhausted, "too many addresses behind " + first->text());
      }
      steps.push_back({*std::move(next), step.depth + 1});
    }
  }
  const bool taken = response.recipients_size() > 0 || response.remote_addresses_size() > 0;
  response.set_status(taken ? Response::STATUS_LOCAL : disabled ? Response::STATUS_DISABLED : Response::STATUS_UNKNOWN);
  co_return response;
}

Task<bool> Recipients::may_send_as(std::int64_t account_id, std::string address, Deadline deadline) {
  const auto parsed = parse_address(address);
  if (parsed.has_error()) co_return false;
  MERPATI_CO_TRY(const auto found, co_await directory_.lookup(*parsed, deadline));
  std::vector<std::string> targets;
  for (const auto& candidate : found.candidates) {
    if (candidate.catch_all) continue;  // taking what nobody takes gives no right to send as everybody
    if (candidate.account) co_return candidate.account->id == account_id;
    targets = candidate.targets;
    break;
  }
  if (targets.empty()) co_return false;
  MERPATI_CO_TRY(const auto account, co_await directory_.account_by_id(account_id, deadline));
  if (!account) co_return false;
  co_return std::any_of(targets.begin(), targets.end(), [&](const std::string& target) {
    const auto normal = parse_address(target);
    return normal && normal->text() == account->address;
  });
}

}  // namespace merpati::auth
