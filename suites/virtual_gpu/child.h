// Runs a program of this suite in a process of its own, with its environment, and keeps what it says.
#pragma once

#include <map>
#include <string>

namespace lockstep::suites::virtual_gpu {

struct Outcome {
  int status = 0;    // exit status, or -N when signal N ended it
  std::string text;  // both outputs, in order
};

using Environment = std::map<std::string, std::string>;

// `program` is a name in the build's bin/. The child starts with no LOCKSTEP_VIRTUAL_* variable but those given. A
// child that has not ended after a minute is ended, and fails the test.
Outcome RunProgram(const std::string& program, const std::string& argument, const Environment& environment = {});

// "FILE:LINE" of the line of suites/virtual_gpu/FILE that ends in `// DEFECT name`; a failure when there is none.
std::string LineOf(const std::string& file, const std::string& name);

}  // namespace lockstep::suites::virtual_gpu
