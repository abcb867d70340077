// What a session tells milters at the stages of its dialog, up to DATA; milters_content.cpp has the message.
#include "merpati/runtime/log.hpp"
#include "merpati/runtime/seldom.hpp"
#include "smtp/filter_reply.hpp"
#include "smtp/session.hpp"

namespace merpati::smtp {
namespace {

using namespace std::chrono_literals;
using filter::v1::DialogRequest;
using filter::v1::DialogResponse;
using State = Transaction::Milters;

constexpr auto kGreeting = 5min;
constexpr auto kGreetingOfMaybe = 2s;  // where nobody knows yet whether there are milters

/// Of what nobody has looked at yet.
std::string in_ascii(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) > 0x7E) c = '?';
  return out;
}

/// The parameters behind the path, as the client wrote them.
std::vector<std::string> parameters_of(std::string_view argument) {
  bool quoted = false;
  std::size_t at = argument.find('<');
  for (; at < argument.size(); ++at) {
    if (quoted && argument[at] == '\\') {
      ++at;
    } else if (argument[at] == '"') {
      quoted = !quoted;
    } else if (argument[at] == '>' && !quoted) {
      break;
    }
  }
  std::vector<std::string> out;
  argument.remove_prefix(std::min(argument.size(), at == argument.npos ? argument.size() : at + 1));
  while (!argument.empty()) {
    const auto end = std::min(argument.find(' '), argument.size());
    if (end > 0) out.push_back(in_ascii(argument.substr(0, end)));
    argument.remove_prefix(std::min(argument.size(), end + 1));
  }
  return out;
}

/// What stands between the angle brackets.
std::string path_of(std::string_view argument) {
  const auto begin = argument.find('<');
  const auto end = argument.find('>');
  if (begin == argument.npos || end == argument.npos || end < begin) return {};
  return in_ascii(argument.substr(begin + 1, end - begin - 1));
}

}  // namespace

std::optional<Reply> milter_refusal(const DialogResponse& response) {
  auto refusal = filter_refusal(response.decision(), response.reply());
  if (refusal && response.close()) refusal->code = 421;
  return refusal;
}

/// Says what a milter wants the client to hear.
void Session::refuse(const Reply& refusal, bool close) {
  if (refusal.code >= 500) ++errors_;
  site_->probe.command(verb_, refusal.code);
  append_reply_lines(connection_.output(), refusal);
  ended_ = ended_ || close;
}

Task<DialogResponse> Session::open_milters(Deadline deadline) {
  const auto& stream = connection_.stream();
  filter::v1::DialogConnect connect;
  connect.set_listener(std::string(listener()));
  connect.set_client_address(stream.remote().address().to_string());
  connect.set_client_port(stream.remote().port());
  connect.set_server_address(stream.local().address().to_string());
  connect.set_server_port(stream.local().port());
  connect.set_receiving_host(site_->policy.hostname);
  connect.set_daemon_name(door_->name);
  DialogResponse answer;
  auto opened = co_await MilterDialog::open(site_->milters, std::move(connect), deadline, answer);
  if (opened.has_error()) {
    if (opened.error().code() != ErrorCode::kUnimplemented) co_return std::move(opened).error();
    milters_over_ = true;  // a filter of a release that knows no milters
    co_return DialogResponse();
  }
  milters_ = *std::move(opened);
  leave_milters_if_over();
  co_return answer;
}

/// Where nobody wants to hear anything more in this connection, nobody is told.
void Session::leave_milters_if_over() {
  if (!milters_ || !milters_->over()) return;
  milters_.reset();
  milters_over_ = true;
}

/// Before the greeting. Says what a milter wants said in its place, and returns false then. Milters that cannot be
/// asked now are asked at MAIL.
Task<bool> Session::milters_greet() {
  const auto known = site_->milter_watch.about(listener());
  if (known == MilterWatch::Known::kNone) co_return true;
  const bool maybe = known == MilterWatch::Known::kUnknown;
  const auto deadline = maybe ? Deadline::after(kGreetingOfMaybe) : Deadline::after(kGreeting);
  const auto answer = co_await open_milters(deadline);
  if (answer.has_error()) co_return true;
  auto refusal = milter_refusal(*answer);
  if (!refusal) co_return true;
  milters_.reset();
  refused_ = true;  // RFC 5321 3.1: until it says QUIT
  const bool later = refusal->code < 500;
  if (later) refusal->code = 421;  // RFC 5321 4.3.2: the only greeting of that class, and the end of the connection
  refuse(*refusal, answer->close() || later);
  co_return false;
}

