#include "mux_client.hpp"

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/impl/codegen/proto_utils.h>

#include <atomic>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <deque>
#include <mutex>
#include <unordered_map>

#include "wire.hpp"

namespace merpati::rpc {

namespace {

constexpr auto kSweep = std::chrono::milliseconds(10);
constexpr std::size_t kBatchBytes = 1 << 20;

// A call that waits for its answer. Completed exactly once, by whoever takes it out of the table.
struct Pending {
  virtual ~Pending() = default;
  virtual void complete(std::unique_ptr<Pending> self) = 0;
  v1::MuxReply reply;
  Deadline deadline;
  std::size_t bytes = 0;
  bool written = false;  // part of a batch that was handed to gRPC
  v1::MuxReply* into = nullptr;
  bool* sent = nullptr;
};

template <class Handler>
struct PendingOf final : Pending {
  explicit PendingOf(Handler h) : handler(std::move(h)), work(asio::make_work_guard(handler)) {}
  void complete(std::unique_ptr<Pending> self) override {
    auto executor = work.get_executor();
    // dispatch: a batch of answers resumes its callers one after the other without a trip through the queue for each.
    asio::dispatch(executor, [self = std::move(self)]() mutable {
      auto& own = static_cast<PendingOf&>(*self);
      if (auto slot = asio::get_associated_cancellation_slot(own.handler); slot.is_connected()) slot.clear();
      *own.into = std::move(own.reply);
      *own.sent = own.written;
      Handler resume = std::move(own.handler);
      self.reset();
      std::move(resume)();
    });
  }
  Handler handler;
  asio::executor_work_guard<asio::associated_executor_t<Handler>> work;
};

v1::MuxReply failed(ErrorCode code, const char* text) {
  v1::MuxReply reply;
  reply.set_code(static_cast<int>(code));
  reply.set_message(text);
  return reply;
}

class MuxStreamClient final : public MuxClient,
                              public grpc::ClientBidiReactor<v1::MuxRequest, v1::MuxResponse>,
                              public std::enable_shared_from_this<MuxStreamClient> {
 public:
  MuxStreamClient(const std::shared_ptr<grpc::Channel>& channel, asio::any_io_executor loop)
      : stub_(channel), loop_(std::move(loop)) {}

  void start() {
    self_ = shared_from_this();
    context_.set_wait_for_ready(false);
    stub_.PrepareBidiStreamingCall(&context_, "/merpati.rpc.v1.Mux/Run", {}, this);
    AddHold();  // writes come from outside reactions; removed when the stream has ended for us
    StartRead(&in_);
    StartCall();
  }

  asio::awaitable<Attempt> call(const Method& method, const MessageLite& request, MessageLite& response,
                                const CallOptions& options) override {
    Attempt attempt;
    v1::MuxCall frame;
    frame.set_method(method.path.data(), method.path.size());
    if (!options.deadline.is_never())
      frame.set_timeout_us(std::max<std::int64_t>(
          1, std::chrono::duration_cast<std::chrono::microseconds>(options.deadline.left()).count()));
    frame.set_token(options.token);
    frame.set_trace_id(options.trace_id);
    request.SerializeToString(frame.mutable_payload());
    v1::MuxReply reply;
    auto token = asio::use_awaitable;
    auto begin = [this](auto handler, v1::MuxCall call, v1::MuxReply* into, bool* sent, Deadline deadline) {
      using Handler = std::decay_t<decltype(handler)>;
      auto slot = asio::get_associated_cancellation_slot(handler);
      auto pending = std::make_unique<PendingOf<Handler>>(std::move(handler));
      pending->into = into;
      pending->sent = sent;
      pending->deadline = deadline;
      enqueue(std::move(call), std::move(pending), slot);
    };
    co_await asio::async_initiate<decltype(token), void()>(begin, token, std::move(frame), &reply, &attempt.sent,
                                                           options.deadline);
    if (reply.code() != 0) {
      attempt.result = make_error(reply.code(), reply.message(), reply.details());
    } else if (!response.ParseFromString(reply.payload())) {
      attempt.result = Error(ErrorCode::kInternal, "malformed answer");
    }
    co_return attempt;
  }

  bool broken() const override { return broken_; }
  bool draining() const override { return draining_; }
  void close() override {
    {
      std::lock_guard lock(post_mutex_);
      closed_ = true;
    }
    fail_all("the channel was closed");
    release();
  }

  // --- gRPC's threads
  void OnReadDone(bool ok) override {
    if (!ok) return release();
    auto batch = std::make_shared<v1::MuxResponse>();
    batch->Swap(&in_);
    {
      std::lock_guard lock(post_mutex_);
      if (!closed_) asio::post(loop_, [self = self_, batch] { self->deliver(*batch); });
    }
    StartRead(&in_);
  }
  void OnWriteDone(bool ok) override {
    std::unique_lock lock(mutex_);
    writing_ = false;
    if (!ok) {
      lock.unlock();
      return release();
    }
    write_what_waits();
  }
  void OnDone(const grpc::Status& status) override {
    const std::string why = status.ok() ? "the stream has ended" : status.error_message();
    {
      std::lock_guard lock(post_mutex_);
      if (!closed_) asio::post(loop_, [self = self_, why] { self->fail_all(why.c_str()); });
    }
    self_.reset();
  }

 private:
  template <class Slot>
  void enqueue(v1::MuxCall frame, std::unique_ptr<Pending> pending, Slot slot) {
    std::unique_lock lock(mutex_);
    pending->bytes = frame.payload().size();
    const char* refusal = nullptr;
    if (broken_)
      refusal = "the stream has ended";
    else if (table_.size() >= credit_calls_ || bytes_ + pending->bytes > credit_bytes_)
      refusal = "no credit left";
    if (refusal != nullptr) {
      lock.unlock();
      pending->reply = failed(ErrorCode::kUnavailable, refusal);
      return post_completion(std::move(pending));
    }
    const std::uint64_t id = next_id_++;
    frame.set_id(id);
    bytes_ += pending->bytes;
    table_.emplace(id, std::move(pending));
    waiting_.push_back(std::move(frame));
    const bool flush = !writing_ && !flush_posted_;
    if (flush) flush_posted_ = true;
    const bool sweep = !sweeping_;
    if (sweep) sweeping_ = true;
    lock.unlock();
    if (slot.is_connected())
      slot.assign([weak = weak_from_this(), id](asio::cancellation_type) {
        if (const auto self = weak.lock()) self->abandon(id, failed(ErrorCode::kCancelled, "cancelled"));
      });
    // After the coroutines that are ready to run now, so that their calls share a message.
    if (flush) asio::post(loop_, [self = shared_from_this()] { self->flush(); });
    if (sweep) asio::post(loop_, [self = shared_from_this()] { self->arm_sweep(); });
  }

  static void post_completion(std::unique_ptr<Pending> pending) {
    auto* raw = pending.get();
    raw->complete(std::move(pending));
  }

  void flush() {
    std::lock_guard lock(mutex_);
    flush_posted_ = false;
    write_what_waits();
  }

  // Under mutex_.
  void write_what_waits() {
    // Before the server's first message nothing is sent, so that a failed connection has certainly not delivered a
    // call.
    if (!open_ || writing_ || released_ || (waiting_.empty() && cancelled_.empty())) return;
    out_.Clear();
    std::size_t taken = 0;
    while (!waiting_.empty()) {
      const std::size_t size = waiting_.front().ByteSizeLong();
      if (taken > 0 && taken + size > kBatchBytes) break;
      taken += size;
      if (const auto found = table_.find(waiting_.front().id()); found != table_.end()) {
        found->second->written = true;
        *out_.add_calls() = std::move(waiting_.front());
      }
      waiting_.pop_front();
    }
    for (const auto id : cancelled_) out_.add_cancelled(id);
    cancelled_.clear();
    if (out_.calls_size() == 0 && out_.cancelled_size() == 0) return;
    writing_ = true;
    StartWrite(&out_);
  }

  std::unique_ptr<Pending> take(std::uint64_t id) {
    std::lock_guard lock(mutex_);
    const auto found = table_.find(id);
    if (found == table_.end()) return nullptr;
    auto pending = std::move(found->second);
    bytes_ -= pending->bytes;
    table_.erase(found);
    return pending;
  }

  // Nobody waits for this answer any more; the backend is told.
  void abandon(std::uint64_t id, v1::MuxReply reply) {
    auto pending = take(id);
    if (!pending) return;
    if (pending->written) {
      std::lock_guard lock(mutex_);
      cancelled_.push_back(id);
      write_what_waits();
    }
    pending->reply = std::move(reply);
    post_completion(std::move(pending));
  }

  // --- on loop_
  void deliver(v1::MuxResponse& batch) {
    if (batch.has_credit()) {
      std::lock_guard lock(mutex_);
      credit_calls_ = batch.credit().calls();
      credit_bytes_ = batch.credit().bytes();
      open_ = true;
      write_what_waits();
    }
    if (batch.draining()) draining_ = true;
    for (auto& reply : *batch.mutable_replies()) {
      auto pending = take(reply.id());
      if (!pending) continue;
      pending->reply = std::move(reply);
      post_completion(std::move(pending));
    }
  }

  void arm_sweep() {
    {
      std::lock_guard lock(mutex_);
      if (table_.empty()) {
        sweeping_ = false;
        return;
      }
    }
    // The timer belongs to its handler: this object may outlive the loop.
    auto timer = std::make_shared<asio::steady_timer>(loop_, kSweep);
    timer->async_wait([self = shared_from_this(), timer](boost::system::error_code) {
      self->expire();
      self->arm_sweep();
    });
  }
  void expire() {
    std::vector<std::uint64_t> due;
    const auto now = std::chrono::steady_clock::now();
    {
      std::lock_guard lock(mutex_);
      for (const auto& [id, pending] : table_)
        if (pending->deadline.at() <= now) due.push_back(id);
    }
    for (const auto id : due) abandon(id, failed(ErrorCode::kDeadlineExceeded, "deadline passed"));
  }

  void fail_all(const char* why) {
    std::vector<std::unique_ptr<Pending>> all;
    {
      std::lock_guard lock(mutex_);
      broken_ = true;
      for (auto& [id, pending] : table_) all.push_back(std::move(pending));
      table_.clear();
      waiting_.clear();
      bytes_ = 0;
    }
    for (auto& pending : all) {
      pending->reply = failed(ErrorCode::kUnavailable, why);
      post_completion(std::move(pending));
    }
  }

  // The stream is over: no operation may be started any more, so gRPC may say OnDone.
  void release() {
    {
      std::lock_guard lock(mutex_);
      if (released_) return;
      released_ = true;
      broken_ = true;
    }
    context_.TryCancel();
    RemoveHold();
  }

  grpc::TemplatedGenericStub<v1::MuxRequest, v1::MuxResponse> stub_;
  grpc::ClientContext context_;
  const asio::any_io_executor loop_;
  std::atomic<bool> broken_{false};
  std::atomic<bool> draining_{false};
  std::mutex post_mutex_;  // after close() nothing is posted: the loop may be gone
  bool closed_ = false;
  std::mutex mutex_;
  std::unordered_map<std::uint64_t, std::unique_ptr<Pending>> table_;
  std::deque<v1::MuxCall> waiting_;
  std::vector<std::uint64_t> cancelled_;
  std::size_t bytes_ = 0;
  bool open_ = false;
  std::size_t credit_calls_ = 4096;  // that may wait until the server says what it allows
  std::size_t credit_bytes_ = 4 << 20;
  std::uint64_t next_id_ = 1;
  bool writing_ = false;
  bool flush_posted_ = false;
  bool sweeping_ = false;
  bool released_ = false;
  v1::MuxResponse in_;
  v1::MuxRequest out_;
  std::shared_ptr<MuxStreamClient> self_;
};

}  // namespace

std::shared_ptr<MuxClient> open_mux(const std::shared_ptr<grpc::Channel>& channel, asio::any_io_executor loop) {
  auto client = std::make_shared<MuxStreamClient>(channel, std::move(loop));
  client->start();
  return client;
}

}  // namespace merpati::rpc
