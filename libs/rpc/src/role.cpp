#include "merpati/rpc/role.hpp"

#include <array>

namespace merpati::rpc {

namespace {
constexpr std::array<std::string_view, kRoleCount> kNames = {"anonymous", "smtp",   "pop3",  "imap",  "sieve",   "auth",
                                                             "store",     "filter", "queue", "admin", "operator"};
}

std::string_view to_string(Role role) { return kNames[static_cast<std::size_t>(role)]; }

std::optional<Role> role_from(std::string_view name) {
  for (std::size_t i = 1; i < kNames.size(); ++i)  // nobody's certificate says "anonymous"
    if (kNames[i] == name) return static_cast<Role>(i);
  return std::nullopt;
}

}  // namespace merpati::rpc
