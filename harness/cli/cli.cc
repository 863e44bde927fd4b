#include "harness/cli/cli.h"

#include <CLI/CLI.hpp>
#include <memory>

#include "harness/cli/guard.h"
#include "harness/cli/subcommand.h"
#include "harness/protocol/fields.h"

namespace lockstep::cli {
namespace {

constexpr int kUsage = 2;

std::vector<std::string> OptionNames(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

std::string Suggestion(const std::string& word, const std::vector<std::string>& names, const std::string& help) {
  const std::string near = protocol::Nearest(word, names);
  return near.empty() ? "; see `" + help + "`" : "; did you mean '" + near + "'?";
}

// One line with the nearest right word, instead of CLI11's.
int ExplainParseError(const CLI::App& app, const CLI::ParseError& error, const std::vector<std::string>& words) {
  const CLI::App* scope = &app;
  std::string command = "lockstep";
  std::size_t depth = 0;  // words that chose a subcommand
  for (auto chosen = app.get_subcommands(); !chosen.empty(); chosen = scope->get_subcommands()) {
    scope = chosen[0];
    command += " " + scope->get_name();
    ++depth;
  }
  const std::string help = command + " --help";
  const std::vector<std::string> names = OptionNames(*scope);
  for (const std::string& word : words) {
    const std::string name = word.substr(0, word.find('='));
    if (!name.starts_with("--") || name == "--") continue;
    if (std::find(names.begin(), names.end(), name) == names.end()) {
      return Complain(kUsage, name + ": no such option" + Suggestion(name, names, help));
    }
  }
  std::vector<std::string> subcommands;
  for (const CLI::App* each : scope->get_subcommands({})) subcommands.push_back(each->get_name());
  if (!subcommands.empty() && words.size() > depth && !words[depth].starts_with("-")) {
    return Complain(kUsage, words[depth] + ": no such subcommand" + Suggestion(words[depth], subcommands, help));
  }
  std::string text = error.what();
  const std::size_t newline = text.find('\n');
  if (newline != std::string::npos) text.resize(newline);
  return Complain(kUsage, text + "; see `" + help + "`");
}

// An option that was given and is empty would pass for one that was not given. "" where there is none.
std::string EmptyOption(const CLI::App& app) {
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& value : option->results()) {
      if (value.empty()) return option->get_name();
    }
  }
  for (const CLI::App* sub : app.get_subcommands()) {
    if (const std::string name = EmptyOption(*sub); !name.empty()) return name;
  }
  return "";
}

}  // namespace

int Main(const std::vector<std::string>& arguments) {
  CLI::App app("Proves that parallel training stays in step with one device that trains alone.", "lockstep");
  app.set_version_flag("--version", LOCKSTEP_VERSION);
  app.require_subcommand(1);
  app.footer(
      "Start with:  lockstep conform          (the core profile on the reference trainer)\n"
      "             lockstep train            (trains on text under a plan)\n"
      "             lockstep conform --help   (every subcommand has examples)\n"
      "Exit codes: 0 all held, 1 a case failed, 2 usage or bad input, 3 a fault was not caught as it declares,\n"
      "            4 could not be run, 5 nothing held, 124 timed out, 130 and 143 interrupted.");
  std::vector<std::pair<CLI::App*, std::function<int()>>> actions;
  for (const Subcommand* each : AllSubcommands()) {
    CLI::App* sub = app.add_subcommand(each->name, each->sentence);
    if (!each->examples.empty()) sub->footer("Examples:\n" + each->examples);
    actions.emplace_back(sub, each->declare(*sub, arguments));
  }
  std::vector<std::string> words(arguments.begin() + 1, arguments.end());
  if (words.empty()) words.push_back("--help");
  try {
    std::vector<std::string> reversed(words.rbegin(), words.rend());
    app.parse(reversed);
  } catch (const CLI::Success& success) {
    return app.exit(success);
  } catch (const CLI::ParseError& error) {
    return ExplainParseError(app, error, words);
  }
  if (const std::string name = EmptyOption(app); !name.empty())
    return Complain(kUsage, name + ": is empty; expected a value");
  for (const auto& [sub, run] : actions) {
    if (sub->parsed()) return Guarded(run);
  }
  return kUsage;
}

}  // namespace lockstep::cli
