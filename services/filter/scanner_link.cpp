#include "filter/scanner_link.hpp"

#include <netdb.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/write.hpp>

namespace merpati::filter {
namespace {

constexpr auto kResolvedFor = std::chrono::seconds(5);  // a Service's pods come and go

Error failed(const std::string& what, const boost::system::error_code& error) {
  const bool cancelled = error == asio::error::operation_aborted;
  return Error(cancelled ? ErrorCode::kCancelled : ErrorCode::kUnavailable, what + ": " + error.message());
}

std::vector<asio::generic::stream_protocol::endpoint> look_up(const std::string& address) {
  const auto colon = address.rfind(':');
  auto host = address.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  std::vector<asio::generic::stream_protocol::endpoint> all;
  if (getaddrinfo(host.c_str(), address.c_str() + colon + 1, &hints, &found) != 0) return all;
  for (const auto* each = found; each != nullptr; each = each->ai_next)
    all.emplace_back(each->ai_addr, each->ai_addrlen, IPPROTO_TCP);
  freeaddrinfo(found);
  return all;
}

}  // namespace

bool ScannerLink::is_address(std::string_view address) {
  if (address.starts_with('/')) return true;
  const auto colon = address.rfind(':');
  return colon != std::string_view::npos && colon > 0 && colon + 1 < address.size() &&
         address.find_first_not_of("0123456789", colon + 1) == std::string_view::npos;
}

Result<std::shared_ptr<ScannerLink>> ScannerLink::make(std::string address, std::size_t most_at_once,
                                                       asio::thread_pool& blocking) {
  if (!is_address(address))
    return Error(ErrorCode::kInvalidArgument, "\"" + address + "\" is neither host:port nor a path");
  return std::shared_ptr<ScannerLink>(new ScannerLink(std::move(address), most_at_once, blocking));
}

Task<std::vector<ScannerLink::Endpoint>> ScannerLink::endpoints() {
  if (address_.starts_with('/')) {
    std::vector<Endpoint> one{asio::local::stream_protocol::endpoint(address_)};
    co_return one;
  }
  const auto now = std::chrono::steady_clock::now();
  auto known = resolved_.with([now](Resolved& r) {
    const bool fresh = !r.endpoints.empty() && now - r.at < kResolvedFor;
    return fresh ? r.endpoints : std::vector<Endpoint>();
  });
  if (known.empty()) {
    auto ask = [address = address_] { return look_up(address); };
    known = co_await run_blocking(blocking_, std::move(ask));
    if (known.empty()) co_return Error(ErrorCode::kUnavailable, "no address of " + address_);
    resolved_.with([&](Resolved& r) {
      r.endpoints = known;
      r.at = now;
    });
  }
  const auto turn = resolved_.with([](Resolved& r) { return r.turn++; });
  std::rotate(known.begin(), known.begin() + static_cast<std::ptrdiff_t>(turn % known.size()), known.end());
  co_return known;
}

Task<ScannerLink::Connection> ScannerLink::connect() {
  Connection connection;
  MERPATI_CO_TRY(connection.place, co_await slots_.enter());
  MERPATI_CO_TRY(connection.socket, co_await open());
  co_return connection;
}

Task<std::unique_ptr<ScannerLink::Socket>> ScannerLink::open() {
  MERPATI_CO_TRY(const auto all, co_await endpoints());
  const auto executor = co_await asio::this_coro::executor;
  Error last(ErrorCode::kUnavailable, "no address of " + address_);
  for (const auto& endpoint : all) {
    auto socket = std::make_unique<Socket>(executor);
    auto [error] = co_await socket->async_connect(endpoint, kAwait);
    if (!error) co_return socket;
    last = failed("connect to " + address_, error);
    if (last.code() == ErrorCode::kCancelled) break;
  }
  co_return last;
}

Task<void> write_all(ScannerLink::Socket& socket, std::string_view bytes) {
  auto [error, count] = co_await asio::async_write(socket, asio::buffer(bytes), kAwait);
  static_cast<void>(count);
  if (error) co_return failed("write", error);
  co_return Result<void>();
}

Task<std::size_t> read_some(ScannerLink::Socket& socket, char* into, std::size_t most) {
  auto [error, count] = co_await socket.async_read_some(asio::buffer(into, most), kAwait);
  if (error && error != asio::error::eof) co_return failed("read", error);
  co_return count;
}

}  // namespace merpati::filter
