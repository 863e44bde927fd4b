// The last line of defence: whatever a subcommand throws becomes one line on standard error and an exit code.
//
// Refusals in a reader's own words (BadInput) are the rule. What is left is said with what the system says: a path that
// can't be used or a size that fits nowhere is bad input (2), anything else is the machine's trouble (4). Nothing ends
// by an uncaught exception.
#pragma once

#include <functional>
#include <string>

namespace lockstep::cli {

int Complain(int code, const std::string& text);  // the line; returns the code
int Guarded(const std::function<int()>& run);

}  // namespace lockstep::cli
