// Module: the IMAP edge as a process sees it; the only file that knows how its parts meet.
#pragma once

#include <memory>
#include <vector>

#include "imap/options.hpp"
#include "imap/probe.hpp"
#include "merpati/edge/in_flight.hpp"
#include "merpati/net/account_connections.hpp"
#include "merpati/rpc/account_events.hpp"
#include "merpati/rpc/revocations.hpp"
#include "merpati/runtime/process.hpp"

namespace merpati::config::v1 {
class Imap;
class Listener;
}  // namespace merpati::config::v1

namespace merpati::rpc {
class Channel;
}

namespace merpati::net {
class Server;
class TlsContext;
}  // namespace merpati::net

namespace merpati::imap {

struct LoopState;

class Module final : public runtime::Module {
 public:
  /// `filter` learns from what people put into Junk and move out of it, and runs scripts for what they do; null: nobody
  /// does.
  Module(runtime::Process& process, const config::v1::Imap& config, std::shared_ptr<rpc::Channel> auth,
         std::shared_ptr<rpc::Channel> store, std::shared_ptr<rpc::Channel> filter = nullptr);
  ~Module() override;
  std::string_view name() const override { return "imap"; }
  Kind kind() const override { return Kind::kEdge; }
  Task<void> start() override;
  Task<void> drain(Deadline deadline) override;
  Task<void> stop() override;

  /// The ports that start() opened, in the order of the configuration (tests use port 0).
  const std::vector<std::uint16_t>& ports() const { return ports_; }

 private:
  Result<void> listen(const config::v1::Listener& listener);
  void wake(std::int64_t account);

  runtime::Process& process_;
  std::unique_ptr<config::v1::Imap> config_;
  std::shared_ptr<rpc::Channel> auth_;
  std::shared_ptr<rpc::Channel> store_;
  std::shared_ptr<rpc::Channel> filter_;
  Options options_;
  Probe probe_;
  net::AccountConnections accounts_;
  edge::InFlight in_flight_;
  rpc::Revocations revocations_;
  std::shared_ptr<net::TlsContext> tls_;
  std::vector<std::unique_ptr<LoopState>> loops_;
  std::unique_ptr<net::Server> server_;
  std::unique_ptr<TaskGroup> background_;
  std::vector<std::uint16_t> ports_;
};

}  // namespace merpati::imap
