// A whole IMAP edge on a loopback port with fake backends, and a client that speaks to it.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fake_backends.hpp"
#include "imap/module.hpp"
#include "merpati/config/v1/imap.pb.h"
#include "merpati/rpc/dispatcher.hpp"

namespace merpati::imap::testing {

/// A plain socket with a time limit on every read.
class Client {
 public:
  explicit Client(std::uint16_t port) {
    socket_ = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) ADD_FAILURE() << "connect";
  }
  ~Client() { ::close(socket_); }
  void send(std::string_view text) {
    EXPECT_EQ(::send(socket_, text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
  }
  /// Everything up to and with the line that starts with `start`; what came so far when the connection ends.
  std::string until(const std::string& start) {
    std::size_t line = 0;
    for (;;) {
      for (auto end = have_.find("\r\n", line); end != std::string::npos; end = have_.find("\r\n", line)) {
        const bool found = have_.compare(line, start.size(), start) == 0;
        line = end + 2;
        if (!found) continue;
        std::string out = have_.substr(0, line);
        have_.erase(0, line);
        return out;
      }
      if (!more()) return std::exchange(have_, {}) + "(end)";
    }
  }
  /// Sends a command with tag "t" and gives the whole answer.
  std::string run(const std::string& command) {
    send("t " + command + "\r\n");
    return until("t ");
  }
  std::string log_in() {
    until("* OK");
    return run("LOGIN alice secret");
  }

 private:
  bool more() {
    pollfd wait{socket_, POLLIN, 0};
    if (::poll(&wait, 1, 10000) != 1) return false;
    char bytes[65536];
    const auto got = ::recv(socket_, bytes, sizeof bytes, 0);
    if (got <= 0) return false;
    have_.append(bytes, static_cast<std::size_t>(got));
    return true;
  }
  int socket_;
  std::string have_;
};

inline std::string small_mail(const std::string& subject, const std::string& body = "Hello\r\n") {
  return "From: Bob <bob@example.test>\r\nTo: alice@example.test\r\nSubject: " + subject +
         "\r\nDate: Mon, 02 Jan 2023 03:04:05 +0100\r\nMessage-ID: <" + subject + "@x>\r\n\r\n" + body;
}

class ImapTest : public ::testing::Test {
 protected:
  ImapTest() : process_(options()), key_(rpc::SigningKey::generate("k1")), auth(key_) {
    keys_->add(key_.id, key_.pub);
    auth_dispatcher_.register_service(auth);
    store_dispatcher_.register_service(store);
    auto* listener = config_.add_listeners();
    listener->set_address("127.0.0.1");
    listener->set_plaintext_login_from_loopback(true);
  }
  void start() {
    auto module =
        std::make_unique<Module>(process_, config_, rpc::in_process_channel(auth_dispatcher_, rpc::Role::kImap),
                                 rpc::in_process_channel(store_dispatcher_, rpc::Role::kImap), filter_channel_);
    module_ = module.get();
    process_.add(std::move(module));
    const auto started = process_.start();
    ASSERT_TRUE(started.has_value()) << started.error().describe();
    running_ = true;
  }
  void TearDown() override {
    if (running_) process_.stop();
  }
  std::uint16_t port() const { return module_->ports().front(); }
  /// A logged-in client with the mailbox selected.
  std::unique_ptr<Client> open(const std::string& mailbox = "INBOX") {
    auto client = std::make_unique<Client>(port());
    client->log_in();
    client->run("SELECT " + mailbox);
    return client;
  }
  /// Runs on the loop's thread, where the fakes live.
  template <class F>
  void on_loop(F body) {
    const auto done = runtime::block_on(process_.loops().main(), call(std::move(body)));
    ASSERT_TRUE(done.has_value());
  }

  static runtime::ProcessOptions options() {
    runtime::ProcessOptions options;
    options.loops = 1;
    options.blocking_threads = 1;
    options.endpoint_delay = {};
    options.grace_period = std::chrono::seconds(1);
    return options;
  }
  template <class F>
  static Task<void> call(F body) {
    body();
    co_return Result<void>();
  }

  runtime::Process process_;
  rpc::SigningKey key_;
  std::shared_ptr<rpc::KeyRing> keys_ = std::make_shared<rpc::KeyRing>();
  config::v1::Imap config_;
  FakeAuth auth;
  FakeStore store;
  rpc::Dispatcher auth_dispatcher_{keys_};
  rpc::Dispatcher store_dispatcher_{keys_};
  std::shared_ptr<rpc::Channel> filter_channel_;
  Module* module_ = nullptr;
  bool running_ = false;
};

}  // namespace merpati::imap::testing
