// Runs the command line that users run, and reads the record that it leaves. Nothing of the harness is linked into the
// conformance tests but the record's reader: they see what a user sees.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "harness/protocol/record.h"

namespace lockstep::conformance {

struct Outcome {
  int exit_code = -1;
  std::string output;  // standard output and standard error
};

// `build/bin/PROGRAM ARGUMENTS`, waited for; with one more variable, "NAME=value", where there is one.
Outcome RunProgram(const std::string& program, const std::vector<std::string>& arguments,
                   const std::string& variable = "");

// A folder of this test's own under the build folder, emptied.
std::filesystem::path OutputFolder(const std::string& name);

protocol::Record ReadRecord(const std::filesystem::path& folder);

// The cases that did not hold, a line each with their reason.
std::string Failures(const protocol::Record& record);

// A name that GoogleTest takes for a parameter: letters, digits and underscores.
std::string TestName(const std::string& name);

// Stems of a folder's .toml files, sorted.
std::vector<std::string> TomlStems(const std::filesystem::path& folder);

// A plan of a case, as `lockstep list cases` tells of it.
struct ListedCase {
  std::string name;  // "dp.even/dp=2"
  std::int64_t world_size = 0;
  std::vector<std::string> checks;

  std::string Id() const { return name.substr(0, name.find('/')); }
};
std::vector<ListedCase> ListedCases();

// What a variable of the environment asks for; an exception where that is no whole number of 1 or more.
std::optional<std::int64_t> CountAskedFor(const char* variable);

// The most ranks that a run of `trainer` may have: LOCKSTEP_MOST_RANKS for the CUDA trainer, which has one rank a GPU
// (ci/gpu sets it); no limit where that is unset. An exception where it is no number.
std::int64_t MostRanks(const std::string& trainer);

// Those of `cases` that this many ranks can run; says on standard output which ones it leaves out.
std::vector<ListedCase> WithinRanks(const std::vector<ListedCase>& cases, std::int64_t ranks);

// {"--case", "dp.even/dp=2", "--case", ...}
std::vector<std::string> CaseArguments(const std::vector<ListedCase>& cases);

// A variable of the environment for as long as the object lives.
class Variable {
 public:
  Variable(const char* name, const char* value);
  ~Variable();
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  const char* name_;
};

// Whether the first rank that has said hello below `folder` runs on a virtual device; an exception where none has.
bool OnVirtualDevices(const std::filesystem::path& folder);

// The reference trainers that this build has: "kokkos", "cuda".
std::vector<std::string> ReferenceTrainers();

}  // namespace lockstep::conformance
