#include "merpati/net/address.hpp"

#include <boost/asio/ip/address_v4.hpp>
#include <boost/asio/ip/address_v6.hpp>
#include <charconv>
#include <cstring>

namespace merpati::net {
namespace {

template <class Bytes>
bool same_prefix(const Bytes& a, const Bytes& b, unsigned bits) {
  const unsigned whole = bits / 8, rest = bits % 8;
  if (std::memcmp(a.data(), b.data(), whole) != 0) return false;
  if (rest == 0) return true;
  const auto mask = static_cast<unsigned char>(0xFF00 >> rest);
  return (a[whole] & mask) == (b[whole] & mask);
}

}  // namespace

IpAddress unmapped(const IpAddress& address) {
  if (address.is_v6() && address.to_v6().is_v4_mapped())
    return boost::asio::ip::make_address_v4(boost::asio::ip::v4_mapped, address.to_v6());
  return address;
}

Result<Cidr> Cidr::parse(std::string_view text) {
  const auto slash = text.find('/');
  boost::system::error_code error;
  Cidr range;
  range.base_ = boost::asio::ip::make_address(std::string(text.substr(0, slash)), error);
  if (error) return Error(ErrorCode::kInvalidArgument, "not an address range: " + std::string(text));
  const unsigned widest = range.base_.is_v4() ? 32 : 128;
  range.bits_ = widest;
  if (slash != text.npos) {
    const auto digits = text.substr(slash + 1);
    const auto [end, bad] = std::from_chars(digits.data(), digits.data() + digits.size(), range.bits_);
    if (bad != std::errc() || end != digits.data() + digits.size() || range.bits_ > widest)
      return Error(ErrorCode::kInvalidArgument, "not an address range: " + std::string(text));
  }
  return range;
}

bool Cidr::contains(const IpAddress& given) const {
  const auto address = unmapped(given);
  if (address.is_v4() != base_.is_v4()) return false;
  if (address.is_v4()) return same_prefix(address.to_v4().to_bytes(), base_.to_v4().to_bytes(), bits_);
  return same_prefix(address.to_v6().to_bytes(), base_.to_v6().to_bytes(), bits_);
}

bool CidrSet::contains(const IpAddress& address) const {
  for (const auto& range : ranges_)
    if (range.contains(address)) return true;
  return false;
}

}  // namespace merpati::net
