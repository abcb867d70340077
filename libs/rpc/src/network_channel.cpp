#include "merpati/rpc/network_channel.hpp"

#include <algorithm>
#include <mutex>
#include <random>

#include "client_call.hpp"
#include "client_span.hpp"
#include "merpati/rpc/replica_channels.hpp"
#include "replicas.hpp"
#include "wire.hpp"

namespace merpati::rpc {

namespace {

constexpr std::size_t kMaxMuxRequest = 256 << 10;  // larger requests travel alone, so that they do not hold up a batch

// Retries may add a tenth to the calls, and as many at once as a dying replica has in flight.
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
  static constexpr int kMax = 20'000;
  std::atomic<int> tenths_{kMax / 2};
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

/// Whether it may be the replica's fault.
bool is_away(const Error& error) { return error.code() == ErrorCode::kUnavailable && error.may_retry(); }

bool contains(const std::vector<std::shared_ptr<Replica>>& list, const std::shared_ptr<Replica>& one) {
  return std::find(list.begin(), list.end(), one) != list.end();
}

/// To one replica, by plain calls.
class OneReplica final : public Channel {
 public:
  explicit OneReplica(std::shared_ptr<Replica> replica) : replica_(std::move(replica)) {}
  Task<void> unary(const Method& method, const MessageLite& request, MessageLite& response,
                   const CallOptions& options) override {
    InFlight counted(*replica_);
    co_return co_await plain_unary(replica_->channel(), method, request, response, options);
  }
  Task<std::shared_ptr<Stream>> open(const Method&, const MessageLite*, const CallOptions&) override {
    co_return Error(ErrorCode::kUnimplemented, "one replica is asked by unary calls only");
  }

 private:
  const std::shared_ptr<Replica> replica_;
};

class NetworkChannel final : public Channel, public ReplicaSource, public std::enable_shared_from_this<NetworkChannel> {
 public:
  explicit NetworkChannel(NetworkChannelOptions options)
      : options_(std::move(options)), replicas_(std::make_unique<Replicas>(options_)) {}

  Task<void> unary(const Method& method, const MessageLite& request, MessageLite& response,
                   const CallOptions& options) override {
    const auto deadline = options.deadline.is_never() ? Deadline::after(options_.unary_timeout) : options.deadline;
    if (!runtime::spans_recorded()) co_return co_await with_retries(method, request, response, options, deadline);
    auto span = client_span(method, options);
    CallOptions traced = options;
    if (span.active()) traced.trace_id = span.trace();
    auto result = co_await with_retries(method, request, response, traced, deadline);
    end_span(span, result);
    co_return result;
  }

  Task<void> with_retries(const Method& method, const MessageLite& request, MessageLite& response,
                          const CallOptions& options, Deadline deadline) {
    budget_.call();
    const auto same_again_until = Deadline::after(options_.same_again_within);
    Tried tried;
    Result<void> last;  // of the attempt before
    for (int attempt = 1;; ++attempt) {
      const auto replica = replicas_->pick(options.account_id, tried);
      if (!replica) co_return unresolved();
      if (contains(tried, replica) && same_again_until.passed()) co_return last;
      auto outcome = co_await try_once(*replica, method, request, response, options, deadline, !tried.empty());
      if (outcome.result.has_value()) {
        replica->succeeded();
        co_return Result<void>();
      }
      last = std::move(outcome.result).error().in(replica->address());
      if (!is_away(last.error())) co_return last;
      replica->failed();
      const bool may_repeat = method.idempotent || !outcome.sent;
      // What was not sent has cost no server anything.
      if (!may_repeat || attempt >= options_.max_attempts || (outcome.sent && !budget_.take())) co_return last;
      const auto wait = backoff(attempt);
      if (deadline.left() <= wait) co_return last;
      MERPATI_CO_CHECK(co_await sleep_for(wait));
      tried.push_back(replica);
      if (response.ByteSizeLong() != 0) response.Clear();
    }
  }

