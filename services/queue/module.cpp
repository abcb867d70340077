#include "queue/module.hpp"

#include <boost/asio/ip/host_name.hpp>

#include "merpati/config/v1/queue.pb.h"
#include "merpati/dns/unbound_resolver.hpp"
#include "merpati/mime/header.hpp"
#include "merpati/pg/listener.hpp"
#include "merpati/pg/pool_metrics.hpp"
#include "merpati/runtime/dependency.hpp"
#include "merpati/runtime/duration.hpp"
#include "merpati/runtime/log.hpp"
#include "merpati/trace/keeper.hpp"
#include "queue/held_items.hpp"
#include "queue/migrations.hpp"
#include "queue/rpc/queue_service.hpp"
#include "queue/sender.hpp"

namespace merpati::queue {
namespace {
using runtime::to_chrono;

constexpr auto kCareInterval = std::chrono::seconds(10);
constexpr auto kForgetEvery = 60;  // turns of the care loop
// What is finished is remembered longer than any item lives, which may forward under the same delivery id until its
// end.
constexpr auto kBeyondGiveUp = std::chrono::hours(24);

pg::PoolOptions pool_options(const config::v1::Database& database, std::size_t loops, runtime::Metrics& metrics) {
  pg::PoolOptions out;
  out.observer = pg::pool_observer(metrics, "queue");
  out.dsn = database.dsn();
  out.schema = "queue";
  out.application_name = "merpati-queue";
  const int each = std::max(2, static_cast<int>(database.connections() / loops));
  out.read_connections = std::max(1, each / 4);
  out.write_connections = each - out.read_connections;
  out.max_waiting = database.max_waiting();
  out.connect_timeout = std::chrono::duration_cast<std::chrono::milliseconds>(to_chrono(database.connect_timeout()));
  out.statement_timeout =
      std::chrono::duration_cast<std::chrono::milliseconds>(to_chrono(database.statement_timeout()));
  return out;
}

Result<SenderConfig> sender_config(const config::v1::Queue& config) {
  SenderConfig out;
  out.parallel = static_cast<int>(config.parallel());
  out.parallel_per_destination = static_cast<int>(config.parallel_per_destination());
  out.retry.first = to_chrono(config.retry_first());
  out.retry.max = to_chrono(config.retry_max());
  out.give_up = to_chrono(config.give_up());
  out.lease = to_chrono(config.lease());
  out.keep_blobs = out.give_up + kBeyondGiveUp;
  out.hostname = mime::to_lower(config.hostname().empty() ? asio::ip::host_name() : config.hostname());
  RouteConfig& route = out.remote.route;
  route.hostname = out.hostname;
  route.smart_host = config.smart_host().host();
  route.smart_host_port = static_cast<std::uint16_t>(config.smart_host().port());
  route.mx_port = static_cast<std::uint16_t>(config.mx_port());
  MERPATI_TRY(route.fixed, parse_routes({config.routes().begin(), config.routes().end()}));
  net::TlsClientContext::Options any;
  any.verify = net::TlsClientContext::Verify::kNone;
  MERPATI_TRY(auto opportunistic, net::TlsClientContext::make(any));
  net::TlsClientContext::Options checked;
  checked.ca_file = config.ca_file();
  MERPATI_TRY(auto verified, net::TlsClientContext::make(checked));
  out.remote.mx.hostname = out.hostname;
  out.remote.mx.tls = opportunistic;
  out.remote.smart_host.hostname = out.hostname;
  out.remote.smart_host.require_tls = config.smart_host().require_tls();
  out.remote.smart_host.tls = config.smart_host().require_tls() ? verified : opportunistic;
  out.remote.smart_host.username = config.smart_host().username();
  out.remote.smart_host.password = config.smart_host().password();
  return out;
}
}  // namespace

struct Module::Parts {
  Parts(runtime::Process& process, const config::v1::Queue& config, const config::v1::TraceEvents& trace_events)
      : pool(loops_of(process), pool_options(config.database(), process.loops().size(), process.metrics())),
        pool_scrape(pg::export_pool(process.metrics(), "queue", pool)),
        repository(pool, to_chrono(config.give_up()), to_chrono(config.lease())),
        events(process, {"queue", trace::EventTable::Mailboxes::kUnknown}, config.database(), trace_events),
        tasks(process.loops().main()) {
    const auto items = [&](const char* state) {
      return process.metrics().gauge("merpati_queue_items", "Items that wait or are being sent, by state",
                                     {{"state", state}});
    };
    held = items("held");
    due = items("due");
    sending = items("sending");
    oldest = process.metrics().gauge("merpati_queue_oldest_due_seconds", "How long the oldest due item has waited");
  }
  static std::vector<asio::any_io_executor> loops_of(runtime::Process& process) {
    std::vector<asio::any_io_executor> out;
    for (std::size_t i = 0; i < process.loops().size(); ++i) out.push_back(process.loops().executor(i));
    return out;
  }

