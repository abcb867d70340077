// Calls within one process: the handler is awaited on the caller's executor; messages pass by pointer.
#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <deque>
#include <mutex>

#include "client_span.hpp"
#include "merpati/base/wakeup.hpp"
#include "merpati/rpc/dispatcher.hpp"

namespace merpati::rpc {

namespace {

constexpr std::size_t kMaxQueued = 8;  // messages in each direction before the writer waits

// One direction of a stream.
class Pipe {
 public:
  Task<std::unique_ptr<MessageLite>> read() {
    for (;;) {
      {
        std::lock_guard lock(mutex_);
        if (!queue_.empty()) {
          auto message = std::move(queue_.front());
          queue_.pop_front();
          room_.notify();
          co_return message;
        }
        if (failure_) co_return *failure_;
        if (closed_) co_return std::unique_ptr<MessageLite>();
      }
      MERPATI_CO_CHECK(co_await filled_.wait());
    }
  }

  Task<void> write(std::unique_ptr<MessageLite> message) {
    for (;;) {
      {
        std::lock_guard lock(mutex_);
        if (failure_) co_return *failure_;
        if (closed_) co_return Error(ErrorCode::kCancelled, "the other side ended the stream");
        if (queue_.size() < kMaxQueued) {
          queue_.push_back(std::move(message));
          filled_.notify();
          co_return Result<void>();
        }
      }
      MERPATI_CO_CHECK(co_await room_.wait());
    }
  }

  void close(std::optional<Error> failure = std::nullopt) {
    {
      std::lock_guard lock(mutex_);
      if (closed_) return;
      closed_ = true;
      failure_ = std::move(failure);
    }
    filled_.notify();
    room_.notify();
  }

 private:
  std::mutex mutex_;
  std::deque<std::unique_ptr<MessageLite>> queue_;
  bool closed_ = false;
  std::optional<Error> failure_;
  Wakeup filled_;
  Wakeup room_;
};

// What both ends of a streaming call share.
struct StreamCall {
  StreamCall(asio::any_io_executor where, Context c) : executor(std::move(where)), context(std::move(c)) {}
  asio::any_io_executor executor;
  Context context;
  Pipe requests;
  Pipe responses;
  asio::cancellation_signal handler_cancel;  // used on `executor` only
  std::atomic<bool> ended = false;

  void abandon() {
    requests.close(Error(ErrorCode::kCancelled, "the client cancelled the call"));
    responses.close(Error(ErrorCode::kCancelled, "the call was cancelled"));
  }
};

class ServerEnd final : public Stream {
 public:
  explicit ServerEnd(StreamCall& call) : call_(call) {}
  Task<std::unique_ptr<MessageLite>> read() override { return call_.requests.read(); }
  Task<void> write(std::unique_ptr<MessageLite> message) override { return call_.responses.write(std::move(message)); }
  Task<void> done_writing() override { co_return Result<void>(); }
  void cancel() override { call_.abandon(); }

 private:
  StreamCall& call_;
};

class ClientEnd final : public Stream {
 public:
  explicit ClientEnd(std::shared_ptr<StreamCall> call) : call_(std::move(call)) {}
  ~ClientEnd() override { ClientEnd::cancel(); }
  Task<std::unique_ptr<MessageLite>> read() override { return call_->responses.read(); }
  Task<void> write(std::unique_ptr<MessageLite> message) override { return call_->requests.write(std::move(message)); }
  Task<void> done_writing() override {
    call_->requests.close();
    co_return Result<void>();
  }
  void cancel() override {
    if (call_->ended) return;
    call_->abandon();
    asio::post(call_->executor, [call = call_] { call->handler_cancel.emit(asio::cancellation_type::terminal); });
  }

 private:
  std::shared_ptr<StreamCall> call_;
};

asio::awaitable<void> serve(const Dispatcher& dispatcher, const Dispatcher::Entry& entry,
                            std::shared_ptr<StreamCall> call) {
  co_await asio::this_coro::throw_if_cancelled(false);  // cancelled handlers clean up by results
  ServerEnd end(*call);
  Result<void> result;
  try {
    result = co_await dispatcher.call_stream(entry, call->context, end);
  } catch (const boost::system::system_error& error) {  // a cancelled coroutine below that awaits once more
    result = Error(ErrorCode::kCancelled, error.what());
  }
  call->requests.close(Error(ErrorCode::kCancelled, "the call has ended"));
  call->ended = true;
  std::optional<Error> failure;
  if (result.has_error()) failure = result.error();
  call->responses.close(std::move(failure));
}

const std::shared_ptr<const std::string>& here() {
  static const auto kName = std::make_shared<const std::string>("in-process");
  return kName;
}

class InProcessChannel final : public Channel {
 public:
  InProcessChannel(Dispatcher& dispatcher, Role role) : dispatcher_(dispatcher), role_(role) {}

  Task<void> unary(const Method& method, const MessageLite& request, MessageLite& response,
                   const CallOptions& options) override {
    const auto* entry = dispatcher_.find(method.path);
    if (entry == nullptr) co_return unimplemented(method);
    if (!runtime::spans_recorded()) {
      Context context(role_, here(), options.deadline, options.token, options.trace_id);
      co_return co_await dispatcher_.call(*entry, context, request, response);
    }
    auto span = client_span(method, options);
    Context context(role_, here(), options.deadline, options.token, span.active() ? span.trace() : options.trace_id);
    auto result = co_await dispatcher_.call(*entry, context, request, response);
    end_span(span, result);
    co_return result;
  }

  Task<std::shared_ptr<Stream>> open(const Method& method, const MessageLite* only_request,
                                     const CallOptions& options) override {
    const auto* entry = dispatcher_.find(method.path);
    if (entry == nullptr) co_return unimplemented(method);
    auto executor = co_await asio::this_coro::executor;
    auto call = std::make_shared<StreamCall>(executor,
                                             Context(role_, here(), options.deadline, options.token, options.trace_id));
    if (only_request != nullptr) {
      std::unique_ptr<MessageLite> copy(only_request->New());
      copy->CheckTypeAndMergeFrom(*only_request);
      MERPATI_CO_CHECK(co_await call->requests.write(std::move(copy)));
      call->requests.close();
    }
    auto ended = [call](std::exception_ptr failure) {
      if (failure) std::rethrow_exception(failure);
    };
    asio::co_spawn(executor, serve(dispatcher_, *entry, call),
                   asio::bind_cancellation_slot(call->handler_cancel.slot(), std::move(ended)));
    co_return std::make_shared<ClientEnd>(call);
  }

 private:
  Dispatcher& dispatcher_;
  const Role role_;
};

}  // namespace

std::shared_ptr<Channel> in_process_channel(Dispatcher& dispatcher, Role role) {
  return std::make_shared<InProcessChannel>(dispatcher, role);
}

}  // namespace merpati::rpc
