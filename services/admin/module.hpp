// Module: admin in a process; the only file that knows how its parts meet is module.cpp.
#pragma once

#include <memory>

#include "admin/rpc/admin_service.hpp"
#include "merpati/config/v1/admin.pb.h"
#include "merpati/rpc/dispatcher.hpp"
#include "merpati/runtime/module.hpp"
#include "merpati/runtime/process.hpp"

namespace merpati::admin {

class Module : public runtime::Module {
 public:
  Module(runtime::Process& process, config::v1::Admin config, Peers peers);
  ~Module() override;
  std::string_view name() const override { return "admin"; }
  Kind kind() const override { return Kind::kBackend; }
  Task<void> start() override;
  Task<void> drain(Deadline deadline) override;
  Task<void> stop() override;
  rpc::Dispatcher& dispatcher() { return dispatcher_; }

 private:
  runtime::Process& process_;
  config::v1::Admin config_;
  std::unique_ptr<pg::Pool> pool_;
  std::shared_ptr<void> pool_scrape_;
  Tokens tokens_;
  Audit audit_;
  TaskGroup tasks_;
  AdminService service_;
  rpc::Dispatcher dispatcher_;
};

}  // namespace merpati::admin
