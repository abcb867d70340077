// One client's session: reads a command, lets its file act, and writes. Lives on one loop's thread.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "merpati/net/server.hpp"
#include "merpati/pop3/command.hpp"
#include "merpati/pop3/response.hpp"
#include "pop3/edge.hpp"
#include "pop3/maildrop.hpp"

namespace merpati::pop3 {

class Session : public net::Session {
 public:
  Session(net::Stream stream, std::shared_ptr<const ListenerPolicy> policy, std::shared_ptr<Edge> edge);
  asio::awaitable<void> run() override;

  // For the commands.
  Edge& edge() { return *edge_; }
  const ListenerPolicy& policy() const { return *policy_; }
  net::Connection& connection() { return connection_; }
  const std::string& id() const { return id_; }
  bool in_transaction() const { return maildrop_.has_value(); }
  Maildrop& maildrop() { return *maildrop_; }

  bool is_tls() const { return connection_.stream().is_tls(); }
  /// May passwords travel here in clear? (RFC 2595 2.2)
  bool allows_plaintext() const;
  bool offers_stls() const { return policy_->offers_stls && edge_->tls && !is_tls(); }
  auth::v1::ClientInfo client_info() const;

  void say_ok(std::string_view text) { connection_.write(ok(text)); }
  void say_err(std::string_view text, ResponseCode code = ResponseCode::kNone);
  void say_err(const Error& error, ErrorSite site);
  /// Sends what has gathered when it is much: for answers as long as the maildrop.
  Task<void> relieve();
  /// The session ends once what was said is sent.
  void end_soon() { ending_ = true; }

  /// A line of the client's in the middle of a command (AUTH), with the deadline of the present state.
  Task<std::string> read_line();
  void enter_transaction(Maildrop maildrop) { maildrop_ = std::move(maildrop); }
  /// The store may have given a lease to a login that failed.
  void lease_is_doubtful(Login login) { doubtful_login_ = std::move(login); }
  /// After STLS nothing that was said before is true (RFC 2595 4).
  void forget_user() { user_.clear(); }
  void count_failed_login();

  std::string user_;  ///< from USER, waiting for PASS
  bool utf8_ = false;
  bool quitting_ = false;

 private:
  Task<void> converse();
  Task<void> wait_for_command();
  Task<void> handle(std::string line);
  Task<void> dispatch(const Command& command);
  void count_error();
  Deadline input_deadline() const;
  bool is_too_old() const;

  std::shared_ptr<const ListenerPolicy> policy_;
  std::shared_ptr<Edge> edge_;
  std::string id_;
  std::optional<Maildrop> maildrop_;
  std::optional<Login> doubtful_login_;
  SteadyTime began_;
  SteadyTime last_input_;
  unsigned errors_ = 0;
  unsigned failed_logins_ = 0;
  bool ending_ = false;
  bool said_err_ = false;
};

}  // namespace merpati::pop3
