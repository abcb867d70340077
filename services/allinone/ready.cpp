#include "allinone/ready.hpp"

#include <fmt/format.h>

#include <boost/asio/ip/tcp.hpp>
#include <sstream>
#include <string>

namespace merpati::allinone {
namespace {

/// Where a server that is bound to `address` is reached from the same machine.
std::string reachable(const std::string& address) {
  return address.empty() || address == "::" || address == "0.0.0.0" ? "127.0.0.1" : address;
}

}  // namespace

Result<void> ask_ready(const config::v1::Http& http, std::chrono::milliseconds wait) {
  const std::string host = reachable(http.address());
  boost::asio::ip::tcp::iostream stream;
  stream.expires_after(wait);
  stream.connect(host, std::to_string(http.port()));
  stream << "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" << std::flush;
  std::string version;
  unsigned status = 0;
  if (!(stream >> version >> status)) {
    return Error(ErrorCode::kUnavailable, fmt::format("no answer from {} port {}: {}", host, http.port(),
                                                      stream.error() ? stream.error().message() : "not HTTP"));
  }
  if (status == 200) return {};
  std::ostringstream rest;
  rest << stream.rdbuf();
  const std::string answer = rest.str();
  const auto body = answer.find("\r\n\r\n");
  return Error(ErrorCode::kUnavailable,
               fmt::format("not ready ({}): {}", status, body == std::string::npos ? "" : answer.substr(body + 4)));
}

}  // namespace merpati::allinone
