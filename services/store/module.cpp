#include "store/module.hpp"

#include "merpati/config/v1/store.pb.h"
#include "merpati/objects/directory_store.hpp"
#include "merpati/objects/s3_store.hpp"
#include "merpati/pg/pool_metrics.hpp"
#include "merpati/rpc/account_events.hpp"
#include "merpati/runtime/dependency.hpp"
#include "merpati/runtime/log.hpp"
#include "merpati/trace/keeper.hpp"
#include "store/arrivals.hpp"
#include "store/collector.hpp"
#include "store/core.hpp"
#include "store/migrations.hpp"
#include "store/packer.hpp"
#include "store/probe.hpp"
#include "store/purges.hpp"
#include "store/rpc/store_service.hpp"
#include "store/watchers.hpp"

namespace merpati::store {
namespace {

using namespace std::chrono_literals;

std::chrono::milliseconds to_milliseconds(const google::protobuf::Duration& duration) {
  return std::chrono::milliseconds(duration.seconds() * 1000 + duration.nanos() / 1000000);
}
std::chrono::seconds to_seconds(const google::protobuf::Duration& duration, std::chrono::seconds otherwise) {
  return duration.seconds() > 0 ? std::chrono::seconds(duration.seconds()) : otherwise;
}

Settings settings_from(const config::v1::Store& config) {
  Settings s;
  if (config.inline_limit() > 0) s.inline_limit = config.inline_limit();
  if (config.max_message_size() > 0) s.max_message_size = config.max_message_size();
  s.blob_lease = to_seconds(config.blob_lease(), s.blob_lease);
  s.collect_grace = to_seconds(config.collect_grace(), s.collect_grace);
  s.watch_recheck = to_seconds(config.watch_recheck(), s.watch_recheck);
  s.delivery_memory = to_seconds(config.delivery_memory(), s.delivery_memory);
  s.pop3_lease = to_seconds(config.pop3_lease(), s.pop3_lease);
  if (config.cache_size() > 0) s.cache_size = config.cache_size();
  if (config.has_pack_after()) s.pack_after = std::chrono::seconds(config.pack_after().seconds());
  s.pack_size = config.pack_size();
  return s;
}

pg::PoolOptions pool_options(const config::v1::Database& config, std::size_t loops, runtime::Metrics& metrics) {
  pg::PoolOptions options;
  options.observer = pg::pool_observer(metrics, "store");
  options.dsn = config.dsn();
  options.schema = "store";
  options.application_name = "merpati store";
  // Every table is reached by an index. A plan made while they were empty must not scan them when they have grown.
  options.settings["enable_seqscan"] = "off";
  const int total = config.connections() > 0 ? static_cast<int>(config.connections()) : 8;
  const int each = std::max(2, total / static_cast<int>(loops));
  options.read_connections = std::max(1, each / 2);
  options.write_connections = std::max(1, each - options.read_connections);
  if (config.max_waiting() > 0) options.max_waiting = config.max_waiting();
  if (config.has_statement_timeout()) options.statement_timeout = to_milliseconds(config.statement_timeout());
  if (config.has_connect_timeout()) options.connect_timeout = to_milliseconds(config.connect_timeout());
  return options;
}

Result<std::shared_ptr<objects::ObjectStore>> open_objects(const config::v1::Objects& config,
                                                           asio::thread_pool& blocking, objects::Observer observer) {
  if (!config.directory().empty()) {
    objects::DirectoryOptions options;
    options.observer = std::move(observer);
    options.root = config.directory();
    if (config.has_timeout()) options.operation_timeout = to_milliseconds(config.timeout());
    return objects::DirectoryStore::open(std::move(options), blocking);
  }
  if (config.s3().endpoint().empty()) return std::shared_ptr<objects::ObjectStore>();
  const auto& s3 = config.s3();
  objects::S3Options options;
  options.observer = std::move(observer);
  options.endpoint = s3.endpoint();
  if (!s3.region().empty()) options.region = s3.region();
  options.bucket = s3.bucket();
  options.key_prefix = s3.prefix();
  options.path_style = s3.path_style();
  options.ca_file = s3.ca_file();
  if (config.parallel() > 0) options.connections = config.parallel();
  if (config.has_timeout()) options.operation_timeout = to_milliseconds(config.timeout());
  const objects::Credentials credentials{s3.access_key_id(), s3.secret_access_key(), s3.session_token()};
  options.credentials = [credentials]() -> Result<objects::Credentials> { return credentials; };
  return objects::S3Store::open(std::move(options));
}

}  // namespace

struct Module::Impl {
  Impl(runtime::Process& p, const config::v1::Store& c, std::shared_ptr<rpc::Channel> auth,
       const config::v1::TraceEvents& trace_events)
      : process(p),
        config(c),
        group(p.loops().main()),
        events_kept(p, {"store", trace::EventTable::Mailboxes::kNamed}, c.database(), trace_events) {
    if (auth) {
      auto ring = rpc::remote_key_ring(auth);
      ring->require_cell(config.cell());
      events = rpc::on_revocation(ring->revocations());
      auth_channel = std::move(auth);
      dispatcher.set_token_verifier(verifier = ring);
      key_ring = std::move(ring);
    }
    std::vector<asio::any_io_executor> loops;
    for (std::size_t i = 0; i < process.loops().size(); ++i) loops.push_back(process.loops().executor(i));
    pool = std::make_unique<pg::Pool>(std::move(loops),
                                      pool_options(config.database(), process.loops().size(), process.metrics()));
    core = std::make_unique<Core>(*pool, process.blocking(), group, settings_from(config));
    core->arrivals->probe() = Probe(process.metrics());
    pool_scrape = pg::export_pool(process.metrics(), "store", *pool);
    service = std::make_unique<StoreService>(*core);
    dispatcher.register_service(*service);
    core->events = events_kept.recorder();
    dispatcher.register_service(events_kept.service());
  }

