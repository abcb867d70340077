// Runs a Sieve script over every file of a folder: what the filter does with a recipient's script, from the message's
// octets, without a service around it. Prints seconds and messages as one JSON object; --actions FILE writes what each
// message comes to, one line each: its name, where copies go (sorted), their flags.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "merpati/sieve/interpreter.hpp"
#include "merpati/sieve/script.hpp"

namespace {
using namespace merpati::sieve;

std::string read(const std::filesystem::path& file) {
  const int in = open(file.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat known {};
  if (in < 0 || fstat(in, &known) != 0) throw std::filesystem::filesystem_error("cannot read", file, std::error_code());
  std::string out(static_cast<std::size_t>(known.st_size), '\0');
  const auto octets = ::read(in, out.data(), out.size());
  out.resize(octets < 0 ? 0 : static_cast<std::size_t>(octets));
  close(in);
  return out;
}

class Now final : public Environment {
 public:
  std::int64_t now() const override { return std::time(nullptr); }
  merpati::Result<bool> mailbox_exists(std::string_view) override { return true; }
};

std::string describe(const Outcome& outcome) {
  if (outcome.error) return "error: " + outcome.error->message;
  std::vector<std::string> copies;
  const auto add = [&](const std::string& mailbox, std::vector<std::string> flags) {
    std::sort(flags.begin(), flags.end());
    std::string copy = mailbox;
    for (const auto& flag : flags) copy += " " + flag;
    copies.push_back(std::move(copy));
  };
  for (const auto& action : outcome.actions) {
    if (const auto* keep = std::get_if<Keep>(&action.what)) add("INBOX", keep->flags);
    if (const auto* file = std::get_if<FileInto>(&action.what)) add(file->into.mailbox, file->into.flags);
  }
  std::sort(copies.begin(), copies.end());
  std::string out;
  for (const auto& copy : copies) out += (out.empty() ? "" : ", ") + copy;
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  std::string script_file, folder, actions_file;
  CLI::App app("a Sieve script over every message of a folder");
  app.add_option("--script", script_file, "the script")->required();
  app.add_option("--mail", folder, "a folder of messages, one a file")->required();
  app.add_option("--actions", actions_file, "where to write what each message comes to");
  CLI11_PARSE(app, argc, argv);

  const auto begun = std::chrono::steady_clock::now();
  const auto compiled = compile(read(script_file));
  if (!compiled.script) return std::cerr << to_text(compiled.errors), 1;
  const NamedScript script{"bench", compiled.script};
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) files.push_back(entry.path());
  Now environment;
  std::vector<std::string> came_to;
  for (const auto& file : files)
    came_to.push_back(describe(
        run({&script, 1}, read(file), {"sender@remote.test", "me@example.test", "", {}, "", "", ""}, environment)));
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
  if (!actions_file.empty()) {
    std::ofstream out(actions_file);
    for (std::size_t i = 0; i < files.size(); ++i) out << files[i].filename().string() << "\t" << came_to[i] << "\n";
  }
  std::cout << nlohmann::json{{"messages", files.size()}, {"seconds", took.count()}} << "\n";
}
