// A subcommand of `lockstep`: one file in commands/ that defines `extern const Subcommand command_STEM`.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace lockstep::cli {

struct Subcommand {
  std::string name;      // "conform"
  std::string sentence;  // what it does, in the list of subcommands
  std::string examples;  // lines at the end of its --help
  // Declares options on `app` and gives what to run after parsing: its result is the exit code.
  std::function<std::function<int()>(CLI::App& app, const std::vector<std::string>& arguments)> declare;
};

// Every subcommand, by file name (written by lockstep_registry in CMakeLists.txt).
std::vector<const Subcommand*> AllSubcommands();

}  // namespace lockstep::cli
