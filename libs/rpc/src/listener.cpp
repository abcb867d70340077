#include "listener.hpp"

#include <fcntl.h>
#include <netdb.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/post.hpp>
#include <cerrno>
#include <cstring>
#include <span>

#include "merpati/runtime/log.hpp"
#include "mux_frame.hpp"

namespace merpati::rpc {

namespace {

using asio::ip::tcp;

Result<tcp::endpoint> resolve(const std::string& address) {
  const auto colon = address.rfind(':');
  if (colon == std::string::npos) return Error(ErrorCode::kUnavailable, "no port in the address " + address);
  auto host = address.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (const int fault = getaddrinfo(host.c_str(), address.c_str() + colon + 1, &hints, &found); fault != 0)
    return Error(ErrorCode::kUnavailable, "cannot listen on " + address + ": " + gai_strerror(fault));
  tcp::endpoint endpoint;
  endpoint.resize(found->ai_addrlen);
  std::memcpy(endpoint.data(), found->ai_addr, found->ai_addrlen);
  freeaddrinfo(found);
  return endpoint;
}

boost::system::error_code open(tcp::acceptor& acceptor, const tcp::endpoint& where) {
  boost::system::error_code error;
  acceptor.open(where.protocol(), error);
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error && where.address().is_v6()) acceptor.set_option(asio::ip::v6_only(false), error);
  if (!error) acceptor.bind(where, error);
  if (!error) acceptor.listen(1024, error);
  return error;
}

}  // namespace

struct Listener::State : std::enable_shared_from_this<Listener::State> {
  State(Options o, Takers t)
      : options(std::move(o)),
        takers(std::move(t)),
        acceptors(options.loops.front()),
        deciding(options.loops.front()) {}

  asio::awaitable<void> accept(tcp::acceptor acceptor);
  asio::awaitable<void> decide(tcp::socket socket);
  Task<bool> speaks_mux(tcp::socket& socket);
  Task<std::size_t> receive(tcp::socket& socket, std::span<char> into, int flags);
  void hand_to_mux(tcp::socket socket);

  const Options options;
  const Takers takers;
  TaskGroup acceptors, deciding;
  std::atomic<std::uint16_t> port = 0;
  std::size_t turn = 0;
};

asio::awaitable<void> Listener::State::accept(tcp::acceptor acceptor) {
  const auto self = shared_from_this();
  for (;;) {
    auto [error, socket] = co_await acceptor.async_accept(kAwait);
    if (error == asio::error::operation_aborted) co_return;
    if (error == asio::error::connection_aborted) continue;
    if (error) {
      // EMFILE and the like: nothing is lost by waiting, the kernel keeps the queue.
      log::info("rpc_accept_failed", error.message());
      if (auto waited = co_await sleep_for(std::chrono::milliseconds(100)); waited.has_error()) co_return;
      continue;
    }
    if (deciding.size() >= options.max_undecided) continue;
    boost::system::error_code ignored;
    socket.non_blocking(true, ignored);
    socket.native_non_blocking(true, ignored);
    ::fcntl(socket.native_handle(), F_SETFD, FD_CLOEXEC);
    socket.set_option(tcp::no_delay(true), ignored);
    deciding.spawn(decide(std::move(socket)));
  }
}

asio::awaitable<void> Listener::State::decide(tcp::socket socket) {
  const auto self = shared_from_this();
  const auto mux = co_await with_deadline(speaks_mux(socket), Deadline::after(options.first_octets));
  if (mux.has_error()) co_return;
  boost::system::error_code error;
  if (!*mux) {
    const int descriptor = socket.release(error);
    if (!error) takers.grpc(descriptor);
    co_return;
  }
  hand_to_mux(std::move(socket));
}

/// The preamble begins with an octet with which neither TLS nor HTTP/2 begins: so much is only looked at, and left to
/// gRPC if it is another one.
Task<bool> Listener::State::speaks_mux(tcp::socket& socket) {
  std::array<char, kMuxPreamble.size()> said{};
  MERPATI_CO_TRY(const auto peeked, co_await receive(socket, {said.data(), 1}, MSG_PEEK));
  static_cast<void>(peeked);
  if (said[0] != kMuxPreamble[0]) co_return false;
  for (std::size_t have = 0; have < said.size();) {
    MERPATI_CO_TRY(const auto more, co_await receive(socket, std::span(said).subspan(have), 0));
    have += more;
    if (!kMuxPreamble.starts_with({said.data(), have}))
      co_return Error(ErrorCode::kInvalidArgument, "neither Mux nor gRPC");
  }
  co_return true;
}

Task<std::size_t> Listener::State::receive(tcp::socket& socket, std::span<char> into, int flags) {
  for (;;) {
    const auto got = ::recv(socket.native_handle(), into.data(), into.size(), flags);
    if (got > 0) co_return static_cast<std::size_t>(got);
    if (got == 0 || (errno != EAGAIN && errno != EINTR))
      co_return Error(ErrorCode::kUnavailable, "the client has gone");
    auto [error] = co_await socket.async_wait(tcp::socket::wait_read, kAwait);
    if (error) co_return Error(ErrorCode::kCancelled, error.message());
  }
}

void Listener::State::hand_to_mux(tcp::socket socket) {
  const auto loop = options.loops[turn++ % options.loops.size()];
  boost::system::error_code error;
  const auto protocol = socket.local_endpoint(error).protocol();
  const int descriptor = socket.release(error);
  if (error) return;
  tcp::socket moved(loop);
  moved.assign(protocol, descriptor, error);
  takers.mux(std::move(moved));
}

Listener::Listener(Options options, Takers takers)
    : state_(std::make_shared<State>(std::move(options), std::move(takers))) {}
Listener::~Listener() = default;

Result<void> Listener::start() {
  MERPATI_TRY(auto where, resolve(state_->options.address));
  tcp::acceptor acceptor(state_->options.loops.front());
  auto error = open(acceptor, where);
  if (error == asio::error::address_family_not_supported && where.address().is_unspecified()) {
    // A machine without IPv6.
    where = tcp::endpoint(tcp::v4(), where.port());
    error = open(acceptor, where);
  }
  if (error)
    return Error(ErrorCode::kUnavailable, "cannot listen on " + state_->options.address + ": " + error.message());
  state_->port = acceptor.local_endpoint().port();
  state_->acceptors.spawn(state_->accept(std::move(acceptor)));
  return {};
}

std::uint16_t Listener::port() const { return state_->port; }

Task<void> Listener::close() {
  const auto state = state_;
  state->acceptors.cancel();
  co_return co_await state->acceptors.join(Deadline::never());
}

Task<void> Listener::stop() {
  const auto state = state_;
  state->acceptors.cancel();
  state->deciding.cancel();
  MERPATI_CO_CHECK(co_await state->acceptors.join(Deadline::never()));
  co_return co_await state->deciding.join(Deadline::never());
}

}  // namespace merpati::rpc
