// merpati.filter.v1.Filter: converts between the contract and the checks.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>

#include "filter/message_checks.hpp"
#include "merpati/filter/v1/filter.rpc.hpp"
#include "merpati/rpc/channel.hpp"
#include "merpati/runtime/metrics.hpp"

namespace merpati::filter {

class FilterService : public v1::FilterService {
 public:
  /// `store` is where mail over 64 KiB is read.
  FilterService(std::string authserv_id, CheckLimits limits, runtime::Metrics& metrics,
                std::shared_ptr<rpc::Channel> store, asio::thread_pool& blocking);

  Task<v1::CheckConnectionResponse> check_connection(rpc::Context&, const v1::CheckConnectionRequest&) override;
  Task<v1::CheckRecipientResponse> check_recipient(rpc::Context&, const v1::CheckRecipientRequest&) override;
  Task<v1::CheckMessageResponse> check_message(rpc::Context&, const v1::CheckMessageRequest&) override;

  /// What check_message answers, given what is wrong with the parts of a message that is not in the request; `unseen`
  /// when nobody has looked at them. For tests, too.
  enum class Parts : std::uint8_t { kInRequest, kSeen, kUnseen };
  v1::CheckMessageResponse judge(const v1::CheckMessageRequest& request, Parts parts = Parts::kInRequest,
                                 const std::optional<Refusal>& parts_refusal = std::nullopt) const;

 private:
  /// Reads the whole message from the store and looks at its parts.
  Task<std::optional<Refusal>> check_blob(const v1::CheckMessageRequest& request, const rpc::Context& context);

  std::string authserv_id_;
  CheckLimits limits_;
  std::shared_ptr<rpc::Channel> store_;
  asio::thread_pool& blocking_;
  std::array<runtime::Counter, v1::Decision_ARRAYSIZE> decisions_;
};

}  // namespace merpati::filter
