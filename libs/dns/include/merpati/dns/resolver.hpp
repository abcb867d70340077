// Resolver: DNS lookups whose answers say what kind they are.
#pragma once

#include <boost/asio/ip/address.hpp>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "merpati/base/task.hpp"

namespace merpati::dns {

enum class Status : std::uint8_t {
  kFound,
  kNoData,     ///< the name exists, without such a record
  kNoName,     ///< NXDOMAIN
  kTemporary,  ///< servers failed or did not answer: nothing is known
  kBogus,      ///< DNSSEC validation failed
};
std::string_view to_string(Status status);

template <class T>
struct Answer {
  Status status = Status::kTemporary;
  std::vector<T> records;
  bool secure = false;  ///< validated by DNSSEC
  std::chrono::seconds ttl{0};
  std::string reason;  ///< for the log, when it is not kFound
};

struct Mx {
  std::uint16_t preference = 0;
  std::string host;  ///< lower case, without final dot; empty: the root, which means "no mail" (RFC 7505)
  friend bool operator==(const Mx&, const Mx&) = default;
};
using IpAddress = boost::asio::ip::address;
enum class Family : std::uint8_t { kV4, kV6 };

/// "1.2.0.192.in-addr.arpa", or 32 nibbles below ip6.arpa (RFC 3596 2.5).
std::string reverse_name(const IpAddress& address);

/// Thread safe. The Result is an error only for kCancelled; a deadline that passes is Status::kTemporary. Names are in
/// A-labels, with or without final dot.
class Resolver {
 public:
  virtual ~Resolver() = default;
  /// Sorted by preference.
  virtual Task<Answer<Mx>> mx(std::string name, Deadline deadline) = 0;
  /// A and AAAA; kFound when either is, else the worse of both answers.
  virtual Task<Answer<IpAddress>> addresses(std::string name, Deadline deadline) = 0;
  /// A alone or AAAA alone, for those who must tell "none of this family" apart (SPF, RFC 7208 5).
  virtual Task<Answer<IpAddress>> addresses_of(Family family, std::string name, Deadline deadline) = 0;
  /// The names that an address claims (in-addr.arpa, ip6.arpa): lower case, without final dot, unconfirmed.
  virtual Task<Answer<std::string>> names(IpAddress address, Deadline deadline) = 0;
  /// The strings of each record joined.
  virtual Task<Answer<std::string>> txt(std::string name, Deadline deadline) = 0;
};

}  // namespace merpati::dns
