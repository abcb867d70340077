#include "merpati/runtime/loops.hpp"

#include <pthread.h>

#include <algorithm>
#include <boost/asio/steady_timer.hpp>
#include <string>

namespace merpati::runtime {
namespace {

thread_local std::size_t this_loop = SIZE_MAX;

std::int64_t now_nanos() { return std::chrono::steady_clock::now().time_since_epoch().count(); }

void beat(std::shared_ptr<asio::steady_timer> timer, std::atomic<std::int64_t>& last_turn) {
  last_turn.store(now_nanos(), std::memory_order_relaxed);
  timer->expires_after(std::chrono::seconds(1));
  timer->async_wait([timer, &last_turn](boost::system::error_code error) {
    if (!error) beat(timer, last_turn);
  });
}

}  // namespace

Loops::Loops(std::size_t count) {
  if (count == 0) count = std::max(1U, std::thread::hardware_concurrency());
  for (std::size_t i = 0; i < count; ++i) loops_.push_back(std::make_unique<Loop>());
}

Loops::~Loops() { stop(); }

std::size_t Loops::current() { return this_loop; }

void Loops::start() {
  if (running_) return;
  running_ = true;
  for (std::size_t i = 0; i < loops_.size(); ++i) {
    Loop& loop = *loops_[i];
    guards_.emplace_back(loop.context.get_executor());
    loop.last_turn = now_nanos();
    beat(std::make_shared<asio::steady_timer>(loop.context), loop.last_turn);
    loop.thread = std::thread([&loop, i] {
      this_loop = i;
      pthread_setname_np(pthread_self(), ("loop-" + std::to_string(i)).c_str());
      loop.context.run();
    });
  }
}

void Loops::stop() {
  if (!running_) return;
  running_ = false;
  guards_.clear();
  for (auto& loop : loops_) loop->context.stop();
  for (auto& loop : loops_) loop->thread.join();
}

std::chrono::nanoseconds Loops::longest_silence() const {
  std::int64_t oldest = now_nanos();
  for (const auto& loop : loops_) oldest = std::min(oldest, loop->last_turn.load(std::memory_order_relaxed));
  return std::chrono::nanoseconds(now_nanos() - oldest);
}

}  // namespace merpati::runtime
