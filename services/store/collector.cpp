#include "store/collector.hpp"

#include "merpati/runtime/log.hpp"
#include "store/packs.hpp"

namespace merpati::store {
namespace {

using namespace std::chrono_literals;
constexpr auto kEvery = 60s;
constexpr int kBatch = 500;
// Longer than any transaction or upload lasts.
constexpr auto kSafe = 15min;
// Clients that were away for longer read the whole mailbox again.
constexpr auto kTombstones = std::chrono::hours(60 * 24);

Task<std::int64_t> repeat(Core& core, const pg::Statement& statement, WallTime before) {
  std::int64_t total = 0;
  for (;;) {
    pg::Params params;
    params.timestamptz(before).integer(kBatch);
    MERPATI_CO_TRY(auto rows, co_await core.pool.write(statement, std::move(params), Deadline::after(30s)));
    const auto count = rows.front().bigint(0);
    total += count;
    if (count < kBatch) co_return total;
  }
}

Task<std::int64_t> remove_objects(Core& core, WallTime before) {
  static const pg::Statement kFind{"store_collectable", "select blob_id, key from collectable_objects($1, $2)"};
  static const pg::Statement kForget{
      "store_forget_object",
      "delete from objects where blob_id = $1 and key = $2 and collecting_since is not null and refs <= 0"};
  if (!core.objects) co_return 0;
  pg::Params params;
  params.timestamptz(before).integer(kBatch);
  MERPATI_CO_TRY(auto rows, co_await core.pool.query(kFind, std::move(params), Deadline::after(30s)));
  std::int64_t removed = 0;
  for (const auto row : rows) {
    const std::string key(row.text(1));
    pg::Params forget;
    forget.bytea(row.bytea(0)).text(key);
    MERPATI_CO_TRY(auto forgotten, co_await core.pool.write(kForget, std::move(forget), Deadline::after(30s)));
    if (forgotten.affected() == 0) continue;  // taken into use again
    // A crash here leaves an object without a row, which a comparison of both finds.
    MERPATI_CO_CHECK(co_await core.objects->remove(key, Deadline::after(60s)));
    ++removed;
  }
  co_return removed;
}

Task<std::int64_t> remove_packs(Core& core) {
  static const pg::Statement kFind{
      "store_collectable_packs",
      "select id from packs where unused_since is not null and collecting_since is not null limit $1"};
  static const pg::Statement kForget{"store_forget_pack",
                                     "delete from packs where id = $1 and collecting_since is not null"};
  if (!core.objects) co_return 0;
  pg::Params params;
  params.integer(kBatch);
  MERPATI_CO_TRY(auto rows, co_await core.pool.query(kFind, std::move(params), Deadline::after(30s)));
  std::int64_t removed = 0;
  for (const auto row : rows) {
    const auto pack = row.uuid(0);
    // A pack's id is never used again, and nothing moves into a marked one: the record goes last.
    MERPATI_CO_CHECK(co_await core.objects->remove(pack_key(pack), Deadline::after(60s)));
    pg::Params forget;
    forget.uuid(pack);
    MERPATI_CO_CHECK(co_await core.pool.write(kForget, std::move(forget), Deadline::after(30s)));
    ++removed;
  }
  co_return removed;
}

}  // namespace

Task<std::int64_t> collect_once(Core& core, WallTime now) {
  static const pg::Statement kGraves{"store_clear_graves", "select clear_graves($1, $2)"};
  static const pg::Statement kBodies{"store_remove_bodies", "select remove_unused_bodies($1, $2)"};
  static const pg::Statement kMark{"store_mark_objects", "select mark_objects($1, $2)"};
  static const pg::Statement kMarkPacks{"store_mark_packs", "select mark_packs($1, $2)"};
  static const pg::Statement kDeliveries{"store_forget_deliveries",
                                         "with old as (select account_id, delivery_id, part from deliveries where at < "
                                         "$1 limit $2), gone as (delete from deliveries d using "
                                         "old o where d.account_id = o.account_id and d.delivery_id = o.delivery_id "
                                         "and d.part = o.part returning 1) select count(*) from gone"};
  MERPATI_CO_TRY(auto total, co_await repeat(core, kGraves, now - core.settings.collect_grace));
  MERPATI_CO_TRY(const auto bodies, co_await repeat(core, kBodies, now - kSafe));
  MERPATI_CO_TRY(const auto marked, co_await repeat(core, kMark, now - kSafe));
  MERPATI_CO_TRY(const auto objects, co_await remove_objects(core, now - kSafe));
  MERPATI_CO_TRY(const auto marked_packs, co_await repeat(core, kMarkPacks, now - kSafe));
  MERPATI_CO_TRY(const auto packs, co_await remove_packs(core));
  MERPATI_CO_TRY(const auto deliveries, co_await repeat(core, kDeliveries, now - core.settings.delivery_memory));
  static const pg::Statement kExpunged{"store_forget_expunged", "select forget_expunged($1, $2)"};
  MERPATI_CO_TRY(const auto tombstones, co_await repeat(core, kExpunged, now - kTombstones));
  total += tombstones + bodies + marked + objects + marked_packs + packs + deliveries;
  co_return total;
}

asio::awaitable<void> collect_for_ever(Core& core) {
  for (;;) {
    auto slept = co_await sleep_for(kEvery);
    if (slept.has_error()) co_return;
    auto done = co_await collect_once(core, Clock::system().wall());
    if (done.has_error() && done.error().code() == ErrorCode::kCancelled) co_return;
    if (done.has_error())
      log::info("store_collection_failed", "the next round tries again", {{"why", done.error().describe()}});
    else if (*done > 0)
      log::info("store_collected", "removed what nothing uses", {{"count", *done}});
  }
}

}  // namespace merpati::store
