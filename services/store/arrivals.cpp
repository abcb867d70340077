#include "store/arrivals.hpp"

#include <cstring>
#include <map>

#include "merpati/base/encoding.hpp"
#include "merpati/base/fail_point.hpp"
#include "merpati/base/gather.hpp"
#include "merpati/runtime/log.hpp"
#include "merpati/runtime/span.hpp"
#include "store/probe.hpp"
#include "store/watchers.hpp"

namespace merpati::store {
namespace {

using namespace std::chrono_literals;
using Group = Gatherer<std::vector<Arrival>, std::vector<ArrivalResult>>;

const pg::Statement kStore{"store_arrivals",
                           "select ordinal, status, mailbox_id, uid, email_id, uid_validity, modseq from "
                           "store_arrivals($1, $2, $3, $4, $5, $6, $7, $8, "
                           "$9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25)"};

constexpr Group::Limits kBatches{100, 4 * 1024 * 1024, 4096, 2, true};
constexpr auto kDoubtWait = 20s;

std::int64_t fresh_id() {
  const auto bytes = random_bytes(8);
  std::int64_t id = 0;
  std::memcpy(&id, bytes.data(), 8);
  return id;
}

/// The columns of a batch. Strings are views into the arrivals, which outlive it.
struct Columns {
  std::vector<std::int64_t> account, email, thread, quota_bytes, quota_messages, quota_need;
  std::vector<std::string_view> delivery, mailbox, keywords, prefix;
  std::vector<std::int32_t> part, flags, zone, body, together;
  std::vector<bool> junk, strict;
  std::vector<WallTime> received;
  std::vector<const StoredBody*> bodies;
  std::map<const StoredBody*, std::int32_t> index;

  /// `call`: a number that the arrivals of one call share, from 1.
  void add(const Arrival& a, std::int32_t call) {
    together.push_back(a.together ? call : 0);
    account.push_back(a.account);
    delivery.push_back(a.delivery);
    part.push_back(a.part);
    mailbox.push_back(a.mailbox);
    junk.push_back(a.junk);
    strict.push_back(a.strict);
    flags.push_back(a.flags);
    keywords.push_back(a.keywords);
    received.push_back(a.received);
    zone.push_back(a.zone_minutes);
    prefix.push_back(a.header_prefix);
    email.push_back(fresh_id());
    thread.push_back(a.body->thread != 0 ? a.body->thread : email.back());
    quota_bytes.push_back(a.quota_bytes);
    quota_messages.push_back(a.quota_messages);
    quota_need.push_back(a.quota_need);
    auto [at, fresh] = index.emplace(a.body.get(), static_cast<std::int32_t>(bodies.size() + 1));
    if (fresh) bodies.push_back(a.body.get());
    body.push_back(at->second);
  }

  pg::Params params() const {
    std::vector<std::string_view> blob, envelope, structure, detail;
    std::vector<std::int64_t> size;
    std::vector<std::int32_t> codec;
    std::vector<std::optional<std::string_view>> octets;
    for (const auto* b : bodies) {
      blob.push_back(b->blob_id);
      size.push_back(static_cast<std::int64_t>(b->size));
      codec.push_back(static_cast<std::int32_t>(b->codec));
      if (b->is_object)
        octets.emplace_back();
      else
        octets.emplace_back(b->octets);
      envelope.push_back(b->envelope);
      structure.push_back(b->structure);
      detail.push_back(b->detail);
    }
    pg::Params p;
    p.bigints(account).uuids(delivery).integers(part).texts(mailbox).booleans(junk).booleans(strict).integers(flags);
    p.texts(keywords).timestamps(received).integers(zone).byteas(prefix).bigints(email).bigints(thread).bigints(
        quota_bytes);
    p.bigints(quota_messages).bigints(quota_need).integers(body).integers(together);
    p.byteas(blob).bigints(size).integers(codec).byteas(octets).byteas(envelope).byteas(structure).byteas(detail);
    return p;
  }
};

/// One for each trace in the batch: they share the commit, and its time.
std::vector<runtime::Span> commit_spans(const Group::Batch& batch) {
  std::vector<runtime::Span> spans;
  if (!runtime::spans_recorded()) return spans;
  const std::string* last = nullptr;
  for (const auto& item : batch) {
    for (const auto& arrival : item->work) {
      if (last != nullptr && *last == arrival.trace) continue;
      last = &arrival.trace;
      runtime::Span span("store commit", runtime::SpanKind::kClient, arrival.trace);
      if (!span.active()) continue;
      span.attribute("db.system", "postgresql");
      span.attribute("merpati.batch_calls", static_cast<std::int64_t>(batch.size()));
      spans.push_back(std::move(span));
    }
  }
  return spans;
}

}  // namespace

struct Arrivals::Impl {
  explicit Impl(Core& c)
      : core(c), gatherer(core.group, kBatches, [this](Group::Batch& batch) { return commit_all(batch); }) {}

