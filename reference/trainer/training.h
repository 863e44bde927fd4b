// One request on one rank: builds the parts, runs the steps, leaves the evidence.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "reference/trainer/events/clock_alignment.h"
#include "reference/trainer/events/watched_communicator.h"
#include "reference/trainer/evidence_out.h"
#include "reference/trainer/executor.h"
#include "reference/trainer/seams.h"

namespace lockstep::trainer {

class Training {
 public:
  // Collective over `world`. `request` has been checked; `inputs` are the folder's.
  Training(device::Device& device, device::Communicator& world, Seams& seams, protocol::Request request,
           protocol::Inputs inputs, const std::filesystem::path& folder, const TrainerName& name);
  ~Training();
  void Run();
  // The last word of a rank that can't go on.
  void GiveUp(const std::string& error);

 private:
  struct Parts;

  void Load();
  void WriteTimeline();
  std::vector<MicroBatch> Describe(std::int64_t step);
  void RunStep(std::int64_t step);
  std::vector<double> LossesOfAll(LossLayer& loss);
  void Update(std::int64_t step, double norm, TensorSet& evidence);
  protocol::EffectivePlan Effective() const;
  std::map<std::int64_t, std::int64_t> GatherStages(std::vector<std::vector<std::int64_t>>& placement) const;

  protocol::Request request_;
  protocol::Inputs inputs_;
  Wiring wiring_;
  Activity activity_;
  StrayWatch stray_watch_;
  Groups groups_;
  RankContext context_;
  EvidenceOut evidence_;
  std::unique_ptr<Parts> parts_;
  CommonClock common_clock_;
};

}  // namespace lockstep::trainer
