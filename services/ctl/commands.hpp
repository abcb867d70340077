// Commands: each cmd_*.cpp adds its subcommands to the tree and registers what they do.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <string>

#include "ctl/client.hpp"
#include "ctl/output.hpp"

namespace merpati::ctl {

namespace v1 = admin::v1;
using AdminClient = admin::v1::AdminClient;

/// What every command shares. `run` is set by the command that the arguments chose.
struct Session {
  Target target;
  Format format = Format::kTable;
  std::function<void(Client&)> run;
  /// Instead of `run`, for commands that need no server; gives the exit code. May throw Failure.
  std::function<int()> run_locally;

  /// A note for people, kept away from scripts' output.
  void done(const std::string& text) const;
};

/// Adds `name` below `parent`; `action(client)` runs when it is chosen.
CLI::App* add_command(CLI::App* parent, Session& session, const std::string& name, const std::string& help,
                      std::function<void(Client&)> action);
/// A group such as "account", which needs a subcommand.
CLI::App* add_group(CLI::App& app, const std::string& name, const std::string& help);

/// A password: the first line of standard input, or asked for twice on a terminal. Throws Failure.
std::string read_password(bool from_stdin);
/// `domain`; when it is empty, the domain of a domain admin's token, for others "", which is every domain.
std::string domain_or_own(Client& client, const std::string& domain);
/// "1GiB" or "0" for none; throws Failure.
std::int64_t parse_quota(const std::string& text);

void add_domain_commands(CLI::App& app, Session& session);
void add_account_commands(CLI::App& app, Session& session);
void add_password_commands(CLI::App& app, Session& session);
void add_quota_commands(CLI::App& app, Session& session);
void add_alias_commands(CLI::App& app, Session& session);
void add_mailbox_commands(CLI::App& app, Session& session);
void add_queue_commands(CLI::App& app, Session& session);
void add_service_commands(CLI::App& app, Session& session);
void add_key_commands(CLI::App& app, Session& session);
void add_status_command(CLI::App& app, Session& session);
void add_top_command(CLI::App& app, Session& session);
void add_trace_command(CLI::App& app, Session& session);
void add_filter_commands(CLI::App& app, Session& session);
/// Below `filter`.
void add_learn_commands(CLI::App* filter, Session& session);
void add_policy_commands(CLI::App* filter, Session& session);
void add_token_commands(CLI::App& app, Session& session);
void add_audit_commands(CLI::App& app, Session& session);
void add_selftest_command(CLI::App& app, Session& session);
void add_sieve_commands(CLI::App& app, Session& session);
/// Below `sieve`.
void add_script_commands(CLI::App* sieve, Session& session);
void add_mailauth_commands(CLI::App& app, Session& session);
void add_dmarc_commands(CLI::App& app, Session& session);

/// A shell's completion script for the whole tree; empty for an unknown shell.
std::string completion_script(const CLI::App& app, const std::string& shell);

}  // namespace merpati::ctl
