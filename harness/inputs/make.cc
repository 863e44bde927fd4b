#include "harness/inputs/make.h"

#include <unistd.h>

#include <cmath>
#include <cstdio>

#include "harness/inputs/order.h"
#include "harness/inputs/parts.h"
#include "harness/protocol/bad_input.h"
#include "harness/protocol/parameters.h"

namespace lockstep::inputs {
namespace {

// Of what is made here: a file's data has the file's size.
double BytesOf(const protocol::Workload& workload) {
  const protocol::Model& model = workload.model;
  if (model.kind == protocol::ModelKind::kOwn) return 0;
  double bytes = 0;
  for (const protocol::Parameter& parameter : protocol::Parameters(model)) {
    bytes += 8 * static_cast<double>(parameter.size());
  }
  if (workload.data.kind == protocol::DataKind::kFile) return bytes;
  const std::int64_t taken = workload.steps * workload.global_batch;
  const std::int64_t samples = workload.data.samples > 0 ? workload.data.samples : taken;
  const bool tokens = model.kind == protocol::ModelKind::kGpt;  // inputs and targets of four bytes
  const std::int64_t numbers = tokens ? model.sequence : model.sizes.front() + model.sizes.back();
  return bytes + 8 * static_cast<double>(samples) * static_cast<double>(numbers);
}

void RefuseWhatFitsNowhere(const protocol::Workload& workload) {
  if (workload.steps > kMostSamples / workload.global_batch) {
    throw protocol::BadInput(
        "training.steps",
        std::to_string(workload.steps) + " steps of " + std::to_string(workload.global_batch) + " samples",
        "at most " + std::to_string(kMostSamples) + " samples in all");
  }
  const double bytes = BytesOf(workload);
  const double memory = static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGE_SIZE));
  if (bytes <= memory) return;
  char text[96];
  std::snprintf(text, sizeof text, "parameters in fp64 and made-up data take %.3g GB", bytes / 1e9);
  throw protocol::BadInput("model", text,
                           "this machine's memory has " + std::to_string(std::llround(memory / 1e9)) + " GB");
}

}  // namespace

protocol::Tensor OrderOf(const protocol::Workload& workload, std::int64_t samples, const std::string& where) {
  const std::int64_t batch = workload.global_batch;
  if (samples < 1 || (samples < batch && !workload.data.epochs)) {
    throw protocol::BadInput(where, std::to_string(samples) + " samples for a global batch of " + std::to_string(batch),
                             "at least one full batch is needed, or data.epochs = true");
  }
  return Order(samples, batch, workload.steps, workload.data.epochs, workload.seed);
}

protocol::Inputs Make(const protocol::Workload& workload) {
  RefuseWhatFitsNowhere(workload);
  protocol::Inputs inputs;
  if (workload.model.kind == protocol::ModelKind::kOwn) {
    // The trainer brings model and data; which of its samples a step takes is still the harness's to say.
    const std::int64_t all = workload.global_batch * workload.steps;
    inputs.data["order"] = OrderOf(workload, workload.data.samples > 0 ? workload.data.samples : all, "data.samples");
    return inputs;
  }
  switch (workload.data.kind) {
    case protocol::DataKind::kSeeded:
      inputs.parameters = TellingParameters(workload);
      inputs.data = SeededData(workload);
      break;
    case protocol::DataKind::kExactGrid:
      inputs = ExactGrid(workload);
      break;
    case protocol::DataKind::kFile:
      inputs = FileData(workload);
      inputs.parameters = TrainableParameters(workload);
      break;
  }
  return inputs;
}

}  // namespace lockstep::inputs
