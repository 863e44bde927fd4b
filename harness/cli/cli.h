// `lockstep`: parses the command line, runs one subcommand, turns refusals into one line and an exit code.
#pragma once

#include <string>
#include <vector>

namespace lockstep::cli {

// arguments[0] is the program. Exit codes: publishing of results decides 0, 1, 4, 5, 124, 130, 143; usage is 2.
int Main(const std::vector<std::string>& arguments);

}  // namespace lockstep::cli
