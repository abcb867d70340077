#include "imap/session.hpp"

#include <algorithm>

#include "imap/command_reader.hpp"
#include "imap/convert.hpp"
#include "imap/dispatch.hpp"
#include "imap/pending_reply.hpp"
#include "merpati/auth/v1/auth.pb.h"
#include "merpati/auth/v1/auth.rpc.hpp"
#include "merpati/imap/error_response.hpp"
#include "merpati/imap/mailbox_name.hpp"
#include "merpati/mime/charset.hpp"
#include "merpati/runtime/log.hpp"
#include "merpati/runtime/span.hpp"

namespace merpati::imap {
namespace {

constexpr unsigned kMostCommandsBeforeLogin = 50;
constexpr std::size_t kPendingAppends = 32;  // each may hold a small message
constexpr std::size_t kPendingStatuses = 128;
constexpr auto kHousekeeping = std::chrono::minutes(4);
constexpr std::size_t kSmallLine = 8 * 1024;  // before the login

// From the first octet of a command to its end, for each wait.
constexpr auto kSlowWriter = std::chrono::minutes(2);

// A range with '*' whose other end exists also means messages that arrived since the last announcement: its end stays
// open.
Ranges resolve_uids(const SequenceSet& set, std::uint32_t largest) {
  Ranges ranges;
  for (const auto& [first, last] : set.elements()) {
    const std::uint32_t number = std::max(first, last);
    if (first != 0 && last != 0) {
      ranges.push_back({std::min(first, last), number});
    } else if (number != 0 && number <= largest) {
      ranges.push_back({number, 0xffffffffU});
    } else if (largest != 0) {
      ranges.push_back({largest, std::max(number, largest)});
    }
  }
  normalize(ranges);
  return ranges;
}

// A backend that is down is no reason yet: the token is good until it ends.
bool is_login_over(const Result<void>& fresh) {
  return fresh.has_error() && fresh.error().code() == ErrorCode::kUnauthenticated;
}

Reply from_error(const Error& error) {
  auto response = to_response(error);
  if (response.code == "SERVERBUG" || response.code == "CORRUPTION") {
    log::error("imap_command_failed", "a command failed for an internal reason", {{"error", error.describe()}});
  }
  return {response.condition == "BAD" ? Reply::Condition::kBad : Reply::Condition::kNo, std::move(response.code),
          std::move(response.text)};
}

}  // namespace

Session::Session(net::Stream stream, LoopState& loop, ListenerTraits listener)
    : net::Session(std::move(stream)), loop_(loop), listener_(listener), began_(std::chrono::steady_clock::now()) {
  connection_.set_write_timeout(loop.options.write_timeout);
  loop.probe.sessions.add(1);
  loop.probe.connections.add();
}

Session::~Session() { loop_.probe.sessions.add(-1); }

asio::awaitable<void> Session::run() {
  greet();
  co_await serve();
  pending_.clear();
  selected_.reset();
  co_await connection_.flush(Deadline::after(std::chrono::seconds(5)));
}

asio::awaitable<void> Session::serve() {
  while (state_ != State::kLogout) {
    const auto done = co_await next_command();
    if (done.has_value()) continue;
    if (done.error().code() == ErrorCode::kDeadlineExceeded) {
      bye(state_ == State::kNotAuthenticated ? "No login for too long" : "Idle for too long");
    } else if (done.error().code() == ErrorCode::kUnauthenticated) {
      bye("The login has ended, please log in again");
    } else if (done.error().code() == ErrorCode::kResourceExhausted || done.error().code() == ErrorCode::kOutOfRange) {
      bye("Too much input");
    }
    co_return;
  }
}

Deadline Session::command_deadline() const {
  if (state_ == State::kNotAuthenticated)
    return Deadline(began_ + std::chrono::duration_cast<SteadyTime::duration>(options().login_timeout));
  auto deadline = Deadline::after(options().idle_timeout);
  if (options().session_timeout.count() > 0) {
    deadline = deadline.earlier(
        Deadline(began_ + std::chrono::duration_cast<SteadyTime::duration>(options().session_timeout)));
  }
  return deadline;
}

Task<void> Session::wait_for_command(Deadline deadline) {
  for (;;) {
    const auto ready = co_await connection_.wait_for_input(deadline.within(kHousekeeping));
    if (ready.has_value()) co_return ready;
    const auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none) co_return ready;
    // A wake-up that was meant for an IDLE, or a drain: the caller looks.
    if (ready.error().code() == ErrorCode::kCancelled) co_return Result<void>();
    if (ready.error().code() != ErrorCode::kDeadlineExceeded || deadline.passed()) co_return ready;
    // An expired token cannot be renewed, so a silent session keeps its own alive.
    const auto fresh = co_await keep_token_fresh();
    if (is_login_over(fresh)) co_return fresh;
  }
}

