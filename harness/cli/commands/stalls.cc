// lockstep stalls: where the time of each rank's steps went, of a run made now or of evidence.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "harness/cli/delay_option.h"
#include "harness/cli/numbers.h"
#include "harness/cli/places.h"
#include "harness/cli/stalls_report.h"
#include "harness/cli/subcommand.h"
#include "harness/cli/terminal.h"
#include "harness/cli/training.h"
#include "harness/protocol/bad_input.h"
#include "harness/protocol/evidence_files.h"
#include "harness/protocol/files.h"
#include "harness/schedule/generate.h"
#include "harness/stalls/trace/export.h"
#include "harness/stalls/trace/kineto.h"

namespace lockstep::cli {
namespace {

using protocol::BadInput;

struct Arguments {
  std::vector<std::string> run;  // a run's folder, or a file of each rank
  std::string trace, trainer = kDefaultTrainer, workload, plan = "pp=2,micro_batches=4",
                     folder = std::string(kDefaultFolder) + "/stalls";
  std::vector<std::string> delays;
  std::int64_t steps = 0;
  bool as_json = false, every_step = false;
};

constexpr std::int64_t kDefaultSteps = 12;
constexpr double kLeastGain = 0.01;  // of a step: advice that gains less is not worth telling

// Large enough that an operation takes milliseconds, small enough that a person waits seconds.
protocol::Workload DefaultWorkload() {
  protocol::Workload workload;
  protocol::Model& model = workload.model;
  model.kind = protocol::ModelKind::kGpt;
  model.loss = protocol::LossKind::kCrossEntropy;
  model.layers = 4;
  model.width = 64;
  model.heads = 4;
  model.mlp_width = 4 * model.width;
  model.vocabulary = 96;
  model.sequence = 64;
  workload.global_batch = 16;
  workload.steps = kDefaultSteps;
  return workload;
}

protocol::Request RequestOf(const Arguments& arguments) {
  protocol::Request request;
  request.id = "stalls";
  request.workload = DefaultWorkload();
  if (!arguments.workload.empty()) request.workload = protocol::ReadWorkloadToml(arguments.workload);
  if (arguments.steps > 0) request.workload.steps = arguments.steps;
  protocol::Validate(request.workload, "stalls");
  request.plan = protocol::ParsePlan(arguments.plan);
  protocol::Validate(request.plan, request.workload, "--plan");
  request.schedule = schedule::Generate(request.plan);
  request.evidence = {.gradients = false,
                      .clipped_gradients = false,
                      .parameters = false,
                      .optimizer_state = false,
                      .ledger = true,
                      .timeline = true,
                      .every = request.workload.steps};
  for (const std::string& delay : arguments.delays) AddDelay(delay, &request);
  return request;
}

// 0, or the exit code of a run that came to no end.
int MakeRun(const Arguments& arguments) {
  const protocol::Manifest manifest = FindTrainer(arguments.trainer);
  const protocol::Request request = RequestOf(arguments);
  const protocol::Capabilities can = DescriptionOf(manifest);
  RefuseUnsupported(can, manifest, request);
  if (!request.delays.empty() && !can.delays) {
    throw BadInput("--delay", "trainer '" + manifest.name + "' makes no delays",
                   "its description would say \"delays\": true");
  }
  launch::InstallSignalHandlers();
  LiveLine live(stderr);
  const Training training = RunTraining(
      manifest, request, std::filesystem::path(arguments.folder) / "request", [&](const TrainingState& state) {
        live.Show("step " + std::to_string(state.step) + " of " + std::to_string(state.steps));
      });
  live.Clear();
  if (training.end.kind == launch::EndKind::kDone) return 0;
  std::fprintf(stderr, "lockstep: %s\n", training.end.reason.c_str());
  return ExitCodeOf(training.end.kind);
}

// The request's folder in what a person names: itself, or the output folder of `stalls` or `train`.
std::filesystem::path RequestFolder(const std::filesystem::path& named) {
  if (!std::filesystem::exists(named)) throw BadInput(named.string(), "is not there", "expected a run's folder");
  for (const auto& folder : {named, named / "request"}) {
    if (std::filesystem::exists(folder / "request.json")) return folder;
  }
  throw BadInput(named.string(), "holds no request.json",
                 std::filesystem::exists(named / "runs") ? "name one of the runs in " + (named / "runs").string()
                                                         : "expected the folder of a run's request");
}

// What is reported on, and what bounds advice on it.
struct Subject {
  stalls::Run run;
  stalls::Limits limits;
};

std::vector<protocol::Hello> HellosIn(const std::filesystem::path& folder, const protocol::Plan& plan) {
  std::vector<protocol::Hello> hellos;
  for (std::int64_t rank = 0; rank < plan.WorldSize(); ++rank) {
    const std::filesystem::path file = protocol::RankFolder(folder, rank) / "hello.json";
    if (std::filesystem::exists(file)) {
      hellos.push_back(protocol::HelloFromJson(protocol::ReadJson(file), file.string()));
    }
  }
  return hellos;
}

// What the machine has to do with the figures. Ranks that wait for a processor seem to compute, or their messages to be
// late; how many there are is known of this machine alone.
std::vector<std::string> DoubtsOfMachine(const std::vector<protocol::Hello>& hellos) {
  std::vector<std::string> doubts;
  const auto virtual_device = [](const protocol::Hello& hello) { return hello.device_kind == "virtual"; };
  if (std::any_of(hellos.begin(), hellos.end(), virtual_device)) {
    doubts.emplace_back("virtual devices: times say who waited for whom, and nothing of a GPU's");
  }
  std::array<char, 256> here{};
  const auto processors = static_cast<std::int64_t>(std::thread::hardware_concurrency());
  if (std::ssize(hellos) <= processors || ::gethostname(here.data(), here.size() - 1) != 0) return doubts;
  const auto shares = [&](const protocol::Hello& hello) {
    return hello.host == here.data() && hello.device_kind != "gpu";
  };
  if (std::all_of(hellos.begin(), hellos.end(), shares)) {
    doubts.push_back(std::to_string(hellos.size()) + " ranks share " + std::to_string(processors) +
                     " processors: waiting for one counts as transfer, or as the operation that was held up");
  }
  return doubts;
}

Subject SubjectOfFolder(const std::filesystem::path& folder) {
  const protocol::Request request = protocol::ReadRequest(folder);
  Subject subject{stalls::ReadRun(folder), {}};
  subject.limits.samples = request.workload.global_batch / request.plan.data;
  const protocol::Model& model = request.workload.model;
  if (model.kind == protocol::ModelKind::kGpt) subject.limits.units = model.layers;
  if (model.kind == protocol::ModelKind::kMlp) subject.limits.units = std::ssize(model.sizes) - 1;
  for (const std::string& doubt : DoubtsOfMachine(HellosIn(folder, request.plan))) subject.run.doubts.push_back(doubt);
  return subject;
}

// A folder is a run's; files are another profiler's traces, one of each rank.
Subject SubjectOf(const std::vector<std::string>& named) {
  if (std::none_of(named.begin(), named.end(),
                   [](const auto& each) { return std::filesystem::is_regular_file(each); })) {
    if (named.size() > 1) throw BadInput(named[1], "is one run too many", "expected one run's folder");
    return SubjectOfFolder(RequestFolder(named[0]));
  }
  return {stalls::ReadTraces({named.begin(), named.end()}), {}};
}

int Report(const Arguments& arguments, Subject subject) {
  const stalls::Run& run = subject.run;
  const stalls::Attribution attribution = stalls::Attribute(run);
  if (!arguments.trace.empty()) {
    const stalls::TraceWritten written = stalls::WriteChromeTrace(arguments.trace, run, attribution);
    std::fprintf(stderr, "%s: %lld slices, %lld arrows, for ui.perfetto.dev%s\n", arguments.trace.c_str(),
                 static_cast<long long>(written.slices), static_cast<long long>(written.flows),
                 written.flows_left_out == 0 ? "" : "; arrows that would lead back in time are left out");
  }
  subject.limits.least = kLeastGain * attribution.steps.back().wall;
  const StallsReport report{run, attribution, stalls::AllowanceOf(run, attribution),
                            stalls::AdviceFor(run, attribution, subject.limits)};
  const std::string text =
      arguments.as_json ? StallsJson(report).dump(1) + "\n" : StallsText(report, arguments.every_step);
  std::fwrite(text.data(), 1, text.size(), stdout);
  return 0;
}

int Run(const Arguments& arguments, const CLI::App& app) {
  if (!arguments.run.empty()) {
    for (const char* option : {"--trainer", "--workload", "--plan", "--delay", "--steps", "--out"}) {
      if (app.count(option) > 0) throw BadInput(option, "makes a run", "leave it out, or leave out RUN");
    }
    return Report(arguments, SubjectOf(arguments.run));
  }
  if (const int code = MakeRun(arguments); code != 0) return code;
  return Report(arguments, SubjectOfFolder(RequestFolder(arguments.folder)));
}

std::function<int()> Declare(CLI::App& app, const std::vector<std::string>&) {
  const auto arguments = std::make_shared<Arguments>();
  app.add_option("run", arguments->run,
                 "The folder of a run's evidence, or traces of torch.profiler, one of each rank. Absent: makes a run");
  app.add_option("--trainer", arguments->trainer, "A name of `lockstep list trainers`, or a trainer.toml")
      ->capture_default_str();
  app.add_option("--workload", arguments->workload, "Model, optimizer and batch (TOML); a small gpt if absent");
  app.add_option("--plan", arguments->plan, "Layout: dp=2,pp=2,micro_batches=4,schedule=1f1b")->capture_default_str();
  app.add_option("--steps", arguments->steps, "Steps to run; 12 if absent")->check(WholeNumber(1, kMostSteps));
  app.add_option("--delay", arguments->delays,
                 "Sleep on purpose: rank=1,op=F,ms=50 (op: F, B, I, W, send, data, optimizer, host); also step=3,\n"
                 "micro_batch=0. May be given again");
  app.add_option("--out", arguments->folder, "Folder for the evidence")->capture_default_str();
  app.add_option("--trace", arguments->trace, "Write Chrome trace events for Perfetto to this file")->type_name("FILE");
  app.add_flag("--every-step", arguments->every_step, "Every step in the table, however many");
  app.add_flag("--json", arguments->as_json, "All figures as JSON, in seconds");
  return [arguments, &app] { return Run(*arguments, app); };
}

}  // namespace

extern const Subcommand command_stalls;
const Subcommand command_stalls{
    "stalls", "Say where each rank's time went, who was to blame, and what would help.",
    "  lockstep stalls                                      a small run: two stages, four micro-batches\n"
    "  lockstep stalls --plan pp=4,micro_batches=8,schedule=zb_h1\n"
    "  lockstep stalls --plan dp=2 --delay rank=1,op=B,ms=200,step=6       find a delay made on purpose\n"
    "  lockstep stalls lockstep-out/train                   a run's evidence, again\n"
    "  lockstep stalls lockstep-out/stalls --json\n"
    "  lockstep stalls lockstep-out/train --trace train.json        for ui.perfetto.dev, with idle time named\n"
    "  lockstep stalls rank0.json rank1.json                traces of torch.profiler (export_chrome_trace)\n"
    "\n"
    "  compute         operations F, B, I, W, without the waits inside them\n"
    "  bubble          waits that the schedule has by itself, were all stages alike; (allowed): by its formula\n"
    "  imbalance       waits for a stage that always takes longer than the others\n"
    "  straggler       waits for an operation that took longer than usual, or than on the other replicas\n"
    "  transfer        handing over, and waits once the peer was there\n"
    "  data, host      finding samples; between operations (launching)\n"
    "  optimizer       the end of the step, and meeting there\n"
    "  unattributed    what the trainer's timeline doesn't tell\n"
    "  link, meeting   to blame: a message on its way; a group that exchanges a few numbers, once all have come",
    Declare};

}  // namespace lockstep::cli
