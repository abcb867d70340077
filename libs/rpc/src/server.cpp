#include "merpati/rpc/server.hpp"

#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <unistd.h>

#include <thread>

#include "grpc_credentials.hpp"
#include "grpc_order.hpp"
#include "grpc_process.hpp"
#include "listener.hpp"
#include "merpati/base/wakeup.hpp"
#include "server_shared.hpp"
#include "wire.hpp"

namespace merpati::rpc {

namespace {

constexpr const char* kHealthPath = "/grpc.health.v1.Health/Check";

class RefusedCall final : public grpc::ServerGenericBidiReactor {
 public:
  explicit RefusedCall(grpc::Status status) { Finish(std::move(status)); }
  void OnDone() override {
    scheduled_by_grpc(this);
    delete this;
  }
};

// grpc.health.v1: HealthCheckResponse{status = 1}: 1 is SERVING, 2 is NOT_SERVING.
class HealthCall final : public grpc::ServerGenericBidiReactor {
 public:
  explicit HealthCall(bool serving) {
    const grpc::Slice answer(serving ? std::string("\x08\x01") : std::string("\x08\x02"));
    out_ = grpc::ByteBuffer(&answer, 1);
    StartRead(&in_);
  }
  void OnReadDone(bool ok) override {
    if (ok)
      StartWriteAndFinish(&out_, grpc::WriteOptions(), grpc::Status::OK);
    else
      Finish(grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "the request is missing"));
  }
  void OnDone() override {
    scheduled_by_grpc(this);
    delete this;
  }

 private:
  grpc::ByteBuffer in_, out_;
};

class Door final : public grpc::CallbackGenericService {
 public:
  explicit Door(std::shared_ptr<ServerShared> shared) : shared_(std::move(shared)) {}

  grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext* context) override {
    const std::string& method = context->method();
    if (method == kHealthPath) return new HealthCall(!shared_->draining);
    const auto role = shared_->options.credentials ? peer_role(*context, shared_->options.credentials->trust_domain)
                                                   : std::optional(shared_->options.role_without_tls);
    if (!role) return refuse(grpc::StatusCode::PERMISSION_DENIED, "the certificate names no role");
    const auto* entry = shared_->dispatcher.find(method);
    if (entry == nullptr) return refuse(grpc::StatusCode::UNIMPLEMENTED, "no such method");
    if (shared_->calls >= shared_->options.max_calls)
      return refuse(grpc::StatusCode::UNAVAILABLE, "too many calls in flight");
    return start_call(shared_, *entry, context, *role);
  }

 private:
  static grpc::ServerGenericBidiReactor* refuse(grpc::StatusCode code, const char* why) {
    return new RefusedCall(grpc::Status(code, why));
  }
  const std::shared_ptr<ServerShared> shared_;
};

}  // namespace

struct Server::State {
  State(Dispatcher& dispatcher, ServerOptions options)
      : shared(std::make_shared<ServerShared>(dispatcher, std::move(options))), door(shared) {}
  void give_to_grpc(int socket) {
    grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters connection;
    connection.fd = socket;
    acceptor->HandleNewConnection(&connection);
  }

  std::shared_ptr<ServerShared> shared;
  Door door;
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> acceptor;
  std::unique_ptr<grpc::Server> server;
  std::unique_ptr<Listener> listener;
};

Server::Server(Dispatcher& dispatcher, ServerOptions options)
    : state_(std::make_shared<State>(dispatcher, std::move(options))) {}

Server::~Server() {
  if (state_->server) state_->server->Shutdown(std::chrono::system_clock::now());
}

Result<void> Server::start() {
  prepare_grpc();
  const auto& options = state_->shared->options;
  MERPATI_TRY(auto credentials, server_credentials(options.credentials, options.allow_anonymous));
  std::shared_ptr<MuxServerTls> tls;
  if (options.credentials) {
    MERPATI_TRY(tls, MuxServerTls::load(*options.credentials));
  }
  grpc::ServerBuilder builder;
  using Builder = grpc::ServerBuilder::experimental_type;
  state_->acceptor =
      builder.experimental().AddExternalConnectionAcceptor(Builder::ExternalConnectionType::FROM_FD, credentials);
  builder.RegisterCallbackGenericService(&state_->door);
  builder.SetMaxReceiveMessageSize(options.max_message_bytes);
  builder.SetMaxSendMessageSize(options.max_message_bytes);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 30'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 250);  // merpatictl asks soon
  state_->server = builder.BuildAndStart();
  if (!state_->server) return Error(ErrorCode::kUnavailable, "gRPC's server did not start");
  Listener::Takers takers;
  takers.grpc = [weak = std::weak_ptr<State>(state_)](int socket) {
    if (const auto state = weak.lock())
      state->give_to_grpc(socket);
    else
      ::close(socket);
  };
  takers.mux = [shared = state_->shared, tls](asio::ip::tcp::socket socket) {
    start_mux(shared, std::move(socket), tls);
  };
  state_->listener = std::make_unique<Listener>(
      Listener::Options{options.address, options.loops, options.greeting_timeout}, std::move(takers));
  return state_->listener->start();
}

std::uint16_t Server::port() const { return state_->listener ? state_->listener->port() : 0; }
std::size_t Server::calls_in_flight() const { return state_->shared->calls; }

Task<void> Server::drain(Deadline deadline) {
  const auto state = state_;
  state->shared->draining = true;
  if (state->listener) MERPATI_CO_CHECK(co_await state->listener->close());
  for (const auto& peer : state->shared->all_muxes()) peer->announce_draining();
  while (state->shared->calls > 0) {
    if (deadline.passed()) co_return Error(ErrorCode::kDeadlineExceeded, "calls still in flight");
    MERPATI_CO_CHECK(co_await sleep_for(std::chrono::milliseconds(5)));
  }
  co_return Result<void>();
}

Task<void> Server::stop() {
  const auto state = state_;
  if (state->listener) MERPATI_CO_CHECK(co_await state->listener->stop());
  for (const auto& peer : state->shared->all_muxes()) peer->abort();
  while (state->shared->mux_count() > 0) MERPATI_CO_CHECK(co_await sleep_for(std::chrono::milliseconds(1)));
  if (!state->server) co_return Result<void>();
  // Shutdown blocks until every reactor is done, and those need the loops to turn: it gets a thread of its own.
  auto done = std::make_shared<Wakeup>();
  std::thread([state, done] {
    state->server->Shutdown(std::chrono::system_clock::now());
    state->server.reset();
    done->notify();
  }).detach();
  co_return co_await done->wait();
}

}  // namespace merpati::rpc