/// Says what a milter wants said, and returns false then.
Task<bool> Session::milters_hello(const std::string& name, bool esmtp) {
  if (!milters_ || !milters_->wants(filter::v1::DIALOG_EVENT_HELLO)) co_return true;
  const auto tls = connection_.stream().tls_info();
  DialogRequest request;
  auto& hello = *request.mutable_hello();
  hello.set_name(name);
  hello.set_esmtp(esmtp);
  hello.set_tls_version(tls.version);
  hello.set_cipher(tls.cipher);
  hello.set_cipher_bits(tls.bits);
  const auto answer = co_await milters_->say(std::move(request));
  if (answer.has_error()) {
    milters_.reset();  // MAIL tries again
    co_return true;
  }
  leave_milters_if_over();
  const auto refusal = milter_refusal(*answer);
  if (refusal) refuse(*refusal, answer->close());
  co_return !refusal;
}

/// A stream that is not there at MAIL is opened, and told what it has missed. Replies and returns false when that does
/// not go well.
Task<bool> Session::reach_milters() {
  const auto answer = co_await open_milters(Deadline::after(kGreeting));
  if (answer.has_error()) {
    if (!door_->accept_unfiltered) reply(milters_away());
    co_return door_->accept_unfiltered;
  }
  if (const auto refusal = milter_refusal(*answer)) {
    milters_.reset();
    refuse(*refusal, answer->close());
    co_return false;
  }
  MERPATI_CO_TRY(const bool passes, co_await milters_hello(helo_, esmtp_));
  if (!passes) milters_.reset();  // the next MAIL tells it all again
  co_return passes;
}

/// The stream has broken. Returns whether mail may go on without milters; a transaction that was in their hands keeps
/// it.
bool Session::lose_milters(Transaction* transaction, const Error& error) {
  static log::Seldom seldom;
  seldom.warning("smtp_milters_lost", error.describe(), {{"trace_id", transaction ? transaction->trace_id : ""}});
  const bool goes_on = milters_->accept_when_lost();
  milters_.reset();
  if (transaction && transaction->milters == State::kInDialog)
    transaction->milters = goes_on ? State::kSettled : State::kLost;
  return goes_on;
}

/// The same where a reply is due: it is said when mail must not go on.
bool Session::go_on_without_milters(Transaction& transaction, const Error& error) {
  if (lose_milters(&transaction, error)) return true;
  reply(milters_away());
  return false;
}

Reply Session::milters_away() { return {451, "4.7.1", "Service unavailable, try again later"}; }

/// What an answer within a transaction leads to. Replies and returns false when it is a refusal.
bool Session::milters_said(Transaction& transaction, const DialogResponse& answer) {
  if (answer.decision() == filter::v1::DECISION_DISCARD) {
    transaction.discarded_by = "by the milter " + answer.milter();
    transaction.milters = State::kSettled;
    return true;
  }
  const auto refusal = milter_refusal(answer);
  if (refusal) refuse(*refusal, answer.close());
  return !refusal;
}

