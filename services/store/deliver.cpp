// Deliver and ResolveDelivery.
#include <map>

#include "merpati/auth/v1/token.pb.h"
#include "merpati/base/fail_point.hpp"
#include "merpati/base/ids.hpp"
#include "merpati/runtime/log.hpp"
#include "merpati/trace/recorder.hpp"
#include "store/arrivals.hpp"
#include "store/flags.hpp"
#include "store/operations.hpp"
#include "store/probe.hpp"

namespace merpati::store {
namespace {

constexpr int kMostRecipients = 1000;
constexpr std::size_t kMostPrefix = 8 * 1024;
constexpr int kMostParts = 32;  // resolve_delivery puts a tombstone on each
using Grant = std::shared_ptr<const auth::v1::RecipientGrant>;

Task<Grant> verify_grant(Core& core, const std::string& token) {
  if (!core.verifier) co_return Error(ErrorCode::kUnavailable, "no keys to verify grants with");
  auto grant = core.verifier->verify_grant(token);
  if (!grant.has_error() || grant.error().code() != ErrorCode::kUnavailable) co_return grant;
  MERPATI_CO_CHECK(co_await core.verifier->refresh());
  co_return core.verifier->verify_grant(token);
}

void refuse(v1::DeliverResult& result, v1::DeliverResult::Status status, std::string text) {
  result.set_status(status);
  result.set_text(std::move(text));
}

/// One body for each distinct source of the request.
struct Bodies {
  std::map<std::string, std::shared_ptr<const StoredBody>> by_octets;
  std::shared_ptr<const StoredBody> common;
};

Task<std::shared_ptr<const StoredBody>> body_for(Core& core, const v1::DeliverRequest& request,
                                                 const v1::DeliverRecipient& recipient, Bodies& bodies,
                                                 Deadline deadline) {
  if (!recipient.has_body()) {
    if (!bodies.common) {
      MERPATI_CO_TRY(bodies.common, co_await prepare_body(core, request.body(), deadline));
    }
    co_return bodies.common;
  }
  const auto key = recipient.body().SerializeAsString();
  if (const auto found = bodies.by_octets.find(key); found != bodies.by_octets.end()) co_return found->second;
  MERPATI_CO_TRY(auto body, co_await prepare_body(core, recipient.body(), deadline));
  bodies.by_octets[key] = body;
  co_return body;
}

Task<void> make_mailbox(Core& core, const Caller& caller, std::int64_t account, const std::string& name) {
  v1::ListMailboxesRequest list;
  list.set_account_id(account);
  MERPATI_CO_TRY(auto have, co_await list_mailboxes(core, caller, list));
  for (const auto& mailbox : have.mailboxes())
    if (mailbox.name() == name && !mailbox.no_select()) co_return Result<void>();
  v1::CreateMailboxRequest create;
  create.set_account_id(account);
  create.set_name(name);
  auto made = co_await create_mailbox(core, caller, create);
  if (made.has_error() && made.error().code() != ErrorCode::kAlreadyExists) co_return made.error();
  co_return Result<void>();
}

/// Whose copy an arrival is, for the log and the trace.
struct Recipient {
  std::int64_t account = 0;
  std::string address;
};

/// Fills `arrival` and `recipient_of`, or sets a final result and returns false.
Task<bool> prepare(Core& core, const Caller& caller, const v1::DeliverRequest& request, int index, Bodies& bodies,
                   Arrival& arrival, Recipient& recipient_of, v1::DeliverResult& result) {
  const auto& recipient = request.recipients(index);
  auto grant = co_await verify_grant(core, recipient.grant());
  if (grant.has_error()) {
    // One of another cell came here by a configuration that is not the same everywhere (yet).
    const bool later =
        grant.error().code() == ErrorCode::kUnavailable || grant.error().code() == ErrorCode::kFailedPrecondition;
    refuse(result, later ? v1::DeliverResult::STATUS_TEMPORARY : v1::DeliverResult::STATUS_REFUSED,
           "the recipient's grant is not valid");
    co_return false;
  }
  if (recipient.header_prefix().size() > kMostPrefix)
    co_return Error(ErrorCode::kInvalidArgument, "a header prefix over 8 KiB");
  auto body = co_await body_for(core, request, recipient, bodies, caller.deadline);
  if (body.has_error()) {
    if (body.error().code() == ErrorCode::kInvalidArgument) co_return body.error();
    refuse(result, v1::DeliverResult::STATUS_TEMPORARY, "the body cannot be stored now");
    co_return false;
  }
  MERPATI_CO_TRY(auto flags, parse_flags(recipient.flags()));
  const auto& claims = **grant;
  arrival.account = claims.account_id();
  arrival.delivery = request.delivery_id();
  if (recipient.part() < 0 || recipient.part() >= kMostParts)
    co_return Error(ErrorCode::kInvalidArgument, "a part is 0 to 31");
  arrival.part = recipient.part();
  arrival.mailbox = "INBOX";
  if (!recipient.mailbox().empty()) {
    auto name = normal_name(recipient.mailbox());
    if (name.has_value()) arrival.mailbox = *name;  // a name that cannot be is taken by INBOX
  }
  arrival.junk = recipient.into_junk();
  arrival.flags = flags.bits;
  arrival.keywords = std::move(flags.keywords);
  arrival.received = received_time(request.received_at_ms());
  arrival.header_prefix = recipient.header_prefix();
  arrival.quota_bytes = claims.quota_bytes();
  arrival.quota_messages = claims.quota_messages();
  arrival.body = *body;
  arrival.trace = caller.trace;
  arrival.quota_need = static_cast<std::int64_t>(arrival.body->size + arrival.header_prefix.size());
  if (recipient.create() && !arrival.junk && arrival.mailbox != "INBOX") {
    auto made = co_await make_mailbox(core, caller, arrival.account, arrival.mailbox);
    if (made.has_error())
      log::info("store_mailbox_not_made", "delivered to INBOX instead",
                {{"account", arrival.account}, {"why", made.error().message()}});
  }
  recipient_of = {claims.account_id(), claims.recipient()};
  co_return true;
}

void fill(v1::DeliverResult& out, const ArrivalResult& result) {
  using Status = ArrivalResult::Status;
  switch (result.status) {
    case Status::kStored:
      out.set_status(v1::DeliverResult::STATUS_DELIVERED);
      break;
    case Status::kDuplicate:
      out.set_status(v1::DeliverResult::STATUS_DUPLICATE);
      break;
    case Status::kOverQuota:
      refuse(out, v1::DeliverResult::STATUS_OVER_QUOTA, "mailbox full");
      break;
    case Status::kRefused:
      refuse(out, v1::DeliverResult::STATUS_REFUSED, "delivery refused");
      break;
    case Status::kWithheld:
      out.set_status(v1::DeliverResult::STATUS_WITHHELD);
      break;
    case Status::kGivenUp:
      refuse(out, v1::DeliverResult::STATUS_TEMPORARY, "this delivery was given up");
      break;
    case Status::kNoBody:
    case Status::kNoMailbox:
      refuse(out, v1::DeliverResult::STATUS_TEMPORARY, "cannot be stored now");
      break;
  }
  out.set_mailbox_id(result.mailbox);
  out.set_uid(result.uid);
  if (result.email != 0) out.set_email_id(email_id_text(result.email));
}

std::string_view in_words(const v1::DeliverResult& result) {
  switch (result.status()) {
    case v1::DeliverResult::STATUS_DELIVERED:
      return "delivered";
    case v1::DeliverResult::STATUS_DUPLICATE:
      return "delivered before";
    case v1::DeliverResult::STATUS_WITHHELD:
      return "withheld: another recipient could not be served";
    default:
      return result.text();
  }
}

/// One line, and one event, for each recipient's copy.
void tell(Core& core, const Caller& caller, const v1::DeliverRequest& request, const Recipient& recipient,
          const v1::DeliverResult& result) {
  const bool there = result.status() == v1::DeliverResult::STATUS_DELIVERED;
  const bool twice = result.status() == v1::DeliverResult::STATUS_DUPLICATE;
  log::info(there || twice ? "store_delivered" : "store_not_delivered", in_words(result),
            {{"trace_id", caller.trace_id},
             {"delivery_id", request.delivery_id()},
             {"account_id", recipient.account},
             {"mailbox_id", result.mailbox_id()},
             {"uid", result.uid()}});
  if (core.events == nullptr) return;
  auto event =
      trace::event(there || twice ? trace::v1::KIND_DELIVERED : trace::v1::KIND_NOT_DELIVERED, caller.trace_id);
  // Whoever asks again did not hear the answer, and may be the first that lives to tell.
  if (twice) event.set_detail("the copy was there already");
  event.set_delivery_id(request.delivery_id());
  event.set_recipient(recipient.address);
  event.set_account_id(recipient.account);
  event.set_mailbox_id(result.mailbox_id());
  event.set_uid(result.uid());
  if (!there && !twice) event.set_text(std::string(in_words(result)));
  core.events->record(std::move(event));
}

}  // namespace

Task<v1::DeliverResponse> deliver(Core& core, const Caller& caller, const v1::DeliverRequest& request) {
  if (!is_uuid(request.delivery_id())) co_return Error(ErrorCode::kInvalidArgument, "delivery_id is not a UUID");
  if (request.recipients().empty() || request.recipients_size() > kMostRecipients)
    co_return Error(ErrorCode::kInvalidArgument, "1 to 1,000 recipients");
  v1::DeliverResponse response;
  std::vector<Arrival> arrivals;
  std::vector<Recipient> recipients;
  std::vector<int> places;
  Bodies bodies;
  for (int i = 0; i < request.recipients_size(); ++i) {
    Arrival arrival;
    Recipient recipient;
    auto& result = *response.add_results();
    MERPATI_CO_TRY(const bool ready, co_await prepare(core, caller, request, i, bodies, arrival, recipient, result));
    if (!ready) {
      tell(core, caller, request, recipient, result);
      continue;
    }
    arrival.together = request.all_or_none();
    arrivals.push_back(std::move(arrival));
    recipients.push_back(std::move(recipient));
    places.push_back(i);
  }
  if (request.all_or_none() && places.size() < static_cast<std::size_t>(request.recipients_size())) {
    for (std::size_t i = 0; i < places.size(); ++i) {
      auto& out = *response.mutable_results(places[i]);
      out.set_status(v1::DeliverResult::STATUS_WITHHELD);
      tell(core, caller, request, recipients[i], out);
    }
    co_return response;
  }
  MERPATI_CO_TRY(auto results, co_await core.arrivals->store(std::move(arrivals), caller.deadline));
  for (std::size_t i = 0; i < places.size(); ++i) {
    auto& out = *response.mutable_results(places[i]);
    fill(out, results[i]);
    core.arrivals->probe().arrived(Probe::Kind::kDelivery, results[i].status);
    tell(core, caller, request, recipients[i], out);
  }
  co_return response;
}

Task<v1::CheckRoomResponse> check_room(Core& core, const Caller& caller, const v1::CheckRoomRequest& request) {
  MERPATI_CO_TRY(const auto grant, co_await verify_grant(core, request.grant()));
  v1::GetQuotaRequest who;
  who.set_account_id(grant->account_id());
  MERPATI_CO_TRY(const auto used, co_await get_quota(core, caller, who));
  const auto size = std::clamp<std::uint64_t>(request.size(), 1, INT64_MAX / 2);
  const auto bytes = static_cast<std::int64_t>(used.bytes() + size);
  const auto messages = static_cast<std::int64_t>(used.messages()) + 1;
  v1::CheckRoomResponse response;
  response.set_room((grant->quota_bytes() <= 0 || bytes <= grant->quota_bytes()) &&
                    (grant->quota_messages() <= 0 || messages <= grant->quota_messages()));
  co_return response;
}

Task<v1::ResolveDeliveryResponse> resolve_delivery(Core& core, const Caller& caller,
                                                   const v1::ResolveDeliveryRequest& request) {
  static const pg::Statement kResolve{"store_resolve_delivery", "select resolve_delivery($1, $2)"};
  if (!is_uuid(request.delivery_id())) co_return Error(ErrorCode::kInvalidArgument, "delivery_id is not a UUID");
  pg::Params params;
  params.bigint(request.account_id_of_recipient()).uuid(request.delivery_id());
  MERPATI_CO_TRY(auto rows, co_await core.pool.write(kResolve, std::move(params), caller.deadline));
  MERPATI_CO_FAIL_POINT("store_after_resolve");
  v1::ResolveDeliveryResponse response;
  response.set_committed(rows.front().boolean(0));
  co_return response;
}

}  // namespace merpati::store