Task<void> Session::next_command() {
  if (!connection_.has_line() && !pending_.empty()) MERPATI_CO_CHECK(co_await finish_pending(0));
  if (draining()) {
    MERPATI_CO_CHECK(co_await finish_pending(0));
    bye("Server is going away, please connect again");
    co_return Result<void>();
  }
  if (connection_.buffered() == 0) {
    MERPATI_CO_CHECK(co_await wait_for_command(command_deadline()));
    if (draining()) co_return Result<void>();
  }
  const bool small = state_ == State::kNotAuthenticated;
  const ReadLimits limits{small ? std::min(kSmallLine, options().max_line) : options().max_line,
                          small ? std::min(kSmallLine, options().max_literals) : options().max_literals};
  MERPATI_CO_TRY(auto read, co_await read_command(connection_, limits, kSlowWriter));
  co_return co_await execute(std::move(read.command), std::move(read.tag));
}

Task<void> Session::execute(Result<Command> command, std::string tag) {
  const auto began = std::chrono::steady_clock::now();
  if (state_ == State::kNotAuthenticated && ++commands_before_login_ > kMostCommandsBeforeLogin) {
    bye("Too many commands before the login");
    co_return Result<void>();
  }
  if (command.has_error()) {
    MERPATI_CO_CHECK(co_await finish_pending(0));
    finish(tag, nullptr, bad(command.error().public_text().empty() ? "Syntax error" : command.error().public_text()),
           began);
    co_return Result<void>();
  }
  trace_ = runtime::begin_sampled_trace();
  auto span = runtime::Span::root(to_string(command->verb), runtime::SpanKind::kServer, trace_);
  span.attribute("network.protocol.name", "imap");
  if (accept_pipelined(*command)) {
    if (is_login_over(co_await keep_token_fresh())) {
      MERPATI_CO_CHECK(co_await finish_pending(0));
      bye("The login has ended, please log in again");
      co_return Result<void>();
    }
    // RFC 9051 5.5: a STATUS has to see the APPEND before it, so only commands of one kind overlap.
    const bool same_kind = pending_.empty() || pending_.back()->verb == command->verb;
    const auto most = command->verb == Verb::kAppend ? kPendingAppends : kPendingStatuses;
    MERPATI_CO_CHECK(co_await finish_pending(same_kind ? most - 1 : 0));
    std::unique_ptr<PendingReply> pending;
    if (command->verb == Verb::kAppend) {
      MERPATI_CO_TRY(pending, co_await start_append(*this, *command));
    } else {
      pending = start_status(*this, *command, pending_.empty() ? nullptr : pending_.back().get());
    }
    pending->tag = command->tag;
    pending->verb = command->verb;
    pending->began = began;
    pending->span = std::move(span);
    pending_.push_back(std::move(pending));
    co_return Result<void>();
  }
  MERPATI_CO_CHECK(co_await finish_pending(0));
  if (command->verb == Verb::kAppend && !command->get<AppendArguments>().synchronizing) {
    bye("Log in first");  // the message comes anyway, and is not read from strangers
    co_return Result<void>();
  }
  auto reply = co_await run_command(*command);
  const bool gone = reply.has_error() && reply.error().code() == ErrorCode::kUnavailable && state_ == State::kLogout;
  if (gone) co_return std::move(reply).error();
  finish(command->tag, &*command, reply.has_value() ? *std::move(reply) : from_error(reply.error()), began);
  co_return co_await relieve();
}

bool Session::accept_pipelined(const Command& command) const {
  return (command.verb == Verb::kAppend || command.verb == Verb::kStatus) &&
         (state_ == State::kAuthenticated || state_ == State::kSelected);
}

Task<void> Session::finish_pending(std::size_t leave) {
  while (pending_.size() > leave) {
    const auto pending = std::move(pending_.front());
    pending_.pop_front();
    auto reply = co_await pending->finish(*this);
    if (reply.has_error() && reply.error().code() == ErrorCode::kCancelled) co_return std::move(reply).error();
    if (pending_.empty() && selected_ != nullptr) {
      const bool grown = selected_->name == pending->grown_mailbox();
      static_cast<void>(co_await synchronize(Announce::kAll, grown));  // what it could not tell now, it tells later
    }
    const Command none{pending->tag, pending->verb, false, {}};
    finish(pending->tag, &none, reply.has_value() ? *std::move(reply) : from_error(reply.error()), pending->began);
    MERPATI_CO_CHECK(co_await relieve());
  }
  co_return Result<void>();
}

