// A client that says a line and hears the last line of the reply.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

namespace merpati::smtp::testing {

class Client {
 public:
  explicit Client(std::uint16_t port, const std::string& greeting = "220 ") {
    socket_ = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) ADD_FAILURE() << "connect";
    EXPECT_EQ(hear().substr(0, greeting.size()), greeting);
  }
  ~Client() { ::close(socket_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void send(std::string_view text) {
    while (!text.empty()) {
      const auto sent = ::send(socket_, text.data(), text.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      text.remove_prefix(static_cast<std::size_t>(sent));
    }
  }
  /// The last line of the next reply; "" at the end of the connection.
  std::string hear() {
    for (;;) {
      const auto line = hear_line();
      if (line.size() < 4 || line[3] == ' ') return line;
    }
  }
  std::string say(const std::string& line) {
    send(line + "\r\n");
    return hear();
  }
  /// EHLO to the final reply of one message.
  std::string mail(const std::string& from, const std::vector<std::string>& to, const std::string& message) {
    say("EHLO client.test");
    if (auto got = say("MAIL FROM:<" + from + ">"); got[0] != '2') return got;
    for (const auto& recipient : to)
      if (auto got = say("RCPT TO:<" + recipient + ">"); got[0] != '2') return got;
    if (auto got = say("DATA"); got[0] != '3') return got;
    send(message + ".\r\n");
    return hear();
  }

 private:
  std::string hear_line() {
    for (;;) {
      if (const auto end = have_.find("\r\n"); end != std::string::npos) {
        auto line = have_.substr(0, end);
        have_.erase(0, end + 2);
        return line;
      }
      pollfd wait{socket_, POLLIN, 0};
      char bytes[4096];
      if (::poll(&wait, 1, 20000) != 1) return "";
      const auto got = ::recv(socket_, bytes, sizeof bytes, 0);
      if (got <= 0) return "";
      have_.append(bytes, static_cast<std::size_t>(got));
    }
  }
  int socket_;
  std::string have_;
};

}  // namespace merpati::smtp::testing
