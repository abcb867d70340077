#include "ctl/commands.hpp"

namespace merpati::ctl {
namespace {

struct QuotaOptions {
  std::string address;
  std::string bytes;
  std::int64_t messages = 0;
};

void show(Client& client, const Session& session, const std::string& address) {
  v1::GetQuotaRequest request;
  request.set_address(address);
  Json row = to_json(client.call(&AdminClient::get_quota, request));
  row["address"] = address;
  if (session.format != Format::kTable) return print_one(session.format, row);
  print_rows(session.format, Json::array({row}),
             {{"ADDRESS", "address"},
              {"USED", "used_bytes", Column::Kind::kSize},
              {"LIMIT (0: none)", "limit_bytes", Column::Kind::kSize},
              {"MESSAGES", "used_messages"},
              {"LIMIT (0: none)", "limit_messages"}});
}

}  // namespace

void add_quota_commands(CLI::App& app, Session& session) {
  auto* group = add_group(app, "quota", "What accounts use and may use");
  auto options = std::make_shared<QuotaOptions>();
  auto* shown = add_command(group, session, "show", "Usage and limits of an account",
                            [&session, options](Client& client) { show(client, session, options->address); });
  shown->add_option("address", options->address)->required();

  auto* set = add_command(group, session, "set", "Change an account's limits", nullptr);
  set->add_option("address", options->address)->required();
  auto* bytes = set->add_option("--bytes", options->bytes, "such as 5GiB; 0: no limit");
  auto* messages = set->add_option("--messages", options->messages, "0: no limit");
  set->callback([&session, options, bytes, messages] {
    if (bytes->empty() && messages->empty()) throw CLI::RequiredError("--bytes or --messages");
    session.run = [&session, options, b = !bytes->empty(), m = !messages->empty()](Client& client) {
      auth::v1::UpdateAccountRequest request;
      request.set_address(options->address);
      if (b) request.set_quota_bytes(parse_quota(options->bytes));
      if (m) request.set_quota_messages(options->messages);
      client.call(&AdminClient::update_account, request);
      show(client, session, options->address);
    };
  });
}

}  // namespace merpati::ctl
