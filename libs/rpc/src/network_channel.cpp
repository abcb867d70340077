#include "merpati/rpc/network_channel.hpp"

#include <algorithm>
#include <random>

#include "client_call.hpp"
#include "merpati/rpc/replica_channels.hpp"
#include "replicas.hpp"

namespace merpati::rpc {

namespace {

constexpr std::size_t kMaxMuxRequest = 256 << 10;  // larger requests travel alone, so that they do not hold up a batch

// Retries may add a tenth to the calls, and a few when there are hardly any calls.
class RetryBudget {
 public:
  void call() {
    const int now = tenths_.load(std::memory_order_relaxed);
    if (now < kMax) tenths_.fetch_add(1, std::memory_order_relaxed);
  }
  bool take() {
    if (tenths_.fetch_sub(10, std::memory_order_relaxed) >= 10) return true;
    tenths_.fetch_add(10, std::memory_order_relaxed);
    return false;
  }

 private:
  static constexpr int kMax = 1000;
  std::atomic<int> tenths_{200};
};

class InFlight {
 public:
  explicit InFlight(Replica& replica) : replica_(replica) { ++replica_.in_flight; }
  ~InFlight() { --replica_.in_flight; }
  InFlight(const InFlight&) = delete;
  InFlight& operator=(const InFlight&) = delete;

 private:
  Replica& replica_;
};

std::chrono::nanoseconds backoff(int attempt) {
  thread_local std::minstd_rand random(std::random_device{}());
  const int most = 20'000 << std::min(attempt, 5);  // microseconds; full jitter
  return std::chrono::microseconds(1'000 + static_cast<int>(random() % static_cast<unsigned>(most)));
}

/// To one replica, by plain calls.
class OneReplica final : public Channel {
 public:
  explicit OneReplica(std::shared_ptr<Replica> replica) : replica_(std::move(replica)) {}
  Task<void> unary(const Method& method, const MessageLite& request, MessageLite& response,
                   const CallOptions& options) override {
    InFlight counted(*replica_);
    co_return co_await plain_unary(replica_->stub(), method, request, response, options);
  }
  Task<std::shared_ptr<Stream>> open(const Method&, const MessageLite*, const CallOptions&) override {
    co_return Error(ErrorCode::kUnimplemented, "one replica is asked by unary calls only");
  }

 private:
  const std::shared_ptr<Replica> replica_;
};

class NetworkChannel final : public Channel, public ReplicaSource {
 public:
  explicit NetworkChannel(NetworkChannelOptions options)
      : options_(std::move(options)), replicas_(std::make_unique<Replicas>(options_)) {}

  Task<void> unary(const Method& method, const MessageLite& request, MessageLite& response,
                   const CallOptions& options) override {
    const auto deadline = options.deadline.is_never() ? Deadline::after(options_.unary_timeout) : options.deadline;
    budget_.call();
    std::vector<std::shared_ptr<Replica>> tried;
    for (int attempt = 1;; ++attempt) {
      const auto replica = replicas_->pick(options.account_id, tried);
      if (!replica) co_return Error(ErrorCode::kUnavailable, options_.target + " cannot be resolved");
      auto outcome = co_await try_once(*replica, method, request, response, options, deadline);
      if (outcome.result.has_value()) {
        replica->succeeded();
        co_return Result<void>();
      }
      const auto code = outcome.result.error().code();
      if (code != ErrorCode::kUnavailable) co_return std::move(outcome.result).error().in(replica->address());
      replica->failed();
      const bool may_repeat = method.idempotent || !outcome.sent;
      if (!may_repeat || attempt >= options_.max_attempts || !budget_.take())
        co_return std::move(outcome.result).error().in(replica->address());
      const auto wait = backoff(attempt);
      if (deadline.left() <= wait) co_return std::move(outcome.result).error().in(replica->address());
      MERPATI_CO_CHECK(co_await sleep_for(wait));
      tried.push_back(replica);
      if (response.ByteSizeLong() != 0) response.Clear();
    }
  }

  Task<std::shared_ptr<Stream>> open(const Method& method, const MessageLite* only_request,
                                     const CallOptions& options) override {
    const auto replica = replicas_->pick(options.account_id, {});
    if (!replica) co_return Error(ErrorCode::kUnavailable, options_.target + " cannot be resolved");
    ++replica->in_flight;
    auto on_end = [replica](const grpc::Status& status) {
      --replica->in_flight;
      if (status.error_code() == grpc::StatusCode::UNAVAILABLE) replica->failed();
    };
    auto stream = plain_stream(replica->stub(), method, options, std::move(on_end));
    if (only_request != nullptr) {
      std::unique_ptr<MessageLite> copy(only_request->New());
      copy->CheckTypeAndMergeFrom(*only_request);
      // A call that has failed already says so at the first read.
      static_cast<void>(co_await stream->write(std::move(copy)));
      static_cast<void>(co_await stream->done_writing());
    }
    co_return stream;
  }

  std::vector<ReplicaChannel> replicas() override {
    std::vector<ReplicaChannel> out;
    if (!options_.balance) return out;
    for (auto& replica : replicas_->all()) {
      std::string address = replica->address();
      out.push_back({std::move(address), std::make_shared<OneReplica>(std::move(replica))});
    }
    return out;
  }

 private:
  asio::awaitable<Attempt> try_once(Replica& replica, const Method& method, const MessageLite& request,
                                    MessageLite& response, const CallOptions& options, Deadline deadline) {
    InFlight counted(replica);
    if (options_.mux && request.ByteSizeLong() <= kMaxMuxRequest) {
      const auto mux = replica.mux(co_await asio::this_coro::executor);
      if (mux) co_return co_await mux->call(method, request, response, options, deadline);
    }
    Attempt attempt;
    CallOptions until = options;
    until.deadline = deadline;
    attempt.result = co_await plain_unary(replica.stub(), method, request, response, until);
    co_return attempt;
  }

  const NetworkChannelOptions options_;
  std::unique_ptr<Replicas> replicas_;
  RetryBudget budget_;
};

}  // namespace

std::shared_ptr<Channel> network_channel(NetworkChannelOptions options) {
  return std::make_shared<NetworkChannel>(std::move(options));
}

}  // namespace merpati::rpc