  Task<std::shared_ptr<Stream>> open(const Method& method, const MessageLite* only_request,
                                     const CallOptions& options) override {
    if (only_request == nullptr || !method.idempotent) {
      Tried tried;
      co_return co_await open_once(method, only_request, options, tried);
    }
    auto stream = std::make_shared<RepeatedStream>(shared_from_this(), method, *only_request, options);
    MERPATI_CO_CHECK(co_await stream->begin());
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
  using Tried = std::vector<std::shared_ptr<Replica>>;

  /// A server stream that begins again elsewhere when its replica fails before the first message.
  class RepeatedStream final : public Stream {
   public:
    RepeatedStream(std::shared_ptr<NetworkChannel> channel, const Method& method, const MessageLite& request,
                   CallOptions options)
        : channel_(std::move(channel)), method_(method), request_(request.New()), options_(std::move(options)) {
      request_->CheckTypeAndMergeFrom(request);
    }
    Task<void> begin() {
      MERPATI_CO_TRY(auto stream, co_await channel_->open_once(method_, request_.get(), options_, tried_));
      std::lock_guard lock(mutex_);
      current_ = std::move(stream);
      if (cancelled_) current_->cancel();
      co_return Result<void>();
    }
    Task<std::unique_ptr<MessageLite>> read() override {
      for (;;) {
        auto message = co_await current()->read();
        if (message.has_value()) begun_ = true;
        if (begun_ || !is_away(message.error())) co_return message;
        if (std::ssize(tried_) >= channel_->options_.max_attempts || !channel_->budget_.take()) co_return message;
        MERPATI_CO_CHECK(co_await sleep_for(backoff(static_cast<int>(tried_.size()))));
        MERPATI_CO_CHECK(co_await begin());
      }
    }
    Task<void> write(std::unique_ptr<MessageLite> message) override {
      co_return co_await current()->write(std::move(message));
    }
    Task<void> done_writing() override { co_return co_await current()->done_writing(); }
    void cancel() override {
      std::lock_guard lock(mutex_);
      cancelled_ = true;
      if (current_) current_->cancel();
    }

   private:
    std::shared_ptr<Stream> current() {
      std::lock_guard lock(mutex_);
      return current_;
    }
    const std::shared_ptr<NetworkChannel> channel_;
    const Method& method_;
    const std::unique_ptr<MessageLite> request_;
    const CallOptions options_;
    Tried tried_;
    bool begun_ = false;
    std::mutex mutex_;  // current_ and cancelled_, for cancel()
    std::shared_ptr<Stream> current_;
    bool cancelled_ = false;
  };

  Error unresolved() const { return {ErrorCode::kUnavailable, options_.target + " cannot be resolved"}; }

  /// Of the replicas not in `tried`, to which the one taken is added. Passes over those that do not answer.
  Task<std::shared_ptr<Stream>> open_once(const Method& method, const MessageLite* only_request,
                                          const CallOptions& options, Tried& tried) {
    budget_.call();
    const auto executor = co_await asio::this_coro::executor;
    std::shared_ptr<Replica> replica;
    std::shared_ptr<MuxClient> mux;
    for (;;) {
      replica = replicas_->pick(options.account_id, tried);
      if (!replica) co_return unresolved();
      mux = options_.mux ? replica->mux(executor, !tried.empty()) : nullptr;
      tried.push_back(replica);
      if (!mux) break;
      // gRPC alone would find out after many seconds.
      auto alive = (co_await mux->check()).result;
      if (alive.has_value()) break;
      const bool away = alive.error().code() == ErrorCode::kUnavailable;
      if (away) replica->failed();
      if (!away || std::ssize(tried) >= options_.max_attempts)
        co_return std::move(alive).error().in(replica->address());
    }
    ++replica->in_flight;
    auto on_end = [replica](const grpc::Status& status) {
      --replica->in_flight;
      if (!status.ok() && is_away(from_status(status))) replica->failed();
    };
    auto stream = plain_stream(replica->channel(), method, options, std::move(on_end));
    if (mux) mux->tell_silence(stream);
    if (only_request != nullptr) {
      std::unique_ptr<MessageLite> copy(only_request->New());
      copy->CheckTypeAndMergeFrom(*only_request);
      // A call that has failed already says so at the first read.
      static_cast<void>(co_await stream->write(std::move(copy)));
      static_cast<void>(co_await stream->done_writing());
    }
    co_return stream;
  }

  asio::awaitable<Attempt> try_once(Replica& replica, const Method& method, const MessageLite& request,
                                    MessageLite& response, const CallOptions& options, Deadline deadline, bool urgent) {
    InFlight counted(replica);
    if (options_.mux && request.ByteSizeLong() <= kMaxMuxRequest) {
      const auto mux = replica.mux(co_await asio::this_coro::executor, urgent);
      if (mux) co_return co_await mux->call(method, request, response, options, deadline);
    }
    Attempt attempt;
    CallOptions until = options;
    until.deadline = deadline;
    attempt.result = co_await plain_unary(replica.channel(), method, request, response, until);
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
