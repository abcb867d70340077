// merpatictl sieve: Sieve scripts checked and run here, without a server and without effects.
// Those that accounts keep: cmd_scripts.cpp.
#include <iostream>

#include "ctl/commands.hpp"
#include "ctl/read_file.hpp"
#include "ctl/sieve_trial.hpp"
#include "merpati/sieve/capability.hpp"

namespace merpati::ctl {
namespace {

/// Prints "file:line:column: message" and says whether there are none.
std::shared_ptr<const sieve::Script> compile_file(const std::string& path) {
  auto compiled = sieve::compile(read_file(path));
  for (const auto& [at, message] : compiled.errors)
    std::cerr << path << ":" << at.line << ":" << at.column << ": " << message << "\n";
  return compiled.script;
}

struct TrialOptions {
  std::string script, message;
  SieveWorld world;
};

void print_trial(Format format, const Json& result) {
  if (format != Format::kTable) return print_one(format, result);
  const Json& trace = result["trace"];
  if (!trace.empty()) {
    print_rows(format, trace, {{"SCRIPT", "script"}, {"LINE", "line"}, {"STEP", "text"}});
    std::cout << "\n";
  }
  print_rows(format, result["actions"],
             {{"LINE", "line"}, {"ACTION", "action"}, {"WHAT", "what"}, {"MESSAGE", "message"}});
  if (result.contains("error")) {
    std::cout << "error: " << result["error"]["script"].get<std::string>() << ":" << result["error"]["line"] << ":"
              << result["error"]["column"] << ": " << result["error"]["message"].get<std::string>() << "\n";
  }
}

int run_trial(const Session& session, const TrialOptions& options) {
  const auto script = compile_file(options.script);
  if (script == nullptr) return 1;
  const std::string message = read_file(options.message);
  const Json result = try_sieve(options.script, script, message, options.world);
  print_trial(session.format, result);
  return result.contains("error") ? 1 : 0;
}

}  // namespace

void add_sieve_commands(CLI::App& app, Session& session) {
  auto* sieve = add_group(app, "sieve", "Sieve scripts: check and try them, and those that accounts keep");
  const auto local = [&](const std::string& name, const std::string& help, std::function<int()> action) {
    auto* command = sieve->add_subcommand(name, help);
    command->callback([&session, action] { session.run_locally = action; });
    return command;
  };
  auto path = std::make_shared<std::string>();
  local("check", "Prints a script's errors as FILE:LINE:COLUMN: TEXT; exit code 1 when there are some",
        [path] { return compile_file(*path) == nullptr ? 1 : 0; })
      ->add_option("script", *path, "file with the script, or -")
      ->required();
  local("capabilities", "The extensions that a script may require", [] {
    for (const auto name : sieve::capabilities()) std::cout << name << "\n";
    return 0;
  });
  auto options = std::make_shared<TrialOptions>();
  SieveWorld& world = options->world;
  auto* test = local("test", "Runs a script over a message without effects; prints its actions and a trace",
                     [&session, options] { return run_trial(session, *options); });
  test->add_option("script", options->script, "file with the script")->required();
  test->add_option("message", options->message, "file with the message, or -")->required();
  test->add_option("--from", world.envelope.from, "envelope's sender; default: of Return-Path, Sender or From");
  test->add_option("--to", world.envelope.to, "envelope's recipient; default: of Delivered-To or To");
  test->add_option("--address", world.addresses, "another address of the recipient; may be repeated");
  test->add_option("--include", world.include, "folder with NAME.sieve for include :personal");
  test->add_option("--include-global", world.include_global, "the same for include :global");
  test->add_option("--mailbox", world.mailboxes, "a mailbox that exists, beside INBOX; may be repeated");
  test->add_option("--spam-score", world.spam_percent, "0 to 100 for spamtest; default: not tested")
      ->check(CLI::Range(0, 100));
  test->add_option("--virus-score", world.virus_value, "0 to 5 for virustest")->check(CLI::Range(0, 5));
  test->add_option("--now", world.now, "Unix seconds; default: the clock");
  test->add_option("--imap-event", world.imap_cause,
                   "the message is in a mailbox, and this was done: APPEND, COPY or FLAG")
      ->check(CLI::IsMember({"APPEND", "COPY", "FLAG"}));
  test->add_option("--imap-mailbox", world.imap_mailbox, "that mailbox; default: INBOX");
  test->add_option("--flag", world.flags, "a flag of the message there; may be repeated");
  test->add_option("--changed-flag", world.changed_flags, "a flag that was changed; may be repeated");
  test->add_flag("!--no-trace", world.trace, "actions only");
  test->add_flag("--show-message", world.show_message, "edited messages as they would be delivered");
  add_script_commands(sieve, session);
}

}  // namespace merpati::ctl
