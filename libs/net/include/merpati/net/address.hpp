// Addresses and address ranges as operators write them.
#pragma once

#include <boost/asio/ip/address.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "merpati/base/result.hpp"

namespace merpati::net {

using IpAddress = boost::asio::ip::address;

/// The IPv4 address inside an IPv4-mapped IPv6 address; any other address as it is.
IpAddress unmapped(const IpAddress& address);

/// A range such as 10.0.0.0/8, fd00::/8 or a single address.
class Cidr {
 public:
  static Result<Cidr> parse(std::string_view text);
  bool contains(const IpAddress& address) const;

 private:
  IpAddress base_;
  unsigned bits_ = 0;
};

/// Some ranges; empty contains nothing.
class CidrSet {
 public:
  CidrSet() = default;
  /// kInvalidArgument names the first range that is none.
  template <class Texts>
  static Result<CidrSet> parse(const Texts& texts) {
    CidrSet set;
    for (const auto& text : texts) {
      MERPATI_TRY(auto range, Cidr::parse(text));
      set.ranges_.push_back(range);
    }
    return set;
  }
  bool contains(const IpAddress& address) const;
  bool empty() const { return ranges_.empty(); }

 private:
  std::vector<Cidr> ranges_;
};

}  // namespace merpati::net