Task<Reply> Session::run_command(const Command& command) {
  const auto& row = dispatch_row(command.verb);
  if (!row.allows(state_)) {
    if (state_ == State::kNotAuthenticated) co_return bad("Log in first");
    co_return bad(row.allows(State::kNotAuthenticated) ? "Already logged in" : "No mailbox is selected");
  }
  if (state_ != State::kNotAuthenticated) {
    if (is_login_over(co_await keep_token_fresh())) {
      bye("The login has ended, please log in again");
      co_return ok({}, std::string(kAlreadyAnswered));
    }
  }
  auto reply = co_await row.handler(*this, command);
  if (selected_ != nullptr && row.announce != DispatchRow::Announces::kNothing) {
    // RFC 9051 7.5.1: no EXPUNGE while a command that uses sequence numbers is answered.
    const bool hold = row.announce == DispatchRow::Announces::kHoldExpunges && !command.uid;
    static_cast<void>(co_await synchronize(hold ? Announce::kAllButExpunges : Announce::kAll));
  }
  co_return reply;
}

void Session::finish(const std::string& tag, const Command* command, Reply reply, SteadyTime began) {
  const bool is_bad = reply.condition == Reply::Condition::kBad;
  const bool is_ok = reply.condition == Reply::Condition::kOk;
  auto& output = out();
  if (reply.text == kAlreadyAnswered) return;
  output += tag;
  output += is_ok ? " OK " : is_bad ? " BAD " : " NO ";
  if (!reply.code.empty()) {
    output += '[';
    output += reply.code;
    output += "] ";
  }
  if (!reply.text.empty()) {
    output += reply.text;
  } else {
    output += command != nullptr ? to_string(command->verb) : "Command";
    output += is_ok ? " completed" : " failed";
  }
  output += "\r\n";
  if (command != nullptr) {
    const auto outcome = is_ok ? Probe::Outcome::kOk : is_bad ? Probe::Outcome::kBad : Probe::Outcome::kNo;
    loop_.probe.command(command->verb, outcome, std::chrono::steady_clock::now() - began);
  } else {
    loop_.probe.garbage();
  }
  if (is_bad && ++errors_ >= options().max_errors) bye("Too many bad commands");
}

void Session::greet() {
  auto& output = out();
  output += "* OK [CAPABILITY ";
  append_capabilities();
  output += "] ";
  output += options().hostname;
  output += " Merpati ready\r\n";
}

void Session::bye(std::string_view text) {
  if (state_ == State::kLogout) return;
  auto& output = out();
  output += "* BYE ";
  output += text;
  output += "\r\n";
  state_ = State::kLogout;
}

void Session::cut() {
  state_ = State::kLogout;
  abort();
}

Task<void> Session::relieve() {
  if (connection_.output_size() <= net::Connection::kFlushAbove) co_return Result<void>();
  co_return co_await connection_.flush(write_deadline());
}

bool Session::plaintext_allowed() const {
  if (tls()) return true;
  return listener_.plaintext_login_from_loopback && connection_.stream().remote().address().is_loopback();
}

std::string Session::client_address() const {
  return net::unmapped(connection_.stream().remote().address()).to_string();
}

bool Session::is_trusted_proxy() const {
  return listener_.proxies != nullptr && listener_.proxies->contains(connection_.stream().remote().address());
}

void Session::append_capabilities() {
  auto& output = out();
  output += "IMAP4rev1 IMAP4rev2 SASL-IR LITERAL+ ID ENABLE";
  if (state_ == State::kNotAuthenticated) {
    if (offers_starttls()) output += " STARTTLS";
    output += plaintext_allowed() ? " AUTH=PLAIN AUTH=LOGIN" : " LOGINDISABLED";
    output += " AUTH=SCRAM-SHA-256";
    if (tls()) output += " AUTH=SCRAM-SHA-256-PLUS";
    return;
  }
  output +=
      " IDLE NAMESPACE UIDPLUS MOVE UNSELECT CHILDREN SPECIAL-USE CREATE-SPECIAL-USE LIST-EXTENDED LIST-STATUS "
      "STATUS=SIZE"
      " ESEARCH SEARCHRES BINARY CONDSTORE";
}

