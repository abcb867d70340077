#include "smtp/session.hpp"

#include "merpati/runtime/log.hpp"
#include "merpati/runtime/seldom.hpp"

namespace merpati::smtp {
namespace {

// RFC 4954 4: an AUTH line may have 12288 octets, more than any other command with its parameters.
constexpr std::size_t kLongestLine = 12'288;

}  // namespace

Session::Session(net::Stream stream, std::shared_ptr<Site> site, std::shared_ptr<const Door> door)
    : net::Session(std::move(stream)), site_(std::move(site)), door_(std::move(door)) {
  session_end_ = Deadline::after(site_->policy.session_timeout);
  site_->probe.sessions(1);
}

Session::~Session() { site_->probe.sessions(-1); }

asio::awaitable<void> Session::run() {
  auto served = co_await serve();
  if (served.has_error() && served.error().code() == ErrorCode::kDeadlineExceeded)
    goodbye(421, "4.4.2", "Timeout, closing");
  if (connection_.output_size() > 0) {
    auto flushed = co_await connection_.flush(Deadline::after(std::chrono::seconds(10)));
  }
  if (served.has_error()) {
    log::debug("smtp_session_ended", served.error().message(),
               {{"client", connection_.stream().remote().address().to_string()}});
  }
}

/// Until QUIT, an end of the connection, or a limit.
Task<void> Session::serve() {
  connection_.set_write_timeout(site_->policy.command_timeout);
  MERPATI_CO_TRY(const bool welcome, co_await milters_greet());
  if (welcome) reply(220, "", site_->policy.hostname + " ESMTP Merpati");
  while (!ended_) {
    MERPATI_CO_TRY(const auto line, co_await next_line());
    if (!line) continue;
    if (line->end == net::LineEnd::kLf) {
      verb_ = Verb::kUnknown;
      reply(500, "5.5.2", "Lines end with CRLF");
    } else {
      const auto begun = std::chrono::steady_clock::now();
      auto done = co_await dispatch(line->text);
      site_->probe.command_took(verb_, std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count());
      MERPATI_CO_CHECK(std::move(done));
      if (milters_abort_) co_await milters_abort();
    }
    if (!ended_ && errors_ > site_->policy.max_errors) goodbye(421, "4.7.0", "Too many errors");
  }
  co_return Result<void>();
}

/// The next command line; none when the session ends, or when there was a line that is no use.
Task<std::optional<net::Line>> Session::next_line() {
  // A transaction in hand is finished before a drain says goodbye.
  if (draining() && !transaction_) {
    goodbye(421, "4.3.2", "Shutting down, try again");
    co_return std::nullopt;
  }
  if (session_end_.passed()) {
    goodbye(421, "4.4.2", "Session too long");
    co_return std::nullopt;
  }
  const auto deadline = session_end_.within(site_->policy.command_timeout);
  if (connection_.buffered() == 0) {
    auto ready = co_await connection_.wait_for_input(deadline);
    if (ready.has_error()) {
      if (ready.error().code() == ErrorCode::kCancelled && draining() && connection_.stream().is_open())
        co_return std::nullopt;
      co_return std::move(ready).error();
    }
  }
  auto line = co_await connection_.read_line(kLongestLine, deadline);
  if (line.has_value()) co_return *line;
  if (line.error().code() == ErrorCode::kResourceExhausted) {
    goodbye(421, "4.5.2", "Line without an end");
    co_return std::nullopt;
  }
  if (line.error().code() != ErrorCode::kOutOfRange) co_return std::move(line).error();
  verb_ = Verb::kUnknown;
  reply(500, "5.5.2", "Line too long");
  co_return std::nullopt;
}

Task<void> Session::dispatch(std::string_view text) {
  // A view of the input dies at the next read, and commands read.
  const std::string line(text);
  const auto [verb, argument] = split_command(line);
  verb_ = verb;
  if (refused_ && verb != Verb::kQuit) {
    reply(503, "5.5.1", "The connection was refused");  // RFC 5321 3.1
    co_return Result<void>();
  }
  switch (verb) {
    case Verb::kHelo:
    case Verb::kEhlo:
      co_return co_await cmd_hello(verb, argument);
    case Verb::kMail:
      co_return co_await cmd_mail(argument);
    case Verb::kRcpt:
      co_return co_await cmd_rcpt(argument);
    case Verb::kData:
      co_return co_await cmd_data(argument);
    case Verb::kBdat:
      co_return co_await cmd_bdat(argument);
    case Verb::kStartTls:
      co_return co_await cmd_starttls(argument);
    case Verb::kAuth:
      co_return co_await cmd_auth(argument);
    case Verb::kRset:
      reset();
      reply(250, "2.0.0", "Ok");
      break;
    case Verb::kNoop:
      reply(250, "2.0.0", "Ok");
      break;
    case Verb::kQuit:
      goodbye(221, "2.0.0", "Bye");
      break;
    case Verb::kHelp:
      reply(214, "2.0.0", "See RFC 5321");
      break;
    // RFC 5321 3.5.3: 252 tells nothing about who exists.
    case Verb::kVrfy:
      reply(252, "2.5.0", "Try to send a message");
      break;
    case Verb::kExpn:
      reply(502, "5.5.1", "Not implemented");
      break;
    case Verb::kUnknown: {
      MERPATI_CO_TRY(const bool ours, co_await milters_unknown(line));
      if (ours) reply(500, "5.5.2", "Unknown command");
      break;
    }
  }
  co_return Result<void>();
}

void Session::reply(int code, std::string_view enhanced, std::string_view text) {
  if (code >= 500) ++errors_;
  site_->probe.command(verb_, code);
  append_reply(connection_.output(), code, enhanced, text);
  if (code >= 400 && milters_ && milters_->wants(filter::v1::DIALOG_EVENT_REFUSED_RECIPIENT))
    last_refusal_ = {code, std::string(enhanced), std::string(text)};
}

void Session::reply(const Reply& given) { reply(given.code, given.enhanced, given.text); }

void Session::reply_error(const Error& error) {
  const auto answer = reply_for(error);
  if (!answer.permanent()) log_failure(error);
  reply(answer);
}

void Session::log_failure(const Error& error) const {
  static log::Seldom seldom;
  seldom.warning("smtp_backend_failed", error.describe(),
                 {{"trace_id", transaction_ ? transaction_->trace_id : std::string()}, {"command", to_string(verb_)}});
}

void Session::goodbye(int code, std::string_view enhanced, std::string_view text) {
  append_reply(connection_.output(), code, enhanced,
               code == 421 ? site_->policy.hostname + " " + std::string(text) : std::string(text));
  ended_ = true;
}

/// Back to the state after EHLO.
void Session::reset() {
  if (transaction_ && transaction_->milters == Transaction::Milters::kInDialog) milters_abort_ = true;
  transaction_.reset();
  incoming_.reset();
}

Deadline Session::call_deadline() const { return Deadline::after(std::chrono::seconds(30)); }

rpc::CallOptions Session::call_options(std::int64_t account_id) const {
  rpc::CallOptions options;
  options.deadline = call_deadline();
  options.account_id = account_id;
  if (transaction_) options.trace_id = transaction_->trace_id;
  return options;
}

Offered Session::offered() const {
  return {.max_size = site_->policy.max_message_size,
          .smtputf8 = esmtp_,
          .binarymime = esmtp_,
          .dsn = false,
          .auth = may_login() || login_ != nullptr};
}

filter::v1::Transaction Session::filter_transaction() const {
  filter::v1::Transaction out;
  const auto& stream = connection_.stream();
  out.set_client_address(stream.remote().address().to_string());
  out.set_helo(helo_);
  out.set_esmtp(esmtp_);
  out.set_tls(stream.is_tls());
  out.set_listener(std::string(listener()));
  out.set_receiving_host(site_->policy.hostname);
  if (login_) {
    out.set_authenticated_account_id(login_->account_id);
    out.set_authenticated_address(login_->address);
  }
  if (transaction_) {
    out.set_delivery_id(transaction_->id);
    out.set_trace_id(transaction_->trace_id);
    out.set_reverse_path(transaction_->reverse_path);
    out.set_body_type(std::string(to_string(transaction_->mail.body)));
    out.set_smtputf8(transaction_->mail.smtputf8);
  }
  return out;
}

}  // namespace merpati::smtp
