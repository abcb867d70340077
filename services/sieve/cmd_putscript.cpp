// PUTSCRIPT (RFC 5804 2.6): what does not compile is not stored.
#include "sieve/commands.hpp"
#include "sieve/script_reply.hpp"

namespace merpati::managesieve {

Task<void> cmd_putscript(Session& session, const Command& command) {
  if (command.script.empty()) {
    session.no("the script is empty");  // RFC 5804 2.6: should be disallowed
    co_return Result<void>();
  }
  filter::v1::PutScriptRequest request;
  request.set_account_id(session.account());
  request.set_name(command.name);
  request.set_source(command.script);
  const auto options = session.call_options();
  auto answer = co_await session.site().scripts.put_script(request, options);
  if (answer.has_error()) {
    session.no(answer.error());
  } else if (answer->stored() || !refuse_for_room(session, answer->room())) {
    judge(session, answer->stored(), answer->problems());
  }
  co_return Result<void>();
}

}  // namespace merpati::managesieve
