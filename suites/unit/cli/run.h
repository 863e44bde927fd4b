// The command line, called in this process, with what it printed.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "harness/cli/cli.h"

namespace lockstep::cli {

struct Outcome {
  int code = 0;
  std::string out, err;
};

inline Outcome Lockstep(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "lockstep");
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  Outcome outcome;
  outcome.code = Main(arguments);
  outcome.out = testing::internal::GetCapturedStdout();
  outcome.err = testing::internal::GetCapturedStderr();
  return outcome;
}

}  // namespace lockstep::cli
