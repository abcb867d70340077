// API tokens of operators and their scripts.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "merpati/base/task.hpp"
#include "merpati/pg/pool.hpp"

namespace merpati::admin {

/// As merpati.admin.v1.Role.
enum class Role : std::uint8_t { kAdmin = 1, kDomainAdmin = 2, kReadOnly = 3 };

struct Token {
  std::int64_t id = 0;
  std::string name;
  Role role = Role::kReadOnly;
  std::string domain;           ///< lower case; of a domain admin
  std::int64_t created_at = 0;  ///< Unix seconds, as the next two; 0: never
  std::int64_t expires_at = 0;
  std::int64_t last_used_at = 0;
};

/// Thread safe.
class Tokens {
 public:
  explicit Tokens(pg::Pool& pool) : pool_(pool) {}

  /// The token of this secret; kUnauthenticated when there is none or it has ended. Read from the database at each
  /// call, so that a revocation holds at once everywhere.
  Task<Token> authenticate(std::string_view secret, Deadline deadline);
  struct Made {
    Token token;
    std::string secret;
  };
  /// kAlreadyExists for a name in use.
  Task<Made> create(Token wanted, Deadline deadline);
  Task<std::vector<Token>> list(Deadline deadline);
  /// kNotFound when there is none of this name.
  Task<void> revoke(std::string_view name, Deadline deadline);
  /// Makes sure that the token "bootstrap" with role admin has this secret.
  Task<void> ensure_bootstrap(std::string_view secret, Deadline deadline);

 private:
  pg::Pool& pool_;
};

}  // namespace merpati::admin
