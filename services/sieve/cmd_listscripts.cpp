// LISTSCRIPTS (RFC 5804 2.7).
#include "sieve/commands.hpp"

namespace merpati::managesieve {

Task<void> cmd_listscripts(Session& session, const Command&) {
  filter::v1::ListScriptsRequest request;
  request.set_account_id(session.account());
  const auto options = session.call_options();
  auto answer = co_await session.site().scripts.list_scripts(request, options);
  if (answer.has_error()) {
    session.no(answer.error());
    co_return Result<void>();
  }
  for (const auto& script : answer->scripts()) {
    append_string(session.out(), script.name());
    session.out() += script.active() ? " ACTIVE\r\n" : "\r\n";
  }
  session.ok();
  co_return Result<void>();
}

}  // namespace merpati::managesieve
