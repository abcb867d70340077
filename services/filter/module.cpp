#include "filter/module.hpp"

#include <functional>

#include "filter/arc_stage.hpp"
#include "filter/bayes_setup.hpp"
#include "filter/dmarc_setup.hpp"
#include "filter/engine_setup.hpp"
#include "filter/judged_messages.hpp"
#include "filter/mailbox_events.hpp"
#include "filter/memory.hpp"
#include "filter/migrations.hpp"
#include "filter/milter_setup.hpp"
#include "filter/operator_scripts.hpp"
#include "filter/policy_book.hpp"
#include "filter/policy_setup.hpp"
#include "filter/policy_table.hpp"
#include "filter/purges.hpp"
#include "filter/resolver_setup.hpp"
#include "filter/rpc/dmarc_reports_service.hpp"
#include "filter/rpc/filter_service.hpp"
#include "filter/rpc/learning_service.hpp"
#include "filter/rpc/mailbox_events_service.hpp"
#include "filter/rpc/milters_service.hpp"
#include "filter/rpc/policies_service.hpp"
#include "filter/rpc/scripts_service.hpp"
#include "filter/script_cache.hpp"
#include "filter/sender_rate_engine.hpp"
#include "filter/sender_setup.hpp"
#include "filter/sieve_stage.hpp"
#include "merpati/config/v1/filter.pb.h"
#include "merpati/pg/pool_metrics.hpp"
#include "merpati/rpc/account_events.hpp"
#include "merpati/rpc/token.hpp"
#include "merpati/runtime/dependency.hpp"
#include "merpati/runtime/duration.hpp"
#include "merpati/runtime/log.hpp"
#include "merpati/runtime/seldom.hpp"

namespace merpati::filter {
namespace {

using namespace std::chrono_literals;

constexpr auto kForgetEvery = 10min;
constexpr auto kLookAtModelsEvery = 30s;  // whether others taught one enough to speak
constexpr auto kLookAtPoliciesEvery = 2s;
// Actions of one account for one message: with the copies of what is sent (fcc) they fit into one delivery.
constexpr std::size_t kMostActions = 24;

CheckLimits limits_from(const config::v1::Filter& config) {
  CheckLimits limits;
  limits.max_received = config.max_received();
  limits.max_header_size = config.max_header_size();
  limits.max_header_fields = config.max_header_fields();
  limits.max_parts = config.max_parts();
  limits.strict_headers = config.strict_headers();
  limits.max_scanned_size = config.max_scanned_size();
  return limits;
}

SenderRateLimits sender_rate_from(const config::v1::SenderRate& config) {
  return {config.messages_per_hour(), config.recipients_per_hour(), config.refuse()};
}

ScriptLimits script_limits_from(const config::v1::FilterSieve& config) {
  return {static_cast<int>(config.max_scripts()), config.max_script_size(), config.max_total_size()};
}

std::chrono::milliseconds to_milliseconds(const google::protobuf::Duration& duration) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(runtime::to_chrono(duration));
}

pg::PoolOptions pool_options(const config::v1::Database& config, std::size_t loops, runtime::Metrics& metrics) {
  pg::PoolOptions options;
  options.observer = pg::pool_observer(metrics, "filter");
  options.dsn = config.dsn();
  options.schema = "filter";
  options.application_name = "merpati-filter";
  // Every table is reached by an index. A plan made while they were empty must not scan them when they have grown.
  options.settings["enable_seqscan"] = "off";
  const int each = std::max(2, static_cast<int>(config.connections() / loops));
  options.read_connections = std::max(1, each / 2);
  options.write_connections = std::max(1, each - options.read_connections);
  options.max_waiting = config.max_waiting();
  options.connect_timeout = to_milliseconds(config.connect_timeout());
  options.statement_timeout = to_milliseconds(config.statement_timeout());
  return options;
}

std::vector<asio::any_io_executor> loops_of(runtime::Process& process) {
  std::vector<asio::any_io_executor> out;
  for (std::size_t i = 0; i < process.loops().size(); ++i) out.push_back(process.loops().executor(i));
  return out;
}

}  // namespace

