// merpati.filter.v1.Policies: converts between the contract and PolicyTable, and checks what is set.
#pragma once

#include "filter/policy_book.hpp"
#include "filter/policy_table.hpp"
#include "filter/symbol_names.hpp"
#include "merpati/filter/v1/policies.rpc.hpp"

namespace merpati::filter {

class PoliciesService : public v1::PoliciesService {
 public:
  /// `table` and `book` outlive the service.
  PoliciesService(PolicyTable& table, PolicyBook& book, SymbolNames names)
      : table_(table), book_(book), names_(std::move(names)) {}

  Task<v1::Policy> get_policy(rpc::Context&, const v1::GetPolicyRequest&) override;
  Task<v1::ListPoliciesResponse> list_policies(rpc::Context&, const v1::ListPoliciesRequest&) override;
  Task<v1::Policy> change_policy(rpc::Context&, const v1::ChangePolicyRequest&) override;

 private:
  struct Owner {
    std::int64_t account = 0;
    std::string domain;
    Policy of_account, of_domain;
  };
  Task<Owner> read(std::int64_t account, std::string domain, Deadline deadline);
  v1::Policy policy_of(const Owner& owner) const;
  Task<v1::ListPoliciesResponse> of_these(const v1::ListPoliciesRequest& request, Deadline deadline);

  PolicyTable& table_;
  PolicyBook& book_;
  const SymbolNames names_;
};

}  // namespace merpati::filter
