// A connection of a load generator: plain or TLS, lines and literals. One thread; failures are exceptions, since a
// benchmark that lost a connection has no result.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace merpati::bench {

namespace asio = boost::asio;

class Client {
 public:
  explicit Client(asio::io_context& loop) : socket_(loop) {}

  /// `source` is added to 127.0.0.1 as the client's address, so that limits by address count several clients.
  asio::awaitable<void> connect(std::string host, int port, bool tls, unsigned source = 0);
  asio::awaitable<void> write(std::string_view bytes);
  /// The next line without its CRLF, valid until the next call.
  asio::awaitable<std::string_view> line();
  /// Reads and drops `count` bytes, or appends them to `into`.
  asio::awaitable<void> skip(std::size_t count, std::string* into = nullptr);

  std::uint64_t received() const { return received_; }

 private:
  asio::awaitable<void> fill();

  asio::ip::tcp::socket socket_;
  std::unique_ptr<asio::ssl::stream<asio::ip::tcp::socket&>> tls_;
  std::unique_ptr<char[]> scratch_;  // what is read goes through it: growing buffer_ would clear it first
  std::string buffer_;
  std::size_t at_ = 0;
  std::uint64_t received_ = 0;
};

/// An IMAP client, as much as is measured.
class ImapClient : public Client {
 public:
  using Client::Client;

  asio::awaitable<void> open(std::string host, int port, bool tls, unsigned source = 0);
  /// Sends a command with a fresh tag and reads to its end.
  asio::awaitable<void> command(std::string text);
  /// Sends without waiting; each is awaited by one finish().
  std::string tagged(std::string_view text);
  /// Reads up to the next tagged reply, literals included; throws unless it is OK. Untagged bytes go to `into`.
  asio::awaitable<void> finish(std::string* into = nullptr);
  asio::awaitable<void> login(std::string user, std::string password);

  asio::awaitable<void> logout();

  /// Untagged FETCH responses seen so far.
  std::uint64_t fetches() const { return fetches_; }
  /// The number after MESSAGES in the last STATUS response.
  std::uint64_t status_messages() const { return status_messages_; }

 private:
  int next_tag_ = 0;
  bool leaving_ = false;
  std::uint64_t fetches_ = 0;
  std::uint64_t status_messages_ = 0;
};

/// Reads an SMTP reply to its last line; throws unless its code starts with `expected`.
asio::awaitable<std::string> smtp_reply(Client& client, char expected);

}  // namespace merpati::bench
