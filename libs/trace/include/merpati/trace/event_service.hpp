// EventService: merpati.trace.v1.Trace of a service that keeps events.
#pragma once

#include "merpati/trace/event_table.hpp"
#include "merpati/trace/recorder.hpp"
#include "merpati/trace/v1/trace.rpc.hpp"

namespace merpati::trace {

class EventService : public v1::TraceService {
 public:
  /// Without a recorder (null) what others tell is not kept.
  EventService(Recorder* recorder, EventTable& table) : recorder_(recorder), table_(table) {}
  Task<v1::RecordEventsResponse> record_events(rpc::Context&, const v1::RecordEventsRequest&) override;
  Task<v1::FindEventsResponse> find_events(rpc::Context&, const v1::FindEventsRequest&) override;

 private:
  Recorder* const recorder_;
  EventTable& table_;
};

}  // namespace merpati::trace
