// A run that stands still is explained: seeded mis-wirings, dead, stopped and slow ranks, and deadlocks are named with
// their kind, rank and peer, soon; and a run that only is slow, late or crowded is left alone.
//
// Each fault says on standard error what it has planted ("planted: {...}"); that is what the record is held to.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <functional>
#include <map>
#include <set>
#include <stdexcept>
#include <thread>

#include "harness/protocol/evidence.h"
#include "harness/protocol/files.h"
#include "suites/conformance/lockstep_command.h"

namespace lockstep::conformance {
namespace {

using protocol::CaseResult;
using protocol::Status;
using protocol::Stuck;

constexpr double kLimit = 2;  // seconds after the last move, or three median steps, which are shorter here

const std::vector<std::string> kPlans{"pp=2,micro_batches=4,schedule=gpipe",
                                      "pp=3,micro_batches=4",
                                      "pp=4,micro_batches=4,schedule=gpipe",
                                      "pp=4,micro_batches=4,schedule=zb_h1",
                                      "dp=2,pp=2,micro_batches=4,schedule=gpipe",
                                      "pp=2,tp=2,micro_batches=4,schedule=gpipe",
                                      "dp=2,pp=3,micro_batches=4",
                                      "pp=2,chunks=2,micro_batches=4,schedule=interleaved_1f1b"};

// A suite of one case: a small pipeline, checked by what its own run leaves, so that each fault costs one launch.
std::filesystem::path WriteSuite(const std::filesystem::path& folder, std::int64_t steps) {
  const auto cases = folder / "conformance" / "cases";
  std::filesystem::create_directories(cases);
  std::ofstream file(cases / "links.toml");
  file << "id = \"links\"\nclaim = \"Every message comes by its link.\"\nplans = [";
  for (const std::string& plan : kPlans) file << "\"" << plan << "\", ";
  file << "]\nchecks = [\"effective_plan\", \"ledger\"]\n"
          "[model]\nkind = \"gpt\"\nlayers = 4\nwidth = 24\nheads = 2\nvocabulary = 61\nsequence = 16\ntied = true\n"
          "[optimizer]\nkind = \"sgd\"\nlearning_rate = 0.1\n[data]\nkind = \"seeded\"\n"
          "[training]\nprecision = \"fp32\"\nglobal_batch = 8\nsteps = "
       << steps << "\nseed = 1\n";
  return folder;
}

struct Planted {
  std::string fault, plan;
  int seed = 0;
};

struct Verdict {
  Planted planted;
  nlohmann::json truth;  // null: it never struck
  CaseResult result;
  double seconds = 0;   // until it was named
  std::string problem;  // "" where it was named rightly
};

nlohmann::json TruthIn(const std::filesystem::path& folder) {
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.path().filename() != "launch.stderr") continue;
    const std::string text = protocol::ReadTextFile(entry.path()), key = "planted: ";
    const std::size_t at = text.find(key);
    if (at == std::string::npos) continue;
    return nlohmann::json::parse(text.substr(at + key.size(), text.find('\n', at) - at - key.size()), nullptr, false);
  }
  return nullptr;
}

// What of the finding is not what was planted.
std::string Difference(const nlohmann::json& truth, const CaseResult& result) {
  if (!truth.is_object()) return "the fault did not strike";
  if (result.stuck.empty()) return "nothing was found";
  const Stuck& found = result.stuck.back();
  const bool deadlock = truth["kind"] == "deadlock";
  if (truth["kind"] != NameOf(found.kind)) return "kind is " + std::string(NameOf(found.kind));
  if (deadlock) {
    const bool in_it = std::find(found.cycle.begin(), found.cycle.end(), truth["rank"]) != found.cycle.end();
    return found.cycle.size() < 2 ? "no cycle" : in_it ? "" : "the rank is not in the cycle";
  }
  if (truth["rank"] != found.rank) return "rank is " + std::to_string(found.rank);
  const std::set<std::string> others{"peer dead", "peer stopped", "peer slow"};  // several ranks wait for these
  if (others.contains(truth["kind"])) return "";
  if (truth["peer"] != found.peer) return "peer is " + std::to_string(found.peer);
  if (truth["micro_batch"] != found.micro_batch) return "micro-batch is " + std::to_string(found.micro_batch);
  return truth["step"] != found.step ? "step is " + std::to_string(found.step) : "";
}

