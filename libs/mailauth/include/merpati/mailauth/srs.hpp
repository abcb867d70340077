// SRS, the sender rewriting scheme: a forwarded message gets a reverse-path of ours, so that SPF passes at the next
// hop, and a bounce to it finds its way back. Not an RFC; the form is that of Mengwong and postsrsd, with a longer
// hash.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "merpati/base/clock.hpp"
#include "merpati/base/result.hpp"

namespace merpati::mailauth {

class Srs {
 public:
  /// `secrets`: the first makes addresses, all are accepted in those that come back. At least one.
  Srs(std::string domain, std::vector<std::string> secrets, std::chrono::days life = std::chrono::days(21));

  /// The reverse-path for a message from `sender` (without brackets). Empty stays empty; SRS0 of another host becomes
  /// SRS1, SRS1 of another stays one with our domain. kInvalidArgument: no address, or the result would be longer than
  /// a local part may be (RFC 5321 4.5.3.1.1: 64 octets).
  Result<std::string> forward(std::string_view sender, WallTime now) const;
  /// Whether the recipient is an address of ours that forward() may have made.
  bool is_ours(std::string_view recipient) const;
  /// Where a bounce for it goes. kInvalidArgument: not of this form; kPermissionDenied: the hash is not ours, or it is
  /// too old.
  Result<std::string> reverse(std::string_view recipient, WallTime now) const;

 private:
  std::string domain_;
  std::vector<std::string> secrets_;
  std::chrono::days life_;
};

}  // namespace merpati::mailauth
