// merpatictl: the operator's command line.
#include <CLI/CLI.hpp>
#include <iostream>
#include <optional>

#include "ctl/commands.hpp"
#include "merpati/runtime/log.hpp"

namespace merpati::ctl {
namespace {

int exit_code(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kOutOfRange:
      return 2;
    case ErrorCode::kNotFound:
      return 3;
    case ErrorCode::kAlreadyExists:
      return 4;
    case ErrorCode::kPermissionDenied:
    case ErrorCode::kUnauthenticated:
      return 5;
    case ErrorCode::kUnavailable:
    case ErrorCode::kDeadlineExceeded:
    case ErrorCode::kResourceExhausted:
      return 6;
    case ErrorCode::kFailedPrecondition:
    case ErrorCode::kAborted:
      return 7;
    default:
      return 1;
  }
}

std::string hint_for(const Error& error, const Target& target) {
  const auto& server = target.server;
  const auto text = error.describe();
  switch (error.code()) {
    case ErrorCode::kUnavailable:
    case ErrorCode::kDeadlineExceeded:
      if (text.find("andshake") != std::string::npos)
        return "is --ca-file " + target.ca_file + " the authority of the certificate that " + server + " has?";
      return "is admin running at " + server + "? \"merpatictl service status\" tells of the services behind it";
    case ErrorCode::kUnauthenticated:
      return "check the token: --token-file FILE or MERPATI_TOKEN; \"merpatictl token create\" makes one";
    case ErrorCode::kPermissionDenied:
      return "\"merpatictl token whoami\" shows the token's role";
    case ErrorCode::kAlreadyExists:
      return "--if-missing makes this a success where a create command has it";
    case ErrorCode::kNotFound:
      return "the list command of this kind of thing shows what there is";
    default:
      return {};
  }
}

int report(const Failure& failure, const Target* target) {
  const auto& error = failure.error;
  std::cerr << "merpatictl: " << (error.public_text().empty() ? error.message() : error.public_text()) << " ("
            << to_string(error.code()) << ")\n";
  const std::string hint = failure.hint.empty() && target != nullptr ? hint_for(error, *target) : failure.hint;
  if (!hint.empty()) std::cerr << "hint: " << hint << "\n";
  return exit_code(error.code());
}

int run(const Session& session) {
  std::optional<Client> client;
  try {
    if (session.run_locally) return session.run_locally();
    client.emplace(session.target);
    session.run(*client);
    return 0;
  } catch (const Failure& failure) {
    return report(failure, client ? &client->target() : nullptr);
  }
}

}  // namespace
}  // namespace merpati::ctl

int main(int argc, char** argv) {
  using namespace merpati;
  using namespace merpati::ctl;
  log::configure("merpatictl", log::Level::kError);
  Session session;
  std::string shell;
  CLI::App app{"Administers a Merpati mail platform."};
  app.require_subcommand(1);
  app.fallthrough();
  app.add_option("-c,--config", session.target.config_file, "YAML with server, ca_file, token_file")
      ->envname("MERPATICTL_CONFIG");
  app.add_option("--server", session.target.server, "HOST:PORT of admin")->envname("MERPATICTL_SERVER");
  app.add_option("--ca-file", session.target.ca_file, "PEM, authority of the server's certificate")
      ->envname("MERPATICTL_CA_FILE");
  app.add_option("--trust-domain", session.target.trust_domain,
                 "in the URI name of the server's certificate; default: merpati");
  app.add_option("--token-file", session.target.token_file, "file with the API token; or set MERPATI_TOKEN");
  const std::map<std::string, Format> formats{
      {"table", Format::kTable}, {"json", Format::kJson}, {"yaml", Format::kYaml}};
  app.add_option("-o,--output", session.format, "table, json or yaml")
      ->transform(CLI::CheckedTransformer(formats).description(""))
      ->option_text("FORMAT");
  if (const char* token = std::getenv("MERPATI_TOKEN")) session.target.token = token;
  add_domain_commands(app, session);
  add_account_commands(app, session);
  add_password_commands(app, session);
  add_quota_commands(app, session);
  add_alias_commands(app, session);
  add_mailbox_commands(app, session);
  add_queue_commands(app, session);
  add_service_commands(app, session);
  add_key_commands(app, session);
  add_status_command(app, session);
  add_top_command(app, session);
  add_trace_command(app, session);
  add_filter_commands(app, session);
  add_token_commands(app, session);
  add_audit_commands(app, session);
  add_selftest_command(app, session);
  add_sieve_commands(app, session);
  add_mailauth_commands(app, session);
  add_dmarc_commands(app, session);
  auto* completion =
      app.add_subcommand("completion", "Completion script for a shell: source <(merpatictl completion bash)");
  completion->add_option("shell", shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  for (auto* group : app.get_subcommands({})) {
    group->fallthrough();
    for (auto* command : group->get_subcommands({})) command->fallthrough();
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int status = app.exit(error);
    return status == 0 ? 0 : 2;
  }
  if (!shell.empty()) {
    std::cout << completion_script(app, shell);
    return 0;
  }
  return run(session);
}
