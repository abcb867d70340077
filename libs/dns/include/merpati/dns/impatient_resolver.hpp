// A resolver that waits less while nobody answers: so that DNS that is down costs each caller little, and is noticed to
// be back by the first who asks.
#pragma once

#include <atomic>
#include <functional>
#include <memory>

#include "merpati/dns/resolver.hpp"

namespace merpati::dns {

class ImpatientResolver : public Resolver {
 public:
  struct Settings {
    std::uint32_t silent_after = 10;      ///< lookups in a row without an answer
    std::chrono::milliseconds wait{300};  ///< for each while it is silent
  };
  /// `on_change` is called with true when DNS falls silent, with false at the next answer; on any thread.
  ImpatientResolver(std::shared_ptr<Resolver> inner, Settings settings, std::function<void(bool)> on_change)
      : inner_(std::move(inner)), settings_(settings), on_change_(std::move(on_change)) {}

  Task<Answer<Mx>> mx(std::string name, Deadline deadline) override {
    co_return co_await watch(inner_->mx(std::move(name), shortened(deadline)));
  }
  Task<Answer<IpAddress>> addresses(std::string name, Deadline deadline) override {
    co_return co_await watch(inner_->addresses(std::move(name), shortened(deadline)));
  }
  Task<Answer<IpAddress>> addresses_of(Family family, std::string name, Deadline deadline) override {
    co_return co_await watch(inner_->addresses_of(family, std::move(name), shortened(deadline)));
  }
  Task<Answer<std::string>> names(IpAddress address, Deadline deadline) override {
    co_return co_await watch(inner_->names(address, shortened(deadline)));
  }
  Task<Answer<std::string>> txt(std::string name, Deadline deadline) override {
    co_return co_await watch(inner_->txt(std::move(name), shortened(deadline)));
  }
  bool silent() const { return unanswered_.load(std::memory_order_relaxed) >= settings_.silent_after; }

 private:
  Deadline shortened(Deadline deadline) const { return silent() ? deadline.within(settings_.wait) : deadline; }
  void note(Status status);

  template <class T>
  Task<Answer<T>> watch(Task<Answer<T>> lookup) {
    auto answer = co_await std::move(lookup);
    if (answer.has_value()) note(answer->status);
    co_return answer;
  }

  std::shared_ptr<Resolver> inner_;
  const Settings settings_;
  std::function<void(bool)> on_change_;
  std::atomic<std::uint32_t> unanswered_{0};
};

}  // namespace merpati::dns
