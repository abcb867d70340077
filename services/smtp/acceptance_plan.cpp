// What the filter's verdicts mean: which copies go into which mailboxes, and what leaves.
#include <algorithm>
#include <map>
#include <set>

#include "merpati/base/ids.hpp"
#include "merpati/cells/copy_blob.hpp"
#include "merpati/mime/charset.hpp"
#include "smtp/acceptance.hpp"

namespace merpati::smtp {
namespace {

constexpr int kMostTogether = 32;  // messages in one Enqueue, copies for one account in one Deliver
constexpr std::size_t kMostCalls = 32;

bool names_inbox(std::string_view mailbox) {
  return mailbox.empty() ||
         (mailbox.size() == 5 && std::equal(mailbox.begin(), mailbox.end(), "inbox",
                                            [](char a, char b) { return static_cast<char>(a | 0x20) == b; }));
}

}  // namespace

/// The message with its edits: inline when small, else as a blob.
Task<store::v1::Body> Acceptance::make_body(const HeaderEdits& edits) {
  store::v1::Body body;
  if (edits_body(edits)) {
    if (blob_id_.empty()) {
      const auto header = header_size(message_);
      auto octets = edit_header(std::string_view(message_).substr(0, header), edits) + message_.substr(header);
      co_return co_await body_of(std::move(octets));  // it may have grown
    }
    const auto header = edit_header(source_.header(), edits);
    const auto call = options();
    MERPATI_CO_TRY(auto id, co_await source_.upload(site_, header, call));
    body.set_blob_id(std::move(id));
  } else if (blob_id_.empty()) {
    body.set_inline_(message_);
  } else {
    body.set_blob_id(blob_id_);
  }
  co_return body;
}

Task<store::v1::Body> Acceptance::body_of(std::string octets) {
  store::v1::Body body;
  if (octets.size() <= kInlineLimit) {
    body.set_inline_(std::move(octets));
    co_return body;
  }
  const auto call = options();
  MERPATI_CO_TRY(auto upload, co_await site_.store.put_blob(call));
  store::v1::PutBlobRequest request;
  request.set_chunk(std::move(octets));
  MERPATI_CO_CHECK(co_await upload->write(std::move(request)));
  MERPATI_CO_TRY(auto response, co_await upload->finish());
  body.set_blob_id(std::move(*response.mutable_blob_id()));
  co_return body;
}

/// The message as this recipient gets it, when that is not as everybody does.
Task<std::optional<store::v1::Body>> Acceptance::own_body(const filter::v1::RecipientVerdict& verdict) {
  if (verdict.has_body()) co_return verdict.body();
  if (!edits_body(verdict.edits())) co_return std::optional<store::v1::Body>();
  HeaderEdits edits = edits_;
  edits.MergeFrom(verdict.edits());
  MERPATI_CO_TRY(auto body, co_await make_body(edits));
  co_return std::optional(std::move(body));
}

/// Return-Path (RFC 5321 4.4: at the top, by the one who delivers), Delivered-To, what the filter says, Received.
std::string Acceptance::prefix_for(const Target& target) const {
  std::string prefix;
  prefix.reserve(512);
  prefix.append("Return-Path: <").append(reverse_path_).append(">\r\n");
  prefix.append("Delivered-To: ").append(target.local->claims().recipient()).append("\r\n");
  prefix.append(prepended(target.verdict.edits())).append(prepended_);
  return prefix.append(received_.line(target.address));
}

Acceptance::CellDelivery& Acceptance::delivery_to(const std::string& cell) {
  auto found = std::find_if(deliveries_.begin(), deliveries_.end(), [&](const auto& d) { return d.cell == cell; });
  if (found != deliveries_.end()) return *found;
  auto& delivery = deliveries_.emplace_back(CellDelivery{cell, {}, {}});
  delivery.request.set_delivery_id(delivery_id_);
  delivery.request.set_received_at_ms(received_at_ms_);
  delivery.request.set_trace_id(transaction_.trace_id);
  delivery.request.set_reverse_path(reverse_path_);
  return delivery;
}

Task<void> Acceptance::fill_delivery() {
  const filter::v1::FileInto keep;
  for (auto& target : targets_) {
    if (target.local == nullptr || target.discard) continue;
    std::vector<const filter::v1::FileInto*> copies;
    if (target.verdict.actions().empty()) copies.push_back(&keep);
    for (const auto& action : target.verdict.actions())
      if (action.has_file_into()) copies.push_back(&action.file_into());
    if (copies.empty()) continue;
    if (copies.size() > kMostTogether)
      co_return Error(ErrorCode::kInternal, "the filter wants too many copies for one recipient");
    MERPATI_CO_TRY(const auto own, co_await own_body(target.verdict));
    auto& delivery = delivery_to(target.local->claims().cell());
    int part = 0;
    for (const auto* copy : copies) {
      delivery.targets.push_back(&target);
      auto& recipient = *delivery.request.add_recipients();
      recipient.set_grant(target.local->grant());
      if (!copy->composed()) recipient.set_header_prefix(prefix_for(target));
      recipient.set_part(part++);
      recipient.set_mailbox(copy->mailbox());
      recipient.set_create(copy->create());
      *recipient.mutable_flags() = copy->flags();
      // A mailbox that the recipient's script names stands above what the checks think.
      recipient.set_into_junk((target.junk || message_junk_) && names_inbox(copy->mailbox()) && !copy->composed());
      if (copy->has_body())
        *recipient.mutable_body() = copy->body();
      else if (own)
        *recipient.mutable_body() = *own;
    }
  }
  MERPATI_CO_CHECK(co_await move_to_deciding_cell());
  for (auto& delivery : deliveries_)
    if (delivery.cell != cell_) MERPATI_CO_CHECK(co_await bring_bodies(delivery));
  co_return Result<void>();
}

/// The body as a cell can take it, whose store cannot see another one's blobs.
Task<store::v1::Body> Acceptance::body_in(std::string cell, store::v1::Body body) {
  if (cell == cell_ || !body.has_blob_id()) co_return body;
  const auto call = options();
  MERPATI_CO_TRY(auto id, co_await cells::copy_blob(site_.store, body.blob_id(), cell_, std::move(cell), call));
  body.set_blob_id(std::move(id));
  co_return body;
}

/// The first delivery decides. What leaves is asked about where that is, so its bodies have to be there too.
Task<void> Acceptance::move_to_deciding_cell() {
  const auto own = std::find_if(deliveries_.begin(), deliveries_.end(), [&](const auto& d) { return d.cell == cell_; });
  if (own != deliveries_.end()) {
    std::iter_swap(deliveries_.begin(), own);
    co_return Result<void>();
  }
  // Who lives where the blobs are does not get it.
  if (deliveries_.empty()) co_return Result<void>();
  std::vector<store::v1::Body*> bodies{&body_};
  for (auto& delivery : deliveries_)
    for (auto& recipient : *delivery.request.mutable_recipients())
      if (recipient.has_body()) bodies.push_back(recipient.mutable_body());
  for (auto& target : targets_)
    for (auto& action : *target.verdict.mutable_actions())
      if (action.has_redirect() && action.redirect().has_body())
        bodies.push_back(action.mutable_redirect()->mutable_body());
  store::v1::Body whole;
  if (!blob_id_.empty()) {
    whole.set_blob_id(blob_id_);
    bodies.push_back(&whole);
  }
  const auto cell = deliveries_.front().cell;
  for (auto* body : bodies) {
    MERPATI_CO_TRY(*body, co_await body_in(cell, *body));
  }
  blob_id_ = whole.blob_id();
  cell_ = cell;
  co_return Result<void>();
}

Task<void> Acceptance::bring_bodies(CellDelivery& delivery) {
  MERPATI_CO_TRY(*delivery.request.mutable_body(), co_await body_in(delivery.cell, body_));
  for (auto& recipient : *delivery.request.mutable_recipients()) {
    if (!recipient.has_body()) continue;
    MERPATI_CO_TRY(*recipient.mutable_body(), co_await body_in(delivery.cell, recipient.body()));
  }
  co_return Result<void>();
}

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

Task<queue::v1::EnqueueRequest> Acceptance::redirected(const filter::v1::Redirect& redirect) {
  auto request = envelope();
  request.set_reverse_path(redirect.reverse_path());
  request.set_header_prefix(prepended(redirect.edits()) + prepended_ + received_.line({}));
  auto& recipient = *request.add_recipients();
  recipient.set_address(redirect.address());
  recipient.set_notify(redirect.notify());
  request.set_return_headers_only(redirect.return_headers_only());
  if (redirect.has_body()) {
    *request.mutable_body() = redirect.body();
  } else if (edits_body(redirect.edits())) {
    HeaderEdits edits = edits_;
    edits.MergeFrom(redirect.edits());
    MERPATI_CO_TRY(*request.mutable_body(), co_await make_body(edits));
  } else {
    *request.mutable_body() = body_;
  }
  co_return request;
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

/// What leaves: addresses elsewhere, and what the recipients' scripts redirect or send. Most goes in one message; what
/// has another sender or body stands beside it, and is committed with it.
Task<void> Acceptance::fill_queue() {
  std::vector<queue::v1::EnqueueRequest> messages;
  auto common = envelope();
  common.set_header_prefix(prepended_ + received_.line({}));
  common.set_envelope_id(transaction_.mail.envelope_id);
  common.set_return_headers_only(transaction_.mail.return_headers_only);
  std::set<std::string> addresses;
  const auto add = [&](const std::string& address) {
    if (addresses.insert(address).second) common.add_recipients()->set_address(address);
  };
  std::map<std::string, std::size_t> with_prefix;  // messages that differ in what stands in front alone
  for (const auto& target : targets_) {
    if (target.discard) continue;
    if (target.local == nullptr && target.verdict.actions().empty()) {
      MERPATI_CO_TRY(const auto own, co_await own_body(target.verdict));
      if (!own && target.verdict.edits().empty()) {
        add(target.address);
        continue;
      }
      std::string prefix = prepended(target.verdict.edits()) + common.header_prefix();
      const auto [known, fresh] = with_prefix.try_emplace(prefix, messages.size());
      if (!own && !fresh) {
        messages[known->second].add_recipients()->set_address(target.address);
        continue;
      }
      if (own && fresh) with_prefix.erase(known);
      auto& request = messages.emplace_back(envelope());
      request.set_header_prefix(std::move(prefix));
      request.set_envelope_id(transaction_.mail.envelope_id);
      request.set_return_headers_only(transaction_.mail.return_headers_only);
      request.add_recipients()->set_address(target.address);
      *request.mutable_body() = own ? *own : body_;
      continue;
    }
    for (const auto& action : target.verdict.actions()) {
      if (action.has_redirect()) {
        const auto& redirect = action.redirect();
        const bool plain = redirect.edits().empty() && redirect.notify().empty() && !redirect.return_headers_only();
        if (plain && !redirect.has_body() && redirect.reverse_path() == reverse_path_) {
          add(redirect.address());
        } else {
          MERPATI_CO_TRY(messages.emplace_back(), co_await redirected(redirect));
        }
      } else if (action.has_send()) {
        MERPATI_CO_TRY(messages.emplace_back(), co_await sent(action.send(), target));
      } else if (!action.has_file_into() || target.local == nullptr) {
        co_return Error(ErrorCode::kInternal, "the filter wants an action that this version cannot do");
      }
    }
  }
  if (common.recipients_size() > 0) {
    *common.mutable_body() = body_;
    messages.insert(messages.begin(), std::move(common));
  }
  for (auto& message : messages) add_outbound(std::move(message));
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
