// HttpServer: /metrics, /livez and /readyz, on a thread of its own, so that a loop that hangs can be reported.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <cstdint>
#include <string>
#include <thread>

#include "merpati/base/result.hpp"
#include "merpati/runtime/health.hpp"
#include "merpati/runtime/loops.hpp"
#include "merpati/runtime/metrics.hpp"

namespace merpati::runtime {

class HttpServer {
 public:
  HttpServer(const Metrics& metrics, const Health& health, const Loops& loops);
  ~HttpServer();

  /// `address` "::" listens on IPv4 too. Port 0: any.
  Result<void> start(const std::string& address, std::uint16_t port);
  std::uint16_t port() const { return port_; }
  struct Answer {
    unsigned status = 200;
    std::string type = "text/plain; charset=utf-8";
    std::string body;
  };
  Answer answer(std::string_view method, std::string_view target) const;

 private:
  void accept();

  const Metrics& metrics_;
  const Health& health_;
  const Loops& loops_;
  asio::io_context context_{1};
  asio::ip::tcp::acceptor acceptor_{context_};
  std::thread thread_;
  std::uint16_t port_ = 0;
  int connections_ = 0;
};

}  // namespace merpati::runtime