  asio::awaitable<void> commit_all(Group::Batch& batch) {
    const auto commit = [this](Group::Batch& part) { return commit_one(part); };
    co_await commit_bisecting(batch, commit);
  }

  Task<void> commit_one(Group::Batch& batch) {
    Columns columns;
    Deadline deadline = Deadline::after(0s);
    std::int32_t call = 0;
    for (const auto& item : batch) {
      ++call;
      for (const auto& arrival : item->work) columns.add(arrival, call);
      if (item->deadline.at() > deadline.at()) deadline = item->deadline;
    }
    auto spans = commit_spans(batch);
    const auto doubt_until = Deadline::after(kDoubtWait);
    bool doubt = false;
    Result<pg::Rows> rows = Error();
    for (auto pause = 50ms;; pause = std::min(pause * 2, std::chrono::milliseconds(500ms))) {
      rows = co_await core.pool.write(kStore, columns.params(), Deadline::after(60s));
      if (!rows.has_error()) break;
      // Whether the lost commit took effect is only known by asking again, under the same delivery ids. Answering 4xx
      // instead could double the mail.
      doubt = doubt || pg::outcome_unknown(rows.error());
      if (!doubt || rows.error().code() != ErrorCode::kUnavailable || doubt_until.passed()) co_return rows.error();
      // Only those in doubt wait for PostgreSQL; the others have a clear answer.
      if (!pg::outcome_unknown(rows.error())) gatherer.refuse_waiting(rows.error());
      MERPATI_CO_CHECK(co_await sleep_for(pause));
      const auto state = co_await asio::this_coro::cancellation_state;
      if (state.cancelled() != asio::cancellation_type::none) co_return rows.error();  // the process ends
    }
    spans.clear();
    probe.committed(columns.account.size());
    std::size_t at = 0;
    for (auto& item : batch) {
      std::vector<ArrivalResult> results;
      results.reserve(item->work.size());
      for (std::size_t i = 0; i < item->work.size(); ++i, ++at) {
        if (at >= rows->size()) co_return Error(ErrorCode::kInternal, "a result is missing");
        const auto row = (*rows)[at];
        ArrivalResult result;
        result.status = static_cast<ArrivalResult::Status>(row.integer(1));
        result.mailbox = row.bigint(2);
        result.uid = static_cast<std::uint32_t>(row.bigint(3));
        result.email = row.bigint(4);
        result.uid_validity = static_cast<std::uint32_t>(row.bigint(5));
        result.modseq = static_cast<std::uint64_t>(row.bigint(6));
        if (result.status == ArrivalResult::Status::kStored)
          core.watchers->changed(item->work[i].account, result.mailbox, result.modseq);
        results.push_back(result);
      }
      item->answer = std::move(results);
    }
    co_return Result<void>();
  }

  Core& core;
  Group gatherer;
  Probe probe;
};

Arrivals::Arrivals(Core& core) : impl_(std::make_unique<Impl>(core)) {}
Arrivals::~Arrivals() = default;
Probe& Arrivals::probe() { return impl_->probe; }

Task<std::vector<ArrivalResult>> Arrivals::store(std::vector<Arrival> arrivals, Deadline deadline) {
  if (arrivals.empty()) co_return std::vector<ArrivalResult>();
  // Not behind a batch that is in doubt.
  if (!impl_->core.pool.available()) co_return Error(ErrorCode::kUnavailable, "PostgreSQL cannot be reached");
  std::vector<std::int64_t> accounts;
  std::size_t weight = 0;
  const StoredBody* last = nullptr;
  for (const auto& arrival : arrivals) {
    accounts.push_back(arrival.account);
    weight += arrival.header_prefix.size() + 200;
    if (arrival.body.get() != last)
      weight += arrival.body->octets.size() + arrival.body->detail.size() + arrival.body->envelope.size();
    last = arrival.body.get();
  }
  MERPATI_CO_CHECK(co_await impl_->core.ensure_accounts(std::move(accounts), deadline));
  MERPATI_CO_FAIL_POINT("store_before_commit");
  MERPATI_CO_TRY(auto results, co_await impl_->gatherer.call(std::move(arrivals), weight, deadline));
  MERPATI_CO_FAIL_POINT("store_after_commit");
  co_return results;
}

}  // namespace merpati::store
