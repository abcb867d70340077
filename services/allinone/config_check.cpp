#include "allinone/config_check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <charconv>
#include <fstream>
#include <map>
#include <set>

#include "filter/arc_sealer.hpp"
#include "filter/bayes_setup.hpp"
#include "filter/config_values.hpp"
#include "filter/content_setup.hpp"
#include "filter/dmarc_setup.hpp"
#include "filter/external_engines.hpp"
#include "filter/milter_setup.hpp"
#include "filter/operator_scripts.hpp"
#include "filter/sender_setup.hpp"
#include "merpati/base/encoding.hpp"
#include "merpati/net/address.hpp"
#include "merpati/net/tls.hpp"
#include "merpati/runtime/machine_name.hpp"
#include "queue/route.hpp"

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

void check_address(Faults& faults, const std::string& key, const std::string& address) {
  boost::system::error_code error;
  boost::asio::ip::make_address(address, error);
  if (error) faults.push_back(fmt::format("{} \"{}\" is not an IP address", key, address));
}

template <class Texts>
void check_ranges(Faults& faults, const std::string& key, const Texts& texts) {
  if (auto parsed = net::CidrSet::parse(texts); parsed.has_error())
    faults.push_back(fmt::format("{}: {}", key, parsed.error().message()));
}

void check_positive(Faults& faults, const std::string& key, std::uint64_t value) {
  if (value == 0) faults.push_back(key + " is 0: nothing would get through");
}

/// Files that are there but are no certificate and its key.
void check_pair(Faults& faults, const std::string& key, const std::string& certificate, const std::string& private_key,
                const std::string& min_version = "1.2") {
  need_file(faults, key + ".certificate_file", certificate);
  need_file(faults, key + ".key_file", private_key);
  if (!std::ifstream(certificate) || !std::ifstream(private_key)) return;
  auto loaded = net::TlsContext::load({{{certificate, private_key}}, "", min_version});
  if (loaded.has_error()) faults.push_back(fmt::format("{}: {}", key, loaded.error().message()));
}

/// Two listeners on one port would share its connections in silence (SO_REUSEPORT).
class Ports {
 public:
  explicit Ports(Faults& faults) : faults_(faults) {}
  void take(const std::string& key, std::uint32_t port) {
    check_port(faults_, key, port);
    const auto [at, fresh] = owners_.emplace(port, key);
    if (!fresh && port != 0) faults_.push_back(fmt::format("{} and {} are both {}", at->second, key, port));
  }

 private:
  Faults& faults_;
  std::map<std::uint32_t, std::string> owners_;
};

