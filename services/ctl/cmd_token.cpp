#include <chrono>

#include "ctl/commands.hpp"
#include "merpati/runtime/config_loader.hpp"

namespace merpati::ctl {
namespace {

struct TokenOptions {
  std::string name;
  std::string role;
  std::string domain;
  std::string expires_in;
};

const std::map<std::string, v1::Role> kRoles = {
    {"admin", v1::ROLE_ADMIN}, {"domain-admin", v1::ROLE_DOMAIN_ADMIN}, {"read-only", v1::ROLE_READ_ONLY}};

std::int64_t expiry(const std::string& life) {
  if (life.empty()) return 0;
  const auto nanos = runtime::parse_duration_nanos(life);
  if (nanos.has_error()) throw Failure{nanos.error(), {}};
  const auto at = std::chrono::system_clock::now() + std::chrono::nanoseconds(*nanos);
  return std::chrono::duration_cast<std::chrono::seconds>(at.time_since_epoch()).count();
}

}  // namespace

void add_token_commands(CLI::App& app, Session& session) {
  auto* group = add_group(app, "token", "API tokens of operators and scripts");
  auto options = std::make_shared<TokenOptions>();
  auto* made = add_command(group, session, "create", "Make a token; its secret is shown once",
                           [&session, options](Client& client) {
                             v1::CreateTokenRequest request;
                             request.set_name(options->name);
                             request.set_role(kRoles.at(options->role));
                             request.set_domain(options->domain);
                             request.set_expires_at(expiry(options->expires_in));
                             const auto response = client.call(&AdminClient::create_token, request);
                             Json out = to_json(response.token());
                             out["secret"] = response.secret();
                             print_one(session.format, out);
                           });
  made->add_option("name", options->name)->required();
  made->add_option("--role", options->role, "admin, domain-admin or read-only")
      ->required()
      ->check(CLI::IsMember(kRoles));
  made->add_option("--domain", options->domain, "of a domain admin");
  made->add_option("--expires-in", options->expires_in, "such as 90d; default: never");

  add_command(group, session, "list", "All tokens", [&session](Client& client) {
    const auto response = client.call(&AdminClient::list_tokens, v1::ListTokensRequest());
    print_rows(session.format, rows_of(response.tokens()),
               {{"NAME", "name"},
                {"ROLE", "role"},
                {"DOMAIN", "domain"},
                {"EXPIRES (UTC)", "expires_at", Column::Kind::kTime},
                {"LAST USED (UTC)", "last_used_at", Column::Kind::kTime}});
  });

  auto* revoked = add_command(group, session, "revoke", "End a token at once", [&session, options](Client& client) {
    v1::RevokeTokenRequest request;
    request.set_name(options->name);
    client.call(&AdminClient::revoke_token, request);
    session.done("token " + options->name + " revoked");
  });
  revoked->add_option("name", options->name)->required();

  add_command(group, session, "whoami", "The token in use", [&session](Client& client) {
    print_one(session.format, to_json(client.call(&AdminClient::who_am_i, v1::WhoAmIRequest())));
  });
}

}  // namespace merpati::ctl
