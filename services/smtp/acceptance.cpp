#include "smtp/acceptance.hpp"

#include <algorithm>
#include <set>

#include "merpati/runtime/log.hpp"
#include "merpati/runtime/seldom.hpp"
#include "smtp/edits.hpp"
#include "smtp/filter_reply.hpp"
#include "smtp/verdict_event.hpp"

namespace merpati::smtp {
namespace {

constexpr auto kWholeTime = std::chrono::minutes(2);
constexpr auto kSettle = std::chrono::seconds(2);

std::int64_t milliseconds_now() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace

Acceptance::Acceptance(Parts parts)
    : parts_(std::move(parts)),
      site_(parts_.site),
      transaction_(parts_.transaction),
      delivery_id_(parts_.transaction.id),
      deadline_(Deadline::after(kWholeTime)),
      received_at_ms_(milliseconds_now()),
      source_(parts_.buffer),
      received_(parts_.received),
      reverse_path_(parts_.transaction.reverse_path) {}

const auth::v1::Recipient* Acceptance::first_local() const {
  const auto found = std::find_if(targets_.begin(), targets_.end(), [](const auto& t) { return t.local != nullptr; });
  return found == targets_.end() ? nullptr : found->local;
}

rpc::CallOptions Acceptance::options() const {
  rpc::CallOptions options;
  options.deadline = deadline_;
  options.trace_id = transaction_.trace_id;
  if (const auto* account = first_local()) options.account_id = account->claims().account_id();
  options.cell = cell_;
  return options;
}

/// RFC 6409 8: what a submitted message lacks is filled in.
void Acceptance::fill_in_missing() {
  source_.prepend(
      lacking_fields(source_.header(), parts_.received.date, transaction_.id + "@" + site_.policy.hostname));
}

Task<Reply> Acceptance::run() {
  auto reply = co_await accept();
  // Of an error nobody knows what became of it; the filter asks the store when it matters.
  if (settle_ && reply.has_value()) co_await settle(reply->positive());
  co_return reply;
}

/// Before the client hears of it, so that the next message finds what this one's scripts remember.
asio::awaitable<void> Acceptance::settle(bool taken) {
  filter::v1::SettleMessageRequest request;
  request.set_delivery_id(transaction_.id);
  request.set_taken(taken);
  auto call = options();
  call.deadline = deadline_.within(kSettle);
  const auto settled = co_await site_.filter.settle_message(request, call);
  static log::Seldom seldom;
  if (settled.has_error())
    seldom.warning("smtp_settle_failed", settled.error().describe(), {{"delivery_id", transaction_.id}});
}

Task<Reply> Acceptance::accept() {
  find_targets();
  if (const auto* account = first_local()) cell_ = account->claims().cell();
  MERPATI_CO_CHECK(co_await source_.load_header());
  if (parts_.milters.header) source_.set_header(*parts_.milters.header);
  if (parts_.sender_account_id != 0) fill_in_missing();
  if (site_.events) message_id_ = message_id_of(source_.header());
  size_ = source_.size();
  if (const auto decided = decided_by_milters()) co_return *decided;
  if (source_.is_small()) {
    message_ = source_.take_whole();
  } else {
    const auto upload_options = options();
    MERPATI_CO_TRY(blob_id_, co_await source_.upload(site_, source_.header(), upload_options));
  }
  auto verdict = co_await ask_filter();
  if (verdict.has_error()) {
    if (!parts_.accept_unfiltered) co_return std::move(verdict).error();
    prepended_ = "X-Merpati-Filter: unchecked\r\n";
    verdict_ = "unchecked";
  } else if (auto refusal = apply_verdicts(*verdict)) {
    co_return *refusal;
  }
  if (body_.source_case() == store::v1::Body::SOURCE_NOT_SET) {
    MERPATI_CO_TRY(body_, co_await make_body(edits_));
  }
  MERPATI_CO_CHECK(co_await fill_delivery());
  MERPATI_CO_CHECK(co_await fill_queue());
  co_return co_await commit();
}

/// The reply, where a milter has refused the message or wants it dropped.
std::optional<Reply> Acceptance::decided_by_milters() {
  const auto& milters = parts_.milters;
  if (milters.refusal) {
    verdict_ = milters.refusal->permanent() ? "refuse" : "temporary";
    return milters.refusal;
  }
  if (milters.discarded_by.empty()) return std::nullopt;
  verdict_ = "discard";
  for (auto& target : targets_) {
    target.discard = true;
    target.verdict.mutable_reply()->set_text(milters.discarded_by);
  }
  return accepted();
}

/// The message before milters changed it.
Task<filter::v1::ReceivedMessage> Acceptance::as_received() {
  const auto& received = *parts_.milters.received;
  filter::v1::ReceivedMessage out;
  if (received.reverse_path) out.set_reverse_path(*received.reverse_path);
  out.set_header(received.header);
  if (!received.whole) co_return out;
  MessageSource source(received.whole->buffer);
  MERPATI_CO_CHECK(co_await source.load_header());
  source.set_header(received.header);
  out.set_size(source.size());
  if (source.is_small()) {
    out.set_message(source.take_whole());
  } else {
    const auto call = options();
    MERPATI_CO_TRY(*out.mutable_blob_id(), co_await source.upload(site_, source.header(), call));
  }
  co_return out;
}

/// Every account once, whatever number of its addresses the transaction names; every address elsewhere once.
void Acceptance::find_targets() {
  std::set<std::int64_t> accounts;
  std::set<std::string> addresses;
  for (const auto& recipient : transaction_.recipients) {
    if (!recipient.local) {
      if (addresses.insert(recipient.address).second)
        targets_.push_back({nullptr, recipient.address, {}, false, recipient.discard, {}});
      continue;
    }
    for (const auto& account : recipient.local->recipients())
      if (accounts.insert(account.claims().account_id()).second)
        targets_.push_back({&account, recipient.address, {}, recipient.junk, recipient.discard, {}});
    for (const auto& remote : recipient.local->remote_addresses())
      if (addresses.insert(remote).second)
        targets_.push_back({nullptr, remote, recipient.address, false, recipient.discard, {}});
  }
}

Task<filter::v1::CheckMessageResponse> Acceptance::ask_filter() {
  filter::v1::CheckMessageRequest request;
  *request.mutable_transaction() = parts_.filter_view;
  for (const auto& target : targets_) {
    auto& recipient = *request.add_recipients();
    recipient.set_recipient(target.address);
    recipient.set_alias(target.alias);
    if (target.local == nullptr) continue;
    recipient.set_account_id(target.local->claims().account_id());
    recipient.set_detail(target.local->claims().detail());
    recipient.set_address(target.local->claims().address());
    recipient.set_cell(target.local->claims().cell());
  }
  if (blob_id_.empty()) {
    request.set_message(std::move(message_));
  } else {
    request.set_header(std::string(source_.header()));
    request.set_blob_id(blob_id_);
  }
  request.set_cell(cell_);
  request.set_size(size_);
  request.set_results_checked(parts_.milters.results_checked);
  if (parts_.milters.received) {
    auto received = co_await as_received();
    if (received.has_error()) {
      message_ = std::move(*request.mutable_message());
      co_return std::move(received).error();
    }
    *request.mutable_received() = *std::move(received);
  }
  const auto call = options();
  auto verdict = co_await site_.filter.check_message(request, call);
  message_ = std::move(*request.mutable_message());
  co_return verdict;
}

/// The filter breaks its contract: a mistake of ours, that a later try may not meet.
Reply Acceptance::confused(const char* why) const {
  log::error("smtp_filter_confused", why, {{"delivery_id", transaction_.id}});
  return {451, "4.3.0", "Temporary error, try again later"};
}

/// The refusal of the whole message, if that is what the filter wants.
std::optional<Reply> Acceptance::apply_verdicts(filter::v1::CheckMessageResponse& verdict) {
  if (site_.events) {
    verdict_ = in_words(verdict);
    std::vector<std::string> addresses;
    for (const auto& target : targets_) addresses.push_back(target.address);
    judged_ = verdict_of(verdict, addresses);
  }
  settle_ = verdict.settle();
  scripted_ = true;
  if (auto refusal = filter_refusal(verdict.decision(), verdict.reply())) return refusal;
  message_junk_ = verdict.decision() == filter::v1::DECISION_JUNK;
  if (verdict.decision() == filter::v1::DECISION_DISCARD) {
    const bool told = verdict.recipients_size() == static_cast<int>(targets_.size());
    for (std::size_t i = 0; i < targets_.size(); ++i) {
      targets_[i].discard = true;
      if (told) targets_[i].verdict = std::move(*verdict.mutable_recipients(static_cast<int>(i)));
    }
    return accepted();
  }
  edits_ = std::move(*verdict.mutable_edits());
  prepended_ = prepended(edits_);
  if (verdict.has_reverse_path()) reverse_path_ = verdict.reverse_path();
  if (verdict.has_body()) {
    body_ = std::move(*verdict.mutable_body());
    if (edits_body(edits_)) return confused("it edits the header of a message that it gave a new body");
  }
  if (verdict.recipients_size() == 0) return std::nullopt;
  if (verdict.recipients_size() != static_cast<int>(targets_.size()))
    return confused("it answered for another number of recipients");
  std::size_t refused = 0;
  std::optional<Reply> last_refusal;
  for (std::size_t i = 0; i < targets_.size(); ++i) {
    auto& target = targets_[i];
    target.verdict = std::move(*verdict.mutable_recipients(static_cast<int>(i)));
    if (auto refusal = filter_refusal(target.verdict.decision(), target.verdict.reply())) {
      // Nobody has it yet: the client tries again for all, or hears that it cannot be sent as it is.
      if (!refusal->permanent() || target.local == nullptr) return refusal;
      ++refused;
      last_refusal = refusal;
      target.junk = true;  // a refusal that not all share files into Junk
      target.verdict.clear_actions();
    }
    // What is said of a recipient stands above what is said of the message.
    if (target.verdict.decision() == filter::v1::DECISION_UNSPECIFIED) target.junk = target.junk || message_junk_;
    if (target.verdict.decision() == filter::v1::DECISION_JUNK) target.junk = true;
    if (target.verdict.decision() == filter::v1::DECISION_DISCARD) target.discard = true;
    const bool anew = body_.source_case() != store::v1::Body::SOURCE_NOT_SET || target.verdict.has_body();
    if (anew && edits_body(target.verdict.edits()))
      return confused("it edits the header of a message that it gave a new body");
  }
  message_junk_ = false;
  if (refused == targets_.size()) return last_refusal;
  return std::nullopt;
}

void Acceptance::conclude(const Reply& reply) {
  const auto client = parts_.received.client.to_string();
  log::info(reply.positive() ? "smtp_message_accepted" : "smtp_message_refused", reply.text,
            {{"trace_id", transaction_.trace_id},
             {"delivery_id", transaction_.id},
             {"code", reply.code},
             {"size", size_},
             {"recipients", transaction_.recipients.size()},
             {"client", client},
             {"account_id", parts_.sender_account_id}});
  if (!site_.events) return;
  auto event =
      trace::event(reply.positive() ? trace::v1::KIND_RECEIVED : trace::v1::KIND_REFUSED, transaction_.trace_id);
  event.set_at_us(received_at_ms_ * 1000);  // before what came of it
  event.set_delivery_id(transaction_.id);
  event.set_message_id(message_id_);
  event.set_reverse_path(transaction_.reverse_path);
  event.set_account_id(parts_.sender_account_id);
  event.set_code(reply.code);
  event.set_status(reply.enhanced);
  event.set_text(reply.text);
  event.set_peer("[" + client + "] " + parts_.received.helo);
  event.set_size(static_cast<std::int64_t>(size_));
  event.set_detail(parts_.received.protocol + (verdict_.empty() ? "" : ", verdict " + verdict_));
  if (judged_) *event.mutable_verdict() = std::move(*judged_);
  if (!parts_.milters.answers.empty()) {
    if (!judged_) event.mutable_verdict()->set_decision(verdict_);
    add_milters(parts_.milters.answers, *event.mutable_verdict());
  }
  site_.events->record(std::move(event));
  if (reply.positive()) tell_discarded();
}

/// Nobody else will hear of a copy that was dropped.
void Acceptance::tell_discarded() {
  for (const auto& target : targets_) {
    if (!target.discard) continue;
    auto event = trace::event(trace::v1::KIND_DISCARDED, transaction_.trace_id);
    event.set_delivery_id(transaction_.id);
    event.set_recipient(target.address);
    if (target.local != nullptr) event.set_account_id(target.local->claims().account_id());
    const auto& verdict = target.verdict;
    const bool script = verdict.decision() == filter::v1::DECISION_DISCARD && verdict.reply().text().empty();
    event.set_text(script ? "by the recipient's script" : verdict.reply().text());
    site_.events->record(std::move(event));
  }
}

}  // namespace merpati::smtp
