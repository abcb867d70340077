// The exporter against a collector in this process: a gRPC server of the trace service.
#include "merpati/otlp/exporter.hpp"

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>

#include "../../../libs/rpc/src/grpc_order.hpp"  // for ThreadSanitizer, as this has a server of its own
#include "merpati/config/v1/common.pb.h"
#include "merpati/otlp/sampler.hpp"
#include "merpati/runtime/metric_samples.hpp"
#include "opentelemetry/proto/collector/trace/v1/trace_service.pb.h"

namespace merpati::otlp {
namespace {

using namespace std::chrono_literals;
using Request = opentelemetry::proto::collector::trace::v1::ExportTraceServiceRequest;
using Response = opentelemetry::proto::collector::trace::v1::ExportTraceServiceResponse;

/// Answers Export with what `next` says, and keeps what it was sent.
class Collector {
 public:
  Collector() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterCallbackGenericService(&service_);
    server_ = builder.BuildAndStart();
  }
  ~Collector() { server_->Shutdown(std::chrono::system_clock::now()); }

  std::string endpoint() const { return "127.0.0.1:" + std::to_string(port_); }
  /// The next answers, in order; afterwards OK.
  void answer(std::vector<grpc::StatusCode> codes) {
    std::lock_guard lock(mutex_);
    codes_.assign(codes.rbegin(), codes.rend());
  }
  /// Waits until as many spans were accepted.
  bool wait_for(std::size_t spans) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 20s, [&] { return accepted_.size() >= spans; });
  }
  std::vector<opentelemetry::proto::trace::v1::Span> accepted() {
    std::lock_guard lock(mutex_);
    return accepted_;
  }
  int calls() {
    std::lock_guard lock(mutex_);
    return calls_;
  }
  std::string header(const std::string& name) {
    std::lock_guard lock(mutex_);
    return headers_[name];
  }
  std::map<std::string, std::string> resource;

 private:
  grpc::StatusCode take(const Request& request, const grpc::ServerContextBase& context) {
    std::lock_guard lock(mutex_);
    ++calls_;
    for (const auto& [key, value] : context.client_metadata())
      headers_[std::string(key.data(), key.size())] = std::string(value.data(), value.size());
    auto code = grpc::StatusCode::OK;
    if (!codes_.empty()) {
      code = codes_.back();
      codes_.pop_back();
    }
    if (code != grpc::StatusCode::OK) return code;
    for (const auto& all : request.resource_spans()) {
      for (const auto& attribute : all.resource().attributes())
        resource[attribute.key()] = attribute.value().string_value();
      for (const auto& scope : all.scope_spans())
        accepted_.insert(accepted_.end(), scope.spans().begin(), scope.spans().end());
    }
    changed_.notify_all();
    return code;
  }

  class Call : public grpc::ServerGenericBidiReactor {
   public:
    Call(Collector& collector, grpc::GenericCallbackServerContext* context) : collector_(collector), context_(context) {
      StartRead(&in_);
    }
    void OnReadDone(bool ok) override {
      grpc::Slice slice;
      Request request;
      if (!ok || !in_.DumpToSingleSlice(&slice).ok() ||
          !request.ParseFromArray(slice.begin(), static_cast<int>(slice.size())))
        return Finish(grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "no request"));
      const auto code = collector_.take(request, *context_);
      if (code != grpc::StatusCode::OK) return Finish(grpc::Status(code, "as the test wants"));
      const grpc::Slice answer(Response().SerializeAsString());
      out_ = grpc::ByteBuffer(&answer, 1);
      StartWriteAndFinish(&out_, {}, grpc::Status::OK);
    }
    void OnDone() override {
      rpc::scheduled_by_grpc(this);
      delete this;
    }

   private:
    Collector& collector_;
    grpc::GenericCallbackServerContext* context_;
    grpc::ByteBuffer in_, out_;
  };
  class Service : public grpc::CallbackGenericService {
   public:
    explicit Service(Collector& collector) : collector_(collector) {}
    grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext* context) override {
      return new Call(collector_, context);
    }

   private:
    Collector& collector_;
  };

  int port_ = 0;
  Service service_{*this};
  std::unique_ptr<grpc::Server> server_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<grpc::StatusCode> codes_;
  std::vector<opentelemetry::proto::trace::v1::Span> accepted_;
  std::map<std::string, std::string> headers_;
  int calls_ = 0;
};

config::v1::Otlp config_for(const std::string& endpoint) {
  config::v1::Otlp config;
  config.set_endpoint(endpoint);
  config.set_ratio(1);
  config.set_max_queue(100);
  config.set_max_batch(10);
  config.mutable_interval()->set_nanos(10'000'000);
  config.mutable_timeout()->set_seconds(5);
  return config;
}

runtime::SpanData span(std::uint64_t id) {
  runtime::SpanData out;
  out.trace_id = std::string(15, '\0') + "x";
  out.id = id;
  out.parent = 1;
  out.name = "step";
  out.kind = runtime::SpanKind::kServer;
  out.start_ns = 1000;
  out.end_ns = 2000;
  return out;
}

double count(const runtime::Metrics& metrics, const std::string& outcome) {
  for (const auto& sample : runtime::samples_of(metrics)) {
    if (sample.name == "merpati_otlp_spans_total" && sample.labels.at("outcome") == outcome) return sample.value;
  }
  return -1;
}

