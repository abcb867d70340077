#include "queue/local_delivery.hpp"

#include "merpati/auth/v1/auth.rpc.hpp"
#include "merpati/base/encoding.hpp"
#include "merpati/store/v1/store.rpc.hpp"
#include "queue/recipient_domain.hpp"

namespace merpati::queue {
namespace {
constexpr auto kCallTimeout = std::chrono::seconds(30);

// The same for every attempt: a UUID made from the item's.
std::string derived_uuid(std::string_view uuid, std::string_view purpose) {
  std::string hash = sha256(std::string(purpose) + ":" + std::string(uuid)).substr(0, 16);
  hash[6] = static_cast<char>((hash[6] & 0x0F) | 0x80);
  hash[8] = static_cast<char>((hash[8] & 0x3F) | 0x80);
  const std::string hex = to_hex(hash);
  return hex.substr(0, 8) + "-" + hex.substr(8, 4) + "-" + hex.substr(12, 4) + "-" + hex.substr(16, 4) + "-" +
         hex.substr(20);
}

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
    out = Outcome::temporary("4.4.3", "The directory cannot be asked now");
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
  if (resolved->remote_addresses_size() > 0) {
    std::vector<std::string> addresses(resolved->remote_addresses().begin(), resolved->remote_addresses().end());
    MERPATI_CO_TRY(Outcome forwarded, co_await forward(item, content, std::move(addresses)));
    out = std::move(forwarded);
    if (out->kind != Outcome::Kind::kDelivered || resolved->recipients_size() == 0) co_return out;
  }
  std::vector<std::pair<std::string, std::string>> grants;
  for (const auto& recipient : resolved->recipients()) {
    grants.emplace_back(recipient.grant(),
                        recipient.claims().recipient().empty() ? item.recipient : recipient.claims().recipient());
  }
  MERPATI_CO_TRY(Outcome stored, co_await store(item, content, std::move(grants)));
  out = std::move(stored);
  co_return out;
}

Task<Outcome> LocalDelivery::store(const LeasedItem& item, Content& content,
                                   std::vector<std::pair<std::string, std::string>> grants) {
  const Message& message = *item.message;
  store::v1::DeliverRequest request;
  request.set_delivery_id(item.uuid);
  if (const std::string* body = content.inline_body())
    request.mutable_body()->set_inline_(*body);
  else
    request.mutable_body()->set_blob_id(message.blob_id);
  for (const auto& [grant, address] : grants) {
    auto& recipient = *request.add_recipients();
    recipient.set_grant(grant);
    recipient.set_header_prefix("Return-Path: <" + message.reverse_path + ">\r\nDelivered-To: " + address + "\r\n" +
                                message.header_prefix);
  }
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  request.set_received_at_ms(std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
  request.set_trace_id(message.trace_id);
  request.set_reverse_path(message.reverse_path);
  store::v1::StoreClient client(store_);
  rpc::CallOptions options;
  options.deadline = Deadline::after(kCallTimeout);
  options.trace_id = message.trace_id;
  auto response = co_await client.deliver(request, options);
  if (response.has_error()) {
    if (is_cancelled(response.error())) co_return response.error();
    co_return Outcome::temporary("4.3.0", "The mailbox cannot be reached now");
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

Task<Outcome> LocalDelivery::forward(const LeasedItem& item, Content& content, std::vector<std::string> addresses) {
  Message copy = *item.message;
  copy.delivery_id = derived_uuid(item.uuid, "forward");
  std::vector<NewRecipient> recipients;
  for (std::string& address : addresses) {
    std::string domain = recipient_domain(address);
    recipients.push_back({std::move(address), std::move(domain), item.notify, item.original_recipient});
  }
  const NewMessage forwarded[] = {{std::move(copy), content.inline_body(), std::move(recipients)}};
  const auto done = co_await repository_.enqueue(forwarded, false, Deadline::after(kCallTimeout));
  if (done.has_error()) {
    if (is_cancelled(done.error())) co_return done.error();
    co_return Outcome::temporary("4.3.0", "The message cannot be forwarded now");
  }
  co_return Outcome::delivered("forwarded");
}

}  // namespace merpati::queue