template <class Edge>
void check_edge(Faults& faults, Ports& ports, const std::string& service, const Edge& edge) {
  if (edge.listeners().empty()) faults.push_back(service + ".listeners is empty: the service would accept nobody");
  const bool has_tls = !edge.tls().certificate_file().empty();
  if (has_tls) {
    check_pair(faults, service + ".tls", edge.tls().certificate_file(), edge.tls().key_file(),
               edge.tls().min_version());
  }
  for (int i = 0; i < edge.listeners_size(); ++i) {
    const auto& listener = edge.listeners(i);
    const std::string key = fmt::format("{}.listeners[{}]", service, i);
    ports.take(key + ".port", listener.port());
    check_address(faults, key + ".address", listener.address());
    check_ranges(faults, key + ".proxy_trusted", listener.proxy_trusted());
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
  check_positive(faults, "store.max_message_size", store.max_message_size());
  if (s3 && store.objects().s3().bucket().empty()) faults.push_back("store.objects.s3.bucket is not set");
}

void check_otlp(Faults& faults, const config::v1::Otlp& otlp) {
  if (otlp.endpoint().empty()) return;
  if (otlp.endpoint().find(':') == std::string::npos) faults.push_back("otlp.endpoint is not HOST:PORT");
  if (otlp.ratio() < 0 || otlp.ratio() > 1) faults.push_back("otlp.ratio is not from 0 to 1");
  if (otlp.max_queue() == 0 || otlp.max_batch() == 0) faults.push_back("otlp.max_queue or otlp.max_batch is 0");
  if (!otlp.ca_file().empty()) need_file(faults, "otlp.ca_file", otlp.ca_file());
}

void check_peer(Faults& faults, const std::string& name, const config::v1::Peer& peer) {
  if (peer.target().empty()) return faults.push_back(fmt::format("peers.{}.target is not set", name));
  for (std::string_view rest = peer.target(); !rest.empty();) {
    const auto comma = std::min(rest.find(','), rest.size());
    const auto one = rest.substr(0, comma);
    rest.remove_prefix(std::min(comma + 1, rest.size()));
    const auto colon = one.rfind(':');
    const auto digits = colon == one.npos ? std::string_view() : one.substr(colon + 1);
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    if (colon == 0 || port == 0 || error != std::errc() || end != digits.data() + digits.size())
      faults.push_back(fmt::format("peers.{}.target: \"{}\" is not host:port", name, one));
  }
}

void check_srs(Faults& faults, const std::string& service, const config::v1::Srs& srs) {
  if (!srs.domain().empty() && srs.key().size() < 16)
    faults.push_back(service + ".srs.key (or key_file) has less than 16 characters");
  if (srs.domain().empty() && !srs.key().empty()) faults.push_back(service + ".srs has a key and no domain");
}

void check_auth(Faults& faults, const config::v1::Auth& auth) {
  check_database(faults, "auth", auth.database());
  check_srs(faults, "auth", auth.srs());
  check_ranges(faults, "auth.trusted_addresses", auth.trusted_addresses());
  if (auth.master_key().empty()) {
    faults.push_back("auth.master_key (or master_key_file) is not set");
  } else if (from_base64(auth.master_key()).value_or("").size() != 32) {
    faults.push_back("auth.master_key is not 32 octets in base64; openssl rand -base64 32 makes one");
  }
}

void check_queue(Faults& faults, const config::v1::Queue& queue) {
  check_database(faults, "queue", queue.database());
  check_positive(faults, "queue.parallel", queue.parallel());
  check_positive(faults, "queue.parallel_per_destination", queue.parallel_per_destination());
  check_port(faults, "queue.mx_port", queue.mx_port());
  if (auto parsed = queue::parse_routes({queue.routes().begin(), queue.routes().end()}); parsed.has_error())
    faults.push_back(std::string(parsed.error().message()));
}

void check_mail_authentication(Faults& faults, const config::v1::Filter& filter) {
  const auto& config = filter.mail_authentication();
  if (!config.enabled()) return;
  const std::string key = "filter.mail_authentication";
  const bool nobody = config.own_networks_size() == 1 && config.own_networks(0) == "none";
  if (!nobody) check_ranges(faults, key + ".own_networks", config.own_networks());
  if (config.lookup_time().seconds() == 0 && config.lookup_time().nanos() == 0)
    faults.push_back(key + ".lookup_time is 0: nothing would be found out");
  if (!filter.dns_trust_anchor().empty()) need_file(faults, "filter.dns_trust_anchor", filter.dns_trust_anchor());
}

void check_filter(Faults& faults, const config::v1::Filter& filter) {
  check_database(faults, "filter", filter.database());
  check_srs(faults, "filter", filter.srs());
  check_positive(faults, "filter.sieve.max_scripts", filter.sieve().max_scripts());
  const auto& sieve = filter.sieve();
  if (sieve.max_script_size() == 0 || sieve.max_script_size() > (1U << 20))
    faults.push_back("filter.sieve.max_script_size is not from 1 to 1MiB");
  if (auto loaded = filter::load_operator_scripts(sieve); loaded.has_error())
    faults.push_back(fmt::format("filter.sieve: {}", loaded.error().message()));
  std::set<std::string> symbols;
  for (const auto& weight : filter.weights()) {
    if (weight.symbol().empty()) faults.push_back("filter.weights has a score without a symbol");
    if (!symbols.insert(weight.symbol()).second)
      faults.push_back(fmt::format("filter.weights has {} twice: keep one", weight.symbol()));
  }
  const auto& at = filter.thresholds();
  if (at.junk() < 0 || at.temporary() < 0 || at.refuse() < 0 || at.discard() < 0)
    faults.push_back("filter.thresholds has a negative score: 0 switches a threshold off");
  if (at.refuse() > 0 && std::max(at.junk(), at.temporary()) > at.refuse())
    faults.push_back("filter.thresholds.refuse is below another threshold, which is then never reached");
  if (at.discard() > 0 && std::max({at.junk(), at.temporary(), at.refuse()}) > at.discard())
    faults.push_back("filter.thresholds.discard is below another threshold, which is then never reached");
  check_mail_authentication(faults, filter);
  if (auto arc = filter::arc_sealer_settings(filter); arc.has_error()) faults.push_back(arc.error().message());
  if (auto dmarc = filter::dmarc_report_settings(filter); dmarc.has_error()) faults.push_back(dmarc.error().message());
}

void check_scanner(Faults& faults, const std::string& key, const std::string& address, std::uint32_t max_scans) {
  if (address.empty()) return;
  if (!filter::ScannerLink::is_address(address))
    faults.push_back(fmt::format("{}.address \"{}\" is neither host:port nor a path", key, address));
  check_positive(faults, key + ".max_scans", max_scans);
}

void check_content(Faults& faults, const config::v1::Filter& filter) {
  const auto& attachments = filter.attachments();
  if (auto parsed = filter::attachments_settings(attachments); parsed.has_error())
    faults.push_back(parsed.error().message());
  if (auto parsed = filter::sender_lists(filter.senders()); parsed.has_error())
    faults.push_back(parsed.error().message());
  check_positive(faults, "filter.attachments.max_scans", attachments.max_scans());
  check_positive(faults, "filter.attachments.archives.max_ratio", attachments.archives().max_ratio());
  check_positive(faults, "filter.attachments.archives.max_depth", attachments.archives().max_depth());
}

void check_engines(Faults& faults, const config::v1::Filter& filter) {
  check_scanner(faults, "filter.clamd", filter.clamd().address(), filter.clamd().max_scans());
  check_scanner(faults, "filter.rspamd", filter.rspamd().address(), filter.rspamd().max_scans());
  const auto& lists = filter.dns_lists();
  if (auto parsed = filter::list_settings(lists); parsed.has_error()) faults.push_back(parsed.error().message());
  if (auto bayes = filter::bayes_settings(filter.bayes()); bayes.has_error()) faults.push_back(bayes.error().message());
  if (auto own = filter::networks_from("filter.dns_lists.own_networks", lists.own_networks()); own.has_error())
    faults.push_back(own.error().message());
  if (auto greylist = filter::greylist_settings(filter.greylist()); greylist.has_error())
    faults.push_back(greylist.error().message());
  if (auto reputation = filter::reputation_settings(filter.reputation()); reputation.has_error())
    faults.push_back(reputation.error().message());
  if (auto milters = filter::milter_settings(filter.milters()); milters.has_error())
    faults.push_back(milters.error().message());
  const double refuse = filter.thresholds().refuse();
  if (filter.greylist().enabled() && refuse > 0 && filter.greylist().threshold() >= refuse)
    faults.push_back("filter.greylist.threshold is not below filter.thresholds.refuse: nothing is ever greylisted");
}

void check_smtp(Faults& faults, const config::v1::Smtp& smtp) {
  check_positive(faults, "smtp.max_message_size", smtp.max_message_size());
  check_positive(faults, "smtp.max_recipients", smtp.max_recipients());
  check_positive(faults, "smtp.max_transactions", smtp.max_transactions());
  check_positive(faults, "smtp.max_bytes_in_flight", smtp.max_bytes_in_flight());
}

void check_sieve(Faults& faults, const config::v1::Sieve& sieve) {
  for (int i = 0; i < sieve.listeners_size(); ++i) {
    if (sieve.listeners(i).tls() == config::v1::TLS_MODE_IMPLICIT)
      faults.push_back(fmt::format("sieve.listeners[{}].tls is IMPLICIT, which ManageSieve does not have", i));
  }
  check_positive(faults, "sieve.max_script_size", sieve.max_script_size());
  check_positive(faults, "sieve.max_bytes_in_flight", sieve.max_bytes_in_flight());
  check_positive(faults, "sieve.max_connections_per_account", sieve.max_connections_per_account());
}

void check_trust(Faults& faults, const config::v1::Trust& trust) {
  need_file(faults, "trust.ca_file", trust.ca_file());
  check_pair(faults, "trust", trust.certificate_file(), trust.key_file());
  if (!std::ifstream(trust.ca_file())) return;
  auto loaded = net::TlsClientContext::make({net::TlsClientContext::Verify::kPeer, trust.ca_file()});
  if (loaded.has_error()) faults.push_back(fmt::format("trust.ca_file: {}", loaded.error().message()));
}

/// Whom each service must be able to call.
void check_peers(Faults& faults, const config::v1::Peers& peers, std::string_view service) {
  const auto is = [&](std::initializer_list<std::string_view> names) {
    return std::find(names.begin(), names.end(), service) != names.end();
  };
  if (is({"smtp", "pop3", "imap", "sieve", "store", "filter", "queue", "admin"}))
    check_peer(faults, "auth", peers.auth());
  if (is({"smtp", "pop3", "imap", "filter", "queue", "admin"})) check_peer(faults, "store", peers.store());
  if (is({"smtp", "sieve", "queue", "admin"})) check_peer(faults, "filter", peers.filter());
  if (is({"smtp", "admin"})) check_peer(faults, "queue", peers.queue());
  std::set<std::string> names;
  for (const auto& cell : peers.cells()) {
    if (cell.name().empty() || !names.insert(cell.name()).second)
      faults.push_back("peers.cells: each needs a name of its own; \"" + cell.name() + "\" is empty or there twice");
    check_peer(faults, "cells." + cell.name() + ".store", cell.store());
  }
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
  if (service == "sieve") return config.sieve().grpc();
  return config.admin().grpc();
}

std::vector<std::string> find_faults(const config::v1::Config& config, std::span<const std::string_view> services,
                                     bool network) {
  Faults faults;
  Ports ports(faults);
  ports.take("http.port", config.http().port());
  check_address(faults, "http.address", config.http().address());
  check_otlp(faults, config.otlp());
  for (const auto service : services) {
    if (network || service == "admin") ports.take(std::string(service) + ".grpc.port", grpc_of(config, service).port());
    if (service == "smtp") check_edge(faults, ports, "smtp", config.smtp());
    if (service == "smtp") check_smtp(faults, config.smtp());
    if (service == "pop3") check_edge(faults, ports, "pop3", config.pop3());
    if (service == "imap") check_edge(faults, ports, "imap", config.imap());
    // All in one, a configuration from before there was ManageSieve stays good.
    if (service == "sieve" && (network || !config.sieve().listeners().empty()))
      check_edge(faults, ports, "sieve", config.sieve());
    if (service == "sieve") check_sieve(faults, config.sieve());
    if (service == "auth") check_auth(faults, config.auth());
    if (service == "store") check_store(faults, config.store());
    if (service == "filter") check_filter(faults, config.filter());
    if (service == "filter") check_engines(faults, config.filter());
    if (service == "filter") check_content(faults, config.filter());
    if (service == "queue") check_queue(faults, config.queue());
    if (service == "admin") check_database(faults, "admin", config.admin().database());
    if (network) check_peers(faults, config.peers(), service);
    if (network && service == "filter" && config.filter().dmarc_reports().enabled())
      check_peer(faults, "queue", config.peers().queue());
    if (network || service == "admin") check_trust(faults, config.trust());
  }
  std::sort(faults.begin(), faults.end());
  faults.erase(std::unique(faults.begin(), faults.end()), faults.end());
  return faults;
}

void complete(config::v1::Config& config) {
  const std::string name = runtime::machine_name();
  if (config.smtp().hostname().empty()) config.mutable_smtp()->set_hostname(name);
  if (config.pop3().hostname().empty()) config.mutable_pop3()->set_hostname(name);
  if (config.imap().hostname().empty()) config.mutable_imap()->set_hostname(name);
  if (config.sieve().hostname().empty()) config.mutable_sieve()->set_hostname(name);
  if (config.queue().hostname().empty()) config.mutable_queue()->set_hostname(name);
  if (config.filter().authserv_id().empty()) config.mutable_filter()->set_authserv_id(config.smtp().hostname());
}

}  // namespace merpati::allinone
