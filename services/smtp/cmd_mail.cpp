// MAIL FROM (RFC 5321 4.1.1.2).
#include "merpati/base/ids.hpp"
#include "merpati/runtime/log.hpp"
#include "smtp/filter_reply.hpp"
#include "smtp/session.hpp"

namespace merpati::smtp {

Task<void> Session::cmd_mail(std::string_view argument) {
  if (helo_.empty()) {
    reply(503, "5.5.1", "Say EHLO first");
    co_return Result<void>();
  }
  if (transaction_) {
    reply(503, "5.5.1", "A transaction is in progress");
    co_return Result<void>();
  }
  if (is_submission() && !login_) {
    reply(530, "5.7.0", "Authentication required");  // RFC 6409 4.3
    co_return Result<void>();
  }
  if (transactions_ >= site_->policy.max_transactions) {
    goodbye(421, "4.7.0", "Too many messages in one session");
    co_return Result<void>();
  }
  auto mail = parse_mail(argument, offered());
  if (mail.has_error()) {
    reply(mail.error());
    co_return Result<void>();
  }
  if (site_->bytes_in_flight.load() + mail->size > site_->policy.max_bytes_in_flight) {
    reply(452, "4.3.1", "Too busy, try again later");
    co_return Result<void>();
  }
  const auto reverse_path = mail->reverse_path ? mail->reverse_path->str() : std::string();
  if (login_) {
    MERPATI_CO_TRY(const bool holds, co_await login_holds());
    if (!holds) co_return Result<void>();
  }
  if (is_submission() && !reverse_path.empty()) {
    MERPATI_CO_TRY(const bool allowed, co_await may_send_as(reverse_path, "That sender address is not yours"));
    if (!allowed) co_return Result<void>();
  }
  MERPATI_CO_TRY(const bool passes, co_await connection_passes());
  if (!passes) co_return Result<void>();

  auto transaction = std::make_unique<Transaction>();
  transaction->id = new_uuid();
  transaction->trace_id = runtime::trace_id_of(transaction->id);
  transaction->span = runtime::Span::root("smtp transaction", runtime::SpanKind::kServer, transaction->trace_id);
  transaction->mail = std::move(*mail);
  transaction->reverse_path = reverse_path;
  MERPATI_CO_TRY(const bool wanted, co_await milters_mail(*transaction, argument));
  if (!wanted) co_return Result<void>();
  transaction_ = std::move(transaction);
  ++transactions_;
  reply(250, "2.1.0", "Ok");
  co_return Result<void>();
}

/// Asks the filter once for each connection. Replies and returns false when it says no.
Task<bool> Session::connection_passes() {
  if (checked_) co_return true;
  filter::v1::CheckConnectionRequest request;
  *request.mutable_transaction() = filter_transaction();
  const auto options = call_options();
  auto answer = co_await site_->filter.check_connection(request, options);
  if (answer.has_error()) {
    if (door_->accept_unfiltered) co_return true;
    reply_error(answer.error());
    co_return false;
  }
  if (const auto refusal = filter_refusal(answer->decision(), answer->reply())) {
    reply(*refusal);
    co_return false;
  }
  checked_ = true;
  co_return true;
}

/// An account that was disabled or got another password stops sending as soon as auth tells so, or when the token
/// cannot be renewed. Replies and returns false when the login does not hold any more.
Task<bool> Session::login_holds() {
  if (site_->revocations.refuses(login_->account_id, login_->credential_version, login_->address)) {
    login_.reset();
    goodbye(421, "4.7.0", "The login does not hold any more");
    co_return false;
  }
  const auto now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  if (now + 60 < login_->expires_at) co_return true;
  auth::v1::RenewTokenRequest request;
  request.set_token(login_->token);
  const auto options = call_options(login_->account_id);
  auto renewed = co_await site_->auth.renew_token(request, options);
  if (renewed.has_value()) {
    login_->token = renewed->token();
    login_->expires_at = renewed->claims().expires_at();
    login_->allowed_senders.clear();
    co_return true;
  }
  if (renewed.error().code() != ErrorCode::kUnauthenticated) {
    if (now < login_->expires_at) co_return true;  // auth is down: a session goes on until its token ends
    reply_error(renewed.error());
    co_return false;
  }
  login_.reset();
  goodbye(421, "4.7.0", "The login does not hold any more");
  co_return false;
}

/// Is the address one of the account's? Replies and returns false when not.
Task<bool> Session::may_send_as(const std::string& address, const std::string& refusal) {
  auto& known = login_->allowed_senders;
  if (std::find(known.begin(), known.end(), address) != known.end()) co_return true;
  auth::v1::CheckSenderRequest request;
  request.set_account_id(login_->account_id);
  request.set_address(address);
  const auto options = call_options(login_->account_id);
  auto answer = co_await site_->auth.check_sender(request, options);
  if (answer.has_error()) {
    reply_error(answer.error());
    co_return false;
  }
  if (!answer->allowed()) {
    log::info("smtp_sender_refused", "an account used an address that is not its own",
              {{"account_id", login_->account_id}, {"address", address}});
    reply(550, "5.7.1", refusal);
    co_return false;
  }
  if (known.size() < 32) known.push_back(address);
  co_return true;
}

}  // namespace merpati::smtp
