#include "auth/events.hpp"

namespace merpati::auth {

EventFeed::EventFeed(asio::any_io_executor loop, std::string dsn)
    : listener_(std::move(loop), std::move(dsn), {"merpati_auth_events"},
                {[this](std::string_view, std::string_view) { wake_all(); }, [this] { wake_all(); }}) {}

void EventFeed::start() { listener_.start(); }

void EventFeed::close() {
  closed_ = true;
  listener_.close();
  wake_all();
}

void EventFeed::drain() {
  draining_ = true;
  wake_all();
}

void EventFeed::wake_all() {
  followers_.with([](auto& followers) {
    for (auto* follower : followers) follower->wakeup_.notify();
  });
}

EventFeed::Follower::Follower(EventFeed& feed) : feed_(feed) {
  feed_.followers_.with([this](auto& followers) { followers.insert(this); });
}
EventFeed::Follower::~Follower() {
  feed_.followers_.with([this](auto& followers) { followers.erase(this); });
}

Task<void> EventFeed::Follower::wait(std::chrono::nanoseconds longest) {
  auto woken = co_await with_deadline(wakeup_.wait(), Deadline::after(longest));
  if (woken.has_error() && woken.error().code() != ErrorCode::kDeadlineExceeded) co_return std::move(woken).error();
  co_return Result<void>();
}

}  // namespace merpati::auth
