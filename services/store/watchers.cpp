#include "store/watchers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <mutex>
#include <unordered_map>
#include <unordered_set>

#include "merpati/base/encoding.hpp"
#include "merpati/base/wakeup.hpp"
#include "merpati/pg/listener.hpp"
#include "store/core.hpp"

namespace merpati::store {
namespace {

using namespace std::chrono_literals;
constexpr const char* kChannel = "merpati_store";
constexpr std::size_t kPayloadOctets = 7000;  // NOTIFY takes less than 8,000
constexpr std::size_t kMostPending = 100'000;
constexpr std::size_t kRecheckAccounts = 500;  // of one statement
constexpr auto kCoalesce = 10ms;

using Changes = std::map<std::pair<std::int64_t, std::int64_t>, std::uint64_t>;

void merge(Changes& into, const ChangeEvent& event) {
  const auto [at, fresh] = into.emplace(std::pair(event.account, event.mailbox), event.modseq);
  if (fresh) return;
  // 0 says "changed, look yourself" and must not be hidden by an older number.
  at->second = at->second == 0 || event.modseq == 0 ? 0 : std::max(at->second, event.modseq);
}

}  // namespace

struct Watchers::Impl : std::enable_shared_from_this<Watchers::Impl> {
  struct Stream final : Subscription {
    explicit Stream(std::shared_ptr<Impl> hub) : hub(std::move(hub)) {}
    ~Stream() override {
      std::lock_guard lock(hub->mutex);
      for (const auto& [account, one] : accounts) hub->forget(account, this);
      std::erase(hub->streams, this);
    }
    void add(std::int64_t account, std::uint64_t serial) override {
      std::lock_guard lock(hub->mutex);
      if (accounts.emplace(account, true).second) hub->by_account[account].push_back(this);
      if (serial == 0) return;
      begun.emplace_back(account, serial);
      wakeup.notify();
    }
    void remove(std::int64_t account) override {
      std::lock_guard lock(hub->mutex);
      if (accounts.erase(account) > 0) hub->forget(account, this);
    }
    Task<Batch> next() override {
      for (;;) {
        {
          std::lock_guard lock(hub->mutex);
          if (!pending.empty() || !begun.empty() || resync || draining) {
            Batch batch;
            batch.begun = std::exchange(begun, {});
            for (const auto& [key, modseq] : pending) batch.events.push_back({key.first, key.second, modseq});
            pending.clear();
            batch.resync = std::exchange(resync, false);
            batch.draining = std::exchange(draining, false);
            co_return batch;
          }
        }
        MERPATI_CO_CHECK(co_await wakeup.wait());
      }
    }
    // Under the hub's lock.
    void tell(const ChangeEvent& event) {
      if (pending.size() >= kMostPending) {
        pending.clear();
        resync = true;
      }
      merge(pending, event);
      wakeup.notify();
    }

    std::shared_ptr<Impl> hub;
    std::unordered_map<std::int64_t, bool> accounts;
    std::vector<std::pair<std::int64_t, std::uint64_t>> begun;
    Changes pending;
    bool resync = false, draining = false;
    Wakeup wakeup;
  };

  explicit Impl(Core& c) : core(c), replica(to_hex(random_bytes(8))) {}

  // Under the lock.
  void forget(std::int64_t account, Stream* stream) {
    auto found = by_account.find(account);
    if (found == by_account.end()) return;
    std::erase(found->second, stream);
    if (found->second.empty()) by_account.erase(found);
  }
  void tell(const ChangeEvent& event) {
    const auto found = by_account.find(event.account);
    if (found == by_account.end()) return;
    told.insert(event.account);
    for (auto* stream : found->second) stream->tell(event);
  }

  void heard(std::string_view payload) {
    const auto semicolon = payload.find(';');
    if (semicolon == std::string_view::npos || payload.substr(0, semicolon) == replica) return;
    payload.remove_prefix(semicolon + 1);
    std::lock_guard lock(mutex);
    while (!payload.empty()) {
      const auto end = std::min(payload.find(';'), payload.size());
      const auto item = payload.substr(0, end);
      payload.remove_prefix(std::min(end + 1, payload.size()));
      ChangeEvent event;
      const auto* stop = item.data() + item.size();
      auto at = std::from_chars(item.data(), stop, event.account);
      if (at.ptr != stop) at = std::from_chars(at.ptr + 1, stop, event.mailbox);
      if (at.ptr != stop) std::from_chars(at.ptr + 1, stop, event.modseq);
      tell(event);
    }
  }

  void everybody_resyncs() {
    std::lock_guard lock(mutex);
    for (auto* stream : streams) {
      stream->resync = true;
      stream->wakeup.notify();
    }
  }

  asio::awaitable<void> tell_replicas() {
    // synchronous_commit off for this transaction: losing a notification is harmless, waiting for the disk is not.
    static const pg::Statement kNotify{
        "store_notify",
        "select pg_notify('merpati_store', $1)::text where set_config('synchronous_commit', 'off', true) is not null"};
    auto self = shared_from_this();
    for (;;) {
      auto woken = co_await outgoing_wakeup.wait();
      if (woken.has_error()) co_return;
      auto slept = co_await sleep_for(kCoalesce);
      if (slept.has_error()) co_return;
      Changes changes;
      {
        std::lock_guard lock(mutex);
        changes.swap(outgoing);
      }
      auto at = changes.begin();
      while (at != changes.end()) {
        std::string payload = replica;
        for (; at != changes.end() && payload.size() < kPayloadOctets; ++at)
          payload += fmt::format(";{}:{}:{}", at->first.first, at->first.second, at->second);
        pg::Params params;
        params.text(payload);
        auto told_them = co_await core.pool.write(kNotify, std::move(params), Deadline::after(5s));
        if (told_them.has_error() && told_them.error().code() == ErrorCode::kCancelled) co_return;
        if (told_them.has_error()) break;
      }
    }
  }

