// merpatictl trace: one message's whole life.
#include <fmt/format.h>

#include <iostream>

#include "ctl/commands.hpp"

namespace merpati::ctl {
namespace {

void add(std::string& text, const std::string& more) {
  if (more.empty()) return;
  text += (text.empty() ? "" : ", ") + more;
}

std::string place_of(const trace::v1::Event& event) {
  std::string place = event.mailbox();
  if (place.empty() && event.mailbox_id() != 0) place = fmt::format("mailbox {}", event.mailbox_id());
  if (event.uid() != 0) place += fmt::format("{}uid {}", place.empty() ? "" : " ", event.uid());
  return place;
}

/// What the kind's other columns do not say.
std::string detail_of(const trace::v1::Event& event) {
  std::string text;
  if (event.kind() == trace::v1::KIND_RECEIVED || event.kind() == trace::v1::KIND_REFUSED) {
    add(text, fmt::format("from <{}>", event.reverse_path()));
    if (!event.message_id().empty()) add(text, fmt::format("Message-ID <{}>", event.message_id()));
    if (event.size() != 0) add(text, fmt::format("{} octets", event.size()));
  }
  add(text, place_of(event));
  if (event.item_id() != 0) add(text, fmt::format("item {}", event.item_id()));
  if (event.attempt() != 0) add(text, fmt::format("attempt {}", event.attempt()));
  if (!event.peer().empty()) add(text, event.peer());
  add(text, event.detail());
  std::string answer;
  if (event.code() != 0) answer = std::to_string(event.code());
  if (!event.status().empty()) answer += (answer.empty() ? "" : " ") + event.status();
  if (!event.text().empty()) answer += (answer.empty() ? "" : " ") + event.text();
  if (!answer.empty()) text += (text.empty() ? "" : ": ") + answer;
  return text;
}

void print_trace(const Session& session, const v1::GetTraceResponse& response) {
  if (session.format != Format::kTable) return print_one(session.format, to_json(response));
  Json rows = Json::array();
  std::string shown;
  for (const auto& event : response.events()) {
    if (event.trace_id() != shown) {
      shown = event.trace_id();
      rows.push_back({{"at", "trace " + shown}, {"service", ""}, {"kind", ""}, {"recipient", ""}, {"detail", ""}});
    }
    Json row = to_json(event);
    row["at"] = moment_text(event.at_us());
    row["detail"] = detail_of(event);
    rows.push_back(std::move(row));
  }
  print_rows(session.format, rows,
             {{"TIME (UTC)", "at"},
              {"SERVICE", "service"},
              {"WHAT", "kind"},
              {"RECIPIENT", "recipient"},
              {"DETAIL", "detail"}});
  if (response.truncated()) std::cerr << "merpatictl: there are more events than are shown\n";
}

}  // namespace

void add_trace_command(CLI::App& app, Session& session) {
  auto id = std::make_shared<std::string>();
  auto* command = add_command(&app, session, "trace", "One message's life, from who sent it to each mailbox",
                              [&session, id](Client& client) {
                                v1::GetTraceRequest request;
                                request.set_id(*id);
                                const auto response = client.call(&AdminClient::get_trace, request);
                                print_trace(session, response);
                                if (response.unreachable().empty()) return;
                                std::string names;
                                for (const auto& name : response.unreachable()) add(names, name);
                                throw Failure{Error(ErrorCode::kUnavailable, "not asked: " + names),
                                              "what they know of the message is missing above"};
                              });
  command->add_option("id", *id, "trace id, Message-ID, the UUID in \"250 Ok: UUID\", or the number of a queue item")
      ->required();
}

}  // namespace merpati::ctl
