// Stream: one TCP connection, plain at first and TLS after a handshake. Owned by one session, used on one loop's
// thread.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "merpati/base/task.hpp"
#include "merpati/net/tls.hpp"

namespace merpati::net {

using Endpoint = boost::asio::ip::tcp::endpoint;

/// What TLS settled, for Received lines, SASL channel binding and logs.
struct TlsInfo {
  std::string version;  ///< "TLSv1.3"
  std::string cipher;   ///< "TLS_AES_256_GCM_SHA384"
  int bits = 0;
  std::string server_name;  ///< what the client asked for (SNI), may be empty
};

/// Errors of every wait: kDeadlineExceeded (time), kCancelled (interrupt(), abort() or the coroutine's cancellation),
/// kUnavailable (the connection is gone). One coroutine uses a stream at a time; only interrupt(), abort(), try_write()
/// and when_writable() may be called beside it, on the same thread. Movable, not copyable.
class Stream {
 public:
  /// Takes a connected socket; sets it non-blocking and TCP_NODELAY.
  explicit Stream(asio::ip::tcp::socket socket);
  /// Holds nothing: only to be assigned to (Asio wants default-constructible results).
  Stream() = default;
  ~Stream();
  Stream(Stream&&) noexcept;
  Stream& operator=(Stream&&) noexcept;

  /// Reads what there is, at most into.size() (> 0) bytes; 0 = the peer has ended its side.
  Task<std::size_t> read_some(std::span<char> into, Deadline deadline);
  /// The same without waiting; kDone with 0 bytes is the peer's end.
  struct Attempt {
    enum class State { kDone, kWaitRead, kWaitWrite, kFailed } state;
    std::size_t bytes = 0;
  };
  Attempt try_read(std::span<char> into);
  /// Whether try_read() may yield something that has left the socket already.
  bool has_pending() const;
  /// Waits until a read may yield something, holding no buffer; interrupt() ends it.
  Task<void> wait_readable(Deadline deadline);
  /// The same, undisturbed by interrupt().
  Task<void> wait_read_ready(Deadline deadline);
  /// Writes all of it.
  Task<void> write(std::string_view bytes, Deadline deadline);
  /// Writes all pieces in order, with as few system calls as there can be.
  Task<void> write(std::span<const std::string_view> pieces, Deadline deadline);
  /// Writes what the socket takes now, without waiting, while another coroutine may wait to read.
  Attempt try_write(std::string_view bytes);
  /// Calls `then` once, on the loop's thread: when a write may get on, or when the stream is aborted or closed.
  void when_writable(std::function<void()> then);

  /// The TLS handshake as server or client. `name` is sent (SNI) unless empty and, with Verify::kPeer, checked.
  Task<void> start_tls(const TlsContext& context, Deadline deadline);
  Task<void> start_tls(const TlsClientContext& context, const std::string& name, Deadline deadline);
  bool is_tls() const;
  TlsInfo tls_info() const;
  /// The URI names in the peer's certificate; empty when it has shown none.
  std::vector<std::string> peer_uris() const;
  /// Channel binding data, empty when there is none: RFC 9266 tls-exporter, RFC 5929 tls-server-end-point.
  std::string tls_exporter() const;
  std::string tls_server_end_point() const;

  /// The client and our own address; what the PROXY protocol said once set_addresses() was called.
  const Endpoint& remote() const;
  const Endpoint& local() const;
  void set_addresses(Endpoint remote, Endpoint local);
  /// The address of the socket's peer, whatever a proxy says.
  const Endpoint& socket_peer() const;
  /// Keeps something (a place in the limits) for as long as the stream lives.
  void hold(std::shared_ptr<void> what);

  /// Reads the mandatory PROXY header and takes the addresses from it. Before any other read.
  Task<void> read_proxy_header(Deadline deadline);

  /// Ends the wait_readable() in progress, or the next one if none is, with kCancelled, once. Reads and writes are
  /// not disturbed, and the stream stays usable.
  void interrupt();
  /// Ends every wait, now and later, with kCancelled.
  void abort();
  /// Says goodbye (TLS close_notify, FIN) without waiting for the peer, and closes.
  void close();
  bool is_open() const;
  asio::any_io_executor executor() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace merpati::net
