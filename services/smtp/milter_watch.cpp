#include "smtp/milter_watch.hpp"

#include <algorithm>

#include "merpati/filter/v1/milters.rpc.hpp"

namespace merpati::smtp {
namespace {

constexpr auto kFirstPause = std::chrono::milliseconds(50);
constexpr auto kLongestPause = std::chrono::milliseconds(1000);
constexpr auto kPauseWhereThereAreNone = std::chrono::seconds(10);  // a filter of a release that knows no milters

}  // namespace

/// Until the stream ends.
Task<void> MilterWatch::follow_once(std::shared_ptr<rpc::Channel> filter) {
  const filter::v1::MiltersClient milters(std::move(filter));
  const filter::v1::FollowMiltersRequest request;
  const rpc::CallOptions options;
  MERPATI_CO_TRY(const auto reader, co_await milters.follow_milters(request, options));
  for (;;) {
    MERPATI_CO_TRY(const auto said, co_await reader->read());
    if (!said) co_return Result<void>();
    for (const std::string_view listener : {"mx", "submission"}) {
      const bool some = std::ranges::find(said->listeners(), listener) != said->listeners().end();
      known_[place(listener)] = some ? Known::kSome : Known::kNone;
    }
  }
}

asio::awaitable<void> MilterWatch::follow(std::shared_ptr<rpc::Channel> filter) {
  co_await asio::this_coro::throw_if_cancelled(false);
  std::chrono::milliseconds pause = kFirstPause;
  for (;;) {
    const auto ended = co_await follow_once(filter);
    const auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none) co_return;
    pause = ended.has_value() ? kFirstPause : std::min(pause * 2, kLongestPause);
    if (ended.has_error() && ended.error().code() == ErrorCode::kUnimplemented) {
      for (auto& known : known_) known = Known::kNone;
      pause = kPauseWhereThereAreNone;
    }
    if ((co_await sleep_for(pause)).has_error()) co_return;
  }
}

}  // namespace merpati::smtp
