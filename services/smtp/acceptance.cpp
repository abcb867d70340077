#include "smtp/acceptance.hpp"

#include <algorithm>
#include <set>

#include "merpati/base/fail_point.hpp"
#include "merpati/base/ids.hpp"
#include "merpati/runtime/log.hpp"
#include "smtp/edits.hpp"
#include "smtp/filter_reply.hpp"

namespace merpati::smtp {
namespace {

using store::v1::DeliverResult;

constexpr auto kWholeTime = std::chrono::minutes(2);
constexpr auto kOneDelivery = std::chrono::seconds(25);

std::int64_t milliseconds_now() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

/// May the call have been carried out all the same?
bool is_ambiguous(const Error& error) {
  switch (error.code()) {
    case ErrorCode::kUnavailable:
    case ErrorCode::kDeadlineExceeded:
    case ErrorCode::kCancelled:
    case ErrorCode::kUnknown:
    case ErrorCode::kAborted:
    case ErrorCode::kInternal:
      return true;
    default:
      return false;
  }
}

bool has_copy(const DeliverResult& result) {
  return result.status() == DeliverResult::STATUS_DELIVERED || result.status() == DeliverResult::STATUS_DUPLICATE;
}

}  // namespace

Acceptance::Acceptance(Parts parts)
    : parts_(std::move(parts)),
      site_(parts_.site),
      transaction_(parts_.transaction),
      deadline_(Deadline::after(kWholeTime)),
      received_at_ms_(milliseconds_now()),
      source_(parts_.buffer),
      received_(parts_.received),
      reverse_path_(parts_.transaction.reverse_path) {}

rpc::CallOptions Acceptance::options() const {
  rpc::CallOptions options;
  options.deadline = deadline_;
  options.trace_id = transaction_.trace_id;
  for (const auto& target : targets_) {
    if (target.local == nullptr) continue;
    options.account_id = target.local->claims().account_id();
    break;
  }
  return options;
}

/// RFC 6409 8: what a submitted message lacks is filled in.
void Acceptance::fill_in_missing() {
  std::string added;
  if (!has_field(source_.header(), "date")) added.append("Date: ").append(parts_.received.date).append("\r\n");
  if (!has_field(source_.header(), "message-id"))
    added.append("Message-ID: <").append(transaction_.id).append("@").append(site_.policy.hostname).append(">\r\n");
  source_.prepend(added);
}

Task<Reply> Acceptance::run() {
  find_targets();
  MERPATI_CO_CHECK(co_await source_.load_header());
  if (parts_.sender_account_id != 0) fill_in_missing();
  size_ = source_.size();
  if (source_.is_small()) {
    message_ = source_.take_whole();
  } else {
    const auto upload_options = options();
    MERPATI_CO_TRY(blob_id_, co_await source_.upload(site_, source_.header(), upload_options));
  }
  auto verdict = co_await ask_filter();
  if (verdict.has_error()) {
    if (!site_.policy.accept_unfiltered) co_return std::move(verdict).error();
    prepended_ = "X-Merpati-Filter: unchecked\r\n";
  } else if (auto refusal = apply_verdicts(*verdict)) {
    log_outcome(*refusal);
    co_return *refusal;
  }
  if (body_.source_case() == store::v1::Body::SOURCE_NOT_SET) {
    MERPATI_CO_TRY(body_, co_await make_body(edits_));
  }
  MERPATI_CO_CHECK(co_await fill_delivery());
  MERPATI_CO_CHECK(co_await fill_queue());
  MERPATI_CO_TRY(auto reply, co_await commit());
  log_outcome(reply);
  co_return reply;
}

/// Every account once, whatever number of its addresses the transaction names; every address elsewhere once.
void Acceptance::find_targets() {
  std::set<std::int64_t> accounts;
  std::set<std::string> addresses;
  for (const auto& recipient : transaction_.recipients) {
    if (!recipient.local) {
      if (addresses.insert(recipient.address).second)
        targets_.push_back({nullptr, recipient.address, false, recipient.discard});
      continue;
    }
    for (const auto& account : recipient.local->recipients())
      if (accounts.insert(account.claims().account_id()).second)
        targets_.push_back({&account, recipient.address, recipient.junk, recipient.discard});
    for (const auto& remote : recipient.local->remote_addresses())
      if (addresses.insert(remote).second) targets_.push_back({nullptr, remote, false, recipient.discard});
  }
}

Task<filter::v1::CheckMessageResponse> Acceptance::ask_filter() {
  filter::v1::CheckMessageRequest request;
  *request.mutable_transaction() = parts_.filter_view;
  for (const auto& target : targets_) {
    auto& recipient = *request.add_recipients();
    recipient.set_recipient(target.address);
    if (target.local == nullptr) continue;
    recipient.set_account_id(target.local->claims().account_id());
    recipient.set_detail(target.local->claims().detail());
    recipient.set_address(target.local->claims().address());
  }
  if (blob_id_.empty()) {
    request.set_message(std::move(message_));
  } else {
    request.set_header(std::string(source_.header()));
    request.set_blob_id(blob_id_);
  }
  request.set_size(size_);
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
  if (auto refusal = filter_refusal(verdict.decision(), verdict.reply())) return refusal;
  message_junk_ = verdict.decision() == filter::v1::DECISION_JUNK;
  if (verdict.decision() == filter::v1::DECISION_DISCARD) return Reply{250, "2.0.0", "Ok: " + transaction_.id};
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
    if (target.verdict.decision() == filter::v1::DECISION_JUNK) target.junk = true;
    if (target.verdict.decision() == filter::v1::DECISION_DISCARD) target.discard = true;
    const bool anew = body_.source_case() != store::v1::Body::SOURCE_NOT_SET || target.verdict.has_body();
    if (anew && edits_body(target.verdict.edits()))
      return confused("it edits the header of a message that it gave a new body");
  }
  if (refused == targets_.size()) return last_refusal;
  return std::nullopt;
}

