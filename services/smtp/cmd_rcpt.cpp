// RCPT TO (RFC 5321 4.1.1.3).
#include "smtp/filter_reply.hpp"
#include "smtp/session.hpp"

namespace merpati::smtp {

using auth::v1::ResolveRecipientResponse;

namespace {
constexpr int kMostAccounts = 1000;  // of one Deliver
}  // namespace

Task<void> Session::cmd_rcpt(std::string_view argument) {
  const auto before = transaction_ ? transaction_->recipients.size() : 0;
  milters_know_recipient_ = false;
  MERPATI_CO_CHECK(co_await take_recipient(argument));
  const bool in_dialog = transaction_ && transaction_->milters == Transaction::Milters::kInDialog && milters_;
  if (!in_dialog || milters_know_recipient_ || transaction_->recipients.size() != before) co_return Result<void>();
  if (!milters_->wants(filter::v1::DIALOG_EVENT_REFUSED_RECIPIENT)) co_return Result<void>();
  co_return co_await milters_refused_recipient(argument);
}

Task<void> Session::take_recipient(std::string_view argument) {
  if (!transaction_ || incoming_) {
    reply(503, "5.5.1", transaction_ ? "BDAT is in progress" : "Say MAIL first");
    co_return Result<void>();
  }
  auto rcpt = parse_rcpt(argument, offered(), transaction_->mail.smtputf8 ? Utf8::kYes : Utf8::kNo);
  if (rcpt.has_error()) {
    reply(rcpt.error());
    co_return Result<void>();
  }
  if (transaction_->recipients.size() >= site_->policy.max_recipients) {
    reply(452, "4.5.3", "Too many recipients");  // RFC 5321 4.5.3.1.10
    co_return Result<void>();
  }
  if (rcpt->forward_path.domain.empty()) rcpt->forward_path.domain = site_->policy.hostname;  // <Postmaster> alone
  EnvelopeRecipient recipient{rcpt->forward_path.str(), nullptr, false};

  auto resolved = co_await resolve(recipient.address);
  if (resolved.has_value()) resolved = co_await resolve_postmaster(rcpt->forward_path, *resolved);
  if (resolved.has_error()) {
    reply_error(resolved.error());
    co_return Result<void>();
  }
  switch ((*resolved)->status()) {
    case ResolveRecipientResponse::STATUS_LOCAL: {
      recipient.local = *resolved;
      MERPATI_CO_TRY(const bool room, co_await has_room(*recipient.local));
      if (!room) co_return Result<void>();
      MERPATI_CO_TRY(const bool passes, co_await recipient_passes(recipient));
      if (!passes) co_return Result<void>();
      break;
    }
    case ResolveRecipientResponse::STATUS_REMOTE: {
      if (!login_) {
        reply(550, "5.7.1", "Relaying denied");
        co_return Result<void>();
      }
      MERPATI_CO_TRY(const bool passes, co_await recipient_passes(recipient));
      if (!passes) co_return Result<void>();
      break;
    }
    case ResolveRecipientResponse::STATUS_DISABLED:
      reply(550, "5.2.1", "Mailbox disabled");
      co_return Result<void>();
    case ResolveRecipientResponse::STATUS_OVER_QUOTA:
      reply(452, "4.2.2", "Mailbox full");
      co_return Result<void>();
    default:
      reply(550, "5.1.1", "No such address");
      co_return Result<void>();
  }
  MERPATI_CO_TRY(const bool wanted, co_await milters_recipient(argument, recipient));
  if (!wanted) co_return Result<void>();
  transaction_->recipients.push_back(std::move(recipient));
  reply(250, "2.1.5", "Ok");
  co_return Result<void>();
}

Task<RecipientCache::Answer> Session::resolve(const std::string& address) {
  if (auto known = site_->recipients.find(address)) co_return known;
  auth::v1::ResolveRecipientRequest request;
  request.set_address(address);
  const auto options = call_options();
  MERPATI_CO_TRY(auto response, co_await site_->auth.resolve_recipient(request, options));
  auto answer = std::make_shared<const ResolveRecipientResponse>(std::move(response));
  site_->recipients.put(address, answer);
  co_return RecipientCache::Answer(answer);
}

/// What can be refused is refused before the body comes: a full mailbox, and more accounts than the store takes at
/// once. Replies and returns false then. Behind an alias the delivery decides, for each account.
Task<bool> Session::has_room(const ResolveRecipientResponse& resolved) {
  int accounts = resolved.recipients_size();
  for (const auto& earlier : transaction_->recipients)
    if (earlier.local) accounts += earlier.local->recipients_size();
  if (accounts > kMostAccounts) {
    reply(452, "4.5.3", "Too many recipients");
    co_return false;
  }
  if (resolved.recipients_size() != 1 || resolved.remote_addresses_size() > 0) co_return true;
  const auto& recipient = resolved.recipients(0);
  if (recipient.claims().quota_bytes() == 0 && recipient.claims().quota_messages() == 0) co_return true;
  store::v1::CheckRoomRequest request;
  request.set_grant(recipient.grant());
  request.set_size(transaction_->mail.size);
  auto options = call_options(recipient.claims().account_id());
  options.cell = recipient.claims().cell();
  const auto answer = co_await site_->store.check_room(request, options);
  if (answer.has_error() || answer->room()) co_return true;  // the delivery decides
  reply(452, "4.2.2", "Mailbox full");
  co_return false;
}

/// RFC 5321 4.5.1: a postmaster that nobody has made is the configured one, so that every domain has one.
Task<RecipientCache::Answer> Session::resolve_postmaster(const Address& path, RecipientCache::Answer found) {
  const auto& policy = site_->policy;
  const bool ours = found->status() == ResolveRecipientResponse::STATUS_UNKNOWN ||
                    (found->status() == ResolveRecipientResponse::STATUS_REMOTE &&
                     equals_ignoring_case(path.domain, policy.hostname));
  if (policy.postmaster.empty() || !ours || !equals_ignoring_case(path.local, "postmaster")) co_return found;
  co_return co_await resolve(policy.postmaster);
}

/// Asks the filter about this recipient. Replies and returns false when it says no.
Task<bool> Session::recipient_passes(EnvelopeRecipient& recipient) {
  filter::v1::CheckRecipientRequest request;
  *request.mutable_transaction() = filter_transaction();
  request.set_recipient(recipient.address);
  if (recipient.local && recipient.local->recipients_size() == 1)
    request.set_account_id(recipient.local->recipients(0).claims().account_id());
  const auto options = call_options();
  auto answer = co_await site_->filter.check_recipient(request, options);
  if (answer.has_error()) {
    if (door_->accept_unfiltered) co_return true;
    reply_error(answer.error());
    co_return false;
  }
  if (const auto refusal = filter_refusal(answer->decision(), answer->reply())) {
    reply(*refusal);
    co_return false;
  }
  recipient.junk = answer->decision() == filter::v1::DECISION_JUNK;
  recipient.discard = answer->decision() == filter::v1::DECISION_DISCARD;
  co_return true;
}

}  // namespace merpati::smtp
