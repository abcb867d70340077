#include "admin/access.hpp"

#include <algorithm>

#include "merpati/dns/domain_name.hpp"

namespace merpati::admin {
namespace {

Error denied(std::string text) { return Error(ErrorCode::kPermissionDenied, text).with_public(text); }

}  // namespace

std::string canonical_domain(std::string_view text) { return dns::to_ascii(text).value_or(std::string(text)); }

std::string domain_of(std::string_view address) {
  const auto at = address.rfind('@');
  return at == std::string_view::npos ? std::string() : canonical_domain(address.substr(at + 1));
}

Result<void> check_access(const Token& token, const Act& act) {
  switch (token.role) {
    case Role::kAdmin:
      return {};
    case Role::kReadOnly:
      if (act.reach == Act::Reach::kTokens) return denied("tokens and the audit log need the role admin");
      if (act.changes) return denied("the token's role is read only");
      return {};
    case Role::kDomainAdmin: {
      if (act.reach != Act::Reach::kDomain) return denied("a domain admin's token cannot do this");
      const bool own =
          !act.domains.empty() && !token.domain.empty() &&
          std::all_of(act.domains.begin(), act.domains.end(), [&](const auto& d) { return d == token.domain; });
      if (!own) return denied("the token is for the domain " + token.domain + " only");
      return {};
    }
  }
  return denied("the token has no role");
}

}  // namespace merpati::admin
