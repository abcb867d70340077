#include "queue/sender.hpp"

#include <algorithm>
#include <random>

#include "merpati/base/fail_point.hpp"
#include "merpati/base/ids.hpp"
#include "merpati/runtime/log.hpp"
#include "merpati/runtime/seldom.hpp"
#include "merpati/runtime/span.hpp"
#include "queue/bounce.hpp"
#include "queue/recipient_domain.hpp"

namespace merpati::queue {
namespace {
constexpr auto kStatementTimeout = std::chrono::seconds(30);
constexpr auto kNoticeInterval = std::chrono::milliseconds(200);
constexpr auto kLongestSleep = std::chrono::seconds(15);
constexpr std::size_t kReturnedBytes = 64 * 1024;

Deadline soon() { return Deadline::after(kStatementTimeout); }

double random_fraction() {
  static thread_local std::mt19937 random{std::random_device{}()};
  return std::uniform_real_distribution<>(0, 1)(random);
}

std::string_view name_of(Outcome::Kind kind) {
  switch (kind) {
    case Outcome::Kind::kDelivered:
      return "delivered";
    case Outcome::Kind::kTemporary:
      return "deferred";
    case Outcome::Kind::kFailed:
      return "failed";
  }
  return "";
}

void end_span(runtime::Span& span, const Result<std::vector<Outcome>>& sent) {
  if (!span.active()) return;
  if (sent.has_error()) return span.fail(sent.error());
  span.attribute("merpati.recipients", static_cast<std::int64_t>(sent->size()));
  for (const Outcome& outcome : *sent) {
    if (!outcome.host.empty()) span.attribute("server.address", outcome.host);
    if (outcome.kind != Outcome::Kind::kDelivered) span.fail(std::string(outcome.status));
    break;  // the first stands for all
  }
}

// PostgreSQL takes only UTF-8 without NUL, and a remote host may say anything.
std::string storable(std::string_view text) {
  std::string out;
  for (char c : text.substr(0, 1000)) {
    const auto byte = static_cast<unsigned char>(c);
    out.push_back(byte >= 32 && byte < 127 ? c : '?');
  }
  return out;
}
}  // namespace

Sender::Sender(asio::any_io_executor loop, Repository& repository, dns::Resolver& resolver,
               std::shared_ptr<rpc::Channel> auth, std::shared_ptr<rpc::Channel> store,
               std::shared_ptr<rpc::Channel> filter, SenderConfig config, runtime::Metrics& metrics,
               trace::Recorder* events)
    : loop_(loop),
      repository_(repository),
      resolver_(resolver),
      store_(store),
      local_(std::move(auth), store, std::move(filter), repository,
             std::chrono::duration_cast<std::chrono::seconds>(config.keep_blobs)),
      config_(std::move(config)),
      tasks_(loop),
      events_(events) {
  const auto counter = [&](const char* result) {
    return metrics.counter("merpati_queue_attempts_total", "Attempts to deliver an item, by result",
                           {{"result", result}});
  };
  delivered_ = counter("delivered");
  deferred_ = counter("deferred");
  failed_ = counter("failed");
  bounces_ = metrics.counter("merpati_queue_bounces_total", "Bounces made");
  remote_seconds_ =
      metrics.histogram("merpati_queue_remote_seconds", "One message to one destination, look-ups included",
                        {0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300});
  in_hand_gauge_ = metrics.gauge("merpati_queue_in_hand_items", "Items leased by this process");
}

void Sender::start() {
  tasks_.spawn(lease_loop());
  tasks_.spawn(heartbeat_loop());
}

Task<void> Sender::drain(Deadline deadline) {
  draining_ = true;
  look();
  while (!in_hand_.empty() && !deadline.passed()) MERPATI_CO_CHECK(co_await sleep_for(std::chrono::milliseconds(20)));
  co_return Result<void>();
}

Task<void> Sender::stop() {
  draining_ = true;
  tasks_.cancel();
  static_cast<void>(co_await tasks_.join(Deadline::after(std::chrono::seconds(5))));
  // What was cut is due again at once, elsewhere or here.
  std::vector<Finish> back;
  for (const auto& [id, lease] : in_hand_) {
    back.push_back(
        {id, lease, ItemState::kDue, std::chrono::milliseconds(0), "the process that was sending it stopped", ""});
  }
  in_hand_.clear();
  if (!back.empty()) {
    log::info("queue_leases_returned", "Deliveries were cut by the stop", {{"count", back.size()}});
    static_cast<void>(
        co_await repository_.finish(std::move(back), std::nullopt, Deadline::after(std::chrono::seconds(2))));
    static_cast<void>(co_await repository_.notify_due(Deadline::after(std::chrono::seconds(1))));
  }
  co_return Result<void>();
}

std::vector<std::string> Sender::busy() const {
  std::vector<std::string> out;
  for (const auto& [domain, destination] : destinations_) {
    if (destination.workers >= config_.parallel_per_destination && !destination.waiting.empty()) out.push_back(domain);
  }
  return out;
}

asio::awaitable<void> Sender::lease_loop() {
  auto pause = std::chrono::milliseconds(100);
  while (!draining_) {
    auto more = co_await lease_some();
    if (more.has_error()) {
      if (more.error().code() == ErrorCode::kCancelled) co_return;
      log::warning("queue_lease_failed", more.error().describe());
      if ((co_await sleep_for(pause)).has_error()) co_return;
      pause = std::min(pause * 2, std::chrono::milliseconds(5000));
      continue;
    }
    pause = std::chrono::milliseconds(100);
    const bool full = static_cast<int>(in_hand_.size()) >= config_.parallel;
    if (news_.exchange(false) && full) co_await tell_others();
    if (*more) continue;
    std::chrono::milliseconds wait = kLongestSleep;
    if (static_cast<int>(in_hand_.size()) < config_.parallel) {
      const auto due = co_await repository_.next_due(busy(), soon());
      if (due.has_value() && *due) wait = std::clamp(**due, std::chrono::milliseconds(1), wait);
    }
    const auto waited = co_await with_deadline(wakeup_.wait(), Deadline::after(wait));
    if (waited.has_error() && waited.error().code() == ErrorCode::kCancelled) co_return;
  }
}

// Seldom, because a notification takes a lock of the whole database; what is lost costs others a look at their own
// time.
asio::awaitable<void> Sender::tell_others() {
  const SteadyTime now = std::chrono::steady_clock::now();
  if (now - last_notice_ < kNoticeInterval) co_return;
  last_notice_ = now;
  static_cast<void>(co_await repository_.notify_due(soon()));
}

// True when there may be more to lease.
Task<bool> Sender::lease_some() {
  const int room = config_.parallel - static_cast<int>(in_hand_.size());
  if (room <= 0) co_return false;
  MERPATI_CO_TRY(auto jobs, co_await repository_.lease(room, busy(), soon()));
  if (!jobs.empty()) MERPATI_CO_FAIL_POINT("queue_after_lease");
  std::size_t items = 0;
  for (const Job& job : jobs) items += job.items.size();
  take(std::move(jobs));
  co_return static_cast<int>(items) >= room;
}

void Sender::take(std::vector<Job> jobs) {
  for (Job& job : jobs) {
    for (const LeasedItem& item : job.items) in_hand_[item.id] = item.lease_number;
    const std::string domain = job.items.front().domain;
    Destination& destination = destinations_[domain];
    destination.waiting.push_back(std::move(job));
    const int wanted = std::min<int>(static_cast<int>(destination.waiting.size()), config_.parallel_per_destination);
    if (destination.workers < config_.parallel_per_destination && wanted > 0) {
      ++destination.workers;
      tasks_.spawn(worker(domain));
    }
  }
  in_hand_gauge_.set(static_cast<double>(in_hand_.size()));
}

void Sender::forget(const Job& job) {
  for (const LeasedItem& item : job.items) in_hand_.erase(item.id);
  in_hand_gauge_.set(static_cast<double>(in_hand_.size()));
  look();
}

asio::awaitable<void> Sender::worker(std::string domain) {
  RemoteDelivery remote(resolver_, config_.remote, domain);
  bool cancelled = false;
  while (!cancelled) {
    Destination& destination = destinations_[domain];
    if (destination.waiting.empty()) break;
    Job job = std::move(destination.waiting.front());
    destination.waiting.pop_front();
    const Result<void> done = co_await run(job, remote);
    if (done.has_error()) {
      cancelled = done.error().code() == ErrorCode::kCancelled;
      if (!cancelled) {
        // Nothing was written: the lease runs out, and the items are tried again.
        static log::Seldom seldom;
        seldom.warning("queue_result_not_written", done.error().describe(), {{"trace_id", job.message->trace_id}});
        forget(job);
      }
      continue;
    }
    forget(job);
  }
  if (!cancelled) static_cast<void>(co_await remote.close());
  const auto found = destinations_.find(domain);
  if (found == destinations_.end()) co_return;
  --found->second.workers;
  if (found->second.workers > 0) co_return;
  if (found->second.waiting.empty()) {
    destinations_.erase(found);
  } else if (!cancelled && !draining_) {
    ++found->second.workers;
    tasks_.spawn(worker(domain));
  }
}

Task<void> Sender::run(Job& job, RemoteDelivery& remote) {
  std::vector<Outcome> outcomes(job.items.size());
  auto loaded = co_await load_content(repository_, store_, job.message, soon());
  if (loaded.has_error()) {
    if (loaded.error().code() == ErrorCode::kCancelled) co_return loaded.error();
    const bool gone = loaded.error().code() == ErrorCode::kNotFound;
    for (Outcome& o : outcomes) {
      o = gone ? Outcome::failed("5.3.0", "The message is no longer there")
               : Outcome::waiting("4.3.0", "The message cannot be read now");
    }
    co_return co_await finish(job, std::move(outcomes), nullptr);
  }
  const std::shared_ptr<Content> content = *std::move(loaded);
  std::vector<const LeasedItem*> leaving;
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < job.items.size(); ++i) {
    const LeasedItem& item = job.items[i];
    if (item.returned) {
      outcomes[i] = Outcome::failed(
          "5.0.0", "Returned by the operator" + (item.last_error.empty() ? "" : ": " + item.last_error));
      continue;
    }
    MERPATI_CO_TRY(auto local, co_await local_.deliver(item, *content));
    if (local) {
      outcomes[i] = *std::move(local);
    } else {
      leaving.push_back(&item);
      places.push_back(i);
    }
  }
  if (!leaving.empty()) {
    runtime::Span span("remote delivery", runtime::SpanKind::kClient, job.message->trace_id);
    const auto begun = std::chrono::steady_clock::now();
    auto sent = co_await remote.deliver(*job.message, leaving, *content);
    remote_seconds_.observe(std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count());
    end_span(span, sent);
    if (sent.has_error()) {
      if (sent.error().code() == ErrorCode::kCancelled) co_return sent.error();
      sent = std::vector<Outcome>(leaving.size(), Outcome::waiting("4.3.0", "The message cannot be read now"));
    }
    for (std::size_t n = 0; n < places.size(); ++n) outcomes[places[n]] = (*sent)[n];
  }
  co_return co_await finish(job, std::move(outcomes), content.get());
}

