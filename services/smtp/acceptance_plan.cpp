// What the filter's verdicts mean for who is here: which copies go into which mailboxes.
#include <algorithm>

#include "merpati/cells/copy_blob.hpp"
#include "smtp/acceptance.hpp"

namespace merpati::smtp {
namespace {

constexpr std::size_t kMostCopies = 32;  // for one account in one Deliver

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

/// The message in the form of a RecipientVerdict or a Redirect, when that is not as everybody gets it.
template <class Form>
Task<std::optional<store::v1::Body>> Acceptance::own_body(const Form& form) {
  if (form.has_body()) co_return form.body();
  if (!edits_body(form.edits())) co_return std::optional<store::v1::Body>();
  HeaderEdits edits = edits_;
  edits.MergeFrom(form.edits());
  MERPATI_CO_TRY(auto body, co_await make_body(edits));
  co_return std::optional(std::move(body));
}
template Task<std::optional<store::v1::Body>> Acceptance::own_body(const filter::v1::RecipientVerdict&);
template Task<std::optional<store::v1::Body>> Acceptance::own_body(const filter::v1::Redirect&);

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
    if (copies.size() > kMostCopies)
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

}  // namespace merpati::smtp
