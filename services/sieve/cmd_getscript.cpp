// GETSCRIPT (RFC 5804 2.9).
#include "sieve/commands.hpp"

namespace merpati::managesieve {

Task<void> cmd_getscript(Session& session, const Command& command) {
  filter::v1::GetScriptRequest request;
  request.set_account_id(session.account());
  request.set_name(command.name);
  const auto options = session.call_options();
  auto answer = co_await session.site().scripts.get_script(request, options);
  if (answer.has_error()) {
    session.no(answer.error());
    co_return Result<void>();
  }
  append_literal(session.out(), answer->source());
  session.out() += "\r\n";
  session.ok();
  co_return Result<void>();
}

}  // namespace merpati::managesieve
