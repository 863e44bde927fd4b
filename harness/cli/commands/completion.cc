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
// Options with words of their own.
const std::vector<std::pair<std::string, std::string>> kChoices{{"--channels", "unbounded rendezvous"},
                                                                {"--color", "auto always never"}};
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

std::vector<std::string> SubcommandNames(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* sub : app.get_subcommands({})) names.push_back(sub->get_name());
  return names;
}

// What may follow a subcommand, beside its options: kinds, shells, or its own subcommands.
std::string Words(const CLI::App& sub) {
  if (sub.get_name() == "list") return kListKinds;
  if (sub.get_name() == "completion") return "bash zsh fish";
  return Join(SubcommandNames(sub));
}

// A branch of the script for a subcommand; one with subcommands of its own looks at the word after it. Those take
// schedules by name.
std::string BashCase(const CLI::App& sub) {
  const std::string words = Join(Options(sub)) + " " + Words(sub);
  std::string text = "    " + sub.get_name() + ") words=\"" + words + "\"";
  const auto inner = sub.get_subcommands([](const CLI::App*) { return true; });
  if (inner.empty()) return text + " ;;\n";
  text += "\n      [ \"$COMP_CWORD\" -lt 3 ] || case ${COMP_WORDS[2]} in\n";
  for (const CLI::App* each : inner) {
    text += "        " + each->get_name() + ") words=\"" + Join(Options(*each)) +
            " $(lockstep list schedules 2>/dev/null | cut -d' ' -f1)\" ;;\n";
  }
  return text + "      esac ;;\n";
}

std::string Bash(const CLI::App& app) {
  std::string cases, values;
  for (const CLI::App* sub : app.get_subcommands({})) cases += BashCase(*sub);
  for (const auto& [option, kind] : kListed) {
    values += "    " + option + ") words=$(lockstep list " + kind + " 2>/dev/null | cut -d' ' -f1) ;;\n";
  }
  for (const auto& [option, words] : kChoices) values += "    " + option + ") words=\"" + words + "\" ;;\n";
  return "_lockstep() {\n"
         "  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} words=\"\"\n"
         "  COMPREPLY=()\n"
         "  case $previous in\n" +
         values +
         "    --out|--data|--labels|--workload|--suites|--svg) COMPREPLY=($(compgen -f -- \"$current\")); return ;;\n"
         "  esac\n"
         "  [ -n \"$words\" ] || case ${COMP_WORDS[1]} in\n" +
         cases + "    *) words=\"" + Join(SubcommandNames(app)) + " " + Join(Options(app)) +
         "\" ;;\n"
         "  esac\n"
         "  COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
         "}\n"
         "complete -o default -F _lockstep lockstep\n";
}

std::string FishOptions(const CLI::App& app, const std::string& seen) {
  const auto quoted = [](std::string sentence) {
    std::erase(sentence, '\'');
    return "'" + sentence + "'";
  };
  std::string text;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) {
      text += seen + "-l " + name + " -d " + quoted(option->get_description());
      for (const auto& [listed, kind] : kListed) {
        if (listed == "--" + name) text += " -x -a \"(lockstep list " + kind + " 2>/dev/null | string split -f1 ' ')\"";
      }
      for (const auto& [choosing, words] : kChoices) {
        if (choosing == "--" + name) text += " -x -a '" + words + "'";
      }
      text += "\n";
    }
  }
  return text;
}

std::string Fish(const CLI::App& app) {
  std::string text = "complete -c lockstep -f\n";
  const auto described = [](const CLI::App& sub) {
    std::string sentence = sub.get_description();
    std::erase(sentence, '\'');
    return " -a " + sub.get_name() + " -d '" + sentence + "'\n";
  };
  for (const CLI::App* sub : app.get_subcommands({})) {
    text += "complete -c lockstep -n __fish_use_subcommand" + described(*sub);
    const std::string name = sub->get_name();
    const std::string seen = "complete -c lockstep -n '__fish_seen_subcommand_from " + name + "' ";
    text += FishOptions(*sub, seen);
    const auto inner = sub->get_subcommands([](const CLI::App*) { return true; });
    for (const CLI::App* each : inner) {
      const std::string both = "complete -c lockstep -n '__fish_seen_subcommand_from " + name +
                               "; and __fish_seen_subcommand_from " + each->get_name() + "' ";
      text += "complete -c lockstep -n '__fish_seen_subcommand_from " + name +
              "; and not __fish_seen_subcommand_from " + Words(*sub) + "'" + described(*each);
      text +=
          FishOptions(*each, both) + both + "-F -a \"(lockstep list schedules 2>/dev/null | string split -f1 ' ')\"\n";
    }
    if (inner.empty() && !Words(*sub).empty()) text += seen + "-a '" + Words(*sub) + "'\n";
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