/// Hold what leaves, deliver what stays, release. The delivery decides; without one the enqueue does.
Task<Reply> Acceptance::commit() {
  const bool leaves = outbound_.recipients_size() > 0;
  const auto call = options();
  if (leaves) {
    MERPATI_CO_CHECK(co_await site_.queue.enqueue(outbound_, call));
    MERPATI_CO_FAIL_POINT("smtp_after_enqueue");
  }
  if (deliveries_.empty()) co_return Reply{250, "2.0.0", "Ok: " + transaction_.id};
  MERPATI_CO_TRY(auto reply, co_await deliver_cells());
  MERPATI_CO_FAIL_POINT("smtp_after_deliver");
  if (leaves && reply.positive()) {
    MERPATI_CO_CHECK(co_await let_go());
    MERPATI_CO_FAIL_POINT("smtp_after_release");
  } else if (leaves) {
    queue::v1::DropRequest drop;
    drop.set_delivery_id(transaction_.id);
    auto dropped = co_await site_.queue.drop(drop, call);
  }
  co_return reply;
}

/// Releases what is held, before the 250 that promises it.
Task<void> Acceptance::let_go() {
  queue::v1::ReleaseRequest release;
  release.set_delivery_id(transaction_.id);
  const auto call = options();
  auto released = co_await site_.queue.release(release, call);
  if (released.has_error()) {
    log::warning("smtp_release_failed", released.error().describe(), {{"delivery_id", transaction_.id}});
    // The queue will ask the store about the deciding account. If that one has no copy, what is held would be dropped.
    if (deciding_has_it_) co_return Result<void>();
    site_.probe.in_doubt();
    co_return std::move(released).error();
  }
  if (!released->taken_back()) co_return Result<void>();
  // The delivery took longer than the queue holds, so it goes in once more; nothing of the first one can leave.
  log::warning("smtp_held_was_taken_back", "enqueued once more", {{"delivery_id", transaction_.id}});
  outbound_.set_delivery_id(new_uuid());
  outbound_.set_held(false);
  for (auto& further : *outbound_.mutable_also()) {
    further.set_delivery_id(new_uuid());
    further.set_held(false);
  }
  MERPATI_CO_CHECK(co_await site_.queue.enqueue(outbound_, call));
  co_return Result<void>();
}

Task<Reply> Acceptance::deliver_cells() {
  Results results;
  for (std::size_t i = 0; i < deliveries_.size(); ++i) {
    auto& delivery = deliveries_[i];
    if (i + 1 == deliveries_.size()) {
      *delivery.request.mutable_body() = std::move(body_);
    } else {
      *delivery.request.mutable_body() = body_;
    }
    auto response = co_await deliver(delivery.request);
    if (response.has_error()) {
      log::warning("smtp_delivery_failed", response.error().describe(), {{"delivery_id", transaction_.id}});
      failure_ = response.error();
      response = co_await outcome_of_failed(delivery);
      if (response.has_error()) co_return std::move(response).error();
    }
    for (std::size_t k = 0; k < delivery.targets.size(); ++k) {
      DeliverResult result;
      if (static_cast<int>(k) < response->results_size())
        result = std::move(*response->mutable_results(static_cast<int>(k)));
      results.emplace_back(delivery.targets[k], std::move(result));
    }
  }
  co_return co_await settle(std::move(results));
}

