// Leaves this rank's evidence (PROTOCOL.md, "Evidence"), and does nothing that the request doesn't ask for.
#pragma once

#include <optional>
#include <string>

#include "harness/protocol/evidence.h"
#include "harness/protocol/timeline.h"
#include "reference/trainer/loader.h"
#include "reference/trainer/tensor_set.h"

namespace lockstep::trainer {

struct TrainerName {
  std::string name;  // "kokkos"
  std::string version;
};

class EvidenceOut {
 public:
  explicit EvidenceOut(const RankContext& context);

  void Hello(const TrainerName& trainer, const protocol::EffectivePlan& effective);
  void Ran(const MicroBatch& micro_batch);  // its forward
  void Step(const protocol::StepEvent& event);
  bool WantsTensors(std::int64_t step) const;
  void WriteTensors(std::int64_t step, const TensorSet& set);
  void Write(const protocol::Timeline& timeline);
  void Done(const std::optional<std::string>& error);  // with the sums of all steps so far

 private:
  const RankContext& context_;
  protocol::EvidenceWriter writer_;
  protocol::Done done_;
};

}  // namespace lockstep::trainer
