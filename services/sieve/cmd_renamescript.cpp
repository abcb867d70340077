// RENAMESCRIPT (RFC 5804 2.11): the active one stays active.
#include "sieve/commands.hpp"

namespace merpati::managesieve {

Task<void> cmd_renamescript(Session& session, const Command& command) {
  filter::v1::RenameScriptRequest request;
  request.set_account_id(session.account());
  request.set_name(command.name);
  request.set_new_name(command.new_name);
  const auto options = session.call_options();
  auto answer = co_await session.site().scripts.rename_script(request, options);
  if (answer.has_error()) {
    session.no(answer.error());
  } else {
    session.ok();
  }
  co_return Result<void>();
}

}  // namespace merpati::managesieve