Finish Sender::finish_of(const LeasedItem& item, Outcome& outcome) {
  if (outcome.kind == Outcome::Kind::kTemporary && std::chrono::system_clock::now() >= item.expires_at) {
    outcome.kind = Outcome::Kind::kFailed;
    outcome.status = "4.4.7";  // RFC 3463: delivery time expired
    outcome.text = "Given up after " + std::to_string(item.attempts) + " attempts: " + outcome.text;
  }
  Finish out{item.id,
             item.lease_number,
             ItemState::kDue,
             std::chrono::milliseconds(0),
             storable(outcome.text),
             storable(outcome.host)};
  switch (outcome.kind) {
    case Outcome::Kind::kDelivered:
      out.state = ItemState::kDone;
      break;
    case Outcome::Kind::kFailed:
      out.state = ItemState::kFailed;
      break;
    case Outcome::Kind::kTemporary: {
      const auto age = std::chrono::system_clock::now() - item.expires_at + config_.give_up;
      out.wait = outcome.ours ? wait_for_ours(config_.retry, age, random_fraction())
                              : retry_wait(config_.retry, item.attempts, age, random_fraction());
      break;
    }
  }
  return out;
}

Task<void> Sender::finish(Job& job, std::vector<Outcome> outcomes, Content* content) {
  MERPATI_CO_FAIL_POINT("queue_before_finish");
  const Message& message = *job.message;
  std::vector<Finish> items;
  std::vector<FailedRecipient> failed;
  for (std::size_t i = 0; i < job.items.size(); ++i) {
    const LeasedItem& item = job.items[i];
    items.push_back(finish_of(item, outcomes[i]));
    const Outcome& outcome = outcomes[i];
    switch (outcome.kind) {
      case Outcome::Kind::kDelivered:
        delivered_.add();
        break;
      case Outcome::Kind::kTemporary:
        deferred_.add();
        break;
      case Outcome::Kind::kFailed:
        failed_.add();
        break;
    }
    log::info("queue_attempt_finished", outcome.text,
              {{"trace_id", message.trace_id},
               {"item", item.id},
               {"result", name_of(outcome.kind)},
               {"status", outcome.status},
               {"host", outcome.host},
               {"attempt", item.attempts}});
    if (outcome.kind == Outcome::Kind::kFailed && wants_failure_notice(item.notify)) {
      failed.push_back({item.recipient, item.original_recipient, outcome});
    }
  }
  std::optional<Bounce> bounce;
  // RFC 5321 6.1: no bounce about a bounce.
  if (!failed.empty() && !message.reverse_path.empty()) {
    std::string original = message.header_prefix;
    if (content) {
      auto beginning = co_await content->beginning(kReturnedBytes);
      if (beginning.has_value())
        original = *std::move(beginning);
      else if (beginning.error().code() == ErrorCode::kCancelled)
        co_return beginning.error();
    }
    BounceText text = compose_bounce(message, failed, original, config_.hostname, std::chrono::system_clock::now());
    bounce = Bounce{new_uuid(),    message.reverse_path, recipient_domain(message.reverse_path), std::move(text.octets),
                    text.smtputf8, message.trace_id};
    bounces_.add();
  }
  const std::string bounce_id = bounce ? bounce->delivery_id : std::string();
  MERPATI_CO_CHECK(co_await repository_.finish(std::move(items), std::move(bounce), soon()));
  MERPATI_CO_FAIL_POINT("queue_after_finish");
  for (std::size_t i = 0; i < job.items.size(); ++i) tell(message, job.items[i], outcomes[i]);
  if (!bounce_id.empty()) tell_bounced(message, bounce_id, failed.size());
  co_return Result<void>();
}

