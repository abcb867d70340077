#include "merpati/trace/event_service.hpp"

namespace merpati::trace {
namespace {
constexpr int kMostEvents = 1000;
}

Task<v1::RecordEventsResponse> EventService::record_events(rpc::Context&, const v1::RecordEventsRequest& request) {
  if (request.events_size() > kMostEvents) co_return Error(ErrorCode::kInvalidArgument, "at most 1,000 events");
  if (recorder_ == nullptr) co_return v1::RecordEventsResponse();
  for (const auto& event : request.events()) recorder_->record(event);
  co_return v1::RecordEventsResponse();
}

Task<v1::FindEventsResponse> EventService::find_events(rpc::Context& context, const v1::FindEventsRequest& request) {
  co_return co_await table_.find(request, context.deadline());
}

}  // namespace merpati::trace
