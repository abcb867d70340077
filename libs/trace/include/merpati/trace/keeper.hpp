// Keeper: the events of a service that has a database: recorder, table, service, and connections of their own, so that
// nothing of it stands in the way of mail.
#pragma once

#include <memory>
#include <string>

#include "merpati/config/v1/common.pb.h"
#include "merpati/runtime/process.hpp"
#include "merpati/trace/event_service.hpp"

namespace merpati::trace {

class Keeper {
 public:
  struct Options {
    std::string service;  ///< the schema's name too
    EventTable::Mailboxes mailboxes = EventTable::Mailboxes::kUnknown;
  };
  Keeper(runtime::Process& process, Options options, const config::v1::Database& database,
         const config::v1::TraceEvents& config);
  ~Keeper();

  /// Null when the configuration keeps no events.
  Recorder* recorder();
  rpc::Service& service();
  /// When the schema is there. Never fails: without a database events wait, and get lost.
  Task<void> start();
  Task<void> stop();

 private:
  struct Parts;
  asio::awaitable<void> care_for_ever();
  std::unique_ptr<Parts> parts_;
};

}  // namespace merpati::trace
