#include "imap/script_events.hpp"

#include <algorithm>

#include "merpati/filter/v1/mailbox_events.rpc.hpp"
#include "merpati/imap/mailbox_name.hpp"
#include "merpati/runtime/seldom.hpp"
#include "merpati/runtime/span.hpp"

namespace merpati::imap {
namespace {

using namespace std::chrono_literals;

constexpr auto kKnownFor = 60s;
constexpr auto kAskAgain = 5s;  // after a failure
constexpr auto kAskTime = 2s;
constexpr auto kPatience = 5s;             // of a command
constexpr std::size_t kAtOnce = 100;       // messages in one call
constexpr auto kCallTime = 60s;            // of those
constexpr std::size_t kMostRunning = 100;  // commands whose scripts run

}  // namespace

/// Shared by a command and what runs for it.
struct ScriptEvents::Progress {
  explicit Progress(const asio::any_io_executor& executor) : done(executor) {}
  bool ended = false;
  asio::steady_timer done;
};

ScriptEvents::ScriptEvents(asio::any_io_executor executor, const Probe& probe, std::shared_ptr<rpc::Channel> filter,
                           TaskGroup& tasks)
    : executor_(std::move(executor)),
      probe_(probe),
      filter_(filter ? std::make_shared<filter::v1::MailboxEventsClient>(std::move(filter)) : nullptr),
      tasks_(tasks) {}

Task<bool> ScriptEvents::wanted(filter::v1::EventCause cause, const std::string& mailbox,
                                const std::string& from_mailbox) {
  if (filter_ == nullptr) co_return false;
  if (!asking_ && SteadyTime::clock::now() >= ask_at_) {
    asking_ = true;
    tasks_.spawn(executor_, ask());
  }
  // Until the first answer nobody knows; later ones are not waited for.
  while (!known_ && asking_) MERPATI_CO_CHECK(co_await sleep_for(5ms));
  co_return is_meant(cause, mailbox, from_mailbox);
}

asio::awaitable<void> ScriptEvents::ask() {
  co_await asio::this_coro::throw_if_cancelled(false);
  const filter::v1::ListEventScriptsRequest request;
  rpc::CallOptions call;
  call.deadline = Deadline::after(kAskTime);
  auto answer = co_await filter_->list_event_scripts(request, call);
  asking_ = false;
  if (answer.has_value()) {
    scripts_ = *std::move(answer);
    known_ = true;
    ask_at_ = SteadyTime::clock::now() + kKnownFor;
    co_return;
  }
  ask_at_ = SteadyTime::clock::now() + kAskAgain;
  static log::Seldom seldom;
  if (const auto left_out = seldom.due())
    log::info("imap_event_scripts_unknown", answer.error().describe(), {{"left_out", *left_out}});
}

bool ScriptEvents::is_meant(filter::v1::EventCause cause, const std::string& mailbox,
                            const std::string& from_mailbox) const {
  return std::any_of(scripts_.scripts().begin(), scripts_.scripts().end(), [&](const auto& script) {
    const auto& causes = script.causes();
    if (!causes.empty() && std::find(causes.begin(), causes.end(), cause) == causes.end()) return false;
    if (!matches_pattern(script.mailbox(), mailbox)) return false;
    if (script.from_mailbox().empty()) return true;
    return cause == filter::v1::EVENT_CAUSE_COPY && matches_pattern(script.from_mailbox(), from_mailbox);
  });
}

asio::awaitable<void> ScriptEvents::happened(MailboxEvent event) {
  if (event.messages.size() > kMostMessages) {
    probe_.events_dropped.add(static_cast<double>(event.messages.size() - kMostMessages));
    event.messages.resize(kMostMessages);
  }
  if (event.messages.empty()) co_return;
  if (running_ >= kMostRunning) {
    probe_.events_dropped.add(static_cast<double>(event.messages.size()));
    co_return;
  }
  if (event.call.trace_id.empty()) event.call.trace_id = runtime::new_trace_id();
  auto progress = std::make_shared<Progress>(executor_);
  progress->done.expires_after(kPatience);
  ++running_;
  tasks_.spawn(executor_, run(std::move(event), progress));
  if (!progress->ended) co_await progress->done.async_wait(kAwait);
}

asio::awaitable<void> ScriptEvents::run(MailboxEvent event, std::shared_ptr<Progress> progress) {
  co_await asio::this_coro::throw_if_cancelled(false);
  const auto done = co_await run_all(event);
  --running_;
  progress->ended = true;
  progress->done.cancel();
  if (done.has_value()) co_return;
  static log::Seldom seldom;
  if (const auto left_out = seldom.due())
    log::warning("imap_event_scripts_not_run", done.error().describe(),
                 {{"account_id", event.call.account_id}, {"left_out", *left_out}});
}

Task<void> ScriptEvents::run_all(const MailboxEvent& event) {
  filter::v1::RunEventScriptsRequest request;
  request.set_account_id(event.call.account_id);
  request.set_cause(event.cause);
  request.set_mailbox_id(event.mailbox_id);
  request.set_mailbox(event.mailbox);
  request.set_from_mailbox(event.from_mailbox);
  for (std::size_t at = 0; at < event.messages.size(); at += kAtOnce) {
    const auto end = std::min(event.messages.size(), at + kAtOnce);
    request.clear_messages();
    for (auto i = at; i < end; ++i) *request.add_messages() = event.messages[i];
    auto call = event.call;
    call.deadline = Deadline::after(kCallTime);
    auto ran = co_await filter_->run_event_scripts(request, call);
    if (ran.has_error()) {
      // What else waits will not fare better.
      probe_.events_failed.add(static_cast<double>(event.messages.size() - at));
      co_return std::move(ran).error();
    }
    probe_.events_ran.add(ran->ran());
    probe_.events_failed.add(ran->failed());
  }
  co_return Result<void>();
}

}  // namespace merpati::imap
