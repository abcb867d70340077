// merpatictl sieve list, get, put, activate, deactivate, rename, delete: the scripts that accounts keep.
#include <filesystem>
#include <iostream>

#include "ctl/commands.hpp"
#include "ctl/read_file.hpp"

namespace merpati::ctl {
namespace {

struct ScriptOptions {
  std::string account, name, new_name, file;
  bool activate = false;
};
using Options = std::shared_ptr<ScriptOptions>;

/// "Rules.sieve" is "Rules".
std::string name_of_file(const std::string& path) {
  return path == "-" ? std::string() : std::filesystem::path(path).stem().string();
}

const char* why_no_room(filter::v1::ScriptRoom room) {
  switch (room) {
    case filter::v1::SCRIPT_ROOM_TOO_LARGE:
      return "the script is too large";
    case filter::v1::SCRIPT_ROOM_TOO_MANY:
      return "the account has as many scripts as it may have";
    default:
      return "the account's scripts are as large as they may be";
  }
}

void activate(Client& client, const ScriptOptions& options) {
  v1::SetActiveScriptRequest request;
  request.set_address(options.account);
  request.set_name(options.name);
  client.call(&AdminClient::set_active_script, request);
}

void put(Client& client, const Session& session, ScriptOptions options) {
  if (options.name.empty()) options.name = name_of_file(options.file);
  if (options.name.empty())
    throw Failure{Error(ErrorCode::kInvalidArgument, "the script has no name"), "give it one with --name"};
  v1::PutScriptRequest request;
  request.set_address(options.account);
  request.set_name(options.name);
  request.set_source(read_file(options.file));
  const auto response = client.call(&AdminClient::put_script, request);
  for (const auto& problem : response.problems())
    std::cerr << options.file << ":" << problem.line() << ":" << problem.column() << ": " << problem.text() << "\n";
  if (response.room() != filter::v1::SCRIPT_ROOM_ENOUGH)
    throw Failure{Error(ErrorCode::kResourceExhausted, why_no_room(response.room())), {}};
  if (!response.stored())
    throw Failure{Error(ErrorCode::kInvalidArgument, "the script has errors; nothing was stored"), {}};
  if (options.activate) activate(client, options);
  session.done("script " + options.name + " of " + options.account + " stored" +
               (options.activate ? " and activated" : ""));
}

void list(Client& client, const Session& session, const std::string& account) {
  v1::ListScriptsRequest request;
  request.set_address(account);
  const auto response = client.call(&AdminClient::list_scripts, request);
  print_rows(session.format, rows_of(response.scripts()),
             {{"SCRIPT", "name"},
              {"ACTIVE", "active"},
              {"SIZE", "size", Column::Kind::kSize},
              {"CHANGED", "changed_at", Column::Kind::kTime}});
}

CLI::App* on_account(CLI::App* command, const Options& options) {
  command->add_option("account", options->account, "its address")->required();
  return command;
}

CLI::App* on_script(CLI::App* command, const Options& options) {
  on_account(command, options)->add_option("name", options->name, "of the script")->required();
  return command;
}

}  // namespace

void add_script_commands(CLI::App* sieve, Session& session) {
  const auto options = std::make_shared<ScriptOptions>();
  on_account(add_command(sieve, session, "list", "The scripts of an account",
                         [&session, options](Client& client) { list(client, session, options->account); }),
             options);
  on_script(add_command(sieve, session, "get", "Prints a script of an account",
                        [options](Client& client) {
                          v1::GetScriptRequest request;
                          request.set_address(options->account);
                          request.set_name(options->name);
                          std::cout << client.call(&AdminClient::get_script, request).source();
                        }),
            options);
  auto* stored = on_account(add_command(sieve, session, "put", "Stores a script for an account, if it has no errors",
                                        [&session, options](Client& client) { put(client, session, *options); }),
                            options);
  stored->add_option("script", options->file, "file with the script, or -")->required();
  stored->add_option("--name", options->name, "default: the file's, without its ending");
  stored->add_flag("--activate", options->activate, "let it run for the account's mail");
  on_script(
      add_command(sieve, session, "activate", "Lets a script run for the account's mail, in place of the one before",
                  [&session, options](Client& client) {
                    activate(client, *options);
                    session.done("script " + options->name + " of " + options->account + " activated");
                  }),
      options);
  on_account(add_command(sieve, session, "deactivate", "No script runs for the account's mail any more",
                         [&session, options](Client& client) {
                           activate(client, *options);
                           session.done("no script of " + options->account + " is active");
                         }),
             options);
  on_script(add_command(sieve, session, "rename", "Gives a script of an account another name",
                        [&session, options](Client& client) {
                          v1::RenameScriptRequest request;
                          request.set_address(options->account);
                          request.set_name(options->name);
                          request.set_new_name(options->new_name);
                          client.call(&AdminClient::rename_script, request);
                          session.done("script " + options->name + " is " + options->new_name);
                        }),
            options)
      ->add_option("new_name", options->new_name)
      ->required();
  on_script(add_command(sieve, session, "delete", "Removes a script of an account, but not the active one",
                        [&session, options](Client& client) {
                          v1::DeleteScriptRequest request;
                          request.set_address(options->account);
                          request.set_name(options->name);
                          client.call(&AdminClient::delete_script, request);
                          session.done("script " + options->name + " of " + options->account + " deleted");
                        }),
            options);
}

}  // namespace merpati::ctl
