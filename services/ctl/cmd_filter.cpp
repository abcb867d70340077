// merpatictl filter: why a message ended up where it did.
#include <fmt/format.h>

#include <iostream>

#include "ctl/commands.hpp"

namespace merpati::ctl {
namespace {

/// "junk, 7.3 points (greylisted from 4, junk from 6, refused from 15)", of a message or a recipient.
template <class Judged>
std::string decision_text(const Judged& judged, const std::string& decision) {
  std::string thresholds;
  const auto add = [&](const char* what, double at) {
    thresholds += fmt::format("{}{} from {:g}", thresholds.empty() ? "" : ", ", what, at);
  };
  if (judged.greylists() && judged.greylist_at() > 0) add("greylisted", judged.greylist_at());
  if (judged.greylists() && judged.greylist_at() <= 0) thresholds = "greylisted at any score";
  if (judged.junk_at() > 0) add("junk", judged.junk_at());
  if (judged.temporary_at() > 0) add("451", judged.temporary_at());
  if (judged.refuse_at() > 0) add("refused", judged.refuse_at());
  if (judged.discard_at() > 0) add("discarded", judged.discard_at());
  return fmt::format("{}, {:.4g} points ({})", decision, judged.score(),
                     thresholds.empty() ? "nothing happens by score" : thresholds);
}

/// "junk 3, NO_FROM 5 by its account; refuse never by its domain"
std::string policy_text(const trace::v1::RecipientJudgement& recipient) {
  std::string text;
  for (const char* from : {"account", "domain"}) {
    std::string of_one;
    for (const auto& value : recipient.policy()) {
      if (value.from() != from) continue;
      of_one += fmt::format("{}{} {}", of_one.empty() ? "" : ", ", value.key(),
                            value.never() ? "never" : fmt::format("{:g}", value.value()));
    }
    if (!of_one.empty()) text += fmt::format("{}{} by its {}", text.empty() ? "" : "; ", of_one, from);
  }
  return text;
}

/// A line for each recipient that was judged otherwise than the message.
void print_recipients(const trace::v1::Event& event) {
  const auto& verdict = event.verdict();
  for (const auto& recipient : verdict.recipients()) {
    const bool alone = recipient.decision() == "refuse" && event.kind() == trace::v1::KIND_RECEIVED;
    const std::string decision = alone ? "junk, since not all refuse it" : recipient.decision();
    const std::string policy = policy_text(recipient);
    std::cout << fmt::format("recipient {} <{}>: {}{}\n", recipient.number(), recipient.recipient(),
                             decision_text(recipient, decision), policy.empty() ? "" : "; " + policy);
  }
  if (verdict.recipients_left_out()) std::cout << "more recipients are left out\n";
  if (!verdict.recipients().empty() && verdict.recipients_size() < verdict.recipients_in_all() &&
      !verdict.recipients_left_out())
    std::cout << "other recipients: as the message\n";
}

std::string duration_text(std::int64_t microseconds) { return fmt::format("{:.1f} ms", microseconds / 1000.0); }

/// A row for each symbol, and one for an engine that found nothing.
Json symbol_rows(const trace::v1::Verdict& verdict) {
  Json rows = Json::array();
  for (const auto& engine : verdict.engines()) {
    const std::string time = duration_text(engine.duration_us());
    const auto add = [&](const std::string& symbol, const std::string& points, const std::string& detail) {
      rows.push_back(
          {{"engine", engine.engine()}, {"time", time}, {"symbol", symbol}, {"points", points}, {"detail", detail}});
    };
    for (const auto& symbol : engine.symbols()) {
      const std::string from = symbol.weight_from().empty() ? "" : " (" + symbol.weight_from() + ")";
      add(symbol.name(), symbol.not_checked() ? "not checked" : fmt::format("{:g}{}", symbol.score(), from),
          symbol.detail());
    }
    if (engine.symbols().empty()) add("-", engine.checked() ? "" : "not checked", "");
  }
  return rows;
}

/// A row for each answer of a milter, in the order of the dialog.
Json milter_rows(const trace::v1::Verdict& verdict) {
  Json rows = Json::array();
  for (const auto& said : verdict.milters())
    rows.push_back({{"milter", said.milter()},
                    {"at", moment_text(said.at_us())},
                    {"stage", said.stage()},
                    {"time", duration_text(said.duration_us())},
                    {"answer", said.answer()},
                    {"text", said.text()}});
  return rows;
}

void explain(const Session& session, const v1::GetTraceResponse& response) {
  Json found = Json::array();
  for (const auto& event : response.events()) {
    if (!event.has_verdict()) continue;
    if (session.format != Format::kTable) {
      found.push_back(to_json(event));
      continue;
    }
    std::cout << fmt::format("{}{}  trace {}\nfrom <{}>, Message-ID <{}>, {}\n", found.empty() ? "" : "\n",
                             moment_text(event.at_us()), event.trace_id(), event.reverse_path(), event.message_id(),
                             event.peer())
              << fmt::format("decision: {}\nreply: {} {} {}\n",
                             decision_text(event.verdict(), event.verdict().decision()), event.code(), event.status(),
                             event.text());
    print_recipients(event);
    std::cout << "\n";
    print_rows(
        session.format, symbol_rows(event.verdict()),
        {{"ENGINE", "engine"}, {"TIME", "time"}, {"SYMBOL", "symbol"}, {"POINTS", "points"}, {"DETAIL", "detail"}});
    if (!event.verdict().milters().empty()) {
      std::cout << "\n";
      print_rows(session.format, milter_rows(event.verdict()),
                 {{"MILTER", "milter"},
                  {"AT", "at"},
                  {"STAGE", "stage"},
                  {"TIME", "time"},
                  {"ANSWER", "answer"},
                  {"TEXT", "text"}});
    }
    found.push_back(true);
  }
  if (found.empty()) {
    throw Failure{Error(ErrorCode::kNotFound, "no verdict of the filter is known of this message"),
                  "merpatictl trace shows what else is known"};
  }
  if (session.format != Format::kTable) print_one(session.format, Json{{"verdicts", std::move(found)}});
}

}  // namespace

void add_filter_commands(CLI::App& app, Session& session) {
  auto* filter = add_group(app, "filter", "What the filter thinks of mail");
  auto id = std::make_shared<std::string>();
  auto* command = add_command(filter, session, "explain", "Every symbol, its points and who found it, of one message",
                              [&session, id](Client& client) {
                                v1::GetTraceRequest request;
                                request.set_id(*id);
                                explain(session, client.call(&AdminClient::get_trace, request));
                              });
  command->add_option("message", *id, "trace id, Message-ID, or the UUID in \"250 Ok: UUID\"")->required();
  add_learn_commands(filter, session);
  add_policy_commands(filter, session);
}

}  // namespace merpati::ctl
