// A rank of a real trainer that is killed, stopped or leaves: its case ends as an error or a time-out that names the
// rank, within the deadline; the other cases are run and hold; no process is left.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <tuple>

#include "suites/conformance/lockstep_command.h"

namespace lockstep::conformance {
namespace {

using protocol::Status;

constexpr double kDeadline = 4;  // seconds without progress
constexpr const char* kCase = "dp.indivisible_batch";

std::string ReadAll(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

// The reference trainer whose rank 1 ends as `kind` says in the case with three replicas.
std::filesystem::path WriteManifest(const std::filesystem::path& folder, const std::string& trainer,
                                    const std::string& kind) {
  const auto file = folder / "trainer.toml";
  const std::string program = "{bin}/lockstep-trainer-" + trainer;
  std::ofstream(file) << "name = \"ends-early\"\n"
                         "protocol = 1\n"
                         "start_seconds = 4\n"
                         "describe = [\""
                      << program
                      << "\", \"--describe\"]\n"
                         "launch = [\"mpirun\", \"--quiet\", \"--oversubscribe\", \"--bind-to\", \"none\", \"--mca\",\n"
                         "  \"mpi_yield_when_idle\", \"1\", \"-np\", \"{world_size}\", \"bash\", \""
                      << LOCKSTEP_SOURCE_DIR << "/suites/conformance/rank_end.sh\", \"" << kind
                      << "\",\n  \"*dp=3/candidate\", \"" << program
                      << "\", \"{requests}\"]\n"
                         "[environment]\n"
                         "OMPI_ALLOW_RUN_AS_ROOT = \"1\"\n"
                         "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM = \"1\"\n"
                         "OMP_NUM_THREADS = \"1\"\n"
                         "LOCKSTEP_RANK_END = \""
                      << folder.string() << "\"\n";
  return file;
}

// Processes that were given this manifest's environment.
int ProcessesOf(const std::filesystem::path& folder) {
  int found = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    if (entry.path().filename().string().find_first_not_of("0123456789") != std::string::npos) continue;
    found += ReadAll(entry.path() / "environ").find("LOCKSTEP_RANK_END=" + folder.string()) != std::string::npos;
  }
  return found;
}

// trainer, and how its rank ends: as rank_end.sh calls it
class RankFailure : public testing::TestWithParam<std::tuple<std::string, std::string>> {};

TEST_P(RankFailure, IsNamedWithinTheDeadlineAndTheOtherCasesHold) {
  const auto& [trainer, kind] = GetParam();
  if (MostRanks(trainer) < 4) GTEST_SKIP() << kCase << " needs 4 ranks";
  const auto folder = OutputFolder("rank_" + trainer + "_" + kind);
  const auto manifest = WriteManifest(folder, trainer, kind);
  const auto begin = std::chrono::steady_clock::now();
  // Steps enough that the rank is still at work when it is ended; virtual GPUs take several times as long for each.
  const std::string steps = trainer == "kokkos" ? "1000" : "250";
  const Outcome outcome =
      RunProgram("lockstep", {"conform", "--trainer", manifest, "--case", std::string(kCase) + "*", "--steps", steps,
                              "--deadline", std::to_string(kDeadline), "--out", folder / "out"});
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  const int expected = kind == "stop" ? 124 : 4;
  EXPECT_EQ(outcome.exit_code, expected) << outcome.output;
  EXPECT_EQ(ProcessesOf(folder), 0);
  const protocol::Record record = ReadRecord(folder / "out");
  EXPECT_TRUE(record.complete);
  ASSERT_EQ(record.cases.size(), 3u);
  for (const protocol::CaseResult& result : record.cases) {
    if (result.id != std::string(kCase) + "/dp=3") {
      EXPECT_EQ(result.status, Status::kPass) << result.id << ": " << result.reason;
      continue;
    }
    EXPECT_EQ(result.status, kind == "stop" ? Status::kTimeout : Status::kError) << result.reason;
    EXPECT_THAT(result.reason, testing::StartsWith("rank 1"));
  }
  EXPECT_LT(seconds, 100) << "nothing waits for ever";
}

std::string NameOfParameter(const testing::TestParamInfo<RankFailure::ParamType>& info) {
  return TestName(std::get<0>(info.param) + "_" + std::get<1>(info.param));
}

INSTANTIATE_TEST_SUITE_P(Conformance, RankFailure,
                         testing::Combine(testing::ValuesIn(ReferenceTrainers()),
                                          testing::Values("kill", "stop", "leave")),
                         NameOfParameter);

}  // namespace
}  // namespace lockstep::conformance
