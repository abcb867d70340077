// An HTTP endpoint on a loopback port that answers what a test tells it to.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace merpati::objects {

class FakeEndpoint {
 public:
  /// From the whole request (head and body) to the whole answer; an empty one closes the connection, "hang" never
  /// answers.
  using Answer = std::function<std::string(const std::string& request, int number)>;

  enum class Connections { kOneAtATime, kManyAtOnce };

  explicit FakeEndpoint(Answer answer, Connections connections = Connections::kOneAtATime)
      : answer_(std::move(answer)), connections_(connections), listener_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    ::bind(listener_, reinterpret_cast<sockaddr*>(&address), size);
    ::listen(listener_, 64);
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~FakeEndpoint() {
    stop_ = true;
    thread_.join();
    for (auto& thread : further_) thread.join();
    ::close(listener_);
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  int requests() const { return count_; }

  static std::string reply(const std::string& status, const std::string& body = "", const std::string& headers = "") {
    return "HTTP/1.1 " + status + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\nConnection: close\r\n" +
           headers + "\r\n" + body;
  }
  static std::string failure(const std::string& status, const std::string& code) {
    return reply(status, "<?xml version=\"1.0\"?><Error><Code>" + code + "</Code><Message>told to</Message></Error>");
  }

 private:
  void serve() {
    while (!stop_) {
      pollfd waiting{listener_, POLLIN, 0};
      if (::poll(&waiting, 1, 20) <= 0) continue;
      const int connection = ::accept(listener_, nullptr, nullptr);
      if (connections_ == Connections::kOneAtATime)
        serve(connection);
      else
        further_.emplace_back([this, connection] { serve(connection); });
    }
  }
  void serve(int connection) {
    std::string request;
    char chunk[65536];
    while (!complete(request)) {
      const auto count = ::recv(connection, chunk, sizeof chunk, 0);
      if (count <= 0) break;
      request.append(chunk, static_cast<std::size_t>(count));
    }
    const auto text = answer_(request, ++count_);
    if (text == "hang") {
      while (!stop_ && ::recv(connection, chunk, sizeof chunk, 0) > 0) {
      }
    } else {
      ::send(connection, text.data(), text.size(), MSG_NOSIGNAL);
    }
    ::close(connection);
  }
  static bool complete(const std::string& request) {
    const auto end = request.find("\r\n\r\n");
    if (end == std::string::npos) return false;
    const auto length = request.find("\r\nContent-Length: ");
    const auto body = length == std::string::npos || length > end ? 0 : std::stoul(request.substr(length + 18));
    return request.size() >= end + 4 + body;
  }

  Answer answer_;
  const Connections connections_;
  int listener_;
  int port_ = 0;
  std::atomic<int> count_ = 0;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
  std::vector<std::thread> further_;
};

}  // namespace merpati::objects
