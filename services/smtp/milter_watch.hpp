// MilterWatch: which listeners have milters, as the filter says; so that a session without any asks nobody.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <string_view>

#include "merpati/base/task.hpp"
#include "merpati/rpc/channel.hpp"

namespace merpati::smtp {

/// Thread safe.
class MilterWatch {
 public:
  enum class Known : std::uint8_t { kUnknown, kNone, kSome };

  /// "mx", "submission". What was known last stays, while the filter is away.
  Known about(std::string_view listener) const { return known_[place(listener)].load(); }
  /// Follows what the filter says, until it is cancelled.
  asio::awaitable<void> follow(std::shared_ptr<rpc::Channel> filter);

 private:
  static std::size_t place(std::string_view listener) { return listener == "submission" ? 1 : 0; }
  Task<void> follow_once(std::shared_ptr<rpc::Channel> filter);

  std::array<std::atomic<Known>, 2> known_ = {Known::kUnknown, Known::kUnknown};
};

}  // namespace merpati::smtp
