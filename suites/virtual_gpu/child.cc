#include "suites/virtual_gpu/child.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <fstream>
#include <stdexcept>
#include <vector>

namespace lockstep::suites::virtual_gpu {
namespace {

std::vector<std::string> ChildEnvironment(const Environment& environment) {
  std::vector<std::string> entries;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const bool ours = text.starts_with("LOCKSTEP_VIRTUAL_");
    if (!ours && !environment.contains(text.substr(0, text.find('=')))) entries.push_back(text);
  }
  for (const auto& [name, value] : environment) entries.push_back(name + "=" + value);
  return entries;
}

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

// All that comes until the other end closes; false after a minute.
bool ReadAll(int file, std::string& text) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  std::array<char, 4096> buffer;
  for (;;) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    pollfd waiting{file, POLLIN, 0};
    if (left.count() <= 0 || poll(&waiting, 1, static_cast<int>(left.count())) <= 0) return false;
    const ssize_t got = read(file, buffer.data(), buffer.size());
    if (got <= 0) return true;
    text.append(buffer.data(), static_cast<std::size_t>(got));
  }
}

}  // namespace

Outcome RunProgram(const std::string& program, const std::string& argument, const Environment& environment) {
  std::vector<std::string> arguments{std::string(LOCKSTEP_BINARY_DIR) + "/bin/" + program, argument};
  if (argument.empty()) arguments.pop_back();
  std::vector<std::string> variables = ChildEnvironment(environment);
  std::array<int, 2> ends{};
  if (pipe(ends.data()) != 0) throw std::runtime_error("pipe failed");
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
  posix_spawn_file_actions_addclose(&actions, ends[0]);
  posix_spawn_file_actions_addclose(&actions, ends[1]);
  pid_t child = 0;
  const int failed = posix_spawn(&child, arguments[0].c_str(), &actions, nullptr, Pointers(arguments).data(),
                                 Pointers(variables).data());
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  Outcome outcome;
  if (failed != 0) {
    close(ends[0]);
    ADD_FAILURE() << arguments[0] << " did not start";
    return outcome;
  }
  if (!ReadAll(ends[0], outcome.text)) {
    kill(child, SIGKILL);
    ADD_FAILURE() << program << " " << argument << " had not ended after a minute; it said\n" << outcome.text;
  }
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  outcome.status = WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
  return outcome;
}

std::string LineOf(const std::string& file, const std::string& name) {
  std::ifstream source(std::string(LOCKSTEP_SOURCE_DIR) + "/suites/virtual_gpu/" + file);
  int number = 0;
  for (std::string line; std::getline(source, line);) {
    ++number;
    if (line.ends_with("// DEFECT " + name)) return file + ":" + std::to_string(number);
  }
  ADD_FAILURE() << file << " has no line that ends in // DEFECT " << name;
  return file;
}

}  // namespace lockstep::suites::virtual_gpu
