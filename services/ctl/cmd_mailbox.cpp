#include "ctl/commands.hpp"

namespace merpati::ctl {

void add_mailbox_commands(CLI::App& app, Session& session) {
  auto* group = add_group(app, "mailbox", "Mailboxes of an account: names and counts, never content");
  auto address = std::make_shared<std::string>();
  auto* listed = add_command(group, session, "list", "Mailboxes of an account", [&session, address](Client& client) {
    v1::ListMailboxesRequest request;
    request.set_address(*address);
    const auto response = client.call(&AdminClient::list_mailboxes, request);
    print_rows(session.format, rows_of(response.mailboxes()),
               {{"MAILBOX", "name"},
                {"USE", "special_use"},
                {"MESSAGES", "counts/messages"},
                {"UNSEEN", "counts/unseen"},
                {"SIZE", "counts/bytes", Column::Kind::kSize},
                {"SUBSCRIBED", "subscribed"}});
  });
  listed->add_option("address", *address)->required();
}

}  // namespace merpati::ctl
