// The filter as a module of a process.
#pragma once

#include <memory>

#include "merpati/rpc/channel.hpp"
#include "merpati/rpc/dispatcher.hpp"
#include "merpati/runtime/module.hpp"
#include "merpati/runtime/process.hpp"

namespace merpati::config::v1 {
class Filter;
}

namespace merpati::filter {

class Module : public runtime::Module {
 public:
  /// The channels reach those services in the role filter. Without `queue` there are no DMARC reports, and no script
  /// for an IMAP event sends mail.
  Module(runtime::Process& process, const config::v1::Filter& config, std::shared_ptr<rpc::Channel> auth,
         std::shared_ptr<rpc::Channel> store, std::shared_ptr<rpc::Channel> queue = nullptr);
  ~Module() override;

  std::string_view name() const override { return "filter"; }
  Kind kind() const override { return Kind::kBackend; }
  Task<void> start() override;
  Task<void> drain(Deadline deadline) override;
  Task<void> stop() override;

  rpc::Dispatcher& dispatcher();

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace merpati::filter
