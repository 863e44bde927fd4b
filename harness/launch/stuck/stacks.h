// Where the threads of a process stand, in a few lines: for people who read why a run was ended.
//
// What the kernel says of each thread (state, what it waits in) needs nothing; the functions on its stack come from gdb
// or eu-stack, where one is installed and done in time. Whatever can't be read is left out: a stack is a hint, and
// never decides anything.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <set>
#include <string>

namespace lockstep::launch::stuck {

// A line a thread: "4711 lockstep-traine (S, futex_wait_queue): Operation::Wait < WatchedWork::Wait < Transfers::Take".
std::string ThreadsOf(pid_t pid);

// ThreadsOf each, with the functions where `deep` has the rank. Takes little longer than `seconds`.
std::map<std::int64_t, std::string> TakeStacks(const std::map<std::int64_t, pid_t>& ranks,
                                               const std::set<std::int64_t>& deep, double seconds);

// The functions of each thread in what gdb ("thread apply all bt") or eu-stack wrote, innermost first.
std::map<pid_t, std::string> FunctionsIn(const std::string& text);

}  // namespace lockstep::launch::stuck