bool GoesOn(const std::string& fault) { return fault == "rank.slow"; }

Verdict Plant(const std::string& trainer, const Planted& planted, const std::filesystem::path& suite,
              const std::filesystem::path& folder) {
  Verdict verdict{planted, nullptr, {}, 0, ""};
  const std::string seed = "LOCKSTEP_FAULT_SEED=" + std::to_string(planted.seed);
  const Outcome outcome = RunProgram("lockstep",
                                     {"conform", "--trainer", trainer, "--suites", suite, "--fault", planted.fault,
                                      "--case", "links/" + planted.plan, "--out", folder},
                                     seed);
  try {
    verdict.result = ReadRecord(folder).cases.at(0);
  } catch (const std::exception& error) {
    verdict.problem = error.what() + (": " + outcome.output);
    return verdict;
  }
  verdict.truth = TruthIn(folder);
  verdict.problem = Difference(verdict.truth, verdict.result);
  const bool held = verdict.result.status == Status::kPass;
  if (verdict.problem.empty() && held != GoesOn(planted.fault)) verdict.problem = "it ended as " + outcome.output;
  verdict.seconds = verdict.result.stuck.empty() ? 0 : verdict.result.stuck.back().seconds;
  if (verdict.problem.empty() && !GoesOn(planted.fault) && verdict.seconds > kLimit) {
    verdict.problem = "named after " + std::to_string(verdict.seconds) + " s";
  }
  return verdict;
}

