#include "client_call.hpp"

#include <mutex>

#include "merpati/base/encoding.hpp"
#include "merpati/base/wakeup.hpp"
#include "wire.hpp"

namespace merpati::rpc {

namespace {

void prepare(grpc::ClientContext& context, const CallOptions& options) {
  if (!options.deadline.is_never()) context.set_deadline(to_wall(options.deadline));
  if (!options.token.empty()) context.AddMetadata("authorization", "Bearer " + options.token);
  if (options.trace_id.size() == 32)  // W3C trace context; each call is a span of its own
    context.AddMetadata("traceparent", "00-" + options.trace_id + "-" + to_hex(random_bytes(8)) + "-01");
}

struct UnaryCall {
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
  StreamCall(const Method& method, std::function<void(const grpc::Status&)> on_end)
      : method_(method), on_end_(std::move(on_end)) {}

  void start(grpc::GenericStub& stub, const CallOptions& options) {
    self_ = shared_from_this();
    prepare(context_, options);
    stub.PrepareBidiStreamingCall(&context_, std::string(method_.path), {}, this);
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
        if (ended_) co_return end_of_writing();
        if (write_ == Op::kFailed) release();  // the call is over: OnDone brings its status
      }
      MERPATI_CO_CHECK(co_await write_done_.wait());
    }
  }

  // Under mutex_. What a writer is told when the server has ended the call early.
  Error end_of_writing() const {
    if (ended_ && !status_.ok()) return from_status(status_);
    return Error(ErrorCode::kCancelled, "the server has ended the call");
  }
  // Under mutex_. No operation is started after this, so OnDone may come.
  void release() {
    if (released_) return;
    released_ = true;
    RemoveHold();
  }

  const Method& method_;
  const std::function<void(const grpc::Status&)> on_end_;
  grpc::ClientContext context_;
  std::mutex mutex_;
  Op read_ = Op::kNone;
  Op write_ = Op::kNone;
  bool half_closed_ = false;
  bool released_ = false;
  bool ended_ = false;
  grpc::Status status_;
  grpc::ByteBuffer in_;
  grpc::ByteBuffer out_;
  Wakeup read_done_;
  Wakeup write_done_;
  std::shared_ptr<StreamCall> self_;
};

class StreamHandle final : public Stream {
 public:
  explicit StreamHandle(std::shared_ptr<StreamCall> call) : call_(std::move(call)) {}
  ~StreamHandle() override { call_->cancel(); }
  Task<std::unique_ptr<MessageLite>> read() override { return call_->read(); }
  Task<void> write(std::unique_ptr<MessageLite> message) override { return call_->write(std::move(message)); }
  Task<void> done_writing() override { return call_->done_writing(); }
  void cancel() override { call_->cancel(); }

 private:
  std::shared_ptr<StreamCall> call_;
};

}  // namespace

Task<void> plain_unary(grpc::GenericStub& stub, const Method& method, const MessageLite& request, MessageLite& response,
                       const CallOptions& options) {
  auto call = std::make_shared<UnaryCall>();
  prepare(call->context, options);
  call->request = to_buffer(request);
  stub.UnaryCall(&call->context, std::string(method.path), {}, &call->request, &call->response,
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

std::shared_ptr<Stream> plain_stream(grpc::GenericStub& stub, const Method& method, const CallOptions& options,
                                     std::function<void(const grpc::Status&)> on_end) {
  auto call = std::make_shared<StreamCall>(method, std::move(on_end));
  call->start(stub, options);
  return std::make_shared<StreamHandle>(std::move(call));
}

}  // namespace merpati::rpc
