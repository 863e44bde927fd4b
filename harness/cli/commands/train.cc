// lockstep train: trains on real data under a plan, and tells how it goes.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>

#include "harness/cli/numbers.h"
#include "harness/cli/places.h"
#include "harness/cli/subcommand.h"
#include "harness/cli/terminal.h"
#include "harness/cli/training.h"
#include "harness/conform/output_folder.h"
#include "harness/inputs/make.h"
#include "harness/protocol/bad_input.h"
#include "harness/protocol/files.h"
#include "harness/schedule/generate.h"

namespace lockstep::cli {
namespace {

using protocol::BadInput;

struct Arguments {
  std::string trainer = kDefaultTrainer, data, labels, workload, plan = "dp=2",
              folder = std::string(kDefaultFolder) + "/train";
  std::int64_t steps = 0, batch = 0, seed = -1;
  double minutes = 0;
};

// The request's folder below it is RunTraining's, and holds the mark.
const conform::FolderUse kFolderUse{"lockstep train", "request/request.json", "workload", {"metrics.prom"}};
constexpr std::int64_t kDefaultSteps = 200;
constexpr std::int64_t kTrialSteps = 8;  // that tell how many steps fit into --minutes

protocol::Workload WorkloadOf(const Arguments& arguments) {
  const std::filesystem::path data =
      arguments.data.empty() ? inputs::DefaultText(launch::WritableCache()) : std::filesystem::path(arguments.data);
  protocol::Workload workload;
  if (arguments.workload.empty()) {
    workload = WorkloadFor(data, arguments.labels);
    workload.steps = kDefaultSteps;
  } else {
    workload = protocol::ReadWorkloadToml(arguments.workload);
    protocol::Data& own = workload.data;
    const bool names_none = own.kind == protocol::DataKind::kFile && own.file.empty();
    if (!arguments.data.empty() || names_none) {
      own.kind = protocol::DataKind::kFile;
      own.file = data;
      own.labels = arguments.labels;
    }
  }
  if (arguments.steps > 0) workload.steps = arguments.steps;
  if (arguments.batch > 0) workload.global_batch = arguments.batch;
  if (arguments.seed >= 0) workload.seed = static_cast<std::uint64_t>(arguments.seed);
  protocol::Validate(workload, "train");
  return workload;
}

protocol::Request RequestOf(const protocol::Workload& workload, const protocol::Plan& plan) {
  protocol::Request request;
  request.id = "train";
  request.workload = workload;
  request.plan = plan;
  request.schedule = schedule::Generate(plan);
  request.evidence = {.gradients = false, .clipped_gradients = false, .parameters = false, .optimizer_state = false};
  return request;
}

// How many steps fill the time asked for, from a short run of the same thing.
std::int64_t StepsIn(double minutes, const protocol::Manifest& manifest, protocol::Request request,
                     const std::filesystem::path& folder) {
  request.workload.steps = kTrialSteps;
  std::printf("%lld steps on trial, to see how many fill the time\n", static_cast<long long>(kTrialSteps));
  std::fflush(stdout);
  const Training trial = RunTraining(manifest, request, folder, [](const TrainingState&) {});
  if (trial.end.kind != launch::EndKind::kDone) return 1;  // the run itself will tell what is wrong
  std::vector<double> seconds = trial.summary.step_seconds;
  std::sort(seconds.begin(), seconds.end());
  const double step = std::max(1e-6, seconds.empty() ? 1 : seconds[seconds.size() / 2]);
  const double left = minutes * 60 - trial.end.seconds;  // the trial is part of the time asked for
  return std::clamp(static_cast<std::int64_t>(left / step), std::int64_t{1},
                    std::min(kMostSteps, inputs::kMostSamples / request.workload.global_batch));
}

int Run(const Arguments& arguments) {
  if (arguments.minutes > 0 && arguments.steps > 0) throw BadInput("--minutes", "and --steps exclude each other");
  if (!arguments.labels.empty() && arguments.data.empty())
    throw BadInput("--labels", "is of IDX images", "add --data FILE");
  const protocol::Manifest manifest = FindTrainer(arguments.trainer);
  const protocol::Workload workload = WorkloadOf(arguments);
  const protocol::Plan plan = protocol::ParsePlan(arguments.plan);
  protocol::Validate(plan, workload, "--plan");
  protocol::Request request = RequestOf(workload, plan);
  RefuseUnsupported(DescriptionOf(manifest), manifest, request);
  launch::InstallSignalHandlers();
  const std::filesystem::path folder = arguments.folder;
  conform::PrepareFolder(folder, kFolderUse);
  if (arguments.minutes > 0) request.workload.steps = StepsIn(arguments.minutes, manifest, request, folder / "request");
  std::printf("%s on %s, plan %s, %lld steps of %lld samples, trainer %s\n", publish::WorkloadName(workload).c_str(),
              workload.data.file.empty() ? "made-up data" : workload.data.file.c_str(),
              protocol::ToString(plan).c_str(), static_cast<long long>(request.workload.steps),
              static_cast<long long>(workload.global_batch), manifest.name.c_str());
  std::fflush(stdout);
  LiveLine live(stdout);
  const Training training = RunTraining(manifest, request, folder / "request",
                                        [&](const TrainingState& state) { live.Show(StateText(state)); });
  live.Clear();
  std::printf("%s", publish::TrainText(training.summary, WantsColor(stdout)).c_str());
  publish::WriteTrainMetrics(folder, training.summary);
  for (const protocol::Stuck& stuck : training.end.stuck) {
    if (stuck.kind == protocol::StuckKind::kPeerSlow) std::fprintf(stderr, "lockstep: %s\n", stuck.words.c_str());
  }
  if (!training.summary.complete) {
    std::printf("CUT SHORT after %lld of %lld steps\n", static_cast<long long>(training.summary.last_step),
                static_cast<long long>(request.workload.steps));
  }
  if (training.end.kind != launch::EndKind::kDone) {
    std::fprintf(stderr, "lockstep: %s\n", training.end.reason.c_str());
  }
  return ExitCodeOf(training.end.kind);
}

std::function<int()> Declare(CLI::App& app, const std::vector<std::string>&) {
  const auto arguments = std::make_shared<Arguments>();
  app.add_option("--data", arguments->data,
                 "Text, a token file (uint16 with llm.c's header), or IDX images; licence texts if absent");
  app.add_option("--labels", arguments->labels, "IDX labels of IDX images");
  app.add_option("--plan", arguments->plan, "Layout: dp=2,pp=2,tp=2,micro_batches=4,schedule=1f1b; or single")
      ->capture_default_str();
  app.add_option("--steps", arguments->steps, "Steps to train; 200 if absent")->check(WholeNumber(1, kMostSteps));
  app.add_option("--minutes", arguments->minutes, "Time to train, in place of --steps")
      ->check(NumberAbove(0, kMostSeconds / 60));
  app.add_option("--workload", arguments->workload,
                 "Model, optimizer and batch (TOML); a small gpt or mlp to fit the data if absent");
  app.add_option("--batch", arguments->batch, "Samples a step, over all replicas")->check(WholeNumber(1, kMostBatch));
  app.add_option("--seed", arguments->seed, "Seed of parameters and order")->check(WholeNumber(0, INT64_MAX));
  app.add_option("--trainer", arguments->trainer, "A name of `lockstep list trainers`, or a trainer.toml")
      ->capture_default_str();
  app.add_option("--out", arguments->folder, "Folder for metrics.prom and the evidence")->capture_default_str();
  return [arguments] { return Run(*arguments); };
}

}  // namespace

extern const Subcommand command_train;
const Subcommand command_train{
    "train", "Train on real data under a plan; shows the loss as it falls.",
    "  lockstep train                                       200 steps on text, two replicas\n"
    "  lockstep train --plan dp=2,pp=2,micro_batches=4 --minutes 5\n"
    "  lockstep train --data book.txt --batch 32 --steps 1000\n"
    "  lockstep train --data train-images-idx3-ubyte --labels train-labels-idx1-ubyte",
    Declare};

}  // namespace lockstep::cli
