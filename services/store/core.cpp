#include "store/core.hpp"

#include "merpati/base/ids.hpp"
#include "store/arrivals.hpp"
#include "store/flag_changes.hpp"
#include "store/source_cache.hpp"
#include "store/status_reader.hpp"
#include "store/watchers.hpp"

namespace merpati::store {
namespace {
constexpr std::size_t kMostKnown = 200'000;
}

Core::Core(pg::Pool& p, asio::thread_pool& b, TaskGroup& g, Settings s)
    : pool(p),
      blocking(b),
      group(g),
      settings(s),
      packing{new_uuid(), {}, {}, {}, {}},
      arrivals(std::make_unique<Arrivals>(*this)),
      flag_changes(std::make_unique<FlagChanges>(*this)),
      status_reader(std::make_unique<StatusReader>(*this)),
      sources(std::make_unique<SourceCache>(settings.cache_size)),
      watchers(std::make_unique<Watchers>(*this)) {}

Core::~Core() = default;

Task<void> Core::ensure_account(std::int64_t account, Deadline deadline) {
  const bool known = known_.with([&](auto& set) { return set.contains(account); });
  if (known) co_return Result<void>();
  co_return co_await ensure_accounts({account}, deadline);
}

Task<void> Core::ensure_accounts(std::vector<std::int64_t> accounts, Deadline deadline) {
  static const pg::Statement kEnsure{"store_ensure_accounts", "select ensure_accounts($1)::text"};
  known_.with([&](auto& set) { std::erase_if(accounts, [&](std::int64_t account) { return set.contains(account); }); });
  if (accounts.empty()) co_return Result<void>();
  for (const auto account : accounts)
    if (account <= 0) co_return Error(ErrorCode::kInvalidArgument, "an account id is missing");
  pg::Params params;
  params.bigints(accounts);
  MERPATI_CO_CHECK(co_await pool.write(kEnsure, std::move(params), deadline));
  known_.with([&](auto& set) {
    if (set.size() > kMostKnown) set.clear();
    set.insert(accounts.begin(), accounts.end());
  });
  co_return Result<void>();
}

void Core::forget_account(std::int64_t account) {
  known_.with([&](auto& set) { set.erase(account); });
}

}  // namespace merpati::store
