// RemoteSession: one SMTP connection to another host, as its client (RFC 5321). Used for one or more transactions.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "merpati/net/connection.hpp"
#include "merpati/smtp/client.hpp"
#include "queue/item.hpp"

namespace merpati::queue {

/// How to greet and protect a connection.
struct RemoteOptions {
  std::string hostname;  ///< ours, for EHLO
  std::shared_ptr<net::TlsClientContext> tls;
  bool require_tls = false;
  std::string username;  ///< for AUTH PLAIN; empty: none
  std::string password;
};

/// One transaction: the envelope and the octets.
struct Transaction {
  std::string reverse_path;
  std::vector<std::string> recipients;
  std::uint64_t size = 0;
  BodyType body_type = BodyType::k7Bit;
  bool eight_bit = false;  ///< the content needs 8BITMIME
  bool smtputf8 = false;   ///< the header or an address needs SMTPUTF8
};

/// Gives the message piece by piece; an empty view ends it. A view lives until the next call.
using ContentSource = std::function<Task<std::string_view>()>;

/// What the host said. `outcomes` are as many as recipients. When `broken`, the session is of no more use; recipients
/// whose outcome is kTemporary may then be tried at another host.
struct TransactionResult {
  std::vector<Outcome> outcomes;
  bool broken = false;
};

class RemoteSession {
 public:
  /// Greets, STARTTLS where it is offered or needed, AUTH when there is a user name. The Error's public text is what
  /// goes into a bounce. kFailedPrecondition: this host will not do (no TLS, no AUTH).
  static Task<std::unique_ptr<RemoteSession>> open(net::Endpoint to, std::string host, const RemoteOptions& options);

  /// Never an error but kCancelled: everything the host says is in the outcomes.
  Task<TransactionResult> send(Transaction transaction, ContentSource content);
  Task<void> quit();

  const smtp::ServerExtensions& extensions() const { return extensions_; }
  const std::string& host() const { return host_; }
  bool is_tls() const { return connection_.stream().is_tls(); }

 private:
  RemoteSession(net::Stream stream, std::string host) : connection_(std::move(stream)), host_(std::move(host)) {}

  Task<smtp::ServerReply> read_reply(Deadline deadline);
  Task<smtp::ServerReply> command(std::string line, Deadline deadline);
  Task<void> hello(const RemoteOptions& options);
  Task<void> start_tls(const RemoteOptions& options);
  Task<void> authenticate(const RemoteOptions& options);
  Task<smtp::ServerReply> send_data(ContentSource content);
  Task<smtp::ServerReply> send_chunks(ContentSource content, std::uint64_t size);

  net::Connection connection_;
  std::string host_;
  smtp::ServerExtensions extensions_;
};

}  // namespace merpati::queue
