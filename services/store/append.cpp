// Append: IMAP APPEND and MULTIAPPEND, all or none.
#include "merpati/base/ids.hpp"
#include "merpati/runtime/log.hpp"
#include "merpati/trace/recorder.hpp"
#include "store/arrivals.hpp"
#include "store/flags.hpp"
#include "store/operations.hpp"
#include "store/probe.hpp"

namespace merpati::store {
namespace {
constexpr int kMostMessages = 1000;

void tell(Core& core, const Caller& caller, const v1::AppendRequest& request, const ArrivalResult& result) {
  log::info("store_appended", "appended",
            {{"trace_id", caller.trace_id},
             {"account_id", request.account_id()},
             {"mailbox_id", result.mailbox},
             {"uid", result.uid}});
  if (core.events == nullptr) return;
  auto event = trace::event(trace::v1::KIND_APPENDED, caller.trace_id);
  event.set_delivery_id(request.request_id());
  event.set_account_id(request.account_id());
  event.set_mailbox_id(result.mailbox);
  event.set_uid(result.uid);
  core.events->record(std::move(event));
}
}  // namespace

Task<v1::AppendResponse> append(Core& core, const Caller& caller, const v1::AppendRequest& request) {
  if (!is_uuid(request.request_id())) co_return Error(ErrorCode::kInvalidArgument, "request_id is not a UUID");
  if (request.messages().empty() || request.messages_size() > kMostMessages)
    co_return Error(ErrorCode::kInvalidArgument, "1 to 1,000 messages");
  MERPATI_CO_TRY(auto mailbox, normal_name(request.mailbox()));
  std::vector<Arrival> arrivals;
  std::int64_t need = 0;
  for (const auto& message : request.messages()) {
    Arrival arrival;
    MERPATI_CO_TRY(arrival.body, co_await prepare_body(core, message.body(), caller.deadline));
    MERPATI_CO_TRY(auto flags, parse_flags(message.flags()));
    arrival.account = request.account_id();
    arrival.trace = caller.trace;
    arrival.delivery = request.request_id();
    arrival.part = static_cast<int>(arrivals.size());
    arrival.mailbox = mailbox;
    arrival.strict = true;
    arrival.flags = flags.bits;
    arrival.keywords = std::move(flags.keywords);
    arrival.received = received_time(message.received_at_ms());
    arrival.zone_minutes = message.received_zone_minutes();
    arrival.quota_bytes = caller.quota_bytes;
    arrival.quota_messages = caller.quota_messages;
    need += static_cast<std::int64_t>(arrival.body->size);
    arrivals.push_back(std::move(arrival));
  }
  for (auto& arrival : arrivals) {
    arrival.quota_need = need;
    arrival.together = arrivals.size() > 1;
  }
  MERPATI_CO_TRY(auto results, co_await core.arrivals->store(std::move(arrivals), caller.deadline));
  v1::AppendResponse response;
  for (const auto& result : results) {
    core.arrivals->probe().arrived(Probe::Kind::kAppend, result.status);
    switch (result.status) {
      case ArrivalResult::Status::kStored:
      case ArrivalResult::Status::kDuplicate:
        break;
      case ArrivalResult::Status::kOverQuota:
        co_return Error(ErrorCode::kResourceExhausted, "over quota").with_public("over quota").with_status("5.2.2");
      case ArrivalResult::Status::kWithheld:
        continue;  // another one's result says why
      case ArrivalResult::Status::kNoMailbox:
      case ArrivalResult::Status::kRefused:
      case ArrivalResult::Status::kGivenUp:
        co_return Error(ErrorCode::kNotFound, "no such mailbox").with_public("no such mailbox");
      case ArrivalResult::Status::kNoBody:
        co_return Error(ErrorCode::kUnavailable, "the uploaded body is gone");
    }
    response.set_mailbox_id(result.mailbox);
    response.set_uid_validity(result.uid_validity);
    response.add_uids(result.uid);
    tell(core, caller, request, result);
  }
  co_return response;
}

}  // namespace merpati::store
