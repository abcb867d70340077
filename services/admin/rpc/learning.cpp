// What spam looks like, told by operators: for all, or for an account. Owned by filter.
#include "admin/rpc/admin_service.hpp"

namespace merpati::admin {
namespace {

Act act_on(std::string_view method, const std::string& address, bool changes) {
  if (address.empty()) return {method, "all mail", Act::Reach::kPlatform, changes, {}};
  return {method, address, Act::Reach::kDomain, changes, {domain_of(address)}};
}

}  // namespace

Task<std::int64_t> AdminService::account_or_all(const rpc::Context& context, const std::string& address) {
  if (address.empty()) co_return std::int64_t(0);
  auth::v1::GetAccountRequest who;
  who.set_address(address);
  MERPATI_CO_TRY(const auto account, co_await directory_.get_account(who, forward(context)));
  co_return account.account_id();
}

Task<filter::v1::LearnResponse> AdminService::teach(const rpc::Context& context, const v1::LearnRequest& request) {
  filter::v1::LearnRequest wanted;
  MERPATI_CO_TRY(const auto account, co_await account_or_all(context, request.address()));
  wanted.set_account_id(account);
  wanted.set_lesson(request.lesson());
  *wanted.mutable_messages() = request.messages();
  auto options = forward(context);
  options.account_id = account;
  co_return co_await learning_.learn(wanted, options);
}

Task<filter::v1::LearnResponse> AdminService::learn(rpc::Context& context, const v1::LearnRequest& request) {
  co_return co_await run(context, act_on("Learn", request.address(), true), teach(context, request));
}

Task<filter::v1::BayesModel> AdminService::read_model(const rpc::Context& context, const std::string& address) {
  filter::v1::GetModelRequest wanted;
  MERPATI_CO_TRY(const auto account, co_await account_or_all(context, address));
  wanted.set_account_id(account);
  co_return co_await learning_.get_model(wanted, forward(context));
}

Task<filter::v1::BayesModel> AdminService::get_bayes_model(rpc::Context& context,
                                                           const v1::GetBayesModelRequest& request) {
  co_return co_await run(context, act_on("GetBayesModel", request.address(), false),
                         read_model(context, request.address()));
}

}  // namespace merpati::admin
