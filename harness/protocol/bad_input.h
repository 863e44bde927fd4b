// The one way in which a file, an option or a field is refused.
//
// Every reader of the project throws BadInput; `main` prints its one line and exits with 2. The line says what is
// wrong, where, and what would be right: "FILE: FIELD: PROBLEM; EXPECTED". Where a trainer under test wrote the
// file, the case's runner catches it and turns it into a verdict: a trainer's failure is a value, not an exception.
#pragma once

#include <stdexcept>
#include <string>

namespace lockstep::protocol {

// One printable line: what a file under suspicion brings into a message must not break or flood the message.
inline std::string OneLine(std::string text, std::size_t longest = 600) {
  if (text.size() > longest) text = text.substr(0, longest) + "...";
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return text;
}

class BadInput : public std::runtime_error {
 public:
  // `where`: file, and field where there is one ("plan.toml: plan.micro_batches"); `problem`: what is wrong;
  // `expected`: what would be right (may be empty).
  BadInput(const std::string& where, const std::string& problem, const std::string& expected = "")
      : std::runtime_error(OneLine(where + ": " + problem + (expected.empty() ? "" : "; " + expected))) {}
};

}  // namespace lockstep::protocol
