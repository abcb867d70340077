#include "pop3/commands.hpp"

#include <array>

namespace merpati::pop3 {

const CommandRow& command_row(Verb verb) {
  // In the order of Verb. RFC 1939 4 and 5 say which state each belongs to; RFC 2449 5: CAPA to both.
  static constexpr std::array<CommandRow, 15> kRows{{{Verb::kUser, true, false, cmd_user},
                                                     {Verb::kPass, true, false, cmd_pass},
                                                     {Verb::kAuth, true, false, cmd_auth},
                                                     {Verb::kStls, true, false, cmd_stls},
                                                     {Verb::kUtf8, true, false, cmd_utf8},
                                                     {Verb::kCapa, true, true, cmd_capa},
                                                     {Verb::kQuit, true, true, cmd_quit},
                                                     {Verb::kStat, false, true, cmd_stat},
                                                     {Verb::kList, false, true, cmd_list},
                                                     {Verb::kRetr, false, true, cmd_retr},
                                                     {Verb::kDele, false, true, cmd_dele},
                                                     {Verb::kNoop, false, true, cmd_noop},
                                                     {Verb::kRset, false, true, cmd_rset},
                                                     {Verb::kTop, false, true, cmd_top},
                                                     {Verb::kUidl, false, true, cmd_uidl}}};
  return kRows[static_cast<std::size_t>(verb)];
}

const Maildrop::Message* named_message(Session& session, const Command& command) {
  const auto* message = session.maildrop().find(*command.message);
  if (!message) session.say_err("no such message");
  return message;
}

}  // namespace merpati::pop3