  /// The slow timer: what changed although nobody told of it.
  asio::awaitable<void> recheck_for_ever() {
    auto self = shared_from_this();
    for (;;) {
      auto slept = co_await sleep_for(core.settings.watch_recheck);
      if (slept.has_error()) co_return;
      auto done = co_await recheck();
      if (done.has_error() && done.error().code() == ErrorCode::kCancelled) co_return;
    }
  }

  Task<void> recheck() {
    static const pg::Statement kDigest{
        "store_watch_digest",
        "select account_id, (sum(highest_modseq) + sum(uid_validity))::bigint from mailboxes "
        "where account_id = any ($1) group by account_id"};
    std::vector<std::int64_t> accounts;
    std::unordered_map<std::int64_t, std::int64_t> before, now;
    {
      std::lock_guard lock(mutex);
      for (const auto& [account, listeners] : by_account) accounts.push_back(account);
      before.swap(digests);
    }
    for (std::size_t at = 0; at < accounts.size(); at += kRecheckAccounts) {
      const auto end = std::min(accounts.size(), at + kRecheckAccounts);
      pg::Params params;
      params.bigints(std::vector(accounts.begin() + static_cast<std::ptrdiff_t>(at),
                                 accounts.begin() + static_cast<std::ptrdiff_t>(end)));
      MERPATI_CO_TRY(auto rows, co_await core.pool.query(kDigest, std::move(params), Deadline::after(20s)));
      for (const auto row : rows) now[row.bigint(0)] = row.bigint(1);
    }
    std::vector<std::int64_t> missed;
    {
      std::lock_guard lock(mutex);
      for (const auto& [account, digest] : now) {
        const auto old = before.find(account);
        if (old != before.end() && old->second != digest && !told.contains(account)) missed.push_back(account);
      }
      told.clear();
      digests = std::move(now);
    }
    co_return co_await tell_missed(std::move(missed));
  }

  Task<void> tell_missed(std::vector<std::int64_t> accounts) {
    static const pg::Statement kModseqs{
        "store_watch_modseqs", "select account_id, id, highest_modseq from mailboxes where account_id = any ($1)"};
    if (accounts.empty()) co_return Result<void>();
    pg::Params params;
    params.bigints(accounts);
    MERPATI_CO_TRY(auto rows, co_await core.pool.query(kModseqs, std::move(params), Deadline::after(20s)));
    std::lock_guard lock(mutex);
    for (const auto account : accounts) tell({account, 0, 0});
    for (const auto row : rows) tell({row.bigint(0), row.bigint(1), static_cast<std::uint64_t>(row.bigint(2))});
    co_return Result<void>();
  }

  Core& core;
  const std::string replica;
  mutable std::mutex mutex;
  std::unordered_map<std::int64_t, std::vector<Stream*>> by_account;
  std::vector<Stream*> streams;
  Changes outgoing;
  std::unordered_set<std::int64_t> told;                   // since the last recheck
  std::unordered_map<std::int64_t, std::int64_t> digests;  // of watched accounts, at the last recheck
  bool listening = false;
  Wakeup outgoing_wakeup;
  std::unique_ptr<pg::Listener> listener;
};

Watchers::Watchers(Core& core) : impl_(std::make_shared<Impl>(core)) {}
Watchers::~Watchers() = default;

void Watchers::start(asio::any_io_executor loop, std::string session_dsn) {
  pg::Listener::Handlers handlers;
  const std::weak_ptr<Impl> weak = impl_;
  handlers.notified = [weak](std::string_view, std::string_view payload) {
    if (auto self = weak.lock()) self->heard(payload);
  };
  handlers.connected = [weak, first = true]() mutable {
    auto self = weak.lock();
    if (self && !std::exchange(first, false)) self->everybody_resyncs();
  };
  impl_->listener = std::make_unique<pg::Listener>(loop, std::move(session_dsn), std::vector<std::string>{kChannel},
                                                   std::move(handlers));
  impl_->listener->start();
  impl_->listening = true;
  impl_->core.group.spawn(loop, impl_->tell_replicas());
  impl_->core.group.spawn(loop, impl_->recheck_for_ever());
}

void Watchers::stop() {
  if (impl_->listener) impl_->listener->close();
}

void Watchers::drain() {
  std::lock_guard lock(impl_->mutex);
  for (auto* stream : impl_->streams) {
    stream->draining = true;
    stream->wakeup.notify();
  }
}

void Watchers::changed(std::int64_t account, std::int64_t mailbox, std::uint64_t modseq) {
  const ChangeEvent event{account, mailbox, modseq};
  bool wake = false;
  {
    std::lock_guard lock(impl_->mutex);
    impl_->tell(event);
    if (impl_->listening) {
      wake = impl_->outgoing.empty();
      merge(impl_->outgoing, event);
    }
  }
  if (wake) impl_->outgoing_wakeup.notify();
}

std::shared_ptr<Subscription> Watchers::subscribe() {
  auto stream = std::make_shared<Impl::Stream>(impl_);
  std::lock_guard lock(impl_->mutex);
  impl_->streams.push_back(stream.get());
  return stream;
}

std::size_t Watchers::watched() const {
  std::lock_guard lock(impl_->mutex);
  return impl_->by_account.size();
}

}  // namespace merpati::store
