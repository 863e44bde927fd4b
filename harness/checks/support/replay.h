// What one part of a step gives by itself: the oracle run again on some samples, or at other parameters.
//
// A step's gradient is linear in its micro-batches, so a hypothesis about how a trainer added them up can be computed:
// with g the mean over a cell (one micro-batch of one replica) and n its valid targets, the right gradient is
// sum(n g) / N. Used on failure only: it costs an oracle step or a few.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "harness/checks/check.h"

namespace lockstep::checks {

struct Cell {
  std::int64_t data = 0, micro_batch = 0;
  std::int64_t valid = 0;  // n
  std::vector<std::int64_t> samples;
  double loss = 0;           // mean over the cell
  oracle::Values gradients;  // mean over the cell
};

class Replay {
 public:
  // `parameters`: at which the step's gradients are taken; `previous`: those of the step before, if there is one.
  Replay(const protocol::Workload& workload, const protocol::Plan& plan, const protocol::Inputs& inputs,
         std::int64_t step, const oracle::Values& parameters, const oracle::Values* previous);

  const protocol::Workload& workload() const { return workload_; }
  const protocol::Plan& plan() const { return plan_; }
  std::int64_t step() const { return step_; }
  const oracle::Values& parameters() const { return parameters_; }
  const oracle::Values* previous() const { return previous_; }
  const oracle::TraceStep& whole() const { return whole_; }  // the right loss and gradients
  const std::vector<Cell>& cells() const { return cells_; }
  std::int64_t valid() const { return whole_.valid_tokens; }  // N
  std::int64_t batch_size() const { return static_cast<std::int64_t>(samples_.size()); }
  std::int64_t ValidOf(std::int64_t data_rank) const;  // sum of n over a replica's cells

  // The oracle over these samples, with the workload and inputs as they are or changed.
  oracle::TraceStep On(const std::vector<std::int64_t>& samples, const oracle::Values& parameters) const;
  oracle::TraceStep With(const protocol::Workload& workload, const protocol::Inputs& inputs,
                         const oracle::Values& parameters) const;
  const protocol::Inputs& inputs() const { return inputs_; }
  const std::vector<std::int64_t>& samples() const { return samples_; }

 private:
  const protocol::Workload& workload_;
  protocol::Plan plan_;
  mutable protocol::Inputs inputs_;  // a copy: On() rewrites the step's row of `order`
  std::int64_t step_;
  oracle::Values parameters_;
  const oracle::Values* previous_;
  std::vector<std::int64_t> samples_;
  oracle::TraceStep whole_;
  std::vector<Cell> cells_;
};

// Valid targets of one sample, from the data set. BadInput where the data set has no such sample.
std::int64_t ValidTargets(const protocol::Workload& workload, const protocol::Inputs& inputs, std::int64_t sample);

}  // namespace lockstep::checks
