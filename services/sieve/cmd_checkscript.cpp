// CHECKSCRIPT (RFC 5804 2.12): compiles, stores nothing; the account's quota does not matter.
#include "sieve/commands.hpp"
#include "sieve/script_reply.hpp"

namespace merpati::managesieve {

Task<void> cmd_checkscript(Session& session, const Command& command) {
  filter::v1::CheckScriptRequest request;
  request.set_account_id(session.account());
  request.set_source(command.script);
  const auto options = session.call_options();
  auto answer = co_await session.site().scripts.check_script(request, options);
  if (answer.has_error()) {
    session.no(answer.error());
  } else if (!refuse_for_room(session, answer->room())) {
    judge(session, answer->compiles(), answer->problems());
  }
  co_return Result<void>();
}

}  // namespace merpati::managesieve
