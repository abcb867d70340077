// Every kind of call over TCP, plain and by Mux: results, errors, deadlines, cancellation, limits, failing replicas.
#include <boost/asio/write.hpp>
#include <list>

#include "fixture.hpp"

namespace merpati::rpc {
namespace {

struct Network : testing::TestWithParam<bool> {
  Network() : backend(Role::kSmtp), channel(connect(backend.address(), GetParam())), store(channel) {}
  Caller caller;
  Backend backend;
  std::shared_ptr<Channel> channel;
  store::v1::StoreClient store;
};

TEST_P(Network, UnaryCallReturnsTheAnswerAndCarriesTheTrace) {
  store::v1::DeliverRequest request;
  request.set_reverse_path("a@example.test");
  CallOptions options;
  options.trace_id = "0123456789abcdef0123456789abcdef";
  const auto response = caller.run(store.deliver(request, options));
  ASSERT_TRUE(response) << response.error().describe();
  EXPECT_EQ(response->results(0).text(), "a@example.test");
  EXPECT_EQ(backend.service.last_trace, options.trace_id);
}

TEST_P(Network, ErrorsKeepTheirTexts) {
  const auto request = request_named("full");
  const auto response = caller.run(store.deliver(request));
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code(), ErrorCode::kResourceExhausted);
  EXPECT_EQ(response.error().public_text(), "mailbox full");
  EXPECT_EQ(response.error().enhanced_status(), "5.2.2");
}

TEST_P(Network, TheTableHolds) {
  const auto refused = caller.run(store.get_quota({}));
  EXPECT_EQ(refused.error().code(), ErrorCode::kPermissionDenied);
}

TEST_P(Network, DeadlineEndsBothSides) {
  ASSERT_TRUE(caller.run(store.deliver({})));  // connected
  const auto request = request_named("slow");
  CallOptions options;
  options.deadline = Deadline::after(50ms);
  const auto response = caller.run(store.deliver(request, options));
  EXPECT_EQ(response.error().code(), ErrorCode::kDeadlineExceeded);
  EXPECT_TRUE(eventually([&] { return backend.service.cancelled == 1; }));
}

TEST_P(Network, CancellingTheCallerCancelsTheHandler) {
  const auto request = request_named("slow");
  auto signal = std::make_shared<asio::cancellation_signal>();
  std::promise<Result<store::v1::DeliverResponse>> done;
  asio::co_spawn(
      caller.loop(), store.deliver(request),
      asio::bind_cancellation_slot(signal->slot(), [&](std::exception_ptr, Result<store::v1::DeliverResponse> r) {
        done.set_value(std::move(r));
      }));
  ASSERT_TRUE(eventually([&] { return backend.service.waiting == 1; }));
  asio::post(caller.loop(), [signal] { signal->emit(asio::cancellation_type::terminal); });
  EXPECT_EQ(done.get_future().get().error().code(), ErrorCode::kCancelled);
  EXPECT_TRUE(eventually([&] { return backend.service.cancelled == 1; }));
}

TEST_P(Network, AnIdempotentCallIsRepeated) {
  backend.service.failures = 2;
  const auto response = caller.run(store.deliver({}));
  EXPECT_TRUE(response) << response.error().describe();
  EXPECT_EQ(backend.service.calls, 3);
}

TEST_P(Network, RepetitionsEnd) {
  backend.service.failures = 1000;
  EXPECT_EQ(caller.run(store.deliver({})).error().code(), ErrorCode::kUnavailable);
  EXPECT_EQ(backend.service.calls, 3);
}

TEST_P(Network, TheSameReplicaIsAskedAgainForAWhileOnly) {
  store::v1::StoreClient impatient(connect(backend.address(), GetParam(), Role::kStore, 0s));
  backend.service.failures = 1000;
  EXPECT_EQ(caller.run(impatient.deliver({})).error().code(), ErrorCode::kUnavailable);
  EXPECT_EQ(backend.service.calls, 1);
}

TEST_P(Network, WhatEveryReplicaWouldSayIsNotAskedOfTheOthers) {
  Backend other(Role::kSmtp);
  store::v1::StoreClient both(connect(backend.address() + "," + other.address(), GetParam()));
  const auto response = caller.run(both.deliver(request_named("shared")));
  EXPECT_EQ(response.error().code(), ErrorCode::kUnavailable);
  EXPECT_FALSE(response.error().may_retry());
  EXPECT_EQ(backend.service.calls + other.service.calls, 1);
}

TEST_P(Network, LargeRequestsPassAndOversizeIsRefused) {
  store::v1::DeliverRequest request;
  request.set_reverse_path(std::string(1 << 20, 'x'));
  EXPECT_TRUE(caller.run(store.deliver(request)));
  request.set_reverse_path(std::string(5 << 20, 'x'));
  EXPECT_EQ(caller.run(store.deliver(request)).error().code(), ErrorCode::kResourceExhausted);
  EXPECT_TRUE(caller.run(store.deliver({})));  // and the channel lives on
}

Task<std::uint64_t> put(store::v1::StoreClient store, int parts, std::string last) {
  MERPATI_CO_TRY(auto upload, co_await store.put_blob());
  for (int i = 0; i < parts; ++i) {
    store::v1::PutBlobRequest part;
    part.set_chunk(std::string(100'000, 'x'));
    MERPATI_CO_CHECK(co_await upload->write(std::move(part)));
  }
  if (!last.empty()) {
    store::v1::PutBlobRequest part;
    part.set_chunk(last);
    MERPATI_CO_CHECK(co_await upload->write(std::move(part)));
  }
  MERPATI_CO_TRY(auto response, co_await upload->finish());
  co_return response.size();
}

TEST_P(Network, ClientStream) { EXPECT_EQ(caller.run(put(store, 50, "")).value(), 5'000'000u); }

TEST_P(Network, ClientStreamEndedEarlyTellsTheServersReason) {
  EXPECT_EQ(caller.run(put(store, 1, "stop")).error().code(), ErrorCode::kInvalidArgument);
}

TEST_P(Network, ServerGoneIsUnavailableAndItsReturnIsNoticed) {
  ASSERT_TRUE(caller.run(store.deliver({})));
  const std::string address = backend.address();
  backend.stop();
  EXPECT_EQ(caller.run(store.deliver({})).error().code(), ErrorCode::kUnavailable);
  Backend again(Role::kSmtp, address);
  ASSERT_TRUE(again.started);
  bool recovered = false;
  for (int i = 0; i < 50 && !recovered; ++i) {
    recovered = caller.run(store.deliver({})).has_value();
    if (!recovered) std::this_thread::sleep_for(100ms);
  }
  EXPECT_TRUE(recovered);
}

TEST_P(Network, AFailingReplicaIsAvoided) {
  Backend other(Role::kSmtp);
  store::v1::StoreClient both(connect(backend.address() + "," + other.address(), GetParam()));
  other.stop();
  int failed = 0;
  for (int i = 1; i <= 50; ++i) {
    CallOptions options;
    options.account_id = i;
    if (!caller.run(both.deliver({}, options))) ++failed;
  }
  EXPECT_EQ(failed, 0);
  EXPECT_EQ(backend.service.calls, 50);
}

TEST_P(Network, OfTwoThatFailedTheOneThatAnswersIsPreferred) {
  Backend other(Role::kSmtp);
  store::v1::StoreClient both(connect(backend.address() + "," + other.address(), GetParam()));
  backend.service.failures = other.service.failures = 4;
  while (backend.service.calls < 4 || other.service.calls < 4) caller.run(both.deliver({})).has_error();
  other.stop();
  // More calls than the budget has repetitions for, if half of them met the dead one first.
  int failed = 0;
  CallOptions options;
  for (options.account_id = 1; options.account_id <= 300; ++options.account_id)
    if (!caller.run(both.deliver({}, options))) ++failed;
  EXPECT_EQ(failed, 0);
}

TEST_P(Network, ManyCallsInFlightSurviveTheirReplica) {
  Backend other(Role::kSmtp);
  store::v1::StoreClient both(connect(backend.address() + "," + other.address(), GetParam()));
  std::atomic<int> ended = 0, failed = 0;
  const auto request = request_named("until stopped");
  for (int i = 1; i <= 400; ++i) {
    CallOptions options;
    options.account_id = i;
    asio::co_spawn(caller.loop(), both.deliver(request, options), [&](std::exception_ptr, auto result) {
      failed += result.has_error() ? 1 : 0;
      ++ended;
    });
  }
  ASSERT_TRUE(eventually([&] { return backend.service.waiting + other.service.waiting == 400; }));
  other.service.release = true;
  backend.stop();
  EXPECT_TRUE(eventually([&] { return ended == 400; }));
  EXPECT_EQ(failed, 0);
}

TEST_P(Network, ADrainingReplicaGetsNoNewCallsByMux) {
  if (!GetParam()) GTEST_SKIP() << "plain calls learn of it when the connection closes";
  Backend other(Role::kSmtp);
  store::v1::StoreClient both(connect(backend.address() + "," + other.address(), true));
  CallOptions options;
  for (options.account_id = 1; options.account_id <= 40; ++options.account_id)
    ASSERT_TRUE(caller.run(both.deliver({}, options)));
  ASSERT_TRUE(backend.drain(Deadline::after(5s)));
  // The announcement travels beside the calls; the call that meets it is still answered.
  ASSERT_TRUE(eventually([&] {
    const int before = backend.service.calls;
    for (options.account_id = 1; options.account_id <= 20; ++options.account_id)
      if (!caller.run(both.deliver({}, options))) return false;
    return backend.service.calls == before;
  }));
}

TEST(NetworkMux, AReplicaThatDrainedAndCameBackIsUsedAgain) {
  Caller caller;
  Backend backend(Role::kSmtp);
  auto other = std::make_unique<Backend>(Role::kSmtp);
  const auto address = other->address();
  store::v1::StoreClient both(connect(backend.address() + "," + address, true));
  CallOptions options;
  const auto call_for_all = [&] {
    for (options.account_id = 1; options.account_id <= 20; ++options.account_id)
      EXPECT_TRUE(caller.run(both.deliver({}, options)));
  };
  call_for_all();
  ASSERT_TRUE(other->drain(Deadline::after(5s)));
  call_for_all();
  other.reset();
  Backend again(Role::kSmtp, address);
  ASSERT_TRUE(again.started);
  std::this_thread::sleep_for(5100ms);  // how long one that drains is avoided
  call_for_all();
  EXPECT_GT(again.service.calls, 1);
}

TEST_P(Network, AnAccountPrefersOneReplica) {
  Backend other(Role::kSmtp);
  store::v1::StoreClient both(connect(backend.address() + "," + other.address(), GetParam()));
  CallOptions options;
  options.account_id = 7;
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(caller.run(both.deliver({}, options)));
  EXPECT_TRUE(backend.service.calls == 0 || other.service.calls == 0);
  for (int i = 1; i <= 100; ++i) {
    options.account_id = i;
    ASSERT_TRUE(caller.run(both.deliver({}, options)));
  }
  EXPECT_GT(backend.service.calls, 20);
  EXPECT_GT(other.service.calls, 20);
}

TEST_P(Network, DrainWaitsForCallsInFlight) {
  const auto request = request_named("slow");
  CallOptions options;
  options.deadline = Deadline::after(300ms);
  std::promise<void> done;
  asio::co_spawn(caller.loop(), store.deliver(request, options), [&](std::exception_ptr, auto) { done.set_value(); });
  ASSERT_TRUE(eventually([&] { return backend.service.waiting == 1; }));
  EXPECT_EQ(backend.drain(Deadline::after(20ms)).error().code(), ErrorCode::kDeadlineExceeded);
  EXPECT_TRUE(backend.drain(Deadline::after(5s)));
  done.get_future().get();
}

TEST_P(Network, ACallThatCannotHaveArrivedIsRepeatedWhateverItsMethod) {
  if (!GetParam()) GTEST_SKIP() << "a plain call does not tell whether it was sent";
  Backend other(Role::kSmtp);
  auth::v1::AuthClient both(connect(backend.address() + "," + other.address(), true));
  other.stop();
  for (int i = 1; i <= 20; ++i) {
    CallOptions options;
    options.account_id = i;
    ASSERT_TRUE(caller.run(both.login({}, options)));
  }
  EXPECT_EQ(backend.auth.calls, 20);
}

TEST_P(Network, CallsInFlightAreBounded) {
  ServerOptions options_of_small;
  options_of_small.max_calls = 2;
  Backend small(Role::kSmtp, "127.0.0.1:0", options_of_small);
  store::v1::StoreClient client(connect(small.address(), GetParam()));
  const auto request = request_named("slow");
  CallOptions options;
  options.deadline = Deadline::after(500ms);
  std::promise<void> done[2];
  for (auto& each : done)
    asio::co_spawn(caller.loop(), client.deliver(request, options),
                   [&](std::exception_ptr, auto) { each.set_value(); });
  ASSERT_TRUE(eventually([&] { return small.service.waiting == 2; }));
  auth::v1::AuthClient login(connect(small.address(), GetParam()));
  EXPECT_EQ(caller.run(login.login({})).error().code(), ErrorCode::kUnavailable);
  for (auto& each : done) each.get_future().get();
}

TEST_P(Network, UnknownMethodsReachNothing) {
  const Method nothing{"/merpati.store.v1.Store/Nothing", CallKind::kUnary, false, nullptr, nullptr, nullptr};
  auth::v1::LoginRequest request;
  auth::v1::LoginResponse response;
  EXPECT_EQ(caller.run(channel->unary(nothing, request, response, {})).error().code(), ErrorCode::kUnimplemented);
}

TEST(Health, SaysServingUntilTheServerDrains) {
  Caller caller;
  Backend backend(Role::kAnonymous);
  const auto channel = connect(backend.address(), false);
  const Method check{"/grpc.health.v1.Health/Check", CallKind::kUnary, true, nullptr, nullptr, nullptr};
  const auth::v1::ListPublicKeysRequest empty;
  auth::v1::SignedClaims answer;  // field 1 is an enum, as in HealthCheckResponse
  ASSERT_TRUE(caller.run(channel->unary(check, empty, answer, {})));
  EXPECT_EQ(static_cast<int>(answer.kind()), 1);
  ASSERT_TRUE(backend.drain(Deadline::after(1s)));
  ASSERT_TRUE(caller.run(channel->unary(check, empty, answer, {})));
  EXPECT_EQ(static_cast<int>(answer.kind()), 2);
}

// The caller dies while its batch still waits for the backend's loop: the connection is gone when the call begins.
TEST(NetworkMux, ACallMayBeginAfterItsConnectionHasEnded) {
  Caller caller;
  Backend backend(Role::kSmtp);
  const auto request = request_named("");
  {
    store::v1::StoreClient store(connect(backend.address(), true));
    ASSERT_TRUE(caller.run(store.deliver(request)));  // the connection stands
    auto release = backend.hold();
    CallOptions options;
    options.deadline = Deadline::after(50ms);
    EXPECT_FALSE(caller.run(store.deliver(request, options)));
    store = store::v1::StoreClient(nullptr);  // the last of the channel: the connection ends
    // The end and the call wait in the backend's socket together.
    release.set_value();
  }
  store::v1::StoreClient again(connect(backend.address(), true));
  EXPECT_TRUE(caller.run(again.deliver(request)));
}

// The pause counts from the last failure, not from the first call after it: who comes later finds no pause.
TEST(NetworkMux, AReplicaThatCameBackIsTriedByTheNextCall) {
  Caller caller;
  auto backend = std::make_unique<Backend>(Role::kSmtp);
  const auto address = backend->address();
  backend.reset();
  NetworkChannelOptions options;
  options.target = address;
  options.server_role = Role::kStore;
  options.max_attempts = 1;
  store::v1::StoreClient store(network_channel(options));
  for (const auto pause : {0ms, 0ms, 150ms, 0ms, 250ms, 500ms}) {
    EXPECT_EQ(caller.run(store.deliver({})).error().code(), ErrorCode::kUnavailable);
    std::this_thread::sleep_for(pause);
  }
  Backend again(Role::kSmtp, address);
  ASSERT_TRUE(again.started);
  EXPECT_TRUE(caller.run(store.deliver({})));
}

// Where localhost is ::1 too, and the server listens at 127.0.0.1 alone. On a machine whose localhost has one address
// this shows only that such a channel works.
TEST(NetworkChannel, WithoutBalancingAnyAddressOfTheHostWillDo) {
  Caller caller;
  Backend backend(Role::kSmtp);
  NetworkChannelOptions options;
  options.target = "localhost" + backend.address().substr(backend.address().rfind(':'));
  options.balance = false;
  options.mux = false;
  options.max_attempts = 1;
  options.server_role = Role::kStore;
  store::v1::StoreClient store(network_channel(options));
  for (std::int64_t account = 1; account <= 20; ++account) {
    CallOptions to;
    to.account_id = account;
    const auto request = request_named("");
    EXPECT_TRUE(caller.run(store.deliver(request, to))) << account;
  }
}

/// Takes connections, says what HTTP/2 begins with (RFC 9113 3.4) and never a word more, as a process that was stopped.
class SilentGrpcServer {
 public:
  SilentGrpcServer() : acceptor_(loop_, {asio::ip::address_v4::loopback(), 0}) {
    accept();
    thread_ = std::thread([this] { loop_.run(); });
  }
  ~SilentGrpcServer() {
    loop_.stop();
    thread_.join();
  }
  SilentGrpcServer(const SilentGrpcServer&) = delete;
  SilentGrpcServer& operator=(const SilentGrpcServer&) = delete;
  std::string address() const { return "127.0.0.1:" + std::to_string(acceptor_.local_endpoint().port()); }

 private:
  void accept() {
    acceptor_.async_accept([this](boost::system::error_code error, asio::ip::tcp::socket socket) {
      if (error) return;
      static constexpr std::string_view kEmptySettings("\0\0\0\4\0\0\0\0\0", 9);
      asio::write(socket, asio::buffer(kEmptySettings), error);
      taken_.push_back(std::move(socket));
      accept();
    });
  }
  asio::io_context loop_;
  asio::ip::tcp::acceptor acceptor_;
  std::list<asio::ip::tcp::socket> taken_;
  std::thread thread_;
};

TEST(NetworkChannel, APlainConnectionThatIsSilentIsGivenUpBeforeTheDeadline) {
  Caller caller;
  SilentGrpcServer server;
  NetworkChannelOptions options;
  options.target = server.address();
  options.balance = false;
  options.mux = false;
  options.ping_after = 50ms;
  options.ping_timeout = 100ms;
  store::v1::StoreClient store(network_channel(options));
  CallOptions call;
  call.deadline = Deadline::after(60s);
  const auto request = request_named("");
  const auto response = caller.run(store.deliver(request, call));
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code(), ErrorCode::kUnavailable) << response.error().describe();
}

INSTANTIATE_TEST_SUITE_P(Transport, Network, testing::Bool(),
                         [](const auto& info) { return info.param ? "Mux" : "Plain"; });

Task<int> watch_some(store::v1::StoreClient store) {
  MERPATI_CO_TRY(auto stream, co_await store.watch());
  int seen = 0;
  for (int i = 1; i <= 2; ++i) {
    store::v1::WatchRequest request;
    request.set_account_id(i);
    MERPATI_CO_CHECK(co_await stream->write(std::move(request)));
    for (int k = 0; k < 3; ++k) {
      MERPATI_CO_TRY(auto event, co_await stream->read());
      if (event && event->account_id() == i) ++seen;
    }
  }
  co_return seen;
}

TEST(NetworkStreams, BidirectionalAndDroppedMeansCancelled) {
  Caller caller;
  Backend backend(Role::kImap);
  store::v1::StoreClient store(connect(backend.address(), false));
  EXPECT_EQ(caller.run(watch_some(store)).value(), 6);
  EXPECT_TRUE(eventually([&] { return backend.service.cancelled == 1; }));
}

/// Reads on after the first event, which is the only one that comes before the server stops.
Task<void> watch_on(store::v1::StoreClient store, Backend& backend, std::promise<void>& held) {
  MERPATI_CO_TRY(auto stream, co_await store.watch());
  store::v1::WatchRequest request;
  MERPATI_CO_CHECK(co_await stream->write(std::move(request)));
  for (int i = 0; i < 3; ++i) MERPATI_CO_CHECK(co_await stream->read());
  held = backend.hold();
  MERPATI_CO_CHECK(co_await stream->read());
  co_return Result<void>();
}

// Only the connection of Mux is pinged; gRPC's own threads answer for a server that does nothing.
TEST(NetworkStreams, AStreamEndsWhenItsServerFallsSilent) {
  Caller caller;
  Backend backend(Role::kImap);
  store::v1::StoreClient store(connect(backend.address(), true));
  std::promise<void> held;
  EXPECT_EQ(caller.run(watch_on(store, backend, held)).error().code(), ErrorCode::kUnavailable);
  held.set_value();
  // Another begins when it is heard again.
  EXPECT_TRUE(eventually([&] {
    const auto seen = caller.run(watch_some(store));
    return seen.has_value() && *seen == 6;
  }));
}

// gRPC ends a call on a thread of its own, at a process's end perhaps when the loops are gone.
TEST(NetworkStreams, ACallMayOutliveItsChannelAndItsLoop) {
  Backend backend(Role::kSmtp);
  auto caller = std::make_unique<Caller>();
  std::optional<store::v1::StoreClient> store(connect(backend.address(), true));
  auto upload = caller->run(store->put_blob());
  ASSERT_TRUE(upload) << upload.error().describe();
  store.reset();
  caller.reset();
  upload->reset();
  backend.stop();
}

Task<void> read_all(store::v1::StoreClient store) {
  store::v1::StreamContentRequest request;
  MERPATI_CO_TRY(auto reader, co_await store.stream_content(request));
  for (;;) {
    MERPATI_CO_TRY(auto chunk, co_await reader->read());
    if (!chunk) co_return Result<void>();
  }
}

TEST(NetworkStreams, AServerStreamBeginsAtAnotherReplicaWhenItsOwnIsGone) {
  Caller caller;
  Backend backend(Role::kImap), other(Role::kImap);
  store::v1::StoreClient store(connect(backend.address() + "," + other.address(), true));
  other.stop();
  for (int i = 0; i < 20; ++i)  // to either
    EXPECT_EQ(caller.run(read_all(store)).error().code(), ErrorCode::kUnauthenticated);
}

TEST(NetworkStreams, ServerStreamRefusedBySayingWhy) {
  Caller caller;
  Backend backend(Role::kImap);
  store::v1::StoreClient store(connect(backend.address(), false));
  EXPECT_EQ(caller.run(read_all(store)).error().code(), ErrorCode::kUnauthenticated);
}

}  // namespace
}  // namespace merpati::rpc
