// One long run of a trainer on real data, watched as it goes: what `lockstep train` does between arguments and summary.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "harness/launch/launch.h"
#include "harness/protocol/manifest.h"
#include "harness/protocol/request.h"
#include "harness/publish/figures.h"

namespace lockstep::cli {

struct TrainingState {
  std::int64_t step = 0, steps = 0;
  double loss = 0;
  double tokens_per_second = 0;  // over the last steps
  double seconds_left = 0;
  bool virtual_devices = false;  // whose times say nothing of a GPU's
};

// "step 3 of 200  loss 4.8123  2843 tokens/s  1:11 left": the live line.
std::string StateText(const TrainingState& state);

struct Training {
  launch::RunEnd end;
  publish::TrainSummary summary;
};

// Writes the request into `folder`, runs it, and sums up what it left, also when it was cut short. BadInput where the
// folder holds other things than an earlier such run.
Training RunTraining(const protocol::Manifest& manifest, const protocol::Request& request,
                     const std::filesystem::path& folder, const std::function<void(const TrainingState&)>& on_state);

// What the trainer says that it can do. Throws BadInput where it can't be asked.
protocol::Capabilities DescriptionOf(const protocol::Manifest& manifest);

// Throws BadInput where the trainer can't run the request, and says why.
void RefuseUnsupported(const protocol::Capabilities& can, const protocol::Manifest& manifest,
                       const protocol::Request& request);

int ExitCodeOf(launch::EndKind kind);

// A workload to train on `file`: a small gpt for text and tokens, a small mlp for images.
protocol::Workload WorkloadFor(const std::filesystem::path& file, const std::filesystem::path& labels);

}  // namespace lockstep::cli
