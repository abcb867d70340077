#include "filter/mailbox_events.hpp"

#include <algorithm>
#include <chrono>

#include "filter/event_flags.hpp"
#include "merpati/base/ids.hpp"
#include "merpati/base/spool.hpp"
#include "merpati/mime/header.hpp"
#include "merpati/runtime/log.hpp"
#include "merpati/store/v1/store.rpc.hpp"

namespace merpati::filter {
namespace {

constexpr std::size_t kAtOnce = 8;             // calls that run scripts in this process; others wait
constexpr std::size_t kInMemory = 1 << 20;     // octets; larger messages are read into a file
constexpr std::string_view kMemory = "imap/";  // before keys of duplicate: what deliveries remember is another matter

std::string_view name_of(v1::EventCause cause) {
  switch (cause) {
    case v1::EVENT_CAUSE_APPEND:
      return "APPEND";
    case v1::EVENT_CAUSE_COPY:
      return "COPY";
    default:
      return "FLAG";
  }
}

}  // namespace

/// One message while its scripts run.
struct MailboxEvents::Message {
  const v1::RunEventScriptsRequest& event;
  const v1::EventMessage& what;
  const std::vector<sieve::NamedScript>& scripts;
  EventTarget target;
  std::string event_id;  ///< what is remembered is claimed by
  std::string small;
  Spool spool;
  DeliveryWorld world;
  sieve::Outcome outcome;
  bool remembers = false;
};

MailboxEvents::MailboxEvents(ScriptRunner runner, Memory& memory, std::shared_ptr<rpc::Channel> store,
                             std::shared_ptr<rpc::Channel> queue, runtime::Metrics& metrics, Settings settings)
    : runner_(std::move(runner)),
      memory_(memory),
      store_(store),
      actions_(std::move(store), std::move(queue), settings.host),
      settings_(std::move(settings)),
      slots_(kAtOnce) {
  const auto counter = [&](const char* result) {
    return metrics.counter("merpati_filter_event_runs_total",
                           "Messages that scripts for IMAP events were run over, by result", {{"result", result}});
  };
  ok_ = counter("ok");
  errors_ = counter("error");
  failed_ = counter("failed");
}

Task<v1::RunEventScriptsResponse> MailboxEvents::run(const v1::RunEventScriptsRequest& event, rpc::CallOptions call,
                                                     std::string address) {
  v1::RunEventScriptsResponse response;
  const auto scripts = scripts_for(settings_.scripts, event);
  if (scripts.empty()) co_return response;
  MERPATI_CO_TRY(const auto place, co_await slots_.enter());
  MERPATI_CO_TRY(const auto rows, co_await read_rows(event, call));
  for (const auto& row : rows) {
    const auto what = std::find_if(event.messages().begin(), event.messages().end(),
                                   [&](const auto& one) { return one.uid() == row.uid(); });
    if (what == event.messages().end()) continue;
    Message message{event, *what, scripts, {}, new_uuid(), {}, {}, {}, {}, false};
    message.target.call = call;
    message.target.address = address;
    auto done = co_await run_one(message, row);
    if (done.has_error() && done.error().code() == ErrorCode::kCancelled) co_return std::move(done).error();
    // Another command took it away: that is no failure.
    if (done.has_error() && done.error().code() == ErrorCode::kNotFound && message.target.octets.empty()) continue;
    tell(message, done);
    if (done.has_value() && !message.outcome.error)
      response.set_ran(response.ran() + 1);
    else
      response.set_failed(response.failed() + 1);
  }
  co_return response;
}

Task<std::vector<store::v1::MessageRow>> MailboxEvents::read_rows(const v1::RunEventScriptsRequest& event,
                                                                  rpc::CallOptions call) {
  store::v1::FetchMessagesRequest request;
  request.set_account_id(call.account_id);
  request.set_mailbox_id(event.mailbox_id());
  std::vector<std::uint32_t> uids;
  for (const auto& message : event.messages()) uids.push_back(message.uid());
  std::ranges::sort(uids);
  for (const auto uid : uids) add_uid(uid, *request.mutable_uids());
  request.mutable_mask()->set_flags(true);
  request.mutable_mask()->set_received_at(true);
  request.mutable_mask()->set_size(true);
  store::v1::StoreClient store(store_);
  std::vector<store::v1::MessageRow> rows;
  for (;;) {
    MERPATI_CO_TRY(auto page, co_await store.read_messages(request, call));
    for (auto& row : *page.mutable_rows()) rows.push_back(std::move(row));
    const auto next = page.next_uid();
    if (next == 0) break;
    auto& ranges = *request.mutable_uids();
    while (!ranges.empty() && ranges[0].first() < next) ranges.DeleteSubrange(0, 1);
    if (ranges.empty()) break;
  }
  co_return rows;
}

Task<void> MailboxEvents::read(Message& message, const store::v1::MessageRow& row) {
  auto& target = message.target;
  target.mailbox_id = message.event.mailbox_id();
  target.uid = row.uid();
  target.flags = sieve::flags_for_scripts(flag_names(row.flags(), row.keywords()));
  target.received_at_ms = row.received_at_ms();
  target.zone_minutes = row.received_zone_minutes();
  target.whole = row.size() <= settings_.max_scanned_size;
  if (!target.whole) {
    MERPATI_CO_TRY(message.small, co_await read_header(message));
    target.octets = message.small;
    target.header_size = target.octets.size();
    co_return Result<void>();
  }
  store::v1::StreamContentRequest request;
  request.set_account_id(target.call.account_id);
  request.set_mailbox_id(target.mailbox_id);
  request.mutable_range()->set_uid(target.uid);
  store::v1::StoreClient store(store_);
  MERPATI_CO_TRY(auto reader, co_await store.stream_content(request, target.call));
  const bool in_file = row.size() > kInMemory;
  if (in_file) MERPATI_CO_CHECK(message.spool.open());
  for (;;) {
    MERPATI_CO_TRY(auto chunk, co_await reader->read());
    if (!chunk) break;
    if (in_file) {
      MERPATI_CO_CHECK(message.spool.add(chunk->chunk()));
    } else {
      message.small += chunk->chunk();
    }
    if (std::max(message.small.size(), message.spool.size()) > settings_.max_scanned_size + kInMemory)
      co_return Error(ErrorCode::kInternal, "the message is larger than its row says");
  }
  target.octets = message.small;
  if (in_file) {
    MERPATI_CO_TRY(target.octets, message.spool.view());
  }
  target.header_size = mime::header_block_size(target.octets);
  co_return Result<void>();
}

Task<std::string> MailboxEvents::read_header(const Message& message) {
  store::v1::FetchMessagesRequest request;
  request.set_account_id(message.target.call.account_id);
  request.set_mailbox_id(message.target.mailbox_id);
  add_uid(message.target.uid, *request.mutable_uids());
  request.mutable_mask()->set_header(true);
  store::v1::StoreClient store(store_);
  MERPATI_CO_TRY(auto page, co_await store.read_messages(request, message.target.call));
  if (page.rows().empty()) co_return Error(ErrorCode::kNotFound, "the message is gone");
  co_return std::move(*page.mutable_rows(0)->mutable_header());
}

Task<void> MailboxEvents::run_one(Message& message, const store::v1::MessageRow& row) {
  MERPATI_CO_CHECK(co_await read(message, row));
  prepare_world(message);
  auto done = co_await run_scripts(message);
  // What an error left undone is the message as it is.
  if (done.has_value() && !message.outcome.error) {
    done = co_await actions_.apply(message.outcome, message.world, message.target);
    if (done.has_value()) done = co_await remember(message);
  }
  if (message.remembers) {
    const bool counts = done.has_value() && !message.outcome.error;
    auto settled = co_await memory_.settle(message.event_id, std::nullopt, counts, message.target.call.deadline);
    if (done.has_value() && settled.has_error()) done = std::move(settled).error();
  }
  co_return done;
}

void MailboxEvents::prepare_world(Message& message) const {
  using namespace std::chrono;
  auto& world = message.world;
  const auto& address = message.target.address;
  world.at = duration_cast<seconds>(WallTime::clock::now().time_since_epoch()).count();
  world.addresses = {address};
  world.global_scripts = &settings_.global;
  world.lists = &settings_.lists;
  // RFC 5183 4.1, RFC 6785 4
  const auto at = address.rfind('@');
  world.items["domain"] = at == std::string::npos ? std::string() : address.substr(at + 1);
  world.items["host"] = settings_.host;
  world.items["location"] = "MS";
  world.items["phase"] = "post";
  world.items["imap.user"] = address;
  world.items["imap.email"] = address;
  world.items["imap.cause"] = name_of(message.event.cause());
  world.items["imap.mailbox"] = message.event.mailbox();
  auto& changed = world.items["imap.changedflags"];
  for (const auto& flag : message.what.changed_flags()) changed.append(changed.empty() ? "" : " ").append(flag);
}

Task<void> MailboxEvents::run_scripts(Message& message) {
  sieve::RunOptions options;
  options.limits = settings_.limits;
  options.imap_event = true;
  options.flags = message.target.flags;
  auto& world = message.world;
  const auto& call = message.target.call;
  const sieve::Envelope no_envelope{};
  for (int round = 0;; ++round) {
    message.outcome = co_await runner_.execute(message.scripts, message.target.octets, no_envelope, world, options);
    if (!world.wants_something()) break;
    if (round == kMostScriptRounds) co_return Error(ErrorCode::kInternal, "a script asks for ever more");
    if (world.wants_mailboxes) MERPATI_CO_CHECK(co_await runner_.fetch_mailboxes(world, call));
    if (!world.wanted_includes.empty())
      MERPATI_CO_CHECK(co_await runner_.fetch_includes(world, call.account_id, call.deadline));
    if (!world.wanted_memory.empty()) MERPATI_CO_CHECK(co_await fetch_memory(message));
  }
  if (!world.mailboxes && needs_mailboxes(message.outcome))
    MERPATI_CO_CHECK(co_await runner_.fetch_mailboxes(world, call));
  co_return Result<void>();
}

Task<void> MailboxEvents::fetch_memory(Message& message) {
  std::vector<Claim> claims;
  for (const auto& key : message.world.wanted_memory)
    claims.push_back({message.target.call.account_id, MemoryKind::kDuplicate, std::string(kMemory) + key, 0, false});
  message.remembers = true;
  MERPATI_CO_TRY(const auto claimed, co_await memory_.claim(message.event_id, claims, message.target.call.deadline));
  // What another event holds whose end is not known does not count yet.
  std::size_t at = 0;
  for (const auto& key : message.world.wanted_memory) message.world.remembered[key] = claimed[at++].seen;
  message.world.wanted_memory.clear();
  co_return Result<void>();
}

Task<void> MailboxEvents::remember(Message& message) {
  std::vector<Claim> claims;
  for (const auto& [key, seconds] : message.outcome.remember)
    claims.push_back(
        {message.target.call.account_id, MemoryKind::kDuplicate, std::string(kMemory) + key, seconds, true});
  if (claims.empty()) co_return Result<void>();
  MERPATI_CO_CHECK(co_await memory_.claim(message.event_id, claims, message.target.call.deadline));
  co_return Result<void>();
}

void MailboxEvents::tell(const Message& message, const Result<void>& done) {
  const auto& error = message.outcome.error;
  const bool failed = done.has_error() || error;
  std::string what = "done";
  if (done.has_error())
    what = done.error().describe();
  else if (error)
    what = error->script + ":" + std::to_string(error->at.line) + ": " + error->message;
  if (!failed)
    ok_.add();
  else if (done.has_error() || error->temporary)
    failed_.add();
  else
    errors_.add();
  const auto trace = message.target.trace_id();
  const log::Fields fields = {{"trace_id", trace},
                              {"account_id", message.target.call.account_id},
                              {"cause", name_of(message.event.cause())},
                              {"mailbox_id", message.target.mailbox_id},
                              {"uid", message.target.uid},
                              {"script", message.scripts.front().name},
                              {"actions", message.outcome.actions.size()}};
  if (failed)
    log::warning("filter_event_failed", what, fields);
  else
    log::info("filter_event_ran", what, fields);
}

}  // namespace merpati::filter
