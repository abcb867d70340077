#include "client_call.hpp"

#include <grpcpp/generic/generic_stub.h>

#include <mutex>

#include "grpc_order.hpp"
#include "merpati/base/encoding.hpp"
#include "merpati/base/wakeup.hpp"
#include "wire.hpp"

namespace merpati::rpc {

namespace {

void prepare(grpc::ClientContext& context, const CallOptions& options) {
  if (!options.deadline.is_never()) context.set_deadline(to_wall(options.deadline));
  if (!options.token.empty()) context.AddMetadata("authorization", "Bearer " + options.token);
  // W3C trace context: version, trace id, the caller's span, flags. Without a recorded span each call is one of its
  // own.
  if (options.trace_id.size() == 32)
    context.AddMetadata("traceparent", "00-" + options.trace_id + "-" + to_hex(random_bytes(8)) + "-00");
  else if (!options.trace_id.empty())
    context.AddMetadata("traceparent", "00-" + options.trace_id);
}

struct UnaryCall {
  explicit UnaryCall(std::shared_ptr<grpc::Channel> to) : channel(std::move(to)) {}
  const std::shared_ptr<grpc::Channel> channel;  // let go after the context's share, which the library counts unseen
  grpc::ClientContext context;
  grpc::ByteBuffer request;
  grpc::ByteBuffer response;
  grpc::Status status;
  Wakeup done;
};

// Lives until gRPC is done with it; the client's handle cancels it when it goes.
class StreamCall final : public grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>,
                         public std::enable_shared_from_this<StreamCall> {
 public:
  StreamCall(std::shared_ptr<grpc::Channel> channel, const Method& method,
             std::function<void(const grpc::Status&)> on_end)
      : channel_(std::move(channel)), method_(method), on_end_(std::move(on_end)) {}

  void start(const CallOptions& options) {
    self_ = shared_from_this();
    prepare(context_, options);
    grpc::GenericStub(channel_).PrepareBidiStreamingCall(&context_, std::string(method_.path), {}, this);
    AddHold();  // operations come from outside reactions
    StartCall();
  }

  void OnReadDone(bool ok) override {
    {
      std::lock_guard lock(mutex_);
      read_ = ok ? Op::kDone : Op::kFailed;
    }
    read_done_.notify();
  }
  void OnWriteDone(bool ok) override { written(ok); }
  void OnWritesDoneDone(bool ok) override { written(true); }
  void OnDone(const grpc::Status& status) override {
    scheduled_by_grpc(this);
    {
      std::lock_guard lock(mutex_);
      status_ = status;
      ended_ = true;
    }
    on_end_(status);
    read_done_.notify();
    write_done_.notify();
    self_.reset();
  }

  Task<std::unique_ptr<MessageLite>> read() {
    for (;;) {
      {
        std::lock_guard lock(mutex_);
        if (read_ == Op::kDone) {
          read_ = Op::kNone;
          auto message = method_.new_response();
          MERPATI_CO_CHECK(from_buffer(in_, *message));
          in_.Clear();
          co_return message;
        }
        if (given_up_) co_return does_not_answer();
        if (ended_) {
          if (!status_.ok()) co_return from_status(status_);
          co_return std::unique_ptr<MessageLite>();
        }
        if (read_ == Op::kFailed) {
          release();
        } else if (read_ == Op::kNone && !released_) {
          read_ = Op::kBusy;
          StartRead(&in_);
        }
      }
      MERPATI_CO_CHECK(co_await read_done_.wait());
    }
  }

  Task<void> write(std::unique_ptr<MessageLite> message) {
    {
      std::lock_guard lock(mutex_);
      if (ended_ || released_) co_return end_of_writing();
      if (write_ == Op::kBusy || half_closed_)
        co_return Error(ErrorCode::kInternal, "write after the end, or two writers");
      out_ = to_buffer(*message);
      write_ = Op::kBusy;
      StartWrite(&out_);
    }
    co_return co_await written();
  }

  Task<void> done_writing() {
    {
      std::lock_guard lock(mutex_);
      if (ended_ || released_ || half_closed_) co_return Result<void>();
      half_closed_ = true;
      write_ = Op::kBusy;
      StartWritesDone();
    }
    co_return co_await written();
  }

  void cancel() {
    context_.TryCancel();
    std::lock_guard lock(mutex_);
    release();
  }
  /// As cancel(); who waits for the server, or would, is told kUnavailable.
  void give_up() {
    {
      std::lock_guard lock(mutex_);
      if (ended_) return;
      given_up_ = true;
    }
    cancel();
    read_done_.notify();
    write_done_.notify();
  }

 private:
  enum class Op { kNone, kBusy, kDone, kFailed };

  void written(bool ok) {
    {
      std::lock_guard lock(mutex_);
      write_ = ok ? Op::kNone : Op::kFailed;
    }
    write_done_.notify();
  }

  Task<void> written() {
    for (;;) {
      {
        std::lock_guard lock(mutex_);
        if (write_ == Op::kNone) co_return Result<void>();
        if (ended_ || given_up_) co_return end_of_writing();
        if (write_ == Op::kFailed) release();  // the call is over: OnDone brings its status
      }
      MERPATI_CO_CHECK(co_await write_done_.wait());
    }
  }

  // Under mutex_. What a writer is told when the server has ended the call early.
  Error end_of_writing() const {
    if (given_up_) return does_not_answer();
    if (ended_ && !status_.ok()) return from_status(status_);
    return Error(ErrorCode::kCancelled, "the server has ended the call");
  }
  static Error does_not_answer() { return Error(ErrorCode::kUnavailable, kDoesNotAnswer); }
  // Under mutex_. No operation is started after this, so OnDone may come.
  void release() {
    if (released_) return;
    released_ = true;
    RemoveHold();
  }

  const std::shared_ptr<grpc::Channel> channel_;  // as UnaryCall's
  const Method& method_;
  const std::function<void(const grpc::Status&)> on_end_;
  grpc::ClientContext context_;
  std::mutex mutex_;
  Op read_ = Op::kNone;
  Op write_ = Op::kNone;
  bool half_closed_ = false;
  bool released_ = false;
  bool ended_ = false;
  bool given_up_ = false;
  grpc::Status status_;
  grpc::ByteBuffer in_;
  grpc::ByteBuffer out_;
  Wakeup read_done_;
  Wakeup write_done_;
  std::shared_ptr<StreamCall> self_;
};

class StreamHandle final : public PlainStream {
 public:
  explicit StreamHandle(std::shared_ptr<StreamCall> call) : call_(std::move(call)) {}
  ~StreamHandle() override { call_->cancel(); }
  Task<std::unique_ptr<MessageLite>> read() override { return call_->read(); }
  Task<void> write(std::unique_ptr<MessageLite> message) override { return call_->write(std::move(message)); }
  Task<void> done_writing() override { return call_->done_writing(); }
  void cancel() override { call_->cancel(); }
  void peer_is_silent() override { call_->give_up(); }

