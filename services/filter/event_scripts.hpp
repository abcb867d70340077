// The operator's scripts for what people do over IMAP (RFC 6785): which events each is meant for.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "merpati/base/result.hpp"
#include "merpati/filter/v1/mailbox_events.pb.h"
#include "merpati/sieve/interpreter.hpp"

namespace merpati::config::v1 {
class FilterSieve;
}

namespace merpati::filter {

struct EventScript {
  v1::EventScript event;  ///< that it is meant for
  sieve::NamedScript script;
};

/// Reads and compiles the files that the configuration names, in its order. Blocking. kInvalidArgument names what is
/// wrong, a script that answers deliveries among it.
Result<std::vector<EventScript>> load_event_scripts(const config::v1::FilterSieve& config);

/// Whether an event is meant. Upper and lower case matter in names, but for INBOX.
bool is_meant(const v1::EventScript& script, v1::EventCause cause, const std::string& mailbox,
              const std::string& from_mailbox);

/// Those that run, in their order.
std::vector<sieve::NamedScript> scripts_for(std::span<const EventScript> scripts,
                                            const v1::RunEventScriptsRequest& event);

}  // namespace merpati::filter
