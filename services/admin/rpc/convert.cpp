#include "admin/rpc/convert.hpp"

namespace merpati::admin {

v1::Token to_proto(const Token& token) {
  v1::Token out;
  out.set_token_id(token.id);
  out.set_name(token.name);
  out.set_role(static_cast<v1::Role>(token.role));
  out.set_domain(token.domain);
  out.set_created_at(token.created_at);
  out.set_expires_at(token.expires_at);
  out.set_last_used_at(token.last_used_at);
  return out;
}

v1::AuditRow to_proto(const AuditRow& row) {
  v1::AuditRow out;
  out.set_audit_id(row.id);
  out.set_at_ms(row.at_ms);
  out.set_token_name(row.token_name);
  out.set_peer(row.peer);
  out.set_method(row.method);
  out.set_target(row.target);
  out.set_outcome(row.outcome);
  return out;
}

}  // namespace merpati::admin
