// The commits of one message: what leaves is held, who is here is served, what was held is let go.
#include <algorithm>
#include <map>
#include <set>

#include "merpati/base/fail_point.hpp"
#include "merpati/base/ids.hpp"
#include "merpati/runtime/log.hpp"
#include "merpati/runtime/seldom.hpp"
#include "smtp/acceptance.hpp"

namespace merpati::smtp {
namespace {

using store::v1::DeliverResult;

constexpr auto kOneDelivery = std::chrono::seconds(25);
// Each round without somebody who became full in the one before.
constexpr int kMostRounds = 3;

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

/// May an earlier attempt of it have been? What is busy now may have been done before, behind a reply that was lost.
bool leaves_doubt(const Error& error) { return is_ambiguous(error) || error.code() == ErrorCode::kResourceExhausted; }

bool is_withheld(const DeliverResult& result) { return result.status() == DeliverResult::STATUS_WITHHELD; }

bool has_copy(const DeliverResult& result) {
  return result.status() == DeliverResult::STATUS_DELIVERED || result.status() == DeliverResult::STATUS_DUPLICATE;
}

bool is_served(const DeliverResult& result) { return has_copy(result) || is_withheld(result); }

}  // namespace

/// Hold what leaves, deliver what stays, release. The delivery decides; without one the enqueue does.
Task<Reply> Acceptance::commit() {
  if (leaves()) {
    MERPATI_CO_CHECK(co_await enqueue_outbound());
    MERPATI_CO_FAIL_POINT("smtp_after_enqueue");
  }
  if (deliveries_.empty()) {
    if (outbound_.size() > 1) MERPATI_CO_CHECK(co_await let_go());
    co_return accepted();
  }
  auto reply = deliveries_.size() == 1 ? co_await deliver_together() : co_await deliver_cells();
  // What is held is left to the queue, which asks the store later.
  if (reply.has_error()) co_return std::move(reply).error();
  MERPATI_CO_FAIL_POINT("smtp_after_deliver");
  if (leaves() && reply->positive()) {
    MERPATI_CO_CHECK(co_await let_go());
    MERPATI_CO_FAIL_POINT("smtp_after_release");
  } else if (leaves()) {
    auto dropped = co_await take_back();
  }
  co_return reply;
}

/// Releases what is held, before the 250 that promises it.
Task<void> Acceptance::let_go() {
  queue::v1::ReleaseRequest release;
  release.set_delivery_id(delivery_id_);
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
  const auto anew = [](queue::v1::EnqueueRequest& message) {
    message.set_delivery_id(new_uuid());
    message.set_held(false);
  };
  for (auto& request : outbound_) {
    anew(request);
    request.clear_decided_by();
    for (auto& further : *request.mutable_also()) anew(further);
  }
  co_return co_await enqueue_outbound();
}

Task<void> Acceptance::take_back() {
  queue::v1::DropRequest drop;
  drop.set_delivery_id(delivery_id_);
  const auto call = options();
  MERPATI_CO_CHECK(co_await site_.queue.drop(drop, call));
  co_return Result<void>();
}

/// Everybody in one commit, or nobody. Who cannot have it goes on by the queue, and that is held before the others are
/// served: once somebody has a copy there is nothing left that could refuse.
Task<Reply> Acceptance::deliver_together() {
  auto& delivery = deliveries_.front();
  *delivery.request.mutable_body() = std::move(body_);
  delivery.request.set_all_or_none(delivery.targets.size() > 1);
  for (int round = 0; round < kMostRounds; ++round) {
    MERPATI_CO_TRY(const auto results, co_await deliver_to(delivery));
    if (std::none_of(results.begin(), results.end(), is_withheld)) co_return co_await settle({results});
    MERPATI_CO_TRY(const bool left_out, co_await leave_out(delivery, results));
    if (left_out) continue;
    deciding_has_it_ = true;
    co_return accepted();
  }
  co_return Reply{451, "4.3.0", "Temporary error, try again later"};
}

/// Takes those who cannot be served out of the delivery, of which nothing is stored, and holds the message for them
/// with what leaves. False: it was stored after all.
Task<bool> Acceptance::leave_out(CellDelivery& delivery, const Results& results) {
  // A repeated call may still be under way under the first id. Nothing of it may be stored later.
  MERPATI_CO_TRY(const bool committed,
                 co_await was_committed(delivery, delivery.targets.front()->local->claims().account_id()));
  if (committed) co_return false;
  if (leaves()) MERPATI_CO_CHECK(co_await take_back());
  for (auto& message : messages_for(delivery, unserved(delivery, results))) add_outbound(std::move(message));

  CellDelivery kept{delivery.cell, std::move(delivery.request), {}};
  google::protobuf::RepeatedPtrField<store::v1::DeliverRecipient> recipients;
  recipients.Swap(kept.request.mutable_recipients());
  std::map<std::int64_t, int> parts;
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (!is_served(results[i])) continue;
    auto& recipient = *kept.request.add_recipients();
    recipient.Swap(&recipients[static_cast<int>(i)]);
    recipient.set_part(parts[delivery.targets[i]->local->claims().account_id()]++);
    kept.targets.push_back(delivery.targets[i]);
  }
  delivery = std::move(kept);
  delivery_id_ = new_uuid();
  delivery.request.set_delivery_id(delivery_id_);
  if (!leaves()) co_return true;
  MERPATI_CO_CHECK(hold_outbound());
  MERPATI_CO_CHECK(co_await enqueue_outbound());
  MERPATI_CO_FAIL_POINT("smtp_after_leaving_out");
  log::info("smtp_recipients_left_to_the_queue", "they cannot have it now; the others get it",
            {{"delivery_id", transaction_.id}, {"served", delivery.targets.size()}, {"under", delivery_id_}});
  co_return true;
}

