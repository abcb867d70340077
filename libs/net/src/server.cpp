#include "merpati/net/server.hpp"

#include <sys/socket.h>

#include <atomic>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/post.hpp>
#include <unordered_map>

namespace merpati::net {
namespace {

using asio::ip::tcp;
using ReusePort = asio::detail::socket_option::boolean<SOL_SOCKET, SO_REUSEPORT>;

/// What one loop has; touched on its thread only, but for `loop`.
struct Loop {
  asio::io_context* loop = nullptr;
  std::unordered_map<std::uint64_t, Session*> sessions;
  std::uint64_t next_id = 1;
  bool draining = false;
  bool stopping = false;
};

struct Listening {
  ListenerOptions options;
  Server::MakeSession make_session;
};

Result<tcp::acceptor> open(asio::io_context& loop, const ListenerOptions& options, std::uint16_t port) {
  boost::system::error_code error;
  const auto address = asio::ip::make_address(options.address, error);
  if (error) return Error(ErrorCode::kInvalidArgument, "not an address to listen on: " + options.address);
  const tcp::endpoint where(address, port);
  tcp::acceptor acceptor(loop);
  acceptor.open(where.protocol(), error);
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor.set_option(ReusePort(true), error);
  if (!error && address.is_v6()) acceptor.set_option(asio::ip::v6_only(false), error);
  if (!error) acceptor.bind(where, error);
  if (!error) acceptor.listen(options.backlog, error);
  if (error) {
    return Error(ErrorCode::kUnavailable,
                 "cannot listen on " + options.address + " port " + std::to_string(port) + ": " + error.message());
  }
  return acceptor;
}

}  // namespace

struct Server::State : std::enable_shared_from_this<Server::State> {
  State(std::vector<asio::io_context*> given, ServerHooks h)
      : hooks(std::move(h)), acceptors(given.front()->get_executor()), group(given.front()->get_executor()) {
    for (auto* loop : given) {
      loops.push_back(std::make_unique<Loop>());
      loops.back()->loop = loop;
    }
  }
  ServerHooks hooks;
  std::vector<std::unique_ptr<Loop>> loops;
  TaskGroup acceptors, group;
  std::atomic<std::size_t> live = 0;

