#include "pop3/module.hpp"

#include "merpati/edge/listener.hpp"
#include "merpati/runtime/duration.hpp"
#include "merpati/runtime/log.hpp"
#include "merpati/runtime/machine_name.hpp"
#include "pop3/edge.hpp"
#include "pop3/session.hpp"

namespace merpati::pop3 {
namespace {

Settings settings_of(const config::v1::Pop3& config) {
  Settings settings;
  settings.hostname = config.hostname().empty() ? runtime::machine_name() : config.hostname();
  settings.idle_timeout = runtime::to_chrono(config.idle_timeout());
  settings.login_timeout = runtime::to_chrono(config.login_timeout());
  settings.session_timeout = runtime::to_chrono(config.session_timeout());
  settings.login_delay = runtime::to_chrono(config.login_delay());
  settings.max_failed_logins = config.max_failed_logins();
  settings.max_errors = config.max_errors();
  return settings;
}

}  // namespace

struct Module::State {
  State(std::vector<asio::io_context*> loops, net::ServerHooks hooks, asio::any_io_executor home)
      : server(std::move(loops), std::move(hooks)), tasks(std::move(home)) {}
  std::shared_ptr<Edge> edge;
  net::Server server;
  TaskGroup tasks;
};

Module::Module(runtime::Process& process, config::v1::Pop3 config, std::shared_ptr<rpc::Channel> auth,
               std::shared_ptr<rpc::Channel> store)
    : config_(std::move(config)) {
  std::vector<asio::io_context*> loops;
  for (std::size_t i = 0; i < process.loops().size(); ++i) loops.push_back(&process.loops().context(i));
  auto refused = process.metrics().counter("merpati_pop3_refused_total", "Connections that never became a session",
                                           {{"reason", "limit_proxy_or_tls"}});
  auto not_accepted = process.metrics().counter("merpati_pop3_refused_total", "Connections that never became a session",
                                                {{"reason", "accept"}});
  net::ServerHooks hooks;
  hooks.accept_failed = [not_accepted](const net::ListenerOptions& listener, const Error& error) {
    not_accepted.add();
    log::warning("pop3_accept_failed", error.message(), {{"listener", listener.name}});
  };
  hooks.refused = [refused](const net::ListenerOptions& listener, const net::Endpoint& client, const Error& error) {
    refused.add();
    log::info("pop3_connection_refused", error.message(),
              {{"listener", listener.name}, {"client", client.address().to_string()}});
  };
  state_ = std::make_unique<State>(std::move(loops), std::move(hooks), process.loops().main());
  state_->edge = std::make_shared<Edge>(settings_of(config_), auth::v1::AuthClient(std::move(auth)),
                                        store::v1::StoreClient(std::move(store)), Probe(process.metrics()));
  state_->edge->background = &state_->tasks;
}

Module::~Module() = default;

std::size_t Module::sessions() const { return state_->server.sessions(); }

Task<void> Module::start() {
  auto& edge = state_->edge;
  MERPATI_CO_TRY(edge->tls, edge::load_certificate(config_.tls()));
  if (edge->tls) state_->tasks.spawn(edge::watch_certificate(edge->tls, "pop3"));
  for (const auto& listener : config_.listeners()) {
    MERPATI_CO_TRY(auto options, edge::listener_options(listener, "pop3", edge->tls));
    options.busy_reply = err("too many connections, try again later", ResponseCode::kSysTemp);
    auto policy = std::make_shared<ListenerPolicy>(
        ListenerPolicy{options.name, options.tls == net::ListenerOptions::Tls::kOnDemand,
                       listener.plaintext_login_from_loopback(), options.proxy_from});
    auto make = [policy, edge](net::Stream stream) -> std::unique_ptr<net::Session> {
      return std::make_unique<Session>(std::move(stream), policy, edge);
    };
    MERPATI_CO_TRY(const auto port, state_->server.listen(options, std::move(make)));
    ports_.push_back(port);
    log::info("pop3_listening", options.name, {{"address", options.address}, {"port", static_cast<int>(port)}});
  }
  co_return Result<void>();
}

Task<void> Module::drain(Deadline deadline) {
  // Half of the grace period to ask the sessions one by one, half for what they have in hand.
  const auto spread = deadline.is_never() ? std::chrono::nanoseconds(0) : deadline.left() / 2;
  auto drained = co_await state_->server.drain(deadline, spread);
  co_return drained;
}

Task<void> Module::stop() {
  state_->tasks.cancel();
  auto cut = co_await state_->server.stop();
  if (!cut.has_error() && *cut > 0)
    log::warning("pop3_sessions_cut", "sessions outlived the grace period", {{"sessions", *cut}});
  MERPATI_CO_CHECK(co_await state_->tasks.join(Deadline::after(std::chrono::seconds(2))));
  co_return Result<void>();
}

}  // namespace merpati::pop3
