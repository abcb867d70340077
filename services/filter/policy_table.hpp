// PolicyTable: policies in PostgreSQL.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "filter/policy.hpp"
#include "merpati/base/task.hpp"
#include "merpati/pg/pool.hpp"

namespace merpati::filter {

struct StoredPolicies {
  std::map<std::int64_t, Policy> accounts;
  std::map<std::string, Policy, std::less<>> domains;
};

/// Moves with every change; all replicas see the same.
struct PolicyVersion {
  std::int64_t version = 0;
  bool any = true;  ///< somebody has a policy
};

/// Where policies are looked up.
class PolicyLookup {
 public:
  virtual ~PolicyLookup() = default;
  /// The policies that there are of these.
  virtual Task<StoredPolicies> find(std::vector<std::int64_t> accounts, std::vector<std::string> domains,
                                    Deadline deadline) = 0;
  virtual Task<PolicyVersion> version(Deadline deadline) = 0;
};

/// Any thread. Every method is one statement.
class PolicyTable : public PolicyLookup {
 public:
  explicit PolicyTable(pg::Pool& pool) : pool_(pool) {}

  Task<StoredPolicies> find(std::vector<std::int64_t> accounts, std::vector<std::string> domains,
                            Deadline deadline) override;
  Task<PolicyVersion> version(Deadline deadline) override;

  /// Of a domain, or of an account.
  struct Place {
    std::int64_t account = 0;  ///< 0: of the domain
    std::string domain;        ///< empty for an account
    auto operator<=>(const Place&) const = default;
  };
  /// The policies of the first `most` owners behind `after`: domains by name, then accounts by id.
  Task<std::vector<std::pair<Place, Policy>>> list(Place after, int most, Deadline deadline);

  struct Change {
    std::int64_t account = 0;  ///< 0: of the domain
    std::string domain;        ///< empty for an account
    Policy set;
    std::vector<std::string> unset;
    bool unset_all = false;
  };
  /// kNotFound for an account that was purged; kResourceExhausted for too many keys.
  Task<void> change(Change change, Deadline deadline);
  /// The end of an account's policy.
  Task<void> purge(std::int64_t account, Deadline deadline);

 private:
  pg::Pool& pool_;
};

}  // namespace merpati::filter
