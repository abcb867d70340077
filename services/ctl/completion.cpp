// Completion scripts, made from the tree of commands itself, so that they never lag behind it.
#include <fmt/format.h>

#include "ctl/commands.hpp"

namespace merpati::ctl {
namespace {

std::string words_of(const CLI::App& app) {
  std::string words;
  for (const auto* command : app.get_subcommands([](const CLI::App*) { return true; }))
    words += command->get_name() + " ";
  for (const auto* option : app.get_options()) {
    for (const auto& name : option->get_lnames()) words += "--" + name + " ";
  }
  return words;
}

/// One case for each command: its path is what stands before the word that is completed, options left out.
void bash_cases(const CLI::App& app, const std::string& path, std::string& out) {
  out += fmt::format("    \"{}\") words=\"{}\" ;;\n", path, words_of(app));
  for (const auto* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    bash_cases(*command, path.empty() ? command->get_name() : path + " " + command->get_name(), out);
  }
}

std::string bash(const CLI::App& app) {
  std::string cases;
  bash_cases(app, "", cases);
  return "_merpatictl() {\n"
         "  local path= word words= i\n"
         "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
         "    word=${COMP_WORDS[i]}\n"
         "    case $word in -*) ;; [a-z]*) [[ $word == *[@.:/]* ]] || path+=${path:+ }$word ;; esac\n"
         "  done\n"
         "  case $path in\n" +
         cases +
         "  esac\n"
         "  COMPREPLY=($(compgen -W \"$words\" -- \"${COMP_WORDS[COMP_CWORD]}\"))\n"
         "}\n"
         "complete -o default -F _merpatictl merpatictl\n";
}

void fish_lines(const CLI::App& app, std::string& out) {
  for (const auto* group : app.get_subcommands([](const CLI::App*) { return true; })) {
    out += fmt::format("complete -c merpatictl -n __fish_use_subcommand -f -a {} -d '{}'\n", group->get_name(),
                       group->get_description());
    for (const auto* command : group->get_subcommands([](const CLI::App*) { return true; })) {
      out += fmt::format("complete -c merpatictl -n '__fish_seen_subcommand_from {}' -f -a {} -d '{}'\n",
                         group->get_name(), command->get_name(), command->get_description());
    }
  }
}

}  // namespace

std::string completion_script(const CLI::App& app, const std::string& shell) {
  if (shell == "bash") return bash(app);
  if (shell == "zsh") return "autoload -U +X bashcompinit && bashcompinit\n" + bash(app);
  std::string out;
  if (shell == "fish") fish_lines(app, out);
  return out;
}

}  // namespace merpati::ctl
