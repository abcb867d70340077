// The SMTP edge as a module of a process: listeners, certificate reload, the feed of auth's events.
#pragma once

#include <memory>
#include <vector>

#include "merpati/config/v1/smtp.pb.h"
#include "merpati/net/server.hpp"
#include "merpati/rpc/account_events.hpp"
#include "merpati/runtime/module.hpp"
#include "merpati/runtime/process.hpp"
#include "smtp/site.hpp"

namespace merpati::smtp {

class Module final : public runtime::Module {
 public:
  /// The channels carry the role smtp.
  Module(runtime::Process& process, const config::v1::Smtp& config, std::shared_ptr<rpc::Channel> auth,
         std::shared_ptr<rpc::Channel> store, std::shared_ptr<rpc::Channel> filter, std::shared_ptr<rpc::Channel> queue,
         const config::v1::TraceEvents& trace_events = {});
  ~Module() override;

  std::string_view name() const override { return "smtp"; }
  Kind kind() const override { return Kind::kEdge; }
  Task<void> start() override;
  Task<void> drain(Deadline deadline) override;
  Task<void> stop() override;

  /// The ports that start() opened, in the order of the configuration (tests use port 0).
  const std::vector<std::uint16_t>& ports() const { return ports_; }

 private:
  Result<void> listen(const config::v1::Listener& listener);
  asio::awaitable<void> watch_certificate();
  rpc::AccountEventHandlers event_handlers();
  static std::unique_ptr<trace::Recorder> events_to(std::shared_ptr<rpc::Channel> queue, runtime::Metrics& metrics);

  config::v1::Smtp config_;
  std::shared_ptr<rpc::Channel> auth_, filter_;
  std::shared_ptr<Site> site_;
  net::Server server_;
  TaskGroup background_;
  std::vector<std::uint16_t> ports_;
  std::shared_ptr<void> before_scrape_;
};

}  // namespace merpati::smtp
