// merpati.filter.v1.MailboxEvents: converts between the contract and MailboxEvents.
#pragma once

#include <memory>

#include "filter/mailbox_events.hpp"
#include "merpati/filter/v1/mailbox_events.rpc.hpp"

namespace merpati::filter {

class MailboxEventsService : public v1::MailboxEventsService {
 public:
  /// Before the service serves. Without, it is not ready.
  void set_events(MailboxEvents& events) { events_ = &events; }

  Task<v1::ListEventScriptsResponse> list_event_scripts(rpc::Context&, const v1::ListEventScriptsRequest&) override;
  Task<v1::RunEventScriptsResponse> run_event_scripts(rpc::Context&, const v1::RunEventScriptsRequest&) override;

 private:
  MailboxEvents* events_ = nullptr;
};

}  // namespace merpati::filter
