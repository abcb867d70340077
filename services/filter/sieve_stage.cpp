#include "filter/sieve_stage.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "filter/forwarding.hpp"
#include "filter/rpc/verdict_answer.hpp"
#include "filter/sieve_actions.hpp"
#include "filter/store_upload.hpp"
#include "merpati/base/encoding.hpp"
#include "merpati/base/ids.hpp"
#include "merpati/runtime/log.hpp"

namespace merpati::filter {
namespace {

constexpr std::size_t kInlineTotal = 256 * 1024;  // octets of edited messages in one answer; more go to the store
constexpr std::size_t kSentTotal = 1 << 20;       // octets of composed messages in one answer
constexpr std::int64_t kErrorSeconds = 30 * 24 * 3600;

// A delivery that holds a memory and says nothing: how long others wait, or take it for granted, before the store is
// asked.
constexpr int kWaits = 20;
constexpr auto kWait = std::chrono::milliseconds(100);
constexpr double kSureSeconds = 60;  // as long as the queue holds mail before it asks

constexpr std::array<std::string_view, 7> kActionNames = {"keep",     "fileinto", "redirect", "reject",
                                                          "vacation", "notify",   "report"};
static_assert(std::variant_size_v<decltype(sieve::Action::what)> == kActionNames.size());

bool may_run(v1::Decision decision) { return decision == v1::DECISION_ACCEPT || decision == v1::DECISION_JUNK; }

std::string domain_of(const std::string& address) {
  const auto at = address.rfind('@');
  return at == std::string::npos ? std::string() : address.substr(at + 1);
}

/// What a script that no longer compiles does: as one that fails at its begin.
sieve::Outcome outcome_of_broken(const std::string& name) {
  sieve::Outcome out;
  out.actions.push_back({{}, 0, sieve::Keep{true, {}}});
  out.versions.push_back({});
  out.error = sieve::RuntimeError{{1, 1}, name, "the script has errors: store it again to see them", false};
  return out;
}

}  // namespace

int spam_percent(double score, const Thresholds& thresholds) {
  const double junk = thresholds.junk > 0 ? thresholds.junk : thresholds.refuse / 2;
  const double refuse = thresholds.refuse > junk ? thresholds.refuse : junk * 2;
  if (score <= 0 || junk <= 0) return 0;
  const double percent = score < junk ? 50 * score / junk : 50 + 50 * (score - junk) / (refuse - junk);
  return static_cast<int>(std::clamp(percent, 0.0, 100.0));
}

/// One message on its way through.
struct SieveStage::Message {
  const v1::CheckMessageRequest& request;
  v1::CheckMessageResponse& response;
  rpc::CallOptions call;
  std::string delivery_id, trace_id;
  std::int64_t now = 0;
  bool seen_whole = false;  ///< otherwise scripts see the header alone
  std::optional<ScriptedMessage> scripted;
};

/// The scripts of one recipient.
struct SieveStage::Run {
  int index = 0;  ///< in the request and the response
  const v1::FilterRecipient* recipient = nullptr;
  bool junk = false;
  std::string own_name, own_hash;
  ScriptCache::Compiled own;
  DeliveryWorld world;
  sieve::Outcome outcome;
  std::vector<Claim> claims;  ///< besides those of duplicate, which were taken when they were asked for
  std::set<std::size_t> silent;
  bool remembers = false;  ///< the memory holds something for this delivery
  bool tell_error = false;
};

/// Edited forms of the message that one recipient's actions need.
class SieveStage::Bodies {
 public:
  Task<void> make(const Run& run, const ScriptedMessage& message, store::v1::StoreClient store, rpc::CallOptions call,
                  std::size_t& inline_octets) {
    for (const auto& action : run.outcome.actions) {
      const auto version = action.version;
      if (version == 0 || made_.contains(version)) continue;
      std::string octets = message.in_version(run.outcome.versions[version]);
      auto& body = made_[version];
      if (octets.size() <= kSmallMessage && inline_octets + octets.size() <= kInlineTotal) {
        inline_octets += octets.size();
        body.set_inline_(std::move(octets));
        continue;
      }
      MERPATI_CO_TRY(*body.mutable_blob_id(), co_await upload(store, std::move(octets), call));
    }
    co_return Result<void>();
  }
  const store::v1::Body& of(std::size_t version) const { return made_.at(version); }

