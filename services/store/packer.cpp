#include "store/packer.hpp"

#include <algorithm>

#include "merpati/base/fail_point.hpp"
#include "merpati/base/ids.hpp"
#include "merpati/runtime/log.hpp"

namespace merpati::store {
namespace {

using namespace std::chrono_literals;
constexpr int kWindow = 50'000;               // bodies that are put in order together
constexpr std::size_t kMoved = 500;           // rows of one transaction
constexpr std::uint64_t kStep = 1024 * 1024;  // octets in memory at once
constexpr auto kPatience = std::chrono::hours(24);
// An upload ends well before the collector may take its record for a crashed one's.
constexpr auto kUpload = 10min;
// A packer that dies is followed by another one within a minute. One that is only slow renews at each step.
constexpr double kLease = 60;  // seconds
constexpr auto kRenew = 15s;

/// A body's place in the new pack.
struct Placed {
  const ColdBody* body = nullptr;
  std::uint64_t offset = 0;
};

Task<bool> take_lease(Core& core) {
  static const pg::Statement kTake{"store_packer_lease",
                                   "update packer_lease set holder = $1, until = now() + make_interval(secs => $2) "
                                   "where until < now() or holder = $1"};
  pg::Params params;
  params.text(core.packing.holder).float8(kLease);
  MERPATI_CO_TRY(auto rows, co_await core.pool.write(kTake, std::move(params), Deadline::after(30s)));
  co_return rows.affected() > 0;
}

/// Renews the lease of a packer that is at work. kAborted when another one has it.
class Heartbeat {
 public:
  explicit Heartbeat(Core& core) : core_(core) {}
  Task<void> beat() {
    const auto now = std::chrono::steady_clock::now();
    if (now < next_) co_return Result<void>();
    next_ = now + kRenew;
    MERPATI_CO_TRY(const bool still, co_await take_lease(core_));
    if (!still) co_return Error(ErrorCode::kAborted, "another replica packs now");
    co_return Result<void>();
  }

