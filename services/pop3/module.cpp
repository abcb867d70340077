#include "pop3/module.hpp"

#include <unistd.h>

#include <array>

#include "merpati/runtime/duration.hpp"
#include "merpati/runtime/log.hpp"
#include "pop3/edge.hpp"
#include "pop3/session.hpp"

namespace merpati::pop3 {
namespace {

std::string machine_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 && name[0] != 0 ? std::string(name.data())
                                                                          : std::string("localhost");
}

Settings settings_of(const config::v1::Pop3& config) {
  Settings settings;
  settings.hostname = config.hostname().empty() ? machine_name() : config.hostname();
  settings.idle_timeout = runtime::to_chrono(config.idle_timeout());
  settings.login_timeout = runtime::to_chrono(config.login_timeout());
  settings.session_timeout = runtime::to_chrono(config.session_timeout());
  settings.login_delay = runtime::to_chrono(config.login_delay());
  settings.max_failed_logins = config.max_failed_logins();
  settings.max_errors = config.max_errors();
  return settings;
}

std::string listener_name(const config::v1::Listener& listener) {
  return listener.name().empty() ? "pop3-" + std::to_string(listener.port()) : listener.name();
}

net::ListenerOptions::Tls tls_mode(const config::v1::Listener& listener, bool have_certificate) {
  if (listener.tls() == config::v1::TLS_MODE_IMPLICIT) return net::ListenerOptions::Tls::kImplicit;
  if (listener.tls() == config::v1::TLS_MODE_NONE || !have_certificate) return net::ListenerOptions::Tls::kNone;
  return net::ListenerOptions::Tls::kOnDemand;
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
    : process_(process), config_(std::move(config)) {
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
}

Module::~Module() = default;

std::size_t Module::sessions() const { return state_->server.sessions(); }

namespace {

/// Mounted certificates change without a restart.
asio::awaitable<void> watch_certificate(std::shared_ptr<net::TlsContext> tls) {
  for (;;) {
    auto slept = co_await sleep_for(std::chrono::seconds(10));
    if (slept.has_error()) co_return;
    auto reloaded = tls->reload_if_changed();
    if (reloaded.has_error())
      log::warning("pop3_certificate_unusable", reloaded.error().message());
    else if (*reloaded)
      log::info("pop3_certificate_reloaded", "new sessions get the new certificate");
  }
}

}  // namespace

Task<void> Module::start() {
  auto& edge = state_->edge;
  if (!config_.tls().certificate_file().empty()) {
    net::TlsContext::Options options;
    options.certificates.push_back({config_.tls().certificate_file(), config_.tls().key_file()});
    if (!config_.tls().min_version().empty()) options.min_version = config_.tls().min_version();
    MERPATI_CO_TRY(edge->tls, net::TlsContext::load(std::move(options)));
    state_->tasks.spawn(watch_certificate(edge->tls));
  }
  for (const auto& listener : config_.listeners()) {
    net::ListenerOptions options;
    options.name = listener_name(listener);
    options.address = listener.address().empty() ? "::" : listener.address();
    options.port = static_cast<std::uint16_t>(listener.port());
    options.tls = tls_mode(listener, edge->tls != nullptr);
    options.tls_context = edge->tls;
    if (options.tls == net::ListenerOptions::Tls::kImplicit && !edge->tls)
      co_return Error(ErrorCode::kInvalidArgument, "listener " + options.name + " needs pop3.tls.certificate_file");
    MERPATI_CO_TRY(options.proxy_from, net::CidrSet::parse(listener.proxy_trusted()));
    options.limits = std::make_shared<net::ConnectionLimits>(net::ConnectionLimits::Options{
        listener.max_connections(), listener.max_connections_per_address(), options.proxy_from});
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
