// NOOP (RFC 5804 2.13).
#include "sieve/commands.hpp"

namespace merpati::managesieve {

Task<void> cmd_noop(Session& session, const Command& command) {
  const auto code = command.tag ? code_with_string("TAG", *command.tag) : std::string();
  append_response(session.out(), Condition::kOk, code, "done");
  co_return Result<void>();
}

}  // namespace merpati::managesieve
