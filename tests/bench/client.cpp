#include "client.hpp"

#include <fmt/format.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/impl/src.hpp>
#include <boost/asio/ssl/impl/src.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <charconv>
#include <cstring>
#include <stdexcept>

namespace merpati::bench {
namespace {

constexpr std::size_t kReadSize = 128 * 1024;

asio::ssl::context& tls_context() {
  // Certificates are not checked: the server's speed is measured, not the client's caution.
  static asio::ssl::context context(asio::ssl::context::tls_client);
  return context;
}

}  // namespace

asio::awaitable<void> Client::connect(std::string host, int port, bool tls, unsigned source) {
  const asio::ip::tcp::endpoint peer(asio::ip::make_address(host), static_cast<unsigned short>(port));
  if (source != 0 && peer.address().is_loopback()) {
    socket_.open(peer.protocol());
    socket_.bind({asio::ip::make_address_v4(asio::ip::make_address_v4("127.0.0.1").to_uint() + source), 0});
  }
  co_await socket_.async_connect(peer, asio::use_awaitable);
  socket_.set_option(asio::ip::tcp::no_delay(true));
  if (tls) {
    tls_ = std::make_unique<asio::ssl::stream<asio::ip::tcp::socket&>>(socket_, tls_context());
    co_await tls_->async_handshake(asio::ssl::stream_base::client, asio::use_awaitable);
  }
}

asio::awaitable<void> Client::write(std::string_view bytes) {
  if (tls_) {
    co_await asio::async_write(*tls_, asio::buffer(bytes), asio::use_awaitable);
  } else {
    co_await asio::async_write(socket_, asio::buffer(bytes), asio::use_awaitable);
  }
}

asio::awaitable<void> Client::fill() {
  buffer_.erase(0, at_);
  at_ = 0;
  if (scratch_ == nullptr) scratch_ = std::make_unique_for_overwrite<char[]>(kReadSize);
  const auto room = asio::buffer(scratch_.get(), kReadSize);
  std::size_t got = 0;
  if (tls_) {
    got = co_await tls_->async_read_some(room, asio::use_awaitable);
  } else {
    got = co_await socket_.async_read_some(room, asio::use_awaitable);
  }
  buffer_.append(scratch_.get(), got);
  received_ += got;
}

asio::awaitable<std::string_view> Client::line() {
  std::size_t searched = 0;
  for (;;) {
    const char* from = buffer_.data() + at_;
    const auto size = buffer_.size() - at_;
    if (const void* end = size > searched ? std::memchr(from + searched, '\n', size - searched) : nullptr) {
      const auto length = static_cast<std::size_t>(static_cast<const char*>(end) - from);
      at_ += length + 1;
      co_return std::string_view(from, length > 0 && from[length - 1] == '\r' ? length - 1 : length);
    }
    searched = size;
    co_await fill();
  }
}

asio::awaitable<void> Client::skip(std::size_t count, std::string* into) {
  while (count > 0) {
    if (at_ == buffer_.size()) co_await fill();
    const auto here = std::min(count, buffer_.size() - at_);
    if (into) into->append(buffer_, at_, here);
    at_ += here;
    count -= here;
  }
}

asio::awaitable<void> ImapClient::open(std::string host, int port, bool tls, unsigned source) {
  co_await connect(std::move(host), port, tls, source);
  const auto greeting = co_await line();
  if (!greeting.starts_with("* OK")) throw std::runtime_error(fmt::format("greeting: {}", greeting));
}

std::string ImapClient::tagged(std::string_view text) { return fmt::format("t{} {}\r\n", next_tag_++, text); }

asio::awaitable<void> ImapClient::command(std::string text) {
  const auto whole = tagged(text);
  co_await write(whole);
  co_await finish();
}

asio::awaitable<void> ImapClient::login(std::string user, std::string password) {
  auto text = fmt::format("LOGIN {} {}", user, password);
  co_await command(std::move(text));
}

asio::awaitable<void> ImapClient::logout() {
  leaving_ = true;
  co_await command("LOGOUT");
}

asio::awaitable<void> ImapClient::finish(std::string* into) {
  for (;;) {
    auto text = co_await line();
    if (text.starts_with("* ")) {
      const auto number_end = text.find(' ', 2);
      if (number_end != std::string_view::npos && text.substr(number_end + 1).starts_with("FETCH ")) ++fetches_;
      if (text.starts_with("* STATUS ")) {
        if (const auto at = text.find("MESSAGES "); at != std::string_view::npos)
          std::from_chars(text.data() + at + 9, text.data() + text.size(), status_messages_);
      }
      if (text.starts_with("* BYE") && !leaving_) throw std::runtime_error(std::string(text));
      // A line that ends in {n} goes on after n bytes of literal.
      for (;;) {
        if (into) into->append(text).append("\r\n");
        if (!text.ends_with('}')) break;
        const auto brace = text.rfind('{');
        std::size_t size = 0;
        if (brace == std::string_view::npos ||
            std::from_chars(text.data() + brace + 1, text.data() + text.size(), size).ptr !=
                text.data() + text.size() - 1)
          break;
        co_await skip(size, into);
        text = co_await line();
      }
      continue;
    }
    if (text.starts_with("+")) continue;
    const auto space = text.find(' ');
    if (space == std::string_view::npos || !text.substr(space + 1).starts_with("OK"))
      throw std::runtime_error(fmt::format("refused: {}", text));
    co_return;
  }
}

asio::awaitable<std::string> smtp_reply(Client& client, char expected) {
  std::string whole;
  for (;;) {
    const auto text = co_await client.line();
    whole.append(text).append("\n");
    if (text.size() >= 4 && text[3] == '-') continue;
    if (text.empty() || text[0] != expected) throw std::runtime_error(fmt::format("SMTP: {}", text));
    co_return whole;
  }
}

}  // namespace merpati::bench
