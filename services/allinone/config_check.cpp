#include "allinone/config_check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>

#include "allinone/version.hpp"

namespace merpati::allinone {
namespace {

using Faults = std::vector<std::string>;

void need_file(Faults& faults, const std::string& key, const std::string& path) {
  if (path.empty()) {
    faults.push_back(key + " is not set");
  } else if (!std::ifstream(path)) {
    faults.push_back(fmt::format("{}: cannot read {}", key, path));
  }
}

void check_database(Faults& faults, const std::string& service, const config::v1::Database& database) {
  if (database.dsn().empty()) faults.push_back(service + ".database.dsn (or dsn_file) is not set");
  if (database.connections() == 0) faults.push_back(service + ".database.connections is 0");
}

void check_port(Faults& faults, const std::string& key, std::uint32_t port) {
  if (port == 0 || port > 65535) faults.push_back(key + " is not from 1 to 65535");
}

template <class Edge>
void check_edge(Faults& faults, const std::string& service, const Edge& edge) {
  if (edge.listeners().empty()) faults.push_back(service + ".listeners is empty: the service would accept nobody");
  const bool has_tls = !edge.tls().certificate_file().empty();
  if (has_tls) {
    need_file(faults, service + ".tls.certificate_file", edge.tls().certificate_file());
    need_file(faults, service + ".tls.key_file", edge.tls().key_file());
  }
  for (int i = 0; i < edge.listeners_size(); ++i) {
    const auto& listener = edge.listeners(i);
    const std::string key = fmt::format("{}.listeners[{}]", service, i);
    check_port(faults, key + ".port", listener.port());
    if (listener.tls() == config::v1::TLS_MODE_IMPLICIT && !has_tls) {
      faults.push_back(fmt::format("{}.tls is IMPLICIT, but {}.tls has no certificate_file", key, service));
    }
  }
}

void check_store(Faults& faults, const config::v1::Store& store) {
  check_database(faults, "store", store.database());
  const bool directory = !store.objects().directory().empty();
  const bool s3 = !store.objects().s3().endpoint().empty();
  if (directory == s3) faults.push_back("store.objects needs either a directory or s3.endpoint");
  const auto pack_size = store.pack_size();
  if (pack_size > 0 && (pack_size < (64U << 10) || pack_size > (1U << 30)))
    faults.push_back("store.pack_size is not 0 (off) or from 64KiB to 1GiB");
  if (store.pack_after().seconds() < 0) faults.push_back("store.pack_after is negative");
  if (s3 && store.objects().s3().bucket().empty()) faults.push_back("store.objects.s3.bucket is not set");
}

void check_peer(Faults& faults, const std::string& name, const config::v1::Peer& peer) {
  if (peer.target().empty()) faults.push_back(fmt::format("peers.{}.target is not set", name));
}

/// Whom each service must be able to call.
void check_peers(Faults& faults, const config::v1::Peers& peers, std::string_view service) {
  const auto is = [&](std::initializer_list<std::string_view> names) {
    return std::find(names.begin(), names.end(), service) != names.end();
  };
  if (is({"smtp", "pop3", "imap", "store", "queue", "admin"})) check_peer(faults, "auth", peers.auth());
  if (is({"smtp", "pop3", "imap", "filter", "queue", "admin"})) check_peer(faults, "store", peers.store());
  if (is({"smtp"})) check_peer(faults, "filter", peers.filter());
  if (is({"smtp", "admin"})) check_peer(faults, "queue", peers.queue());
}

}  // namespace

const config::v1::GrpcServer& grpc_of(const config::v1::Config& config, std::string_view service) {
  if (service == "auth") return config.auth().grpc();
  if (service == "store") return config.store().grpc();
  if (service == "filter") return config.filter().grpc();
  if (service == "queue") return config.queue().grpc();
  if (service == "smtp") return config.smtp().grpc();
  if (service == "pop3") return config.pop3().grpc();
  if (service == "imap") return config.imap().grpc();
  return config.admin().grpc();
}

std::vector<std::string> find_faults(const config::v1::Config& config, std::span<const std::string_view> services,
                                     bool network) {
  Faults faults;
  check_port(faults, "http.port", config.http().port());
  for (const auto service : services) {
    if (network || service == "admin")
      check_port(faults, std::string(service) + ".grpc.port", grpc_of(config, service).port());
    if (service == "smtp") check_edge(faults, "smtp", config.smtp());
    if (service == "pop3") check_edge(faults, "pop3", config.pop3());
    if (service == "imap") check_edge(faults, "imap", config.imap());
    if (service == "auth") {
      check_database(faults, "auth", config.auth().database());
      if (config.auth().master_key().empty()) faults.push_back("auth.master_key (or master_key_file) is not set");
    }
    if (service == "store") check_store(faults, config.store());
    if (service == "queue") check_database(faults, "queue", config.queue().database());
    if (service == "admin") check_database(faults, "admin", config.admin().database());
    if (network) check_peers(faults, config.peers(), service);
    if (network || service == "admin") {
      need_file(faults, "trust.ca_file", config.trust().ca_file());
      need_file(faults, "trust.certificate_file", config.trust().certificate_file());
      need_file(faults, "trust.key_file", config.trust().key_file());
    }
  }
  std::sort(faults.begin(), faults.end());
  faults.erase(std::unique(faults.begin(), faults.end()), faults.end());
  return faults;
}

void complete(config::v1::Config& config) {
  const std::string name = machine_name();
  if (config.smtp().hostname().empty()) config.mutable_smtp()->set_hostname(name);
  if (config.pop3().hostname().empty()) config.mutable_pop3()->set_hostname(name);
  if (config.imap().hostname().empty()) config.mutable_imap()->set_hostname(name);
  if (config.queue().hostname().empty()) config.mutable_queue()->set_hostname(name);
  if (config.filter().authserv_id().empty()) config.mutable_filter()->set_authserv_id(config.smtp().hostname());
}

}  // namespace merpati::allinone
