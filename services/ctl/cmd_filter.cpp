// merpatictl filter: why a message ended up where it did.
#include <fmt/format.h>

#include <iostream>

#include "ctl/commands.hpp"

namespace merpati::ctl {
namespace {

/// "junk, 7.3 points (junk from 6, refused from 15)"
std::string decision_text(const trace::v1::Verdict& verdict) {
  std::string thresholds;
  const auto add = [&](const char* what, double at) {
    if (at > 0) thresholds += fmt::format("{}{} from {:g}", thresholds.empty() ? "" : ", ", what, at);
  };
  add("junk", verdict.junk_at());
  add("451", verdict.temporary_at());
  add("refused", verdict.refuse_at());
  return fmt::format("{}, {:.4g} points ({})", verdict.decision(), verdict.score(),
                     thresholds.empty() ? "nothing happens by score" : thresholds);
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
      add(symbol.name(), symbol.not_checked() ? "not checked" : fmt::format("{:g}", symbol.score()), symbol.detail());
    }
    if (engine.symbols().empty()) add("-", engine.checked() ? "" : "not checked", "");
  }
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
              << fmt::format("decision: {}\nreply: {} {} {}\n\n", decision_text(event.verdict()), event.code(),
                             event.status(), event.text());
    print_rows(
        session.format, symbol_rows(event.verdict()),
        {{"ENGINE", "engine"}, {"TIME", "time"}, {"SYMBOL", "symbol"}, {"POINTS", "points"}, {"DETAIL", "detail"}});
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
}

}  // namespace merpati::ctl
