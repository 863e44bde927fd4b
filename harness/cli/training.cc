#include "harness/cli/training.h"

#include <algorithm>
#include <deque>
#include <fstream>
#include <nlohmann/json.hpp>

#include "harness/cli/terminal.h"
#include "harness/conform/output_folder.h"
#include "harness/inputs/make.h"
#include "harness/protocol/bad_input.h"
#include "harness/protocol/evidence_files.h"
#include "harness/protocol/files.h"
#include "harness/protocol/inputs.h"
#include "harness/publish/system.h"
#include "harness/stalls/figures.h"

namespace lockstep::cli {
namespace {

const conform::FolderUse kRequestUse{
    "lockstep",
    "request.json",
    "workload",
    {"evidence", "launch.stdout", "launch.stderr", "parameters.safetensors", "data.safetensors", "request.json"}};
constexpr double kDescribeSeconds = 60;
constexpr double kStartSeconds = 120;     // to read a large data set
constexpr double kStepSeconds = 300;      // a step of a large model takes its time
constexpr double kTotalSeconds = 1e9;     // as long as wanted
constexpr std::size_t kRecentSteps = 20;  // that tokens/s and the time left are taken from
constexpr std::int64_t kSmallFeatures = 128;

std::int64_t LastStageRank(const protocol::Request& request) {
  const auto last = protocol::RanksOfStage(request.schedule, request.schedule.stages - 1);
  return request.plan.RankOf({0, 0, last.at(0)});
}

// The events of the rank that reports the loss, read as they come.
class LossReader {
 public:
  LossReader(const std::filesystem::path& folder, const protocol::Request& request)
      : file_(protocol::RankFolder(folder, LastStageRank(request)) / "events.jsonl") {
    state_.steps = request.workload.steps;
  }

  // True when there was a further step.
  bool Read() {
    std::ifstream stream(file_, std::ios::binary);
    stream.seekg(offset_);
    bool found = false;
    for (std::string line; std::getline(stream, line) && !stream.eof();) {
      offset_ += static_cast<std::streamoff>(line.size()) + 1;
      if (line.find("\"step\"") == std::string::npos) continue;
      const nlohmann::json event = nlohmann::json::parse(line, nullptr, false);
      if (event.is_object() && event.value("event", "") == "step") found = Take(event) || found;
    }
    return found;
  }
  const TrainingState& state() const { return state_; }

 private:
  bool Take(const nlohmann::json& event) {
    const auto number = [&](const char* key) {
      const auto found = event.find(key);
      return found != event.end() && found->is_number() ? found->get<double>() : std::nan("");
    };
    if (state_.step == 0) ReadHello();
    state_.step = static_cast<std::int64_t>(number("step"));
    state_.loss = number("loss");
    recent_.emplace_back(number("wall_seconds"), number("valid_tokens"));
    if (recent_.size() > kRecentSteps) recent_.pop_front();
    double seconds = 0, tokens = 0;
    for (const auto& [s, t] : recent_) {
      seconds += s;
      tokens += t;
    }
    state_.tokens_per_second = seconds > 0 ? tokens / seconds : 0;
    state_.seconds_left =
        static_cast<double>(state_.steps - state_.step) * seconds / static_cast<double>(recent_.size());
    return true;
  }

  void ReadHello() {
    const std::filesystem::path hello = file_.parent_path() / "hello.json";
    std::ifstream stream(hello);
    const nlohmann::json said = nlohmann::json::parse(stream, nullptr, false);
    const nlohmann::json device = said.is_object() ? said.value("device", nlohmann::json()) : nlohmann::json();
    state_.virtual_devices = device.is_object() && device.value("kind", nlohmann::json()) == "virtual";
  }

