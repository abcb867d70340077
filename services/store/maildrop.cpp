// POP3's maildrop: an exclusive view of INBOX under a lease.
#include <fmt/format.h>

#include "store/operations.hpp"
#include "store/watchers.hpp"

namespace merpati::store {
namespace {
int seconds_of(int asked, const Core& core) {
  return asked <= 0 ? static_cast<int>(core.settings.pop3_lease.count()) : std::min(asked, 3600);
}
}  // namespace

Task<v1::LeaseMaildropResponse> lease_maildrop(Core& core, const Caller& caller,
                                               const v1::LeaseMaildropRequest& request) {
  static const pg::Statement kLease{"store_lease_maildrop",
                                    "select lease, mailbox, uid_validity from lease_maildrop($1, $2, $3)"};
  static const pg::Statement kLeaseLater{"store_lease_maildrop_later",
                                         "select lease, mailbox, uid_validity from lease_maildrop($1, $2, $3, $4)"};
  static const pg::Statement kView{
      "store_maildrop", "select uid, size from messages where account_id = $1 and mailbox_id = $2 order by uid"};
  if (request.session_id().empty()) co_return Error(ErrorCode::kInvalidArgument, "session_id is missing");
  MERPATI_CO_CHECK(co_await core.ensure_account(request.account_id(), caller.deadline));
  pg::Params params;
  params.bigint(request.account_id()).text(request.session_id()).integer(seconds_of(request.lease_seconds(), core));
  const bool delayed = request.login_delay_seconds() > 0;
  if (delayed) params.integer(request.login_delay_seconds());
  MERPATI_CO_TRY(auto leased,
                 co_await core.pool.write(delayed ? kLeaseLater : kLease, std::move(params), caller.deadline));
  if (leased.empty()) co_return Error(ErrorCode::kNotFound, "the account has no INBOX");
  v1::LeaseMaildropResponse response;
  response.set_lease_number(leased.front().bigint(0));
  if (response.lease_number() == 0) co_return response;
  response.set_mailbox_id(leased.front().bigint(1));
  response.set_uid_validity(static_cast<std::uint32_t>(leased.front().bigint(2)));
  pg::Params view;
  view.bigint(request.account_id()).bigint(response.mailbox_id());
  MERPATI_CO_TRY(auto rows, co_await core.pool.query(kView, std::move(view), caller.deadline));
  for (const auto row : rows) {
    auto& message = *response.add_messages();
    message.set_uid(static_cast<std::uint32_t>(row.bigint(0)));
    message.set_size(static_cast<std::uint64_t>(row.bigint(1)));
    // RFC 1939 7: unique in the maildrop for ever, which UIDVALIDITY and uid together are.
    message.set_uidl(fmt::format("{:08x}{:08x}", response.uid_validity(), message.uid()));
  }
  co_return response;
}

Task<v1::RenewMaildropResponse> renew_maildrop(Core& core, const Caller& caller,
                                               const v1::RenewMaildropRequest& request) {
  static const pg::Statement kRenew{"store_renew_maildrop", "select renew_maildrop($1, $2, $3)"};
  pg::Params params;
  params.bigint(request.account_id()).bigint(request.lease_number()).integer(seconds_of(request.lease_seconds(), core));
  MERPATI_CO_TRY(auto rows, co_await core.pool.write(kRenew, std::move(params), caller.deadline));
  if (!rows.front().boolean(0)) co_return Error(ErrorCode::kFailedPrecondition, "the lease was lost");
  co_return v1::RenewMaildropResponse();
}

Task<v1::CommitMaildropResponse> commit_maildrop(Core& core, const Caller& caller,
                                                 const v1::CommitMaildropRequest& request) {
  static const pg::Statement kCommit{"store_commit_maildrop", "select commit_maildrop($1, $2, $3, $4)"};
  std::vector<std::int64_t> uids(request.delete_uids().begin(), request.delete_uids().end());
  pg::Params params;
  params.bigint(request.account_id()).bigint(request.lease_number()).bigint(request.mailbox_id()).bigints(uids);
  MERPATI_CO_TRY(auto rows, co_await core.pool.write(kCommit, std::move(params), caller.deadline));
  v1::CommitMaildropResponse response;
  response.set_deleted(static_cast<std::uint32_t>(rows.front().bigint(0)));
  if (response.deleted() > 0) core.watchers->changed(request.account_id(), request.mailbox_id(), 0);
  co_return response;
}

}  // namespace merpati::store
