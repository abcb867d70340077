#include "imap/dispatch.hpp"

#include <array>

namespace merpati::imap {
namespace {

using State = Session::State;
using enum DispatchRow::Announces;

constexpr std::uint8_t bit(State state) { return static_cast<std::uint8_t>(1U << static_cast<unsigned>(state)); }
constexpr std::uint8_t kBefore = bit(State::kNotAuthenticated);
constexpr std::uint8_t kSelected = bit(State::kSelected);
constexpr std::uint8_t kInside = bit(State::kAuthenticated) | kSelected;
constexpr std::uint8_t kAny = kBefore | kInside;

// STATUS and APPEND are started by Session::execute; they come here only to be refused before the login.
Task<Reply> cmd_not_here(Session&, const Command&) { co_return bad("Log in first"); }

constexpr std::array<DispatchRow, kVerbCount> kTable = {{
    {Verb::kCapability, cmd_capability, kAny, kNothing},
    {Verb::kNoop, cmd_noop, kAny, kEverything},
    {Verb::kLogout, cmd_logout, kAny, kNothing},
    {Verb::kId, cmd_id, kAny, kNothing},
    {Verb::kStartTls, cmd_starttls, kBefore, kNothing},
    {Verb::kAuthenticate, cmd_authenticate, kBefore, kNothing},
    {Verb::kLogin, cmd_login, kBefore, kNothing},
    {Verb::kEnable, cmd_enable, kInside, kNothing},
    {Verb::kSelect, cmd_select, kInside, kNothing},
    {Verb::kExamine, cmd_select, kInside, kNothing},
    {Verb::kCreate, cmd_create, kInside, kEverything},
    {Verb::kDelete, cmd_delete, kInside, kEverything},
    {Verb::kRename, cmd_rename, kInside, kEverything},
    {Verb::kSubscribe, cmd_subscribe, kInside, kEverything},
    {Verb::kUnsubscribe, cmd_subscribe, kInside, kEverything},
    {Verb::kList, cmd_list, kInside, kEverything},
    {Verb::kLsub, cmd_lsub, kInside, kEverything},
    {Verb::kNamespace, cmd_namespace, kInside, kEverything},
    {Verb::kStatus, cmd_not_here, kInside, kEverything},
    {Verb::kAppend, cmd_not_here, kInside, kEverything},
    {Verb::kIdle, cmd_idle, kInside, kEverything},
    {Verb::kCheck, cmd_noop, kSelected, kEverything},
    {Verb::kClose, cmd_close, kSelected, kNothing},
    {Verb::kUnselect, cmd_unselect, kSelected, kNothing},
    {Verb::kExpunge, cmd_expunge, kSelected, kEverything},
    {Verb::kSearch, cmd_search, kSelected, kHoldExpunges},
    {Verb::kFetch, cmd_fetch, kSelected, kHoldExpunges},
    {Verb::kStore, cmd_store, kSelected, kHoldExpunges},
    {Verb::kCopy, cmd_copy, kSelected, kEverything},
    {Verb::kMove, cmd_copy, kSelected, kEverything},
}};

constexpr bool in_order() {
  for (std::size_t i = 0; i < kTable.size(); ++i) {
    if (kTable[i].verb != static_cast<Verb>(i)) return false;
  }
  return true;
}
static_assert(in_order());

}  // namespace

const DispatchRow& dispatch_row(Verb verb) { return kTable[static_cast<std::size_t>(verb)]; }

}  // namespace merpati::imap
