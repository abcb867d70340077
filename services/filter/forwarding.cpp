#include "filter/forwarding.hpp"

#include <vector>

#include "filter/message_checks.hpp"

namespace merpati::filter {
namespace {

bool may_go(v1::Decision decision) { return decision == v1::DECISION_ACCEPT || decision == v1::DECISION_JUNK; }

/// What our users submit keeps its sender, and so does what we compose ourselves, which no host put a trace on.
bool from_outside(const v1::CheckMessageRequest& request) {
  const bool composed_here = request.scripts_only() && request.header_prefix().empty();
  return request.transaction().authenticated_account_id() == 0 && !composed_here;
}

void drop_or_refuse(bool somebody_takes_it, v1::RecipientVerdict& verdict) {
  verdict.set_decision(somebody_takes_it ? v1::DECISION_DISCARD : v1::DECISION_REFUSE);
  verdict.clear_actions();
  auto& reply = *verdict.mutable_reply();
  reply.set_code(554);
  reply.set_enhanced("5.4.6");
  reply.set_text("Routing loop: the message was delivered to this address before");
}

}  // namespace

std::string forwarded_sender(const std::string& sender, bool sender_is_ours, const std::string& otherwise,
                             const mailauth::Srs* srs, WallTime now) {
  if (sender.empty() || sender_is_ours) return sender;
  if (srs == nullptr) return otherwise;
  auto rewritten = srs->forward(sender, now);
  return rewritten.has_value() ? *std::move(rewritten) : otherwise;
}

bool goes_round(std::string_view header_block, std::string_view address) {
  return was_delivered_to(header_block, address) || went_far(header_block);
}

v1::Redirect forward_to(std::string address, std::string reverse_path, const std::string& forwarder) {
  v1::Redirect out;
  out.set_address(std::move(address));
  out.set_reverse_path(std::move(reverse_path));
  if (forwarder.empty()) return out;
  auto& trace = *out.add_edits();
  trace.set_kind(v1::HeaderEdit::KIND_PREPEND);
  trace.set_name("Delivered-To");
  trace.set_value(forwarder);
  return out;
}

void forward_aliases(const v1::CheckMessageRequest& request, std::string_view header_block, const mailauth::Srs* srs,
                     WallTime now, v1::CheckMessageResponse& response) {
  if (!may_go(response.decision()) || !from_outside(request)) return;
  const std::string& sender =
      response.has_reverse_path() ? response.reverse_path() : request.transaction().reverse_path();
  // Without a rewritten sender the author is still the one who should hear of a failure, not whoever reads the alias.
  const std::string reverse_path = forwarded_sender(sender, false, sender, srs, now);
  std::vector<v1::RecipientVerdict*> circles;
  bool somebody_takes_it = false;
  for (int i = 0; i < request.recipients_size(); ++i) {
    auto& verdict = *response.mutable_recipients(i);
    if (!may_go(verdict.decision())) continue;
    const auto& recipient = request.recipients(i);
    const std::string& alias = recipient.alias();
    const bool elsewhere = recipient.account_id() == 0 && verdict.actions().empty();
    if (elsewhere && !alias.empty() &&
        (goes_round(header_block, recipient.recipient()) || was_delivered_to(header_block, alias))) {
      circles.push_back(&verdict);
      continue;
    }
    somebody_takes_it = true;
    if (!elsewhere) continue;
    auto redirect = forward_to(recipient.recipient(), reverse_path, alias);
    redirect.mutable_edits()->MergeFrom(verdict.edits());
    if (verdict.has_body()) redirect.mutable_body()->Swap(verdict.mutable_body());
    verdict.clear_edits();
    verdict.clear_body();
    *verdict.add_actions()->mutable_redirect() = std::move(redirect);
  }
  // Whoever made many hops may not have it yet.
  somebody_takes_it = somebody_takes_it && !went_far(header_block);
  for (auto* verdict : circles) drop_or_refuse(somebody_takes_it, *verdict);
}

}  // namespace merpati::filter
