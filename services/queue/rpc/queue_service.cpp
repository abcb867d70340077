#include "queue/rpc/queue_service.hpp"

#include <algorithm>

#include "merpati/base/fail_point.hpp"
#include "merpati/base/ids.hpp"
#include "merpati/runtime/log.hpp"
#include "merpati/runtime/span.hpp"
#include "merpati/smtp/address.hpp"
#include "merpati/store/v1/store.rpc.hpp"
#include "queue/recipient_domain.hpp"

namespace merpati::queue {
namespace {
constexpr std::size_t kMaxInline = 64 * 1024;
constexpr std::size_t kMaxPrefix = 8 * 1024;
constexpr int kMaxRecipients = 1000;
constexpr int kMostTogether = 32;
constexpr int kMaxPage = 1000;
constexpr std::size_t kMaxText = 1000;

Error invalid(std::string text) { return Error(ErrorCode::kInvalidArgument, std::move(text)); }

bool is_storable(std::string_view text) {
  return text.size() <= kMaxText && smtp::is_valid_utf8(text) && text.find('\0') == std::string_view::npos;
}

std::optional<BodyType> body_type_from(std::string_view name) {
  if (name.empty() || name == "7BIT") return BodyType::k7Bit;
  if (name == "8BITMIME") return BodyType::k8BitMime;
  if (name == "BINARYMIME") return BodyType::kBinaryMime;
  return std::nullopt;
}

Result<void> check(const v1::EnqueueRequest& request) {
  if (!is_uuid(request.delivery_id())) return invalid("delivery_id is not a UUID");
  if (request.recipients_size() == 0 || request.recipients_size() > kMaxRecipients)
    return invalid("1 to 1000 recipients");
  if (request.header_prefix().size() > kMaxPrefix) return invalid("header_prefix is over 8 KiB");
  if (request.body().inline_().size() > kMaxInline) return invalid("an inline body is over 64 KiB");
  if (request.body().source_case() == store::v1::Body::SOURCE_NOT_SET) return invalid("no body");
  if (!request.reverse_path().empty() && !smtp::parse_address(request.reverse_path(), smtp::Utf8::kYes)) {
    return invalid("reverse_path is not an address");
  }
  for (const auto& recipient : request.recipients()) {
    const auto address = smtp::parse_address(recipient.address(), smtp::Utf8::kYes);
    if (!address || address->domain.empty()) return invalid("a recipient is not an address");
    if (!is_storable(recipient.notify()) || !is_storable(recipient.original_recipient()))
      return invalid("bad DSN parameters");
  }
  if (!is_storable(request.envelope_id()) || !is_storable(request.trace_id()) || !is_storable(request.cell())) {
    return invalid("a text is too long or not UTF-8");
  }
  return {};
}

void fill(const ItemView& view, v1::Item& out) {
  out.set_item_id(view.id);
  out.set_delivery_id(view.delivery_id);
  out.set_reverse_path(view.reverse_path);
  out.set_recipient(view.recipient);
  out.set_state(static_cast<v1::ItemState>(view.state));
  out.set_attempts(view.attempts);
  out.set_next_attempt_at(view.next_attempt_at);
  out.set_expires_at(view.expires_at);
  out.set_enqueued_at(view.enqueued_at);
  out.set_last_error(view.last_error);
  out.set_last_host(view.last_host);
  out.set_size(view.size);
  out.set_trace_id(view.trace_id);
}
/// For items that an operator drops.
Task<std::vector<trace::v1::Event>> events_of(Repository& repository, const std::vector<std::int64_t>& ids,
                                              Deadline deadline) {
  std::vector<trace::v1::Event> out;
  for (const auto id : ids) {
    MERPATI_CO_TRY(const auto item, co_await repository.get(id, deadline));
    if (!item || item->state == ItemState::kDone || item->state == ItemState::kFailed) continue;
    auto event = trace::event(trace::v1::KIND_DROPPED, item->trace_id);
    event.set_delivery_id(item->delivery_id);
    event.set_recipient(item->recipient);
    event.set_item_id(id);
    event.set_attempt(item->attempts);
    event.set_text("dropped by an operator");
    out.push_back(std::move(event));
  }
  co_return out;
}
}  // namespace

QueueService::QueueService(Repository& repository, std::shared_ptr<rpc::Channel> store,
                           std::chrono::nanoseconds keep_blobs, std::function<void()> wake, trace::Recorder* events)
    : repository_(repository),
      store_(std::move(store)),
      keep_blobs_(keep_blobs),
      wake_(std::move(wake)),
      events_(events) {}

/// An event for each recipient; what was enqueued before has told then.
void QueueService::tell_enqueued(const std::vector<NewMessage>& messages, const Enqueued& done, bool held) {
  if (events_ == nullptr || done.duplicate) return;
  std::size_t at = 0;
  for (const NewMessage& one : messages) {
    for (const NewRecipient& recipient : one.recipients) {
      auto event = trace::event(trace::v1::KIND_QUEUED, one.message.trace_id);
      event.set_delivery_id(one.message.delivery_id);
      event.set_recipient(recipient.address);
      event.set_reverse_path(one.message.reverse_path);
      event.set_account_id(one.message.sender_account_id);
      if (at < done.item_ids.size()) event.set_item_id(done.item_ids[at]);
      ++at;
      event.set_size(static_cast<std::int64_t>(one.message.size));
      if (held) event.set_detail("held");
      events_->record(std::move(event));
    }
  }
}

void QueueService::tell(trace::v1::Kind kind, const std::string& trace_id, const std::string& delivery_id) {
  if (events_ == nullptr) return;
  auto event = trace::event(kind, trace_id);
  event.set_delivery_id(delivery_id);
  events_->record(std::move(event));
}

Task<std::uint64_t> QueueService::keep_blob(std::string blob_id, std::string cell, Deadline deadline) {
  if (!store_) co_return Error(ErrorCode::kUnavailable, "no store to keep the body in");
  store::v1::StoreClient client(store_);
  store::v1::KeepBlobRequest request;
  request.set_blob_id(std::move(blob_id));
  request.set_seconds(std::chrono::duration_cast<std::chrono::seconds>(keep_blobs_).count());
  rpc::CallOptions options;
  options.deadline = deadline;
  options.cell = std::move(cell);
  MERPATI_CO_TRY(const auto response, co_await client.keep_blob(request, options));
  co_return response.size();
}

/// One of the messages that a call hands over. `request` outlives the result.
Task<NewMessage> QueueService::make_message(const v1::EnqueueRequest& request, std::string trace_id,
                                            Deadline deadline) {
  MERPATI_CO_CHECK(check(request));
  const auto body_type = body_type_from(request.body_type());
  if (!body_type) co_return invalid("unknown body_type");
  NewMessage out;
  Message& message = out.message;
  message.delivery_id = request.delivery_id();
  message.reverse_path = request.reverse_path();
  message.header_prefix = request.header_prefix();
  message.sender_account_id = request.sender_account_id();
  message.deciding_account_id = request.deciding_account_id();
  message.trace_id = std::move(trace_id);
  message.body_type = *body_type;
  message.smtputf8 = request.smtputf8();
  message.received_at = std::chrono::system_clock::now();
  if (request.received_at_ms() != 0)
    message.received_at = WallTime(std::chrono::milliseconds(request.received_at_ms()));
  message.envelope_id = request.envelope_id();
  message.headers_only = request.return_headers_only();
  message.cell = request.cell();
  message.scripted = request.scripted();
  if (request.body().source_case() == store::v1::Body::kInline) {
    out.octets = &request.body().inline_();
    message.size = request.body().inline_().size();
  } else {
    message.blob_id = request.body().blob_id();
    MERPATI_CO_TRY(message.size, co_await keep_blob(message.blob_id, message.cell, deadline));
  }
  message.size += message.header_prefix.size();
  for (const auto& r : request.recipients()) {
    out.recipients.push_back({r.address(), recipient_domain(r.address()), r.notify(), r.original_recipient()});
  }
  co_return out;
}

Task<v1::EnqueueResponse> QueueService::enqueue(rpc::Context& context, const v1::EnqueueRequest& request) {
  if (request.also_size() >= kMostTogether) co_return invalid("1 to 32 messages");
  std::optional<std::string> decided_by;
  if (!request.decided_by().empty()) decided_by = request.decided_by();
  if (decided_by && !is_uuid(*decided_by)) co_return invalid("decided_by is not a UUID");
  const std::string trace_id = request.trace_id().empty() ? context.trace_id() : request.trace_id();
  std::vector<NewMessage> messages;
  MERPATI_CO_TRY(messages.emplace_back(), co_await make_message(request, trace_id, context.deadline()));
  for (const auto& further : request.also()) {
    if (further.also_size() > 0) co_return invalid("`also` within `also`");
    MERPATI_CO_TRY(messages.emplace_back(), co_await make_message(further, trace_id, context.deadline()));
  }
  MERPATI_CO_FAIL_POINT("queue_before_enqueue");
  runtime::Span span("queue commit", runtime::SpanKind::kClient, context.trace());
  span.attribute("db.system", "postgresql");
  MERPATI_CO_TRY(const Enqueued done,
                 co_await repository_.enqueue(messages, request.held(), context.deadline(), std::move(decided_by)));
  span.end();
  MERPATI_CO_FAIL_POINT("queue_after_enqueue");
  v1::EnqueueResponse response;
  response.mutable_item_ids()->Add(done.item_ids.begin(), done.item_ids.end());
  response.set_duplicate(done.duplicate);
  for (const auto& one : messages) {
    log::info("queue_enqueued", done.duplicate ? "The delivery was enqueued before" : "Accepted for delivery",
              {{"trace_id", trace_id},
               {"delivery_id", one.message.delivery_id},
               {"recipients", one.recipients.size()},
               {"size", one.message.size},
               {"held", request.held()}});
  }
  tell_enqueued(messages, done, request.held());
  if (!request.held()) wake_();
  co_return response;
}

Task<v1::ReleaseResponse> QueueService::release(rpc::Context& context, const v1::ReleaseRequest& request) {
  if (!is_uuid(request.delivery_id())) co_return invalid("delivery_id is not a UUID");
  MERPATI_CO_FAIL_POINT("queue_before_release");
  MERPATI_CO_TRY(const auto count, co_await repository_.release(request.delivery_id(), context.deadline()));
  MERPATI_CO_FAIL_POINT("queue_after_release");
  v1::ReleaseResponse response;
  if (count == 0) {
    MERPATI_CO_TRY(const bool back, co_await repository_.was_taken_back(request.delivery_id(), context.deadline()));
    response.set_taken_back(back);
  } else {
    tell(trace::v1::KIND_RELEASED, context.trace_id(), request.delivery_id());
  }
  wake_();
  co_return response;
}

Task<v1::DropResponse> QueueService::drop(rpc::Context& context, const v1::DropRequest& request) {
  if (!is_uuid(request.delivery_id())) co_return invalid("delivery_id is not a UUID");
  MERPATI_CO_FAIL_POINT("queue_before_drop");
  MERPATI_CO_TRY(const auto dropped, co_await repository_.drop_held(request.delivery_id(), context.deadline()));
  MERPATI_CO_FAIL_POINT("queue_after_drop");
  if (dropped > 0) tell(trace::v1::KIND_DROPPED, context.trace_id(), request.delivery_id());
  co_return v1::DropResponse();
}

Task<v1::ListItemsResponse> QueueService::list_items(rpc::Context& context, const v1::ListItemsRequest& request) {
  if (!is_storable(request.domain()) || !is_storable(request.sender())) co_return invalid("a text is not UTF-8");
  ItemFilter filter;
  filter.limit = request.page_size() > 0 ? std::min(request.page_size(), kMaxPage) : 100;
  filter.after_id = request.after_item_id();
  filter.state = static_cast<int>(request.state());
  if (!request.domain().empty()) filter.domain = recipient_domain("@" + request.domain());
  filter.sender = request.sender();
  const int limit = filter.limit;
  MERPATI_CO_TRY(const auto items, co_await repository_.list(std::move(filter), context.deadline()));
  v1::ListItemsResponse response;
  for (const ItemView& item : items) fill(item, *response.add_items());
  if (static_cast<int>(items.size()) == limit) response.set_next_item_id(items.back().id);
  co_return response;
}

Task<v1::Item> QueueService::get_item(rpc::Context& context, const v1::GetItemRequest& request) {
  MERPATI_CO_TRY(const auto item, co_await repository_.get(request.item_id(), context.deadline()));
  if (!item) co_return Error(ErrorCode::kNotFound, "no such item").with_public("No such queue item");
  v1::Item out;
  fill(*item, out);
  co_return out;
}

Task<v1::RetryItemsResponse> QueueService::retry_items(rpc::Context& context, const v1::RetryItemsRequest& request) {
  if (!is_storable(request.domain())) co_return invalid("a text is not UTF-8");
  std::vector<std::int64_t> ids(request.item_ids().begin(), request.item_ids().end());
  std::string domain;
  if (!request.domain().empty()) domain = recipient_domain("@" + request.domain());
  MERPATI_CO_TRY(const std::int64_t count,
                 co_await repository_.retry(std::move(ids), std::move(domain), context.deadline()));
  wake_();
  v1::RetryItemsResponse response;
  response.set_count(count);
  co_return response;
}

Task<v1::DropItemsResponse> QueueService::drop_items(rpc::Context& context, const v1::DropItemsRequest& request) {
  std::vector<std::int64_t> ids(request.item_ids().begin(), request.item_ids().end());
  // What is bounced tells by itself when it ends.
  std::vector<trace::v1::Event> events;
  if (events_ != nullptr && !request.bounce()) {
    MERPATI_CO_TRY(events, co_await events_of(repository_, ids, context.deadline()));
  }
  MERPATI_CO_TRY(const std::int64_t count,
                 co_await repository_.drop(std::move(ids), request.bounce(), context.deadline()));
  for (auto& event : events) events_->record(std::move(event));
  if (request.bounce()) wake_();
  v1::DropItemsResponse response;
  response.set_count(count);
  co_return response;
}

}  // namespace merpati::queue
