#include "http_server.hpp"

#include <fmt/format.h>
#include <pthread.h>

#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <memory>

#include "merpati/runtime/log.hpp"

namespace merpati::runtime {
namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;

constexpr int kMaxConnections = 64;
/// A loop that did not turn for so long hangs: the process wants to be restarted.
constexpr std::chrono::seconds kSilenceLimit{15};

/// One connection; requests one after another.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(asio::ip::tcp::socket socket, const HttpServer& server, int& count)
      : stream_(std::move(socket)), server_(server), count_(count) {
    ++count_;
  }
  ~Connection() { --count_; }

  void read() {
    parser_.emplace();
    parser_->body_limit(64 * 1024);
    parser_->header_limit(16 * 1024);
    stream_.expires_after(std::chrono::seconds(30));
    http::async_read(stream_, buffer_, *parser_, [self = shared_from_this()](beast::error_code error, std::size_t) {
      if (!error) self->write();
    });
  }

 private:
  void write() {
    const auto& request = parser_->get();
    const auto method = request.method_string();
    const auto target = request.target();
    auto answer = server_.answer({method.data(), method.size()}, {target.data(), target.size()});
    response_ = {};
    response_.version(request.version());
    response_.result(answer.status);
    response_.set(http::field::content_type, answer.type);
    response_.set(http::field::cache_control, "no-store");
    response_.keep_alive(request.keep_alive());
    response_.body() = std::move(answer.body);
    response_.prepare_payload();
    if (request.method() == http::verb::head) response_.body().clear();
    http::async_write(stream_, response_, [self = shared_from_this()](beast::error_code error, std::size_t) {
      if (!error && self->response_.keep_alive()) self->read();
    });
  }

  beast::tcp_stream stream_;
  const HttpServer& server_;
  int& count_;
  beast::flat_buffer buffer_{16 * 1024 + 64 * 1024};
  std::optional<http::request_parser<http::string_body>> parser_;
  http::response<http::string_body> response_;
};

}  // namespace

HttpServer::HttpServer(const Metrics& metrics, const Health& health, const Loops& loops)
    : metrics_(metrics), health_(health), loops_(loops) {}

HttpServer::~HttpServer() {
  context_.stop();
  if (thread_.joinable()) thread_.join();
}

Result<void> HttpServer::start(const std::string& address, std::uint16_t port) {
  boost::system::error_code error;
  const auto ip = asio::ip::make_address(address, error);
  if (error) return Error(ErrorCode::kInvalidArgument, fmt::format("http.address {:?}: {}", address, error.message()));
  const auto fail = [&](const char* what) {
    return Error(ErrorCode::kUnavailable,
                 fmt::format("HTTP on {} port {}: {}: {}", address, port, what, error.message()));
  };
  asio::ip::tcp::endpoint endpoint(ip, port);
  acceptor_.open(endpoint.protocol(), error);
  if (error && ip == asio::ip::address_v6::any()) {  // a machine without IPv6
    endpoint = {asio::ip::address_v4::any(), port};
    acceptor_.open(endpoint.protocol(), error);
  }
  if (error) return fail("open");
  acceptor_.set_option(asio::socket_base::reuse_address(true), error);
  if (endpoint.address().is_v6()) acceptor_.set_option(asio::ip::v6_only(false), error);
  acceptor_.bind(endpoint, error);
  if (error) return fail("bind");
  acceptor_.listen(128, error);
  if (error) return fail("listen");
  port_ = acceptor_.local_endpoint(error).port();
  accept();
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "http");
    context_.run();
  });
  return {};
}

void HttpServer::accept() {
  acceptor_.async_accept([this](boost::system::error_code error, asio::ip::tcp::socket socket) {
    if (!error && connections_ < kMaxConnections) {
      std::make_shared<Connection>(std::move(socket), *this, connections_)->read();
    } else if (error && error != asio::error::operation_aborted) {
      // EMFILE and the like: wait a little, then go on.
      log::warning("http_accept_failed", "cannot accept a connection", {{"error", error.message()}});
      auto timer = std::make_shared<asio::steady_timer>(context_, std::chrono::milliseconds(200));
      timer->async_wait([this, timer](boost::system::error_code) { accept(); });
      return;
    }
    if (error != asio::error::operation_aborted) accept();
  });
}

HttpServer::Answer HttpServer::answer(std::string_view method, std::string_view target) const {
  if (method != "GET" && method != "HEAD") return {405, "text/plain; charset=utf-8", "only GET and HEAD\n"};
  target = target.substr(0, target.find('?'));
  if (target == "/metrics") return {200, "text/plain; version=0.0.4; charset=utf-8", metrics_.text()};
  if (target == "/livez") {
    const auto silence = loops_.longest_silence();
    if (silence < kSilenceLimit) return {200, "text/plain; charset=utf-8", "ok\n"};
    return {503, "text/plain; charset=utf-8",
            fmt::format("an event loop has not turned for {} s\n",
                        std::chrono::duration_cast<std::chrono::seconds>(silence).count())};
  }
  if (target == "/readyz") return {health_.ready() ? 200U : 503U, "application/json", health_.json() + "\n"};
  return {404, "text/plain; charset=utf-8", "there are /metrics, /livez and /readyz\n"};
}

}  // namespace merpati::runtime
