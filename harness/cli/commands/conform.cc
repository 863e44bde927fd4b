// lockstep conform: runs a trainer through cases and judges it.
#include "harness/conform/conform.h"

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "harness/cli/numbers.h"
#include "harness/cli/places.h"
#include "harness/cli/subcommand.h"
#include "harness/cli/terminal.h"
#include "harness/conform/fault.h"
#include "harness/protocol/bad_input.h"
#include "harness/publish/publish.h"

namespace lockstep::cli {
namespace {

using conform::Case;
using protocol::BadInput;

struct Arguments {
  std::string trainer = kDefaultTrainer, profile, fault, folder = std::string(kDefaultFolder) + "/conform", workload,
              suites;
  std::vector<std::string> cases, plans;
  std::int64_t steps = 0;
  std::int64_t seed = -1;
  double deadline = 0;
};

constexpr const char* kDefaultProfile = "core";

// What a workload that no case names is checked for: all that holds for any layout.
const std::vector<std::string> kChecksOfAnyWorkload{
    "effective_plan", "ledger", "replicas", "learning_rate", "noise_ratio", "reported_norm", "optimizer_replay"};

std::vector<Case> CasesOfWorkload(const Arguments& arguments) {
  const std::filesystem::path file = arguments.workload;
  const protocol::Workload workload = protocol::ReadWorkloadToml(file);
  std::vector<Case> cases;
  for (const std::string& plan : arguments.plans.empty() ? std::vector<std::string>{"dp=2"} : arguments.plans) {
    const std::string claim = file.string() + " under this plan trains as on one device";
    cases.push_back(conform::MakeCase(file.stem(), claim, workload, plan, kChecksOfAnyWorkload, {}, file.string()));
  }
  return cases;
}

void SelectCases(const Arguments& arguments, conform::Options* options) {
  const std::filesystem::path suites = SuitesFolder(arguments.suites);
  std::vector<std::string> wanted = arguments.cases;
  if (!arguments.fault.empty()) {
    options->fault = conform::FindFault(options->manifest, arguments.fault);
    if (wanted.empty() && arguments.profile.empty() && arguments.workload.empty()) {
      wanted = {options->fault->workload_case};
    }
  }
  if (!arguments.workload.empty()) {
    for (const auto& [option, given] :
         {std::pair{"--case", !arguments.cases.empty()}, {"--profile", !arguments.profile.empty()}}) {
      if (given) throw BadInput("--workload", std::string("and ") + option + " exclude each other");
    }
    options->cases = CasesOfWorkload(arguments);
    return;
  }
  if (!arguments.plans.empty()) throw BadInput("--plan", "says how to lay out a workload", "add --workload FILE");
  if (wanted.empty() || !arguments.profile.empty()) {
    const conform::Profile profile =
        conform::FindProfile(arguments.profile.empty() ? kDefaultProfile : arguments.profile, suites);
    options->profile = profile.name;
    options->profile_version = profile.version;
    options->cases = conform::CasesOf(profile, suites);
  } else {
    options->cases = conform::AllCases(suites);
  }
  if (wanted.empty()) return;
  std::vector<Case> chosen;
  for (const std::string& id : wanted) {
    for (const Case& each : conform::MatchCases(options->cases, id)) {
      const auto same = [&](const Case& other) { return other.id == each.id; };
      if (std::none_of(chosen.begin(), chosen.end(), same)) chosen.push_back(each);
    }
  }
  options->cases = chosen;
}

void Override(const Arguments& arguments, std::vector<Case>* cases) {
  for (Case& each : *cases) {
    if (arguments.steps > 0) each.workload.steps = arguments.steps;
    if (arguments.seed >= 0) each.workload.seed = static_cast<std::uint64_t>(arguments.seed);
    protocol::Validate(each.workload, each.id);
    conform::ValidateDelays(each, each.id);
    if (each.resume && each.resume->save_after >= each.workload.steps) {
      throw BadInput("--steps", "is " + std::to_string(arguments.steps),
                     each.id + " saves a checkpoint after step " + std::to_string(each.resume->save_after));
    }
  }
}

std::string ProgressText(const conform::Progress& progress) {
  return std::to_string(progress.runs_done) + " of " + std::to_string(progress.runs) + " runs, " +
         Duration(progress.seconds) + "; now " + progress.now;
}

int Run(const Arguments& arguments, const std::vector<std::string>& command) {
  conform::Options options;
  options.manifest = FindTrainer(arguments.trainer);
  options.command = command;
  SelectCases(arguments, &options);
  if (options.cases.empty()) {
    std::fprintf(stderr, "lockstep: no case was selected\n");
    return 5;
  }
  Override(arguments, &options.cases);
  options.execute.folder = arguments.folder;
  options.execute.limits.start_seconds = options.manifest.start_seconds;
  if (arguments.deadline > 0) options.execute.limits.step_seconds = arguments.deadline;
  LiveLine live(stderr);
  options.execute.on_progress = [&](const conform::Progress& progress) { live.Show(ProgressText(progress)); };
  launch::InstallSignalHandlers();
  const conform::Session session = conform::MakeRuns(options);
  std::size_t judged = 0;
  const protocol::Record record = JudgeSession(session, arguments.folder, [&](const protocol::CaseResult& result) {
    live.Show("judged " + std::to_string(++judged) + " of " + std::to_string(session.cases.size()) + "; " + result.id);
  });
  publish::WriteAll(arguments.folder, record);
  live.Clear();
  std::printf("%s", publish::Table(record, WantsColor(stdout)).c_str());
  return record.exit_code;
}

std::function<int()> Declare(CLI::App& app, const std::vector<std::string>& command) {
  const auto arguments = std::make_shared<Arguments>();
  app.add_option("--trainer", arguments->trainer,
                 "Trainer under test: a name of `lockstep list trainers`, or a trainer.toml")
      ->capture_default_str();
  app.add_option("--profile", arguments->profile, "Profile of cases; core unless cases are named");
  app.add_option("--case", arguments->cases, "One case, a case file with all its plans, or a beginning with '*'");
  app.add_option("--fault", arguments->fault, "Switch on a fault of the trainer, on the case that must see it");
  app.add_option("--out", arguments->folder, "Folder for record.json, junit.xml, metrics.prom and the evidence")
      ->capture_default_str();
  app.add_option("--workload", arguments->workload, "A workload of your own (TOML) in place of cases");
  app.add_option("--plan", arguments->plans,
                 "How to lay it out, with --workload: dp=2,pp=2,tp=2,micro_batches=4; dp=2 if absent");
  app.add_option("--steps", arguments->steps, "Steps of every case, in place of its own")
      ->check(WholeNumber(1, kMostSteps));
  app.add_option("--seed", arguments->seed, "Seed of every case, in place of its own")
      ->check(WholeNumber(0, INT64_MAX));
  app.add_option("--deadline", arguments->deadline, "Seconds without progress after which a run is ended; 30 if absent")
      ->check(NumberAbove(0, kMostSeconds));
  app.add_option("--suites", arguments->suites, "Folder of conformance cases and profiles, in place of Lockstep's own");
  return [arguments, command] { return Run(*arguments, command); };
}

}  // namespace

extern const Subcommand command_conform;
const Subcommand command_conform{
    "conform", "Run a trainer through conformance cases and judge it against one device.",
    "  lockstep conform                                     the core profile on the reference trainer\n"
    "  lockstep conform --profile hybrid                    another profile (lockstep list profiles)\n"
    "  lockstep conform --case dp.uneven_tokens/dp=2        one case (lockstep list cases)\n"
    "  lockstep conform --fault dp.sum_not_mean             prove that a known fault is caught: exits with 1, with 3 "
    "if not\n"
    "  lockstep conform --trainer my/trainer.toml           your own trainer (harness/protocol/PROTOCOL.md)\n"
    "  lockstep conform --workload w.toml --plan dp=2,pp=2,micro_batches=4",
    Declare};

}  // namespace lockstep::cli
