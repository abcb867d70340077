// Who calls: the role in a peer's certificate, and sets of roles.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string_view>

namespace merpati::rpc {

/// kAnonymous is a peer without a certificate; kOperator is a person's client certificate (merpatictl).
enum class Role : std::uint8_t {
  kAnonymous,
  kSmtp,
  kPop3,
  kImap,
  kSieve,
  kAuth,
  kStore,
  kFilter,
  kQueue,
  kAdmin,
  kOperator
};
inline constexpr int kRoleCount = 11;

/// "smtp", "operator" and so on, as in spiffe://<trust domain>/<role>.
std::string_view to_string(Role role);
std::optional<Role> role_from(std::string_view name);

class RoleSet {
 public:
  constexpr RoleSet() = default;
  constexpr RoleSet(std::initializer_list<Role> roles) {
    for (const Role role : roles) bits_ |= 1U << static_cast<unsigned>(role);
  }
  constexpr bool contains(Role role) const { return (bits_ >> static_cast<unsigned>(role) & 1U) != 0; }
  constexpr bool empty() const { return bits_ == 0; }
  friend constexpr bool operator==(RoleSet, RoleSet) = default;

 private:
  std::uint32_t bits_ = 0;
};

}  // namespace merpati::rpc
