// Client: the connection to admin, and calls that a command awaits by blocking.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "merpati/admin/v1/admin.rpc.hpp"
#include "merpati/rpc/channel.hpp"
#include "merpati/runtime/loops.hpp"

namespace merpati::ctl {

struct Target {
  std::string config_file;
  std::string server;
  std::string ca_file;
  std::string trust_domain;  ///< empty: merpati
  std::string token_file;
  std::string token;
};

/// A failure that ends the command; caught in main.
struct Failure {
  Error error;
  std::string hint;
};

class Client {
 public:
  /// Reads the files that the target names; throws Failure.
  explicit Client(Target target);

  /// Any method of AdminClient: client.call(&v1::AdminClient::get_domain, request). Throws Failure.
  template <class Method, class Request>
  auto call(Method method, const Request& request) {
    auto result = try_call(method, request);
    if (result.has_error()) throw Failure{result.error(), {}};
    return *std::move(result);
  }
  template <class Method, class Request>
  auto try_call(Method method, const Request& request) {
    using Answer = typename decltype(((*admin_).*method)(request, rpc::CallOptions{}))::value_type;
    if (auto there = reach(); there.has_error()) return Answer(std::move(there).error());
    const auto options = call_options();
    std::optional<Answer> answer;
    auto body = [&]() -> asio::awaitable<void> { answer = co_await ((*admin_).*method)(request, options); };
    wait_for(body());
    return *std::move(answer);
  }
  const Target& target() const { return target_; }

 private:
  rpc::CallOptions call_options() const;
  void wait_for(asio::awaitable<void> body);
  /// Whether one of the server's addresses takes a connection: gRPC would try one silent address after the other.
  Result<void> reach();

  Target target_;
  bool reached_ = false;
  runtime::Loops loops_{1};
  std::unique_ptr<admin::v1::AdminClient> admin_;
};

}  // namespace merpati::ctl
