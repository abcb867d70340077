// A scanner on loopback: reads what comes until `enough` says so, answers what it is told, and closes.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <functional>
#include <string>
#include <thread>

#include "merpati/base/guarded.hpp"

namespace merpati::filter::test {

class FakeScanner {
 public:
  using Enough = std::function<bool(const std::string&)>;
  FakeScanner(Enough enough, std::string answer) : enough_(std::move(enough)), answer_(std::move(answer)) {
    thread_ = std::thread([this] { run(); });
  }
  ~FakeScanner() {
    boost::asio::ip::tcp::socket wake(context_);
    boost::system::error_code ignored;
    stopping_.with([](bool& stopping) { stopping = true; });
    wake.connect(acceptor_.local_endpoint(), ignored);
    thread_.join();
  }
  std::string address() const { return "127.0.0.1:" + std::to_string(acceptor_.local_endpoint().port()); }
  /// All octets of the last connection.
  std::string heard() const {
    return heard_.with([](const std::string& h) { return h; });
  }

 private:
  void run() {
    for (;;) {
      boost::system::error_code error;
      boost::asio::ip::tcp::socket client(context_);
      acceptor_.accept(client, error);
      if (error || stopping_.with([](bool s) { return s; })) return;
      std::string text;
      char piece[4096];
      while (!enough_(text)) {
        const auto count = client.read_some(boost::asio::buffer(piece), error);
        if (error) break;
        text.append(piece, count);
      }
      heard_.with([&](std::string& h) { h = text; });
      if (!answer_.empty()) boost::asio::write(client, boost::asio::buffer(answer_), error);
      // What the peer still sends must not become a reset that destroys the answer.
      client.shutdown(boost::asio::ip::tcp::socket::shutdown_send, error);
      while (!error) client.read_some(boost::asio::buffer(piece), error);
    }
  }

  boost::asio::io_context context_;
  boost::asio::ip::tcp::acceptor acceptor_{context_, {boost::asio::ip::make_address("127.0.0.1"), 0}};
  const Enough enough_;
  const std::string answer_;
  Guarded<std::string> heard_;
  Guarded<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace merpati::filter::test
