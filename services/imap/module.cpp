#include "imap/module.hpp"

#include <algorithm>
#include <boost/asio/post.hpp>

#include "imap/loop_state.hpp"
#include "imap/session.hpp"
#include "merpati/auth/v1/auth.rpc.hpp"
#include "merpati/config/v1/imap.pb.h"
#include "merpati/edge/listener.hpp"
#include "merpati/net/server.hpp"
#include "merpati/runtime/duration.hpp"
#include "merpati/runtime/log.hpp"
#include "merpati/runtime/machine_name.hpp"
#include "merpati/store/v1/store.rpc.hpp"

namespace merpati::imap {
namespace {

template <class D>
void take(std::chrono::nanoseconds& out, const D& duration) {
  const auto value = runtime::to_chrono(duration);
  if (value.count() > 0) out = value;
}
template <class T, class U>
void take_number(T& out, U value) {
  if (value > 0) out = static_cast<T>(value);
}

Options make_options(const config::v1::Imap& config) {
  Options options;
  options.hostname = config.hostname().empty() ? runtime::machine_name() : config.hostname();
  take(options.idle_timeout, config.idle_timeout());
  take(options.login_timeout, config.login_timeout());
  take(options.session_timeout, config.session_timeout());
  take(options.write_timeout, config.write_timeout());
  take_number(options.max_line, config.max_line());
  take_number(options.max_append, config.max_append());
  take_number(options.max_literals, config.max_literals());
  take_number(options.max_failed_logins, config.max_failed_logins());
  take_number(options.max_errors, config.max_errors());
  take_number(options.max_bytes_in_flight, config.max_bytes_in_flight());
  take_number(options.max_connections_per_account, config.max_connections_per_account());
  return options;
}

net::ServerHooks hooks() {
  net::ServerHooks hooks;
  hooks.accept_failed = [](const net::ListenerOptions& listener, const Error& error) {
    log::warning("imap_accept_failed", "cannot accept a connection",
                 {{"listener", listener.name}, {"error", error.describe()}});
  };
  hooks.refused = [](const net::ListenerOptions& listener, const net::Endpoint& client, const Error& error) {
    log::info("imap_connection_refused", "a connection was refused",
              {{"listener", listener.name}, {"client", client.address().to_string()}, {"error", error.describe()}});
  };
  return hooks;
}

}  // namespace

Module::Module(runtime::Process& process, const config::v1::Imap& config, std::shared_ptr<rpc::Channel> auth,
               std::shared_ptr<rpc::Channel> store, std::shared_ptr<rpc::Channel> filter)
    : process_(process),
      config_(std::make_unique<config::v1::Imap>(config)),
      auth_(std::move(auth)),
      store_(std::move(store)),
      filter_(std::move(filter)),
      options_(make_options(config)),
      probe_(process.metrics()),
      in_flight_(options_.max_bytes_in_flight) {}

Module::~Module() = default;

Task<void> Module::start() {
  MERPATI_CO_TRY(tls_, edge::load_certificate(config_->tls()));
  background_ = std::make_unique<TaskGroup>(process_.loops().main());
  std::vector<asio::io_context*> contexts;
  for (std::size_t i = 0; i < process_.loops().size(); ++i) {
    const auto executor = process_.loops().executor(i);
    auto store = std::make_shared<store::v1::StoreClient>(store_);
    Watchers watchers([this, executor, store](
                          const std::string& cell) { return std::make_unique<Watcher>(executor, store, cell, probe_); },
                      [this, executor](asio::awaitable<void> run) { background_->spawn(executor, std::move(run)); });
    loops_.push_back(std::unique_ptr<LoopState>(
        new LoopState{executor, options_, probe_, accounts_, in_flight_, revocations_, store,
                      std::make_shared<auth::v1::AuthClient>(auth_), tls_, std::move(watchers), UidSetCache(),
                      TaskGroup(executor), nullptr, nullptr}));
    auto& loop = *loops_.back();
    loop.junk_teacher = std::make_unique<JunkTeacher>(executor, probe_, store,
                                                      config_->learn_from_junk() ? filter_ : nullptr, loop.calls);
    loop.events = std::make_unique<ScriptEvents>(executor, probe_, filter_, loop.calls);
    contexts.push_back(&process_.loops().context(i));
  }
  if (tls_ != nullptr) background_->spawn(edge::watch_certificate(tls_, "imap"));
  auto handlers = rpc::on_revocation(revocations_, [this](std::int64_t account) { wake(account); });
  background_->spawn(rpc::follow_account_events(auth_, std::move(handlers)));
  server_ = std::make_unique<net::Server>(contexts, hooks());
  for (const auto& listener : config_->listeners()) MERPATI_CO_CHECK(listen(listener));
  co_return Result<void>();
}

/// Sessions look before each command whether they may go on; those in IDLE are woken to look now.
void Module::wake(std::int64_t account) {
  for (auto& loop : loops_) {
    asio::post(loop->executor, [loop = loop.get(), account] { loop->watchers.wake(account); });
  }
}

Result<void> Module::listen(const config::v1::Listener& listener) {
  MERPATI_TRY(auto options, edge::listener_options(listener, "imap", tls_));
  options.busy_reply = "* BYE [LIMIT] Too many connections\r\n";
  const ListenerTraits traits{options.tls == net::ListenerOptions::Tls::kOnDemand,
                              listener.plaintext_login_from_loopback(),
                              std::make_shared<const net::CidrSet>(options.proxy_from)};
  MERPATI_TRY(auto port,
              server_->listen(std::move(options), [this, traits](net::Stream stream) -> std::unique_ptr<net::Session> {
                return std::make_unique<Session>(std::move(stream), *loops_[runtime::Loops::current()], traits);
              }));
  ports_.push_back(port);
  return {};
}

Task<void> Module::drain(Deadline deadline) {
  if (server_ == nullptr) co_return Result<void>();
  // Idle sessions leave over the first half of what is left, so that they do not all come back at once.
  const auto spread = deadline.is_never() ? std::chrono::nanoseconds(0) : deadline.left() / 2;
  co_return co_await server_->drain(deadline, spread);
}

Task<void> Module::stop() {
  if (server_ != nullptr) {
    const auto cut = co_await server_->stop();
    if (cut.has_value() && *cut > 0) {
      probe_.cut_sessions.add(static_cast<double>(*cut));
      log::info("imap_sessions_cut", "sessions were cut at the end of the drain", {{"sessions", *cut}});
    }
  }
  if (background_ != nullptr) {
    background_->cancel();
    static_cast<void>(co_await background_->join(Deadline::after(std::chrono::seconds(2))));
  }
  for (auto& loop : loops_) {
    loop->calls.cancel();
    static_cast<void>(co_await loop->calls.join(Deadline::after(std::chrono::seconds(2))));
  }
  co_return Result<void>();
}

}  // namespace merpati::imap
