// An SMTP server for tests, on loopback: takes mail, or fails as it was told. One thread for each connection.
#pragma once

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace merpati::test {

class SmtpSink {
 public:
  struct Mail {
    std::string mail_command;
    std::vector<std::string> recipients;
    std::string data;
    int connection = 0;
  };
  struct Behaviour {
    std::string greeting = "220 sink.test ESMTP";
    std::vector<std::string> extensions = {"PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE 10000000",
                                           "ENHANCEDSTATUSCODES"};
    std::map<std::string, std::string> recipient_replies;  ///< "a@b" to "550 5.1.1 no"
    std::string data_reply = "250 2.0.0 taken";
    bool drop_after_data = false;  ///< takes the message and goes away without a word
  };

  SmtpSink() {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    static_cast<void>(::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address));
    static_cast<void>(::listen(listener_, 64));
    socklen_t size = sizeof address;
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    acceptor_ = std::thread([this] { accept_all(); });
  }
  ~SmtpSink() {
    stop_ = true;
    acceptor_.join();
    for (auto& thread : sessions_) thread.join();
    ::close(listener_);
  }
  SmtpSink(const SmtpSink&) = delete;
  SmtpSink& operator=(const SmtpSink&) = delete;

  std::uint16_t port() const { return port_; }
  void set(const std::function<void(Behaviour&)>& change) {
    std::lock_guard lock(mutex_);
    change(behaviour_);
  }
  std::vector<Mail> mails() const {
    std::lock_guard lock(mutex_);
    return mails_;
  }
  int connections() const { return connections_; }

 private:
  class Wire {
   public:
    Wire(int fd, const std::atomic<bool>& stop) : fd_(fd), stop_(stop) {}
    ~Wire() { ::close(fd_); }
    bool line(std::string& out) {
      for (;;) {
        const auto end = buffer_.find("\r\n");
        if (end != std::string::npos) {
          out = buffer_.substr(0, end);
          buffer_.erase(0, end + 2);
          return true;
        }
        char piece[65536];
        pollfd wait{fd_, POLLIN, 0};
        while (::poll(&wait, 1, 20) == 0) {
          if (stop_) return false;
        }
        const auto got = ::read(fd_, piece, sizeof piece);
        if (got <= 0) return false;
        buffer_.append(piece, static_cast<std::size_t>(got));
      }
    }
    void say(const std::string& text) {
      const std::string out = text + "\r\n";
      static_cast<void>(!::send(fd_, out.data(), out.size(), MSG_NOSIGNAL));
    }

   private:
    int fd_;
    const std::atomic<bool>& stop_;
    std::string buffer_;
  };

  void accept_all() {
    while (!stop_) {
      pollfd wait{listener_, POLLIN, 0};
      if (::poll(&wait, 1, 20) <= 0) continue;
      const int fd = ::accept(listener_, nullptr, nullptr);
      if (fd < 0) continue;
      const int number = ++connections_;
      sessions_.emplace_back([this, fd, number] { serve(fd, number); });
    }
  }

  Behaviour behaviour() const {
    std::lock_guard lock(mutex_);
    return behaviour_;
  }

  void serve(int fd, int number) {
    Wire wire(fd, stop_);
    wire.say(behaviour().greeting);
    Mail mail;
    mail.connection = number;
    for (std::string line; wire.line(line);) {
      const Behaviour now = behaviour();
      const std::string verb = line.substr(0, 4);
      if (verb == "EHLO") {
        wire.say("250-sink.test");
        for (const auto& e : now.extensions) wire.say("250-" + e);
        wire.say("250 HELP");
      } else if (verb == "MAIL") {
        mail.mail_command = line;
        mail.recipients.clear();
        wire.say("250 2.1.0 ok");
      } else if (verb == "RCPT") {
        const auto open = line.find('<');
        const std::string address = line.substr(open + 1, line.find('>') - open - 1);
        const auto special = now.recipient_replies.find(address);
        if (special == now.recipient_replies.end()) mail.recipients.push_back(address);
        wire.say(special == now.recipient_replies.end() ? "250 2.1.5 ok" : special->second);
      } else if (verb == "DATA") {
        if (mail.recipients.empty()) {
          wire.say("554 5.5.1 no valid recipients");
          continue;
        }
        wire.say("354 go on");
        mail.data.clear();
        bool whole = false;
        for (std::string text; wire.line(text);) {
          if (text == ".") {
            whole = true;
            break;
          }
          mail.data += (text.starts_with('.') ? text.substr(1) : text) + "\r\n";
        }
        if (!whole) return;
        {
          std::lock_guard lock(mutex_);
          if (now.data_reply.starts_with("2")) mails_.push_back(mail);
        }
        if (now.drop_after_data) return;
        wire.say(now.data_reply);
      } else if (verb == "RSET" || verb == "NOOP") {
        wire.say("250 2.0.0 ok");
      } else if (verb == "QUIT") {
        wire.say("221 2.0.0 bye");
        return;
      } else {
        wire.say("502 5.5.1 what?");
      }
    }
  }

  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<bool> stop_ = false;
  std::atomic<int> connections_ = 0;
  mutable std::mutex mutex_;
  Behaviour behaviour_;
  std::vector<Mail> mails_;
  std::vector<std::thread> sessions_;
  std::thread acceptor_;
};

}  // namespace merpati::test