 private:
  std::shared_ptr<StreamCall> call_;
};

}  // namespace

Task<void> plain_unary(const std::shared_ptr<grpc::Channel>& channel, const Method& method, const MessageLite& request,
                       MessageLite& response, const CallOptions& options) {
  auto call = std::make_shared<UnaryCall>(channel);
  prepare(call->context, options);
  call->request = to_buffer(request);
  grpc::GenericStub(channel).UnaryCall(&call->context, std::string(method.path), {}, &call->request, &call->response,
                                       [call](grpc::Status status) {
                                         call->status = std::move(status);
                                         call->done.notify();
                                       });
  auto waited = co_await call->done.wait();
  if (waited.has_error()) {
    call->context.TryCancel();
    co_return Error(ErrorCode::kCancelled, "cancelled");
  }
  if (!call->status.ok()) co_return from_status(call->status);
  co_return from_buffer(call->response, response);
}

std::shared_ptr<PlainStream> plain_stream(const std::shared_ptr<grpc::Channel>& channel, const Method& method,
                                          const CallOptions& options, std::function<void(const grpc::Status&)> on_end) {
  auto call = std::make_shared<StreamCall>(channel, method, std::move(on_end));
  call->start(options);
  return std::make_shared<StreamHandle>(std::move(call));
}

}  // namespace merpati::rpc