  pg::Pool pool;
  std::shared_ptr<void> pool_scrape;
  Repository repository;
  std::shared_ptr<dns::Resolver> resolver;
  std::unique_ptr<Sender> sender;
  std::unique_ptr<pg::Listener> listener;
  std::unique_ptr<QueueService> service;
  trace::Keeper events;
  TaskGroup tasks;
  runtime::Gauge held, due, sending, oldest;
};

Module::Module(runtime::Process& process, const config::v1::Queue& config, std::shared_ptr<rpc::Channel> auth,
               std::shared_ptr<rpc::Channel> store, std::shared_ptr<rpc::Channel> filter,
               const config::v1::TraceEvents& trace_events)
    : process_(process),
      config_(std::make_unique<config::v1::Queue>(config)),
      auth_(std::move(auth)),
      store_(std::move(store)),
      filter_(std::move(filter)),
      parts_(std::make_unique<Parts>(process, *config_, trace_events)) {
  Parts& parts = *parts_;
  const auto keep = to_chrono(config_->give_up()) + kBeyondGiveUp;
  auto wake = [&parts] {
    if (parts.sender) parts.sender->wake();
  };
  parts.service =
      std::make_unique<QueueService>(parts.repository, store_, keep, std::move(wake), parts.events.recorder());
  dispatcher_.register_service(*parts.service);
  dispatcher_.register_service(parts.events.service());
}
Module::~Module() = default;

Task<void> Module::start() {
  Parts& parts = *parts_;
  MERPATI_CO_TRY(SenderConfig sender, sender_config(*config_));
  dns::UnboundOptions options;
  options.servers.assign(config_->dns_servers().begin(), config_->dns_servers().end());
  MERPATI_CO_TRY(parts.resolver, dns::make_unbound_resolver(process_.loops().main(), options));
  MERPATI_CO_CHECK(co_await parts.pool.start(Deadline::after(std::chrono::seconds(30))));
  const std::string dsn =
      config_->database().session_dsn().empty() ? config_->database().dsn() : config_->database().session_dsn();
  const auto wait = [dsn] { return pg::wait_migrated(dsn, "queue", migrations(), std::chrono::seconds(60)); };
  MERPATI_CO_CHECK(co_await run_blocking(process_.blocking(), wait));
  sender.remote.blocking = &process_.blocking();
  parts.sender = std::make_unique<Sender>(process_.loops().main(), parts.repository, *parts.resolver, auth_, store_,
                                          filter_, std::move(sender), process_.metrics(), parts.events.recorder());
  MERPATI_CO_CHECK(co_await parts.events.start());
  parts.sender->start();
  Sender* const running = parts.sender.get();
  parts.listener = std::make_unique<pg::Listener>(
      process_.loops().main(), dsn, std::vector<std::string>{"queue_due"},
      pg::Listener::Handlers{[running](std::string_view, std::string_view) { running->look(); },
                             [running] { running->look(); }});
  parts.listener->start();
  parts.tasks.spawn(runtime::watch_dependency(process_.health(), "queue.postgresql",
                                              [&pool = parts.pool](Deadline until) { return pool.start(until); }));
  parts.tasks.spawn(care_loop());
  co_return Result<void>();
}

// Held items, old items, gauges.
asio::awaitable<void> Module::care_loop() {
  Parts& parts = *parts_;
  const auto remembered = to_chrono(config_->give_up()) + kBeyondGiveUp;
  for (int turn = 1;; ++turn) {
    const auto interval = std::min<std::chrono::nanoseconds>(kCareInterval, to_chrono(config_->held_check()) / 2);
    if ((co_await sleep_for(interval)).has_error()) co_return;
    const auto released = co_await resolve_held(parts.repository, store_, to_chrono(config_->held_check()));
    if (released.has_error())
      log::warning("queue_held_check_failed", released.error().describe());
    else if (*released > 0)
      parts.sender->wake();
    const auto counts = co_await parts.repository.counts(Deadline::after(std::chrono::seconds(10)));
    if (counts.has_value()) {
      parts.held.set(static_cast<double>(counts->held));
      parts.due.set(static_cast<double>(counts->due));
      parts.sending.set(static_cast<double>(counts->sending));
      parts.oldest.set(counts->oldest_due_seconds);
    }
    if (turn % kForgetEvery == 0) {
      static_cast<void>(
          co_await parts.repository.forget_finished(remembered, Deadline::after(std::chrono::seconds(30))));
    }
  }
}

Task<void> Module::drain(Deadline deadline) {
  if (parts_->sender) MERPATI_CO_CHECK(co_await parts_->sender->drain(deadline));
  co_return Result<void>();
}

Task<void> Module::stop() {
  if (parts_->listener) parts_->listener->close();
  parts_->tasks.cancel();
  static_cast<void>(co_await parts_->tasks.join(Deadline::after(std::chrono::seconds(2))));
  if (parts_->sender) static_cast<void>(co_await parts_->sender->stop());
  static_cast<void>(co_await parts_->events.stop());
  parts_->pool.close();
  co_return Result<void>();
}

}  // namespace merpati::queue
