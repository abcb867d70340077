// merpatictl filter policy: thresholds and weights of a domain's or an account's mail.
#include <fmt/format.h>

#include <charconv>
#include <iostream>

#include "ctl/commands.hpp"

namespace merpati::ctl {
namespace {

struct PolicyOptions {
  std::string domain, account;
  std::vector<std::string> settings;  ///< KEY=VALUE, or keys
  bool all = false;
};
using Options = std::shared_ptr<PolicyOptions>;

Failure wrong(const std::string& text, std::string hint) {
  return Failure{Error(ErrorCode::kInvalidArgument, text), std::move(hint)};
}

filter::v1::PolicyValue parse_setting(const std::string& text) {
  const auto equals = text.rfind('=');
  const std::string hint = "KEY=POINTS, or THRESHOLD=never: junk=5, discard=never, NO_FROM=3.5";
  if (equals == std::string::npos || equals == 0) throw wrong("\"" + text + "\" is no setting", hint);
  filter::v1::PolicyValue value;
  value.set_key(text.substr(0, equals));
  const std::string points = text.substr(equals + 1);
  if (points == "never") {
    value.set_never(true);
    return value;
  }
  double number = 0;
  const auto [end, error] = std::from_chars(points.data(), points.data() + points.size(), number);
  if (points.empty() || error != std::errc() || end != points.data() + points.size())
    throw wrong("\"" + text + "\": " + (points.empty() ? "no value" : "\"" + points + "\" is no number of points"),
                hint);
  value.set_value(number);
  return value;
}

std::string source_of(const filter::v1::PolicyValue& value) {
  switch (value.source()) {
    case filter::v1::POLICY_SOURCE_DOMAIN:
      return "domain";
    case filter::v1::POLICY_SOURCE_ACCOUNT:
      return "account";
    default:
      return "configuration";
  }
}

std::string points_of(const filter::v1::PolicyValue& value) {
  return value.never() ? "never" : fmt::format("{:g}", value.value());
}

void print(const Session& session, const filter::v1::Policy& policy) {
  if (session.format != Format::kTable) return print_one(session.format, to_json(policy));
  Json rows = Json::array();
  for (const auto& value : policy.values())
    rows.push_back({{"key", value.key()}, {"value", points_of(value)}, {"from", source_of(value)}});
  print_rows(session.format, rows, {{"KEY", "key"}, {"POINTS", "value"}, {"FROM", "from"}});
}

void list(Client& client, const Session& session, const std::string& domain) {
  Json rows = Json::array();
  v1::ListFilterPoliciesRequest request;
  request.set_domain(domain);
  request.set_page_size(1000);
  do {
    const auto page = client.call(&AdminClient::list_filter_policies, request);
    for (const auto& policy : page.policies()) {
      auto& row = rows.emplace_back(to_json(policy));
      if (session.format != Format::kTable) continue;
      row = Json{{"owner", policy.domain().empty() ? policy.address() : policy.domain()}, {"set", Json::array()}};
      for (const auto& value : policy.values()) row["set"].push_back(value.key() + "=" + points_of(value));
    }
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  print_rows(session.format, rows, {{"OF", "owner"}, {"SET", "set", Column::Kind::kList}});
}

void need_owner(const PolicyOptions& options) {
  if (options.domain.empty() && options.account.empty())
    throw wrong("say whose policy it is",
                "--domain DOMAIN or --account ADDRESS; what holds for all mail stands in the configuration "
                "(filter.thresholds, filter.weights)");
}

void change(Client& client, const Session& session, const PolicyOptions& options,
            v1::ChangeFilterPolicyRequest request) {
  need_owner(options);
  request.set_domain(options.domain);
  request.set_address(options.account);
  print(session, client.call(&AdminClient::change_filter_policy, request));
}

void add_owner(CLI::App* command, const Options& options) {
  auto* domain = command->add_option("--domain", options->domain, "for the mail of this domain's accounts");
  command->add_option("--account", options->account, "for the mail of this account")->excludes(domain);
}

}  // namespace

void add_policy_commands(CLI::App* filter, Session& session) {
  auto* group = add_group(*filter, "policy", "Thresholds and weights of a domain or an account");
  const auto options = std::make_shared<PolicyOptions>();
  auto* shown = add_command(group, session, "show", "What holds, and whose it is; of neither: the configuration's",
                            [&session, options](Client& client) {
                              v1::GetFilterPolicyRequest request;
                              request.set_domain(options->domain);
                              request.set_address(options->account);
                              print(session, client.call(&AdminClient::get_filter_policy, request));
                            });
  add_owner(shown, options);

  auto* listed = add_command(
      group, session, "list", "Who has set something: domains, then accounts",
      [&session, options](Client& client) { list(client, session, domain_or_own(client, options->domain)); });
  listed->add_option("domain", options->domain, "of it and its accounts; without it: of all, or of the token's own");

  auto* changed =
      add_command(group, session, "set", "Sets thresholds and weights", [&session, options](Client& client) {
        v1::ChangeFilterPolicyRequest request;
        for (const auto& setting : options->settings) *request.add_set() = parse_setting(setting);
        change(client, session, *options, std::move(request));
      });
  add_owner(changed, options);
  changed
      ->add_option("setting", options->settings,
                   "greylist=4, junk=6, refuse=15, discard=never, or a symbol's weight: NO_FROM=3")
      ->required();

  auto* unset = add_command(group, session, "unset", "Takes them back: the next one's holds again",
                            [&session, options](Client& client) {
                              if (options->all == !options->settings.empty())
                                throw wrong("say what to unset", "keys such as junk NO_FROM, or --all");
                              v1::ChangeFilterPolicyRequest request;
                              request.set_unset_all(options->all);
                              for (const auto& key : options->settings) request.add_unset(key);
                              change(client, session, *options, std::move(request));
                            });
  add_owner(unset, options);
  unset->add_option("key", options->settings, "thresholds and symbols");
  unset->add_flag("--all", options->all, "the whole policy");
}

}  // namespace merpati::ctl
