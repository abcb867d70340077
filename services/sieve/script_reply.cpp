#include "sieve/script_reply.hpp"

#include <fmt/format.h>

namespace merpati::managesieve {
namespace {

std::string text_of(const Problems& problems, bool warnings) {
  std::string text;
  for (const auto& problem : problems) {
    if (problem.warning() != warnings) continue;
    if (!text.empty()) text += "\r\n";
    text += fmt::format("line {}, column {}: {}", problem.line(), problem.column(), problem.text());
  }
  return text;
}

}  // namespace

bool refuse_for_room(Session& session, filter::v1::ScriptRoom room) {
  switch (room) {
    case filter::v1::SCRIPT_ROOM_TOO_LARGE:
      session.no("the script is too large", ResponseCode::kQuotaMaxSize);
      return true;
    case filter::v1::SCRIPT_ROOM_TOO_MANY:
      session.no("there are too many scripts", ResponseCode::kQuotaMaxScripts);
      return true;
    case filter::v1::SCRIPT_ROOM_FULL:
      session.no("there is no room for this script", ResponseCode::kQuota);
      return true;
    default:
      return false;
  }
}

void judge(Session& session, bool good, const Problems& problems) {
  const auto text = text_of(problems, good);
  if (!good) return session.no(text.empty() ? "the script is not valid" : text);
  const auto code = text.empty() ? ResponseCode::kNone : ResponseCode::kWarnings;
  append_response(session.out(), Condition::kOk, code, text);
}

}  // namespace merpati::managesieve
