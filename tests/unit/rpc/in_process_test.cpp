// Calls within one process: all four kinds over real contracts, the checks, cancellation and deadlines.
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>

#include "merpati/auth/v1/auth.rpc.hpp"
#include "merpati/rpc/dispatcher.hpp"
#include "merpati/store/v1/store.rpc.hpp"

namespace merpati::rpc {
namespace {

using namespace std::chrono_literals;

class FakeStore final : public store::v1::StoreService {
 public:
  Task<store::v1::DeliverResponse> deliver(Context& context, const store::v1::DeliverRequest& request) override {
    role = context.role();
    if (request.delivery_id() == "slow") {
      auto slept = co_await sleep_for(10s);
      ended_early = slept.has_error();
    }
    co_return store::v1::DeliverResponse();
  }
  Task<void> stream_content(Context&, const store::v1::StreamContentRequest&,
                            Writer<store::v1::StreamContentResponse>& out) override {
    for (int i = 0; i < 20; ++i) {
      store::v1::StreamContentResponse chunk;
      MERPATI_CO_CHECK(co_await out.write(std::move(chunk)));
      ++written;
    }
    co_return Error(ErrorCode::kDataLoss, "torn").with_public("cannot be read");
  }
  Task<store::v1::PutBlobResponse> put_blob(Context&, Reader<store::v1::PutBlobRequest>& in) override {
    store::v1::PutBlobResponse response;
    for (;;) {
      MERPATI_CO_TRY(auto message, co_await in.read());
      if (!message) break;
      response.set_size(response.size() + message->chunk().size());
    }
    co_return response;
  }
  Task<void> watch(Context&, Reader<store::v1::WatchRequest>& in, Writer<store::v1::WatchResponse>& out) override {
    for (;;) {
      auto message = co_await in.read();
      if (message.has_error()) watch_cancelled = true;
      if (message.has_error() || !*message) break;
      store::v1::WatchResponse event;
      event.set_account_id((*message)->account_id());
      MERPATI_CO_CHECK(co_await out.write(std::move(event)));
    }
    co_return Result<void>();
  }

  Role role = Role::kAnonymous;
  bool ended_early = false;
  bool watch_cancelled = false;
  int written = 0;
};

template <class T>
Result<T> run(Task<T> task) {
  asio::io_context loop;
  Result<T> result = Error(ErrorCode::kUnknown, "not run");
  asio::co_spawn(loop, std::move(task), [&](std::exception_ptr failure, Result<T> value) {
    ASSERT_FALSE(failure);
    result = std::move(value);
  });
  loop.run();
  return result;
}

struct InProcess : testing::Test {
  InProcess() { dispatcher.register_service(service); }
  store::v1::StoreClient client(Role role) { return store::v1::StoreClient(in_process_channel(dispatcher, role)); }
  FakeStore service;
  Dispatcher dispatcher;
};

TEST_F(InProcess, UnaryReachesTheHandlerWithTheCallersRole) {
  auto store = client(Role::kSmtp);
  store::v1::DeliverRequest request;
  ASSERT_TRUE(run(store.deliver(request)));
  EXPECT_EQ(service.role, Role::kSmtp);
}

TEST_F(InProcess, TheTableHoldsInProcessToo) {
  auto store = client(Role::kImap);
  store::v1::DeliverRequest request;
  EXPECT_EQ(run(store.deliver(request)).error().code(), ErrorCode::kPermissionDenied);
  store::v1::GetQuotaRequest quota;
  EXPECT_EQ(run(store.get_quota(quota)).error().code(), ErrorCode::kUnauthenticated);
}

TEST_F(InProcess, WhatIsNotImplementedSaysSo) {
  auto store = client(Role::kAdmin);
  store::v1::GetQuotaRequest quota;
  EXPECT_EQ(run(store.get_quota(quota)).error().code(), ErrorCode::kUnimplemented);
}

TEST_F(InProcess, DeadlineEndsTheHandler) {
  auto store = client(Role::kSmtp);
  store::v1::DeliverRequest request;
  request.set_delivery_id("slow");
  CallOptions options;
  options.deadline = Deadline::after(20ms);
  EXPECT_EQ(run(store.deliver(request, options)).error().code(), ErrorCode::kDeadlineExceeded);
  EXPECT_TRUE(service.ended_early);
}

Task<std::uint64_t> put(store::v1::StoreClient store) {
  MERPATI_CO_TRY(auto upload, co_await store.put_blob());
  for (int i = 0; i < 100; ++i) {
    store::v1::PutBlobRequest part;
    part.set_chunk(std::string(1000, 'x'));
    MERPATI_CO_CHECK(co_await upload->write(std::move(part)));
  }
  MERPATI_CO_TRY(auto response, co_await upload->finish());
  co_return response.size();
}

TEST_F(InProcess, ClientStreamGathers) { EXPECT_EQ(run(put(client(Role::kSmtp))).value(), 100'000u); }

Task<int> watch_two(store::v1::StoreClient store) {
  MERPATI_CO_TRY(auto stream, co_await store.watch());
  int seen = 0;
  for (int i = 1; i <= 2; ++i) {
    store::v1::WatchRequest request;
    request.set_account_id(i);
    MERPATI_CO_CHECK(co_await stream->write(std::move(request)));
    MERPATI_CO_TRY(auto event, co_await stream->read());
    if (event && event->account_id() == i) ++seen;
  }
  co_return seen;  // dropping the stream cancels the call
}

TEST_F(InProcess, DroppingAStreamCancelsItsHandler) {
  EXPECT_EQ(run(watch_two(client(Role::kImap))).value(), 2);
  EXPECT_TRUE(service.watch_cancelled);
}

}  // namespace
}  // namespace merpati::rpc
