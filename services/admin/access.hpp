// Access: what a token's role may do.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "admin/tokens.hpp"
#include "merpati/base/result.hpp"

namespace merpati::admin {

/// One call, as the roles see it.
struct Act {
  enum class Reach {
    kPlatform,  ///< everything: role admin, and read only when nothing changes
    kDomain,    ///< things of `domains`: their domain admin too
    kTokens,    ///< tokens and the audit log: role admin alone
  };
  std::string_view method;  ///< "CreateAccount"
  std::string target;       ///< for the audit row
  Reach reach = Reach::kPlatform;
  bool changes = false;
  std::vector<std::string> domains;  ///< all of them must be the domain admin's
};

/// One form for the same domain: A-labels in lower case, as auth has it; what is no domain stays as it is.
std::string canonical_domain(std::string_view text);
/// The domain after the last "@", canonical; empty when there is none.
std::string domain_of(std::string_view address);

/// kPermissionDenied with a text for the operator, or nothing.
Result<void> check_access(const Token& token, const Act& act);

}  // namespace merpati::admin
