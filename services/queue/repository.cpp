#include "queue/repository.hpp"

#include <array>

namespace merpati::queue {
namespace {

double seconds(std::chrono::nanoseconds time) { return std::chrono::duration<double>(time).count(); }

template <class Get>
auto collect(std::span<const NewRecipient> recipients, Get get) {
  std::vector<std::string_view> out;
  out.reserve(recipients.size());
  for (const NewRecipient& r : recipients) out.push_back(get(r));
  return out;
}

constexpr std::size_t kMostTogether = 32;
constexpr int kEnqueueParams = 23;

/// For so many messages at once.
const pg::Statement& enqueue_statement(std::size_t messages) {
  static const auto kAll = [] {
    std::array<pg::Statement, kMostTogether> all;
    std::string calls;
    for (std::size_t n = 0; n < kMostTogether; ++n) {
      if (n > 0) calls += " union all ";
      calls += "select " + std::to_string(n) + " as n, e.item_id, e.duplicate from enqueue_scripted(";
      for (int p = 0; p < kEnqueueParams; ++p)
        calls += (p > 0 ? ", $" : "$") + std::to_string(static_cast<int>(n) * kEnqueueParams + p + 1);
      calls += ") e";
      all[n] = {"queue_enqueue_" + std::to_string(n + 1),
                "select item_id, duplicate from (" + calls + ") x order by n, item_id"};
    }
    return all;
  }();
  return kAll[messages - 1];
}
const pg::Statement kRelease{"queue_release", "select release($1)"};
const pg::Statement kDropHeld{"queue_drop_held", "select drop_held($1)"};
const pg::Statement kHeld{
    "queue_held",
    "select coalesce(m.decided_by, m.delivery_id), max(m.deciding_account_id), max(m.cell) from messages m "
    "where m.delivery_id in (select i.delivery_id from items i where i.state = 1) and m.enqueued_at < "
    "now() - make_interval(secs => $1) group by 1 order by min(m.enqueued_at) limit 1000"};
const pg::Statement kLease{
    "queue_lease",
    "select id, lease_number, uuid, recipient, domain, notify, original_recipient, attempts, expires_at, returned, "
    "last_error, delivery_id, reverse_path, header_prefix, has_octets, blob_id, size, sender_account_id, trace_id, "
    "body_type, smtputf8, received_at, envelope_id, headers_only, cell, scripted from "
    "lease_with_scripted($1, $2, $3)"};
const pg::Statement kNextDue{"queue_next_due",
                             "select extract(epoch from min(due_at) - now())::float8 from items "
                             "where state = 2 and domain <> all ($1)"};
const pg::Statement kHeartbeat{"queue_heartbeat",
                               "update items i set leased_until = now() + make_interval(secs => $3) from "
                               "unnest($1::bigint[], $2::bigint[]) t (id, lease) "
                               "where i.id = t.id and i.state = 3 and i.lease_number = t.lease returning i.id"};
const pg::Statement kFinish{"queue_finish",
                            "select finish_items($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"};
const pg::Statement kOctets{"queue_octets", "select octets from messages where delivery_id = $1"};
const std::string kItemColumns =
    "select i.id, i.delivery_id, m.reverse_path, i.recipient, i.state, i.attempts, extract(epoch from "
    "i.due_at)::bigint, "
    "extract(epoch from i.expires_at)::bigint, extract(epoch from m.enqueued_at)::bigint, i.last_error, i.last_host, "
    "m.size, "
    "m.trace_id from items i join messages m on m.delivery_id = i.delivery_id ";
const pg::Statement kList{
    "queue_list", kItemColumns +
                      "where i.id > $2 and ($3 = 0 and i.state in (1, 2, 3) or i.state = $3) "
                      "and ($4 = '' or i.domain = $4) and ($5 = '' or m.reverse_path = $5) order by i.id limit $1"};
const pg::Statement kGet{"queue_get", kItemColumns + "where i.id = $1"};
const pg::Statement kRetryIds{"queue_retry_ids", "update items set due_at = now() where state = 2 and id = any ($1)"};
const pg::Statement kRetryDomain{"queue_retry_domain",
                                 "update items set due_at = now() where state = 2 and ($1 = '' or domain = $1)"};
const pg::Statement kDrop{"queue_drop", "select drop_items($1)"};
const pg::Statement kReturn{
    "queue_return",
    "update items set returned = true, state = 2, due_at = now(), lease_number = lease_number + 1, leased_until = null "
    "where id = any ($1) and state in (2, 3)"};
const pg::Statement kForget{"queue_forget",
                            "delete from messages where finished_at < now() - make_interval(secs => $1)"};
const pg::Statement kCounts{
    "queue_counts",
    "select count(*) filter (where state = 1), count(*) filter (where state = 2), count(*) filter (where state = 3), "
    "coalesce(extract(epoch from now() - min(due_at) filter (where state = 2 and due_at <= now())), 0)::float8 "
    "from items where state in (1, 2, 3)"};

ItemView view_of(const pg::Row& row) {
  ItemView out;
  out.id = row.bigint(0);
  out.delivery_id = row.uuid(1);
  out.reverse_path = row.text(2);
  out.recipient = row.text(3);
  out.state = static_cast<ItemState>(row.integer(4));
  out.attempts = row.integer(5);
  out.next_attempt_at = row.bigint(6);
  out.expires_at = row.bigint(7);
  out.enqueued_at = row.bigint(8);
  out.last_error = row.text(9);
  out.last_host = row.text(10);
  out.size = static_cast<std::uint64_t>(row.bigint(11));
  out.trace_id = row.text(12);
  return out;
}

std::shared_ptr<const Message> message_of(const pg::Row& row) {
  auto out = std::make_shared<Message>();
  out->delivery_id = row.uuid(11);
  out->reverse_path = row.text(12);
  out->header_prefix = row.bytea(13);
  out->has_octets = row.boolean(14);
  out->blob_id = row.bytea_or(15, "");
  out->size = static_cast<std::uint64_t>(row.bigint(16));
  out->sender_account_id = row.bigint(17);
  out->trace_id = row.text(18);
  out->body_type = static_cast<BodyType>(row.integer(19));
  out->smtputf8 = row.boolean(20);
  out->received_at = row.timestamptz(21);
  out->envelope_id = row.text(22);
  out->headers_only = row.boolean(23);
  out->cell = row.text(24);
  out->scripted = row.boolean(25);
  return out;
}
}  // namespace

Repository::Repository(pg::Pool& pool, std::chrono::nanoseconds give_up, std::chrono::nanoseconds lease)
    : pool_(pool), give_up_seconds_(seconds(give_up)), lease_seconds_(seconds(lease)) {}

Task<Enqueued> Repository::enqueue(std::span<const NewMessage> messages, bool held, Deadline deadline,
                                   std::optional<std::string> decided_by) {
  if (messages.empty() || messages.size() > kMostTogether)
    co_return Error(ErrorCode::kInvalidArgument, "1 to 32 messages");
  pg::Params params;
  for (const NewMessage& one : messages) {
    const Message& message = one.message;
    params.boolean(message.scripted);
    if (decided_by)
      params.uuid(*decided_by);
    else if (&one == &messages.front())
      params.uuid(std::nullopt);
    else
      params.uuid(messages.front().message.delivery_id);
    params.uuid(message.delivery_id).text(message.reverse_path).bytea(message.header_prefix);
    if (one.octets)
      params.bytea(*one.octets).bytea(std::nullopt);
    else
      params.bytea(std::nullopt).bytea(message.blob_id);
    params.bigint(static_cast<std::int64_t>(message.size))
        .bigint(message.sender_account_id)
        .bigint(message.deciding_account_id)
        .text(message.trace_id)
        .integer(static_cast<int>(message.body_type))
        .boolean(message.smtputf8)
        .timestamptz(message.received_at)
        .text(message.envelope_id)
        .boolean(message.headers_only)
        .text(message.cell)
        .boolean(held)
        .float8(give_up_seconds_)
        .texts(collect(one.recipients, [](const NewRecipient& r) { return std::string_view(r.address); }))
        .texts(collect(one.recipients, [](const NewRecipient& r) { return std::string_view(r.domain); }))
        .texts(collect(one.recipients, [](const NewRecipient& r) { return std::string_view(r.notify); }))
        .texts(collect(one.recipients, [](const NewRecipient& r) { return std::string_view(r.original_recipient); }));
  }
  const pg::Statement& statement = enqueue_statement(messages.size());
  MERPATI_CO_TRY(const pg::Rows rows, co_await pool_.write(statement, std::move(params), deadline));
  Enqueued out;
  for (const pg::Row row : rows) {
    out.item_ids.push_back(row.bigint(0));
    out.duplicate = row.boolean(1);
  }
  co_return out;
}

Task<std::int64_t> Repository::release(std::string delivery_id, Deadline deadline) {
  pg::Params params;
  params.uuid(delivery_id);
  MERPATI_CO_TRY(const pg::Rows rows, co_await pool_.write(kRelease, std::move(params), deadline));
  co_return rows.front().bigint(0);
}

Task<bool> Repository::was_taken_back(std::string delivery_id, Deadline deadline) {
  static const pg::Statement kTakenBack{
      "queue_taken_back",
      "select exists (select 1 from items where delivery_id = $1 and state = 5 and last_error = 'taken back')"};
  pg::Params params;
  params.uuid(delivery_id);
  MERPATI_CO_TRY(const pg::Rows rows, co_await pool_.write(kTakenBack, std::move(params), deadline));
  co_return rows.front().boolean(0);
}

Task<std::int64_t> Repository::drop_held(std::string delivery_id, Deadline deadline) {
  pg::Params params;
  params.uuid(delivery_id);
  MERPATI_CO_TRY(const pg::Rows rows, co_await pool_.write(kDropHeld, std::move(params), deadline));
  co_return rows.front().bigint(0);
}

Task<std::vector<HeldDelivery>> Repository::held_longer_than(std::chrono::nanoseconds age, Deadline deadline) {
  pg::Params params;
  params.float8(seconds(age));
  MERPATI_CO_TRY(const pg::Rows rows, co_await pool_.query(kHeld, std::move(params), deadline));
  std::vector<HeldDelivery> out;
  for (const pg::Row row : rows) out.push_back({row.uuid(0), row.bigint(1), std::string(row.text(2))});
  co_return out;
}

Task<std::vector<Job>> Repository::lease(int limit, std::vector<std::string> busy, Deadline deadline) {
  pg::Params params;
  params.integer(limit).float8(lease_seconds_).texts(busy);
  MERPATI_CO_TRY(const pg::Rows rows, co_await pool_.write(kLease, std::move(params), deadline));
  std::vector<Job> jobs;
  for (const pg::Row row : rows) {
    LeasedItem item;
    item.id = row.bigint(0);
    item.lease_number = row.bigint(1);
    item.uuid = row.uuid(2);
    item.recipient = row.text(3);
    item.domain = row.text(4);
    item.notify = row.text(5);
    item.original_recipient = row.text(6);
    item.attempts = row.integer(7);
    item.expires_at = row.timestamptz(8);
    item.returned = row.boolean(9);
    item.last_error = row.text(10);
    const std::string delivery_id = row.uuid(11);
    // Rows come ordered by domain and message.
    if (jobs.empty() || jobs.back().message->delivery_id != delivery_id ||
        jobs.back().items.back().domain != item.domain) {
      const bool same = !jobs.empty() && jobs.back().message->delivery_id == delivery_id;
      auto message = same ? jobs.back().message : message_of(row);
      jobs.emplace_back().message = std::move(message);
    }
    item.message = jobs.back().message;
    jobs.back().items.push_back(std::move(item));
  }
  co_return jobs;
}

Task<std::optional<std::chrono::milliseconds>> Repository::next_due(std::vector<std::string> busy, Deadline deadline) {
  pg::Params params;
  params.texts(busy);
  MERPATI_CO_TRY(const pg::Rows rows, co_await pool_.query(kNextDue, std::move(params), deadline));
  std::optional<std::chrono::milliseconds> out;
  if (!rows.front().is_null(0))
    out = std::chrono::milliseconds(static_cast<std::int64_t>(rows.front().float8(0) * 1000) + 1);
  co_return out;
}

Task<std::vector<std::int64_t>> Repository::heartbeat(std::vector<std::int64_t> ids,
                                                      std::vector<std::int64_t> lease_numbers, Deadline deadline) {
  pg::Params params;
  params.bigints(ids).bigints(lease_numbers).float8(lease_seconds_);
  MERPATI_CO_TRY(const pg::Rows rows, co_await pool_.write(kHeartbeat, std::move(params), deadline));
  std::vector<std::int64_t> out;
  for (const pg::Row row : rows) out.push_back(row.bigint(0));
  co_return out;
}

Task<std::size_t> Repository::finish(std::vector<Finish> items, std::optional<Bounce> bounce, Deadline deadline) {
  std::vector<std::int64_t> ids, leases, waits;
  std::vector<std::int32_t> states;
  std::vector<std::string_view> errors, hosts;
  for (const Finish& item : items) {
    ids.push_back(item.id);
    leases.push_back(item.lease_number);
    states.push_back(static_cast<int>(item.state));
    waits.push_back(item.wait.count());
    errors.push_back(item.error);
    hosts.push_back(item.host);
  }
  pg::Params params;
  params.bigints(ids).bigints(leases).integers(states).bigints(waits).texts(errors).texts(hosts);
  if (bounce) {
    params.uuid(bounce->delivery_id)
        .text(bounce->to)
        .text(bounce->domain)
        .bytea(bounce->octets)
        .boolean(bounce->smtputf8);
    params.text(bounce->trace_id);
  } else {
    params.uuid(std::nullopt)
        .text(std::nullopt)
        .text(std::nullopt)
        .bytea(std::nullopt)
        .boolean(false)
        .text(std::nullopt);
  }
  params.float8(give_up_seconds_);
  MERPATI_CO_TRY(const pg::Rows rows, co_await pool_.write(kFinish, std::move(params), deadline));
  co_return rows.size();
}

Task<std::string> Repository::octets(std::string delivery_id, Deadline deadline) {
  pg::Params params;
  params.uuid(delivery_id);
  MERPATI_CO_TRY(const pg::Rows rows, co_await pool_.query(kOctets, std::move(params), deadline));
  if (rows.empty() || rows.front().is_null(0)) co_return Error(ErrorCode::kNotFound, "the message's octets are gone");
  co_return std::string(rows.front().bytea(0));
}

Task<std::vector<ItemView>> Repository::list(ItemFilter filter, Deadline deadline) {
  pg::Params params;
  params.integer(filter.limit).bigint(filter.after_id).integer(filter.state).text(filter.domain).text(filter.sender);
  MERPATI_CO_TRY(const pg::Rows rows, co_await pool_.query(kList, std::move(params), deadline));
  std::vector<ItemView> out;
  for (const pg::Row row : rows) out.push_back(view_of(row));
  co_return out;
}

Task<std::optional<ItemView>> Repository::get(std::int64_t id, Deadline deadline) {
  pg::Params params;
  params.bigint(id);
  MERPATI_CO_TRY(const pg::Rows rows, co_await pool_.query(kGet, std::move(params), deadline));
  std::optional<ItemView> out;
  if (!rows.empty()) out = view_of(rows.front());
  co_return out;
}

Task<std::int64_t> Repository::retry(std::vector<std::int64_t> ids, std::string domain, Deadline deadline) {
  pg::Params params;
  const bool by_id = !ids.empty();
  if (by_id)
    params.bigints(ids);
  else
    params.text(domain);
  MERPATI_CO_TRY(const pg::Rows rows,
                 co_await pool_.write(by_id ? kRetryIds : kRetryDomain, std::move(params), deadline));
  co_return rows.affected();
}

Task<std::int64_t> Repository::drop(std::vector<std::int64_t> ids, bool bounce, Deadline deadline) {
  pg::Params params;
  params.bigints(ids);
  MERPATI_CO_TRY(const pg::Rows rows, co_await pool_.write(bounce ? kReturn : kDrop, std::move(params), deadline));
  co_return bounce ? rows.affected() : rows.front().bigint(0);
}

Task<std::int64_t> Repository::forget_finished(std::chrono::nanoseconds age, Deadline deadline) {
  pg::Params params;
  params.float8(seconds(age));
  MERPATI_CO_TRY(const pg::Rows rows, co_await pool_.write(kForget, std::move(params), deadline));
  co_return rows.affected();
}

Task<Counts> Repository::counts(Deadline deadline) {
  MERPATI_CO_TRY(const pg::Rows rows, co_await pool_.query(kCounts, {}, deadline));
  const pg::Row row = rows.front();
  co_return Counts{row.bigint(0), row.bigint(1), row.bigint(2), row.float8(3)};
}

Task<void> Repository::notify_due(Deadline deadline) {
  static const pg::Statement kNotify{"queue_notify", "select pg_notify('queue_due', '')::text"};
  MERPATI_CO_CHECK(co_await pool_.write(kNotify, {}, deadline));
  co_return Result<void>();
}

}  // namespace merpati::queue
