#include "pop3/session.hpp"

#include "merpati/base/ids.hpp"
#include "merpati/edge/sasl.hpp"
#include "merpati/runtime/log.hpp"
#include "merpati/runtime/seldom.hpp"
#include "merpati/runtime/span.hpp"
#include "pop3/commands.hpp"

namespace merpati::pop3 {

Session::Session(net::Stream stream, std::shared_ptr<const ListenerPolicy> policy, std::shared_ptr<Edge> edge)
    : net::Session(std::move(stream)),
      policy_(std::move(policy)),
      edge_(std::move(edge)),
      id_(new_uuid()),
      began_(std::chrono::steady_clock::now()),
      last_input_(began_) {}

asio::awaitable<void> Session::run() {
  edge_->probe.session_began();
  auto ended = co_await converse();
  if (maildrop_) {
    // No QUIT, no deletion; but the next session need not wait for the lease's end.
    auto given = co_await maildrop_->give_back(*edge_);
    if (given.has_error()) give_back_later(edge_, *maildrop_);
  } else if (doubtful_login_) {
    give_back_later(edge_, std::move(*doubtful_login_), id_);
  }
  auto flushed = co_await connection_.flush(Deadline::after(std::chrono::seconds(10)));
  static_cast<void>(flushed);
  edge_->probe.session_ended();
  log::info("pop3_session_ended", ended.has_error() ? ended.error().message() : std::string("closed"),
            {{"session_id", id_},
             {"client", connection_.stream().remote().address().to_string()},
             {"account_id", maildrop_ ? maildrop_->account() : 0},
             {"quit", quitting_},
             {"seconds", std::chrono::duration<double>(std::chrono::steady_clock::now() - began_).count()}});
}

Task<void> Session::converse() {
  connection_.set_write_timeout(edge_->settings.idle_timeout);
  // No "<...>" in the greeting: that would offer APOP (RFC 1939 7).
  say_ok(edge_->settings.hostname + " POP3 server ready");
  while (!ending_) {
    MERPATI_CO_CHECK(co_await wait_for_command());
    if (ending_) break;
    const auto limit = in_transaction() ? kMaxCommandLine : kMaxAuthLine;
    auto line = co_await connection_.read_line(limit, input_deadline());
    if (line.has_error()) {
      const bool endless = line.error().code() == ErrorCode::kResourceExhausted;
      if (!endless && line.error().code() != ErrorCode::kOutOfRange) co_return std::move(line).error();
      say_err(endless ? "the line has no end" : "the line is too long");
      if (endless) end_soon();
      count_error();
      continue;
    }
    last_input_ = std::chrono::steady_clock::now();
    MERPATI_CO_CHECK(co_await handle(std::string(line->text)));
    MERPATI_CO_CHECK(co_await relieve());
  }
  co_return Result<void>();
}

Task<void> Session::relieve() {
  if (connection_.output_size() <= net::Connection::kFlushAbove) co_return Result<void>();
  co_return co_await connection_.flush(Deadline::after(edge_->settings.idle_timeout));
}

bool Session::is_too_old() const {
  const auto most = edge_->settings.session_timeout;
  return most.count() > 0 && std::chrono::steady_clock::now() - began_ > most;
}

Deadline Session::input_deadline() const {
  // Before the login the time runs from the connection, and commands do not prolong it.
  if (!maildrop_) return Deadline(began_ + edge_->settings.login_timeout);
  return Deadline(last_input_ + edge_->settings.idle_timeout);
}

Task<void> Session::wait_for_command() {
  for (;;) {
    if (maildrop_) {
      auto kept = co_await maildrop_->keep(*edge_);
      if (kept.has_error()) {
        say_err(kept.error(), ErrorSite::kMaildrop);
        end_soon();
        co_return Result<void>();
      }
    }
    if (is_too_old()) {
      say_err("the session has lasted too long; nothing was deleted", ResponseCode::kSysTemp);
      end_soon();
      co_return Result<void>();
    }
    if (connection_.has_line()) co_return Result<void>();
    auto deadline = input_deadline();
    if (maildrop_) deadline = deadline.earlier(Deadline(maildrop_->keep_at()));
    auto waited = co_await connection_.wait_for_input(deadline);
    if (!waited.has_error()) co_return Result<void>();
    if (waited.error().code() == ErrorCode::kCancelled && draining()) {
      say_err("shutting down, come back soon; nothing was deleted", ResponseCode::kSysTemp);
      end_soon();
      co_return Result<void>();
    }
    // RFC 1939 3: the autologout closes the connection without a word and removes nothing.
    if (waited.error().code() != ErrorCode::kDeadlineExceeded || input_deadline().passed())
      co_return std::move(waited).error();
  }
}

Task<std::string> Session::read_line() {
  auto line = co_await connection_.read_line(kMaxAuthLine, input_deadline());
  if (line.has_error()) co_return std::move(line).error();
  co_return std::string(line->text);
}

Task<void> Session::handle(std::string line) {
  auto command = parse_command(line);
  if (command.has_error()) {
    say_err(command.error().public_text());
    count_error();
    co_return Result<void>();
  }
  const auto start = std::chrono::steady_clock::now();
  const auto trace = runtime::begin_sampled_trace();
  auto span = runtime::Span::root(to_string(command->verb), runtime::SpanKind::kServer, trace);
  span.attribute("network.protocol.name", "pop3");
  if (maildrop_) maildrop_->set_trace(trace);
  said_err_ = false;
  auto done = co_await dispatch(*command);
  edge_->probe.command(command->verb, !said_err_ && !done.has_error(), std::chrono::steady_clock::now() - start);
  co_return done;
}

Task<void> Session::dispatch(const Command& command) {
  const auto& row = command_row(command.verb);
  if (!(in_transaction() ? row.in_transaction : row.in_authorization)) {
    say_err(in_transaction() ? "you are logged in already" : "log in first");
    count_error();
    co_return Result<void>();
  }
  co_return co_await row.run(*this, command);
}

void Session::say_err(std::string_view text, ResponseCode code) {
  said_err_ = true;
  connection_.write(err(text, code));
}

void Session::say_err(const Error& error, ErrorSite site) {
  said_err_ = true;
  connection_.write(err(error, site));
  const auto code = response_code(error, site);
  static log::Seldom seldom;
  if (code == ResponseCode::kSysTemp || code == ResponseCode::kSysPerm)
    seldom.warning("pop3_command_failed", error.describe(), {{"session_id", id_}, {"code", to_string(code)}});
}

void Session::count_error() {
  if (++errors_ < edge_->settings.max_errors) return;
  say_err("too many errors");
  end_soon();
}

void Session::count_failed_login() {
  if (++failed_logins_ < edge_->settings.max_failed_logins) return;
  end_soon();
}

bool Session::allows_plaintext() const {
  if (is_tls()) return true;
  return policy_->plaintext_login_from_loopback && net::unmapped(connection_.stream().remote().address()).is_loopback();
}

auth::v1::ClientInfo Session::client_info() const {
  return edge::client_info(connection_.stream(), "pop3", policy_->proxies);
}

}  // namespace merpati::pop3