TEST(Exporter, SendsSpansAsTheProtocolWants) {
  Collector collector;
  runtime::Metrics metrics;
  auto config = config_for(collector.endpoint());
  config.set_headers("X-Api-Key: secret\n");
  const auto exporter = Exporter::make(config, {"merpati-store", "pod-1", "1.2"}, metrics).value();
  auto one = span(0x0102030405060708);
  one.attributes.emplace_back("text", std::string("value"));
  one.attributes.emplace_back("number", std::int64_t{42});
  one.failure = "UNAVAILABLE";
  exporter->take(std::move(one));
  ASSERT_TRUE(collector.wait_for(1));
  exporter->stop();
  const auto found = collector.accepted().front();
  EXPECT_EQ(found.trace_id().size(), 16U);
  EXPECT_EQ(found.span_id(), "\x01\x02\x03\x04\x05\x06\x07\x08");
  EXPECT_EQ(found.parent_span_id(), std::string(7, '\0') + "\x01");
  EXPECT_EQ(found.name(), "step");
  EXPECT_EQ(found.kind(), opentelemetry::proto::trace::v1::Span::SPAN_KIND_SERVER);
  EXPECT_EQ(found.start_time_unix_nano(), 1000U);
  EXPECT_EQ(found.end_time_unix_nano(), 2000U);
  EXPECT_EQ(found.attributes(0).value().string_value(), "value");
  EXPECT_EQ(found.attributes(1).value().int_value(), 42);
  EXPECT_EQ(found.status().code(), opentelemetry::proto::trace::v1::Status::STATUS_CODE_ERROR);
  EXPECT_EQ(collector.resource["service.name"], "merpati-store");
  EXPECT_EQ(collector.resource["service.instance.id"], "pod-1");
  EXPECT_EQ(collector.header("x-api-key"), "secret");
  EXPECT_EQ(count(metrics, "exported"), 1);
}

TEST(Exporter, RepeatsWhatMayPassAndGivesUpWhatMayNot) {
  Collector collector;
  runtime::Metrics metrics;
  const auto exporter = Exporter::make(config_for(collector.endpoint()), {"s", "i", "v"}, metrics).value();
  collector.answer({grpc::StatusCode::UNAVAILABLE});
  exporter->take(span(1));
  ASSERT_TRUE(collector.wait_for(1)) << "the second attempt";
  EXPECT_EQ(collector.calls(), 2);
  collector.answer({grpc::StatusCode::INVALID_ARGUMENT});
  exporter->take(span(2));
  exporter->stop();
  EXPECT_EQ(collector.calls(), 3) << "no use in repeating";
  EXPECT_EQ(count(metrics, "exported"), 1);
  EXPECT_EQ(count(metrics, "failed"), 1);
}

TEST(Exporter, DropsWhenFullAndStopsThoughNobodyListens) {
  runtime::Metrics metrics;
  auto config = config_for("127.0.0.1:1");
  config.mutable_interval()->set_seconds(3600);
  config.set_max_batch(100);
  const auto exporter = Exporter::make(config, {"s", "i", "v"}, metrics).value();
  for (std::uint64_t i = 1; i <= 99; ++i) exporter->take(span(i));
  EXPECT_EQ(count(metrics, "dropped"), 0);
  exporter->stop();
  EXPECT_EQ(count(metrics, "failed"), 99) << "one last attempt";
  exporter->take(span(1000));
  EXPECT_EQ(count(metrics, "dropped"), 1);
}

TEST(Exporter, HoldsNoMoreThanItsQueue) {
  Collector collector;
  runtime::Metrics metrics;
  auto config = config_for(collector.endpoint());
  config.set_max_queue(20);
  config.set_max_batch(20);
  const auto exporter = Exporter::make(config, {"s", "i", "v"}, metrics).value();
  collector.answer(std::vector<grpc::StatusCode>(4, grpc::StatusCode::UNAVAILABLE));  // it waits for seconds
  for (std::uint64_t i = 1; i <= 200; ++i) exporter->take(span(i));
  EXPECT_GE(count(metrics, "dropped"), 160) << "20 in hand, 20 waiting";
  exporter->stop();
}

TEST(Exporter, SaysWhatIsWrong) {
  runtime::Metrics metrics;
  config::v1::Otlp config;
  EXPECT_EQ(Exporter::make(config, {"s", "i", "v"}, metrics).value(), nullptr) << "off by default";
  config = config_for("localhost:4317");
  config.set_headers("no colon");
  EXPECT_TRUE(Exporter::make(config, {"s", "i", "v"}, metrics).has_error());
  config.set_headers("");
  config.set_ca_file("/does/not/exist");
  EXPECT_TRUE(Exporter::make(config, {"s", "i", "v"}, metrics).has_error());
}

TEST(Sampler, DecidesByTheTraceAlone) {
  const std::string low = "ffffffffffffffffff00000000000001";
  const std::string high = "000000000000000000fffffffffffffe";
  EXPECT_FALSE(Sampler(0).samples(low));
  EXPECT_TRUE(Sampler(1).samples(high));
  EXPECT_TRUE(Sampler(0.5).samples(low));
  EXPECT_FALSE(Sampler(0.5).samples(high));
  EXPECT_FALSE(Sampler(1).samples("short"));
  int taken = 0;
  for (int i = 0; i < 1000; ++i) taken += Sampler(0.5).samples(runtime::new_trace_id()) ? 1 : 0;
  EXPECT_NEAR(taken, 500, 150) << "of those that we make, too";
}

}  // namespace
}  // namespace merpati::otlp