struct Module::Parts {
  Parts(runtime::Process& owner, const config::v1::Filter& wanted, std::shared_ptr<rpc::Channel> auth_channel,
        std::shared_ptr<rpc::Channel> store_channel, std::shared_ptr<rpc::Channel> queue_channel)
      : process(owner),
        config(wanted),
        auth(std::move(auth_channel)),
        store(std::move(store_channel)),
        queue(std::move(queue_channel)),
        pool(loops_of(owner), pool_options(wanted.database(), owner.loops().size(), owner.metrics())),
        pool_scrape(pg::export_pool(owner.metrics(), "filter", pool)),
        scripts(pool, tasks, script_limits_from(wanted.sieve())),
        memory(pool),
        sent_counts(pool),
        greylist(pool),
        reputation(pool),
        bayes(bayes_settings(wanted.bayes())),
        bayes_models(pool, bayes.has_value() ? bayes->limits : BayesLimits()),
        policy_table(pool),
        cache(wanted.sieve().cache_size()),
        filter_service(wanted.authserv_id(), limits_from(wanted), scoring_from(wanted), owner.metrics(), store,
                       owner.blocking()),
        policies(policy_table, filter_service.configured()),
        scripts_service(scripts, owner.blocking()),
        learning_service(bayes_models, owner.blocking(), owner.metrics(), wanted.bayes().enabled()),
        policies_service(policy_table, policies, symbol_names(wanted)),
        milters_service(wanted.authserv_id()),
        tasks(owner.loops().main()) {
    dispatcher.register_service(filter_service);
    dispatcher.register_service(scripts_service);
    dispatcher.register_service(learning_service);
    dispatcher.register_service(dmarc_reports_service);
    dispatcher.register_service(policies_service);
    filter_service.set_policies(policies);
    dispatcher.register_service(events_service);
    dispatcher.register_service(milters_service);
    if (!auth) return;
    auto ring = rpc::remote_key_ring(auth);
    revocations = rpc::on_revocation(ring->revocations());
    dispatcher.set_token_verifier(ring);
    key_ring = std::move(ring);
  }

  const std::string& session_dsn() const {
    return config.database().session_dsn().empty() ? config.database().dsn() : config.database().session_dsn();
  }

  sieve::RunLimits run_limits() const {
    sieve::RunLimits limits;
    limits.max_redirects = config.sieve().max_redirects();
    limits.max_actions = kMostActions;
    return limits;
  }

  SieveStage::Settings sieve_settings(OperatorScripts operators) const {
    SieveStage::Settings settings;
    settings.host = config.authserv_id();
    settings.limits = run_limits();
    settings.before = std::move(operators.before);
    settings.after = std::move(operators.after);
    settings.global = std::move(operators.global);
    settings.lists = std::move(operators.lists);
    settings.srs = srs();
    return settings;
  }

  /// Only the first key makes addresses.
  std::optional<mailauth::Srs> srs() const {
    if (config.srs().domain().empty()) return std::nullopt;
    return mailauth::Srs(config.srs().domain(), {config.srs().key()});
  }

  MailboxEvents::Settings event_settings(std::vector<EventScript> event_scripts) const {
    MailboxEvents::Settings settings;
    settings.host = config.authserv_id();
    settings.limits = run_limits();
    settings.max_scanned_size = config.max_scanned_size();
    settings.scripts = std::move(event_scripts);
    return settings;
  }

  void add_arc(std::optional<ArcSealerSettings> wanted, std::shared_ptr<dns::Resolver> resolver) {
    if (!wanted) return;
    ArcSealer sealer(*std::move(wanted), std::move(resolver), process.blocking(), process.metrics());
    arc = std::make_unique<ArcStage>(std::move(sealer), config.authserv_id(), store, config.max_scanned_size());
    filter_service.set_arc(*arc);
  }

  Result<void> add_sender_engines() {
    if (config.reputation().enabled()) {
      MERPATI_CHECK(add_reputation());
    }
    if (!config.greylist().enabled()) return {};
    MERPATI_TRY(auto settings, greylist_settings(config.greylist()));
    filter_service.add_engine(std::make_shared<GreylistEngine>(std::move(settings), greylist, process.metrics()));
    return {};
  }

  Result<void> add_reputation() {
    MERPATI_TRY(auto settings, reputation_settings(config.reputation()));
    judged = std::make_unique<JudgedMessages>(reputation, settings.half_life, process.metrics());
    auto engine = std::make_shared<ReputationEngine>(std::move(settings), reputation);
    filter_service.tell_of_judged(count_for_senders(engine, *judged, scoring_from(config)));
    filter_service.add_engine(std::move(engine));
    tasks.spawn(judged->run());
    return {};
  }