 private:
  std::map<std::size_t, store::v1::Body> made_;
};

SieveStage::SieveStage(Scripts& scripts, Memory& memory, ScriptCache& cache, std::shared_ptr<rpc::Channel> auth,
                       std::shared_ptr<rpc::Channel> store, asio::thread_pool& blocking, runtime::Metrics& metrics,
                       Settings settings)
    : scripts_(scripts),
      memory_(memory),
      cache_(cache),
      store_(std::move(store)),
      blocking_(blocking),
      runner_(scripts, cache, std::move(auth), store_, blocking),
      settings_(std::move(settings)) {
  const auto action = [&](std::string_view name) {
    return metrics.counter("merpati_filter_sieve_actions_total", "What Sieve scripts did with messages, by action",
                           {{"action", std::string(name)}});
  };
  for (std::size_t i = 0; i < kActionNames.size(); ++i) actions_[i] = action(kActionNames[i]);
  discards_ = action("discard");
  const auto runs = [&](const char* result) {
    return metrics.counter("merpati_filter_sieve_runs_total",
                           "Messages that a recipient's Sieve scripts saw, by result", {{"result", result}});
  };
  ok_ = runs("ok");
  errors_ = runs("error");
  temporary_ = runs("temporary");
  seconds_ = metrics.histogram("merpati_filter_sieve_seconds", "The Sieve scripts of one recipient over one message",
                               runtime::Metrics::latency_bounds());
}

std::vector<SieveStage::Run> SieveStage::candidates(const Message& message) const {
  std::vector<Run> runs;
  if (!may_run(message.response.decision())) return runs;
  for (int i = 0; i < message.request.recipients_size(); ++i) {
    const auto& recipient = message.request.recipients(i);
    const auto decision = message.response.recipients(i).decision();
    if (recipient.account_id() == 0 || !may_run(decision)) continue;
    auto& run = runs.emplace_back();
    run.index = i;
    run.recipient = &recipient;
    run.junk = decision == v1::DECISION_JUNK;
  }
  return runs;
}

/// Leaves the runs of those who have scripts.
Task<void> SieveStage::fetch_scripts(const Message& message, std::vector<Run>& runs) {
  std::vector<std::int64_t> accounts;
  std::vector<std::string> hashes;
  std::map<std::int64_t, ScriptCache::Known> known;
  for (const auto& run : runs) {
    const auto account = run.recipient->account_id();
    if (!known.emplace(account, cache_.of_account(account)).second) continue;
    accounts.push_back(account);
    hashes.push_back(known[account].hash);
  }
  MERPATI_CO_TRY(auto active, co_await scripts_.active(std::move(accounts), std::move(hashes), message.call.deadline));
  std::map<std::int64_t, ActiveScript*> found;
  for (auto& script : active) found[script.account_id] = &script;
  for (auto& run : runs) {
    const auto at = found.find(run.recipient->account_id());
    if (at == found.end()) continue;
    const auto& script = *at->second;
    run.own_name = script.name;
    run.own_hash = script.hash;
    if (!script.source) {
      run.own = known[script.account_id].script;
    } else if (script.source->size() <= 4096) {
      run.own = cache_.get(script.hash, *script.source);
    } else {
      auto compile = [this, &script] { return cache_.get(script.hash, *script.source); };
      run.own = co_await run_blocking(blocking_, std::move(compile));
    }
    cache_.remember(script.account_id, script.hash);
  }
  if (settings_.before.empty() && settings_.after.empty())
    std::erase_if(runs, [](const Run& run) { return run.own_hash.empty(); });
  co_return Result<void>();
}

void SieveStage::prepare_world(const Message& message, Run& run) const {
  auto& world = run.world;
  const auto& transaction = message.request.transaction();
  world.at = message.now;
  world.addresses = {run.recipient->address()};
  world.global_scripts = &settings_.global;
  world.lists = &settings_.lists;
  // RFC 5183 4.1
  world.items["domain"] = domain_of(run.recipient->recipient());
  world.items["host"] = settings_.host;
  world.items["location"] = "MDA";
  world.items["phase"] = "during";
  world.items["imap.user"] = "";  // RFC 6785 4.2
  world.items["imap.email"] = "";
  if (!transaction.client_address().empty()) world.items["remote-ip"] = transaction.client_address();
  // RFC 5235 2.1, 3.1: what was not looked at was not tested
  if (!message.request.scripts_only()) {
    const auto& verdict = message.response.recipients(run.index);
    const bool own = verdict.has_judgement();
    world.spam = spam_percent(own ? verdict.judgement().score() : message.response.score(),
                              from_proto(own ? verdict.judgement().thresholds() : message.response.thresholds()));
  }
  for (const auto& engine : message.response.engines())
    if (engine.engine() == "clamd" && engine.checked()) world.virus = 1;
  for (const auto& symbol : message.response.symbols()) {
    if (symbol.name() == "CLAMD" && symbol.not_checked()) world.virus = 0;
    if (symbol.name() == "VIRUS" && !symbol.not_checked()) world.virus = 5;
  }
}

/// One run over the message, without effects.
asio::awaitable<sieve::Outcome> SieveStage::execute(const Message& message, Run& run) {
  if (run.own == nullptr && !run.own_hash.empty()) co_return outcome_of_broken(run.own_name);
  std::vector<sieve::NamedScript> scripts = settings_.before;
  if (run.own) scripts.push_back({run.own_name, run.own});
  scripts.insert(scripts.end(), settings_.after.begin(), settings_.after.end());
  const auto& transaction = message.request.transaction();
  sieve::Envelope envelope;
  envelope.from = transaction.reverse_path();
  envelope.to = run.recipient->recipient();
  envelope.auth = transaction.authenticated_address();
  sieve::RunOptions options;
  options.limits = settings_.limits;
  co_return co_await runner_.execute(scripts, message.scripted->octets(), envelope, run.world, options);
}

Task<void> SieveStage::run(const Message& message, Run& run) {
  prepare_world(message, run);
  const auto start = std::chrono::steady_clock::now();
  for (int round = 0;; ++round) {
    run.outcome = co_await execute(message, run);
    if (!run.world.wants_something()) break;
    if (round == kMostScriptRounds) co_return Error(ErrorCode::kInternal, "a script asks for ever more");
    MERPATI_CO_CHECK(co_await fetch_wanted(message, run));
  }
  seconds_.observe(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  // A place to file into may be named by what only the store knows.
  if (!run.world.mailboxes && needs_mailboxes(run.outcome)) MERPATI_CO_CHECK(co_await fetch_mailboxes(message, run));
  co_return Result<void>();
}

Task<void> SieveStage::fetch_wanted(const Message& message, Run& run) {
  if (run.world.wants_mailboxes) MERPATI_CO_CHECK(co_await fetch_mailboxes(message, run));
  if (!run.world.wanted_includes.empty())
    MERPATI_CO_CHECK(co_await runner_.fetch_includes(run.world, run.recipient->account_id(), message.call.deadline));
  if (!run.world.wanted_addresses.empty())
    MERPATI_CO_CHECK(co_await runner_.fetch_addresses(run.world, run.recipient->account_id(), message.call.deadline));
  if (!run.world.wanted_memory.empty()) MERPATI_CO_CHECK(co_await fetch_memory(message, run));
  co_return Result<void>();
}

Task<void> SieveStage::fetch_mailboxes(const Message& message, Run& run) {
  auto call = message.call;
  call.account_id = run.recipient->account_id();
  call.cell = run.recipient->cell();
  co_return co_await runner_.fetch_mailboxes(run.world, std::move(call));
}

Task<void> SieveStage::fetch_memory(const Message& message, Run& run) {
  std::vector<Claim> claims;
  for (const auto& key : run.world.wanted_memory)
    claims.push_back({run.recipient->account_id(), MemoryKind::kDuplicate, key, 0, false});
  std::vector<const Run*> owners(claims.size(), &run);
  MERPATI_CO_TRY(const auto seen, co_await ask_memory(message, std::move(owners), claims));
  for (std::size_t i = 0; i < claims.size(); ++i) run.world.remembered[claims[i].key] = seen[i];
  run.world.wanted_memory.clear();
  run.remembers = true;
  co_return Result<void>();
}

/// Takes what does not count yet, for this delivery. True for each that counts already.
Task<std::vector<bool>> SieveStage::ask_memory(const Message& message, std::vector<const Run*> owners,
                                               std::vector<Claim> claims) {
  if (!is_uuid(message.delivery_id))
    co_return Error(ErrorCode::kInvalidArgument, "a script remembers messages, and the delivery id is no UUID");
  for (int round = 0;; ++round) {
    MERPATI_CO_TRY(const auto claimed, co_await memory_.claim(message.delivery_id, claims, message.call.deadline));
    bool again = false, waits = false;
    std::vector<bool> seen(claims.size());
    for (std::size_t i = 0; i < claims.size(); ++i) {
      seen[i] = claimed[i].seen;
      if (claimed[i].holder.empty() || (claimed[i].seen && !claims[i].anyway)) continue;
      const bool exact = claims[i].kind == MemoryKind::kDuplicate;
      if (!exact && claimed[i].held_seconds < kSureSeconds) {
        seen[i] = true;
        continue;
      }
      again = true;
      if (exact && round < kWaits && claimed[i].held_seconds < kSureSeconds) {
        waits = true;
        continue;
      }
      MERPATI_CO_CHECK(co_await resolve(message, *owners[i], claims[i], claimed[i].holder));
    }
    if (!again) co_return seen;
    if (round == kMostScriptRounds) co_return Error(ErrorCode::kUnavailable, "what was remembered is held by others");
    if (waits) MERPATI_CO_CHECK(co_await sleep_for(kWait));
  }
}

/// Another delivery holds the memory and nobody said how it ended: the store knows. If it was not stored it never will
/// be: the store takes care of that.
Task<void> SieveStage::resolve(const Message& message, const Run& owner, const Claim& claim, std::string holder) {
  store::v1::ResolveDeliveryRequest request;
  request.set_delivery_id(holder);
  request.set_account_id_of_recipient(claim.account_id);
  auto call = message.call;
  call.account_id = claim.account_id;
  call.cell = owner.recipient->cell();
  store::v1::StoreClient store(store_);
  MERPATI_CO_TRY(const auto response, co_await store.resolve_delivery(request, call));
  MERPATI_CO_CHECK(co_await memory_.settle(holder, claim.account_id, response.committed(), message.call.deadline));
  log::info("filter_memory_resolved", "the store was asked how a delivery ended",
            {{"delivery_id", holder}, {"committed", response.committed()}});
  co_return Result<void>();
}

/// Vacation notices that are due, errors that are to be told, and for how long duplicates count.
Task<void> SieveStage::claim(const Message& message, std::vector<Run>& runs) {
  std::vector<Claim> claims;
  std::vector<const Run*> owners;
  std::vector<std::pair<Run*, std::optional<std::size_t>>> meant;  // an index of vacation; none: an error or duplicate
  const auto add = [&](Run& run, Claim claim, std::optional<std::size_t> vacation) {
    claims.push_back(std::move(claim));
    owners.push_back(&run);
    meant.emplace_back(&run, vacation);
    run.remembers = true;
  };
  for (auto& run : runs) {
    const auto account = run.recipient->account_id();
    if (const auto index = vacation_of(run.outcome, run.junk)) {
      const auto& reply = std::get<sieve::Vacation>(run.outcome.actions[*index].what);
      // RFC 6131 2: with 0 seconds every message is answered
      if (reply.seconds > 0) add(run, {account, MemoryKind::kVacation, reply.key, reply.seconds, false}, index);
    }
    for (const auto& [key, seconds] : run.outcome.remember)
      add(run, {account, MemoryKind::kDuplicate, key, seconds, true}, std::nullopt);
    // What an operator's script does wrong is no matter of the account's owner; scripts that it includes are.
    const bool own = run.outcome.error && !run.own_hash.empty() &&
                     (run.outcome.error->script == run.own_name || run.outcome.error->script.starts_with("personal/"));
    if (own) add(run, {account, MemoryKind::kError, run.own_hash, kErrorSeconds, false}, std::nullopt);
  }
  if (claims.empty()) co_return Result<void>();
  MERPATI_CO_TRY(const auto seen, co_await ask_memory(message, owners, claims));
  for (std::size_t i = 0; i < claims.size(); ++i) {
    auto& [run, vacation] = meant[i];
    if (vacation && seen[i]) run->silent.insert(*vacation);
    if (claims[i].kind == MemoryKind::kError) run->tell_error = !seen[i];
  }
  co_return Result<void>();
}

void SieveStage::tell(const Message& message, const Run& run) {
  if (run.outcome.error) {
    errors_.add();
  } else {
    ok_.add();
  }
  std::string names;
  for (const auto& action : run.outcome.actions) {
    actions_[action.what.index()].add();
    names.append(names.empty() ? "" : ", ").append(kActionNames[action.what.index()]);
  }
  if (run.outcome.discarded) discards_.add();
  log::info("filter_sieve_ran", run.outcome.discarded ? "discard" : names,
            {{"trace_id", message.trace_id},
             {"delivery_id", message.delivery_id},
             {"account_id", run.recipient->account_id()},
             {"script", run.own_name},
             {"steps", run.outcome.steps}});
}

/// Puts the outcomes into the answer.
void SieveStage::conclude(const Message& message, std::vector<Run>& runs, const std::vector<Bodies>& bodies) {
  std::size_t refusing = 0;
  for (const auto& run : runs) refusing += refusal_of(run.outcome) != nullptr;
  for (const auto& verdict : message.response.recipients()) refusing += verdict.decision() == v1::DECISION_REFUSE;
  const bool all_refuse = refusing == static_cast<std::size_t>(message.response.recipients_size());
  const auto& transaction = message.request.transaction();
  std::size_t sent_octets = 0;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    auto& run = runs[i];
    Occasion occasion{settings_.host,
                      run.recipient->address(),
                      transaction.reverse_path(),
                      message.scripted->header(),
                      message.seen_whole ? message.scripted->octets() : std::string_view(),
                      message.now};
    ActionContext context{occasion,
                          run.world,
                          run.recipient->recipient(),
                          forwarded_sender(transaction.reverse_path(), transaction.authenticated_account_id() != 0,
                                           run.recipient->address(), settings_.srs ? &*settings_.srs : nullptr,
                                           WallTime(std::chrono::seconds(message.now))),
                          run.junk,
                          all_refuse,
                          run.silent,
                          [&](std::size_t version) -> const store::v1::Body& { return bodies[i].of(version); }};
    auto& verdict = *message.response.mutable_recipients(run.index);
    apply_outcome(run.outcome, context, verdict);
    if (run.tell_error) {
      if (verdict.actions().empty()) verdict.add_actions()->mutable_file_into();
      auto& send = *verdict.add_actions()->mutable_send();
      send.add_recipients(run.recipient->address());
      send.set_message(compose_error_notice(*run.outcome.error, occasion));
    }
    for (const auto& action : verdict.actions()) sent_octets += action.send().message().size();
    if (sent_octets > kSentTotal) {
      // More than one answer can carry; the rest of these is not worth refusing the message.
      auto& actions = *verdict.mutable_actions();
      for (int at = actions.size() - 1; at >= 0; --at)
        if (actions[at].has_send() && refusal_of(run.outcome) == nullptr) actions.DeleteSubrange(at, 1);
      log::warning("filter_sieve_answers_left_out", "one message has too many recipients that answer it",
                   {{"delivery_id", message.delivery_id}, {"account_id", run.recipient->account_id()}});
    }
    if (run.remembers) message.response.set_settle(true);
    tell(message, run);
  }
}

Task<void> SieveStage::apply(const v1::CheckMessageRequest& request, const MessageView& view, rpc::CallOptions call,
                             v1::CheckMessageResponse& response) {
  using namespace std::chrono;
  Message message{
      request, response,   std::move(call), request.transaction().delivery_id(), request.transaction().trace_id(),
      0,       view.whole, std::nullopt};
  message.now = duration_cast<seconds>(system_clock::now().time_since_epoch()).count();
  auto runs = candidates(message);
  if (runs.empty()) co_return Result<void>();
  MERPATI_CO_CHECK(co_await fetch_scripts(message, runs));
  if (runs.empty()) co_return Result<void>();
  MERPATI_CO_TRY(message.scripted,
                 ScriptedMessage::make(view.header_block, view.whole ? view.message : view.header_block,
                                       response.edits(), request.header_prefix()));
  for (auto& one : runs) {
    MERPATI_CO_CHECK(co_await run(message, one));
    if (!one.outcome.error) continue;
    const auto& error = *one.outcome.error;
    log::warning("filter_sieve_failed", error.message,
                 {{"trace_id", message.trace_id},
                  {"delivery_id", message.delivery_id},
                  {"account_id", one.recipient->account_id()},
                  {"script", error.script},
                  {"line", error.at.line},
                  {"temporary", error.temporary}});
    if (!error.temporary) continue;
    temporary_.add();
    co_return Error(ErrorCode::kUnavailable, "what a script asked for cannot be had now: " + error.message);
  }
  MERPATI_CO_CHECK(co_await claim(message, runs));
  std::vector<Bodies> bodies(runs.size());
  std::size_t inline_octets = 0;
  auto upload = message.call;
  upload.cell = request.cell();
  for (std::size_t i = 0; i < runs.size(); ++i)
    MERPATI_CO_CHECK(
        co_await bodies[i].make(runs[i], *message.scripted, store::v1::StoreClient(store_), upload, inline_octets));
  conclude(message, runs, bodies);
  co_return Result<void>();
}

Task<void> SieveStage::settle(std::string delivery_id, bool taken, Deadline deadline) {
  if (!is_uuid(delivery_id)) co_return Error(ErrorCode::kInvalidArgument, "delivery_id is not a UUID");
  co_return co_await memory_.settle(std::move(delivery_id), std::nullopt, taken, deadline);
}

}  // namespace merpati::filter
