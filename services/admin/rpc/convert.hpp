// Domain types to their messages.
#pragma once

#include "admin/audit.hpp"
#include "admin/tokens.hpp"
#include "merpati/admin/v1/admin.pb.h"

namespace merpati::admin {

v1::Token to_proto(const Token& token);
v1::AuditRow to_proto(const AuditRow& row);

}  // namespace merpati::admin
