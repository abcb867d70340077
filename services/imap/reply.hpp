// Reply: the tagged end of a command. What handlers return.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "merpati/base/task.hpp"
#include "merpati/imap/command.hpp"

namespace merpati::imap {

struct Reply {
  enum class Condition : std::uint8_t { kOk, kNo, kBad };
  Condition condition = Condition::kOk;
  std::string code;  ///< response code without brackets
  std::string text;  ///< empty: "<command> completed"
};

inline Reply ok(std::string code = {}, std::string text = {}) {
  return {Reply::Condition::kOk, std::move(code), std::move(text)};
}
inline Reply no(std::string code, std::string text) {
  return {Reply::Condition::kNo, std::move(code), std::move(text)};
}
inline Reply bad(std::string text, std::string code = {}) {
  return {Reply::Condition::kBad, std::move(code), std::move(text)};
}

/// As a reply's text: the tagged line was written by the handler (STARTTLS).
inline constexpr std::string_view kAlreadyAnswered = "\x01";

class Session;

/// A command's handler: appends untagged responses to the session's output and returns the tagged one. An Error becomes
/// NO or BAD by the table of libs/imap.
using Handler = Task<Reply> (*)(Session& session, const Command& command);

Task<Reply> cmd_capability(Session& session, const Command& command);
Task<Reply> cmd_noop(Session& session, const Command& command);
Task<Reply> cmd_logout(Session& session, const Command& command);
Task<Reply> cmd_id(Session& session, const Command& command);
Task<Reply> cmd_starttls(Session& session, const Command& command);
Task<Reply> cmd_authenticate(Session& session, const Command& command);
Task<Reply> cmd_login(Session& session, const Command& command);
Task<Reply> cmd_enable(Session& session, const Command& command);
Task<Reply> cmd_select(Session& session, const Command& command);
Task<Reply> cmd_create(Session& session, const Command& command);
Task<Reply> cmd_delete(Session& session, const Command& command);
Task<Reply> cmd_rename(Session& session, const Command& command);
Task<Reply> cmd_subscribe(Session& session, const Command& command);
Task<Reply> cmd_list(Session& session, const Command& command);
Task<Reply> cmd_lsub(Session& session, const Command& command);
Task<Reply> cmd_namespace(Session& session, const Command& command);
Task<Reply> cmd_idle(Session& session, const Command& command);
Task<Reply> cmd_close(Session& session, const Command& command);
Task<Reply> cmd_unselect(Session& session, const Command& command);
Task<Reply> cmd_expunge(Session& session, const Command& command);
Task<Reply> cmd_search(Session& session, const Command& command);
Task<Reply> cmd_fetch(Session& session, const Command& command);
Task<Reply> cmd_store(Session& session, const Command& command);
Task<Reply> cmd_copy(Session& session, const Command& command);

}  // namespace merpati::imap
