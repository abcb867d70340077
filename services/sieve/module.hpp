// The wiring of the ManageSieve edge: listeners, TLS, backends' channels, the stop in two phases.
#pragma once

#include <memory>
#include <vector>

#include "merpati/config/v1/sieve.pb.h"
#include "merpati/net/server.hpp"
#include "merpati/rpc/channel.hpp"
#include "merpati/runtime/module.hpp"
#include "merpati/runtime/process.hpp"

namespace merpati::managesieve {

struct Site;

class Module : public runtime::Module {
 public:
  /// The channels carry the role sieve.
  Module(runtime::Process& process, config::v1::Sieve config, std::shared_ptr<rpc::Channel> auth,
         std::shared_ptr<rpc::Channel> filter);
  ~Module() override;

  std::string_view name() const override { return "sieve"; }
  Kind kind() const override { return Kind::kEdge; }
  Task<void> start() override;
  Task<void> drain(Deadline deadline) override;
  Task<void> stop() override;

  /// The port of the n-th listener, for tests that ask for any free one.
  std::uint16_t port(std::size_t listener) const { return ports_.at(listener); }

 private:
  Result<void> listen(const config::v1::Listener& listener);

  config::v1::Sieve config_;
  std::shared_ptr<rpc::Channel> auth_;
  std::shared_ptr<Site> site_;
  net::Server server_;
  TaskGroup background_;
  std::vector<std::uint16_t> ports_;
};

}  // namespace merpati::managesieve
