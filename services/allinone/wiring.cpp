#include "allinone/wiring.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "admin/module.hpp"
#include "allinone/config_check.hpp"
#include "allinone/late_channel.hpp"
#include "allinone/server_module.hpp"
#include "allinone/status_service.hpp"
#include "auth/module.hpp"
#include "filter/module.hpp"
#include "imap/module.hpp"
#include "merpati/rpc/cell_channel.hpp"
#include "merpati/rpc/network_channel.hpp"
#include "pop3/module.hpp"
#include "queue/module.hpp"
#include "sieve/module.hpp"
#include "smtp/module.hpp"
#include "store/module.hpp"

namespace merpati::allinone {
namespace {

using rpc::Role;
using runtime::Process;
using Channel = std::shared_ptr<rpc::Channel>;
using Config = config::v1::Config;

/// Gives each service its channels; `caller` is the role that the callee sees.
class Peers {
 public:
  virtual ~Peers() = default;
  virtual Channel to(Role callee, Role caller) = 0;
  /// Whether it is known where that one is.
  virtual bool knows(Role callee) const = 0;
};

rpc::Credentials credentials(const config::v1::Trust& trust) {
  return {trust.ca_file(), trust.certificate_file(), trust.key_file(), trust.trust_domain()};
}

const config::v1::Peer* peer_config(const config::v1::Peers& peers, Role role) {
  switch (role) {
    case Role::kAuth:
      return &peers.auth();
    case Role::kStore:
      return &peers.store();
    case Role::kFilter:
      return &peers.filter();
    case Role::kQueue:
      return &peers.queue();
    case Role::kSmtp:
      return &peers.smtp();
    case Role::kPop3:
      return &peers.pop3();
    case Role::kImap:
      return &peers.imap();
    case Role::kSieve:
      return &peers.sieve();
    case Role::kAdmin:
      return &peers.admin();
    default:
      return nullptr;
  }
}

/// The caller's role is in its certificate.
class NetworkPeers : public Peers {
 public:
  explicit NetworkPeers(const Config& config) : config_(config) {}
  Channel to(Role callee, Role) override {
    const auto* peer = peer_config(config_.peers(), callee);
    if (peer == nullptr || peer->target().empty()) return std::make_shared<LateChannel>();
    if (callee != Role::kStore || config_.peers().cells().empty()) return to_one(*peer, callee);
    std::map<std::string, Channel> cells{{"", to_one(*peer, callee)}};
    for (const auto& cell : config_.peers().cells()) cells.emplace(cell.name(), to_one(cell.store(), callee));
    return rpc::cell_channel(std::move(cells));
  }
  bool knows(Role callee) const override {
    const auto* peer = peer_config(config_.peers(), callee);
    return peer != nullptr && !peer->target().empty();
  }

 private:
  Channel to_one(const config::v1::Peer& peer, Role callee) const {
    rpc::NetworkChannelOptions options;
    options.target = peer.target();
    options.credentials = credentials(config_.trust());
    options.server_role = callee;
    options.mux = peer.mux();
    return rpc::network_channel(std::move(options));
  }

  const Config& config_;
};

/// Channels to dispatchers of this process, some of which are made later.
class LocalPeers : public Peers {
 public:
  Channel to(Role callee, Role caller) override {
    auto channel = std::make_shared<LateChannel>();
    waiting_.push_back({callee, caller, channel});
    return channel;
  }
  bool knows(Role) const override { return true; }
  void offer(Role callee, rpc::Dispatcher& dispatcher) {
    for (auto& wait : waiting_) {
      if (wait.callee == callee) wait.channel->set(rpc::in_process_channel(dispatcher, wait.caller));
    }
  }

