// The operator's lists of senders: whom to accept, to file into Junk, to refuse.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "merpati/base/result.hpp"

namespace merpati::filter {

enum class SenderTreatment : std::uint8_t { kNone, kAccept, kJunk, kRefuse };

class SenderLists {
 public:
  /// `entry` as in address_patterns.hpp; kInvalidArgument when it is none.
  Result<void> add(std::string_view entry, SenderTreatment treatment);
  bool empty() const { return entries_.empty(); }

  /// What the most exact entry for this address says: the address before its domain, then the nearest domain above. Of
  /// the same entry on several lists refusing comes first, then Junk. One to accept counts only when `authenticated()`
  /// says that the address is no forgery; else less exact entries are looked at.
  SenderTreatment find(std::string_view address, const std::function<bool()>& authenticated) const;

 private:
  struct On {
    bool accept = false, junk = false, refuse = false;
  };
  std::map<std::string, On, std::less<>> entries_;  ///< by address_pattern()
};

}  // namespace merpati::filter
