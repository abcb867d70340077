// Op: one query on its way, and the coroutine that waits for it. Completed once, on the waiting coroutine's executor.
#pragma once

#include <atomic>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/execution/outstanding_work.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>
#include <memory>

#include "merpati/base/clock.hpp"
#include "merpati/base/result.hpp"
#include "merpati/pg/params.hpp"
#include "merpati/pg/rows.hpp"
#include "merpati/pg/statement.hpp"

namespace merpati::pg {

namespace asio = boost::asio;

class Op : public std::enable_shared_from_this<Op> {
 public:
  Op(const Statement& what, Params values, Deadline until, Lane where)
      : statement(&what), params(std::move(values)), deadline(until), lane(where) {}

  const Statement* statement;
  Params params;
  Deadline deadline;
  Lane lane;
  SteadyTime sent{};     ///< on the connection's loop
  SteadyTime sent_at{};  ///< the same, for who waits: set by the completion
  int conflicts = 0;
  bool prepared_again = false;

  /// Called once, before the op is handed to a connection.
  template <class Handler>
  void wait(Handler handler, asio::any_io_executor executor) {
    struct Holder final : Callback {
      explicit Holder(Handler h) : handler(std::move(h)) {}
      void invoke(Result<Rows> result) override { std::move(handler)(std::move(result)); }
      Handler handler;
    };
    auto slot = asio::get_associated_cancellation_slot(handler);
    if (slot.is_connected()) {
      // The result of a cancelled query is dropped when it comes: the pipeline must be read to its end anyway.
      slot.assign([weak = weak_from_this()](asio::cancellation_type) {
        if (auto self = weak.lock()) self->complete(Error(ErrorCode::kCancelled, "cancelled"));
      });
      slot_ = slot;
    }
    callback_ = std::make_unique<Holder>(std::move(handler));
    executor_ = asio::prefer(std::move(executor), asio::execution::outstanding_work.tracked);
  }

  bool finished() const { return finished_.load(std::memory_order_relaxed); }

  /// The first call wins. Any thread.
  void complete(Result<Rows> result) {
    if (finished_.exchange(true)) return;
    const bool known = result.has_value() || result.error().code() != ErrorCode::kCancelled;
    if (known) sent_at = sent;  // a cancellation comes from another thread than `sent` lives on
    asio::post(executor_, [self = shared_from_this(), result = std::move(result)]() mutable {
      if (self->slot_.is_connected()) self->slot_.clear();
      auto callback = std::move(self->callback_);
      self->executor_ = {};
      self.reset();
      callback->invoke(std::move(result));
    });
  }

 private:
  struct Callback {
    virtual ~Callback() = default;
    virtual void invoke(Result<Rows> result) = 0;
  };
  std::atomic<bool> finished_{false};
  std::unique_ptr<Callback> callback_;
  asio::any_io_executor executor_;
  asio::cancellation_slot slot_;
};

}  // namespace merpati::pg
