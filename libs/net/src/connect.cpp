#include "merpati/net/connect.hpp"

namespace merpati::net {
namespace {

Task<asio::ip::tcp::socket> connect_socket(Endpoint to) {
  asio::ip::tcp::socket socket(co_await asio::this_coro::executor);
  auto [error] = co_await socket.async_connect(to, kAwait);
  if (error) {
    co_return Error(error == asio::error::operation_aborted ? ErrorCode::kCancelled : ErrorCode::kUnavailable,
                    "connect to " + to.address().to_string() + ": " + error.message());
  }
  co_return std::move(socket);
}

}  // namespace

Task<Stream> connect(Endpoint to, Deadline deadline) {
  MERPATI_CO_TRY(auto socket, co_await with_deadline(connect_socket(to), deadline));
  co_return Stream(std::move(socket));
}

}  // namespace merpati::net