rpc::CallOptions Session::call_options() const {
  rpc::CallOptions call;
  call.deadline = Deadline::after(options().call_timeout);
  call.token = token_;
  call.account_id = account();
  if (claims_ != nullptr) call.cell = claims_->cell();
  call.trace_id = trace_;
  return call;
}

Reply Session::log_in(const auth::v1::LoginResult& result) {
  auto place = loop_.accounts.enter(result.claims().account_id(), options().max_connections_per_account);
  if (place == nullptr) return no("LIMIT", "Too many connections of this account");
  place_ = std::move(place);
  claims_ = std::make_unique<auth::v1::SessionClaims>(result.claims());
  token_ = result.token();
  state_ = State::kAuthenticated;
  loop_.probe.logins_ok.add();
  auto& output = out();
  const std::size_t start = output.size();
  output += "CAPABILITY ";
  append_capabilities();
  std::string code = output.substr(start);
  output.resize(start);
  return ok(std::move(code), "Logged in");
}

bool Session::is_revoked() const {
  return claims_ != nullptr &&
         loop_.revocations.refuses(claims_->account_id(), claims_->credential_version(), claims_->address());
}

Task<void> Session::keep_token_fresh() {
  if (is_revoked()) co_return Error(ErrorCode::kUnauthenticated, "the account or its credential changed");
  constexpr std::int64_t kMarginSeconds = 330;  // more than the time between two looks
  const auto now =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  if (claims_ == nullptr || claims_->expires_at() == 0 || claims_->expires_at() - now > kMarginSeconds)
    co_return Result<void>();
  auth::v1::RenewTokenRequest request;
  request.set_token(token_);
  rpc::CallOptions call;
  call.deadline = Deadline::after(options().call_timeout);
  MERPATI_CO_TRY(auto renewed, co_await auth().renew_token(request, call));
  token_ = renewed.token();
  *claims_ = renewed.claims();
  loop_.watchers.of(claims_->cell()).renew(account(), token_);
  co_return Result<void>();
}

Result<std::string> Session::mailbox_name(const std::string& raw) const {
  // A client that sends 8-bit before IMAP4rev2 is enabled means UTF-8: modified UTF-7 has none.
  auto name = rev2 || !is_ascii(raw) ? std::optional<std::string>(raw) : from_modified_utf7(raw);
  if (!name || name->empty() || !is_utf8(*name)) {
    return Error(ErrorCode::kInvalidArgument, "mailbox name").with_public("The mailbox name is not valid");
  }
  return canonical_inbox(mime::to_nfc(*name));  // RFC 9051 5.1: Net-Unicode
}

void Session::select(std::unique_ptr<SelectedMailbox> mailbox) {
  selected_ = std::move(mailbox);
  saved_search.clear();
  state_ = State::kSelected;
}

void Session::unselect() {
  selected_.reset();
  saved_search.clear();
  if (state_ == State::kSelected) state_ = State::kAuthenticated;
}

void Session::enable_condstore() {
  if (condstore) return;
  condstore = true;
  if (selected_ == nullptr) return;
  auto& output = out();
  output += "* OK [HIGHESTMODSEQ ";
  append_number(output, selected_->modseq);
  output += "] Highest\r\n";
}

Result<Ranges> Session::resolve(const SequenceSet& set, bool uid) {
  const auto& uids = *selected_->uids;
  if (set.is_saved_result()) return uids.select_uids(saved_search);
  if (uid) return resolve_uids(set, uids.largest());
  for (const auto& element : set.elements()) {
    const bool star_of_nothing = uids.empty() && (element.first == 0 || element.last == 0);
    if (star_of_nothing || element.first > uids.size() || element.last > uids.size()) {
      return Error(ErrorCode::kOutOfRange, "sequence number").with_public("There is no message with this number");
    }
  }
  return uids.select_sequences(set.resolve(uids.size()));
}

Task<Ranges> Session::resolve_fresh(const SequenceSet& set, bool uid) {
  if (uid && !set.is_saved_result()) {
    // "UID FETCH 301:*" while 300 is the last we announced is how simple clients poll: never answer from a stale view.
    bool beyond = false;
    for (const auto& [first, last] : set.elements()) {
      beyond = beyond || ((first == 0 || last == 0) && std::max(first, last) > selected_->uids->largest());
    }
    if (beyond) MERPATI_CO_CHECK(co_await synchronize(Announce::kAllButExpunges, true));
    if (selected_ == nullptr)
      co_return Error(ErrorCode::kNotFound, "mailbox gone").with_public("The mailbox was deleted");
  }
  co_return resolve(set, uid);
}

}  // namespace merpati::imap