  void count_packing() {
    auto counter = [&](const char* name, const char* help) { return process.metrics().counter(name, help); };
    core->packing.bodies = counter("merpati_store_packed_bodies_total", "Bodies that moved from PostgreSQL into packs");
    core->packing.octets = counter("merpati_store_packed_octets_total", "Octets of the packs that were made");
    core->packing.packs = counter("merpati_store_packs_total", "Packs that were made");
    core->packing.failures = counter("merpati_store_pack_failures_total", "Rounds of the packer that failed");
  }

  const std::string& session_dsn() const {
    return config.database().session_dsn().empty() ? config.database().dsn() : config.database().session_dsn();
  }

  void export_metrics() {
    const auto watched = process.metrics().gauge("merpati_store_watched_accounts", "Accounts that some edge watches");
    scrape = process.metrics().before_scrape(
        [this, watched] { watched.set(static_cast<double>(core->watchers->watched())); });
  }

  runtime::Process& process;
  config::v1::Store config;
  TaskGroup group;
  std::shared_ptr<rpc::Channel> auth_channel;
  trace::Keeper events_kept;
  rpc::AccountEventHandlers events;
  std::shared_ptr<rpc::KeyRing> key_ring;  ///< `events` refers to it
  std::shared_ptr<rpc::TokenVerifier> verifier;
  std::unique_ptr<pg::Pool> pool;
  std::unique_ptr<Core> core;
  std::unique_ptr<StoreService> service;
  rpc::Dispatcher dispatcher;
  std::shared_ptr<void> scrape, pool_scrape;
};

Module::Module(runtime::Process& process, const config::v1::Store& config, std::shared_ptr<rpc::Channel> auth,
               const config::v1::TraceEvents& trace_events)
    : impl_(std::make_unique<Impl>(process, config, std::move(auth), trace_events)) {}
Module::~Module() = default;

rpc::Dispatcher& Module::dispatcher() { return impl_->dispatcher; }

void Module::set_token_verifier(std::shared_ptr<rpc::TokenVerifier> verifier) {
  impl_->verifier = verifier;
  impl_->dispatcher.set_token_verifier(std::move(verifier));
}

Task<void> Module::start() {
  auto& impl = *impl_;
  auto wait = [dsn = impl.session_dsn()] { return pg::wait_migrated(dsn, "store", migrations(), 30s); };
  auto ready = co_await run_blocking(impl.process.blocking(), std::move(wait));
  if (ready.has_error()) co_return std::move(ready).error().in("store");
  MERPATI_CO_CHECK(co_await impl.pool->start(Deadline::after(15s)));
  MERPATI_CO_TRY(impl.core->objects,
                 open_objects(impl.config.objects(), impl.process.blocking(), object_observer(impl.process.metrics())));
  if (!impl.core->objects)
    log::warning("store_without_objects", "no object store is configured: large messages are refused", {});
  impl.core->verifier = impl.verifier;
  impl.core->watchers->start(impl.process.loops().main(), impl.session_dsn());
  impl.group.spawn(collect_for_ever(*impl.core));
  auto& health = impl.process.health();
  impl.group.spawn(runtime::watch_dependency(health, "store.postgresql",
                                             [&pool = *impl.pool](Deadline until) { return pool.start(until); }));
  if (impl.core->objects) {
    impl.group.spawn(runtime::watch_dependency(
        health, "store.objects", [store = impl.core->objects](Deadline until) { return store->check(until); }));
  }
  impl.count_packing();
  impl.group.spawn(pack_for_ever(*impl.core));
  if (impl.auth_channel) {
    impl.group.spawn(rpc::follow_account_events(impl.auth_channel, impl.events));
    impl.group.spawn(purge_for_ever(*impl.core, impl.auth_channel));
  }
  MERPATI_CO_CHECK(co_await impl.events_kept.start());
  impl.export_metrics();
  impl.process.health().gate("store_schema", true);
  co_return Result<void>();
}

Task<void> Module::drain(Deadline) {
  impl_->core->watchers->drain();
  co_return Result<void>();
}

Task<void> Module::stop() {
  auto& impl = *impl_;
  impl.scrape.reset();
  impl.core->watchers->stop();
  impl.group.cancel();
  auto joined = co_await impl.group.join(Deadline::after(1s));
  static_cast<void>(co_await impl.events_kept.stop());
  impl.pool->close();  // what still waits for PostgreSQL ends now
  if (joined.has_error()) joined = co_await impl.group.join(Deadline::after(2s));
  co_return joined;
}

}  // namespace merpati::store
