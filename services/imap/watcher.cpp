#include "imap/watcher.hpp"

#include <algorithm>

#include "merpati/runtime/log.hpp"
#include "merpati/store/v1/store.pb.h"
#include "merpati/store/v1/store.rpc.hpp"

namespace merpati::imap {

Watcher::Watcher(asio::any_io_executor executor, std::shared_ptr<store::v1::StoreClient> store, std::string cell,
                 const Probe& probe)
    : executor_(executor), store_(std::move(store)), cell_(std::move(cell)), probe_(probe), wake_writer_(executor) {}

Watcher::~Watcher() = default;

Watcher::Subscription::~Subscription() { watcher_.forget(this); }

void Watcher::Subscription::notify(std::uint64_t modseq) {
  if (modseq == 0) {
    stale_ = true;
  } else {
    known_modseq_ = std::max(known_modseq_, modseq);
  }
  if (wake_) wake_();
}

std::unique_ptr<Watcher::Subscription> Watcher::watch(std::int64_t account, const std::string& token,
                                                      std::int64_t mailbox) {
  auto& entry = accounts_[account];
  if (entry.subscriptions.empty() || entry.token != token) {
    entry.token = token;
    request(account, entry);
  }
  std::unique_ptr<Subscription> subscription(new Subscription(*this, account, mailbox));
  entry.subscriptions.push_back(subscription.get());
  return subscription;
}

void Watcher::renew(std::int64_t account, const std::string& token) {
  const auto found = accounts_.find(account);
  if (found == accounts_.end() || found->second.token == token) return;
  found->second.token = token;
  request(account, found->second);
}

void Watcher::wake(std::int64_t account) {
  const auto found = accounts_.find(account);
  if (found == accounts_.end()) return;
  const auto all = found->second.subscriptions;  // one that wakes may end, and another begin
  for (auto* subscription : all) subscription->notify(0);
}

void Watcher::forget(Subscription* subscription) {
  const auto found = accounts_.find(subscription->account_);
  if (found == accounts_.end()) return;
  std::erase(found->second.subscriptions, subscription);
  if (!found->second.subscriptions.empty()) return;
  stop(subscription->account_);
  accounts_.erase(found);
}

bool Watcher::told_of(std::int64_t account) const {
  const auto found = accounts_.find(account);
  return connected_ && found != accounts_.end() && found->second.begun;
}

void Watcher::request(std::int64_t id, Account& account) {
  if (!connected_) return;  // everything is sent anew after connecting
  account.serial = ++serial_;
  auto& request = outgoing_.emplace_back();
  request.set_account_id(id);
  request.set_token(account.token);
  request.set_serial(account.serial);
  wake_writer_.cancel();
}

void Watcher::stop(std::int64_t account) {
  if (!connected_) return;
  auto& request = outgoing_.emplace_back();
  request.set_account_id(account);
  request.set_stop(true);
  wake_writer_.cancel();
}

// What happened before is told by nobody: whoever has compared until now compares once more.
void Watcher::begun(Account& account) {
  account.begun = true;
  const auto all = account.subscriptions;  // one that wakes may end, and another begin
  for (auto* subscription : all) {
    if (subscription->stale_ && subscription->wake_) subscription->wake_();
  }
}

void Watcher::handle(const store::v1::WatchResponse& event) {
  if (event.resync()) return wake_all();
  const auto found = accounts_.find(event.account_id());
  if (found == accounts_.end()) return;
  if (event.begun() != 0) {
    if (event.begun() == found->second.serial) begun(found->second);
    return;
  }
  // A wake-up may end a session's interest in it, so the list is copied.
  const auto subscriptions = found->second.subscriptions;
  for (auto* subscription : subscriptions) {
    if (subscription->mailbox_ == event.mailbox_id()) subscription->notify(event.highest_modseq());
  }
}

void Watcher::wake_all() {
  std::vector<Subscription*> all;
  for (auto& [account, entry] : accounts_)
    all.insert(all.end(), entry.subscriptions.begin(), entry.subscriptions.end());
  for (auto* subscription : all) subscription->notify(0);
}

template <class Stream>
asio::awaitable<void> Watcher::read_events(Stream& stream) {
  for (;;) {
    auto event = co_await stream.read();
    if (event.has_error() || !event->has_value()) co_return;
    if ((*event)->draining()) co_return;  // another replica takes over
    handle(**event);
  }
}

template <class Stream>
asio::awaitable<void> Watcher::write_requests(Stream& stream) {
  for (;;) {
    while (!outgoing_.empty()) {
      auto request = std::move(outgoing_.front());
      outgoing_.pop_front();
      const auto written = co_await stream.write(std::move(request));
      if (written.has_error()) co_return;
    }
    wake_writer_.expires_at(SteadyTime::max());
    co_await wake_writer_.async_wait(kAwait);
    const auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none) co_return;
  }
}

asio::awaitable<void> Watcher::run_once() {
  using namespace asio::experimental::awaitable_operators;
  rpc::CallOptions options;
  options.cell = cell_;
  auto stream = co_await store_->watch(options);
  if (stream.has_error()) {
    log::debug("imap_watch_failed", "cannot watch the store", {{"error", stream.error().describe()}});
    co_return;
  }
  connected_ = true;
  outgoing_.clear();
  for (auto& [account, entry] : accounts_) {
    entry.begun = false;
    request(account, entry);
  }
  wake_all();
  co_await (read_events(**stream) || write_requests(**stream));
  (*stream)->cancel();
}

asio::awaitable<void> Watcher::run() {
  co_await asio::this_coro::throw_if_cancelled(false);
  auto pause = std::chrono::milliseconds(100);
  for (;;) {
    const auto began = std::chrono::steady_clock::now();
    co_await run_once();
    const bool was_connected = connected_;
    connected_ = false;
    const auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none) co_return;
    if (was_connected) {
      probe_.watch_reconnects.add();
      wake_all();
    }
    const bool lasted = std::chrono::steady_clock::now() - began > std::chrono::seconds(10);
    pause = lasted ? std::chrono::milliseconds(100) : std::min(pause * 2, std::chrono::milliseconds(5000));
    const auto slept = co_await sleep_for(pause);
    if (slept.has_error()) co_return;
  }
}

}  // namespace merpati::imap
