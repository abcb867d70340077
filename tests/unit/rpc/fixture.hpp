// A backend and a caller, each with a loop of its own, for tests of the network.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <functional>
#include <future>
#include <thread>

#include "merpati/auth/v1/auth.rpc.hpp"
#include "merpati/rpc/network_channel.hpp"
#include "merpati/rpc/server.hpp"
#include "merpati/store/v1/store.rpc.hpp"
#include "support/loop.hpp"

namespace merpati::rpc {

using namespace std::chrono_literals;

class FakeStore final : public store::v1::StoreService {
 public:
  Task<store::v1::DeliverResponse> deliver(Context& context, const store::v1::DeliverRequest& request) override {
    ++calls;
    last_trace = context.trace_id();
    if (request.delivery_id() == "slow") {
      ++waiting;
      auto slept = co_await sleep_for(10s);
      if (slept.has_error()) {
        ++cancelled;
        co_return std::move(slept).error();
      }
    }
    if (request.delivery_id() == "until stopped") {
      ++waiting;
      while (!release) MERPATI_CO_CHECK(co_await sleep_for(5ms));
    }
    if (request.delivery_id() == "full")
      co_return Error(ErrorCode::kResourceExhausted, "inner text").with_public("mailbox full").with_status("5.2.2");
    if (request.delivery_id() == "shared") co_return Error(ErrorCode::kUnavailable, "none can").without_retry();
    if (failures.fetch_sub(1) > 0) co_return Error(ErrorCode::kUnavailable, "not now");
    store::v1::DeliverResponse response;
    response.add_results()->set_text(request.reverse_path());
    co_return response;
  }
  Task<void> fetch_messages(Context&, const store::v1::FetchMessagesRequest&,
                            Writer<store::v1::FetchMessagesResponse>&) override {
    co_return Error(ErrorCode::kInternal, "never reached by smtp");
  }
  Task<store::v1::PutBlobResponse> put_blob(Context&, Reader<store::v1::PutBlobRequest>& in) override {
    store::v1::PutBlobResponse response;
    for (;;) {
      MERPATI_CO_TRY(auto message, co_await in.read());
      if (!message) break;
      if (message->chunk() == "stop") co_return Error(ErrorCode::kInvalidArgument, "stop it");
      response.set_size(response.size() + message->chunk().size());
    }
    co_return response;
  }
  Task<void> watch(Context&, Reader<store::v1::WatchRequest>& in, Writer<store::v1::WatchResponse>& out) override {
    for (;;) {
      auto message = co_await in.read();
      if (message.has_error()) ++cancelled;
      if (message.has_error() || !*message) break;
      for (int i = 0; i < 3; ++i) {
        store::v1::WatchResponse event;
        event.set_account_id((*message)->account_id());
        MERPATI_CO_CHECK(co_await out.write(std::move(event)));
      }
    }
    co_return Result<void>();
  }

  std::atomic<int> calls{0}, waiting{0}, cancelled{0}, failures{0};
  std::atomic<bool> release{false};
  std::string last_trace;
};

// Not idempotent: must never be handled twice.
class FakeAuth final : public auth::v1::AuthService {
 public:
  Task<auth::v1::LoginResponse> login(Context&, const auth::v1::LoginRequest&) override {
    ++calls;
    co_return auth::v1::LoginResponse();
  }
  std::atomic<int> calls{0};
};

// A server of its own with a thread for its loop.
class Backend {
 public:
  explicit Backend(Role caller, std::string address = "127.0.0.1:0", ServerOptions options = {})
      : guard_(loop_.get_executor()) {
    dispatcher_.register_service(service);
    dispatcher_.register_service(auth);
    options.address = std::move(address);
    options.role_without_tls = caller;
    options.loops = {loop_.get_executor()};
    server = std::make_unique<Server>(dispatcher_, options);
    started = server->start().has_value();
    thread_ = std::thread([this] { loop_.run(); });
  }
  ~Backend() { stop(); }
  void stop() {
    if (!thread_.joinable()) return;
    asio::co_spawn(loop_, server->stop(), asio::use_future).get().has_error();
    guard_.reset();
    thread_.join();
  }
  Result<void> drain(Deadline deadline) {
    return asio::co_spawn(loop_, server->drain(deadline), asio::use_future).get();
  }
  std::uint16_t port() const { return server->port(); }
  std::string address() const { return "127.0.0.1:" + std::to_string(server->port()); }
  /// The loop does nothing until the result is set.
  std::promise<void> hold() {
    std::promise<void> release;
    asio::post(loop_, [until = release.get_future().share()] { until.wait(); });
    return release;
  }

  FakeStore service;
  FakeAuth auth;
  std::unique_ptr<Server> server;
  bool started = false;

 private:
  asio::io_context loop_{1};
  asio::executor_work_guard<asio::io_context::executor_type> guard_;
  Dispatcher dispatcher_;
  std::thread thread_;
};

struct Caller : test::Loop {
  asio::io_context& loop() { return context; }
};

inline bool eventually(const std::function<bool()>& holds) {
  for (int i = 0; i < 2000 && !holds(); ++i) std::this_thread::sleep_for(1ms);
  return holds();
}

inline std::shared_ptr<Channel> connect(const std::string& target, bool mux, Role server = Role::kStore,
                                        std::chrono::nanoseconds same_again_within = 30s) {
  NetworkChannelOptions options;
  options.same_again_within = same_again_within;
  options.target = target;
  options.mux = mux;
  options.server_role = server;
  return network_channel(options);
}

inline store::v1::DeliverRequest request_named(std::string id) {
  store::v1::DeliverRequest request;
  request.set_delivery_id(std::move(id));
  return request;
}

}  // namespace merpati::rpc
