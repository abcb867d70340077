#include "filter/rpc/mailbox_events_service.hpp"

#include "merpati/auth/v1/token.pb.h"

namespace merpati::filter {
namespace {

constexpr int kMostMessages = 100;

Error not_ready() { return Error(ErrorCode::kUnavailable, "the filter has not started yet"); }

}  // namespace

Task<v1::ListEventScriptsResponse> MailboxEventsService::list_event_scripts(rpc::Context&,
                                                                            const v1::ListEventScriptsRequest&) {
  if (events_ == nullptr) co_return not_ready();
  v1::ListEventScriptsResponse response;
  for (const auto& script : events_->scripts()) *response.add_scripts() = script.event;
  co_return response;
}

Task<v1::RunEventScriptsResponse> MailboxEventsService::run_event_scripts(rpc::Context& context,
                                                                          const v1::RunEventScriptsRequest& request) {
  if (events_ == nullptr) co_return not_ready();
  if (request.messages_size() > kMostMessages)
    co_return Error(ErrorCode::kInvalidArgument, "more than 100 messages in one call");
  if (request.cause() == v1::EVENT_CAUSE_UNSPECIFIED) co_return Error(ErrorCode::kInvalidArgument, "no cause");
  rpc::CallOptions call;
  call.deadline = context.deadline();
  call.token = context.token();
  call.account_id = request.account_id();
  call.cell = context.claims()->cell();
  call.trace_id = context.trace();
  co_return co_await events_->run(request, std::move(call), context.claims()->address());
}

}  // namespace merpati::filter
