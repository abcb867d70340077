// The store as a module of a process: the only place that knows how its parts meet.
#pragma once

#include <memory>

#include "merpati/config/v1/common.pb.h"
#include "merpati/rpc/dispatcher.hpp"
#include "merpati/runtime/module.hpp"
#include "merpati/runtime/process.hpp"

namespace merpati::config::v1 {
class Store;
}

namespace merpati::store {

class Module : public runtime::Module {
 public:
  /// `auth` may be null when a verifier is set by set_token_verifier() before start().
  Module(runtime::Process& process, const config::v1::Store& config, std::shared_ptr<rpc::Channel> auth,
         const config::v1::TraceEvents& trace_events = {});
  ~Module() override;

  std::string_view name() const override { return "store"; }
  Kind kind() const override { return Kind::kBackend; }
  Task<void> start() override;
  Task<void> drain(Deadline deadline) override;
  Task<void> stop() override;

  rpc::Dispatcher& dispatcher();
  /// For session tokens and grants; by default keys fetched from auth.
  void set_token_verifier(std::shared_ptr<rpc::TokenVerifier> verifier);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace merpati::store
