#include "filter/event_scripts.hpp"

#include <algorithm>

#include "filter/operator_scripts.hpp"
#include "merpati/config/v1/filter.pb.h"
#include "merpati/imap/mailbox_name.hpp"
#include "merpati/mime/charset.hpp"
#include "merpati/sieve/capability.hpp"

namespace merpati::filter {
namespace {

v1::EventCause cause_of(int event) {
  switch (event) {
    case config::v1::IMAP_EVENT_APPEND:
      return v1::EVENT_CAUSE_APPEND;
    case config::v1::IMAP_EVENT_COPY:
      return v1::EVENT_CAUSE_COPY;
    case config::v1::IMAP_EVENT_FLAG:
      return v1::EVENT_CAUSE_FLAG;
    default:
      return v1::EVENT_CAUSE_UNSPECIFIED;
  }
}

Error refused(const std::string& why) { return Error(ErrorCode::kInvalidArgument, "filter.sieve.imap: " + why); }

}  // namespace

Result<std::vector<EventScript>> load_event_scripts(const config::v1::FilterSieve& config) {
  std::vector<EventScript> out;
  for (const auto& wanted : config.imap()) {
    if (wanted.mailbox().empty()) return refused("an entry names no mailbox (\"*\" is any)");
    if (wanted.script().empty()) return refused("the entry for \"" + wanted.mailbox() + "\" names no script");
    auto& one = out.emplace_back();
    one.event.set_mailbox(mime::to_nfc(wanted.mailbox()));
    one.event.set_from_mailbox(mime::to_nfc(wanted.from_mailbox()));
    for (const int event : wanted.causes()) one.event.add_causes(cause_of(event));
    const bool copies = wanted.causes().empty() ||
                        std::ranges::find(wanted.causes(), config::v1::IMAP_EVENT_COPY) != wanted.causes().end();
    if (!wanted.from_mailbox().empty() && !copies)
      return refused("from_mailbox of \"" + wanted.mailbox() + "\" needs the cause COPY");
    MERPATI_TRY(one.script.script, load_operator_script(wanted.script()));
    one.script.name = wanted.script();
    for (const auto& name : one.script.script->required())
      if (!sieve::fits_imap_events(name)) return refused(wanted.script() + ": \"" + name + "\" is not for IMAP events");
  }
  return out;
}

bool is_meant(const v1::EventScript& script, v1::EventCause cause, const std::string& mailbox,
              const std::string& from_mailbox) {
  if (!script.causes().empty() && std::ranges::find(script.causes(), cause) == script.causes().end()) return false;
  if (!imap::matches_pattern(script.mailbox(), mailbox)) return false;
  if (script.from_mailbox().empty()) return true;
  return cause == v1::EVENT_CAUSE_COPY && imap::matches_pattern(script.from_mailbox(), from_mailbox);
}

std::vector<sieve::NamedScript> scripts_for(std::span<const EventScript> scripts,
                                            const v1::RunEventScriptsRequest& event) {
  std::vector<sieve::NamedScript> out;
  for (const auto& one : scripts)
    if (is_meant(one.event, event.cause(), event.mailbox(), event.from_mailbox())) out.push_back(one.script);
  return out;
}

}  // namespace merpati::filter
