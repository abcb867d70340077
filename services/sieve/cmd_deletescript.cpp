// DELETESCRIPT (RFC 5804 2.10): not the active one.
#include "sieve/commands.hpp"

namespace merpati::managesieve {

Task<void> cmd_deletescript(Session& session, const Command& command) {
  filter::v1::DeleteScriptRequest request;
  request.set_account_id(session.account());
  request.set_name(command.name);
  const auto options = session.call_options();
  auto answer = co_await session.site().scripts.delete_script(request, options);
  if (answer.has_error()) {
    session.no(answer.error());
  } else {
    session.ok();
  }
  co_return Result<void>();
}

}  // namespace merpati::managesieve
