// merpati.filter.v1.Filter: converts between the contract and the checks.
#pragma once

#include <array>
#include <string>

#include "filter/message_checks.hpp"
#include "merpati/filter/v1/filter.rpc.hpp"
#include "merpati/runtime/metrics.hpp"

namespace merpati::filter {

class FilterService : public v1::FilterService {
 public:
  FilterService(std::string authserv_id, CheckLimits limits, runtime::Metrics& metrics);

  Task<v1::CheckConnectionResponse> check_connection(rpc::Context&, const v1::CheckConnectionRequest&) override;
  Task<v1::CheckRecipientResponse> check_recipient(rpc::Context&, const v1::CheckRecipientRequest&) override;
  Task<v1::CheckMessageResponse> check_message(rpc::Context&, const v1::CheckMessageRequest&) override;

  /// What check_message answers; for tests.
  v1::CheckMessageResponse judge(const v1::CheckMessageRequest& request) const;

 private:
  std::string authserv_id_;
  CheckLimits limits_;
  std::array<runtime::Counter, v1::Decision_ARRAYSIZE> decisions_;
};

}  // namespace merpati::filter
