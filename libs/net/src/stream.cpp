#include "merpati/net/stream.hpp"

#include <openssl/ssl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <boost/asio/post.hpp>
#include <cerrno>

#include "merpati/net/proxy_protocol.hpp"
#include "stream_impl.hpp"
#include "tls_errors.hpp"

namespace merpati::net {

using asio::ip::tcp;

Stream::Impl::Impl(tcp::socket given) : socket(std::move(given)), timer(socket.get_executor()) {
  boost::system::error_code ignored;
  socket.non_blocking(true, ignored);
  socket.set_option(tcp::no_delay(true), ignored);
  remote = socket.remote_endpoint(ignored);
  remote.address(unmapped(remote.address()));
  local = socket.local_endpoint(ignored);
  local.address(unmapped(local.address()));
  socket_peer = remote;
}

/// The timer is not touched by most waits: it stays armed for an earlier deadline and looks again when it fires.
void Stream::Impl::arm(Deadline until) {
  deadline = until;
  if (until.is_never() || armed_until <= until.at()) return;
  armed_until = until.at();
  timer.expires_at(until.at());
  timer.async_wait([weak = weak_from_this()](boost::system::error_code error) {
    const auto self = weak.lock();
    if (error || !self) return;
    self->armed_until = SteadyTime::max();
    if (self->wait == WaitState::kIdle) return;
    if (self->deadline.passed()) {
      self->wait = WaitState::kTimedOut;
      self->cancel_wait();
    } else {
      self->arm(self->deadline);
    }
  });
}

void Stream::Impl::cancel_wait() {
  boost::system::error_code ignored;
  socket.cancel(ignored);
}

Task<void> Stream::Impl::wait_for(tcp::socket::wait_type what, Deadline until, Interruptible interruptible) {
  const auto self = shared_from_this();
  const bool heeds = interruptible == Interruptible::kYes;
  if (aborted || (heeds && std::exchange(interrupted, false))) co_return Error(ErrorCode::kCancelled, "interrupted");
  if (until.passed()) co_return Error(ErrorCode::kDeadlineExceeded, "the peer took too long");
  wait = heeds ? WaitState::kInterruptible : WaitState::kWaiting;
  arm(until);
  auto [error] = co_await socket.async_wait(what, kAwait);
  const auto how = std::exchange(wait, WaitState::kIdle);
  if (aborted) co_return Error(ErrorCode::kCancelled, "interrupted");
  if (!error) co_return Result<void>();  // an interruption at the same time is told by the next wait
  if (heeds && std::exchange(interrupted, false)) co_return Error(ErrorCode::kCancelled, "interrupted");
  if (how == WaitState::kTimedOut) co_return Error(ErrorCode::kDeadlineExceeded, "the peer took too long");
  if (error == asio::error::operation_aborted) co_return Error(ErrorCode::kCancelled, "cancelled");
  co_return Error(ErrorCode::kUnavailable, "connection lost: " + error.message());
}

Stream::Stream(tcp::socket socket) : impl_(std::make_shared<Impl>(std::move(socket))) {}
Stream::Stream(Stream&&) noexcept = default;
Stream& Stream::operator=(Stream&&) noexcept = default;
Stream::~Stream() {
  if (impl_) close();
}

Stream::Attempt Stream::try_read(std::span<char> into) {
  using State = Attempt::State;
  if (impl_->aborted || !impl_->socket.is_open()) return {State::kFailed};
  if (impl_->tls) return impl_->tls_read(into);
  const auto got = ::recv(impl_->socket.native_handle(), into.data(), into.size(), 0);
  if (got >= 0) return {State::kDone, static_cast<std::size_t>(got)};
  if (errno == EAGAIN || errno == EINTR) return {State::kWaitRead};
  return {State::kFailed};
}

bool Stream::has_pending() const { return impl_->tls && SSL_has_pending(impl_->tls.get()) == 1; }

Task<std::size_t> Stream::read_some(std::span<char> into, Deadline deadline) {
  const auto impl = impl_;
  for (;;) {
    const auto attempt = try_read(into);
    switch (attempt.state) {
      case Attempt::State::kDone:
        co_return attempt.bytes;
      case Attempt::State::kFailed:
        if (impl->aborted) co_return Error(ErrorCode::kCancelled, "interrupted");
        co_return Error(ErrorCode::kUnavailable, "connection lost");
      case Attempt::State::kWaitRead: {
        MERPATI_CO_CHECK(co_await impl->wait_for(tcp::socket::wait_read, deadline));
        break;
      }
      case Attempt::State::kWaitWrite: {
        MERPATI_CO_CHECK(co_await impl->wait_for(tcp::socket::wait_write, deadline));
        break;
      }
    }
  }
}

Task<void> Stream::wait_readable(Deadline deadline) {
  const auto impl = impl_;
  if (impl->tls && SSL_has_pending(impl->tls.get()) == 1) co_return Result<void>();
  co_return co_await impl->wait_for(tcp::socket::wait_read, deadline, Interruptible::kYes);
}

Task<void> Stream::wait_read_ready(Deadline deadline) {
  const auto impl = impl_;
  co_return co_await impl->wait_for(tcp::socket::wait_read, deadline);
}

Task<void> Stream::write(std::string_view bytes, Deadline deadline) {
  const std::string_view pieces[] = {bytes};
  co_return co_await write(std::span<const std::string_view>(pieces), deadline);
}

Task<void> Stream::write(std::span<const std::string_view> pieces, Deadline deadline) {
  const auto impl = impl_;
  std::size_t piece = 0, offset = 0;
  for (;;) {
    while (piece < pieces.size() && offset == pieces[piece].size()) ++piece, offset = 0;
    if (piece == pieces.size()) co_return Result<void>();
    if (impl->aborted || !impl->socket.is_open()) co_return Error(ErrorCode::kCancelled, "interrupted");
    auto attempt =
        impl->tls ? impl->tls_write(pieces[piece].substr(offset)) : impl->plain_write(pieces.subspan(piece), offset);
    switch (attempt.state) {
      case Attempt::State::kDone:
        for (auto left = attempt.bytes; left > 0;) {
          const auto step = std::min(left, pieces[piece].size() - offset);
          offset += step;
          left -= step;
          if (offset == pieces[piece].size()) ++piece, offset = 0;
        }
        break;
      case Attempt::State::kFailed:
        co_return Error(ErrorCode::kUnavailable, "connection lost");
      case Attempt::State::kWaitRead: {
        MERPATI_CO_CHECK(co_await impl->wait_for(tcp::socket::wait_read, deadline));
        break;
      }
      case Attempt::State::kWaitWrite: {
        MERPATI_CO_CHECK(co_await impl->wait_for(tcp::socket::wait_write, deadline));
        break;
      }
    }
  }
}

Stream::Attempt Stream::try_write(std::string_view bytes) {
  if (impl_->aborted || !impl_->socket.is_open()) return {Attempt::State::kFailed};
  if (impl_->tls) return impl_->tls_write(bytes);
  const std::string_view pieces[] = {bytes};
  return impl_->plain_write(pieces, 0);
}

void Stream::when_writable(std::function<void()> then) {
  impl_->socket.async_wait(tcp::socket::wait_write, [then = std::move(then)](boost::system::error_code) { then(); });
}

Stream::Attempt Stream::Impl::plain_write(std::span<const std::string_view> pieces, std::size_t offset) {
  std::array<iovec, 64> parts;
  std::size_t count = 0;
  for (const auto piece : pieces) {
    if (count == parts.size()) break;
    const auto rest = piece.substr(count == 0 ? offset : 0);
    if (rest.empty()) continue;
    parts[count++] = {const_cast<char*>(rest.data()), rest.size()};
  }
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = count;
  const auto sent = ::sendmsg(socket.native_handle(), &message, MSG_NOSIGNAL);
  if (sent >= 0) return {Attempt::State::kDone, static_cast<std::size_t>(sent)};
  if (errno == EAGAIN || errno == EINTR) return {Attempt::State::kWaitWrite};
  return {Attempt::State::kFailed};
}

Task<void> Stream::read_proxy_header(Deadline deadline) {
  const auto impl = impl_;
  ProxyParser parser;
  std::array<char, 1024> peeked;
  while (!parser.header()) {
    // Peeked first, so that not one byte behind the header is taken: TLS may start there.
    const auto got = ::recv(impl->socket.native_handle(), peeked.data(), peeked.size(), MSG_PEEK);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
      co_return Error(ErrorCode::kUnavailable, "connection lost before its PROXY header");
    if (got < 0) {
      MERPATI_CO_CHECK(co_await impl->wait_for(tcp::socket::wait_read, deadline));
      continue;
    }
    MERPATI_CO_TRY(const auto taken, parser.feed({peeked.data(), static_cast<std::size_t>(got)}));
    if (::recv(impl->socket.native_handle(), peeked.data(), taken, 0) != static_cast<ssize_t>(taken))
      co_return Error(ErrorCode::kUnavailable, "connection lost in its PROXY header");
  }
  const auto& header = *parser.header();
  if (header.source) {
    set_addresses({unmapped(header.source->address()), header.source->port()},
                  {unmapped(header.destination->address()), header.destination->port()});
  }
  co_return Result<void>();
}

const Endpoint& Stream::remote() const { return impl_->remote; }
const Endpoint& Stream::local() const { return impl_->local; }
const Endpoint& Stream::socket_peer() const { return impl_->socket_peer; }
void Stream::set_addresses(Endpoint remote, Endpoint local) {
  impl_->remote = std::move(remote);
  impl_->local = std::move(local);
}
void Stream::hold(std::shared_ptr<void> what) { impl_->held.push_back(std::move(what)); }

void Stream::interrupt() {
  impl_->interrupted = true;
  if (impl_->wait == WaitState::kInterruptible) impl_->cancel_wait();
}

void Stream::abort() {
  impl_->aborted = true;
  impl_->cancel_wait();
}

void Stream::close() {
  if (!impl_->socket.is_open()) return;
  boost::system::error_code ignored;
  if (impl_->tls && SSL_is_init_finished(impl_->tls.get()) == 1) {
    ERR_clear_error();
    SSL_shutdown(impl_->tls.get());
  }
  impl_->socket.shutdown(tcp::socket::shutdown_send, ignored);
  // Unread input would make the kernel reset the connection, and the peer lose our last reply with it.
  std::array<char, 4096> unread;
  for (int i = 0; i < 16 && ::recv(impl_->socket.native_handle(), unread.data(), unread.size(), MSG_DONTWAIT) > 0;
       ++i) {
  }
  impl_->timer.cancel();
  impl_->socket.close(ignored);
}

bool Stream::is_open() const { return impl_->socket.is_open() && !impl_->aborted; }
asio::any_io_executor Stream::executor() const { return impl_->socket.get_executor(); }

}  // namespace merpati::net
