#include "ctl/commands.hpp"

namespace merpati::ctl {
namespace {

struct DomainOptions {
  std::string name;
  std::string catch_all;
  std::string separator;
  bool if_missing = false;
  bool enable = false;
  bool disable = false;
  bool scram = true;
};

/// Which of the options were given; the others leave things as they are.
struct Given {
  bool catch_all = false;
  bool separator = false;
  bool scram = false;
};

template <class Request>
void fill(Request& request, const DomainOptions& options, const Given& given) {
  request.set_name(options.name);
  if (given.catch_all) request.set_catch_all(options.catch_all);
  if (given.separator) request.set_subaddress_separator(options.separator);
  if (given.scram) request.set_scram(options.scram);
}

/// Options of "create" and "update"; `act` is run with what was given of them.
void add_settings(CLI::App* command, Session& session, const std::shared_ptr<DomainOptions>& options,
                  std::function<void(Client&, const Given&)> act) {
  auto* catch_all =
      command->add_option("--catch-all", options->catch_all, "address that takes what nobody else takes; empty: none");
  auto* separator =
      command->add_option("--separator", options->separator, "of subaddresses (user+detail); empty: none");
  auto* scram = command->add_flag("--scram,!--no-scram", options->scram,
                                  "keep SCRAM verifiers, which are weaker than Argon2id when stolen (from the next "
                                  "password of each account on)");
  command->callback([&session, catch_all, separator, scram, act = std::move(act)] {
    const Given given{!catch_all->empty(), !separator->empty(), !scram->empty()};
    session.run = [given, act](Client& client) { act(client, given); };
  });
}

void create(Client& client, const Session& session, const DomainOptions& options, const Given& given) {
  auth::v1::CreateDomainRequest request;
  fill(request, options, given);
  auto made = client.try_call(&AdminClient::create_domain, request);
  if (made.has_error() && made.error().code() == ErrorCode::kAlreadyExists && options.if_missing) {
    session.done("domain " + options.name + " exists");
    return;
  }
  if (made.has_error()) throw Failure{made.error(), {}};
  print_one(session.format, to_json(*made));
}

void list(Client& client, const Session& session) {
  Json rows = Json::array();
  auth::v1::ListDomainsRequest request;
  do {
    const auto page = client.call(&AdminClient::list_domains, request);
    for (const auto& domain : page.domains()) rows.push_back(to_json(domain));
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  print_rows(session.format, rows,
             {{"DOMAIN", "name"},
              {"ENABLED", "enabled"},
              {"ACCOUNTS", "account_count"},
              {"CATCH-ALL", "catch_all"},
              {"CREATED", "created_at", Column::Kind::kTime}});
}

void update(Client& client, const Session& session, const DomainOptions& options, const Given& given) {
  auth::v1::UpdateDomainRequest request;
  fill(request, options, given);
  if (options.enable || options.disable) request.set_enabled(options.enable);
  print_one(session.format, to_json(client.call(&AdminClient::update_domain, request)));
}

}  // namespace

void add_domain_commands(CLI::App& app, Session& session) {
  auto* group = add_group(app, "domain", "Domains that are served here");
  auto options = std::make_shared<DomainOptions>();

  auto* made = add_command(group, session, "create", "Add a domain", nullptr);
  made->add_option("name", options->name, "such as example.org")->required();
  made->add_flag("--if-missing", options->if_missing, "an existing domain is no error");
  add_settings(made, session, options,
               [&session, options](Client& client, const Given& given) { create(client, session, *options, given); });

  auto* get = add_command(group, session, "get", "Show a domain", [&session, options](Client& client) {
    auth::v1::GetDomainRequest request;
    request.set_name(options->name);
    print_one(session.format, to_json(client.call(&AdminClient::get_domain, request)));
  });
  get->add_option("name", options->name)->required();

  add_command(group, session, "list", "All domains", [&session](Client& client) { list(client, session); });

  auto* changed = add_command(group, session, "update", "Change a domain", nullptr);
  changed->add_option("name", options->name)->required();
  auto* on = changed->add_flag("--enable", options->enable, "take mail and logins again");
  changed->add_flag("--disable", options->disable, "refuse mail and logins; sessions end at once")->excludes(on);
  add_settings(changed, session, options,
               [&session, options](Client& client, const Given& given) { update(client, session, *options, given); });

  auto* removed =
      add_command(group, session, "delete", "Remove a domain without accounts", [&session, options](Client& client) {
        auth::v1::DeleteDomainRequest request;
        request.set_name(options->name);
        client.call(&AdminClient::delete_domain, request);
        session.done("domain " + options->name + " deleted");
      });
  removed->add_option("name", options->name)->required();
}

}  // namespace merpati::ctl
