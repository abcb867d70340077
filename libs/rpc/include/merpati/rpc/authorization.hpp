// The table of who may call what (src/authorization_table.cpp). A method without a row is refused to everybody.
#pragma once

#include <span>
#include <string_view>

#include "merpati/rpc/role.hpp"

namespace merpati::rpc {

struct AuthorizationRow {
  std::string_view path;  ///< "/merpati.store.v1.Store/Deliver"
  RoleSet trusted;        ///< these call in their own right, without a session token
  RoleSet session;        ///< these need a valid session token, and its account must be the request's
  int scope = 0;          ///< merpati.auth.v1.Scope that the session token must have; 0 for any
};

std::span<const AuthorizationRow> authorization_table();
const AuthorizationRow* authorization_row(std::string_view path);

}  // namespace merpati::rpc