/// Several cells commit one after the other, so who cannot be served in a later one is only known when others are.
Task<Reply> Acceptance::deliver_cells() {
  std::vector<Results> all;
  for (auto& delivery : deliveries_) {
    if (delivery.cell == cell_) *delivery.request.mutable_body() = body_;
    MERPATI_CO_TRY(all.emplace_back(), co_await deliver_to(delivery));
  }
  co_return co_await settle(all);
}

/// One result for each of the delivery's recipients. An error when the outcome cannot be learnt.
Task<Acceptance::Results> Acceptance::deliver_to(const CellDelivery& delivery) {
  auto response = co_await deliver(delivery);
  if (response.has_error()) {
    static log::Seldom seldom;
    seldom.warning("smtp_delivery_failed", response.error().describe(), {{"delivery_id", transaction_.id}});
    failure_ = response.error();
    response = co_await outcome_of_failed(delivery);
    if (response.has_error()) co_return std::move(response).error();
  }
  Results results(delivery.targets.size());
  for (int i = 0; i < response->results_size() && i < static_cast<int>(results.size()); ++i)
    results[static_cast<std::size_t>(i)] = std::move(*response->mutable_results(i));
  co_return results;
}

/// What became of a delivery whose call failed. An error when that cannot be learnt.
Task<store::v1::DeliverResponse> Acceptance::outcome_of_failed(const CellDelivery& delivery) {
  store::v1::DeliverResponse response;
  const bool doubt = leaves_doubt(*failure_);
  std::optional<bool> committed;
  for (const auto* target : delivery.targets) {
    auto& result = *response.add_results();
    result.set_status(DeliverResult::STATUS_TEMPORARY);
    if (!doubt) continue;
    // Asking also keeps a late call from delivering after the client was told to try again. One answer holds for all
    // where all or none get it.
    if (!committed || !delivery.request.all_or_none()) {
      const auto answer = co_await was_committed(delivery, target->local->claims().account_id());
      if (answer.has_error()) {
        site_.probe.in_doubt();
        static log::Seldom seldom;
        seldom.warning("smtp_delivery_in_doubt", answer.error().describe(), {{"delivery_id", transaction_.id}});
        co_return *failure_;
      }
      committed = *answer;
    }
    if (*committed) result.set_status(DeliverResult::STATUS_DELIVERED);
  }
  co_return response;
}

/// Repeats an ambiguous call once with the same delivery id, which the store knows again.
Task<store::v1::DeliverResponse> Acceptance::deliver(const CellDelivery& delivery) {
  for (int attempt = 1;; ++attempt) {
    auto call = options();
    call.deadline = deadline_.within(kOneDelivery);
    call.cell = delivery.cell;
    auto response = co_await site_.store.deliver(delivery.request, call);
    if (response.has_value() || attempt == 2 || !is_ambiguous(response.error())) co_return response;
    MERPATI_CO_CHECK(co_await sleep_for(std::chrono::milliseconds(50)));
  }
}