 private:
  Core& core_;
  SteadyTime next_{};
};

Task<std::vector<ColdBody>> find_cold(Core& core, WallTime before) {
  // octet_length does not read what is stored outside of the row.
  static const pg::Statement kCold{
      "store_cold_bodies",
      "select account_id, blob_id, stored_at, octet_length(octets) from bodies "
      "where pack is null and stored_at < $1 and refs > 0 and octet_length(octets) > 0 order by stored_at limit $2"};
  static const pg::Statement kSparse{
      "store_sparse_packs",
      "select b.account_id, b.blob_id, b.stored_at, b.pack_length, b.pack, b.pack_offset "
      "from (select id from packs where live > 0 and live * 2 < size and collecting_since is null order by id limit 8) "
      "p, lateral (select * from bodies where pack = p.id and refs > 0 offset 0) b"};
  std::vector<ColdBody> found;
  pg::Params params;
  params.timestamptz(before).integer(kWindow);
  MERPATI_CO_TRY(auto cold, co_await core.pool.query(kCold, std::move(params), Deadline::after(60s)));
  MERPATI_CO_TRY(auto sparse, co_await core.pool.query(kSparse, {}, Deadline::after(60s)));
  found.reserve(cold.size() + sparse.size());
  for (const auto* rows : {&cold, &sparse}) {
    for (const auto row : *rows) {
      ColdBody body;
      body.account = row.bigint(0);
      body.blob_id = row.bytea(1);
      body.stored_at = row.timestamptz(2);
      body.length = static_cast<std::uint64_t>(row.integer(3));
      if (rows == &sparse) body.from = PackPlace{row.uuid(4), static_cast<std::uint64_t>(row.bigint(5)), body.length};
      found.push_back(std::move(body));
    }
  }
  co_return found;
}

/// Octets of some bodies as they are stored; none for one that changed meanwhile.
Task<std::vector<std::string>> read_stored(Core& core, std::span<const ColdBody> bodies, Deadline deadline) {
  static const pg::Statement kRead{
      "store_read_cold",
      "select n.i, b.octets from unnest($1::bigint[], $2::bytea[], $3::timestamptz[]) with ordinality "
      "n (account, blob, stored, i), lateral (select octets from bodies where account_id = n.account and blob_id = "
      "n.blob and stored_at = n.stored and pack is null and refs > 0 offset 0) b"};
  std::vector<std::string> out(bodies.size());
  std::vector<std::int64_t> accounts;
  std::vector<std::string_view> blobs;
  std::vector<WallTime> stored;
  std::vector<std::size_t> inline_ones, packed_ones;
  std::vector<PackPlace> places;
  for (std::size_t i = 0; i < bodies.size(); ++i) {
    if (bodies[i].from) {
      packed_ones.push_back(i);
      places.push_back(*bodies[i].from);
      continue;
    }
    inline_ones.push_back(i);
    accounts.push_back(bodies[i].account);
    blobs.push_back(bodies[i].blob_id);
    stored.push_back(bodies[i].stored_at);
  }
  if (!inline_ones.empty()) {
    pg::Params params;
    params.bigints(accounts).byteas(blobs).timestamps(stored);
    MERPATI_CO_TRY(auto rows, co_await core.pool.query(kRead, std::move(params), deadline));
    for (const auto row : rows) out[inline_ones[static_cast<std::size_t>(row.bigint(0) - 1)]] = row.bytea(1);
  }
  auto packed = co_await read_packs(core, std::move(places), deadline);
  for (std::size_t i = 0; i < packed.size(); ++i) {
    if (packed[i].error) co_return *packed[i].error;
    out[packed_ones[i]] = std::move(packed[i].octets);
  }
  co_return out;
}

Task<std::uint64_t> upload(Core& core, const std::string& pack, std::span<const ColdBody> bodies,
                           std::vector<Placed>& placed, Heartbeat& heartbeat, Deadline deadline) {
  std::uint64_t size = 0;
  MERPATI_CO_TRY(auto writer, co_await core.objects->open_writer(pack_key(pack), deadline));
  while (!bodies.empty()) {
    std::size_t count = 0;
    for (std::uint64_t sum = 0; count < bodies.size() && sum < kStep; ++count) sum += bodies[count].length;
    const auto some = bodies.first(count);
    bodies = bodies.subspan(count);
    MERPATI_CO_CHECK(co_await heartbeat.beat());
    MERPATI_CO_TRY(auto octets, co_await read_stored(core, some, deadline));
    std::string piece;
    for (std::size_t i = 0; i < some.size(); ++i) {
      if (octets[i].size() != some[i].length) continue;
      placed.push_back({&some[i], size + piece.size()});
      piece += octets[i];
    }
    size += piece.size();
    if (!piece.empty()) MERPATI_CO_CHECK(co_await writer->write(std::move(piece), deadline));
  }
  if (size > 0) MERPATI_CO_CHECK(co_await writer->commit(deadline));
  co_return size;
}

Task<int> move(Core& core, const std::string& pack, std::uint64_t size, std::span<const Placed> placed) {
  static const pg::Statement kMove{"store_move_to_pack", "select move_to_pack($1, $2, $3, $4, $5, $6, $7, $8)"};
  std::vector<std::int64_t> accounts, offsets;
  std::vector<std::string_view> blobs;
  std::vector<WallTime> stored;
  std::vector<std::optional<std::string_view>> from;
  std::vector<std::int32_t> lengths;
  for (const auto& one : placed) {
    accounts.push_back(one.body->account);
    blobs.push_back(one.body->blob_id);
    stored.push_back(one.body->stored_at);
    from.push_back(one.body->from ? std::optional<std::string_view>(one.body->from->pack) : std::nullopt);
    offsets.push_back(static_cast<std::int64_t>(one.offset));
    lengths.push_back(static_cast<std::int32_t>(one.body->length));
  }
  pg::Params params;
  params.uuid(pack).bigint(static_cast<std::int64_t>(size)).bigints(accounts).byteas(blobs).timestamps(stored);
  params.uuids(from).bigints(offsets).integers(lengths);
  MERPATI_CO_TRY(auto rows, co_await core.pool.write(kMove, std::move(params), Deadline::after(60s)));
  const int moved = rows.front().integer(0);
  if (moved < 0) co_return Error(ErrorCode::kAborted, "the upload took so long that the collector removes it");
  co_return moved;
}

/// One pack: recorded, so that a crash leaves nothing unknown; uploaded; only then referred to. A body is readable at
/// one of both places at any instant.
Task<void> make_pack(Core& core, std::span<const ColdBody> bodies, Heartbeat& heartbeat, Packed& total) {
  static const pg::Statement kRecord{"store_record_pack", "insert into packs (id, size) values ($1, $2)"};
  const auto deadline = Deadline::after(kUpload);
  const auto pack = new_uuid();
  std::uint64_t planned = 0;
  for (const auto& body : bodies) planned += body.length;
  pg::Params params;
  params.uuid(pack).bigint(static_cast<std::int64_t>(planned));
  MERPATI_CO_CHECK(co_await core.pool.write(kRecord, std::move(params), Deadline::after(30s)));
  std::vector<Placed> placed;
  MERPATI_CO_TRY(const auto size, co_await upload(core, pack, bodies, placed, heartbeat, deadline));
  if (placed.empty()) co_return Result<void>();  // all of them changed; the collector removes the record
  MERPATI_CO_FAIL_POINT("pack_after_put");
  std::int64_t moved = 0;
  for (std::size_t at = 0; at < placed.size(); at += kMoved) {
    const auto some = std::span<const Placed>(placed).subspan(at, std::min(kMoved, placed.size() - at));
    MERPATI_CO_CHECK(co_await heartbeat.beat());
    MERPATI_CO_TRY(const int count, co_await move(core, pack, size, some));
    moved += count;
    core.packing.bodies.add(count);
    MERPATI_CO_FAIL_POINT("pack_after_commit");
  }
  core.packing.packs.add();
  core.packing.octets.add(static_cast<double>(size));
  ++total.packs;
  total.bodies += moved;
  total.octets += size;
  log::info("store_packed", "moved cold bodies into a pack",
            {{"pack", pack}, {"bodies", moved}, {"octets", static_cast<std::int64_t>(size)}});
  co_return Result<void>();
}

}  // namespace

std::vector<std::span<const ColdBody>> cut_into_packs(std::vector<ColdBody>& bodies, std::uint64_t size,
                                                      WallTime patience) {
  std::sort(bodies.begin(), bodies.end(), [](const ColdBody& a, const ColdBody& b) {
    return std::tie(a.account, a.stored_at, a.blob_id) < std::tie(b.account, b.stored_at, b.blob_id);
  });
  std::vector<std::span<const ColdBody>> packs;
  std::size_t first = 0;
  std::uint64_t sum = 0;
  bool pressing = false;
  for (std::size_t i = 0; i < bodies.size(); ++i) {
    if (i > first && sum + bodies[i].length > size) {
      packs.emplace_back(bodies.data() + first, i - first);
      first = i;
      sum = 0;
      pressing = false;
    }
    sum += bodies[i].length;
    pressing = pressing || bodies[i].from || bodies[i].stored_at < patience;
  }
  if (first < bodies.size() && (pressing || sum >= size))
    packs.emplace_back(bodies.data() + first, bodies.size() - first);
  return packs;
}

Task<Packed> pack_once(Core& core, WallTime now) {
  Packed total;
  if (!core.objects) co_return total;
  MERPATI_CO_TRY(const bool first, co_await take_lease(core));
  if (!first) co_return total;
  const auto after = core.settings.pack_after;
  MERPATI_CO_TRY(auto bodies, co_await find_cold(core, now - after));
  const auto patience = now - after - std::min<std::chrono::seconds>(after, kPatience);
  Heartbeat heartbeat(core);
  for (const auto part : cut_into_packs(bodies, core.settings.pack_size, patience)) {
    MERPATI_CO_CHECK(co_await heartbeat.beat());
    MERPATI_CO_CHECK(co_await make_pack(core, part, heartbeat, total));
  }
  co_return total;
}

asio::awaitable<void> pack_for_ever(Core& core) {
  const auto after = core.settings.pack_after;
  if (!core.objects || after <= 0s || core.settings.pack_size == 0) co_return;
  for (;;) {
    auto slept = co_await sleep_for(std::clamp<std::chrono::seconds>(after, 1s, 60s));
    if (slept.has_error()) co_return;
    auto done = co_await pack_once(core, Clock::system().wall());
    if (!done.has_error()) continue;
    if (done.error().code() == ErrorCode::kCancelled) co_return;
    core.packing.failures.add();
    log::info("store_packing_failed", "the next round tries again", {{"why", done.error().describe()}});
  }
}

}  // namespace merpati::store
