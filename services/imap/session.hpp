// Session: one IMAP connection. It reads commands, dispatches them and writes; what a command does is in cmd_*.cpp.
#pragma once

#include <deque>
#include <memory>
#include <string>

#include "imap/loop_state.hpp"
#include "imap/reply.hpp"
#include "imap/selected_mailbox.hpp"
#include "merpati/auth/v1/token.pb.h"
#include "merpati/imap/format.hpp"
#include "merpati/net/server.hpp"
#include "merpati/rpc/channel.hpp"

namespace merpati::auth::v1 {
class LoginResult;
}

namespace merpati::imap {

class PendingReply;

class Session final : public net::Session {
 public:
  Session(net::Stream stream, LoopState& loop, ListenerTraits listener);
  ~Session() override;
  asio::awaitable<void> run() override;

  enum class State : std::uint8_t { kNotAuthenticated, kAuthenticated, kSelected, kLogout };

  // --- for commands
  LoopState& loop() { return loop_; }
  const Options& options() const { return loop_.options; }
  net::Connection& connection() { return connection_; }
  std::string& out() { return connection_.output(); }
  store::v1::StoreClient& store() { return *loop_.store; }
  auth::v1::AuthClient& auth() { return *loop_.auth; }
  State state() const { return state_; }
  void end() { state_ = State::kLogout; }
  /// Ends the connection without another word: a literal was promised and cannot be completed.
  void cut();

  bool tls() const { return connection_.stream().is_tls(); }
  /// May a password travel as it is (RFC 9051 11.2)?
  bool plaintext_allowed() const;
  bool offers_starttls() const { return listener_.starttls && loop_.tls != nullptr && !tls(); }
  std::string client_address() const;
  /// The client is a trusted proxy itself (a health check, say): it came without an address behind it.
  bool is_trusted_proxy() const;
  void append_capabilities();

  std::int64_t account() const { return claims_ ? claims_->account_id() : 0; }
  rpc::CallOptions call_options() const;
  /// Takes the token of a login. NO when the account has too many sessions.
  Reply log_in(const auth::v1::LoginResult& result);
  /// Has the account been disabled, or got another password, since the login?
  bool is_revoked() const;
  /// Renews the session token when it ends soon. kUnauthenticated when it cannot be renewed, or was revoked.
  Task<void> keep_token_fresh();
  unsigned failed_logins = 0;

  bool rev2 = false;       ///< ENABLE IMAP4rev2
  bool condstore = false;  ///< RFC 7162: untagged FETCH has MODSEQ from now on
  bool idling = false;
  Ranges saved_search;  ///< RFC 5182, as uids
  NameForm name_form() const { return rev2 ? NameForm::kUtf8 : NameForm::kModifiedUtf7; }
  /// A name from the client as the store has it. kInvalidArgument when it is none.
  Result<std::string> mailbox_name(const std::string& raw) const;

  SelectedMailbox* selected() { return selected_.get(); }
  const SelectedMailbox* selected() const { return selected_.get(); }
  void select(std::unique_ptr<SelectedMailbox> mailbox);
  void unselect();
  /// RFC 7162 3.1: the first command that needs it turns CONDSTORE on, and HIGHESTMODSEQ of an open mailbox is told.
  void enable_condstore();

  /// The uids that a set of the client means. BAD (kOutOfRange) for sequence numbers that do not exist.
  Result<Ranges> resolve(const SequenceSet& set, bool uid);

  /// The same, after a look at the store when the set asks for what is beyond the view.
  Task<Ranges> resolve_fresh(const SequenceSet& set, bool uid);

  enum class Announce : std::uint8_t { kAllButExpunges, kAll };
  /// Tells the client what changed in the selected mailbox. Costs a call only when something may have changed, or with
  /// `force`.
  Task<void> synchronize(Announce what, bool force = false);
  /// Announces expunges that were held back, and those of `more`.
  void announce_vanished(Ranges more);

  /// Flushes when much output has gathered; a client that does not read is cut after the write timeout.
  Task<void> relieve();
  Deadline write_deadline() const { return Deadline::after(options().write_timeout); }

 private:
  asio::awaitable<void> serve();
  Task<void> next_command();
  Task<void> wait_for_command(Deadline deadline);
  Task<void> execute(Result<Command> command, std::string tag);
  Task<Reply> run_command(const Command& command);
  void finish(const std::string& tag, const Command* command, Reply reply, SteadyTime began);
  Task<void> finish_pending(std::size_t leave);
  bool accept_pipelined(const Command& command) const;
  void greet();
  void bye(std::string_view text);
  Deadline command_deadline() const;

  LoopState& loop_;
  ListenerTraits listener_;
  State state_ = State::kNotAuthenticated;
  unsigned errors_ = 0;
  unsigned commands_before_login_ = 0;
  SteadyTime began_;
  std::unique_ptr<auth::v1::SessionClaims> claims_;
  std::string token_;
  std::string trace_;  ///< of the command in hand; empty where traces are not exported
  net::AccountConnections::Place place_;
  std::unique_ptr<SelectedMailbox> selected_;
  std::deque<std::unique_ptr<PendingReply>> pending_;
};

}  // namespace merpati::imap
