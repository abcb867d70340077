// CAPABILITY, ID (RFC 2971), NAMESPACE (RFC 2342), ENABLE (RFC 5161): what can be said without a mailbox.
#include "imap/session.hpp"
#include "merpati/runtime/log.hpp"

namespace merpati::imap {

Task<Reply> cmd_capability(Session& session, const Command&) {
  session.out() += "* CAPABILITY ";
  session.append_capabilities();
  session.out() += "\r\n";
  co_return ok();
}

Task<Reply> cmd_id(Session& session, const Command& command) {
  // RFC 2971 3.1: what the client says of itself is for the log only.
  for (const auto& [name, value] : command.get<IdArguments>().fields) {
    if (name == "name" || name == "NAME")
      log::debug("imap_client_id", "a client named itself", {{"name", response_text(value.substr(0, 100))}});
  }
  session.out() += "* ID (\"name\" \"Merpati\" \"vendor\" \"Merpati\")\r\n";
  co_return ok();
}

Task<Reply> cmd_namespace(Session& session, const Command&) {
  session.out() += "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n";
  co_return ok();
}

Task<Reply> cmd_enable(Session& session, const Command& command) {
  std::string enabled;
  for (const auto& name : command.get<EnableArguments>().capabilities) {
    if (name == "IMAP4REV2" && !session.rev2) {
      session.rev2 = true;
      enabled += " IMAP4rev2";
    } else if (name == "CONDSTORE" && !session.condstore) {
      session.enable_condstore();
      enabled += " CONDSTORE";
    }
  }
  session.out() += "* ENABLED" + enabled + "\r\n";
  co_return ok();
}

}  // namespace merpati::imap
