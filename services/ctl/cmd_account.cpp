#include <set>

#include "ctl/commands.hpp"

namespace merpati::ctl {
namespace {

struct AccountOptions {
  std::string address;
  std::string domain;
  std::string query;
  std::string display_name;
  std::string quota;
  std::string cell;
  std::int64_t count = 0;
  bool password_stdin = false;
  bool no_password = false;
  bool if_missing = false;
  bool enable = false;
  bool disable = false;
  bool deleted = false;
};

const std::vector<Column> kColumns = {{"ADDRESS", "address"},   {"ID", "account_id"},
                                      {"ENABLED", "enabled"},   {"QUOTA", "quota_bytes", Column::Kind::kSize},
                                      {"NAME", "display_name"}, {"CREATED", "created_at", Column::Kind::kTime}};

void create(Client& client, const Session& session, const AccountOptions& options) {
  auth::v1::CreateAccountRequest request;
  request.set_address(options.address);
  request.set_display_name(options.display_name);
  request.set_cell(options.cell);
  if (!options.quota.empty()) request.set_quota_bytes(parse_quota(options.quota));
  if (!options.no_password) request.set_password(read_password(options.password_stdin));
  auto made = client.try_call(&AdminClient::create_account, request);
  if (made.has_error() && made.error().code() == ErrorCode::kAlreadyExists && options.if_missing) {
    session.done("account " + options.address + " exists");
    return;
  }
  if (made.has_error()) throw Failure{made.error(), {}};
  print_one(session.format, to_json(*made));
}

Json read_all(Client& client, const std::string& domain, const std::string& query, bool deleted) {
  Json rows = Json::array();
  auth::v1::ListAccountsRequest request;
  request.set_domain(domain);
  request.set_query(query);
  request.set_include_deleted(deleted);
  request.set_page_size(1000);
  do {
    const auto page = client.call(&AdminClient::list_accounts, request);
    for (const auto& account : page.accounts()) rows.push_back(to_json(account));
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  return rows;
}

/// "u%d@example.test" and 7: "u7@example.test".
std::string numbered(const std::string& pattern, std::int64_t number) {
  std::string out = pattern;
  return out.replace(out.find("%d"), 2, std::to_string(number));
}

void create_many(Client& client, const Session& session, const AccountOptions& options) {
  const auto at = options.address.rfind('@');
  if (options.address.find("%d") == std::string::npos || at == std::string::npos) {
    throw Failure{Error(ErrorCode::kInvalidArgument, "the pattern needs a %d and a domain"),
                  "such as u%d@example.test"};
  }
  const std::string password = read_password(options.password_stdin);
  std::set<std::string> present;
  for (const auto& account : read_all(client, options.address.substr(at + 1), "", false))
    present.insert(account["address"]);
  std::int64_t made = 0;
  auth::v1::CreateAccountsRequest request;
  request.set_password(password);
  request.set_cell(options.cell);
  for (std::int64_t i = 1; i <= options.count; ++i) {
    auto address = numbered(options.address, i);
    if (!present.contains(address)) request.add_addresses(std::move(address));
    if (request.addresses_size() < 1000 && i < options.count) continue;
    if (request.addresses_size() == 0) continue;
    made += client.call(&AdminClient::create_accounts, request).accounts_size();
    request.clear_addresses();
  }
  if (session.format == Format::kTable) {
    session.done(std::to_string(made) + " accounts made, " + std::to_string(options.count - made) + " were there");
  } else {
    print_one(session.format, Json{{"made", made}, {"present", options.count - made}});
  }
}

void update(Client& client, const Session& session, const AccountOptions& options, bool rename) {
  auth::v1::UpdateAccountRequest request;
  request.set_address(options.address);
  if (options.enable || options.disable) request.set_enabled(options.enable);
  if (rename) request.set_display_name(options.display_name);
  print_one(session.format, to_json(client.call(&AdminClient::update_account, request)));
}

void add_changes(CLI::App* group, Session& session, const std::shared_ptr<AccountOptions>& options) {
  auto* changed = add_command(group, session, "update", "Change an account", nullptr);
  changed->add_option("address", options->address)->required();
  auto* on = changed->add_flag("--enable", options->enable, "allow logins and mail again");
  changed->add_flag("--disable", options->disable, "refuse mail and logins; sessions end at once")->excludes(on);
  auto* name = changed->add_option("--display-name", options->display_name);
  changed->callback([&session, options, name] {
    session.run = [&session, options, rename = !name->empty()](Client& client) {
      update(client, session, *options, rename);
    };
  });

  auto* removed = add_command(group, session, "delete", "Delete an account (its mail is purged after 30 days)",
                              [&session, options](Client& client) {
                                auth::v1::DeleteAccountRequest request;
                                request.set_address(options->address);
                                client.call(&AdminClient::delete_account, request);
                                session.done("account " + options->address + " deleted");
                              });
  removed->add_option("address", options->address)->required();

  auto* out =
      add_command(group, session, "sign-out", "End every session of an account", [&session, options](Client& client) {
        auth::v1::RevokeTokensRequest request;
        request.set_address(options->address);
        client.call(&AdminClient::revoke_sessions, request);
        session.done("sessions of " + options->address + " end now");
      });
  out->add_option("address", options->address)->required();
}

}  // namespace

void add_account_commands(CLI::App& app, Session& session) {
  auto* group = add_group(app, "account", "People and their mailboxes");
  auto options = std::make_shared<AccountOptions>();

  auto* made = add_command(group, session, "create", "Add an account",
                           [&session, options](Client& client) { create(client, session, *options); });
  made->add_option("address", options->address)->required();
  auto* from_stdin =
      made->add_flag("--password-stdin", options->password_stdin, "the password is the first line of standard input");
  made->add_flag("--no-password", options->no_password, "no login until one is set")->excludes(from_stdin);
  made->add_option("--display-name", options->display_name);
  made->add_option("--quota", options->quota, "such as 5GiB; 0: no limit");
  made->add_option("--cell", options->cell, "whose store has its mail; default: the first");
  made->add_flag("--if-missing", options->if_missing, "an existing account is no error");

  auto* many =
      add_command(group, session, "create-many", "Add numbered accounts with one password, those that are missing",
                  [&session, options](Client& client) { create_many(client, session, *options); });
  many->add_option("pattern", options->address, "such as u%d@example.test")->required();
  many->add_option("--count", options->count, "the last number")->required()->check(CLI::Range(1, 10'000'000));
  many->add_option("--cell", options->cell, "whose store has their mail; default: the first");
  many->add_flag("--password-stdin", options->password_stdin, "the password is the first line of standard input");

  auto* get = add_command(group, session, "get", "Show an account", [&session, options](Client& client) {
    auth::v1::GetAccountRequest request;
    request.set_address(options->address);
    print_one(session.format, to_json(client.call(&AdminClient::get_account, request)));
  });
  get->add_option("address", options->address)->required();

  auto* listed =
      add_command(group, session, "list", "Accounts, of one domain or of all", [&session, options](Client& client) {
        const auto domain = domain_or_own(client, options->domain);
        print_rows(session.format, read_all(client, domain, options->query, options->deleted), kColumns);
      });
  listed->add_option("domain", options->domain, "without it: every domain, or the token's own");
  listed->add_option("--query", options->query, "only addresses that contain this");
  listed->add_flag("--deleted", options->deleted, "deleted ones too");
  add_changes(group, session, options);
}

void add_password_commands(CLI::App& app, Session& session) {
  auto* group = add_group(app, "password", "Passwords of accounts");
  auto options = std::make_shared<AccountOptions>();
  auto* set = add_command(group, session, "set", "Set an account's password; its sessions end",
                          [&session, options](Client& client) {
                            auth::v1::SetPasswordRequest request;
                            request.set_address(options->address);
                            request.set_password(read_password(options->password_stdin));
                            client.call(&AdminClient::set_password, request);
                            session.done("password of " + options->address + " set");
                          });
  set->add_option("address", options->address)->required();
  set->add_flag("--password-stdin", options->password_stdin, "the password is the first line of standard input");
}

}  // namespace merpati::ctl
