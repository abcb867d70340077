// HAVESPACE (RFC 5804 2.5).
#include "sieve/commands.hpp"
#include "sieve/script_reply.hpp"

namespace merpati::managesieve {

Task<void> cmd_havespace(Session& session, const Command& command) {
  if (command.size > session.site().settings.max_script) {
    refuse_for_room(session, filter::v1::SCRIPT_ROOM_TOO_LARGE);
    co_return Result<void>();
  }
  filter::v1::CheckSpaceRequest request;
  request.set_account_id(session.account());
  request.set_name(command.name);
  request.set_size(command.size);
  const auto options = session.call_options();
  auto answer = co_await session.site().scripts.check_space(request, options);
  if (answer.has_error()) {
    session.no(answer.error());
  } else if (!refuse_for_room(session, answer->room())) {
    session.ok();
  }
  co_return Result<void>();
}

}  // namespace merpati::managesieve
