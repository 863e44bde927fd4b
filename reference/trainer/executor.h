// Runs one pipeline rank's line of a schedule: any schedule of F and B over any stages, with the transfers it needs.
//
// Receives are posted one action early, sends never block. A message carries its edge, so a crossed wire is an error
// and not a wrong gradient. Activations are freed by the backward that uses them; what was sent stays until it has
// left. Knows nothing of models, and nothing of schedules beyond the line it is given.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <tuple>
#include <vector>

#include "reference/trainer/gradient_reducer.h"
#include "reference/trainer/model/stage.h"

namespace lockstep::trainer {

struct ExecutorParts {
  std::vector<Stage>& stages;
  const DataLoader& loader;
  Accumulation& accumulation;
  GradientReducer& reducer;
};

class Executor {
 public:
  // `line`: F and B actions of stages that stand here.
  Executor(const RankContext& context, const ExecutorParts& parts, std::vector<protocol::Action> line);
  // One step. `on_forward`: once for each micro-batch, before its first forward on this rank.
  void Run(std::vector<MicroBatch>& micro_batches, const std::function<void(const MicroBatch&)>& on_forward);

 private:
  using Key = std::tuple<std::int64_t, std::int64_t, bool>;  // receiving stage, micro-batch, backward
  struct Message {
    Key key;
    Activations payload;
    device::WorkHandle work;
  };

  Stage& StageOf(const protocol::Action& action);
  bool Here(std::int64_t stage) const { return stage % context_.plan().pipeline == context_.at.pipeline; }
  // The stage whose result `action` needs, or -1.
  std::int64_t Source(const protocol::Action& action) const;
  void PostReceive(const protocol::Action& action, const MicroBatch& micro_batch);
  Activations Take(const protocol::Action& action);
  void Pass(const protocol::Action& action, std::int64_t target, const MicroBatch& micro_batch, Activations payload);
  void Forward(const protocol::Action& action, MicroBatch& micro_batch);
  void Backward(const protocol::Action& action, MicroBatch& micro_batch, bool last);
  void ReleaseSent(const Key& done);

  const RankContext& context_;
  ExecutorParts parts_;
  std::vector<protocol::Action> line_;
  std::map<std::int64_t, std::size_t> last_backward_;  // stage -> position in the line
  std::map<Key, Message> arriving_;
  std::deque<Message> sent_;
};

}  // namespace lockstep::trainer
