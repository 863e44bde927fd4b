#include "harness/checks/support/replay.h"

#include <algorithm>

#include "harness/oracle/samples.h"
#include "harness/protocol/bad_input.h"
#include "harness/protocol/request.h"

namespace lockstep::checks {

namespace {

void SetRow(protocol::Inputs& inputs, std::int64_t step, const std::vector<std::int64_t>& samples) {
  protocol::Tensor& order = inputs.data.at("order");
  const std::int64_t width = order.shape.at(1);
  const auto row =
      order.As<std::int64_t>().subspan(static_cast<std::size_t>((step - 1) * width), static_cast<std::size_t>(width));
  std::fill(row.begin(), row.end(), -1);
  std::copy(samples.begin(), samples.end(), row.begin());
}

}  // namespace

Replay::Replay(const protocol::Workload& workload, const protocol::Plan& plan, const protocol::Inputs& inputs,
               std::int64_t step, const oracle::Values& parameters, const oracle::Values* previous)
    : workload_(workload), plan_(plan), inputs_(inputs), step_(step), parameters_(parameters), previous_(previous) {
  samples_ = protocol::BatchSamples(inputs.data.at("order"), step);
  whole_ = On(samples_, parameters_);
  for (std::int64_t d = 0; d < plan.data; ++d) {
    for (std::int64_t m = 0; m < plan.micro_batches; ++m) {
      const protocol::Run run = protocol::MicroBatchRun(batch_size(), plan, d, m);
      Cell cell{d, m, 0, {samples_.begin() + run.begin, samples_.begin() + run.begin + run.size}, 0, {}};
      oracle::TraceStep part = On(cell.samples, parameters_);
      cell.valid = part.valid_tokens;
      cell.loss = part.loss;
      cell.gradients = std::move(part.gradients);
      cells_.push_back(std::move(cell));
    }
  }
}

std::int64_t Replay::ValidOf(std::int64_t data_rank) const {
  std::int64_t valid = 0;
  for (const Cell& cell : cells_) valid += cell.data == data_rank ? cell.valid : 0;
  return valid;
}

oracle::TraceStep Replay::On(const std::vector<std::int64_t>& samples, const oracle::Values& parameters) const {
  SetRow(inputs_, step_, samples);
  oracle::TraceStep result = oracle::LossAndGradients(workload_, inputs_, parameters, step_);
  SetRow(inputs_, step_, samples_);
  return result;
}

oracle::TraceStep Replay::With(const protocol::Workload& workload, const protocol::Inputs& inputs,
                               const oracle::Values& parameters) const {
  return oracle::LossAndGradients(workload, inputs, parameters, step_);
}

std::int64_t ValidTargets(const protocol::Workload& workload, const protocol::Inputs& inputs, std::int64_t sample) {
  const bool stream = inputs.form == "stream";
  const std::string tensor = stream ? "stream" : "inputs";
  const auto found = inputs.data.find(tensor);
  if (found == inputs.data.end()) throw protocol::BadInput("data.safetensors: " + tensor, "missing");
  const std::int64_t length = found->second.shape.at(0);
  const std::int64_t count = stream ? (length - 1) / std::max<std::int64_t>(1, workload.model.sequence) : length;
  if (sample < 0 || sample >= count) {
    throw protocol::BadInput("sample " + std::to_string(sample), "not in the data set",
                             "expected 0 to " + std::to_string(count - 1));
  }
  if (workload.model.kind == protocol::ModelKind::kGpt) {
    return oracle::TokensOf(inputs, workload.model.sequence, sample).valid();
  }
  return oracle::FeaturesOf(inputs, workload.model.loss, sample).valid ? 1 : 0;
}

}  // namespace lockstep::checks
