#include "auth/rpc/directory_service.hpp"

#include <algorithm>

namespace merpati::auth {
namespace {

constexpr int kMostAtOnce = 10'000;
constexpr int kMostTargets = 200;

std::int64_t unix_seconds(WallTime time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

int page_size(int asked) { return asked <= 0 ? 100 : std::min(asked, 1000); }

v1::Domain to_proto(const Domain& domain) {
  v1::Domain out;
  out.set_name(domain.name);
  out.set_unicode_name(unicode_domain(domain.name));
  out.set_enabled(domain.enabled);
  out.set_catch_all(domain.catch_all);
  out.set_subaddress_separator(domain.subaddress_separator);
  out.set_scram(domain.scram);
  out.set_account_count(domain.accounts);
  out.set_created_at(unix_seconds(domain.created_at));
  return out;
}

v1::Account to_proto(const Account& account) {
  v1::Account out;
  out.set_account_id(account.id);
  out.set_address(account.address);
  out.set_enabled(account.enabled);
  out.set_display_name(account.display_name);
  out.set_quota_bytes(account.quota_bytes);
  out.set_quota_messages(account.quota_messages);
  out.set_cell(account.cell);
  out.set_created_at(unix_seconds(account.created_at));
  out.set_deleted_at(unix_seconds(account.deleted_at));
  out.set_credential_version(account.credential_version);
  out.set_has_password(!account.credential.hash.empty());
  return out;
}

v1::Alias to_proto(const Alias& alias) {
  v1::Alias out;
  out.set_address(alias.address);
  for (const auto& target : alias.targets) out.add_targets(target);
  out.set_created_at(unix_seconds(alias.created_at));
  return out;
}

Error no_account(const std::string& address) {
  const auto text = "there is no account " + address;
  return Error(ErrorCode::kNotFound, text).with_public(text);
}

Result<std::optional<std::string>> catch_all_of(bool given, const std::string& text) {
  std::optional<std::string> out;
  if (!given) return out;
  if (text.empty()) return out = "", out;
  MERPATI_TRY(const auto address, parse_address(text));
  return out = address.text(), out;
}

Result<void> check_separator(bool given, const std::string& text) {
  if (given && (text.size() > 4 || text.find_first_of("@\" \t\r\n") != std::string::npos)) {
    const std::string what = "a subaddress separator is up to 4 characters without @, quotes and white space";
    return Error(ErrorCode::kInvalidArgument, what).with_public(what);
  }
  return {};
}

std::optional<bool> optional_of(bool given, bool value) { return given ? std::optional<bool>(value) : std::nullopt; }
std::optional<std::string> optional_of(bool given, const std::string& value) {
  return given ? std::optional<std::string>(value) : std::nullopt;
}
std::optional<std::int64_t> optional_of(bool given, std::int64_t value) {
  return given ? std::optional<std::int64_t>(value) : std::nullopt;
}

Result<void> check_cell(const std::string& name) {
  const auto fits = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; };
  if (name.size() <= 63 && std::all_of(name.begin(), name.end(), fits)) return {};
  return Error(ErrorCode::kInvalidArgument, "cell name")
      .with_public("a cell's name has a to z, 0 to 9 and -, at most 63 of them");
}

Result<void> check_quota(std::int64_t bytes, std::int64_t messages) {
  if (bytes < 0 || messages < 0)
    return Error(ErrorCode::kInvalidArgument, "a quota is not negative").with_public("a quota is not negative");
  return {};
}

}  // namespace

Task<v1::Domain> DirectoryService::create_domain(rpc::Context& context, const v1::CreateDomainRequest& request) {
  MERPATI_CO_TRY(auto name, parse_domain(request.name()));
  MERPATI_CO_TRY(auto catch_all, catch_all_of(request.has_catch_all(), request.catch_all()));
  MERPATI_CO_CHECK(check_separator(request.has_subaddress_separator(), request.subaddress_separator()));
  auto separator = optional_of(request.has_subaddress_separator(), request.subaddress_separator());
  const auto scram = optional_of(request.has_scram(), request.scram());
  MERPATI_CO_TRY(const auto made, co_await directory_.create_domain(std::move(name), std::move(catch_all),
                                                                    std::move(separator), scram, context.deadline()));
  co_return to_proto(made);
}

Task<v1::Domain> DirectoryService::get_domain(rpc::Context& context, const v1::GetDomainRequest& request) {
  MERPATI_CO_TRY(auto name, parse_domain(request.name()));
  MERPATI_CO_TRY(const auto found, co_await directory_.get_domain(std::move(name), context.deadline()));
  co_return to_proto(found);
}

Task<v1::ListDomainsResponse> DirectoryService::list_domains(rpc::Context& context,
                                                             const v1::ListDomainsRequest& request) {
  MERPATI_CO_TRY(auto page, co_await directory_.list_domains(page_size(request.page_size()), request.page_token(),
                                                             context.deadline()));
  v1::ListDomainsResponse response;
  for (const auto& one : page.items) *response.add_domains() = to_proto(one);
  response.set_next_page_token(std::move(page.next));
  co_return response;
}

Task<v1::Domain> DirectoryService::update_domain(rpc::Context& context, const v1::UpdateDomainRequest& request) {
  MERPATI_CO_TRY(auto name, parse_domain(request.name()));
  MERPATI_CO_TRY(auto catch_all, catch_all_of(request.has_catch_all(), request.catch_all()));
  MERPATI_CO_CHECK(check_separator(request.has_subaddress_separator(), request.subaddress_separator()));
  auto separator = optional_of(request.has_subaddress_separator(), request.subaddress_separator());
  const auto enabled = optional_of(request.has_enabled(), request.enabled());
  const auto scram = optional_of(request.has_scram(), request.scram());
  MERPATI_CO_TRY(const auto changed,
                 co_await directory_.update_domain(std::move(name), enabled, std::move(catch_all), std::move(separator),
                                                   scram, context.deadline()));
  co_return to_proto(changed);
}

Task<v1::DeleteDomainResponse> DirectoryService::delete_domain(rpc::Context& context,
                                                               const v1::DeleteDomainRequest& request) {
  MERPATI_CO_TRY(auto name, parse_domain(request.name()));
  MERPATI_CO_CHECK(co_await directory_.delete_domain(std::move(name), context.deadline()));
  co_return v1::DeleteDomainResponse();
}

Task<Credential> DirectoryService::credential(std::string domain, std::string password, Deadline deadline) {
  if (password.empty()) co_return Credential();
  MERPATI_CO_TRY(auto prepared, prepare_password(password));
  MERPATI_CO_TRY(const auto found, co_await directory_.get_domain(std::move(domain), deadline));
  co_return co_await passwords_.make(std::move(prepared), found.scram);
}

Task<v1::Account> DirectoryService::create_account(rpc::Context& context, const v1::CreateAccountRequest& request) {
  MERPATI_CO_TRY(const auto address, parse_address(request.address()));
  MERPATI_CO_CHECK(check_quota(request.quota_bytes(), request.quota_messages()));
  MERPATI_CO_CHECK(check_cell(request.cell()));
  Directory::NewAccounts wanted{address.domain,
                                {address.text()},
                                request.display_name(),
                                request.quota_bytes(),
                                request.quota_messages(),
                                request.cell(),
                                {}};
  MERPATI_CO_TRY(wanted.credential, co_await credential(address.domain, request.password(), context.deadline()));
  MERPATI_CO_TRY(const auto made, co_await directory_.create_accounts(std::move(wanted), context.deadline()));
  co_return to_proto(made.front());
}

Task<v1::CreateAccountsResponse> DirectoryService::create_accounts(rpc::Context& context,
                                                                   const v1::CreateAccountsRequest& request) {
  if (request.addresses_size() == 0 || request.addresses_size() > kMostAtOnce)
    co_return Error(ErrorCode::kInvalidArgument, "1 to 10,000 accounts at once")
        .with_public("1 to 10,000 accounts at once");
  MERPATI_CO_CHECK(check_cell(request.cell()));
  Directory::NewAccounts wanted;
  wanted.cell = request.cell();
  for (const auto& text : request.addresses()) {
    MERPATI_CO_TRY(const auto address, parse_address(text));
    if (!wanted.domain.empty() && wanted.domain != address.domain)
      co_return Error(ErrorCode::kInvalidArgument, "several domains").with_public("the accounts must be of one domain");
    wanted.domain = address.domain;
    wanted.addresses.push_back(address.text());
  }
  MERPATI_CO_TRY(wanted.credential, co_await credential(wanted.domain, request.password(), context.deadline()));
  MERPATI_CO_TRY(const auto made, co_await directory_.create_accounts(std::move(wanted), context.deadline()));
  v1::CreateAccountsResponse response;
  for (const auto& one : made) *response.add_accounts() = to_proto(one);
  co_return response;
}

Task<v1::Account> DirectoryService::get_account(rpc::Context& context, const v1::GetAccountRequest& request) {
  std::optional<Account> found;
  if (request.account_id() != 0) {
    MERPATI_CO_TRY(found, co_await directory_.account_by_id(request.account_id(), context.deadline()));
  } else {
    MERPATI_CO_TRY(const auto address, parse_address(request.address()));
    MERPATI_CO_TRY(found, co_await directory_.account_by_address(address.text(), context.deadline()));
  }
  if (!found)
    co_return no_account(request.account_id() != 0 ? std::to_string(request.account_id()) : request.address());
  co_return to_proto(*found);
}

/// An empty list of a domain that is not here is a mistake of whoever asks.
Task<void> DirectoryService::must_exist(std::string domain, Deadline deadline) {
  if (domain.empty()) co_return Result<void>();
  MERPATI_CO_TRY(auto name, parse_domain(domain));
  MERPATI_CO_CHECK(co_await directory_.get_domain(std::move(name), deadline));
  co_return Result<void>();
}

Task<v1::ListAccountsResponse> DirectoryService::list_accounts(rpc::Context& context,
                                                               const v1::ListAccountsRequest& request) {
  std::string domain;
  if (!request.domain().empty()) {
    MERPATI_CO_TRY(domain, parse_domain(request.domain()));
  }
  MERPATI_CO_TRY(auto page, co_await directory_.list_accounts(std::move(domain), request.query(),
                                                              request.include_deleted(), page_size(request.page_size()),
                                                              request.page_token(), context.deadline()));
  if (page.items.empty()) MERPATI_CO_CHECK(co_await must_exist(request.domain(), context.deadline()));
  v1::ListAccountsResponse response;
  for (const auto& one : page.items) *response.add_accounts() = to_proto(one);
  response.set_next_page_token(std::move(page.next));
  co_return response;
}

Task<v1::Account> DirectoryService::update_account(rpc::Context& context, const v1::UpdateAccountRequest& request) {
  MERPATI_CO_TRY(const auto address, parse_address(request.address()));
  MERPATI_CO_CHECK(check_quota(request.quota_bytes(), request.quota_messages()));
  const auto enabled = optional_of(request.has_enabled(), request.enabled());
  auto name = optional_of(request.has_display_name(), request.display_name());
  const auto bytes = optional_of(request.has_quota_bytes(), request.quota_bytes());
  const auto messages = optional_of(request.has_quota_messages(), request.quota_messages());
  MERPATI_CO_TRY(const auto changed, co_await directory_.update_account(address.text(), enabled, std::move(name), bytes,
                                                                        messages, context.deadline()));
  co_return to_proto(changed);
}

Task<v1::DeleteAccountResponse> DirectoryService::delete_account(rpc::Context& context,
                                                                 const v1::DeleteAccountRequest& request) {
  MERPATI_CO_TRY(const auto address, parse_address(request.address()));
  MERPATI_CO_CHECK(co_await directory_.delete_account(address.text(), context.deadline()));
  co_return v1::DeleteAccountResponse();
}

Task<v1::SetPasswordResponse> DirectoryService::set_password(rpc::Context& context,
                                                             const v1::SetPasswordRequest& request) {
  MERPATI_CO_TRY(const auto address, parse_address(request.address()));
  MERPATI_CO_TRY(auto made, co_await credential(address.domain, request.password(), context.deadline()));
  MERPATI_CO_TRY(const auto version,
                 co_await directory_.set_credential(address.text(), std::move(made), context.deadline()));
  v1::SetPasswordResponse response;
  response.set_credential_version(version);
  co_return response;
}

Task<v1::RevokeTokensResponse> DirectoryService::revoke_tokens(rpc::Context& context,
                                                               const v1::RevokeTokensRequest& request) {
  MERPATI_CO_TRY(const auto address, parse_address(request.address()));
  MERPATI_CO_TRY(const auto version, co_await directory_.revoke_tokens(address.text(), context.deadline()));
  v1::RevokeTokensResponse response;
  response.set_credential_version(version);
  co_return response;
}

Task<v1::Alias> DirectoryService::create_alias(rpc::Context& context, const v1::CreateAliasRequest& request) {
  MERPATI_CO_TRY(const auto address, parse_address(request.address()));
  if (request.targets_size() == 0 || request.targets_size() > kMostTargets)
    co_return Error(ErrorCode::kInvalidArgument, "1 to 200 targets").with_public("an alias has 1 to 200 targets");
  std::vector<std::string> targets;
  for (const auto& text : request.targets()) {
    MERPATI_CO_TRY(const auto target, parse_address(text));
    if (target.text() == address.text())
      co_return Error(ErrorCode::kInvalidArgument, "an alias of itself")
          .with_public("an alias cannot be its own target");
    targets.push_back(target.text());
  }
  MERPATI_CO_TRY(const auto made,
                 co_await directory_.create_alias(address, std::move(targets), request.replace(), context.deadline()));
  co_return to_proto(made);
}

Task<v1::ListAliasesResponse> DirectoryService::list_aliases(rpc::Context& context,
                                                             const v1::ListAliasesRequest& request) {
  std::string domain;
  if (!request.domain().empty()) {
    MERPATI_CO_TRY(domain, parse_domain(request.domain()));
  }
  MERPATI_CO_TRY(auto page, co_await directory_.list_aliases(std::move(domain), page_size(request.page_size()),
                                                             request.page_token(), context.deadline()));
  if (page.items.empty()) MERPATI_CO_CHECK(co_await must_exist(request.domain(), context.deadline()));
  v1::ListAliasesResponse response;
  for (const auto& one : page.items) *response.add_aliases() = to_proto(one);
  response.set_next_page_token(std::move(page.next));
  co_return response;
}

Task<v1::DeleteAliasResponse> DirectoryService::delete_alias(rpc::Context& context,
                                                             const v1::DeleteAliasRequest& request) {
  MERPATI_CO_TRY(const auto address, parse_address(request.address()));
  MERPATI_CO_CHECK(co_await directory_.delete_alias(address.text(), context.deadline()));
  co_return v1::DeleteAliasResponse();
}

Task<v1::RotateSigningKeyResponse> DirectoryService::rotate_signing_key(rpc::Context& context,
                                                                        const v1::RotateSigningKeyRequest&) {
  MERPATI_CO_TRY(auto id, co_await keys_.rotate(context.deadline()));
  v1::RotateSigningKeyResponse response;
  response.set_key_id(std::move(id));
  co_return response;
}

}  // namespace merpati::auth