/// A transaction begins. Replies and returns false when a milter does not want it, or cannot say and must.
Task<bool> Session::milters_mail(Transaction& transaction, std::string_view argument) {
  const auto known = site_->milter_watch.about(listener());
  if (!milters_ && !milters_over_ && known != MilterWatch::Known::kNone) {
    MERPATI_CO_TRY(const bool reached, co_await reach_milters());
    if (!reached) co_return false;
    if (!milters_ && !milters_over_) {  // away, or lost again at once
      if (!door_->accept_unfiltered) reply(milters_away());
      co_return door_->accept_unfiltered;
    }
  }
  if (milters_over_) transaction.milters = State::kSettled;
  if (!milters_) co_return true;
  DialogRequest request;
  auto& mail = *request.mutable_mail();
  mail.set_delivery_id(transaction.id);
  mail.set_trace_id(transaction.trace_id);
  mail.set_reverse_path(transaction.reverse_path);
  for (auto& parameter : parameters_of(argument)) mail.add_parameters(std::move(parameter));
  if (login_) {
    mail.set_authenticated_address(login_->address);
    mail.set_mechanism(login_->mechanism);
  }
  transaction.milters = State::kInDialog;
  const auto answer = co_await milters_->say(std::move(request));
  if (answer.has_error()) co_return go_on_without_milters(transaction, answer.error());
  leave_milters_if_over();
  if (milters_over_) transaction.milters = State::kSettled;
  co_return milters_said(transaction, *answer);
}

/// What an event of the transaction comes to where no milter is asked; it replies when that is no. None: they are
/// asked.
std::optional<bool> Session::passes_unasked(filter::v1::DialogEvent event) {
  const auto state = transaction_->milters;
  if (state == State::kLost) reply(milters_away());
  if (state != State::kInDialog) return state != State::kLost;
  if (!milters_->wants(event)) return true;
  return std::nullopt;
}

/// Replies and returns false when a milter does not want this recipient.
Task<bool> Session::milters_recipient(std::string_view argument, const EnvelopeRecipient& recipient) {
  auto& transaction = *transaction_;
  if (const auto passes = passes_unasked(filter::v1::DIALOG_EVENT_RECIPIENT)) co_return *passes;
  milters_know_recipient_ = true;
  DialogRequest request;
  auto& told = *request.mutable_recipient();
  told.set_recipient(recipient.address);
  told.set_local(recipient.local != nullptr);
  for (auto& parameter : parameters_of(argument)) told.add_parameters(std::move(parameter));
  const auto answer = co_await milters_->say(std::move(request));
  if (answer.has_error()) co_return go_on_without_milters(transaction, answer.error());
  co_return milters_said(transaction, *answer);
}

/// A recipient that is refused already, for milters that count them.
Task<void> Session::milters_refused_recipient(std::string_view argument) {
  DialogRequest request;
  auto& told = *request.mutable_recipient();
  told.set_recipient(path_of(argument));
  for (auto& parameter : parameters_of(argument)) told.add_parameters(std::move(parameter));
  told.mutable_refused()->set_code(last_refusal_.code);
  told.mutable_refused()->set_enhanced(last_refusal_.enhanced);
  told.mutable_refused()->set_text(last_refusal_.text);
  const auto answer = co_await milters_->say(std::move(request));
  if (answer.has_error()) lose_milters(transaction_.get(), answer.error());
  co_return Result<void>();
}

/// Replies and returns false when a milter does not want the message to come.
Task<bool> Session::milters_data() {
  auto& transaction = *transaction_;
  if (const auto passes = passes_unasked(filter::v1::DIALOG_EVENT_DATA)) co_return *passes;
  DialogRequest request;
  request.mutable_data();
  const auto answer = co_await milters_->say(std::move(request));
  if (answer.has_error()) co_return go_on_without_milters(transaction, answer.error());
  co_return milters_said(transaction, *answer);
}

/// A command that nobody knows: a milter may have an answer of its own.
Task<bool> Session::milters_unknown(std::string_view line) {
  if (!milters_ || !milters_->wants(filter::v1::DIALOG_EVENT_UNKNOWN)) co_return true;
  DialogRequest request;
  request.mutable_unknown()->set_line(in_ascii(line));
  const auto answer = co_await milters_->say(std::move(request));
  if (answer.has_error()) {
    lose_milters(transaction_.get(), answer.error());
    co_return true;
  }
  const auto refusal = milter_refusal(*answer);
  if (refusal) refuse(*refusal, answer->close());
  co_return !refusal;
}

/// A transaction has ended without its message.
asio::awaitable<void> Session::milters_abort() {
  milters_abort_ = false;
  if (!milters_) co_return;
  const auto told = co_await milters_->abort();
  if (told.has_error()) milters_.reset();
}

}  // namespace merpati::smtp
