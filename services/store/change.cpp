// Expunge, copy and move.
#include "store/flags.hpp"
#include "store/operations.hpp"
#include "store/watchers.hpp"

namespace merpati::store {

Task<v1::ExpungeResponse> expunge(Core& core, const Caller& caller, const v1::ExpungeRequest& request) {
  static const pg::Statement kAll{"store_expunge_all",
                                  "select first, last, modseq from expunge($1, $2, null, null) order by first"};
  static const pg::Statement kSome{"store_expunge",
                                   "select first, last, modseq from expunge($1, $2, $3, $4) order by first"};
  const auto ranges = to_ranges(request.uids());
  pg::Params params;
  params.bigint(request.account_id()).bigint(request.mailbox_id());
  if (!ranges.empty()) params.bigints(ranges.firsts).bigints(ranges.lasts);
  MERPATI_CO_TRY(auto rows,
                 co_await core.pool.write(ranges.empty() ? kAll : kSome, std::move(params), caller.deadline));
  v1::ExpungeResponse response;
  for (const auto row : rows) {
    response.set_highest_modseq(std::max(response.highest_modseq(), static_cast<std::uint64_t>(row.bigint(2))));
    if (row.bigint(0) == 0) continue;
    auto& range = *response.add_vanished();
    range.set_first(static_cast<std::uint32_t>(row.bigint(0)));
    range.set_last(static_cast<std::uint32_t>(row.bigint(1)));
  }
  if (response.vanished_size() > 0)
    core.watchers->changed(request.account_id(), request.mailbox_id(), response.highest_modseq());
  co_return response;
}

Task<v1::CopyMessagesResponse> transfer_messages(Core& core, const Caller& caller,
                                                 const v1::CopyMessagesRequest& request, Transfer how) {
  static const pg::Statement kCopy{
      "store_copy",
      "select kind, uid, target, modseq from copy_messages($1, $2, $3, $4, $5, $6, $7, $8) order by kind, uid"};
  MERPATI_CO_TRY(auto to, normal_name(request.to()));
  const auto ranges = to_ranges(request.uids());
  if (ranges.empty()) co_return Error(ErrorCode::kInvalidArgument, "uids are missing");
  pg::Params params;
  params.bigint(request.account_id())
      .bigint(request.mailbox_id())
      .bigints(ranges.firsts)
      .bigints(ranges.lasts)
      .text(to);
  params.boolean(how == Transfer::kMove).bigint(caller.quota_bytes).bigint(caller.quota_messages);
  MERPATI_CO_TRY(auto rows, co_await core.pool.write(kCopy, std::move(params), caller.deadline));
  v1::CopyMessagesResponse response;
  for (const auto row : rows) {
    if (row.integer(0) == 0) {
      response.set_uid_validity(static_cast<std::uint32_t>(row.bigint(1)));
      response.set_mailbox_id(row.bigint(2));
      response.set_highest_modseq(static_cast<std::uint64_t>(row.bigint(3)));
      continue;
    }
    add_uid(*response.mutable_source(), static_cast<std::uint32_t>(row.bigint(1)));
    add_uid(*response.mutable_target(), static_cast<std::uint32_t>(row.bigint(2)));
  }
  if (response.source_size() > 0) {
    core.watchers->changed(request.account_id(), response.mailbox_id(), 0);
    if (how == Transfer::kMove)
      core.watchers->changed(request.account_id(), request.mailbox_id(), response.highest_modseq());
  }
  co_return response;
}

}  // namespace merpati::store
