#include "merpati/otlp/exporter.hpp"

#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/byte_buffer.h>
#include <pthread.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <fstream>
#include <mutex>
#include <random>
#include <sstream>
#include <thread>

#include "merpati/config/v1/common.pb.h"
#include "merpati/otlp/sampler.hpp"
#include "merpati/runtime/duration.hpp"
#include "merpati/runtime/log.hpp"
#include "span_message.hpp"

namespace merpati::otlp {
namespace {

using namespace std::chrono_literals;
using Request = opentelemetry::proto::collector::trace::v1::ExportTraceServiceRequest;

constexpr const char* kMethod = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
constexpr int kAttempts = 5;
constexpr auto kFirstWait = 500ms;
constexpr auto kLongestWait = 8s;
constexpr auto kLastExport = 1s;

struct Options {
  std::string endpoint;
  std::shared_ptr<grpc::ChannelCredentials> credentials;
  std::vector<std::pair<std::string, std::string>> headers;
  std::size_t max_queue = 8192;
  std::size_t max_batch = 512;
  std::chrono::nanoseconds interval = 2s;
  std::chrono::nanoseconds timeout = 10s;
};

/// What the protocol lets a client try again.
bool may_pass(grpc::StatusCode code) {
  switch (code) {
    case grpc::StatusCode::CANCELLED:
    case grpc::StatusCode::DEADLINE_EXCEEDED:
    case grpc::StatusCode::ABORTED:
    case grpc::StatusCode::OUT_OF_RANGE:
    case grpc::StatusCode::UNAVAILABLE:
    case grpc::StatusCode::DATA_LOSS:
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
      return true;
    default:
      return false;
  }
}

class GrpcExporter final : public Exporter {
 public:
  GrpcExporter(Options options, double ratio, Resource resource, runtime::Metrics& metrics)
      : options_(std::move(options)),
        sampler_(ratio),
        resource_(std::move(resource)),
        channel_(grpc::CreateChannel(options_.endpoint, options_.credentials)),
        stub_(channel_) {
    const auto counter = [&](const char* outcome) {
      return metrics.counter("merpati_otlp_spans_total", "Spans by what became of them", {{"outcome", outcome}});
    };
    exported_ = counter("exported");
    dropped_ = counter("dropped");
    failed_ = counter("failed");
    waiting_ = metrics.gauge("merpati_otlp_waiting_spans", "Spans that wait to be exported");
    seconds_ =
        metrics.histogram("merpati_otlp_export_seconds", "Time of one export", runtime::Metrics::latency_bounds());
    thread_ = std::thread([this] {
      pthread_setname_np(pthread_self(), "otlp");
      run();
    });
  }
  ~GrpcExporter() override { GrpcExporter::stop(); }

  bool samples(std::string_view trace_id_hex) const override { return sampler_.samples(trace_id_hex); }

  void take(runtime::SpanData span) override {
    bool full_batch = false;
    {
      std::lock_guard lock(mutex_);
      if (stopping_ || queue_.size() >= options_.max_queue) {
        dropped_.add();
        return;
      }
      queue_.push_back(std::move(span));
      full_batch = queue_.size() >= options_.max_batch;
    }
    if (full_batch) news_.notify_one();
  }

  void stop() override {
    {
      std::lock_guard lock(mutex_);
      if (stopping_) return;
      stopping_ = true;
    }
    news_.notify_one();
    if (thread_.joinable()) thread_.join();
  }

 private:
  void run() {
    for (;;) {
      auto batch = next();
      if (batch.empty()) return;
      // When the process stops, a collector that is away is not waited for again and again.
      if (!send(batch) && is_stopping()) return give_up();
    }
  }

  void give_up() {
    std::lock_guard lock(mutex_);
    failed_.add(static_cast<double>(queue_.size()));
    queue_.clear();
  }

  /// A full batch, or what there is after the interval; empty when all is over.
  std::vector<runtime::SpanData> next() {
    std::unique_lock lock(mutex_);
    const auto enough = [this] { return stopping_ || queue_.size() >= options_.max_batch; };
    do {
      news_.wait_for(lock, options_.interval, enough);
    } while (queue_.empty() && !stopping_);
    std::vector<runtime::SpanData> batch;
    while (!queue_.empty() && batch.size() < options_.max_batch) {
      batch.push_back(std::move(queue_.front()));
      queue_.pop_front();
    }
    waiting_.set(static_cast<double>(queue_.size()));
    return batch;
  }

