// lockstep completion: scripts for bash, zsh and fish, made from the subcommands themselves.
#include <CLI/CLI.hpp>
#include <memory>

#include "harness/cli/subcommand.h"
#include "harness/protocol/bad_input.h"

namespace lockstep::cli {
namespace {

// Options whose values `lockstep list` knows.
const std::vector<std::pair<std::string, std::string>> kListed{
    {"--profile", "profiles"}, {"--case", "cases"}, {"--fault", "faults"}, {"--trainer", "trainers"}};
constexpr const char* kListKinds = "cases profiles checks faults trainers schedules";

std::string Join(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

std::vector<std::string> Options(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

std::string Bash(const CLI::App& app) {
  std::vector<std::string> names;
  std::string cases, values;
  for (const CLI::App* sub : app.get_subcommands({})) {
    names.push_back(sub->get_name());
    std::string words = Join(Options(*sub));
    if (sub->get_name() == "list") words += std::string(" ") + kListKinds;
    if (sub->get_name() == "completion") words += " bash zsh fish";
    cases += "    " + sub->get_name() + ") words=\"" + words + "\" ;;\n";
  }
  for (const auto& [option, kind] : kListed) {
    values += "    " + option + ") words=$(lockstep list " + kind + " 2>/dev/null | cut -d' ' -f1) ;;\n";
  }
  return "_lockstep() {\n"
         "  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} words=\"\"\n"
         "  COMPREPLY=()\n"
         "  case $previous in\n" +
         values +
         "    --out|--data|--labels|--workload|--suites) COMPREPLY=($(compgen -f -- \"$current\")); return ;;\n"
         "  esac\n"
         "  [ -n \"$words\" ] || case ${COMP_WORDS[1]} in\n" +
         cases + "    *) words=\"" + Join(names) + " " + Join(Options(app)) +
         "\" ;;\n"
         "  esac\n"
         "  COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
         "}\n"
         "complete -o default -F _lockstep lockstep\n";
}

std::string Fish(const CLI::App& app) {
  std::string text = "complete -c lockstep -f\n";
  const auto quoted = [](std::string sentence) {
    std::erase(sentence, '\'');
    return "'" + sentence + "'";
  };
  for (const CLI::App* sub : app.get_subcommands({})) {
    text += "complete -c lockstep -n __fish_use_subcommand -a " + sub->get_name() + " -d " +
            quoted(sub->get_description()) + "\n";
    const std::string seen = "complete -c lockstep -n '__fish_seen_subcommand_from " + sub->get_name() + "' ";
    for (const CLI::Option* option : sub->get_options()) {
      for (const std::string& name : option->get_lnames()) {
        std::string line = seen + "-l " + name + " -d " + quoted(option->get_description());
        for (const auto& [listed, kind] : kListed) {
          if (listed == "--" + name)
            line += " -x -a \"(lockstep list " + kind + " 2>/dev/null | string split -f1 ' ')\"";
        }
        text += line + "\n";
      }
    }
    if (sub->get_name() == "list") text += seen + "-a '" + kListKinds + "'\n";
    if (sub->get_name() == "completion") text += seen + "-a 'bash zsh fish'\n";
  }
  return text;
}

int Run(const CLI::App& app, const std::string& shell) {
  if (shell == "bash") {
    std::printf("%s", Bash(app).c_str());
  } else if (shell == "zsh") {
    std::printf("autoload -U +X compinit && compinit\nautoload -U +X bashcompinit && bashcompinit\n%s",
                Bash(app).c_str());
  } else if (shell == "fish") {
    std::printf("%s", Fish(app).c_str());
  } else {
    throw protocol::BadInput("completion", "no script for '" + shell + "'", "expected bash, zsh or fish");
  }
  return 0;
}

std::function<int()> Declare(CLI::App& app, const std::vector<std::string>&) {
  const auto shell = std::make_shared<std::string>();
  app.add_option("shell", *shell, "bash, zsh or fish")->required();
  return [shell, &app] { return Run(*app.get_parent(), *shell); };
}

}  // namespace

extern const Subcommand command_completion;
const Subcommand command_completion{"completion", "Print a completion script for a shell.",
                                    "  source <(lockstep completion bash)\n"
                                    "  lockstep completion zsh > ~/.zsh/_lockstep.zsh\n"
                                    "  lockstep completion fish > ~/.config/fish/completions/lockstep.fish",
                                    Declare};

}  // namespace lockstep::cli
