// The mailbox tree, quota, and the end of an account.
#include "store/flags.hpp"
#include "store/operations.hpp"
#include "store/watchers.hpp"

namespace merpati::store {
namespace {

const pg::Statement kList{
    "store_list",
    "select m.id, m.name, m.uid_validity, m.special_use, m.no_select, s.name is not null, m.messages, m.unseen, "
    "m.deleted, m.uid_next, "
    "m.highest_modseq, m.bytes, m.deleted_bytes, m.recent "
    "from mailboxes m left join subscriptions s on s.account_id = m.account_id and s.name = m.name "
    "where m.account_id = $1 order by m.name <> 'INBOX', m.name"};

void fill_counts(v1::MailboxCounts& counts, const pg::Row& row, std::int64_t account) {
  counts.set_messages(static_cast<std::uint32_t>(row.bigint(6)));
  counts.set_unseen(static_cast<std::uint32_t>(row.bigint(7)));
  counts.set_deleted(static_cast<std::uint32_t>(row.bigint(8)));
  counts.set_uid_next(static_cast<std::uint32_t>(row.bigint(9)));
  counts.set_uid_validity(static_cast<std::uint32_t>(row.bigint(2)));
  counts.set_highest_modseq(static_cast<std::uint64_t>(row.bigint(10)));
  counts.set_bytes(static_cast<std::uint64_t>(row.bigint(11)));
  counts.set_deleted_bytes(static_cast<std::uint64_t>(row.bigint(12)));
  counts.set_recent(static_cast<std::uint32_t>(row.bigint(13)));
  counts.set_mailbox_id(mailbox_id_text(account, row.bigint(0)));
}

}  // namespace

Task<v1::ListMailboxesResponse> list_mailboxes(Core& core, const Caller& caller,
                                               const v1::ListMailboxesRequest& request) {
  static const pg::Statement kMissing{"store_list_missing",
                                      "select s.name from subscriptions s where s.account_id = $1 and not exists "
                                      "(select 1 from mailboxes m where m.account_id = $1 "
                                      "and m.name = s.name) order by 1"};
  const auto account = request.account_id();
  MERPATI_CO_CHECK(co_await core.ensure_account(account, caller.deadline));
  pg::Params params;
  params.bigint(account);
  MERPATI_CO_TRY(auto rows, co_await core.pool.query(kList, std::move(params), caller.deadline));
  v1::ListMailboxesResponse response;
  for (const auto row : rows) {
    auto& mailbox = *response.add_mailboxes();
    mailbox.set_id(row.bigint(0));
    mailbox.set_name(std::string(row.text(1)));
    mailbox.set_uid_validity(static_cast<std::uint32_t>(row.bigint(2)));
    mailbox.set_special_use(static_cast<v1::SpecialUse>(row.integer(3)));
    mailbox.set_no_select(row.boolean(4));
    mailbox.set_subscribed(row.boolean(5));
    mailbox.set_mailbox_id(mailbox_id_text(account, row.bigint(0)));
    if (request.with_counts()) fill_counts(*mailbox.mutable_counts(), row, account);
  }
  if (request.subscribed_names()) {
    pg::Params names;
    names.bigint(account);
    MERPATI_CO_TRY(auto missing, co_await core.pool.query(kMissing, std::move(names), caller.deadline));
    for (const auto row : missing) response.add_subscribed_missing(std::string(row.text(0)));
  }
  co_return response;
}

Task<v1::CreateMailboxResponse> create_mailbox(Core& core, const Caller& caller,
                                               const v1::CreateMailboxRequest& request) {
  static const pg::Statement kCreate{"store_create_mailbox",
                                     "select id, uid_validity from create_mailbox($1, $2, $3, $4)"};
  MERPATI_CO_TRY(auto name, normal_name(request.name()));
  MERPATI_CO_CHECK(co_await core.ensure_account(request.account_id(), caller.deadline));
  pg::Params params;
  params.bigint(request.account_id()).text(name).integer(request.special_use()).integer(core.settings.max_mailboxes);
  MERPATI_CO_TRY(auto rows, co_await core.pool.write(kCreate, std::move(params), caller.deadline));
  v1::CreateMailboxResponse response;
  auto& mailbox = *response.mutable_mailbox();
  mailbox.set_id(rows.front().bigint(0));
  mailbox.set_name(name);
  mailbox.set_uid_validity(static_cast<std::uint32_t>(rows.front().bigint(1)));
  mailbox.set_special_use(request.special_use());
  mailbox.set_mailbox_id(mailbox_id_text(request.account_id(), mailbox.id()));
  core.watchers->tree_changed(request.account_id());
  co_return response;
}

Task<v1::RenameMailboxResponse> rename_mailbox(Core& core, const Caller& caller,
                                               const v1::RenameMailboxRequest& request) {
  static const pg::Statement kRename{"store_rename_mailbox", "select rename_mailbox($1, $2, $3)"};
  MERPATI_CO_TRY(auto from, normal_name(request.from()));
  MERPATI_CO_TRY(auto to, normal_name(request.to()));
  MERPATI_CO_CHECK(co_await core.ensure_account(request.account_id(), caller.deadline));
  pg::Params params;
  params.bigint(request.account_id()).text(from).text(to);
  MERPATI_CO_TRY(auto rows, co_await core.pool.write(kRename, std::move(params), caller.deadline));
  core.watchers->tree_changed(request.account_id());
  core.watchers->changed(request.account_id(), rows.front().bigint(0), 0);
  co_return v1::RenameMailboxResponse();
}

Task<v1::DeleteMailboxResponse> delete_mailbox(Core& core, const Caller& caller,
                                               const v1::DeleteMailboxRequest& request) {
  static const pg::Statement kDelete{"store_delete_mailbox", "select delete_mailbox($1, $2)"};
  MERPATI_CO_TRY(auto name, normal_name(request.name()));
  MERPATI_CO_CHECK(co_await core.ensure_account(request.account_id(), caller.deadline));
  pg::Params params;
  params.bigint(request.account_id()).text(name);
  MERPATI_CO_TRY(auto rows, co_await core.pool.write(kDelete, std::move(params), caller.deadline));
  core.watchers->tree_changed(request.account_id());
  core.watchers->changed(request.account_id(), rows.front().bigint(0), 0);
  co_return v1::DeleteMailboxResponse();
}

Task<v1::SetSubscribedResponse> set_subscribed(Core& core, const Caller& caller,
                                               const v1::SetSubscribedRequest& request) {
  static const pg::Statement kAdd{
      "store_subscribe",
      "insert into subscriptions select $1, $2 where (select count(*) from subscriptions where account_id = $1) < "
      "$3 on conflict do nothing"};
  static const pg::Statement kRemove{"store_unsubscribe",
                                     "delete from subscriptions where account_id = $1 and name = $2"};
  MERPATI_CO_TRY(auto name, normal_name(request.name()));
  MERPATI_CO_CHECK(co_await core.ensure_account(request.account_id(), caller.deadline));
  pg::Params params;
  params.bigint(request.account_id()).text(name);
  if (request.subscribed()) params.bigint(2LL * core.settings.max_mailboxes);
  MERPATI_CO_CHECK(co_await core.pool.write(request.subscribed() ? kAdd : kRemove, std::move(params), caller.deadline));
  core.watchers->tree_changed(request.account_id());
  co_return v1::SetSubscribedResponse();
}

Task<v1::GetQuotaResponse> get_quota(Core& core, const Caller& caller, const v1::GetQuotaRequest& request) {
  static const pg::Statement kQuota{"store_quota",
                                    "select coalesce(sum(bytes), 0)::bigint, coalesce(sum(messages), 0)::bigint, "
                                    "count(*) from mailboxes where account_id = $1"};
  pg::Params params;
  params.bigint(request.account_id());
  MERPATI_CO_TRY(auto rows, co_await core.pool.query(kQuota, std::move(params), caller.deadline));
  v1::GetQuotaResponse response;
  response.set_bytes(static_cast<std::uint64_t>(rows.front().bigint(0)));
  response.set_messages(static_cast<std::uint64_t>(rows.front().bigint(1)));
  response.set_mailboxes(static_cast<std::uint64_t>(rows.front().bigint(2)));
  co_return response;
}

Task<void> purge_account(Core& core, const Caller& caller, std::int64_t account) {
  // In steps, so that no mailbox is too large for one statement.
  static const pg::Statement kPurge{"store_purge_some", "select purge_some($1, $2)"};
  constexpr int kStep = 2000;
  if (account <= 0) co_return Error(ErrorCode::kInvalidArgument, "an account id is missing");
  for (bool more = true; more;) {
    pg::Params params;
    params.bigint(account).integer(kStep);
    MERPATI_CO_TRY(const auto rows, co_await core.pool.write(kPurge, std::move(params),
                                                             caller.deadline.within(std::chrono::seconds(60))));
    more = rows.front().boolean(0);
  }
  core.forget_account(account);
  core.watchers->tree_changed(account);
  co_return Result<void>();
}

}  // namespace merpati::store
