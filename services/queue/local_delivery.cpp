#include "queue/local_delivery.hpp"

#include <map>

#include "merpati/auth/v1/auth.rpc.hpp"
#include "merpati/base/encoding.hpp"
#include "merpati/cells/copy_blob.hpp"
#include "merpati/runtime/log.hpp"
#include "merpati/store/v1/store.rpc.hpp"
#include "queue/recipient_domain.hpp"

namespace merpati::queue {
namespace {
constexpr auto kCallTimeout = std::chrono::seconds(30);
constexpr auto kCopyTimeout = std::chrono::minutes(2);

bool is_cancelled(const Error& error) { return error.code() == ErrorCode::kCancelled; }

Outcome outcome_of(const store::v1::DeliverResult& result) {
  using Result = store::v1::DeliverResult;
  switch (result.status()) {
    case Result::STATUS_DELIVERED:
    case Result::STATUS_DUPLICATE:
      return Outcome::delivered("delivered to the mailbox");
    case Result::STATUS_OVER_QUOTA:
      return Outcome::temporary("4.2.2", "The mailbox is full");
    case Result::STATUS_REFUSED:
      return Outcome::failed("5.2.1", result.text().empty() ? "The mailbox takes no mail" : result.text());
    default:
      return Outcome::temporary("4.3.0", result.text().empty() ? "The mailbox cannot take mail now" : result.text());
  }
}
}  // namespace

Task<std::optional<Outcome>> LocalDelivery::deliver(const LeasedItem& item, Content& content) {
  std::optional<Outcome> out;
  if (!auth_ || !store_) co_return out;
  auth::v1::AuthClient client(auth_);
  auth::v1::ResolveRecipientRequest request;
  request.set_address(item.recipient);
  request.set_internal(true);
  rpc::CallOptions options;
  options.deadline = Deadline::after(kCallTimeout);
  options.trace_id = item.message->trace_id;
  auto resolved = co_await client.resolve_recipient(request, options);
  if (resolved.has_error()) {
    if (is_cancelled(resolved.error())) co_return resolved.error();
    out = Outcome::waiting("4.4.3", "The directory cannot be asked now");
    co_return out;
  }
  using Response = auth::v1::ResolveRecipientResponse;
  switch (resolved->status()) {
    case Response::STATUS_REMOTE:
      co_return out;
    case Response::STATUS_UNKNOWN:
      out = Outcome::failed("5.1.1", "No such address here");
      co_return out;
    case Response::STATUS_DISABLED:
      out = Outcome::failed("5.2.1", "The mailbox takes no mail");
      co_return out;
    case Response::STATUS_OVER_QUOTA:
      out = Outcome::temporary("4.2.2", "The mailbox is full");
      co_return out;
    case Response::STATUS_LOCAL:
      break;
    default:
      out = Outcome::temporary("4.3.0", "The directory gave no answer");
      co_return out;
  }
  MERPATI_CO_TRY(out, co_await as_wanted(item, content, resolved->recipients(), resolved->remote_addresses()));
  co_return out;
}

Task<Outcome> LocalDelivery::as_wanted(const LeasedItem& item, Content& content, const LocalRecipients& recipients,
                                       const RemoteAddresses& elsewhere) {
  auto asked = co_await scripts_.ask(item, content, recipients, elsewhere);
  if (asked.has_error() && is_cancelled(asked.error())) co_return std::move(asked).error();
  if (asked.has_error()) co_return Outcome::waiting("4.3.0", "The filter cannot be asked now");
  // Who is elsewhere does not wait until a mailbox here can take it.
  const auto forwarded = co_await send_on(item, content, asked->forwards);
  if (forwarded.has_error() && is_cancelled(forwarded.error())) co_return forwarded.error();
  if (forwarded.has_error()) co_return Outcome::waiting("4.3.0", "The message cannot be forwarded now");
  if (recipients.empty()) co_return asked->refusal.value_or(Outcome::delivered("forwarded"));
  MERPATI_CO_TRY(Outcome out, co_await store_all(item, content, std::move(asked->copies)));
  if (out.kind == Outcome::Kind::kTemporary) co_return out;
  if (out.kind == Outcome::Kind::kDelivered && !asked->departures.empty()) {
    const auto sent = co_await send_on(item, content, asked->departures);
    if (sent.has_error() && is_cancelled(sent.error())) co_return sent.error();
    // What is stored by now is known again when the item is tried again.
    if (sent.has_error()) co_return Outcome::waiting("4.3.0", "What the recipient's filter sends cannot be sent now");
  }
  if (asked->refusal) out = *asked->refusal;
  if (asked->settle) {
    const auto settled = co_await scripts_.settle(item, out.kind == Outcome::Kind::kDelivered);
    if (settled.has_error() && is_cancelled(settled.error())) co_return settled.error();
    if (settled.has_error())
      log::warning("queue_settle_failed", settled.error().describe(), {{"trace_id", item.message->trace_id}});
  }
  co_return out;
}

Task<Outcome> LocalDelivery::store_all(const LeasedItem& item, Content& content, std::vector<LocalCopy> copies) {
  std::map<std::string, std::vector<LocalCopy>> by_cell;
  for (auto& copy : copies) by_cell[copy.cell].push_back(std::move(copy));
  std::optional<Outcome> out;
  for (auto& [cell, own] : by_cell) {
    MERPATI_CO_TRY(Outcome stored, co_await store(item, content, cell, std::move(own)));
    // One that must be tried again decides: those that have it already take a repetition as a duplicate.
    const bool failed_before = out && out->kind == Outcome::Kind::kFailed;
    if (!failed_before || stored.kind == Outcome::Kind::kTemporary) out = std::move(stored);
    if (out->kind == Outcome::Kind::kTemporary) break;
  }
  co_return out.value_or(Outcome::delivered("as the recipient's filter wants"));
}

/// The body in the copy's cell.
Task<store::v1::Body> LocalDelivery::body_for(const LeasedItem& item, Content& content, const LocalCopy& copy,
                                              const rpc::CallOptions& options) {
  const Message& message = *item.message;
  store::v1::Body body = copy.into.body();
  if (!copy.into.has_body()) {
    if (const std::string* octets = content.inline_body())
      body.set_inline_(*octets);
    else
      body.set_blob_id(message.blob_id);
  }
  if (!body.has_blob_id() || copy.cell == message.cell) co_return body;
  auto call = options;
  call.deadline = Deadline::after(kCopyTimeout);
  store::v1::StoreClient client(store_);
  MERPATI_CO_TRY(auto id, co_await cells::copy_blob(client, body.blob_id(), message.cell, copy.cell, call));
  body.set_blob_id(std::move(id));
  co_return body;
}

Task<Outcome> LocalDelivery::store(const LeasedItem& item, Content& content, std::string cell,
                                   std::vector<LocalCopy> copies) {
  const Message& message = *item.message;
  store::v1::StoreClient client(store_);
  rpc::CallOptions options;
  options.deadline = Deadline::after(kCallTimeout);
  options.trace_id = message.trace_id;
  options.cell = cell;
  store::v1::DeliverRequest request;
  request.set_delivery_id(item.uuid);
  for (const auto& copy : copies) {
    auto& recipient = *request.add_recipients();
    const bool own = copy.into.has_body();
    if (own || !request.has_body()) {
      auto body = co_await body_for(item, content, copy, options);
      if (body.has_error() && is_cancelled(body.error())) co_return std::move(body).error();
      if (body.has_error()) co_return Outcome::temporary("4.3.0", "The mailbox cannot be reached now");
      (own ? *recipient.mutable_body() : *request.mutable_body()) = *std::move(body);
    }
    recipient.set_grant(copy.grant);
    recipient.set_mailbox(copy.into.mailbox());
    recipient.set_create(copy.into.create());
    *recipient.mutable_flags() = copy.into.flags();
    recipient.set_part(copy.part);
    recipient.set_into_junk(copy.junk && copy.into.mailbox().empty() && !copy.into.composed());
    if (copy.into.composed()) continue;
    recipient.set_header_prefix("Return-Path: <" + message.reverse_path + ">\r\nDelivered-To: " + copy.address +
                                "\r\n" + message.header_prefix);
  }
  if (!request.has_body()) *request.mutable_body() = request.recipients(0).body();
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  request.set_received_at_ms(std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
  request.set_trace_id(message.trace_id);
  request.set_reverse_path(message.reverse_path);
  auto response = co_await client.deliver(request, options);
  if (response.has_error()) {
    if (is_cancelled(response.error())) co_return response.error();
    co_return Outcome::waiting("4.3.0", "The mailbox cannot be reached now");
  }
  Outcome worst = Outcome::delivered("delivered to the mailbox");
  for (const auto& result : response->results()) {
    Outcome outcome = outcome_of(result);
    // One that must be tried again decides: those that have it already take a repetition as a duplicate.
    if (outcome.kind == Outcome::Kind::kTemporary) co_return outcome;
    if (outcome.kind == Outcome::Kind::kFailed) worst = std::move(outcome);
  }
  co_return worst;
}

Task<void> LocalDelivery::send_on(const LeasedItem& item, Content& content, const std::vector<Departure>& departures) {
  const auto deadline = Deadline::after(kCallTimeout);
  for (const Departure& departure : departures) {
    Message message = *item.message;
    message.delivery_id = derived_uuid(departure.name + ":" + item.uuid);
    message.reverse_path = departure.reverse_path;
    message.header_prefix = departure.prefix;
    message.headers_only = departure.headers_only;
    if (!departure.by_alias) message.envelope_id.clear();
    message.scripted = false;
    const std::string* octets = departure.octets ? &*departure.octets : content.inline_body();
    if (!departure.blob_id.empty()) {
      octets = nullptr;
      message.blob_id = departure.blob_id;
      store::v1::KeepBlobRequest keep;
      keep.set_blob_id(message.blob_id);
      keep.set_seconds(keep_blobs_.count());
      store::v1::StoreClient client(store_);
      rpc::CallOptions options;
      options.deadline = deadline;
      options.cell = message.cell;
      MERPATI_CO_TRY(const auto kept, co_await client.keep_blob(keep, options));
      message.size = kept.size() + message.header_prefix.size();
    } else if (octets != nullptr) {
      message.size = octets->size() + message.header_prefix.size();
      message.has_octets = true;
      message.blob_id.clear();
    } else {
      message.size += departure.prefix.size() - item.message->header_prefix.size();
    }
    if (departure.composed) message.body_type = BodyType::k8BitMime;
    std::vector<NewRecipient> recipients;
    const std::string original = departure.by_alias ? item.original_recipient : "";
    for (const std::string& address : departure.recipients)
      recipients.push_back({address, recipient_domain(address), departure.notify, original});
    const NewMessage sent[] = {{std::move(message), octets, std::move(recipients)}};
    MERPATI_CO_CHECK(co_await repository_.enqueue(sent, false, deadline));
  }
  co_return Result<void>();
}

}  // namespace merpati::queue
