// A call that came as a gRPC call of its own: the reactor is the transport's side, the coroutine the handler's.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <mutex>

#include "grpc_order.hpp"
#include "merpati/base/wakeup.hpp"
#include "server_shared.hpp"
#include "wire.hpp"

namespace merpati::rpc {

namespace {

// Lives until gRPC is done with it (OnDone) and the coroutine has ended; the coroutine calls Finish exactly once.
class ServerCall final : public grpc::ServerGenericBidiReactor,
                         public Stream,
                         public std::enable_shared_from_this<ServerCall> {
 public:
  ServerCall(std::shared_ptr<ServerShared> shared, const Dispatcher::Entry& entry,
             grpc::GenericCallbackServerContext* grpc_context, Role role)
      : shared_(std::move(shared)),
        entry_(entry),
        grpc_context_(grpc_context),
        executor_(shared_->next_loop()),
        context_(role, grpc_context->peer(), from_wall(grpc_context->deadline()), bearer_token(*grpc_context),
                 trace_id(*grpc_context)) {}

  void start() {
    self_ = shared_from_this();
    ++shared_->calls;
    auto ended = [self = self_](std::exception_ptr failure) {
      if (failure) std::rethrow_exception(failure);
    };
    asio::co_spawn(executor_, run(self_), asio::bind_cancellation_slot(cancel_.slot(), std::move(ended)));
  }

  // The transport's side, on gRPC's threads.
  void OnReadDone(bool ok) override {
    {
      std::lock_guard lock(mutex_);
      reading_ = false;
      read_ = ok ? ReadState::kMessage : ReadState::kEnd;
    }
    read_done_.notify();
  }
  void OnWriteDone(bool ok) override {
    {
      std::lock_guard lock(mutex_);
      writing_ = false;
      if (!ok) broken_ = true;
    }
    write_done_.notify();
  }
  void OnCancel() override {
    scheduled_by_grpc(this);
    asio::post(executor_, [self = shared_from_this()] {
      if (!self->ended_) self->cancel_.emit(asio::cancellation_type::terminal);
    });
  }
  void OnDone() override {
    scheduled_by_grpc(this);
    --shared_->calls;
    self_.reset();
  }

  // The handler's side.
  Task<std::unique_ptr<MessageLite>> read() override {
    for (;;) {
      {
        std::lock_guard lock(mutex_);
        if (read_ == ReadState::kMessage) {
          read_ = ReadState::kNone;
          auto message = entry_.method->new_request();
          MERPATI_CO_CHECK(from_buffer(in_, *message));
          in_.Clear();
          co_return message;
        }
        if (read_ == ReadState::kEnd) {
          if (grpc_context_->IsCancelled()) co_return Error(ErrorCode::kCancelled, "the client cancelled the call");
          co_return std::unique_ptr<MessageLite>();
        }
        if (!reading_) {
          reading_ = true;
          StartRead(&in_);
        }
      }
      MERPATI_CO_CHECK(co_await read_done_.wait());
    }
  }

  Task<void> write(std::unique_ptr<MessageLite> message) override {
    {
      std::lock_guard lock(mutex_);
      if (broken_) co_return Error(ErrorCode::kCancelled, "the client is gone");
      if (writing_) co_return Error(ErrorCode::kInternal, "two writers on one stream");
      out_ = to_buffer(*message);
      writing_ = true;
      StartWrite(&out_);
    }
    for (;;) {
      {
        std::lock_guard lock(mutex_);
        if (broken_) co_return Error(ErrorCode::kCancelled, "the client is gone");
        if (!writing_) co_return Result<void>();
      }
      MERPATI_CO_CHECK(co_await write_done_.wait());
    }
  }
  Task<void> done_writing() override { co_return Result<void>(); }
  void cancel() override { grpc_context_->TryCancel(); }

 private:
  static asio::awaitable<void> run(std::shared_ptr<ServerCall> self) {
    co_await asio::this_coro::throw_if_cancelled(false);  // cancelled handlers clean up by results
    Result<void> result;
    std::unique_ptr<MessageLite> response;
    try {
      if (self->entry_.method->kind == CallKind::kUnary) {
        response = self->entry_.method->new_response();
        result = co_await self->unary(*response);
      } else {
        result = co_await self->shared_->dispatcher.call_stream(self->entry_, self->context_, *self);
      }
    } catch (const boost::system::system_error& error) {  // a cancelled coroutine below that awaits once more
      result = Error(ErrorCode::kCancelled, error.what());
    }
    self->ended_ = true;
    self->finish(result, response.get());
  }

  Task<void> unary(MessageLite& response) {
    MERPATI_CO_TRY(auto request, co_await read());
    if (request == nullptr) co_return Error(ErrorCode::kInvalidArgument, "the request is missing");
    co_return co_await shared_->dispatcher.call(entry_, context_, *request, response);
  }

  void finish(const Result<void>& result, const MessageLite* response) {
    bool torn = false;
    {
      std::lock_guard lock(mutex_);
      torn = writing_;
    }
    // A handler that was cancelled in the middle of a write leaves it to gRPC, which ends it only when the call ends.
    if (torn) grpc_context_->TryCancel();
    if (result.has_error()) {
      Finish(to_status(result.error()));
    } else if (response != nullptr) {
      out_ = to_buffer(*response);
      StartWriteAndFinish(&out_, grpc::WriteOptions(), grpc::Status::OK);
    } else {
      Finish(grpc::Status::OK);
    }
  }

  enum class ReadState { kNone, kMessage, kEnd };
  const std::shared_ptr<ServerShared> shared_;
  const Dispatcher::Entry entry_;
  grpc::GenericCallbackServerContext* const grpc_context_;
  const asio::any_io_executor executor_;
  Context context_;
  asio::cancellation_signal cancel_;  // used on executor_
  bool ended_ = false;                // used on executor_
  std::mutex mutex_;
  ReadState read_ = ReadState::kNone;
  bool reading_ = false;
  bool writing_ = false;
  bool broken_ = false;
  grpc::ByteBuffer in_;
  grpc::ByteBuffer out_;
  Wakeup read_done_;
  Wakeup write_done_;
  std::shared_ptr<ServerCall> self_;
};

}  // namespace

grpc::ServerGenericBidiReactor* start_call(std::shared_ptr<ServerShared> shared, const Dispatcher::Entry& entry,
                                           grpc::GenericCallbackServerContext* context, Role role) {
  auto call = std::make_shared<ServerCall>(std::move(shared), entry, context, role);
  call->start();
  return call.get();
}

}  // namespace merpati::rpc
