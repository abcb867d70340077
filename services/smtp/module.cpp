#include "smtp/module.hpp"

#include "merpati/runtime/duration.hpp"
#include "merpati/runtime/log.hpp"
#include "merpati/runtime/machine_name.hpp"
#include "merpati/trace/v1/trace.rpc.hpp"
#include "smtp/session.hpp"

namespace merpati::smtp {
namespace {

constexpr auto kCertificateCheck = std::chrono::seconds(5);
constexpr auto kLastEvents = std::chrono::seconds(1);

Policy policy_of(const config::v1::Smtp& config) {
  Policy policy;
  policy.hostname = config.hostname().empty() ? runtime::machine_name() : config.hostname();
  policy.max_message_size = config.max_message_size();
  policy.max_recipients = config.max_recipients();
  policy.max_errors = config.max_errors();
  policy.max_transactions = config.max_transactions();
  policy.command_timeout = runtime::to_chrono(config.command_timeout());
  policy.data_timeout = runtime::to_chrono(config.data_timeout());
  policy.session_timeout = runtime::to_chrono(config.session_timeout());
  policy.spill_threshold = config.spill_threshold();
  policy.spill_directory = config.spill_directory();
  if (policy.spill_directory.empty()) {
    const char* directory = std::getenv("TMPDIR");
    policy.spill_directory = directory != nullptr && *directory != '\0' ? directory : "/tmp";
  }
  policy.max_bytes_in_flight = config.max_bytes_in_flight();
  policy.check_from_header = config.check_from_header();
  policy.max_connections_per_account = config.max_connections_per_account();
  policy.postmaster = config.postmaster();
  if (policy.postmaster.empty()) {
    log::warning("smtp_no_postmaster", "mail to <postmaster> is refused: set smtp.postmaster to an address of yours");
  }
  return policy;
}

Task<void> send_events(std::shared_ptr<rpc::Channel> queue, const std::vector<trace::v1::Event>& batch) {
  trace::v1::TraceClient client(std::move(queue));
  trace::v1::RecordEventsRequest request;
  for (const auto& event : batch) *request.add_events() = event;
  rpc::CallOptions options;
  options.deadline = Deadline::after(std::chrono::seconds(10));
  MERPATI_CO_CHECK(co_await client.record_events(request, options));
  co_return Result<void>();
}

std::vector<asio::io_context*> contexts(runtime::Loops& loops) {
  std::vector<asio::io_context*> all;
  for (std::size_t i = 0; i < loops.size(); ++i) all.push_back(&loops.context(i));
  return all;
}

net::ServerHooks hooks(std::shared_ptr<Site> site) {
  net::ServerHooks hooks;
  hooks.accept_failed = [site](const net::ListenerOptions& options, const Error& error) {
    site->probe.accept_error();
    log::warning("smtp_accept_failed", error.message(), {{"listener", options.name}});
  };
  hooks.refused = [site](const net::ListenerOptions& options, const net::Endpoint& client, const Error& error) {
    site->probe.refused_connection();
    log::info("smtp_connection_refused", error.message(),
              {{"listener", options.name}, {"client", client.address().to_string()}});
  };
  return hooks;
}

}  // namespace

Module::Module(runtime::Process& process, const config::v1::Smtp& config, std::shared_ptr<rpc::Channel> auth,
               std::shared_ptr<rpc::Channel> store, std::shared_ptr<rpc::Channel> filter,
               std::shared_ptr<rpc::Channel> queue, const config::v1::TraceEvents& trace_events)
    : config_(config),
      auth_(auth),
      filter_(filter),
      site_(std::make_shared<Site>(policy_of(config), process.metrics(), process.blocking(), std::move(auth),
                                   std::move(filter), std::move(store), queue)),
      server_(contexts(process.loops()), hooks(site_)),
      background_(process.loops().main()),
      before_scrape_(process.metrics().before_scrape(
          [site = site_] { site->probe.bytes_in_flight(static_cast<double>(site->bytes_in_flight.load())); })) {
  if (trace_events.enabled()) site_->events = events_to(std::move(queue), process.metrics());
}

Module::~Module() = default;

/// The edge keeps nothing: the queue takes its events.
std::unique_ptr<trace::Recorder> Module::events_to(std::shared_ptr<rpc::Channel> queue, runtime::Metrics& metrics) {
  trace::Recorder::Options options;
  options.service = "smtp";
  options.host = runtime::machine_name();
  auto write = [queue = std::move(queue)](const std::vector<trace::v1::Event>& batch) {
    return send_events(queue, batch);
  };
  return std::make_unique<trace::Recorder>(std::move(options), metrics, std::move(write));
}

Task<void> Module::start() {
  if (!config_.tls().certificate_file().empty()) {
    net::TlsContext::Options options;
    options.certificates = {{config_.tls().certificate_file(), config_.tls().key_file()}};
    options.min_version = config_.tls().min_version();
    MERPATI_CO_TRY(site_->tls, net::TlsContext::load(std::move(options)));
    background_.spawn(watch_certificate());
  }
  for (const auto& listener : config_.listeners()) MERPATI_CO_CHECK(listen(listener));
  background_.spawn(rpc::follow_account_events(auth_, event_handlers()));
  background_.spawn(site_->milter_watch.follow(filter_));
  if (site_->events) background_.spawn(site_->events->run());
  co_return Result<void>();
}

Result<void> Module::listen(const config::v1::Listener& listener) {
  auto door = std::make_shared<Door>();
  door->kind = listener.kind() == config::v1::LISTENER_KIND_SUBMISSION ? Door::Kind::kSubmission : Door::Kind::kMx;
  door->name = listener.name().empty() ? "smtp-" + std::to_string(listener.port()) : listener.name();
  door->starttls = listener.tls() == config::v1::TLS_MODE_STARTTLS && site_->tls != nullptr;
  door->plaintext_login_from_loopback = listener.plaintext_login_from_loopback();
  const bool says = listener.filter_down() != config::v1::FILTER_DOWN_UNSPECIFIED;
  door->accept_unfiltered = (says ? listener.filter_down() : config_.filter_down()) == config::v1::FILTER_DOWN_ACCEPT;
  MERPATI_TRY(door->trusted_proxies, net::CidrSet::parse(listener.proxy_trusted()));

  net::ListenerOptions options;
  options.name = door->name;
  options.address = listener.address();
  options.port = static_cast<std::uint16_t>(listener.port());
  options.proxy_from = door->trusted_proxies;
  if (listener.tls() == config::v1::TLS_MODE_IMPLICIT) {
    options.tls = net::ListenerOptions::Tls::kImplicit;
    options.tls_context = site_->tls;
  }
  options.limits = std::make_shared<net::ConnectionLimits>(
      net::ConnectionLimits::Options{.total = listener.max_connections(),
                                     .per_address = listener.max_connections_per_address(),
                                     .exempt = options.proxy_from});
  options.busy_reply = "421 4.7.0 " + site_->policy.hostname + " Too many connections, try again later\r\n";
  MERPATI_TRY(const auto port, server_.listen(std::move(options), [site = site_, door](net::Stream stream) {
    return std::make_unique<Session>(std::move(stream), site, door);
  }));
  ports_.push_back(port);
  log::info("smtp_listening", "accepting mail", {{"listener", door->name}, {"port", port}});
  return {};
}

Task<void> Module::drain(Deadline deadline) { return server_.drain(deadline); }

Task<void> Module::stop() {
  MERPATI_CO_TRY(const auto cut, co_await server_.stop());
  if (cut > 0) {
    site_->probe.cut(cut);
    log::warning("smtp_sessions_cut", "sessions were cut at the end of the grace period", {{"sessions", cut}});
  }
  background_.cancel();
  auto joined = co_await background_.join(Deadline::never());
  if (site_->events) static_cast<void>(co_await with_deadline(site_->events->flush(), Deadline::after(kLastEvents)));
  co_return joined;
}

asio::awaitable<void> Module::watch_certificate() {
  co_await asio::this_coro::throw_if_cancelled(false);
  for (;;) {
    auto waited = co_await sleep_for(kCertificateCheck);
    if (waited.has_error()) co_return;
    auto reloaded = site_->tls->reload_if_changed();
    if (reloaded.has_error()) {
      log::error("smtp_certificate_unusable", reloaded.error().message());
    } else if (*reloaded) {
      log::info("smtp_certificate_reloaded", "new sessions use the new certificate");
    }
  }
}

/// Auth tells what changed in the directory: every event drops the cached recipients, some end logins.
rpc::AccountEventHandlers Module::event_handlers() {
  auto handlers = rpc::on_revocation(site_->revocations);
  handlers.event = [site = site_, revoke = std::move(handlers.event)](const auth::v1::Event& event) {
    site->recipients.clear();
    revoke(event);
  };
  handlers.alive = [site = site_](bool alive) { site->recipients.set_feed_alive(alive); };
  return handlers;
}

}  // namespace merpati::smtp
