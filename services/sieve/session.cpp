#include "sieve/session.hpp"

#include "merpati/base/ids.hpp"
#include "merpati/edge/sasl.hpp"
#include "merpati/runtime/log.hpp"
#include "merpati/runtime/seldom.hpp"
#include "merpati/runtime/span.hpp"
#include "sieve/commands.hpp"

namespace merpati::managesieve {
namespace {

constexpr unsigned kMostCommandsBeforeLogin = 50;
// Two quoted strings of 1024 octets, each octet behind a "\", and what surrounds them.
constexpr std::size_t kLongestLine = 8 * 1024;
// SASL sets no bound; RFC 4954 4 names this one for the same exchange in SMTP.
constexpr std::size_t kLongestAnswer = 12'288;
// From the first octet of a command to its last one.
constexpr auto kSlowWriter = std::chrono::minutes(2);

}  // namespace

Session::Session(net::Stream stream, std::shared_ptr<const Door> door, std::shared_ptr<Site> site)
    : net::Session(std::move(stream)),
      door_(std::move(door)),
      site_(std::move(site)),
      id_(new_uuid()),
      began_(std::chrono::steady_clock::now()),
      state_began_(began_),
      last_input_(began_) {}

asio::awaitable<void> Session::run() {
  site_->probe.session_began();
  auto ended = co_await converse();
  auto flushed = co_await connection_.flush(Deadline::after(std::chrono::seconds(10)));
  static_cast<void>(flushed);
  site_->probe.session_ended();
  log::info("sieve_session_ended", ended.has_error() ? ended.error().message() : std::string("closed"),
            {{"session_id", id_},
             {"client", connection_.stream().remote().address().to_string()},
             {"account_id", login_ ? login_->account() : 0},
             {"seconds", std::chrono::duration<double>(std::chrono::steady_clock::now() - began_).count()}});
}

Task<void> Session::converse() {
  connection_.set_write_timeout(site_->settings.idle_timeout);
  write_capabilities();
  ok(site_->settings.hostname + " ManageSieve ready");
  while (!ending_) {
    MERPATI_CO_CHECK(co_await wait_for_command());
    if (ending_) break;
    MERPATI_CO_CHECK(co_await next_command());
    MERPATI_CO_CHECK(co_await relieve());
  }
  co_return Result<void>();
}

Task<void> Session::relieve() {
  if (connection_.output_size() <= net::Connection::kFlushAbove) co_return Result<void>();
  co_return co_await connection_.flush(Deadline::after(site_->settings.idle_timeout));
}

bool Session::is_too_old() const {
  const auto most = site_->settings.session_timeout;
  return most.count() > 0 && std::chrono::steady_clock::now() - began_ > most;
}

Deadline Session::input_deadline() const {
  // Before the login commands do not prolong the wait.
  if (!login_) return Deadline(state_began_ + site_->settings.login_timeout);
  return Deadline(last_input_ + site_->settings.idle_timeout);
}

Deadline Session::read_deadline() const {
  const auto slow = Deadline::after(kSlowWriter);
  return login_ ? slow : slow.earlier(input_deadline());
}

ReadLimits Session::limits() const {
  return login_ ? ReadLimits{kLongestLine, site_->settings.max_script} : ReadLimits{kLongestAnswer, kLongestAnswer};
}

Task<void> Session::wait_for_command() {
  for (;;) {
    if (draining()) {
      bye("the server is going away, please connect again", ResponseCode::kTryLater);
      co_return Result<void>();
    }
    if (login_) {
      const auto deadline = Deadline::after(site_->settings.call_timeout);
      if (edge::is_login_over(co_await login_->keep_fresh(site_->auth, site_->revocations, deadline))) {
        bye("the login has ended, please log in again");
        co_return Result<void>();
      }
    }
    if (is_too_old()) {
      bye("the session has lasted too long, please connect again");
      co_return Result<void>();
    }
    if (connection_.buffered() > 0) co_return Result<void>();
    const auto deadline = input_deadline();
    auto waited = co_await connection_.wait_for_input(login_ ? deadline.within(edge::Login::kLook) : deadline);
    if (!waited.has_error()) co_return Result<void>();
    if (waited.error().code() == ErrorCode::kCancelled && draining()) continue;
    if (waited.error().code() != ErrorCode::kDeadlineExceeded) co_return std::move(waited).error();
    if (!deadline.passed()) continue;
    bye(login_ ? "idle for too long" : "no login for too long");
    co_return Result<void>();
  }
}

Task<void> Session::next_command() {
  auto read = co_await read_text(connection_, limits(), site_->in_flight, read_deadline());
  if (read.has_error()) {
    if (read.error().code() != ErrorCode::kResourceExhausted) co_return std::move(read).error();
    bye("the line has no end");
    co_return Result<void>();
  }
  last_input_ = std::chrono::steady_clock::now();
  if (!login_ && ++commands_before_login_ > kMostCommandsBeforeLogin) {
    bye("too many commands before the login");
    co_return Result<void>();
  }
  if (read->text.has_value()) co_return co_await handle(*std::move(read->text));
  const auto& error = read->text.error();
  const bool large = error.code() == ErrorCode::kResourceExhausted;
  const auto code = read->busy ? ResponseCode::kTryLater : large ? ResponseCode::kQuotaMaxSize : ResponseCode::kNone;
  if (read->lost) {
    bye(error.public_text(), code);
  } else {
    no(error.public_text(), code);
    if (!read->busy) count_error();
  }
  co_return Result<void>();
}

Task<ReadText> Session::read_answer() {
  const auto deadline = Deadline(state_began_ + site_->settings.login_timeout);
  co_return co_await read_text(connection_, {kLongestAnswer, kLongestAnswer}, site_->in_flight, deadline);
}

Task<void> Session::handle(std::string text) {
  auto command = parse_command(text);
  if (command.has_error()) {
    no(command.error().public_text());
    count_error();
    co_return Result<void>();
  }
  text = {};  // the command has its own copy of the script
  const auto start = std::chrono::steady_clock::now();
  trace_ = runtime::begin_sampled_trace();
  auto span = runtime::Span::root(to_string(command->verb), runtime::SpanKind::kServer, trace_);
  span.attribute("network.protocol.name", "managesieve");
  said_no_ = false;
  auto done = co_await dispatch(*command);
  site_->probe.command(static_cast<std::size_t>(command->verb), !said_no_ && !done.has_error(),
                       std::chrono::steady_clock::now() - start);
  co_return done;
}

Task<void> Session::dispatch(const Command& command) {
  const auto& row = command_row(command.verb);
  if (!(login_ ? row.after_login : row.before_login)) {
    no(login_ ? "you are logged in already" : "log in first");
    count_error();
    co_return Result<void>();
  }
  co_return co_await row.run(*this, command);
}

void Session::log_in(edge::Login login) {
  login_.emplace(std::move(login));
  errors_ = 0;
}

void Session::log_out() {
  login_.reset();
  state_began_ = std::chrono::steady_clock::now();
  commands_before_login_ = 0;
}

void Session::no(std::string_view text, ResponseCode code) {
  said_no_ = true;
  append_response(out(), Condition::kNo, code, text);
}

void Session::no(const Error& error) {
  if (error.code() == ErrorCode::kUnauthenticated) return bye("the login has ended, please log in again");
  said_no_ = true;
  append_response(out(), Condition::kNo, error);
  static log::Seldom seldom;
  if (response_code(error) == ResponseCode::kTryLater)
    seldom.warning("sieve_command_failed", error.describe(), {{"session_id", id_}});
}

void Session::bye(std::string_view text, ResponseCode code) {
  if (ending_) return;
  said_no_ = true;
  ending_ = true;
  append_response(out(), Condition::kBye, code, text);
}

void Session::count_error() {
  if (++errors_ >= site_->settings.max_errors) bye("too many errors");
}

bool Session::too_many_failed_logins() {
  if (++failed_logins_ < site_->settings.max_failed_logins) return false;
  bye("too many failed logins");
  return true;
}

bool Session::allows_plaintext() const {
  if (is_tls()) return true;
  return door_->plaintext_login_from_loopback && net::unmapped(connection_.stream().remote().address()).is_loopback();
}

auth::v1::ClientInfo Session::client_info() const {
  return edge::client_info(connection_.stream(), "sieve", door_->proxies);
}

}  // namespace merpati::managesieve