/// Asks the store what became of the delivery; when it was not committed, a tombstone keeps it from being so later.
Task<bool> Acceptance::was_committed(const CellDelivery& delivery, std::int64_t account_id) {
  store::v1::ResolveDeliveryRequest request;
  request.set_delivery_id(delivery_id_);
  request.set_account_id_of_recipient(account_id);
  auto call = options();
  call.deadline = Deadline::after(std::chrono::seconds(5));
  call.cell = delivery.cell;
  MERPATI_CO_TRY(const auto answer, co_await site_.store.resolve_delivery(request, call));
  co_return answer.committed();
}

/// The recipients who have no copy and will have none by this delivery, each account once. Who gets one of several
/// copies is served: one more is not worth a bounce.
std::vector<std::size_t> Acceptance::unserved(const CellDelivery& delivery, const Results& results) {
  std::set<std::int64_t> accounts;
  const auto account = [&](std::size_t i) { return delivery.targets[i]->local->claims().account_id(); };
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (is_served(results[i])) accounts.insert(account(i));
  }
  std::vector<std::size_t> out;
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (accounts.insert(account(i)).second) out.push_back(i);
  }
  return out;
}

/// For recipients of the delivery who are served by the queue, which bounces what stays full or refused.
std::vector<queue::v1::EnqueueRequest> Acceptance::messages_for(const CellDelivery& delivery,
                                                                const std::vector<std::size_t>& recipients) const {
  std::vector<queue::v1::EnqueueRequest> out;
  auto common = envelope();
  common.set_cell(delivery.cell);  // which has the bodies of its recipients
  common.set_scripted(scripted_);
  common.set_header_prefix(prepended_ + received_.line({}));
  *common.mutable_body() = delivery.request.body();
  for (const auto i : recipients) {
    const auto& recipient = delivery.request.recipients(static_cast<int>(i));
    const auto& target = *delivery.targets[i];
    // The account's own address: an alias's would bring those behind it who have a copy another one.
    const auto& address = target.local->claims().address();
    if (!recipient.has_body() && target.verdict.edits().empty()) {
      common.add_recipients()->set_address(address);
      continue;
    }
    auto& own = out.emplace_back(envelope());
    own.set_cell(delivery.cell);
    own.set_scripted(scripted_);
    own.set_header_prefix(prepended(target.verdict.edits()) + common.header_prefix());
    own.add_recipients()->set_address(address);
    *own.mutable_body() = recipient.has_body() ? recipient.body() : delivery.request.body();
  }
  if (common.recipients_size() > 0) out.push_back(std::move(common));
  return out;
}

/// One reply for all recipients: 250 as soon as one has the message; the others then go on by the queue.
Task<Reply> Acceptance::settle(const std::vector<Results>& all) {
  const DeliverResult* failure = nullptr;
  bool somebody = false;
  for (const auto& results : all) {
    for (const auto& result : results) {
      somebody = somebody || has_copy(result);
      if (has_copy(result)) continue;
      if (failure == nullptr || result.status() == DeliverResult::STATUS_TEMPORARY) failure = &result;
    }
  }
  deciding_has_it_ = has_copy(all.front().front());
  if (somebody) {
    const auto call = options();
    for (std::size_t n = 0; n < all.size(); ++n) {
      for (const auto& message : messages_for(deliveries_[n], unserved(deliveries_[n], all[n])))
        MERPATI_CO_CHECK(co_await site_.queue.enqueue(message, call));
    }
    co_return accepted();
  }
  if (failure_) co_return reply_for_message(*failure_);
  switch (failure->status()) {
    case DeliverResult::STATUS_OVER_QUOTA:
      co_return Reply{452, "4.2.2", "Mailbox full"};
    case DeliverResult::STATUS_REFUSED:
      co_return Reply{550, "5.2.0", failure->text().empty() ? "Refused" : failure->text()};
    default:
      co_return Reply{451, "4.3.0", "Temporary error, try again later"};
  }
}

}  // namespace merpati::smtp