/// What became of a delivery whose call failed. An error when that cannot be learnt: what is held is then left to the
/// queue, which asks the store later.
Task<store::v1::DeliverResponse> Acceptance::outcome_of_failed(const CellDelivery& delivery) {
  store::v1::DeliverResponse response;
  const bool ambiguous = is_ambiguous(*failure_);
  for (const auto* target : delivery.targets) {
    auto& result = *response.add_results();
    result.set_status(DeliverResult::STATUS_TEMPORARY);
    if (!ambiguous) continue;
    // Each is asked for, which also keeps a late call from delivering after the client was told to try again.
    const auto committed = co_await was_committed(target->local->claims().account_id());
    if (committed.has_error()) {
      site_.probe.in_doubt();
      log::warning("smtp_delivery_in_doubt", committed.error().describe(), {{"delivery_id", transaction_.id}});
      co_return *failure_;
    }
    if (*committed) result.set_status(DeliverResult::STATUS_DELIVERED);
  }
  co_return response;
}

/// Repeats an ambiguous call once with the same delivery id, which the store knows again.
Task<store::v1::DeliverResponse> Acceptance::deliver(const store::v1::DeliverRequest& request) {
  for (int attempt = 1;; ++attempt) {
    auto call = options();
    call.deadline = deadline_.within(kOneDelivery);
    auto response = co_await site_.store.deliver(request, call);
    if (response.has_value() || attempt == 2 || !is_ambiguous(response.error())) co_return response;
    MERPATI_CO_CHECK(co_await sleep_for(std::chrono::milliseconds(200)));
  }
}

/// Asks the store what became of the delivery; when it was not committed, a tombstone keeps it from being so later.
Task<bool> Acceptance::was_committed(std::int64_t account_id) {
  store::v1::ResolveDeliveryRequest request;
  request.set_delivery_id(transaction_.id);
  request.set_account_id_of_recipient(account_id);
  auto call = options();
  call.deadline = Deadline::after(std::chrono::seconds(5));
  MERPATI_CO_TRY(const auto answer, co_await site_.store.resolve_delivery(request, call));
  co_return answer.committed();
}

/// One reply for all recipients: 250 as soon as one has the message; the others then go on by the queue.
Task<Reply> Acceptance::settle(Results results) {
  std::vector<const Target*> undelivered;
  const DeliverResult* failure = nullptr;
  for (const auto& [target, result] : results) {
    if (has_copy(result)) continue;
    undelivered.push_back(target);
    if (failure == nullptr || result.status() == DeliverResult::STATUS_TEMPORARY) failure = &result;
  }
  deciding_has_it_ = has_copy(results.front().second);
  if (undelivered.empty()) co_return Reply{250, "2.0.0", "Ok: " + transaction_.id};
  if (undelivered.size() < results.size()) {
    // What is full or refused is told by a bounce; a copy more for somebody who has one is not worth that.
    std::set<std::int64_t> served;
    for (const auto& [target, result] : results) {
      if (has_copy(result)) served.insert(target->local->claims().account_id());
    }
    std::erase_if(undelivered, [&](const Target* t) { return served.contains(t->local->claims().account_id()); });
    if (undelivered.empty()) co_return Reply{250, "2.0.0", "Ok: " + transaction_.id};
    MERPATI_CO_CHECK(co_await queue_undelivered(undelivered));
    co_return Reply{250, "2.0.0", "Ok: " + transaction_.id};
  }
  if (failure_) co_return reply_for(*failure_);
  switch (failure->status()) {
    case DeliverResult::STATUS_OVER_QUOTA:
      co_return Reply{452, "4.2.2", "Mailbox full"};
    case DeliverResult::STATUS_REFUSED:
      co_return Reply{550, "5.2.0", failure->text().empty() ? "Refused" : failure->text()};
    default:
      co_return Reply{451, "4.3.0", "Temporary error, try again later"};
  }
}

/// Some recipients have it, so the client must not send it again: the queue tries for the rest, and bounces in the end.
Task<void> Acceptance::queue_undelivered(const std::vector<const Target*>& targets) {
  queue::v1::EnqueueRequest request = envelope();
  request.set_header_prefix(prepended_ + received_.line({}));
  for (const auto* target : targets) request.add_recipients()->set_address(target->address);
  *request.mutable_body() = deliveries_.back().request.body();
  const auto call = options();
  MERPATI_CO_CHECK(co_await site_.queue.enqueue(request, call));
  co_return Result<void>();
}

void Acceptance::log_outcome(const Reply& reply) const {
  log::info(reply.positive() ? "smtp_message_accepted" : "smtp_message_refused", reply.text,
            {{"trace_id", transaction_.trace_id},
             {"delivery_id", transaction_.id},
             {"code", reply.code},
             {"size", size_},
             {"recipients", transaction_.recipients.size()},
             {"client", parts_.received.client.to_string()},
             {"account_id", parts_.sender_account_id}});
}

}  // namespace merpati::smtp
