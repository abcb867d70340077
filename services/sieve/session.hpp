// One client's session: reads a command, lets its file act, and writes. Lives on one loop's thread.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "merpati/edge/login.hpp"
#include "merpati/managesieve/command.hpp"
#include "merpati/managesieve/response.hpp"
#include "merpati/net/server.hpp"
#include "sieve/command_reader.hpp"
#include "sieve/site.hpp"

namespace merpati::managesieve {

class Session final : public net::Session {
 public:
  Session(net::Stream stream, std::shared_ptr<const Door> door, std::shared_ptr<Site> site);
  asio::awaitable<void> run() override;

  // For the commands.
  Site& site() { return *site_; }
  const Door& door() const { return *door_; }
  net::Connection& connection() { return connection_; }
  std::string& out() { return connection_.output(); }
  const std::string& id() const { return id_; }

  bool is_tls() const { return connection_.stream().is_tls(); }
  /// May passwords travel here in clear?
  bool allows_plaintext() const;
  bool offers_starttls() const { return door_->starttls && site_->tls && !is_tls() && !login_; }
  auth::v1::ClientInfo client_info() const;

  const std::optional<edge::Login>& login() const { return login_; }
  void log_in(edge::Login login);
  /// UNAUTHENTICATE: as after the connection, but for TLS.
  void log_out();
  rpc::CallOptions call_options() const { return login_->call_options(site_->settings.call_timeout, trace_); }
  std::int64_t account() const { return login_->account(); }

  void ok(std::string_view text = {}) { append_response(out(), Condition::kOk, "", text); }
  void no(std::string_view text, ResponseCode code = ResponseCode::kNone);
  /// Of a call to a backend. A login that is over ends the session.
  void no(const Error& error);
  /// The last word; the session ends once it is sent.
  void bye(std::string_view text, ResponseCode code = ResponseCode::kNone);
  /// The session ends once what was said is sent.
  void end() { ending_ = true; }
  /// Capabilities as they are now, without the OK.
  void write_capabilities();
  /// Counts it; true when it was one too many, and BYE was said.
  bool too_many_failed_logins();
  /// An answer within AUTHENTICATE.
  Task<ReadText> read_answer();

 private:
  Task<void> converse();
  Task<void> wait_for_command();
  Task<void> next_command();
  Task<void> handle(std::string text);
  Task<void> dispatch(const Command& command);
  Task<void> relieve();
  void count_error();
  Deadline input_deadline() const;
  Deadline read_deadline() const;
  ReadLimits limits() const;
  bool is_too_old() const;

  std::shared_ptr<const Door> door_;
  std::shared_ptr<Site> site_;
  std::string id_;
  std::optional<edge::Login> login_;
  std::string trace_;  ///< of the command in hand; empty where traces are not exported
  SteadyTime began_;
  SteadyTime state_began_;  ///< of the wait for a login
  SteadyTime last_input_;
  unsigned commands_before_login_ = 0;
  unsigned errors_ = 0;
  unsigned failed_logins_ = 0;
  bool ending_ = false;
  bool said_no_ = false;
};

}  // namespace merpati::managesieve
