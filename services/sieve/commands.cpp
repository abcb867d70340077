#include "sieve/commands.hpp"

#include <array>

namespace merpati::managesieve {

const CommandRow& command_row(Verb verb) {
  // In the order of Verb. RFC 5804 4 says which state each belongs to.
  static constexpr std::array<CommandRow, kVerbCount> kRows{{{Verb::kAuthenticate, true, false, cmd_authenticate},
                                                             {Verb::kStartTls, true, false, cmd_starttls},
                                                             {Verb::kCapability, true, true, cmd_capability},
                                                             {Verb::kLogout, true, true, cmd_logout},
                                                             {Verb::kNoop, true, true, cmd_noop},
                                                             {Verb::kUnauthenticate, false, true, cmd_unauthenticate},
                                                             {Verb::kHaveSpace, false, true, cmd_havespace},
                                                             {Verb::kPutScript, false, true, cmd_putscript},
                                                             {Verb::kCheckScript, false, true, cmd_checkscript},
                                                             {Verb::kListScripts, false, true, cmd_listscripts},
                                                             {Verb::kSetActive, false, true, cmd_setactive},
                                                             {Verb::kGetScript, false, true, cmd_getscript},
                                                             {Verb::kDeleteScript, false, true, cmd_deletescript},
                                                             {Verb::kRenameScript, false, true, cmd_renamescript}}};
  return kRows[static_cast<std::size_t>(verb)];
}

}  // namespace merpati::managesieve
