#include "suites/conformance/lockstep_command.h"

#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <sstream>
#include <stdexcept>
#include <string_view>
#include <system_error>

#include "harness/protocol/files.h"

namespace lockstep::conformance {

Outcome RunProgram(const std::string& program, const std::vector<std::string>& arguments, const std::string& variable) {
  std::string command = (variable.empty() ? "" : variable + " ") + std::string(LOCKSTEP_BINARY_DIR) + "/bin/" + program;
  for (const std::string& argument : arguments) command += " '" + argument + "'";
  command += " 2>&1";
  std::FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) throw std::runtime_error("can't run " + command);
  Outcome outcome;
  std::array<char, 4096> block{};
  while (const std::size_t got = std::fread(block.data(), 1, block.size(), pipe))
    outcome.output.append(block.data(), got);
  const int status = ::pclose(pipe);
  outcome.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return outcome;
}

std::filesystem::path OutputFolder(const std::string& name) {
  const auto folder = std::filesystem::path(LOCKSTEP_BINARY_DIR) / "conformance" / TestName(name);
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  return folder;
}

protocol::Record ReadRecord(const std::filesystem::path& folder) {
  const auto file = folder / "record.json";
  return protocol::RecordFromJson(protocol::ReadJson(file), file.string());
}

std::string Failures(const protocol::Record& record) {
  std::string lines;
  for (const protocol::CaseResult& result : record.cases) {
    const bool held = result.status == protocol::Status::kPass || result.status == protocol::Status::kWaived ||
                      result.status == protocol::Status::kUnsupported;
    if (!held) lines += result.id + ": " + std::string(NameOf(result.status)) + ": " + result.reason + "\n";
  }
  return lines;
}

std::string TestName(const std::string& name) {
  std::string safe = name;
  std::replace_if(
      safe.begin(), safe.end(), [](unsigned char c) { return !std::isalnum(c); }, '_');
  return safe;
}

Variable::Variable(const char* name, const char* value) : name_(name) { ::setenv(name, value, 1); }
Variable::~Variable() { ::unsetenv(name_); }

bool OnVirtualDevices(const std::filesystem::path& folder) {
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.path().filename() != "hello.json") continue;
    return protocol::ReadJson(entry.path()).at("device").at("kind") == "virtual";
  }
  throw std::runtime_error("no rank has said hello below " + folder.string());
}

std::vector<std::string> ReferenceTrainers() {
  std::vector<std::string> trainers;
  std::istringstream list(LOCKSTEP_TRAINERS);
  for (std::string trainer; std::getline(list, trainer, ',');) trainers.push_back(trainer);
  return trainers;
}

std::vector<ListedCase> ListedCases() {
  const Outcome outcome = RunProgram("lockstep", {"list", "cases", "--json"});
  if (outcome.exit_code != 0) throw std::runtime_error("lockstep list cases: " + outcome.output);
  std::vector<ListedCase> cases;
  for (const auto& row : nlohmann::json::parse(outcome.output)) {
    cases.push_back({row.at("name"), row.at("world_size"), row.at("checks")});
  }
  return cases;
}

std::optional<std::int64_t> CountAskedFor(const char* variable) {
  const char* asked = std::getenv(variable);
  if (asked == nullptr) return std::nullopt;
  const std::string_view text(asked);
  std::int64_t count = 0;
  const auto [end, error] = std::from_chars(text.begin(), text.end(), count);
  if (error != std::errc() || end != text.end() || count < 1) {
    throw std::runtime_error(std::string(variable) + "=" + asked + ": expected a whole number, 1 or more");
  }
  return count;
}

std::int64_t MostRanks(const std::string& trainer) {
  if (trainer != "cuda") return std::numeric_limits<std::int64_t>::max();
  return CountAskedFor("LOCKSTEP_MOST_RANKS").value_or(std::numeric_limits<std::int64_t>::max());
}

std::vector<ListedCase> WithinRanks(const std::vector<ListedCase>& cases, std::int64_t ranks) {
  std::vector<ListedCase> within;
  for (const ListedCase& each : cases) {
    if (each.world_size <= ranks) {
      within.push_back(each);
    } else {
      std::printf("left out: %s needs %lld ranks\n", each.name.c_str(), static_cast<long long>(each.world_size));
    }
  }
  return within;
}

std::vector<std::string> CaseArguments(const std::vector<ListedCase>& cases) {
  std::vector<std::string> arguments;
  for (const ListedCase& each : cases) arguments.insert(arguments.end(), {"--case", each.name});
  return arguments;
}

std::vector<std::string> TomlStems(const std::filesystem::path& folder) {
  std::vector<std::string> stems;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".toml") stems.push_back(entry.path().stem().string());
  }
  std::sort(stems.begin(), stems.end());
  return stems;
}

}  // namespace lockstep::conformance
