#include "merpati/runtime/dependency.hpp"

#include "merpati/runtime/log.hpp"

namespace merpati::runtime {

asio::awaitable<void> watch_dependency(Health& health, std::string name, std::function<Task<void>(Deadline)> ask,
                                       std::chrono::nanoseconds every) {
  for (bool was_there = true;;) {
    const auto answer = co_await ask(Deadline::after(every));
    if (answer.has_error() && answer.error().code() == ErrorCode::kCancelled) co_return;
    const bool there = answer.has_value();
    health.dependency(name, there, there ? "" : answer.error().describe());
    if (was_there && !there)
      log::warning("dependency_lost", name, {{"error", answer.error().describe()}});
    else if (there && !was_there)
      log::info("dependency_back", name);
    was_there = there;
    const auto slept = co_await sleep_for(every);
    // A cancellation between the timer's expiry and this line is not told by `slept`.
    const auto state = co_await asio::this_coro::cancellation_state;
    if (slept.has_error() || state.cancelled() != asio::cancellation_type::none) co_return;
  }
}

}  // namespace merpati::runtime
