// Evidence of a trainer that does not exist: the oracle's own steps with fp32-sized noise, dealt to ranks as a plan
// says and written through EvidenceWriter. A test plants one mutation in it and asks which check tells it.
//
// The run is consistent as a real one is: gradients are taken at its own fp32 parameters, and every update follows from
// them.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "harness/checks/check.h"

namespace lockstep::checks {

struct Mutations {
  // The global step before the update (gradients, loss), and after it (parameters, state).
  std::function<void(std::int64_t step, oracle::TraceStep&)> before_update, after_update;
  // What one rank writes.
  using Tensors = std::map<std::string, protocol::Tensor>;
  using Slices = std::map<std::string, protocol::Slice>;
  std::function<void(std::int64_t rank, std::int64_t step, Tensors&, Slices&)> tensors;
  std::function<void(std::int64_t rank, protocol::StepEvent&)> step_event;
  std::function<void(std::int64_t rank, std::vector<protocol::MicroBatchEvent>&)> ledger;  // of all steps
  std::function<void(std::int64_t rank, protocol::Hello&)> hello;
};

class Scene {
 public:
  Scene(protocol::Workload workload, protocol::Plan plan);
  ~Scene();

  // A run of `plan` with its own noise. Kept as long as the scene.
  const protocol::RunEvidence* Make(const protocol::Plan& plan, std::uint64_t noise_seed,
                                    const Mutations& mutations = {}, const protocol::CheckpointWanted& checkpoint = {},
                                    const oracle::TraceStep* loaded = nullptr);
  const protocol::RunEvidence* Candidate(const Mutations& mutations = {}) { return Make(plan, 1, mutations); }
  const protocol::RunEvidence* Single();

  // Runs a check by name on these runs. `single` is made when absent.
  protocol::CheckResult Judge(const std::string& check, Runs runs);
  protocol::CheckResult Judge(const std::string& check, const Mutations& mutations = {});

  // The state after a step of the last run made, as it holds it.
  const oracle::TraceStep& Held(std::int64_t step) const { return held_.at(static_cast<std::size_t>(step)); }

  protocol::Workload workload;
  protocol::Plan plan;
  protocol::Inputs inputs;
  oracle::Trace trace;

 private:
  void WriteRank(const std::filesystem::path& folder, const protocol::Request& request, std::int64_t rank,
                 const Mutations& mutations) const;

  std::filesystem::path folder_;
  std::vector<std::unique_ptr<protocol::RunEvidence>> runs_;
  const protocol::RunEvidence* single_ = nullptr;
  std::vector<oracle::TraceStep> held_;
};

protocol::Workload MlpWorkload();        // cross-entropy, 3 layers, batch 7, 3 steps, sgd, fp32
protocol::Workload UnevenGptWorkload();  // 1 block, tied, uneven targets, batch 6, sgd, fp32
protocol::Plan PlanOf(const std::string& text);

// Changes one bit of one element.
void FlipBit(protocol::Tensor& tensor, std::size_t element);
void SetFloat(protocol::Tensor& tensor, std::size_t element, float value);

}  // namespace lockstep::checks
