// The one way in which a file, an option or a field is refused.
//
// Every reader of the project throws BadInput; `main` prints its one line and exits with 2. The line says what is
// wrong, where, and what would be right: "FILE: FIELD: PROBLEM; EXPECTED". Where a trainer under test wrote the
// file, the case's runner catches it and turns it into a verdict: a trainer's failure is a value, not an exception.
#pragma once

#include <stdexcept>
#include <string>

namespace lockstep::protocol {

// `text` as one line of valid UTF-8 without control characters, cut after `longest` bytes: what a file under suspicion
// brings into a message must not break or flood whatever the message is written into.
std::string OneLine(const std::string& text, std::size_t longest = 600);

class BadInput : public std::runtime_error {
 public:
  // `where`: file, and field where there is one ("plan.toml: plan.micro_batches"); `problem`: what is wrong;
  // `expected`: what would be right (may be empty).
  BadInput(const std::string& where, const std::string& problem, const std::string& expected = "")
      : std::runtime_error(OneLine(where + ": " + problem + (expected.empty() ? "" : "; " + expected))) {}
};

}  // namespace lockstep::protocol
