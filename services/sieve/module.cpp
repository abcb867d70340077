#include "sieve/module.hpp"

#include "merpati/edge/listener.hpp"
#include "merpati/rpc/account_events.hpp"
#include "merpati/runtime/duration.hpp"
#include "merpati/runtime/log.hpp"
#include "merpati/runtime/machine_name.hpp"
#include "sieve/probe.hpp"
#include "sieve/session.hpp"

namespace merpati::managesieve {
namespace {

Settings settings_of(const config::v1::Sieve& config) {
  Settings settings;
  settings.hostname = config.hostname().empty() ? runtime::machine_name() : config.hostname();
  settings.idle_timeout = runtime::to_chrono(config.idle_timeout());
  settings.login_timeout = runtime::to_chrono(config.login_timeout());
  settings.session_timeout = runtime::to_chrono(config.session_timeout());
  settings.max_script = config.max_script_size();
  settings.max_bytes_in_flight = config.max_bytes_in_flight();
  settings.max_failed_logins = config.max_failed_logins();
  settings.max_errors = config.max_errors();
  settings.max_connections_per_account = config.max_connections_per_account();
  settings.max_redirects = config.max_redirects();
  return settings;
}

std::vector<asio::io_context*> contexts(runtime::Loops& loops) {
  std::vector<asio::io_context*> all;
  for (std::size_t i = 0; i < loops.size(); ++i) all.push_back(&loops.context(i));
  return all;
}

net::ServerHooks hooks(runtime::Metrics& metrics) {
  const auto counter = [&metrics](const char* reason) {
    return metrics.counter("merpati_sieve_refused_total", "Connections that never became a session",
                           {{"reason", reason}});
  };
  net::ServerHooks hooks;
  hooks.accept_failed = [count = counter("accept")](const net::ListenerOptions& listener, const Error& error) {
    count.add();
    log::warning("sieve_accept_failed", error.message(), {{"listener", listener.name}});
  };
  hooks.refused = [count = counter("limit_proxy_or_tls")](const net::ListenerOptions& listener,
                                                          const net::Endpoint& client, const Error& error) {
    count.add();
    log::info("sieve_connection_refused", error.message(),
              {{"listener", listener.name}, {"client", client.address().to_string()}});
  };
  return hooks;
}

}  // namespace

Module::Module(runtime::Process& process, config::v1::Sieve config, std::shared_ptr<rpc::Channel> auth,
               std::shared_ptr<rpc::Channel> filter)
    : config_(std::move(config)),
      auth_(auth),
      site_(std::make_shared<Site>(settings_of(config_), auth::v1::AuthClient(std::move(auth)),
                                   filter::v1::ScriptsClient(std::move(filter)), make_probe(process.metrics()))),
      server_(contexts(process.loops()), hooks(process.metrics())),
      background_(process.loops().main()) {}

Module::~Module() = default;

Task<void> Module::start() {
  MERPATI_CO_TRY(site_->tls, edge::load_certificate(config_.tls()));
  if (site_->tls) background_.spawn(edge::watch_certificate(site_->tls, "sieve"));
  // Sessions look before each command whether they may go on.
  background_.spawn(rpc::follow_account_events(auth_, rpc::on_revocation(site_->revocations)));
  for (const auto& listener : config_.listeners()) MERPATI_CO_CHECK(listen(listener));
  co_return Result<void>();
}

Result<void> Module::listen(const config::v1::Listener& listener) {
  MERPATI_TRY(auto options, edge::listener_options(listener, "sieve", site_->tls));
  append_response(options.busy_reply, Condition::kBye, ResponseCode::kTryLater,
                  "too many connections, try again later");
  auto door = std::make_shared<const Door>(Door{options.name, options.tls == net::ListenerOptions::Tls::kOnDemand,
                                                listener.plaintext_login_from_loopback(), options.proxy_from});
  const std::string name = options.name;
  auto make = [site = site_, door](net::Stream stream) -> std::unique_ptr<net::Session> {
    return std::make_unique<Session>(std::move(stream), door, site);
  };
  MERPATI_TRY(const auto port, server_.listen(std::move(options), std::move(make)));
  ports_.push_back(port);
  log::info("sieve_listening", name, {{"address", listener.address()}, {"port", static_cast<int>(port)}});
  return {};
}

Task<void> Module::drain(Deadline deadline) {
  // Half of the grace period to ask the sessions one by one, half for what they have in hand.
  const auto spread = deadline.is_never() ? std::chrono::nanoseconds(0) : deadline.left() / 2;
  co_return co_await server_.drain(deadline, spread);
}

Task<void> Module::stop() {
  background_.cancel();
  auto cut = co_await server_.stop();
  if (!cut.has_error() && *cut > 0)
    log::warning("sieve_sessions_cut", "sessions outlived the grace period", {{"sessions", *cut}});
  co_return co_await background_.join(Deadline::after(std::chrono::seconds(2)));
}

}  // namespace merpati::managesieve
