#include "harness/inputs/make.h"

#include "harness/inputs/order.h"
#include "harness/inputs/parts.h"
#include "harness/protocol/bad_input.h"

namespace lockstep::inputs {

protocol::Tensor OrderOf(const protocol::Workload& workload, std::int64_t samples, const std::string& where) {
  const std::int64_t batch = workload.global_batch;
  if (samples < 1 || (samples < batch && !workload.data.epochs)) {
    throw protocol::BadInput(where, std::to_string(samples) + " samples for a global batch of " + std::to_string(batch),
                             "at least one full batch is needed, or data.epochs = true");
  }
  return Order(samples, batch, workload.steps, workload.data.epochs, workload.seed);
}

protocol::Inputs Make(const protocol::Workload& workload) {
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
