// The end of a message in front of milters: what they say of it, and what they change.
#include <algorithm>

#include "merpati/runtime/log.hpp"
#include "smtp/edits.hpp"
#include "smtp/session.hpp"
#include "smtp/trace_headers.hpp"

namespace merpati::smtp {
namespace {

using auth::v1::ResolveRecipientResponse;
using filter::v1::DialogResponse;
using filter::v1::MessageChanges;
using State = Transaction::Milters;

bool goes_elsewhere(const EnvelopeRecipient& recipient) {
  return !recipient.local || recipient.local->remote_addresses_size() > 0;
}

}  // namespace

/// Asks milters about a message that has come. What they make of it is in `outcome`, in the transaction, and in
/// `incoming` where they made a new body.
Task<void> Session::milters_content(std::unique_ptr<Incoming>& incoming, MilterOutcome& outcome) {
  auto& transaction = *transaction_;
  outcome.discarded_by = transaction.discarded_by;
  outcome.asked = transaction.milters == State::kInDialog || transaction.milters == State::kSettled;
  if (transaction.milters == State::kLost) outcome.refusal = milters_away();
  if (transaction.milters != State::kInDialog) co_return Result<void>();
  transaction.milters = State::kSettled;
  MessageSource source(incoming->buffer);
  MERPATI_CO_CHECK(co_await source.load_header());
  if (login_)
    source.prepend(lacking_fields(source.header(), mail_date(std::chrono::system_clock::now()),
                                  transaction.id + "@" + site_->policy.hostname));
  if (!milters_->wants(filter::v1::DIALOG_EVENT_CONTENT)) co_return Result<void>();
  auto answer = co_await milters_->say_content(source);
  if (answer.has_error()) {
    if (!lose_milters(&transaction, answer.error())) outcome.refusal = milters_away();
    co_return Result<void>();
  }
  outcome.answers.assign(answer->answers().begin(), answer->answers().end());
  outcome.refusal = milter_refusal(*answer);
  outcome.close = answer->close();
  if (answer->decision() == filter::v1::DECISION_DISCARD) outcome.discarded_by = "by the milter " + answer->milter();
  outcome.results_checked = true;
  if (outcome.refusal || !outcome.discarded_by.empty()) {
    leave_milters_if_over();
    co_return Result<void>();
  }
  const MessageChanges changes = answer->changes();
  outcome.received.emplace();
  outcome.received->header = source.header();
  if (changes.new_body()) {
    auto edited = std::make_unique<Incoming>(*site_);
    edited->buffer.memory() = changes.has_header() ? changes.header() : std::string(source.header());
    if (header_size(edited->buffer.memory()) == edited->buffer.memory().size() &&
        !edited->buffer.memory().ends_with("\r\n\r\n") && edited->buffer.memory() != "\r\n")
      edited->buffer.memory().append("\r\n");  // it was nothing but a header
    auto taken = co_await take_new_body(*std::move(answer), *edited);
    if (taken.has_error()) {
      outcome.refusal = reply_for(taken.error());
      co_return Result<void>();
    }
    outcome.received->whole = std::exchange(incoming, std::move(edited));
  } else if (changes.has_header() || source.edited()) {
    outcome.header = changes.has_header() ? changes.header() : std::string(source.header());
  }
  leave_milters_if_over();
  MERPATI_CO_CHECK(co_await change_envelope(changes, outcome));
  const bool changed = changes.has_header() || changes.new_body() || outcome.received->reverse_path;
  if (!changed) outcome.received.reset();
  co_return Result<void>();
}

/// The parts of a new body, the first of which is in `response`.
Task<void> Session::take_new_body(DialogResponse response, Incoming& into) {
  for (;;) {
    into.buffer.memory().append(response.body());
    MERPATI_CO_CHECK(co_await into.took());
    if (!response.more()) break;
    auto next = co_await milters_->more();
    if (next.has_error()) {
      milters_.reset();
      co_return std::move(next).error();
    }
    response = *std::move(next);
  }
  if (into.problem) co_return *into.problem;
  co_return Result<void>();
}

/// Sender and recipients as milters want them.
Task<void> Session::change_envelope(const MessageChanges& changes, MilterOutcome& outcome) {
  auto& transaction = *transaction_;
  if (changes.has_reverse_path() && changes.reverse_path() != transaction.reverse_path) {
    outcome.received->reverse_path = std::exchange(transaction.reverse_path, changes.reverse_path());
  }
  auto& recipients = transaction.recipients;
  for (const auto& address : changes.deleted_recipients())
    std::erase_if(recipients, [&](const auto& one) { return equals_ignoring_case(one.address, address); });
  for (const auto& address : changes.added_recipients()) {
    const auto known = [&](const auto& one) { return equals_ignoring_case(one.address, address); };
    if (std::any_of(recipients.begin(), recipients.end(), known)) continue;
    const auto resolved = co_await resolve(address);
    if (resolved.has_error()) {
      outcome.refusal = reply_for_message(resolved.error());
      co_return Result<void>();
    }
    const auto status = (*resolved)->status();
    if (status == ResolveRecipientResponse::STATUS_LOCAL) {
      recipients.push_back({address, *resolved});
    } else if (status == ResolveRecipientResponse::STATUS_REMOTE) {
      recipients.push_back({address, nullptr});
    } else {
      log::warning("smtp_milter_recipient_unknown", "a milter adds a recipient who cannot get mail",
                   {{"trace_id", transaction.trace_id}, {"recipient", address}});
    }
  }
  if (recipients.empty()) outcome.discarded_by = "by a milter, which took away the last recipient";
  if (!changes.has_quarantine()) co_return Result<void>();
  // What is to be held goes into Junk, which only mailboxes here have.
  if (std::any_of(recipients.begin(), recipients.end(), goes_elsewhere))
    outcome.refusal = Reply{550, "5.7.1", "Held by policy: " + changes.quarantine()};
  for (auto& recipient : recipients) recipient.junk = true;
  co_return Result<void>();
}

}  // namespace merpati::smtp