  std::filesystem::path file_;
  std::streamoff offset_ = 0;
  std::deque<std::pair<double, double>> recent_;
  TrainingState state_;
};

// Evidence as far as it goes: of a run that was cut short, whole lines only.
std::vector<protocol::RankEvidence> ReadWhatIsThere(const std::filesystem::path& folder, std::int64_t ranks) {
  std::vector<protocol::RankEvidence> found;
  for (std::int64_t rank = 0; rank < ranks; ++rank) {
    const std::filesystem::path at = protocol::RankFolder(folder, rank);
    if (!std::filesystem::exists(at / "hello.json")) continue;
    protocol::RankEvidence evidence;
    evidence.hello = protocol::HelloFromJson(protocol::ReadJson(at / "hello.json"), (at / "hello.json").string());
    if (std::filesystem::exists(at / "events.jsonl")) {
      std::string text = protocol::ReadTextFile(at / "events.jsonl", std::uint64_t{1} << 32);
      text.resize(text.rfind('\n') == std::string::npos ? 0 : text.rfind('\n') + 1);
      protocol::EventsFromText(text, (at / "events.jsonl").string(), evidence);
    }
    if (std::filesystem::exists(at / "done.json")) {
      evidence.done = protocol::DoneFromJson(protocol::ReadJson(at / "done.json"), (at / "done.json").string());
    }
    found.push_back(std::move(evidence));
  }
  return found;
}

}  // namespace

std::string StateText(const TrainingState& state) {
  char text[200];
  std::snprintf(text, sizeof text, "step %lld of %lld  loss %.4f  %.0f tokens/s%s  %s left",
                static_cast<long long>(state.step), static_cast<long long>(state.steps), state.loss,
                state.tokens_per_second, state.virtual_devices ? " (virtual devices)" : "",
                Duration(state.seconds_left).c_str());
  return text;
}

Training RunTraining(const protocol::Manifest& manifest, const protocol::Request& request,
                     const std::filesystem::path& folder, const std::function<void(const TrainingState&)>& on_state) {
  conform::PrepareFolder(folder, kRequestUse);
  protocol::WriteRequest(folder, request);  // first: from now on the folder is known as ours
  protocol::WriteInputs(folder, inputs::Make(request.workload));
  LossReader reader(folder, request);
  launch::Job job;
  job.requests = {folder};
  job.world_size = request.plan.WorldSize();
  job.limits.start_seconds = std::max(kStartSeconds, manifest.start_seconds);
  job.limits.step_seconds = kStepSeconds;
  job.limits.total_seconds = kTotalSeconds;
  job.on_tick = [&](double) {
    if (reader.Read()) on_state(reader.state());
  };
  const std::string started = publish::IsoNow();
  Training training;
  training.end = launch::Launch(manifest, job).at(0);
  const std::vector<protocol::RankEvidence> ranks = ReadWhatIsThere(folder, job.world_size);
  training.summary = publish::Summarize(request, ranks);
  if (training.end.kind == launch::EndKind::kDone) {  // otherwise ranks have given up at different steps, or left none
    const stalls::RunFigures times = stalls::FiguresOf(folder, request, ranks);
    publish::AddTimes({times.seconds, times.bubble_ratio, times.bubble_expected_ratio}, &training.summary);
  }
  training.summary.run_id = publish::NewRunId();
  training.summary.backend = manifest.name;
  training.summary.started = started;
  training.summary.ended = publish::IsoNow();
  training.summary.seconds = training.end.seconds;
  training.summary.complete = training.summary.complete && training.end.kind == launch::EndKind::kDone;
  training.summary.tool = publish::Tool();
  std::vector<protocol::Hello> hellos;
  for (const auto& rank : ranks) hellos.push_back(rank.hello);
  training.summary.system = publish::System(publish::Machine(), hellos);
  return training;
}

protocol::Capabilities DescriptionOf(const protocol::Manifest& manifest) {
  const std::string where = manifest.name + ": describe";
  const std::string answer =
      launch::Capture(manifest, manifest.describe, std::max(kDescribeSeconds, manifest.start_seconds));
  return protocol::CapabilitiesFromJson(protocol::ParseJson(answer, where), where);
}

void RefuseUnsupported(const protocol::Capabilities& can, const protocol::Manifest& manifest,
                       const protocol::Request& request) {
  const std::string why = protocol::WhyUnsupported(can, request.workload, request.plan);
  if (!why.empty()) throw protocol::BadInput("trainer '" + manifest.name + "'", "can't: " + why);
}

int ExitCodeOf(launch::EndKind kind) {
  switch (kind) {
    case launch::EndKind::kDone:
      return 0;
    case launch::EndKind::kError:
      return 4;
    case launch::EndKind::kTimeout:
      return 124;
    case launch::EndKind::kInterrupted:
      return 128 + launch::ReceivedSignal();
  }
  return 4;
}

protocol::Workload WorkloadFor(const std::filesystem::path& file, const std::filesystem::path& labels) {
  const inputs::FileKind kind = inputs::Inspect(file, labels);
  protocol::Workload workload;
  workload.data.kind = protocol::DataKind::kFile;
  workload.data.file = file;
  workload.data.labels = labels;
  protocol::Model& model = workload.model;
  if (kind.kind == "idx") {
    model.kind = protocol::ModelKind::kMlp;
    model.sizes = {kind.features, kSmallFeatures, kSmallFeatures, kind.classes};
    model.activation = protocol::Activation::kRelu;
    model.loss = protocol::LossKind::kCrossEntropy;
  } else {
    model.kind = protocol::ModelKind::kGpt;
    model.loss = protocol::LossKind::kCrossEntropy;
    model.layers = 4;
    model.width = kSmallFeatures;
    model.heads = 4;
    model.mlp_width = 4 * kSmallFeatures;
    model.vocabulary = kind.vocabulary;
    model.sequence = 64;
  }
  protocol::Optimizer& optimizer = workload.optimizer;
  optimizer.kind = protocol::OptimizerKind::kAdamW;
  optimizer.learning_rate = 1e-3;
  optimizer.weight_decay = 0.01;
  optimizer.clip_norm = 1;
  optimizer.warmup_steps = 20;
  workload.global_batch = 16;
  return workload;
}

}  // namespace lockstep::cli