  Result<void> add_milters() {
    MERPATI_TRY(auto seats, make_milters(config.milters(), process.metrics(), process.blocking()));
    filter_service.set_milters(seats);
    milters_service.set_milters(std::move(seats));
    return {};
  }

  Result<void> add_bayes() {
    if (bayes.has_error()) return bayes.error();
    if (!config.bayes().enabled()) return {};
    filter_service.add_engine(std::make_shared<BayesEngine>(*bayes, bayes_models, process.blocking()));
    tasks.spawn(look_at_models());
    return {};
  }
  asio::awaitable<void> look_at_models() {
    for (;;) {
      (void)co_await bayes_models.refresh(Deadline::after(10s));
      if ((co_await sleep_for(kLookAtModelsEvery)).has_error()) co_return;
    }
  }

  Result<void> add_dmarc_reports(std::shared_ptr<dns::Resolver> resolver) {
    MERPATI_TRY(auto settings, dmarc_report_settings(config));
    if (!settings) return {};
    dmarc = std::make_unique<DmarcReporting>(*std::move(settings), pool, std::move(resolver),
                                             DmarcSender::Peers{queue, store}, process.blocking(), process.metrics());
    filter_service.tell_of_judged([this](const auto& view, const auto& verdict) { dmarc->observe(view, verdict); });
    dmarc_reports_service.set(*dmarc);
    dmarc->start(tasks);
    return {};
  }

  /// Policies that were changed elsewhere.
  asio::awaitable<void> look_at_policies() {
    for (;;) {
      const auto looked = co_await policies.refresh(Deadline::after(10s));
      static log::Seldom seldom(1min);
      if (looked.has_error() && looked.error().code() != ErrorCode::kCancelled)
        seldom.warning("filter_policies_not_looked_at", looked.error().describe());
      if ((co_await sleep_for(kLookAtPoliciesEvery)).has_error()) co_return;
    }
  }

  Task<void> purge(std::int64_t account) {
    MERPATI_CO_CHECK(co_await scripts.purge(account, Deadline::after(30s)));
    MERPATI_CO_CHECK(co_await policy_table.purge(account, Deadline::after(30s)));
    co_return co_await bayes_models.purge(account, Deadline::after(30s));
  }

  /// What was remembered and counts no more.
  asio::awaitable<void> forget_for_ever() {
    while ((co_await sleep_for(kForgetEvery)).has_value()) {
      co_await forget_all([this] { return memory.forget(Deadline::after(30s)); });
      co_await forget_all([this] { return sent_counts.forget(WallTime::clock::now(), Deadline::after(30s)); });
      co_await forget_all([this] { return greylist.forget(Deadline::after(30s)); });
      co_await forget_all([this] { return reputation.forget(Deadline::after(30s)); });
      co_await forget_all([this] { return bayes_models.tidy(Deadline::after(30s)); });
      if (dmarc) co_await forget_all([this] { return dmarc->forget(Deadline::after(30s)); });
    }
  }
  /// `some` forgets a few and says how many.
  static asio::awaitable<void> forget_all(std::function<Task<std::int64_t>()> some) {
    for (;;) {
      const auto forgotten = co_await some();
      if (forgotten.has_error()) log::info("filter_memory_not_forgotten", forgotten.error().describe());
      if (forgotten.has_error() || *forgotten == 0) co_return;
    }
  }

  runtime::Process& process;
  const config::v1::Filter config;
  std::shared_ptr<rpc::Channel> auth, store, queue;
  std::shared_ptr<rpc::KeyRing> key_ring;  ///< `revocations` refers to it
  rpc::AccountEventHandlers revocations;
  pg::Pool pool;
  std::shared_ptr<void> pool_scrape;
  Scripts scripts;
  Memory memory;
  StoredSentCounts sent_counts;
  StoredGreylist greylist;
  StoredReputation reputation;
  std::unique_ptr<JudgedMessages> judged;  ///< null: not counted
  std::unique_ptr<DmarcReporting> dmarc;   ///< null: no reports
  Result<BayesSettings> bayes;
  BayesModels bayes_models;
  PolicyTable policy_table;
  ScriptCache cache;
  std::unique_ptr<SieveStage> sieve;
  std::unique_ptr<MailboxEvents> events;
  std::unique_ptr<ArcStage> arc;
  FilterService filter_service;
  PolicyBook policies;
  ScriptsService scripts_service;
  LearningService learning_service;
  DmarcReportsService dmarc_reports_service;
  PoliciesService policies_service;
  MailboxEventsService events_service;
  MiltersService milters_service;
  rpc::Dispatcher dispatcher;
  TaskGroup tasks;
};

