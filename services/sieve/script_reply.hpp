// The filter's judgement of a script as a reply.
#pragma once

#include "sieve/session.hpp"

namespace merpati::managesieve {

using Problems = google::protobuf::RepeatedPtrField<filter::v1::ScriptProblem>;

/// NO with the right QUOTA when there is no room: true then.
bool refuse_for_room(Session& session, filter::v1::ScriptRoom room);

/// RFC 5804 2.6: OK, OK with WARNINGS, or NO with all errors, one a line.
void judge(Session& session, bool good, const Problems& problems);

}  // namespace merpati::managesieve
