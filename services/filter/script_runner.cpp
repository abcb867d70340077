#include "filter/script_runner.hpp"

#include <algorithm>
#include <array>

#include "merpati/auth/v1/auth.rpc.hpp"
#include "merpati/base/encoding.hpp"
#include "merpati/store/v1/store.rpc.hpp"

namespace merpati::filter {
namespace {

constexpr std::uint64_t kFewSteps = 50'000;  // that run where we are, without a hop to another thread

std::string special_use_name(store::v1::SpecialUse use) {
  static constexpr std::array<std::string_view, 9> kNames = {
      "", "\\Drafts", "\\Sent", "\\Junk", "\\Trash", "\\Archive", "\\All", "\\Flagged", "\\Important"};
  const auto at = static_cast<std::size_t>(use);
  return at < kNames.size() ? std::string(kNames[at]) : std::string();
}

}  // namespace

asio::awaitable<sieve::Outcome> ScriptRunner::execute(const std::vector<sieve::NamedScript>& scripts,
                                                      std::string_view message, const sieve::Envelope& envelope,
                                                      DeliveryWorld& world, const sieve::RunOptions& options) {
  if (message.size() <= kSmallMessage) {
    auto few = options;
    few.limits.max_steps = std::min(kFewSteps, options.limits.max_steps);
    auto outcome = sieve::run(scripts, message, envelope, world, few);
    if (!outcome.error || outcome.steps <= few.limits.max_steps) co_return outcome;
  }
  auto there = [&] { return sieve::run(scripts, message, envelope, world, options); };
  co_return co_await run_blocking(blocking_, std::move(there));
}

Task<void> ScriptRunner::fetch_mailboxes(DeliveryWorld& world, rpc::CallOptions call) {
  store::v1::ListMailboxesRequest request;
  request.set_account_id(call.account_id);
  store::v1::StoreClient store(store_);
  MERPATI_CO_TRY(const auto response, co_await store.list_mailboxes(request, call));
  auto& mailboxes = world.mailboxes.emplace();
  for (const auto& one : response.mailboxes())
    mailboxes.push_back({one.name(), one.mailbox_id(), special_use_name(one.special_use()), !one.no_select()});
  world.wants_mailboxes = false;
  co_return Result<void>();
}

Task<void> ScriptRunner::fetch_includes(DeliveryWorld& world, std::int64_t account, Deadline deadline) {
  for (const auto& name : world.wanted_includes) {
    MERPATI_CO_TRY(const auto source, co_await scripts_.source(account, name, deadline));
    Result<std::shared_ptr<const sieve::Script>> found{std::shared_ptr<const sieve::Script>()};
    if (source) {
      auto compile = [this, &source] { return cache_.get(sha256(*source), *source); };
      auto script = co_await run_blocking(blocking_, std::move(compile));
      found = std::move(script);
      if (*found == nullptr)
        found = Error(ErrorCode::kInvalidArgument, "the script \"" + name + "\" that is included has errors");
    }
    world.included.insert_or_assign(name, std::move(found));
  }
  world.wanted_includes.clear();
  co_return Result<void>();
}

Task<void> ScriptRunner::fetch_addresses(DeliveryWorld& world, std::int64_t account, Deadline deadline) {
  for (const auto& address : world.wanted_addresses) {
    auto& owned = world.owned[address];
    owned = false;
    if (!auth_) continue;
    auth::v1::CheckSenderRequest request;
    request.set_account_id(account);
    request.set_address(address);
    rpc::CallOptions call;
    call.deadline = deadline;
    auth::v1::AuthClient auth(auth_);
    MERPATI_CO_TRY(const auto response, co_await auth.check_sender(request, call));
    owned = response.allowed();
  }
  world.wanted_addresses.clear();
  co_return Result<void>();
}

bool needs_mailboxes(const sieve::Outcome& outcome) {
  const auto needs = [](const sieve::Filing& into) { return !into.mailbox_id.empty() || !into.special_use.empty(); };
  return std::ranges::any_of(outcome.actions, [&](const sieve::Action& action) {
    if (const auto* file = std::get_if<sieve::FileInto>(&action.what)) return needs(file->into);
    if (const auto* reply = std::get_if<sieve::Vacation>(&action.what)) return reply->fcc && needs(*reply->fcc);
    if (const auto* note = std::get_if<sieve::Notify>(&action.what)) return note->fcc && needs(*note->fcc);
    return false;
  });
}

}  // namespace merpati::filter
