// auth as a module of a process.
#pragma once

#include <memory>

#include "merpati/rpc/dispatcher.hpp"
#include "merpati/runtime/module.hpp"
#include "merpati/runtime/process.hpp"

namespace merpati::config::v1 {
class Auth;
}

namespace merpati::auth {

class Module : public runtime::Module {
 public:
  Module(runtime::Process& process, const config::v1::Auth& config);
  ~Module() override;

  std::string_view name() const override { return "auth"; }
  Kind kind() const override { return Kind::kBackend; }
  Task<void> start() override;
  Task<void> drain(Deadline deadline) override;
  Task<void> stop() override;

  rpc::Dispatcher& dispatcher() { return dispatcher_; }

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
  rpc::Dispatcher dispatcher_;
};

}  // namespace merpati::auth
