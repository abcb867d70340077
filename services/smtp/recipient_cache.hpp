// Answers of auth.ResolveRecipient, kept for a moment: known addresses for a minute, unknown ones for 5 seconds.
// An event of auth makes all of them stale at once.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "merpati/auth/v1/auth.pb.h"
#include "merpati/base/clock.hpp"
#include "merpati/base/guarded.hpp"

namespace merpati::smtp {

/// Thread safe.
class RecipientCache {
 public:
  using Answer = std::shared_ptr<const auth::v1::ResolveRecipientResponse>;
  static constexpr std::chrono::seconds kKnown{60};
  static constexpr std::chrono::seconds kUnknown{5};
  static constexpr std::size_t kMost = 20'000;

  /// Null when there is no fresh answer.
  Answer find(const std::string& address) const;
  void put(const std::string& address, Answer answer);
  void clear();
  /// While auth's event feed does not run, everything is kept for 5 seconds at most.
  void set_feed_alive(bool alive);

 private:
  struct Entry {
    Answer answer;
    SteadyTime until;
  };
  struct State {
    std::unordered_map<std::string, Entry> entries;
    bool feed_alive = false;
  };
  Guarded<State> state_;
};

}  // namespace merpati::smtp