  asio::awaitable<void> accept(Loop& on, tcp::acceptor acceptor, std::shared_ptr<const Listening> listening);
  asio::awaitable<void> serve(Loop& on, tcp::socket socket, std::shared_ptr<const Listening> listening,
                              ConnectionLimits::Place place);
  Task<void> prepare(Stream& stream, const ListenerOptions& options);
  asio::awaitable<void> drain_loop(Loop& on, std::chrono::nanoseconds spread);
  void refused(const ListenerOptions& options, const Endpoint& client, const Error& error) const {
    if (hooks.refused) hooks.refused(options, client, error);
  }
};

asio::awaitable<void> Server::State::accept(Loop& on, tcp::acceptor acceptor,
                                            std::shared_ptr<const Listening> listening) {
  co_await asio::this_coro::throw_if_cancelled(false);
  const auto& options = listening->options;
  for (;;) {
    auto [error, socket] = co_await acceptor.async_accept(kAwait);
    if (error == asio::error::operation_aborted) co_return;
    if (error == asio::error::connection_aborted) continue;
    if (error) {
      // EMFILE and the like: nothing is lost by waiting, the kernel keeps the queue.
      if (hooks.accept_failed) hooks.accept_failed(options, Error(ErrorCode::kResourceExhausted, error.message()));
      if (auto waited = co_await sleep_for(std::chrono::milliseconds(100)); waited.has_error()) co_return;
      continue;
    }
    ConnectionLimits::Place place;
    if (options.limits) place = options.limits->enter();
    if (options.limits && !place) {
      boost::system::error_code ignored;
      if (options.tls != ListenerOptions::Tls::kImplicit) {
        socket.non_blocking(true, ignored);
        socket.write_some(asio::buffer(options.busy_reply), ignored);
      }
      refused(options, socket.remote_endpoint(ignored), Error(ErrorCode::kResourceExhausted, "too many connections"));
      continue;
    }
    group.spawn(on.loop->get_executor(), serve(on, std::move(socket), listening, std::move(place)));
  }
}

/// What comes before the first octet of the protocol: PROXY, the client's limit, TLS.
Task<void> Server::State::prepare(Stream& stream, const ListenerOptions& options) {
  if (options.proxy_from.contains(stream.socket_peer().address())) {
    MERPATI_CO_CHECK(co_await stream.read_proxy_header(Deadline::after(options.proxy_timeout)));
  }
  if (options.limits) {
    auto place = options.limits->enter_from(stream.remote().address());
    if (!place) {
      if (options.tls != ListenerOptions::Tls::kImplicit) {
        auto ignored = co_await stream.write(options.busy_reply, Deadline::after(std::chrono::seconds(1)));
      }
      co_return Error(ErrorCode::kResourceExhausted, "too many connections from one address");
    }
    stream.hold(std::move(place));
  }
  if (options.tls == ListenerOptions::Tls::kImplicit) {
    MERPATI_CO_CHECK(co_await stream.start_tls(*options.tls_context, Deadline::after(options.handshake_timeout)));
  }
  co_return Result<void>();
}

asio::awaitable<void> Server::State::serve(Loop& on, tcp::socket socket, std::shared_ptr<const Listening> listening,
                                           ConnectionLimits::Place place) {
  const auto self = shared_from_this();
  co_await asio::this_coro::throw_if_cancelled(false);
  Stream stream(std::move(socket));
  stream.hold(std::move(place));
  auto prepared = co_await prepare(stream, listening->options);
  if (prepared.has_error()) {
    refused(listening->options, stream.remote(), prepared.error());
    co_return;
  }
  const auto session = listening->make_session(std::move(stream));
  if (!session || on.stopping) co_return;
  const auto id = on.next_id++;
  on.sessions.emplace(id, session.get());
  live.fetch_add(1);
  if (on.draining) session->drain();
  co_await session->run();
  live.fetch_sub(1);
  on.sessions.erase(id);
}

asio::awaitable<void> Server::State::drain_loop(Loop& on, std::chrono::nanoseconds spread) {
  const auto self = shared_from_this();
  co_await asio::this_coro::throw_if_cancelled(false);
  on.draining = true;
  std::vector<std::uint64_t> ids;
  for (const auto& [id, session] : on.sessions) ids.push_back(id);
  // In steps of at least 10 ms: many sessions at a time rather than many timers.
  const auto steps = std::max<std::size_t>(1, static_cast<std::size_t>(spread / std::chrono::milliseconds(10)));
  const auto at_once = std::max<std::size_t>(1, (ids.size() + steps - 1) / steps);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (const auto at = on.sessions.find(ids[i]); at != on.sessions.end()) at->second->drain();
    if (spread.count() == 0 || (i + 1) % at_once != 0 || i + 1 == ids.size()) continue;
    const auto pause = spread / std::max<std::size_t>(1, ids.size() / at_once);
    if (auto waited = co_await sleep_for(pause); waited.has_error()) co_return;
  }
}

Server::Server(std::vector<asio::io_context*> loops, ServerHooks hooks)
    : state_(std::make_shared<State>(std::move(loops), std::move(hooks))) {}
Server::~Server() = default;

Result<std::uint16_t> Server::listen(ListenerOptions options, MakeSession make_session) {
  if (options.tls != ListenerOptions::Tls::kNone && !options.tls_context)
    return Error(ErrorCode::kInvalidArgument, "listener " + options.name + " wants TLS but has no certificate");
  std::vector<tcp::acceptor> opened;
  auto port = options.port;
  for (const auto& on : state_->loops) {
    MERPATI_TRY(auto acceptor, open(*on->loop, options, port));
    if (port == 0) port = acceptor.local_endpoint().port();
    opened.push_back(std::move(acceptor));
  }
  auto listening = std::make_shared<const Listening>(Listening{std::move(options), std::move(make_session)});
  for (std::size_t i = 0; i < opened.size(); ++i) {
    auto& on = *state_->loops[i];
    state_->acceptors.spawn(on.loop->get_executor(), state_->accept(on, std::move(opened[i]), listening));
  }
  return port;
}

Task<void> Server::drain(Deadline deadline, std::chrono::nanoseconds spread) {
  const auto state = state_;
  state->acceptors.cancel();
  MERPATI_CO_CHECK(co_await state->acceptors.join(deadline));
  for (const auto& on : state->loops) state->group.spawn(on->loop->get_executor(), state->drain_loop(*on, spread));
  co_return co_await state->group.join(deadline);
}

Task<std::size_t> Server::stop() {
  const auto state = state_;
  const auto left = state->live.load();
  state->acceptors.cancel();
  for (const auto& on : state->loops) {
    asio::post(*on->loop, [state, on = on.get()] {
      on->draining = on->stopping = true;
      for (const auto& [id, session] : on->sessions) session->abort();
    });
  }
  state->group.cancel();
  MERPATI_CO_CHECK(co_await state->acceptors.join(Deadline::never()));
  MERPATI_CO_CHECK(co_await state->group.join(Deadline::never()));
  co_return left;
}

std::size_t Server::sessions() const { return state_->live.load(); }

}  // namespace merpati::net
