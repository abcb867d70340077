// What the filter's verdicts mean for what leaves: addresses elsewhere, redirects, and what scripts send.
#include <map>
#include <set>
#include <utility>

#include "merpati/base/ids.hpp"
#include "merpati/mime/charset.hpp"
#include "smtp/acceptance.hpp"

namespace merpati::smtp {
namespace {

constexpr int kMostTogether = 32;  // messages in one Enqueue
constexpr std::size_t kMostCalls = 32;

/// The messages that leave. Those that differ in nothing but the recipient leave as one.
class Leaving {
 public:
  /// `message` without body and recipients; `own` where the body is not the one that all have.
  void add(queue::v1::EnqueueRequest message, const std::optional<store::v1::Body>& own,
           queue::v1::EnqueueRecipient recipient) {
    message.clear_delivery_id();
    auto index = messages_.size();
    if (!own) {
      const std::string form = message.SerializeAsString() + recipient.notify();
      index = by_form_.try_emplace(form, index).first->second;
    }
    if (!own && !named_.emplace(index, recipient.address()).second) return;
    if (index == messages_.size()) {
      messages_.push_back(std::move(message));
      if (own) *messages_.back().mutable_body() = *own;
    }
    *messages_[index].add_recipients() = std::move(recipient);
  }
  std::vector<queue::v1::EnqueueRequest>& messages() { return messages_; }

 private:
  std::vector<queue::v1::EnqueueRequest> messages_;
  std::map<std::string, std::size_t> by_form_;
  std::set<std::pair<std::size_t, std::string>> named_;
};

}  // namespace

/// What all that leaves has in common; with a delivery id of its own.
queue::v1::EnqueueRequest Acceptance::envelope() const {
  queue::v1::EnqueueRequest request;
  request.set_delivery_id(new_uuid());
  request.set_reverse_path(reverse_path_);
  request.set_sender_account_id(parts_.sender_account_id);
  request.set_trace_id(transaction_.trace_id);
  request.set_body_type(std::string(to_string(transaction_.mail.body)));
  request.set_smtputf8(transaction_.mail.smtputf8);
  request.set_received_at_ms(received_at_ms_);
  request.set_cell(cell_);
  return request;
}

/// The same in the name of its sender, with what stands in front of it.
queue::v1::EnqueueRequest Acceptance::as_it_came(const HeaderEdits& edits) const {
  auto request = envelope();
  request.set_header_prefix(prepended(edits) + prepended_ + received_.line({}));
  request.set_envelope_id(transaction_.mail.envelope_id);
  request.set_return_headers_only(transaction_.mail.return_headers_only);
  return request;
}

/// A redirect of a script, or of an alias, which keeps what the sender asked for of notices (RFC 3461 5.2.7).
queue::v1::EnqueueRequest Acceptance::redirected(const filter::v1::Redirect& redirect, const Target& target) const {
  auto request = as_it_came(redirect.edits());
  request.set_reverse_path(redirect.reverse_path());
  if (target.local == nullptr) return request;
  request.clear_envelope_id();
  request.set_return_headers_only(redirect.return_headers_only());
  return request;
}

/// A message that a recipient's script sends: a vacation notice, for example.
Task<queue::v1::EnqueueRequest> Acceptance::sent(const filter::v1::SendMessage& send, const Target& target) {
  auto request = envelope();
  request.set_reverse_path(send.reverse_path());
  request.set_sender_account_id(target.local == nullptr ? 0 : target.local->claims().account_id());
  bool utf8 = !mime::is_ascii(send.reverse_path()) ||
              !mime::is_ascii(std::string_view(send.message()).substr(0, header_size(send.message())));
  for (const auto& address : send.recipients()) {
    request.add_recipients()->set_address(address);
    utf8 = utf8 || !mime::is_ascii(address);
  }
  request.set_smtputf8(utf8);
  request.set_body_type(mime::is_ascii(send.message()) ? "7BIT" : "8BITMIME");
  MERPATI_CO_TRY(*request.mutable_body(), co_await body_of(send.message()));
  co_return request;
}

/// What leaves: addresses elsewhere, and what the recipients' scripts redirect or send. It is committed together.
Task<void> Acceptance::fill_queue() {
  Leaving leaving;
  for (const auto& target : targets_) {
    if (target.discard) continue;
    queue::v1::EnqueueRecipient recipient;
    if (target.local == nullptr && target.verdict.actions().empty()) {
      MERPATI_CO_TRY(const auto own, co_await own_body(target.verdict));
      recipient.set_address(target.address);
      leaving.add(as_it_came(target.verdict.edits()), own, recipient);
    }
    for (const auto& action : target.verdict.actions()) {
      if (action.has_redirect()) {
        const auto& redirect = action.redirect();
        MERPATI_CO_TRY(const auto own, co_await own_body(redirect));
        recipient.set_address(redirect.address());
        recipient.set_notify(redirect.notify());
        leaving.add(redirected(redirect, target), own, recipient);
      } else if (action.has_send()) {
        MERPATI_CO_TRY(leaving.messages().emplace_back(), co_await sent(action.send(), target));
      } else if (!action.has_file_into() || target.local == nullptr) {
        co_return Error(ErrorCode::kInternal, "the filter wants an action that this version cannot do");
      }
    }
  }
  for (auto& message : leaving.messages()) {
    if (!message.has_body()) *message.mutable_body() = body_;
    add_outbound(std::move(message));
  }
  co_return hold_outbound();
}

void Acceptance::add_outbound(queue::v1::EnqueueRequest message) {
  if (leaves() && outbound_.back().also_size() + 1 < kMostTogether)
    *outbound_.back().add_also() = std::move(message);
  else
    outbound_.push_back(std::move(message));
}

/// What leaves waits for the delivery, if there is one; and for the last call, if it takes several. The queue may ask
/// the store about it by its id and an account that it serves.
Result<void> Acceptance::hold_outbound() {
  if (outbound_.size() > kMostCalls)
    return Error(ErrorCode::kResourceExhausted, "the filter wants too many messages sent");
  const auto* decider = deliveries_.empty() ? first_local() : deliveries_.front().targets.front()->local;
  const bool held = !deliveries_.empty() || outbound_.size() > 1;
  const auto hold = [&](queue::v1::EnqueueRequest& message, std::string id) {
    message.set_delivery_id(std::move(id));
    message.set_held(held);
    if (held && decider != nullptr) message.set_deciding_account_id(decider->claims().account_id());
  };
  for (auto& call : outbound_) {
    const bool first = &call == &outbound_.front();
    hold(call, first ? delivery_id_ : new_uuid());
    if (!first) call.set_decided_by(delivery_id_);
    for (auto& further : *call.mutable_also()) hold(further, new_uuid());
  }
  return {};
}

Task<void> Acceptance::enqueue_outbound() {
  const auto call = options();
  for (const auto& request : outbound_) MERPATI_CO_CHECK(co_await site_.queue.enqueue(request, call));
  co_return Result<void>();
}

}  // namespace merpati::smtp
