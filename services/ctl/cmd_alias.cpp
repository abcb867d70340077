#include "ctl/commands.hpp"

namespace merpati::ctl {
namespace {

struct AliasOptions {
  std::string address;
  std::string domain;
  std::vector<std::string> targets;
  bool replace = false;
};

void list(Client& client, const Session& session, const std::string& domain) {
  Json rows = Json::array();
  auth::v1::ListAliasesRequest request;
  request.set_domain(domain);
  do {
    const auto page = client.call(&AdminClient::list_aliases, request);
    for (const auto& alias : page.aliases()) rows.push_back(to_json(alias));
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  print_rows(session.format, rows, {{"ALIAS", "address"}, {"TARGETS", "targets", Column::Kind::kList}});
}

}  // namespace

void add_alias_commands(CLI::App& app, Session& session) {
  auto* group = add_group(app, "alias", "Addresses that lead to others");
  auto options = std::make_shared<AliasOptions>();
  auto* made = add_command(group, session, "create", "Add an alias", [&session, options](Client& client) {
    auth::v1::CreateAliasRequest request;
    request.set_address(options->address);
    for (const auto& target : options->targets) request.add_targets(target);
    request.set_replace(options->replace);
    print_one(session.format, to_json(client.call(&AdminClient::create_alias, request)));
  });
  made->add_option("address", options->address)->required();
  made->add_option("target", options->targets, "one or more addresses, here or elsewhere")->required();
  made->add_flag("--replace", options->replace, "of an alias that exists");

  auto* listed = add_command(
      group, session, "list", "Aliases, of one domain or of all",
      [&session, options](Client& client) { list(client, session, domain_or_own(client, options->domain)); });
  listed->add_option("domain", options->domain, "without it: every domain, or the token's own");

  auto* removed = add_command(group, session, "delete", "Remove an alias", [&session, options](Client& client) {
    auth::v1::DeleteAliasRequest request;
    request.set_address(options->address);
    client.call(&AdminClient::delete_alias, request);
    session.done("alias " + options->address + " deleted");
  });
  removed->add_option("address", options->address)->required();
}

}  // namespace merpati::ctl
