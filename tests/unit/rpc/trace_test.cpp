// One trace through every transport, spans that hang together, and calls to each replica.
#include <gtest/gtest.h>

#include <mutex>
#include <thread>

#include "merpati/rpc/network_channel.hpp"
#include "merpati/rpc/replica_channels.hpp"
#include "merpati/rpc/server.hpp"
#include "merpati/runtime/span.hpp"
#include "merpati/runtime/v1/status.rpc.hpp"
#include "support/loop.hpp"

namespace merpati::rpc {
namespace {

using namespace std::chrono_literals;
const std::string kId = "0123456789abcdef0123456789abcdef";

class Status final : public runtime::v1::StatusService {
 public:
  explicit Status(std::string host) : host_(std::move(host)) {}
  Task<runtime::v1::GetStatusResponse> get_status(Context& context, const runtime::v1::GetStatusRequest&) override {
    trace_id = context.trace_id();
    trace = context.trace();
    runtime::v1::GetStatusResponse response;
    response.set_host(host_);
    co_return response;
  }
  std::string trace_id, trace;

 private:
  const std::string host_;
};

using test::Loop;

class Backend {
 public:
  explicit Backend(std::string host) : service(std::move(host)) {
    dispatcher.register_service(service);
    ServerOptions options;
    options.address = "127.0.0.1:0";
    options.role_without_tls = Role::kAdmin;
    options.loops = {loop_.context.get_executor()};
    server_ = std::make_unique<Server>(dispatcher, options);
    EXPECT_TRUE(server_->start().has_value());
    port_ = server_->port();
  }
  ~Backend() { stop(); }
  void stop() {
    if (server_) static_cast<void>(loop_.run(server_->stop()));
    server_.reset();
  }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

  Status service;
  Dispatcher dispatcher;

 private:
  Loop loop_;
  std::unique_ptr<Server> server_;
  std::uint16_t port_ = 0;
};

class Sink : public runtime::SpanSink {
 public:
  void take(runtime::SpanData span) override {
    std::lock_guard lock(mutex_);
    spans_.push_back(std::move(span));
  }
  bool samples(std::string_view) const override { return true; }
  std::vector<runtime::SpanData> spans() {
    std::lock_guard lock(mutex_);
    return spans_;
  }

 private:
  std::mutex mutex_;
  std::vector<runtime::SpanData> spans_;
};

/// The transports by name: "in process", "plain", "mux".
class Trace : public testing::TestWithParam<const char*> {
 protected:
  ~Trace() override { runtime::set_span_sink(nullptr); }
  std::shared_ptr<Channel> channel() {
    if (std::string_view(GetParam()) == "in process") return in_process_channel(backend_.dispatcher, Role::kAdmin);
    NetworkChannelOptions options;
    options.target = backend_.address();
    options.mux = std::string_view(GetParam()) == "mux";
    return network_channel(std::move(options));
  }
  void call(const std::string& trace) {
    runtime::v1::StatusClient client(channel());
    CallOptions options;
    options.trace_id = trace;
    options.deadline = Deadline::after(20s);
    const auto status = caller_.run(client.get_status(runtime::v1::GetStatusRequest(), options));
    ASSERT_TRUE(status.has_value()) << status.error().describe();
  }

  Backend backend_{"a"};
  Loop caller_;
};

TEST_P(Trace, TheIdArrives) {
  call(kId);
  EXPECT_EQ(backend_.service.trace_id, kId);
}

TEST_P(Trace, TheCallersSpanAndDecisionArrive) {
  call(kId + "-00f067aa0ba902b7-00");
  EXPECT_EQ(backend_.service.trace_id, kId);
  EXPECT_EQ(backend_.service.trace, kId + "-00f067aa0ba902b7-00");
}

TEST_P(Trace, WithoutOneThereIsNone) {
  call("");
  EXPECT_EQ(backend_.service.trace_id, "");
}

TEST_P(Trace, SpansHangTogether) {
  const auto sink = std::make_shared<Sink>();
  runtime::set_span_sink(sink);
  call(kId + "-00f067aa0ba902b7-01");
  const auto spans = sink->spans();
  ASSERT_EQ(spans.size(), 2U);
  const auto& server = spans[0].kind == runtime::SpanKind::kServer ? spans[0] : spans[1];
  const auto& client = spans[0].kind == runtime::SpanKind::kServer ? spans[1] : spans[0];
  EXPECT_EQ(client.kind, runtime::SpanKind::kClient);
  EXPECT_EQ(client.name, "merpati.runtime.v1.Status/GetStatus");
  EXPECT_EQ(client.parent, 0x00f067aa0ba902b7U);
  EXPECT_EQ(server.parent, client.id);
  EXPECT_EQ(runtime::parse_trace(backend_.service.trace).span, server.id) << "what the handler calls hangs below it";
}

INSTANTIATE_TEST_SUITE_P(Transports, Trace, testing::Values("in process", "plain", "mux"), [](const auto& info) {
  return info.param == std::string("in process") ? "InProcess" : info.param;
});

TEST(ReplicasOfAChannel, EachIsAskedForItself) {
  Backend one("one"), two("two");
  Loop caller;
  NetworkChannelOptions options;
  options.target = one.address() + "," + two.address();
  const auto channel = network_channel(std::move(options));
  const auto ask = [&](const std::shared_ptr<Channel>& replica) {
    runtime::v1::StatusClient client(replica);
    CallOptions call;
    call.deadline = Deadline::after(20s);
    const auto status = caller.run(client.get_status(runtime::v1::GetStatusRequest(), call));
    return status.has_value() ? status->host() : std::string(to_string(status.error().code()));
  };
  std::map<std::string, std::string> hosts;
  for (const auto& replica : replicas_of(*channel)) hosts[replica.address] = ask(replica.channel);
  const std::string first = "ipv4:" + one.address(), second = "ipv4:" + two.address();
  EXPECT_EQ(hosts, (std::map<std::string, std::string>{{first, "one"}, {second, "two"}}));
  two.stop();
  for (const auto& replica : replicas_of(*channel)) hosts[replica.address] = ask(replica.channel);
  EXPECT_EQ(hosts[first], "one");
  EXPECT_EQ(hosts[second], "UNAVAILABLE") << "the other one does not answer in its place";
}

}  // namespace
}  // namespace merpati::rpc
