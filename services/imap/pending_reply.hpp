// PendingReply: a command whose call to the store is under way while the session already reads the next one. Replies
// leave in the order of the commands. For STATUS and APPEND, which clients pipeline by the hundred.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "imap/loop_state.hpp"
#include "imap/reply.hpp"
#include "merpati/rpc/channel.hpp"
#include "merpati/runtime/span.hpp"

namespace merpati::imap {

class PendingReply {
 public:
  virtual ~PendingReply() = default;
  /// Waits for the call, appends untagged responses to the session's output and gives the tagged one.
  virtual Task<Reply> finish(Session& session) = 0;
  /// The name of a mailbox that got mail; empty for none.
  virtual const std::string& grown_mailbox() const {
    static const std::string kNone;
    return kNone;
  }

  std::string tag;
  Verb verb = Verb::kNoop;
  SteadyTime began{};
  runtime::Span span;  ///< of the command
};

/// A reply that is known already.
class ReadyReply final : public PendingReply {
 public:
  explicit ReadyReply(Reply reply) : reply_(std::move(reply)) {}
  Task<Reply> finish(Session&) override { co_return std::move(reply_); }

 private:
  Reply reply_;
};

/// An answer to wait for. It knows nothing of the session, so it may outlive it.
template <class Response>
class StartedCall {
 public:
  struct State {
    explicit State(asio::any_io_executor executor) : done(std::move(executor), SteadyTime::max()) {}
    std::optional<Result<Response>> result;
    asio::steady_timer done;
  };
  explicit StartedCall(std::shared_ptr<State> state) : state_(std::move(state)) {}
  Task<Response> wait() {
    while (!state_->result) {
      co_await state_->done.async_wait(kAwait);
      const auto cancelled = co_await asio::this_coro::cancellation_state;
      if (cancelled.cancelled() != asio::cancellation_type::none) break;
    }
    if (!state_->result) co_return Error(ErrorCode::kCancelled, "the session ended");
    co_return std::move(*state_->result);
  }

 private:
  std::shared_ptr<State> state_;
};

template <class Client, class Request, class Response>
StartedCall<Response> start_call(LoopState& loop, std::shared_ptr<Client> client,
                                 Task<Response> (Client::*method)(const Request&, rpc::CallOptions) const,
                                 Request request, rpc::CallOptions options) {
  using State = typename StartedCall<Response>::State;
  auto state = std::make_shared<State>(loop.executor);
  // Parameters, not captures: they live in the coroutine's frame.
  constexpr auto kBody = [](std::shared_ptr<State> out, std::shared_ptr<Client> to,
                            Task<Response> (Client::*what)(const Request&, rpc::CallOptions) const, Request message,
                            rpc::CallOptions how) -> asio::awaitable<void> {
    co_await asio::this_coro::throw_if_cancelled(false);
    auto result = co_await ((*to).*what)(message, how);
    out->result.emplace(std::move(result));
    out->done.cancel();
  };
  loop.calls.spawn(loop.executor, kBody(state, std::move(client), method, std::move(request), std::move(options)));
  return StartedCall<Response>(std::move(state));
}

/// Never null. A STATUS may join the call of the one before, `before`, if that is still the last of the pending
/// replies.
Task<std::unique_ptr<PendingReply>> start_append(Session& session, const Command& command);
std::unique_ptr<PendingReply> start_status(Session& session, const Command& command, const PendingReply* before);

}  // namespace merpati::imap
