#include "harness/launch/stuck/stacks.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>
#include <vector>

namespace lockstep::launch::stuck {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kFrames = 14, kThreads = 8;
constexpr std::size_t kNameLength = 72;  // of a function; the rest are arguments of templates

std::string ReadLine(const fs::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// The letter after the name in parentheses, which may hold anything.
std::string StateOf(const fs::path& thread) {
  const std::string stat = ReadLine(thread / "stat");
  const std::size_t end = stat.rfind(')');
  return end == std::string::npos || end + 2 >= stat.size() ? "?" : stat.substr(end + 2, 1);
}

bool Installed(const std::string& program) {
  const char* path = std::getenv("PATH");
  std::istringstream folders(path == nullptr ? "" : path);
  for (std::string folder; std::getline(folders, folder, ':');) {
    if (access((fs::path(folder) / program).c_str(), X_OK) == 0) return true;
  }
  return false;
}

// What prints the stacks of a process, ended when its time is over; "" where nothing is installed that can.
std::string DebuggerCommand(pid_t pid, double seconds) {
  char limit[64];
  std::snprintf(limit, sizeof limit, "timeout -s KILL %.1f ", seconds);
  const std::string number = std::to_string(pid), quiet = " </dev/null 2>/dev/null";
  if (Installed("eu-stack")) return limit + ("eu-stack -n " + std::to_string(kFrames) + " -p " + number) + quiet;
  if (!Installed("gdb")) return "";
  return limit + ("gdb -nx -batch -p " + number) +
         " -iex 'set debuginfod enabled off' -iex 'set print frame-arguments none' -ex 'thread apply all bt " +
         std::to_string(kFrames) + "'" + quiet;
}

std::string ReadAll(std::FILE* stream) {
  std::string text;
  char piece[4096];
  for (std::size_t size = 0; (size = std::fread(piece, 1, sizeof piece, stream)) > 0;) text.append(piece, size);
  return text;
}

// "Operation::Wait" of "lockstep::mpi::Operation::Wait() ()": what a person reads.
std::string FunctionName(std::string text) {
  for (const std::string& noise : {std::string("(anonymous namespace)::"), std::string("lockstep::")}) {
    for (std::size_t at = 0; (at = text.find(noise)) != std::string::npos;) text.erase(at, noise.size());
  }
  text = text.substr(0, text.find('('));
  while (!text.empty() && text.back() == ' ') text.pop_back();
  return text.size() > kNameLength ? text.substr(0, kNameLength) + "..." : text;
}

// What lies between a program's wait and the kernel.
bool IsWithinLibc(const std::string& name) {
  return name.starts_with("__") || name.starts_with("??") || name.empty() || name == "start_thread" ||
         name == "clone3" || name == "_start";
}

}  // namespace

std::string ThreadsOf(pid_t pid) {
  std::string text;
  std::size_t threads = 0;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/proc/" + std::to_string(pid) + "/task", error)) {
    if (++threads > kThreads) continue;
    std::string where = ReadLine(entry.path() / "wchan");
    if (where == "0") where.clear();  // runs, or may not be told
    text += (text.empty() ? "" : "\n") + entry.path().filename().string() + " " + ReadLine(entry.path() / "comm") +
            " (" + StateOf(entry.path()) + (where.empty() ? "" : ", " + where) + ")";
  }
  if (threads > kThreads) text += "\nand " + std::to_string(threads - kThreads) + " more threads";
  return text;
}

std::map<pid_t, std::string> FunctionsIn(const std::string& text) {
  // gdb: "Thread 1 (Thread 0x7f... (LWP 4711) "name"):"; eu-stack: "TID 4711:".
  static const std::regex thread("(?:\\(LWP (\\d+)\\)|^TID (\\d+):|^Thread \\d+ \\(process (\\d+)\\))");
  static const std::regex frame("^#\\d+\\s+(?:0x[0-9a-f]+\\s+)?(?:in )?(.*)$");
  std::map<pid_t, std::string> functions;
  std::istringstream lines(text);
  pid_t now = 0;
  for (std::string line; std::getline(lines, line);) {
    std::smatch match;
    const bool heads = line.starts_with("Thread ") || line.starts_with("TID ");
    if (heads && std::regex_search(line, match, thread)) {
      now = static_cast<pid_t>(std::atol((match[1].str() + match[2].str() + match[3].str()).c_str()));
    } else if (now != 0 && std::regex_search(line, match, frame)) {
      const std::string name = FunctionName(match[1]);
      if (IsWithinLibc(name)) continue;
      std::string& all = functions[now];
      all += (all.empty() ? "" : " < ") + name;
    }
  }
  return functions;
}

std::map<std::int64_t, std::string> TakeStacks(const std::map<std::int64_t, pid_t>& ranks,
                                               const std::set<std::int64_t>& deep, double seconds) {
  std::map<std::int64_t, std::string> stacks;
  for (const auto& [rank, pid] : ranks) stacks[rank] = ThreadsOf(pid);  // before a debugger stops them
  std::map<std::int64_t, std::FILE*> running;                           // side by side: they share the time
  for (const auto& [rank, pid] : ranks) {
    const std::string command = deep.contains(rank) ? DebuggerCommand(pid, seconds) : "";
    std::FILE* const stream = command.empty() ? nullptr : popen(command.c_str(), "re");
    if (stream != nullptr) running[rank] = stream;
  }
  for (const auto& [rank, stream] : running) {
    const std::map<pid_t, std::string> functions = FunctionsIn(ReadAll(stream));
    pclose(stream);
    std::istringstream lines(stacks[rank]);
    std::string text;
    for (std::string line; std::getline(lines, line);) {
      const auto found = functions.find(static_cast<pid_t>(std::atol(line.c_str())));
      text += (text.empty() ? "" : "\n") + line + (found == functions.end() ? "" : ": " + found->second);
    }
    stacks[rank] = text;
  }
  return stacks;
}

}  // namespace lockstep::launch::stuck
