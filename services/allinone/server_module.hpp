// ServerModule: a dispatcher on the network, as a module of the process. Added after the service that it exposes, so
// that it starts after it and stops before it.
#pragma once

#include <string>

#include "merpati/rpc/server.hpp"
#include "merpati/runtime/module.hpp"

namespace merpati::allinone {

class ServerModule : public runtime::Module {
 public:
  ServerModule(rpc::Dispatcher& dispatcher, rpc::ServerOptions options) : server_(dispatcher, std::move(options)) {}
  std::string_view name() const override { return "grpc"; }
  Kind kind() const override { return Kind::kBackend; }
  Task<void> start() override { co_return server_.start(); }
  Task<void> drain(Deadline deadline) override { return server_.drain(deadline); }
  Task<void> stop() override { return server_.stop(); }

 private:
  rpc::Server server_;
};

}  // namespace merpati::allinone
