// Server: listeners on every loop, one coroutine for each session, and a stop in two phases.
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "merpati/net/connection.hpp"
#include "merpati/net/limits.hpp"

namespace merpati::net {

/// One client's session: made, run and destroyed on its loop's thread. run() must let no exception out. Cancellation
/// shows as errors of what it awaits, never as an exception, in run() and in all that it awaits directly.
class Session {
 public:
  explicit Session(Stream stream) : connection_(std::move(stream)) {}
  virtual ~Session() = default;
  virtual asio::awaitable<void> run() = 0;
  /// Asks for an end at the next command boundary. By default it sets draining() and wakes wait_for_input().
  virtual void drain() {
    draining_ = true;
    connection_.stream().interrupt();
  }
  /// Ends every wait at once.
  void abort() { connection_.stream().abort(); }
  bool draining() const { return draining_; }

 protected:
  Connection connection_;

 private:
  bool draining_ = false;
};

struct ListenerOptions {
  enum class Tls { kNone, kOnDemand, kImplicit };

  std::string name;            ///< for hooks
  std::string address = "::";  ///< "::" is every IPv6 and IPv4 address
  std::uint16_t port = 0;      ///< 0: any free one, told by listen()
  int backlog = 1024;
  Tls tls = Tls::kNone;
  std::shared_ptr<TlsContext> tls_context;  ///< required unless tls is kNone
  CidrSet proxy_from;  ///< a PROXY header is mandatory from here, and not understood from elsewhere
  std::chrono::nanoseconds proxy_timeout = std::chrono::seconds(5);
  std::chrono::nanoseconds handshake_timeout = std::chrono::seconds(30);
  std::shared_ptr<ConnectionLimits> limits;  ///< none when empty; may be shared by listeners
  std::string busy_reply;                    ///< sent in plain text to a client that the limits refuse
};

/// What happens before there is a session, for logs and metrics. Called on the loops' threads.
struct ServerHooks {
  std::function<void(const ListenerOptions&, const Error&)> accept_failed;  ///< EMFILE and the like; accepting goes on
  std::function<void(const ListenerOptions&, const Endpoint& client, const Error&)> refused;  ///< limit, PROXY, TLS
};

class Server {
 public:
  using MakeSession = std::function<std::unique_ptr<Session>(Stream stream)>;

  explicit Server(std::vector<asio::io_context*> loops, ServerHooks hooks = {});
  /// Everything must have ended: await stop() first.
  ~Server();

  /// Opens the port on every loop (SO_REUSEPORT) and returns its number. Call it before or while the loops run.
  Result<std::uint16_t> listen(ListenerOptions options, MakeSession make_session);
  /// First phase: closes the listeners, asks the sessions to end, spread over `spread`, and waits for them until
  /// `deadline` (kDeadlineExceeded when some are left). Any thread.
  Task<void> drain(Deadline deadline, std::chrono::nanoseconds spread = {});
  /// Second phase: cuts what is left and waits for it. Returns how many sessions were cut.
  Task<std::size_t> stop();
  std::size_t sessions() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace merpati::net