/// What became of the attempt, after the commit that says so.
void Sender::tell(const Message& message, const LeasedItem& item, const Outcome& outcome) {
  if (events_ == nullptr) return;
  const auto kind = outcome.kind == Outcome::Kind::kDelivered   ? trace::v1::KIND_SENT
                    : outcome.kind == Outcome::Kind::kTemporary ? trace::v1::KIND_DEFERRED
                                                                : trace::v1::KIND_FAILED;
  auto event = trace::event(kind, message.trace_id);
  event.set_delivery_id(message.delivery_id);
  event.set_recipient(item.recipient);
  event.set_item_id(item.id);
  event.set_attempt(item.attempts);
  event.set_status(outcome.status);
  event.set_text(outcome.text);
  event.set_peer(outcome.host);
  events_->record(std::move(event));
}

void Sender::tell_bounced(const Message& message, const std::string& bounce_id, std::size_t recipients) {
  log::info("queue_bounced", "The sender is told of the failure",
            {{"trace_id", message.trace_id}, {"delivery_id", bounce_id}, {"recipients", recipients}});
  if (events_ == nullptr) return;
  auto event = trace::event(trace::v1::KIND_BOUNCED, message.trace_id);
  event.set_delivery_id(bounce_id);
  event.set_recipient(message.reverse_path);
  events_->record(std::move(event));
}

asio::awaitable<void> Sender::heartbeat_loop() {
  for (;;) {
    if ((co_await sleep_for(config_.lease / 3)).has_error()) co_return;
    if (in_hand_.empty()) continue;
    std::vector<std::int64_t> ids, leases;
    for (const auto& [id, lease] : in_hand_) {
      ids.push_back(id);
      leases.push_back(lease);
    }
    const auto alive =
        co_await repository_.heartbeat(std::move(ids), std::move(leases), Deadline::after(config_.lease / 3));
    if (alive.has_error()) {
      if (alive.error().code() == ErrorCode::kCancelled) co_return;
      log::warning("queue_heartbeat_failed", alive.error().describe());
    }
  }
}

}  // namespace merpati::queue
