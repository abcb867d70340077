// What a Stream is made of, shared by its plain and its TLS half.
#pragma once

#include <openssl/ssl.h>

#include <vector>

#include "merpati/net/address.hpp"
#include "merpati/net/stream.hpp"

namespace merpati::net {

enum class WaitState : std::uint8_t { kIdle, kWaiting, kInterruptible, kTimedOut };
enum class Interruptible : std::uint8_t { kNo, kYes };

struct Stream::Impl : std::enable_shared_from_this<Stream::Impl> {
  explicit Impl(asio::ip::tcp::socket given);

  void arm(Deadline until);
  void cancel_wait();
  Task<void> wait_for(asio::ip::tcp::socket::wait_type what, Deadline until,
                      Interruptible interruptible = Interruptible::kNo);
  Attempt plain_write(std::span<const std::string_view> pieces, std::size_t offset);
  Attempt tls_read(std::span<char> into);
  Attempt tls_write(std::string_view bytes);
  Attempt tls_outcome(int result) const;
  Task<void> handshake(Deadline until);

  asio::ip::tcp::socket socket;
  asio::steady_timer timer;
  std::unique_ptr<SSL, decltype(&SSL_free)> tls{nullptr, SSL_free};
  std::shared_ptr<SSL_CTX> context;  // keeps what the session's callbacks point to
  Deadline deadline;
  SteadyTime armed_until = SteadyTime::max();
  WaitState wait = WaitState::kIdle;
  bool interrupted = false;
  bool aborted = false;
  Endpoint remote, local, socket_peer;
  std::vector<std::shared_ptr<void>> held;
};

}  // namespace merpati::net