  bool send(const std::vector<runtime::SpanData>& batch) {
    const Request request = to_message(batch, resource_);
    const auto count = static_cast<double>(batch.size());
    auto wait = std::chrono::milliseconds(kFirstWait);
    for (int attempt = 1;; ++attempt) {
      const auto status = call(request);
      if (status.ok()) {
        exported_.add(count);
        complained_ = false;
        return true;
      }
      if (attempt >= kAttempts || !may_pass(status.error_code()) || !pause(wait)) {
        failed_.add(count);
        if (!complained_.exchange(true))
          log::warning("otlp_export_failed", status.error_message(), {{"endpoint", options_.endpoint}});
        return false;
      }
      wait = std::min<std::chrono::milliseconds>(wait * 2, kLongestWait);
    }
  }

  /// False when the process stops.
  bool pause(std::chrono::milliseconds wait) {
    std::uniform_int_distribution<std::int64_t> half_to_whole(wait.count() / 2, wait.count());
    std::unique_lock lock(mutex_);
    return !news_.wait_for(lock, std::chrono::milliseconds(half_to_whole(random_)), [this] { return stopping_; });
  }

  grpc::Status call(const Request& request) {
    grpc::ClientContext context;
    const bool last = is_stopping();
    context.set_deadline(
        std::chrono::system_clock::now() +
        std::chrono::duration_cast<std::chrono::system_clock::duration>(last ? kLastExport : options_.timeout));
    for (const auto& [name, value] : options_.headers) context.AddMetadata(name, value);
    const grpc::Slice slice(request.SerializeAsString());
    grpc::ByteBuffer out(&slice, 1);
    grpc::ByteBuffer in;
    grpc::Status status;
    std::mutex done_mutex;
    std::condition_variable done_changed;
    bool done = false;
    const auto begun = std::chrono::steady_clock::now();
    stub_.UnaryCall(&context, kMethod, {}, &out, &in, [&](grpc::Status result) {
      std::lock_guard lock(done_mutex);
      status = std::move(result);
      done = true;
      done_changed.notify_one();
    });
    {
      std::unique_lock lock(done_mutex);
      done_changed.wait(lock, [&] { return done; });  // ends at the call's deadline
    }
    seconds_.observe(std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count());
    return status;
  }

  bool is_stopping() {
    std::lock_guard lock(mutex_);
    return stopping_;
  }

  const Options options_;
  const Sampler sampler_;
  const Resource resource_;
  std::shared_ptr<grpc::Channel> channel_;
  grpc::GenericStub stub_;
  runtime::Counter exported_, dropped_, failed_;
  runtime::Gauge waiting_;
  runtime::Histogram seconds_;
  std::minstd_rand random_{std::random_device{}()};
  std::atomic<bool> complained_ = false;
  std::mutex mutex_;
  std::condition_variable news_;
  std::deque<runtime::SpanData> queue_;
  bool stopping_ = false;
  std::thread thread_;
};

Result<std::vector<std::pair<std::string, std::string>>> parse_headers(const std::string& text) {
  std::vector<std::pair<std::string, std::string>> out;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.empty()) continue;
    const auto colon = line.find(':');
    if (colon == std::string::npos || colon == 0)
      return Error(ErrorCode::kInvalidArgument, "otlp.headers: each line is \"name: value\"");
    std::string name = line.substr(0, colon);
    for (char& c : name) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    const auto value = line.find_first_not_of(' ', colon + 1);
    out.emplace_back(std::move(name), value == std::string::npos ? std::string() : line.substr(value));
  }
  return out;
}

}  // namespace

Result<std::shared_ptr<Exporter>> Exporter::make(const config::v1::Otlp& config, Resource resource,
                                                 runtime::Metrics& metrics) {
  if (config.endpoint().empty()) return std::shared_ptr<Exporter>();
  if (config.ratio() < 0 || config.ratio() > 1)
    return Error(ErrorCode::kInvalidArgument, "otlp.ratio is not from 0 to 1");
  if (config.max_queue() == 0 || config.max_batch() == 0)
    return Error(ErrorCode::kInvalidArgument, "otlp.max_queue and otlp.max_batch are at least 1");
  Options options;
  options.endpoint = config.endpoint();
  options.credentials = grpc::InsecureChannelCredentials();
  if (!config.ca_file().empty()) {
    std::ifstream file(config.ca_file());
    std::ostringstream pem;
    if (!file || !(pem << file.rdbuf()))
      return Error(ErrorCode::kInvalidArgument, "otlp.ca_file: cannot read " + config.ca_file());
    grpc::SslCredentialsOptions tls;
    tls.pem_root_certs = pem.str();
    options.credentials = grpc::SslCredentials(tls);
  }
  MERPATI_TRY(options.headers, parse_headers(config.headers()));
  options.max_queue = config.max_queue();
  options.max_batch = std::min(config.max_batch(), config.max_queue());
  options.interval = runtime::to_chrono(config.interval());
  options.timeout = runtime::to_chrono(config.timeout());
  return std::shared_ptr<Exporter>(
      std::make_shared<GrpcExporter>(std::move(options), config.ratio(), std::move(resource), metrics));
}

}  // namespace merpati::otlp
