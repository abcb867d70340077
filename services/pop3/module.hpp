// The wiring of the POP3 edge: listeners, TLS, backends' channels, the stop in two phases.
#pragma once

#include <memory>

#include "merpati/config/v1/pop3.pb.h"
#include "merpati/net/server.hpp"
#include "merpati/rpc/channel.hpp"
#include "merpati/runtime/module.hpp"
#include "merpati/runtime/process.hpp"

namespace merpati::pop3 {

class Module : public runtime::Module {
 public:
  /// The channels carry the role pop3.
  Module(runtime::Process& process, config::v1::Pop3 config, std::shared_ptr<rpc::Channel> auth,
         std::shared_ptr<rpc::Channel> store);
  ~Module() override;

  std::string_view name() const override { return "pop3"; }
  Kind kind() const override { return Kind::kEdge; }
  Task<void> start() override;
  Task<void> drain(Deadline deadline) override;
  Task<void> stop() override;

  std::size_t sessions() const;
  /// The port of the n-th listener, for tests that ask for any free one.
  std::uint16_t port(std::size_t listener) const { return ports_.at(listener); }

 private:
  struct State;
  config::v1::Pop3 config_;
  std::unique_ptr<State> state_;
  std::vector<std::uint16_t> ports_;
};

}  // namespace merpati::pop3