// Calls it for each number below `n`, some at a time: ranks that wait leave their cores to others.
void SideBySide(std::size_t n, const std::function<void(std::size_t)>& call) {
  constexpr int kAtOnce = 4;
  std::atomic<std::size_t> next = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < kAtOnce; ++i) {
    threads.emplace_back([&] {
      for (std::size_t mine = next++; mine < n; mine = next++) call(mine);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

std::vector<Verdict> PlantAll(const std::string& trainer, const std::vector<Planted>& all) {
  const auto folder = OutputFolder("stuck_" + trainer);
  const auto suite = WriteSuite(folder / "suite", 4);
  std::vector<Verdict> verdicts(all.size());
  SideBySide(all.size(),
             [&](std::size_t i) { verdicts[i] = Plant(trainer, all[i], suite, folder / std::to_string(i)); });
  return verdicts;
}

// Kinds over plans, each with seeds of its own.
std::vector<Planted> Seeded(const std::vector<std::string>& faults, std::size_t each) {
  std::vector<Planted> all;
  int seed = 1;
  for (const std::string& fault : faults) {
    std::size_t plan = static_cast<std::size_t>(seed);
    for (std::size_t i = 0; i < each; ++i, ++seed) {
      // A message goes astray where there is a third rank, an order is wrong where two are sent one after the other,
      // and what is moved within one chunk of several deadlocks nobody.
      const auto fits = [&](const std::string& text) {
        if (fault == "link.crossed") {
          return text.find("pp=3") != std::string::npos || text.find("pp=4") != std::string::npos;
        }
        if (fault == "pp.schedule_deadlock") return text.find("chunks") == std::string::npos;
        return fault != "link.out_of_order" || text.find("gpipe") != std::string::npos;
      };
      while (!fits(kPlans[plan % kPlans.size()])) ++plan;
      all.push_back({fault, kPlans[plan++ % kPlans.size()], seed});
    }
  }
  return all;
}

void ExpectNamed(const std::vector<Verdict>& verdicts, double share) {
  std::size_t named = 0;
  std::string wrong;
  std::map<std::string, double> longest;  // until it was named, by fault
  for (const Verdict& verdict : verdicts) {
    double& seconds = longest[verdict.planted.fault];
    seconds = std::max(seconds, verdict.seconds);
    if (verdict.problem.empty()) {
      ++named;
      continue;
    }
    wrong += verdict.planted.fault + " in " + verdict.planted.plan + ", seed " + std::to_string(verdict.planted.seed) +
             ": " + verdict.problem + "; planted " + verdict.truth.dump() + "; said: " + verdict.result.reason + "\n";
  }
  std::printf("%zu of %zu named rightly\n%s", named, verdicts.size(), wrong.c_str());
  for (const auto& [fault, seconds] : longest) std::printf("%s: within %.2f s\n", fault.c_str(), seconds);
  EXPECT_GE(static_cast<double>(named), share * static_cast<double>(verdicts.size())) << wrong;
}

// The catalogue's faults that a watcher must find, as it lists them.
std::vector<nlohmann::json> WatcherFaults() {
  std::vector<nlohmann::json> rows;
  for (const auto& row :
       nlohmann::json::parse(RunProgram("lockstep-trainer-kokkos-faulty", {"--list-faults"}).output)) {
    if (row.at("found_by") == "watcher") rows.push_back(row);
  }
  if (rows.empty()) throw std::runtime_error("the catalogue has no fault that a watcher finds");
  return rows;
}

std::vector<std::string> NamesOfWatcherFaults() {
  std::vector<std::string> names;
  for (const nlohmann::json& row : WatcherFaults()) names.push_back(row.at("name"));
  return names;
}

TEST(StuckRuns, OfSeededFaultsAreNamedByKindRankAndPeerSoon) {
  const std::vector<Planted> all = Seeded(NamesOfWatcherFaults(), 6);
  EXPECT_GE(std::count_if(all.begin(), all.end(), [](const Planted& each) { return !GoesOn(each.fault); }), 40);
  ExpectNamed(PlantAll("kokkos", all), 0.95);
}

// Fewer where ranks meet over NCCL: what differs there is how a message is waited for, not how its absence is seen.
class StuckOn : public testing::TestWithParam<std::string> {};

std::vector<std::string> OtherTrainers() {
  std::vector<std::string> trainers = ReferenceTrainers();
  std::erase(trainers, "kokkos");
  return trainers;
}

TEST_P(StuckOn, FaultsAreNamedToo) {
  if (MostRanks(GetParam()) < 4) GTEST_SKIP() << "its pipelines need 4 ranks";
  ExpectNamed(PlantAll(GetParam(), Seeded(NamesOfWatcherFaults(), 1)), 1);
}

std::string NameOfTrainer(const testing::TestParamInfo<std::string>& info) { return TestName(info.param); }

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(StuckOn);
INSTANTIATE_TEST_SUITE_P(Conformance, StuckOn, testing::ValuesIn(OtherTrainers()), NameOfTrainer);

// The catalogue's own words, on the case that it names.
TEST(StuckCatalogue, HoldsWhatTheWatcherMustNameOnTheCaseOfEachFault) {
  const std::vector<nlohmann::json> rows = WatcherFaults();
  std::vector<std::filesystem::path> folders;
  for (const auto& row : rows) folders.push_back(OutputFolder("stuck_catalogue_" + std::string(row.at("name"))));
  std::vector<Outcome> outcomes(rows.size());
  SideBySide(rows.size(), [&](std::size_t i) {
    outcomes[i] = RunProgram("lockstep", {"conform", "--fault", rows[i].at("name"), "--out", folders[i]});
  });
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::string fault = rows[i].at("name"), words = rows[i].at("diagnosis"), &output = outcomes[i].output;
    EXPECT_EQ(outcomes[i].exit_code, 1) << output;
    const protocol::Record record = ReadRecord(folders[i]);
    ASSERT_TRUE(record.fault.has_value());
    EXPECT_EQ(record.fault->outcome, protocol::FaultOutcome::kCaught) << output;
    const CaseResult& result = record.cases.at(0);
    EXPECT_EQ(result.status == Status::kPass, GoesOn(fault)) << output;
    EXPECT_EQ(result.id, rows[i].at("workload_case"));
    ASSERT_FALSE(result.stuck.empty()) << fault << ": " << result.reason;
    const Stuck& found = result.stuck.back();
    EXPECT_THAT(std::string(NameOf(found.kind)) + ": " + found.words, testing::HasSubstr(words)) << fault;
    EXPECT_THAT(output, testing::HasSubstr(words)) << "a user does not see it";
  }
}

TEST(StuckRuns, SayWhereTheThreadsOfTheirRanksStood) {
  const auto folder = OutputFolder("stuck_stacks");
  RunProgram("lockstep", {"conform", "--fault", "rank.stopped", "--out", folder});
  const CaseResult result = ReadRecord(folder).cases.at(0);
  ASSERT_FALSE(result.stuck.empty()) << result.reason;
  for (const protocol::RankResult& rank : result.ranks) {
    if (rank.rank < 0) continue;
    EXPECT_THAT(rank.stack, testing::HasSubstr(std::to_string(rank.pid))) << "rank " << rank.rank;
    EXPECT_EQ(rank.stack.find("(T") != std::string::npos, rank.rank == result.stuck.back().rank) << rank.stack;
    EXPECT_THAT(rank.position, testing::HasSubstr("in step ")) << "rank " << rank.rank;
  }
}

TEST(CleanRuns, WithALinkThatIsLateAreNotCalledStuck) {
  const auto folder = OutputFolder("stuck_late");
  const Outcome outcome = RunProgram("lockstep", {"conform", "--fault", "pp.link_slow", "--out", folder});
  const CaseResult result = ReadRecord(folder).cases.at(0);
  EXPECT_EQ(result.status, Status::kFail) << outcome.output;  // by its check, at the end
  EXPECT_TRUE(result.stuck.empty()) << outcome.output;
}

// This process, and what it starts, on one core.
class OneCore {
 public:
  OneCore() {
    if (sched_getaffinity(0, sizeof(before_), &before_) != 0) throw std::runtime_error("sched_getaffinity fails");
    cpu_set_t one;
    CPU_ZERO(&one);
    for (int core = 0; core < CPU_SETSIZE; ++core) {
      if (!CPU_ISSET(core, &before_)) continue;
      CPU_SET(core, &one);
      break;
    }
    if (sched_setaffinity(0, sizeof(one), &one) != 0) throw std::runtime_error("sched_setaffinity fails");
  }
  ~OneCore() { sched_setaffinity(0, sizeof(before_), &before_); }
  OneCore(const OneCore&) = delete;
  OneCore& operator=(const OneCore&) = delete;

 private:
  cpu_set_t before_;
};

// 500 steps, LOCKSTEP_CLEAN_STEPS in the nightly run, of four ranks on one core.
TEST(CleanRuns, OfManyStepsOnACrowdedCoreRaiseNoAlarm) {
  const std::int64_t steps = CountAskedFor("LOCKSTEP_CLEAN_STEPS").value_or(500);
  const auto folder = OutputFolder("clean_steps");
  std::ofstream(folder / "workload.toml")
      << "[model]\nkind = \"gpt\"\nlayers = 4\nwidth = 16\nheads = 2\nvocabulary = 31\nsequence = 8\n"
         "[optimizer]\nkind = \"sgd\"\nlearning_rate = 0.01\n[data]\nkind = \"seeded\"\n"
         "[training]\nglobal_batch = 8\nsteps = "
      << steps / 2 << "\nseed = 1\n";
  const OneCore crowded;
  for (const char* plan : {"pp=4,micro_batches=4", "dp=2,pp=2,micro_batches=4"}) {
    const Outcome outcome = RunProgram(
        "lockstep", {"train", "--workload", folder / "workload.toml", "--plan", plan, "--out", folder / "out"});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
    EXPECT_EQ(outcome.output.find("slow, not stuck"), std::string::npos) << outcome.output;
    const std::string events =
        protocol::ReadTextFile(protocol::RankFolder(folder / "out" / "request", 3) / "events.jsonl");
    EXPECT_NE(events.find("\"step\":" + std::to_string(steps / 2) + ","), std::string::npos) << "it ended early";
  }
}

}  // namespace
}  // namespace lockstep::conformance
