// Runs one pipeline rank's line of a schedule: forwards, and backwards whole or in their two parts, over any stages.
//
// Gradients of a stage's weights are added in the order in which its B and W stand in the line, and given to the
// reducer at the last of them, whichever kind that is. Activations are freed by the last action that reads them. Knows
// nothing of models, and nothing of schedules beyond the line it is given and the wiring of the others'.
#pragma once

#include <functional>
#include <map>
#include <vector>

#include "reference/trainer/capabilities.h"
#include "reference/trainer/gradient_reducer.h"
#include "reference/trainer/model/stage.h"
#include "reference/trainer/transfers.h"

namespace lockstep::trainer {

struct ExecutorParts {
  std::vector<Stage>& stages;
  const DataLoader& loader;
  Accumulation& accumulation;
  GradientReducer& reducer;
};

class Executor {
 public:
  // `line`: F, B, I and W actions of stages that stand here.
  Executor(const RankContext& context, const ExecutorParts& parts, std::vector<LineAction> line);
  // One step. `on_forward`: once for each micro-batch, before its first forward on this rank.
  void Run(std::vector<MicroBatch>& micro_batches, const std::function<void(const MicroBatch&)>& on_forward);

 private:
  Stage& StageOf(const protocol::Action& action);
  void Do(std::size_t position, MicroBatch& micro_batch);
  // Loads and waits for what an action reads.
  Activations Prepare(const protocol::Action& action, const Stage& stage, MicroBatch& micro_batch);
  Activations Compute(const protocol::Action& action, Stage& stage, MicroBatch& micro_batch, Activations in,
                      const LayerDone& layer_done);
  // Frees what nothing reads any more and hands the result on.
  void Conclude(const protocol::Action& action, const Stage& stage, MicroBatch& micro_batch, Activations out);

  const RankContext& context_;
  ExecutorParts parts_;
  Transfers transfers_;
  std::vector<LineAction> line_;
  std::map<std::int64_t, std::size_t> last_gradient_;  // stage -> index in line_ of its last B or W
};

}  // namespace lockstep::trainer
