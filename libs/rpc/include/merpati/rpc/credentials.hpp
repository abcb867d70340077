// The files by which services know each other (mutual TLS).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "merpati/rpc/role.hpp"

namespace merpati::rpc {

/// PEM files; they are read again when they change (checked every 10 s). An authority file may hold two authorities
/// while they are rotated.
struct Credentials {
  std::string ca_file;
  std::string certificate_file;
  std::string key_file;
  std::string trust_domain = "merpati";
};

/// The role in "spiffe://<trust domain>/<role>"; nullopt when the domain or the role is another.
std::optional<Role> role_from_uri(std::string_view uri, std::string_view trust_domain);

}  // namespace merpati::rpc
