// The queue as a module of a process, and how its parts meet.
#pragma once

#include <memory>

#include "merpati/config/v1/common.pb.h"
#include "merpati/rpc/dispatcher.hpp"
#include "merpati/runtime/module.hpp"
#include "merpati/runtime/process.hpp"

namespace merpati::config::v1 {
class Queue;
}  // namespace merpati::config::v1

namespace merpati::queue {

class Module : public runtime::Module {
 public:
  /// `auth`, `store` and `filter` reach those services in the role queue; without a filter nobody has scripts.
  Module(runtime::Process& process, const config::v1::Queue& config, std::shared_ptr<rpc::Channel> auth,
         std::shared_ptr<rpc::Channel> store, std::shared_ptr<rpc::Channel> filter,
         const config::v1::TraceEvents& trace_events = {});
  ~Module() override;

  std::string_view name() const override { return "queue"; }
  Kind kind() const override { return Kind::kBackend; }
  Task<void> start() override;
  Task<void> drain(Deadline deadline) override;
  Task<void> stop() override;

  rpc::Dispatcher& dispatcher() { return dispatcher_; }

 private:
  struct Parts;
  asio::awaitable<void> care_loop();

  runtime::Process& process_;
  std::unique_ptr<config::v1::Queue> config_;
  std::shared_ptr<rpc::Channel> auth_;
  std::shared_ptr<rpc::Channel> store_;
  std::shared_ptr<rpc::Channel> filter_;
  std::unique_ptr<Parts> parts_;
  rpc::Dispatcher dispatcher_;
};

}  // namespace merpati::queue
