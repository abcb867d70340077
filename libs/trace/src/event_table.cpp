#include "merpati/trace/event_table.hpp"

#include <algorithm>
#include <map>

#include "merpati/base/encoding.hpp"

namespace merpati::trace {
namespace {

constexpr int kMostFound = 1000;
constexpr std::size_t kMostFoundBytes = 1 << 20;  // well within one message

// A clock that is wrong finds a partition nevertheless: those of yesterday to the day after tomorrow are there.
const pg::Statement kWrite{
    "trace_write",
    "insert into trace_events (trace_id, at, key, event) "
    "select e.id, least(greatest(e.at, now() - interval '1 day'), now() + interval '1 day'), e.key, e.event "
    "from unnest($1::uuid[], $2::timestamptz[], $3::bigint[], $4::bytea[]) e(id, at, key, event)"};
const pg::Statement kFindByTrace{"trace_find_by_trace",
                                 "select event from trace_events where trace_id = any ($1) order by at limit $2"};
const pg::Statement kFindByKey{"trace_find_by_key",
                               "select event from trace_events where key = $1 order by at limit $2"};
const pg::Statement kNames{"trace_mailbox_names",
                           "select m.account_id, m.id, m.name from unnest($1::bigint[], $2::bigint[]) e(account, id) "
                           "join mailboxes m on m.account_id = e.account and m.id = e.id"};
const pg::Statement kCare{"trace_care", "select care_for_trace_events($1)"};

/// FNV-1a. It stands in the table: never change it.
std::int64_t hash(char kind, std::string_view text) {
  std::uint64_t h = (14695981039346656037ULL ^ static_cast<unsigned char>(kind)) * 1099511628211ULL;
  for (const char c : text) h = (h ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  return static_cast<std::int64_t>(h);
}
std::int64_t key_of_message_id(std::string_view id) { return hash('m', id); }
std::int64_t key_of_item(std::int64_t id) { return hash('i', std::to_string(id)); }

/// By what else than its trace the event is found.
std::optional<std::int64_t> key_of(const v1::Event& event) {
  if (!event.message_id().empty()) return key_of_message_id(event.message_id());
  if (event.item_id() != 0) return key_of_item(event.item_id());
  return std::nullopt;
}

/// What was asked for, and not something else with the same key.
bool answers(const v1::FindEventsRequest& request, const v1::Event& event) {
  if (!request.trace_ids().empty()) return true;
  if (!request.message_id().empty()) return event.message_id() == request.message_id();
  return event.item_id() == request.item_id();
}

Result<std::string> raw_trace_id(std::string_view hex) {
  auto raw = from_hex(hex);
  if (!raw || raw->size() != 16) return Error(ErrorCode::kInvalidArgument, "a trace id has 32 hex digits");
  return *std::move(raw);
}

Result<v1::Event> event_of(const pg::Row& row) {
  v1::Event event;
  const auto bytes = row.bytea(0);
  if (!event.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
    return Error(ErrorCode::kDataLoss, "a row of trace_events is no event");
  return event;
}

}  // namespace

Task<void> EventTable::write(const std::vector<v1::Event>& events, Deadline deadline) {
  std::vector<std::string> traces, bodies;
  std::vector<WallTime> times;
  std::vector<std::optional<std::int64_t>> keys;
  for (const auto& event : events) {
    auto raw = raw_trace_id(event.trace_id());
    if (raw.has_error()) continue;
    traces.push_back(*std::move(raw));
    times.push_back(pg::from_microseconds(event.at_us()));
    keys.push_back(key_of(event));
    bodies.push_back(event.SerializeAsString());
  }
  if (traces.empty()) co_return Result<void>();
  pg::Params params;
  params.uuids(traces).timestamps(times).bigints(keys).byteas(bodies);
  MERPATI_CO_CHECK(co_await pool_.write(kWrite, std::move(params), deadline));
  co_return Result<void>();
}

Task<v1::FindEventsResponse> EventTable::find(const v1::FindEventsRequest& request, Deadline deadline) {
  const int limit = request.limit() > 0 ? std::min(request.limit(), kMostFound) : kMostFound;
  pg::Params params;
  const pg::Statement* statement = &kFindByKey;
  std::vector<std::string> ids;
  for (const auto& id : request.trace_ids()) {
    MERPATI_CO_TRY(ids.emplace_back(), raw_trace_id(id));
  }
  if (!ids.empty()) {
    statement = &kFindByTrace;
    params.uuids(ids);
  } else if (!request.message_id().empty()) {
    params.bigint(key_of_message_id(request.message_id()));
  } else if (request.item_id() != 0) {
    params.bigint(key_of_item(request.item_id()));
  } else {
    co_return Error(ErrorCode::kInvalidArgument, "no id to look for");
  }
  params.integer(limit + 1);
  MERPATI_CO_TRY(const auto rows, co_await pool_.query(*statement, std::move(params), deadline));
  v1::FindEventsResponse out;
  std::size_t bytes = 0;
  for (const auto row : rows) {
    MERPATI_CO_TRY(auto event, event_of(row));
    if (!answers(request, event)) continue;
    bytes += event.ByteSizeLong();
    if (out.events_size() == limit || bytes > kMostFoundBytes) {
      out.set_truncated(true);
      break;
    }
    *out.add_events() = std::move(event);
  }
  if (mailboxes_ == Mailboxes::kNamed) MERPATI_CO_CHECK(co_await name_mailboxes(out, deadline));
  co_return out;
}

/// As they are called now; what is gone has no name.
Task<void> EventTable::name_mailboxes(v1::FindEventsResponse& found, Deadline deadline) {
  std::vector<std::int64_t> accounts, ids;
  for (const auto& event : found.events()) {
    if (event.mailbox_id() == 0) continue;
    accounts.push_back(event.account_id());
    ids.push_back(event.mailbox_id());
  }
  if (ids.empty()) co_return Result<void>();
  pg::Params params;
  params.bigints(accounts).bigints(ids);
  MERPATI_CO_TRY(const auto rows, co_await pool_.query(kNames, std::move(params), deadline));
  std::map<std::pair<std::int64_t, std::int64_t>, std::string> names;
  for (const auto row : rows) names[{row.bigint(0), row.bigint(1)}] = std::string(row.text(2));
  for (auto& event : *found.mutable_events()) {
    const auto name = names.find({event.account_id(), event.mailbox_id()});
    if (name != names.end()) event.set_mailbox(name->second);
  }
  co_return Result<void>();
}

Task<int> EventTable::care(int days, Deadline deadline) {
  pg::Params params;
  params.integer(days);
  MERPATI_CO_TRY(const auto rows, co_await pool_.write(kCare, std::move(params), deadline));
  co_return rows.front().integer(0);
}

}  // namespace merpati::trace