Module::Module(runtime::Process& process, const config::v1::Filter& config, std::shared_ptr<rpc::Channel> auth,
               std::shared_ptr<rpc::Channel> store, std::shared_ptr<rpc::Channel> queue)
    : parts_(std::make_unique<Parts>(process, config, std::move(auth), std::move(store), std::move(queue))) {}
Module::~Module() = default;

rpc::Dispatcher& Module::dispatcher() { return parts_->dispatcher; }

Task<void> Module::start() {
  Parts& parts = *parts_;
  MERPATI_CO_CHECK(co_await parts.pool.start(Deadline::after(30s)));
  auto wait = [dsn = parts.session_dsn()] { return pg::wait_migrated(dsn, "filter", migrations(), 60s); };
  MERPATI_CO_CHECK(co_await run_blocking(parts.process.blocking(), std::move(wait)));
  auto load = [&config = parts.config.sieve()] { return load_operator_scripts(config); };
  MERPATI_CO_TRY(auto operators, co_await run_blocking(parts.process.blocking(), std::move(load)));
  auto load_events = [&config = parts.config.sieve()] { return load_event_scripts(config); };
  MERPATI_CO_TRY(auto event_scripts, co_await run_blocking(parts.process.blocking(), std::move(load_events)));
  auto events = parts.event_settings(std::move(event_scripts));
  events.global = operators.global;
  events.lists = operators.lists;
  parts.events = std::make_unique<MailboxEvents>(
      ScriptRunner(parts.scripts, parts.cache, parts.auth, parts.store, parts.process.blocking()), parts.memory,
      parts.store, parts.queue, parts.process.metrics(), std::move(events));
  parts.events_service.set_events(*parts.events);
  parts.sieve = std::make_unique<SieveStage>(parts.scripts, parts.memory, parts.cache, parts.auth, parts.store,
                                             parts.process.blocking(), parts.process.metrics(),
                                             parts.sieve_settings(std::move(operators)));
  parts.filter_service.set_sieve(*parts.sieve);
  if (auto srs = parts.srs()) parts.filter_service.set_srs(*std::move(srs));
  MERPATI_CO_TRY(auto arc, arc_sealer_settings(parts.config));
  std::shared_ptr<dns::Resolver> resolver;
  if (arc || engines_need_dns(parts.config)) {
    MERPATI_CO_TRY(resolver, make_resolver(parts.process, parts.config));
  }
  parts.add_arc(std::move(arc), resolver);
  MERPATI_CO_CHECK(add_engines(parts.process, parts.config, resolver, parts.filter_service, parts.tasks));
  if (const auto limits = sender_rate_from(parts.config.sender_rate()); limits.wanted())
    parts.filter_service.add_engine(std::make_shared<SenderRateEngine>(limits, parts.sent_counts));
  MERPATI_CO_CHECK(parts.add_sender_engines());
  MERPATI_CO_CHECK(parts.add_milters());
  MERPATI_CO_CHECK(parts.add_bayes());
  MERPATI_CO_CHECK(parts.add_dmarc_reports(resolver));
  parts.tasks.spawn(parts.forget_for_ever());
  parts.tasks.spawn(parts.look_at_policies());
  parts.tasks.spawn(runtime::watch_dependency(parts.process.health(), "filter.postgresql",
                                              [&pool = parts.pool](Deadline until) { return pool.start(until); }));
  if (parts.auth) {
    parts.tasks.spawn(rpc::follow_account_events(parts.auth, parts.revocations));
    parts.tasks.spawn(purge_for_ever(
        parts.pool, [&parts](std::int64_t account) { return parts.purge(account); }, parts.auth));
  }
  co_return Result<void>();
}

Task<void> Module::drain(Deadline) { co_return Result<void>(); }

Task<void> Module::stop() {
  parts_->tasks.cancel();
  auto joined = co_await parts_->tasks.join(Deadline::after(2s));
  if (parts_->judged) {
    if (const auto flushed = co_await parts_->judged->flush(); flushed.has_error())
      log::info("filter_reputation_not_counted", flushed.error().describe());
  }
  if (parts_->dmarc) {
    if (const auto flushed = co_await parts_->dmarc->finish(); flushed.has_error())
      log::info("filter_dmarc_not_counted", flushed.error().describe());
  }
  parts_->pool.close();
  co_return joined;
}

}  // namespace merpati::filter