 private:
  struct Wait {
    Role callee;
    Role caller;
    std::shared_ptr<LateChannel> channel;
  };
  std::vector<Wait> waiting_;
};

/// Adds the module of one service; its dispatcher, or null for an edge.
rpc::Dispatcher* add_service(Process& process, const Config& config, std::string_view service, Peers& peers,
                             std::map<std::string, Channel> status) {
  const auto add = [&](auto module) -> rpc::Dispatcher* {
    auto* raw = module.get();
    process.add(std::move(module));
    if constexpr (requires { raw->dispatcher(); }) {
      raw->dispatcher().set_metrics(process.metrics());
      return &raw->dispatcher();
    } else {
      return nullptr;
    }
  };
  if (service == "auth") return add(std::make_unique<auth::Module>(process, config.auth()));
  if (service == "store") {
    return add(std::make_unique<store::Module>(process, config.store(), peers.to(Role::kAuth, Role::kStore),
                                               config.trace_events()));
  }
  if (service == "filter") {
    return add(std::make_unique<filter::Module>(process, config.filter(), peers.to(Role::kAuth, Role::kFilter),
                                                peers.to(Role::kStore, Role::kFilter),
                                                peers.to(Role::kQueue, Role::kFilter)));
  }
  if (service == "queue") {
    return add(std::make_unique<queue::Module>(process, config.queue(), peers.to(Role::kAuth, Role::kQueue),
                                               peers.to(Role::kStore, Role::kQueue),
                                               peers.to(Role::kFilter, Role::kQueue), config.trace_events()));
  }
  if (service == "smtp") {
    return add(std::make_unique<smtp::Module>(process, config.smtp(), peers.to(Role::kAuth, Role::kSmtp),
                                              peers.to(Role::kStore, Role::kSmtp), peers.to(Role::kFilter, Role::kSmtp),
                                              peers.to(Role::kQueue, Role::kSmtp), config.trace_events()));
  }
  if (service == "pop3") {
    return add(std::make_unique<pop3::Module>(process, config.pop3(), peers.to(Role::kAuth, Role::kPop3),
                                              peers.to(Role::kStore, Role::kPop3)));
  }
  if (service == "imap") {
    auto filter = peers.knows(Role::kFilter) ? peers.to(Role::kFilter, Role::kImap) : nullptr;
    return add(std::make_unique<imap::Module>(process, config.imap(), peers.to(Role::kAuth, Role::kImap),
                                              peers.to(Role::kStore, Role::kImap), std::move(filter)));
  }
  if (service == "sieve") {
    return add(std::make_unique<managesieve::Module>(process, config.sieve(), peers.to(Role::kAuth, Role::kSieve),
                                                     peers.to(Role::kFilter, Role::kSieve)));
  }
  if (service == "admin") {
    admin::Peers whom{peers.to(Role::kAuth, Role::kAdmin), peers.to(Role::kStore, Role::kAdmin),
                      peers.to(Role::kFilter, Role::kAdmin), peers.to(Role::kQueue, Role::kAdmin), std::move(status)};
    return add(std::make_unique<admin::Module>(process, config.admin(), std::move(whom)));
  }
  return nullptr;
}

void add_server(Process& process, const Config& config, std::string_view service, rpc::Dispatcher& dispatcher) {
  const auto& listen = grpc_of(config, service);
  rpc::ServerOptions options;
  const bool v6 = listen.address().find(':') != std::string::npos;
  options.address = fmt::format(fmt::runtime(v6 ? "[{}]:{}" : "{}:{}"), listen.address(), listen.port());
  options.credentials = credentials(config.trust());
  options.allow_anonymous = service == "admin";  // people come with a token, not with a certificate
  for (std::size_t i = 0; i < process.loops().size(); ++i) options.loops.push_back(process.loops().executor(i));
  process.add(std::make_unique<ServerModule>(dispatcher, std::move(options)));
}

}  // namespace

struct Wiring::Parts {
  Config config;
  std::unique_ptr<StatusService> status;
  rpc::Dispatcher status_dispatcher;  ///< of a process that has no other
};

Wiring::Wiring() : parts_(std::make_unique<Parts>()) {}
Wiring::~Wiring() = default;

std::vector<std::string_view> Wiring::services() {
  return {"auth", "store", "filter", "queue", "admin", "smtp", "pop3", "imap", "sieve"};
}

void Wiring::wire_all(Process& process, const Config& config) {
  parts_->config = config;
  parts_->status = std::make_unique<StatusService>(process, "merpati");
  parts_->status_dispatcher.register_service(*parts_->status);
  LocalPeers peers;
  std::vector<std::pair<Role, rpc::Dispatcher*>> dispatchers;
  for (const auto service : services()) {
    std::map<std::string, Channel> status;
    if (service == "admin") status.emplace("merpati", rpc::in_process_channel(parts_->status_dispatcher, Role::kAdmin));
    auto* dispatcher = add_service(process, parts_->config, service, peers, std::move(status));
    if (dispatcher != nullptr) dispatchers.emplace_back(*rpc::role_from(service), dispatcher);
    if (service == "admin") add_server(process, parts_->config, service, *dispatcher);
  }
  for (const auto& [role, dispatcher] : dispatchers) peers.offer(role, *dispatcher);
}

bool Wiring::wire_one(Process& process, const Config& config, std::string_view service) {
  const auto known = services();
  if (std::find(known.begin(), known.end(), service) == known.end()) return false;
  parts_->config = config;
  NetworkPeers peers(parts_->config);
  parts_->status = std::make_unique<StatusService>(process, std::string(service));
  std::map<std::string, Channel> status;
  if (service == "admin") {
    for (const auto role : {Role::kAuth, Role::kStore, Role::kFilter, Role::kQueue, Role::kSmtp, Role::kPop3,
                            Role::kImap, Role::kSieve}) {
      const auto* peer = peer_config(parts_->config.peers(), role);
      if (!peer->target().empty()) status.emplace(rpc::to_string(role), peers.to(role, Role::kAdmin));
    }
    status.emplace("admin", parts_->config.peers().admin().target().empty()
                                ? rpc::in_process_channel(parts_->status_dispatcher, Role::kAdmin)
                                : peers.to(Role::kAdmin, Role::kAdmin));
  }
  auto* dispatcher = add_service(process, parts_->config, service, peers, std::move(status));
  if (dispatcher == nullptr || service == "admin") parts_->status_dispatcher.register_service(*parts_->status);
  if (dispatcher == nullptr) {
    dispatcher = &parts_->status_dispatcher;
  } else {
    dispatcher->register_service(*parts_->status);  // admin's too, for the other replicas of admin
  }
  add_server(process, parts_->config, service, *dispatcher);
  return true;
}

}  // namespace merpati::allinone
