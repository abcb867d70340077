#include "ctl/commands.hpp"

#include <termios.h>
#include <unistd.h>

#include <iostream>

#include "merpati/runtime/config_loader.hpp"

namespace merpati::ctl {
namespace {

std::string ask(const char* prompt) {
  std::cerr << prompt << std::flush;
  termios before{};
  tcgetattr(STDIN_FILENO, &before);
  termios quiet = before;
  quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
  tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
  std::string line;
  std::getline(std::cin, line);
  tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
  std::cerr << "\n";
  return line;
}

[[noreturn]] void fail(std::string text, std::string hint = {}) {
  throw Failure{Error(ErrorCode::kInvalidArgument, std::move(text)), std::move(hint)};
}

}  // namespace

void Session::done(const std::string& text) const {
  if (format == Format::kTable) std::cout << text << "\n";
}

CLI::App* add_command(CLI::App* parent, Session& session, const std::string& name, const std::string& help,
                      std::function<void(Client&)> action) {
  auto* command = parent->add_subcommand(name, help);
  command->callback([&session, action = std::move(action)] { session.run = action; });
  return command;
}

CLI::App* add_group(CLI::App& app, const std::string& name, const std::string& help) {
  auto* group = app.add_subcommand(name, help);
  group->require_subcommand(1);
  return group;
}

std::string read_password(bool from_stdin) {
  std::string password;
  if (from_stdin) {
    std::getline(std::cin, password);
    if (!password.empty() && password.back() == '\r') password.pop_back();
  } else {
    if (isatty(STDIN_FILENO) == 0) fail("no password", "give it on standard input with --password-stdin");
    password = ask("Password: ");
    if (ask("Again: ") != password) fail("the passwords differ");
  }
  if (password.empty()) fail("the password is empty");
  return password;
}

std::string domain_or_own(Client& client, const std::string& domain) {
  if (!domain.empty()) return domain;
  const auto token = client.call(&AdminClient::who_am_i, v1::WhoAmIRequest());
  return token.role() == v1::ROLE_DOMAIN_ADMIN ? token.domain() : std::string();
}

std::int64_t parse_quota(const std::string& text) {
  const auto size = runtime::parse_size(text);
  if (size.has_error()) fail(size.error().message());
  return static_cast<std::int64_t>(*size);
}

}  // namespace merpati::ctl
