// The PROXY protocol, versions 1 and 2 (HAProxy's proxy-protocol.txt), as values: no I/O.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "merpati/base/result.hpp"

namespace merpati::net {

struct ProxyHeader {
  /// Absent for LOCAL and UNKNOWN: the connection speaks for the proxy itself (a health check).
  std::optional<boost::asio::ip::tcp::endpoint> source, destination;
};

/// Collects a header from bytes that are only peeked at, and never takes one byte behind it.
class ProxyParser {
 public:
  /// How many of `peeked` belong to the header; the caller then consumes them. kInvalidArgument: it is not one.
  Result<std::size_t> feed(std::string_view peeked);
  /// The header, once it is complete.
  const std::optional<ProxyHeader>& header() const { return header_; }

 private:
  Result<std::size_t> feed_v1(std::string_view peeked);
  Result<std::size_t> feed_v2(std::string_view peeked);
  std::string have_;
  std::optional<ProxyHeader> header_;
};

}  // namespace merpati::net
