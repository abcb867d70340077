// Who may call what. Read it as: `trusted` roles act in their own right; `session` roles act for the person whose
// session token they bring. A method that is not here is refused to everybody; a test compares the table with all
// .proto files.
#include <unordered_map>

#include "merpati/auth/v1/token.pb.h"
#include "merpati/rpc/authorization.hpp"

namespace merpati::rpc {

namespace {

using enum Role;
constexpr int kRead = auth::v1::SCOPE_MAIL_READ;
constexpr int kWrite = auth::v1::SCOPE_MAIL_WRITE;
constexpr int kScripts = auth::v1::SCOPE_SIEVE;

constexpr RoleSet kNobody;
constexpr RoleSet kEdges{kSmtp, kPop3, kImap, kSieve};
constexpr RoleSet kAll{kSmtp, kPop3, kImap, kSieve, kAuth, kStore, kFilter, kQueue, kAdmin};
constexpr RoleSet kReaders{kImap, kPop3};
constexpr RoleSet kReadersAndFilter{kImap, kPop3, kFilter};  // filter: with the token of who made an IMAP event
constexpr RoleSet kPeople{kAnonymous, kOperator};

constexpr AuthorizationRow kTable[] = {
    // auth: logins and tokens
    {"/merpati.auth.v1.Auth/Sasl", kEdges, kNobody},
    {"/merpati.auth.v1.Auth/Login", kEdges, kNobody},
    {"/merpati.auth.v1.Auth/RenewToken", kEdges, kNobody},
    {"/merpati.auth.v1.Auth/ResolveRecipient", {kSmtp, kQueue, kFilter, kAdmin}, kNobody},
    {"/merpati.auth.v1.Auth/CheckSender", {kSmtp, kFilter, kQueue}, kNobody},
    {"/merpati.auth.v1.Auth/ListPublicKeys", kAll, kNobody},
    {"/merpati.auth.v1.Auth/WatchEvents", kAll, kNobody},
    // auth: the directory
    {"/merpati.auth.v1.Directory/CreateDomain", {kAdmin}, kNobody},
    {"/merpati.auth.v1.Directory/GetDomain", {kAdmin}, kNobody},
    {"/merpati.auth.v1.Directory/ListDomains", {kAdmin}, kNobody},
    {"/merpati.auth.v1.Directory/UpdateDomain", {kAdmin}, kNobody},
    {"/merpati.auth.v1.Directory/DeleteDomain", {kAdmin}, kNobody},
    {"/merpati.auth.v1.Directory/CreateAccount", {kAdmin}, kNobody},
    {"/merpati.auth.v1.Directory/CreateAccounts", {kAdmin}, kNobody},
    {"/merpati.auth.v1.Directory/GetAccount", {kAdmin}, kNobody},
    {"/merpati.auth.v1.Directory/ListAccounts", {kAdmin}, kNobody},
    {"/merpati.auth.v1.Directory/UpdateAccount", {kAdmin}, kNobody},
    {"/merpati.auth.v1.Directory/DeleteAccount", {kAdmin}, kNobody},
    {"/merpati.auth.v1.Directory/SetPassword", {kAdmin}, kNobody},
    {"/merpati.auth.v1.Directory/RevokeTokens", {kAdmin}, kNobody},
    {"/merpati.auth.v1.Directory/CreateAlias", {kAdmin}, kNobody},
    {"/merpati.auth.v1.Directory/ListAliases", {kAdmin}, kNobody},
    {"/merpati.auth.v1.Directory/DeleteAlias", {kAdmin}, kNobody},
    {"/merpati.auth.v1.Directory/RotateSigningKey", {kAdmin}, kNobody},
    // store: mail in. Deliver's right is the grant that auth signed for each recipient.
    {"/merpati.store.v1.Store/PutBlob", {kSmtp, kQueue, kFilter}, kReaders, kWrite},
    {"/merpati.store.v1.Store/ReadBlob", {kSmtp, kFilter, kQueue}, kNobody},
    {"/merpati.store.v1.Store/KeepBlob", {kQueue}, kNobody},
    {"/merpati.store.v1.Store/Deliver", {kSmtp, kQueue}, kNobody},
    {"/merpati.store.v1.Store/CheckRoom", {kSmtp}, kNobody},
    {"/merpati.store.v1.Store/ResolveDelivery", {kSmtp, kQueue, kFilter}, kNobody},
    {"/merpati.store.v1.Store/Append", kNobody, kReadersAndFilter, kWrite},
    // store: a person's mailboxes
    {"/merpati.store.v1.Store/ListMailboxes", {kAdmin, kFilter}, kReaders, kRead},
    {"/merpati.store.v1.Store/CreateMailbox", kNobody, kReadersAndFilter, kWrite},
    {"/merpati.store.v1.Store/RenameMailbox", kNobody, kReaders, kWrite},
    {"/merpati.store.v1.Store/DeleteMailbox", kNobody, kReaders, kWrite},
    {"/merpati.store.v1.Store/SetSubscribed", kNobody, kReaders, kWrite},
    {"/merpati.store.v1.Store/GetStatus", {kAdmin}, kReaders, kRead},
    {"/merpati.store.v1.Store/OpenMailbox", kNobody, kReaders, kRead},
    {"/merpati.store.v1.Store/GetChanges", kNobody, kReaders, kRead},
    {"/merpati.store.v1.Store/FetchMessages", kNobody, kReaders, kRead},
    {"/merpati.store.v1.Store/ReadMessages", kNobody, kReadersAndFilter, kRead},
    {"/merpati.store.v1.Store/ReadContent", kNobody, kReaders, kRead},
    {"/merpati.store.v1.Store/StreamContent", kNobody, kReadersAndFilter, kRead},
    {"/merpati.store.v1.Store/Search", kNobody, kReaders, kRead},
    {"/merpati.store.v1.Store/GetQuota", {kAdmin}, kReaders, kRead},
    {"/merpati.store.v1.Store/StoreFlags", kNobody, kReadersAndFilter, kWrite},
    {"/merpati.store.v1.Store/Expunge", kNobody, kReaders, kWrite},
    {"/merpati.store.v1.Store/CopyMessages", kNobody, kReadersAndFilter, kWrite},
    {"/merpati.store.v1.Store/MoveMessages", kNobody, kReaders, kWrite},
    // Each watched account's token travels in the stream and is verified by the store.
    {"/merpati.store.v1.Store/Watch", kReaders, kNobody},
    {"/merpati.store.v1.Store/LeaseMaildrop", kNobody, {kPop3}, kWrite},
    {"/merpati.store.v1.Store/RenewMaildrop", kNobody, {kPop3}, kWrite},
    {"/merpati.store.v1.Store/CommitMaildrop", kNobody, {kPop3}, kWrite},
    {"/merpati.store.v1.Store/PurgeAccount", {kAuth, kAdmin}, kNobody},
    // filter
    {"/merpati.filter.v1.Filter/CheckConnection", {kSmtp}, kNobody},
    {"/merpati.filter.v1.Filter/CheckRecipient", {kSmtp}, kNobody},
    {"/merpati.filter.v1.Filter/CheckMessage", {kSmtp, kQueue}, kNobody},
    {"/merpati.filter.v1.Filter/SettleMessage", {kSmtp, kQueue}, kNobody},
    // filter: milters
    {"/merpati.filter.v1.Milters/FollowMilters", {kSmtp}, kNobody},
    {"/merpati.filter.v1.Milters/Dialog", {kSmtp}, kNobody},
    // filter: a person's Sieve scripts
    {"/merpati.filter.v1.Scripts/ListScripts", {kAdmin}, {kSieve}, kScripts},
    {"/merpati.filter.v1.Scripts/GetScript", {kAdmin}, {kSieve}, kScripts},
    {"/merpati.filter.v1.Scripts/CheckScript", {kAdmin}, {kSieve}, kScripts},
    {"/merpati.filter.v1.Scripts/CheckSpace", {kAdmin}, {kSieve}, kScripts},
    {"/merpati.filter.v1.Scripts/PutScript", {kAdmin}, {kSieve}, kScripts},
    {"/merpati.filter.v1.Scripts/SetActiveScript", {kAdmin}, {kSieve}, kScripts},
    {"/merpati.filter.v1.Scripts/DeleteScript", {kAdmin}, {kSieve}, kScripts},
    {"/merpati.filter.v1.Scripts/RenameScript", {kAdmin}, {kSieve}, kScripts},
    {"/merpati.filter.v1.Scripts/PurgeAccountScripts", {kAdmin}, kNobody},
    // filter: what spam looks like
    {"/merpati.filter.v1.Learning/Learn", {kAdmin}, {kImap}, kWrite},
    {"/merpati.filter.v1.Learning/GetModel", {kAdmin}, kNobody},
    // filter: reports to other domains
    {"/merpati.filter.v1.DmarcReports/ListReports", {kAdmin}, kNobody},
    {"/merpati.filter.v1.DmarcReports/SendReports", {kAdmin}, kNobody},
    // filter: thresholds and weights of domains and accounts
    {"/merpati.filter.v1.Policies/GetPolicy", {kAdmin}, kNobody},
    {"/merpati.filter.v1.Policies/ListPolicies", {kAdmin}, kNobody},
    {"/merpati.filter.v1.Policies/ChangePolicy", {kAdmin}, kNobody},
    // filter: scripts for what people do over IMAP
    {"/merpati.filter.v1.MailboxEvents/ListEventScripts", {kImap}, kNobody},
    {"/merpati.filter.v1.MailboxEvents/RunEventScripts", kNobody, {kImap}, kWrite},
    // queue
    {"/merpati.queue.v1.Queue/Enqueue", {kSmtp, kFilter, kQueue}, kNobody},
    {"/merpati.queue.v1.Queue/Release", {kSmtp, kQueue}, kNobody},
    {"/merpati.queue.v1.Queue/Drop", {kSmtp, kQueue}, kNobody},
    {"/merpati.queue.v1.Queue/ListItems", {kAdmin}, kNobody},
    {"/merpati.queue.v1.Queue/GetItem", {kAdmin}, kNobody},
    {"/merpati.queue.v1.Queue/RetryItems", {kAdmin}, kNobody},
    {"/merpati.queue.v1.Queue/DropItems", {kAdmin}, kNobody},
    // admin: people, by API token, which its handlers check; the certificate of merpatictl is optional
    {"/merpati.admin.v1.Admin/WhoAmI", kPeople, kNobody},
    {"/merpati.admin.v1.Admin/CreateDomain", kPeople, kNobody},
    {"/merpati.admin.v1.Admin/GetDomain", kPeople, kNobody},
    {"/merpati.admin.v1.Admin/ListDomains", kPeople, kNobody},
    {"/merpati.admin.v1.Admin/UpdateDomain", kPeople, kNobody},
    {"/merpati.admin.v1.Admin/DeleteDomain", kPeople, kNobody},
    {"/merpati.admin.v1.Admin/CreateAccount", kPeople, kNobody},
    {"/merpati.admin.v1.Admin/CreateAccounts", kPeople, kNobody},
    {"/merpati.admin.v1.Admin/GetAccount", kPeople, kNobody},
    {"/merpati.admin.v1.Admin/ListAccounts", kPeople, kNobody},
    {"/merpati.admin.v1.Admin/UpdateAccount", kPeople, kNobody},
    {"/merpati.admin.v1.Admin/DeleteAccount", kPeople, kNobody},
    {"/merpati.admin.v1.Admin/SetPassword", kPeople, kNobody},
    {"/merpati.admin.v1.Admin/RevokeSessions", kPeople, kNobody},
    {"/merpati.admin.v1.Admin/CreateAlias", kPeople, kNobody},
    {"/merpati.admin.v1.Admin/ListAliases", kPeople, kNobody},
    {"/merpati.admin.v1.Admin/DeleteAlias", kPeople, kNobody},
    {"/merpati.admin.v1.Admin/ListMailboxes", kPeople, kNobody},
    {"/merpati.admin.v1.Admin/GetQuota", kPeople, kNobody},
    {"/merpati.admin.v1.Admin/ListScripts", kPeople, kNobody},
    {"/merpati.admin.v1.Admin/GetScript", kPeople, kNobody},
    {"/merpati.admin.v1.Admin/PutScript", kPeople, kNobody},
    {"/merpati.admin.v1.Admin/SetActiveScript", kPeople, kNobody},
    {"/merpati.admin.v1.Admin/DeleteScript", kPeople, kNobody},
    {"/merpati.admin.v1.Admin/RenameScript", kPeople, kNobody},
    {"/merpati.admin.v1.Admin/Learn", kPeople, kNobody},
    {"/merpati.admin.v1.Admin/GetBayesModel", kPeople, kNobody},
    {"/merpati.admin.v1.Admin/ListDmarcReports", kPeople, kNobody},
    {"/merpati.admin.v1.Admin/SendDmarcReports", kPeople, kNobody},
    {"/merpati.admin.v1.Admin/GetFilterPolicy", kPeople, kNobody},
    {"/merpati.admin.v1.Admin/ListFilterPolicies", kPeople, kNobody},
    {"/merpati.admin.v1.Admin/ChangeFilterPolicy", kPeople, kNobody},
    {"/merpati.admin.v1.Admin/ListQueue", kPeople, kNobody},
    {"/merpati.admin.v1.Admin/GetQueueItem", kPeople, kNobody},
    {"/merpati.admin.v1.Admin/RetryQueue", kPeople, kNobody},
    {"/merpati.admin.v1.Admin/DropQueue", kPeople, kNobody},
    {"/merpati.admin.v1.Admin/RotateSigningKey", kPeople, kNobody},
    {"/merpati.admin.v1.Admin/GetServices", kPeople, kNobody},
    {"/merpati.admin.v1.Admin/GetTrace", kPeople, kNobody},
    {"/merpati.admin.v1.Admin/CreateToken", kPeople, kNobody},
    {"/merpati.admin.v1.Admin/ListTokens", kPeople, kNobody},
    {"/merpati.admin.v1.Admin/RevokeToken", kPeople, kNobody},
    {"/merpati.admin.v1.Admin/ListAudit", kPeople, kNobody},
    // what happened to messages: kept by store and queue; the queue takes the edge's too
    {"/merpati.trace.v1.Trace/RecordEvents", {kSmtp}, kNobody},
    {"/merpati.trace.v1.Trace/FindEvents", {kAdmin}, kNobody},
    // every process
    {"/merpati.runtime.v1.Status/GetStatus", {kAdmin}, kNobody},
};

}  // namespace

std::span<const AuthorizationRow> authorization_table() { return kTable; }

const AuthorizationRow* authorization_row(std::string_view path) {
  static const auto kIndex = [] {
    std::unordered_map<std::string_view, const AuthorizationRow*> index;
    for (const auto& row : kTable) index.emplace(row.path, &row);
    return index;
  }();
  const auto found = kIndex.find(path);
  return found == kIndex.end() ? nullptr : found->second;
}

}  // namespace merpati::rpc
