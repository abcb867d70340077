// merpatictl dmarc: the aggregate reports that others send about our domains, and those that we send about theirs.
#include <iostream>

#include "ctl/commands.hpp"
#include "ctl/read_file.hpp"
#include "ctl/report_file.hpp"
#include "merpati/mailauth/dmarc_report.hpp"

namespace merpati::ctl {
namespace {

using mailauth::DmarcReport;
using mailauth::DmarcReportRecord;

/// Without what the reporter left out.
void put(Json& json, const char* key, const std::string& text) {
  if (!text.empty()) json[key] = text;
}

/// RFC 9989 5.3: one of both is enough.
bool passes(const DmarcReportRecord& record) { return record.dkim == "pass" || record.spf == "pass"; }

Json record_json(const DmarcReportRecord& record) {
  Json out{{"source_ip", record.source_ip}, {"count", record.count}};
  put(out, "disposition", record.disposition);
  put(out, "dkim", record.dkim);
  put(out, "spf", record.spf);
  put(out, "header_from", record.header_from);
  put(out, "envelope_from", record.envelope_from);
  put(out, "envelope_to", record.envelope_to);
  for (const auto& one : record.reasons) {
    Json reason = Json::object();
    put(reason, "type", one.type);
    put(reason, "comment", one.comment);
    out["reasons"].push_back(std::move(reason));
  }
  for (const auto& one : record.dkim_results) {
    Json dkim = Json::object();
    put(dkim, "domain", one.domain);
    put(dkim, "selector", one.selector);
    put(dkim, "result", one.result);
    put(dkim, "human_result", one.human_result);
    out["dkim_results"].push_back(std::move(dkim));
  }
  for (const auto& one : record.spf_results) {
    Json spf = Json::object();
    put(spf, "domain", one.domain);
    put(spf, "scope", one.scope);
    put(spf, "result", one.result);
    put(spf, "human_result", one.human_result);
    out["spf_results"].push_back(std::move(spf));
  }
  return out;
}

Json report_json(const DmarcReport& report) {
  Json out = Json::object();
  put(out, "org_name", report.org_name);
  put(out, "email", report.email);
  put(out, "extra_contact_info", report.extra_contact);
  put(out, "report_id", report.report_id);
  put(out, "generator", report.generator);
  out["begin"] = report.begin;
  out["end"] = report.end;
  for (const auto& error : report.errors) out["errors"].push_back(error);
  const auto& policy = report.policy;
  Json& published = out["policy"] = Json{{"domain", policy.domain}};
  put(published, "discovery_method", policy.discovery_method);
  put(published, "p", policy.p);
  put(published, "sp", policy.sp);
  put(published, "np", policy.np);
  put(published, "adkim", policy.adkim);
  put(published, "aspf", policy.aspf);
  put(published, "fo", policy.fo);
  put(published, "pct", policy.pct);
  put(published, "testing", policy.testing);
  std::uint64_t messages = 0, passed = 0;
  out["records"] = Json::array();
  for (const auto& record : report.records) {
    messages += record.count;
    if (passes(record)) passed += record.count;
    out["records"].push_back(record_json(record));
  }
  out["messages"] = messages;
  out["passed"] = passed;
  return out;
}

/// "example.org/k1 pass, list.example fail"
std::string results_text(const Json& record, const char* list) {
  std::string out;
  if (!record.contains(list)) return out;
  for (const auto& one : record[list]) {
    if (!out.empty()) out += ", ";
    out += one.value("domain", "?");
    if (one.contains("selector")) out += "/" + one.value("selector", "");
    out += " " + one.value("result", "?");
  }
  return out;
}

void print_table(const Json& report) {
  std::string policy;
  for (const auto& [key, value] : report["policy"].items())
    if (key != "domain") policy += (policy.empty() ? "" : " ") + key + "=" + value.get<std::string>();
  Json head{{"domain", report["policy"]["domain"]}, {"policy", policy}};
  head["from"] = report.value("org_name", "?") + " <" + report.value("email", "?") + ">";
  head["report"] = report.value("report_id", "?");
  head["period"] = time_text(report["begin"]) + " to " + time_text(report["end"]);
  head["messages"] = std::to_string(report["messages"].get<std::uint64_t>()) + ", of which " +
                     std::to_string(report["passed"].get<std::uint64_t>()) + " pass DMARC";
  if (report.contains("errors")) head["errors"] = report["errors"];
  print_one(Format::kTable, head);
  Json rows = Json::array();
  for (Json row : report["records"]) {
    std::string reasons;
    if (row.contains("reasons"))
      for (const auto& one : row["reasons"]) reasons += (reasons.empty() ? "" : ", ") + one.value("type", "?");
    row["reason"] = reasons;
    row["dkim_checks"] = results_text(row, "dkim_results");
    row["spf_checks"] = results_text(row, "spf_results");
    rows.push_back(std::move(row));
  }
  std::cout << "\n";
  print_rows(Format::kTable, rows,
             {{"SOURCE", "source_ip"},
              {"COUNT", "count"},
              {"DISPOSITION", "disposition"},
              {"DKIM", "dkim"},
              {"SPF", "spf"},
              {"FROM", "header_from"},
              {"DKIM CHECKS", "dkim_checks"},
              {"SPF CHECKS", "spf_checks"},
              {"REASON", "reason"}});
}

void show(const Session& session, const std::vector<std::string>& files) {
  Json reports = Json::array();
  for (const auto& file : files) {
    const auto documents = unpack_reports(read_file(file));
    if (documents.has_error()) throw Failure{Error(documents.error()).in(file), {}};
    for (const auto& xml : *documents) {
      const auto report = mailauth::parse_dmarc_report(xml);
      if (report.has_error()) throw Failure{Error(report.error()).in(file), {}};
      reports.push_back(report_json(*report));
    }
  }
  if (session.format != Format::kTable) return print_rows(session.format, reports, {});
  bool first = true;
  for (const auto& report : reports) {
    if (!first) std::cout << "\n";
    first = false;
    print_table(report);
  }
}

void show_pending(Client& client, const Session& session, filter::v1::ListReportsRequest request) {
  Json rows = Json::array();
  do {
    const auto page = client.call(&AdminClient::list_dmarc_reports, request);
    for (const auto& report : page.reports()) rows.push_back(to_json(report));
    request.set_after_report_id(page.next_report_id());
  } while (request.after_report_id() != 0);
  print_rows(session.format, rows,
             {{"DOMAIN", "domain"},
              {"STATE", "state"},
              {"UNTIL (UTC)", "ends_at", Column::Kind::kTime},
              {"LEAVES (UTC)", "due_at", Column::Kind::kTime},
              {"RECORDS", "records"},
              {"MESSAGES", "messages"},
              {"LEFT OUT", "left_out"},
              {"LAST ERROR", "last_error"}});
}

void add_sent_commands(CLI::App* group, Session& session) {
  const auto listing = std::make_shared<filter::v1::ListReportsRequest>();
  auto* pending =
      add_command(group, session, "pending", "What is collected for reports to other domains, and when they leave",
                  [&session, listing](Client& client) { show_pending(client, session, *listing); });
  pending->add_option_function<std::string>(
      "--domain", [listing](const std::string& domain) { listing->set_domain(domain); }, "only this policy domain");
  pending->add_flag_callback(
      "--sent", [listing] { listing->set_sent(true); }, "those that were sent, too");
  const auto sending = std::make_shared<filter::v1::SendReportsRequest>();
  auto* send =
      add_command(group, session, "send", "Send now what was collected so far", [&session, sending](Client& client) {
        print_one(session.format, to_json(client.call(&AdminClient::send_dmarc_reports, *sending)));
      });
  send->add_option_function<std::string>(
      "--domain", [sending](const std::string& domain) { sending->set_domain(domain); }, "only to this policy domain");
}

}  // namespace

void add_dmarc_commands(CLI::App& app, Session& session) {
  auto* group = add_group(app, "dmarc", "Reports that other providers send about our domains, and ours about theirs");
  add_sent_commands(group, session);
  auto* report =
      group->add_subcommand("report", "Show aggregate reports: XML, gzip, zip, or the mail with one attached");
  const auto files = std::make_shared<std::vector<std::string>>(1, "-");
  report->add_option("file", *files, "files, or - for standard input")->capture_default_str();
  report->callback([&session, files] {
    session.run_locally = [&session, files] {
      show(session, *files);
      return 0;
    };
  });
}

}  // namespace merpati::ctl
