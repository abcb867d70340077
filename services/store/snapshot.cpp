// OpenMailbox and GetChanges: a mailbox as it is at one MODSEQ, and what has changed since another.
#include "store/flags.hpp"
#include "store/operations.hpp"

namespace merpati::store {
namespace {

void add_range(google::protobuf::RepeatedPtrField<v1::UidRange>& ranges, std::int64_t first, std::int64_t last) {
  auto* range = ranges.Add();
  range->set_first(static_cast<std::uint32_t>(first));
  range->set_last(static_cast<std::uint32_t>(last));
}

/// Sorted and joined: one uid set out of the tombstones of several MODSEQs.
void normalise(google::protobuf::RepeatedPtrField<v1::UidRange>& ranges) {
  std::sort(ranges.begin(), ranges.end(), [](const auto& a, const auto& b) { return a.first() < b.first(); });
  int kept = 0;
  for (int i = 1; i < ranges.size(); ++i) {
    if (ranges[i].first() <= ranges[kept].last() + 1)
      ranges[kept].set_last(std::max(ranges[kept].last(), ranges[i].last()));
    else if (++kept != i)
      ranges.SwapElements(kept, i);
  }
  if (!ranges.empty()) ranges.DeleteSubrange(kept + 1, ranges.size() - kept - 1);
}

/// The uid from which on messages were recent to nobody so far; those below `next` are the caller's from now on.
Task<std::int64_t> take_recent(Core& core, const Caller& caller, const v1::GetChangesRequest& request,
                               std::int64_t next) {
  static const pg::Statement kTake{"store_take_recent", "select take_recent($1, $2, $3)"};
  pg::Params params;
  params.bigint(request.account_id()).bigint(request.mailbox_id()).bigint(next);
  MERPATI_CO_TRY(auto rows, co_await core.pool.write(kTake, std::move(params), caller.deadline));
  if (rows.empty() || rows.front().is_null(0)) co_return Error(ErrorCode::kNotFound, "no such mailbox");
  co_return rows.front().bigint(0);
}

}  // namespace

Task<v1::OpenMailboxResponse> open_mailbox(Core& core, const Caller& caller, const v1::OpenMailboxRequest& request) {
  static const pg::Statement kOpen{"store_open",
                                   "select id, uid_validity, uid_next, highest_modseq, first_recent_uid, messages, "
                                   "unseen, deleted, bytes, deleted_bytes, special_use, "
                                   "subscribed, keywords, first_unseen, firsts, lasts from open_mailbox($1, $2, $3)"};
  MERPATI_CO_TRY(auto name, normal_name(request.name()));
  const auto account = request.account_id();
  MERPATI_CO_CHECK(co_await core.ensure_account(account, caller.deadline));
  pg::Params params;
  params.bigint(account).text(name).boolean(request.take_recent());
  const auto lane = request.take_recent() ? pg::Lane::kWrite : pg::Lane::kRead;
  MERPATI_CO_TRY(auto rows, co_await core.pool.query(kOpen, std::move(params), caller.deadline, lane));
  if (rows.empty()) co_return Error(ErrorCode::kNotFound, "no such mailbox");
  const auto row = rows.front();
  v1::OpenMailboxResponse response;
  auto& mailbox = *response.mutable_mailbox();
  mailbox.set_id(row.bigint(0));
  mailbox.set_name(name);
  mailbox.set_uid_validity(static_cast<std::uint32_t>(row.bigint(1)));
  mailbox.set_subscribed(row.boolean(11));
  mailbox.set_special_use(static_cast<v1::SpecialUse>(row.integer(10)));
  mailbox.set_mailbox_id(mailbox_id_text(account, row.bigint(0)));
  auto& counts = *response.mutable_counts();
  counts.set_uid_validity(mailbox.uid_validity());
  counts.set_uid_next(static_cast<std::uint32_t>(row.bigint(2)));
  counts.set_highest_modseq(static_cast<std::uint64_t>(row.bigint(3)));
  counts.set_messages(static_cast<std::uint32_t>(row.bigint(5)));
  counts.set_unseen(static_cast<std::uint32_t>(row.bigint(6)));
  counts.set_deleted(static_cast<std::uint32_t>(row.bigint(7)));
  counts.set_bytes(static_cast<std::uint64_t>(row.bigint(8)));
  counts.set_deleted_bytes(static_cast<std::uint64_t>(row.bigint(9)));
  counts.set_mailbox_id(mailbox.mailbox_id());
  response.set_first_recent_uid(static_cast<std::uint32_t>(row.bigint(4)));
  response.set_first_unseen_uid(static_cast<std::uint32_t>(row.bigint(13)));
  for (const auto keyword : row.texts(12)) response.add_keywords(keyword.data(), keyword.size());
  const auto firsts = row.bigints(14), lasts = row.bigints(15);
  std::uint32_t recent = 0;
  for (std::size_t i = 0; i < firsts.size(); ++i) {
    add_range(*response.mutable_uids(), firsts[i], lasts[i]);
    const auto from = std::max<std::int64_t>(firsts[i], response.first_recent_uid());
    if (lasts[i] >= from) recent += static_cast<std::uint32_t>(lasts[i] - from + 1);
  }
  counts.set_recent(recent);
  co_return response;
}

Task<v1::GetChangesResponse> get_changes(Core& core, const Caller& caller, const v1::GetChangesRequest& request) {
  static const pg::Statement kChanges{
      "store_changes",
      "select kind, uid, last, modseq, flags, keywords, (select first_recent_uid from mailboxes "
      "where account_id = $1 and id = $2) from changes_since($1, $2, $3, $4)"};
  enum Kind { kMailbox = 0, kVanished = 1, kAdded = 2, kFlags = 3 };
  pg::Params params;
  params.bigint(request.account_id())
      .bigint(request.mailbox_id())
      .bigint(static_cast<std::int64_t>(request.since_modseq()));
  params.bigint(request.below_uid());
  MERPATI_CO_TRY(auto rows, co_await core.pool.query(kChanges, std::move(params), caller.deadline));
  v1::GetChangesResponse response;
  response.set_deleted(true);
  for (const auto row : rows) {
    switch (row.integer(0)) {
      case kMailbox:
        response.set_deleted(false);
        response.set_uid_next(static_cast<std::uint32_t>(row.bigint(1)));
        response.set_highest_modseq(static_cast<std::uint64_t>(row.bigint(3)));
        response.set_first_recent_uid(static_cast<std::uint32_t>(row.bigint(6)));
        response.set_too_old(request.since_modseq() < static_cast<std::uint64_t>(row.bigint(2)));
        break;
      case kVanished:
        add_range(*response.mutable_vanished(), row.bigint(1), row.bigint(2));
        break;
      case kAdded:
        add_range(*response.mutable_added(), row.bigint(1), row.bigint(2));
        break;
      case kFlags: {
        auto& changed = *response.add_changed();
        changed.set_uid(static_cast<std::uint32_t>(row.bigint(1)));
        changed.set_modseq(static_cast<std::uint64_t>(row.bigint(3)));
        changed.set_flags(static_cast<std::uint32_t>(row.integer(4)));
        if (!row.is_null(5))
          for (const auto word : row.texts(5)) changed.add_keywords(word.data(), word.size());
        break;
      }
      default:
        break;
    }
  }
  normalise(*response.mutable_vanished());
  normalise(*response.mutable_added());
  const auto added = response.added().empty() ? 0 : response.added(response.added_size() - 1).last();
  if (request.take_recent() && added >= response.first_recent_uid() && added != 0) {
    // RFC 3501 2.3.2: recent to the first session that is told. When that cannot be found out, recent it is.
    const auto from = co_await take_recent(core, caller, request, static_cast<std::int64_t>(added) + 1);
    if (from.has_value()) response.set_first_recent_uid(static_cast<std::uint32_t>(*from));
  }
  co_return response;
}

}  // namespace merpati::store
