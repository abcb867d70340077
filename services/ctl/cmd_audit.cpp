#include "ctl/commands.hpp"

namespace merpati::ctl {
namespace {

struct AuditOptions {
  int count = 50;
  std::int64_t before = 0;
};

}  // namespace

void add_audit_commands(CLI::App& app, Session& session) {
  auto* group = add_group(app, "audit", "Who changed what");
  auto options = std::make_shared<AuditOptions>();
  auto* listed = add_command(group, session, "list", "The newest rows", [&session, options](Client& client) {
    v1::ListAuditRequest request;
    request.set_page_size(options->count);
    request.set_before_audit_id(options->before);
    const auto response = client.call(&AdminClient::list_audit, request);
    print_rows(session.format, rows_of(response.rows()),
               {{"ROW", "audit_id"},
                {"AT (UTC)", "at_ms", Column::Kind::kTimeMs},
                {"TOKEN", "token_name"},
                {"FROM", "peer"},
                {"CALL", "method"},
                {"TARGET", "target"},
                {"OUTCOME", "outcome"}});
  });
  listed->add_option("-n,--count", options->count, "rows, at most 1000")->check(CLI::Range(1, 1000));
  listed->add_option("--before", options->before, "older than this row");
}

}  // namespace merpati::ctl
