#include "ctl/commands.hpp"

namespace merpati::ctl {
namespace {

struct QueueOptions {
  std::string state;
  std::string domain;
  std::string sender;
  std::int64_t item = 0;
  std::vector<std::int64_t> items;
  bool all = false;
  bool bounce = false;
};

const std::map<std::string, queue::v1::ItemState> kStates = {{"held", queue::v1::ITEM_STATE_HELD},
                                                             {"due", queue::v1::ITEM_STATE_DUE},
                                                             {"sending", queue::v1::ITEM_STATE_SENDING},
                                                             {"done", queue::v1::ITEM_STATE_DONE},
                                                             {"failed", queue::v1::ITEM_STATE_FAILED}};

void list(Client& client, const Session& session, const QueueOptions& options) {
  queue::v1::ListItemsRequest request;
  request.set_page_size(1000);
  if (!options.state.empty()) request.set_state(kStates.at(options.state));
  request.set_domain(options.domain);
  request.set_sender(options.sender);
  Json rows = Json::array();
  do {
    const auto page = client.call(&AdminClient::list_queue, request);
    for (const auto& item : page.items()) rows.push_back(to_json(item));
    request.set_after_item_id(page.next_item_id());
  } while (request.after_item_id() != 0);
  print_rows(session.format, rows,
             {{"ITEM", "item_id"},
              {"STATE", "state"},
              {"FROM", "reverse_path"},
              {"TO", "recipient"},
              {"SIZE", "size", Column::Kind::kSize},
              {"ATTEMPTS", "attempts"},
              {"NEXT (UTC)", "next_attempt_at", Column::Kind::kTime},
              {"LAST ERROR", "last_error"}});
}

}  // namespace

void add_queue_commands(CLI::App& app, Session& session) {
  auto* group = add_group(app, "queue", "Mail on its way to other servers");
  auto options = std::make_shared<QueueOptions>();
  auto* listed = add_command(group, session, "list", "What waits",
                             [&session, options](Client& client) { list(client, session, *options); });
  listed->add_option("--state", options->state, "held, due, sending, done or failed")->check(CLI::IsMember(kStates));
  listed->add_option("--domain", options->domain, "only to this domain");
  listed->add_option("--sender", options->sender, "only from this address");

  auto* shown = add_command(group, session, "show", "One item", [&session, options](Client& client) {
    queue::v1::GetItemRequest request;
    request.set_item_id(options->item);
    print_one(session.format, to_json(client.call(&AdminClient::get_queue_item, request)));
  });
  shown->add_option("item", options->item)->required();

  auto* retried = add_command(group, session, "retry", "Try again now", nullptr);
  auto* items = retried->add_option("item", options->items, "numbers of items");
  auto* domain = retried->add_option("--domain", options->domain, "all items to this domain")->excludes(items);
  retried->add_flag("--all", options->all, "every item")->excludes(items)->excludes(domain);
  retried->callback([&session, options] {
    if (options->items.empty() && options->domain.empty() && !options->all)
      throw CLI::RequiredError("items, --domain or --all");
    session.run = [&session, options](Client& client) {
      queue::v1::RetryItemsRequest request;
      for (const auto item : options->items) request.add_item_ids(item);
      request.set_domain(options->domain);
      print_one(session.format, to_json(client.call(&AdminClient::retry_queue, request)));
    };
  });

  auto* dropped = add_command(group, session, "drop", "Remove without delivery", [&session, options](Client& client) {
    queue::v1::DropItemsRequest request;
    for (const auto item : options->items) request.add_item_ids(item);
    request.set_bounce(options->bounce);
    print_one(session.format, to_json(client.call(&AdminClient::drop_queue, request)));
  });
  dropped->add_option("item", options->items, "numbers of items")->required();
  dropped->add_flag("--bounce", options->bounce, "tell the sender");
}

}  // namespace merpati::ctl
