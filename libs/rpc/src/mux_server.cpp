// The backend's end of a Mux stream: unpacks batches, runs each call on one loop, sends what answers wait as one
// message.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <mutex>
#include <unordered_map>

#include "server_shared.hpp"
#include "wire.hpp"

namespace merpati::rpc {

namespace {

// An answer over 64 KiB should be a list with a continuation or a stream (docs of the methods); this is the hard end.
constexpr std::size_t kMaxReply = 2 << 20;
constexpr auto kSweep = std::chrono::milliseconds(10);

class MuxServerStream final : public grpc::ServerGenericBidiReactor,
                              public MuxStream,
                              public std::enable_shared_from_this<MuxServerStream> {
 public:
  MuxServerStream(std::shared_ptr<ServerShared> shared, grpc::GenericCallbackServerContext* context, Role role)
      : shared_(std::move(shared)),
        role_(role),
        peer_(context->peer()),
        executor_(shared_->next_loop()),
        sweep_(executor_) {}

  void start() {
    self_ = shared_from_this();
    shared_->add(self_);
    {
      std::lock_guard lock(mutex_);
      auto* credit = waiting_.mutable_credit();
      credit->set_calls(shared_->options.mux_calls);
      credit->set_bytes(shared_->options.mux_bytes);
      if (shared_->draining) waiting_.set_draining(true);
      anything_waits_ = true;
      write_what_waits();
    }
    StartRead(&in_);
  }

  void announce_draining() override {
    std::lock_guard lock(mutex_);
    waiting_.set_draining(true);
    anything_waits_ = true;
    write_what_waits();
  }

  void OnReadDone(bool ok) override {
    auto batch = std::make_shared<v1::MuxRequest>();
    if (!ok || from_buffer(in_, *batch).has_error()) return end(ok ? "malformed batch" : nullptr);
    in_.Clear();
    // The next batch is read at once: what is in flight is bounded by the credit that accept() enforces.
    asio::post(executor_, [self = self_, batch] { self->accept(*batch); });
    StartRead(&in_);
  }
  void OnWriteDone(bool ok) override {
    std::lock_guard lock(mutex_);
    writing_ = false;
    if (!ok) broken_ = true;
    write_what_waits();
    finish_when_drained();
  }
  void OnCancel() override { end(nullptr); }
  void OnDone() override {
    shared_->remove(self_);
    self_.reset();
  }

 private:
  struct Call {
    asio::cancellation_signal cancel;
    Deadline deadline;
    std::size_t bytes = 0;
    bool expired = false;
  };

  // --- on executor_
  void accept(v1::MuxRequest& batch) {
    for (auto& frame : *batch.mutable_calls()) begin(frame);
    for (const auto id : batch.cancelled())
      if (const auto found = calls_.find(id); found != calls_.end()) {
        const auto call = found->second;  // the handler may end, and be forgotten, inside emit
        call->cancel.emit(asio::cancellation_type::terminal);
      }
    arm_sweep();
  }

  void begin(v1::MuxCall& frame) {
    if (calls_.size() >= shared_->options.mux_calls || bytes_ > shared_->options.mux_bytes + (4u << 20))
      return reply_error(frame.id(),
                         Error(ErrorCode::kResourceExhausted, "more calls in flight than the credit allows"));
    if (shared_->calls >= shared_->options.max_calls)
      return reply_error(frame.id(), Error(ErrorCode::kUnavailable, "too many calls in flight"));
    if (too_many_replies_wait())
      return reply_error(frame.id(), Error(ErrorCode::kUnavailable, "too many answers wait"));
    const auto* entry = shared_->dispatcher.find(frame.method());
    if (entry == nullptr || entry->method->kind != CallKind::kUnary)
      return reply_error(frame.id(), Error(ErrorCode::kUnimplemented, "no such method"));
    auto call = std::make_shared<Call>();
    if (frame.timeout_us() > 0) call->deadline = Deadline::after(std::chrono::microseconds(frame.timeout_us()));
    call->bytes = frame.payload().size();
    if (!calls_.emplace(frame.id(), call).second)
      return reply_error(frame.id(), Error(ErrorCode::kInvalidArgument, "the call id is in use"));
    bytes_ += call->bytes;
    ++shared_->calls;
    auto ended = [self = shared_from_this(), call](std::exception_ptr failure) {
      if (failure) std::rethrow_exception(failure);
    };
    asio::co_spawn(executor_, serve(shared_from_this(), *entry, call, std::move(frame)),
                   asio::bind_cancellation_slot(call->cancel.slot(), std::move(ended)));
  }

  static asio::awaitable<void> serve(std::shared_ptr<MuxServerStream> self, const Dispatcher::Entry& entry,
                                     std::shared_ptr<Call> call, v1::MuxCall frame) {
    co_await asio::this_coro::throw_if_cancelled(false);  // cancelled handlers clean up by results
    Result<void> result;
    auto response = entry.method->new_response();
    try {
      result = co_await self->handle(entry, *call, frame, *response);
    } catch (const boost::system::system_error& error) {  // a cancelled coroutine below that awaits once more
      result = Error(ErrorCode::kCancelled, error.what());
    }
    if (result.has_error() && call->expired) result = Error(ErrorCode::kDeadlineExceeded, "deadline passed");
    self->bytes_ -= call->bytes;
    self->calls_.erase(frame.id());
    self->reply(frame.id(), result, *response);
    --self->shared_->calls;
  }

  Task<void> handle(const Dispatcher::Entry& entry, const Call& call, v1::MuxCall& frame, MessageLite& response) {
    auto request = entry.method->new_request();
    if (!request->ParseFromString(frame.payload())) co_return Error(ErrorCode::kInvalidArgument, "malformed message");
    frame.clear_payload();
    Context context(role_, peer_, call.deadline, std::move(*frame.mutable_token()),
                    std::move(*frame.mutable_trace_id()));
    co_return co_await shared_->dispatcher.call(entry, context, *request, response, Dispatcher::Timer::kTransport);
  }

  // Deadlines of calls in flight, all by one timer: a timer for each call would cost more than the call.
  void arm_sweep() {
    if (sweeping_ || calls_.empty()) return;
    sweeping_ = true;
    sweep_.expires_after(kSweep);
    sweep_.async_wait([self = shared_from_this()](boost::system::error_code error) {
      self->sweeping_ = false;
      if (error) return;
      self->expire(std::chrono::steady_clock::now());
      self->arm_sweep();
    });
  }
  void expire(SteadyTime now) {
    std::vector<std::shared_ptr<Call>> due;
    for (const auto& [id, call] : calls_)
      if (call->deadline.at() <= now && !call->expired) due.push_back(call);
    for (const auto& call : due) {
      call->expired = true;
      call->cancel.emit(asio::cancellation_type::terminal);
    }
  }

  void reply_error(std::uint64_t id, Error error) {
    v1::MuxReply frame;
    frame.set_id(id);
    fill(frame, error);
    add(std::move(frame));
  }
  static void fill(v1::MuxReply& frame, const Error& error) {
    frame.set_code(static_cast<int>(error.code()));
    frame.set_message(error.message());
    if (!error.public_text().empty() || !error.enhanced_status().empty()) *frame.mutable_details() = details_of(error);
  }
  void reply(std::uint64_t id, const Result<void>& result, const MessageLite& response) {
    v1::MuxReply frame;
    frame.set_id(id);
    if (result.has_error()) {
      fill(frame, result.error());
    } else {
      response.SerializeToString(frame.mutable_payload());
      if (frame.payload().size() > kMaxReply) {
        frame.clear_payload();
        fill(frame, Error(ErrorCode::kResourceExhausted, "the answer is too large for one message"));
      }
    }
    add(std::move(frame));
  }
  void add(v1::MuxReply frame) {
    std::lock_guard lock(mutex_);
    if (broken_ || finished_) return;
    waiting_bytes_ += frame.payload().size();
    *waiting_.add_replies() = std::move(frame);
    anything_waits_ = true;
    if (writing_ || flush_posted_) return;
    flush_posted_ = true;  // after the handlers that are ready to run now, so that their answers share a message
    asio::post(executor_, [self = shared_from_this()] {
      std::lock_guard relock(self->mutex_);
      self->flush_posted_ = false;
      self->write_what_waits();
    });
  }
  bool too_many_replies_wait() {
    std::lock_guard lock(mutex_);
    return waiting_bytes_ > shared_->options.mux_bytes;
  }

  // --- any thread, under mutex_
  void write_what_waits() {
    if (writing_ || !anything_waits_ || broken_ || finished_) return;
    out_message_.Clear();
    // gRPC's limit holds for one message: a batch stops at 1 MiB and at least one answer.
    if (waiting_bytes_ <= (1u << 20)) {
      out_message_.Swap(&waiting_);
      waiting_bytes_ = 0;
      anything_waits_ = false;
    } else {
      take_part();
    }
    out_ = to_buffer(out_message_);
    writing_ = true;
    StartWrite(&out_);
  }
  void take_part() {
    v1::MuxResponse rest;
    std::size_t taken = 0;
    std::size_t left = 0;
    for (auto& frame : *waiting_.mutable_replies()) {
      const std::size_t size = frame.payload().size();
      const bool fits = taken == 0 || taken + size <= (1u << 20);
      *(fits ? out_message_ : rest).add_replies() = std::move(frame);
      (fits ? taken : left) += size + 1;
    }
    if (waiting_.has_credit()) *out_message_.mutable_credit() = waiting_.credit();
    out_message_.set_draining(waiting_.draining());
    anything_waits_ = rest.replies_size() > 0;
    waiting_.Swap(&rest);
    waiting_bytes_ = left;
  }

  // Nothing more will be read. What is in flight after a half-close is still answered; after a cancellation it is
  // ended.
  void end(const char* why) {
    asio::post(executor_, [self = self_] {
      std::vector<std::shared_ptr<Call>> all;
      for (const auto& [id, call] : self->calls_) all.push_back(call);
      for (const auto& call : all) call->cancel.emit(asio::cancellation_type::terminal);
    });
    std::lock_guard lock(mutex_);
    if (why != nullptr) failure_ = why;
    closed_ = true;
    finish_when_drained();
  }
  void finish_when_drained() {
    if (!closed_ || writing_ || finished_) return;
    finished_ = true;
    Finish(failure_ == nullptr ? grpc::Status::OK : grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, failure_));
  }

  const std::shared_ptr<ServerShared> shared_;
  const Role role_;
  const std::string peer_;
  const asio::any_io_executor executor_;
  // On executor_:
  std::unordered_map<std::uint64_t, std::shared_ptr<Call>> calls_;
  std::size_t bytes_ = 0;
  asio::steady_timer sweep_;
  bool sweeping_ = false;
  // Under mutex_:
  std::mutex mutex_;
  v1::MuxResponse waiting_;
  v1::MuxResponse out_message_;
  std::size_t waiting_bytes_ = 0;
  bool anything_waits_ = false;
  bool flush_posted_ = false;
  bool writing_ = false;
  bool broken_ = false;
  bool closed_ = false;
  bool finished_ = false;
  const char* failure_ = nullptr;
  // gRPC's:
  grpc::ByteBuffer in_;
  grpc::ByteBuffer out_;
  std::shared_ptr<MuxServerStream> self_;
};

}  // namespace

grpc::ServerGenericBidiReactor* start_mux(std::shared_ptr<ServerShared> shared,
                                          grpc::GenericCallbackServerContext* context, Role role) {
  auto stream = std::make_shared<MuxServerStream>(std::move(shared), context, role);
  stream->start();
  return stream.get();
}

}  // namespace merpati::rpc
