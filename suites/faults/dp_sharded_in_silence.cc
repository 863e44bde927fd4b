// dp.sharded_in_silence: Between steps a worker keeps a shard of the parameters, though the plan gives it all of them.
#include <utility>
#include <vector>

#include "suites/faults/fault.h"
#include "suites/faults/replace.h"

namespace lockstep::faults {
namespace {

// The first dimension of every parameter, dealt over the replicas.
protocol::Slice ShardOf(const trainer::LocalParameter& parameter, const device::Communicator& replicas, int rank) {
  protocol::Slice shard = protocol::Slice::Whole(parameter.slice.global_shape);
  const protocol::Run run = protocol::Split(shard.global_shape[0], replicas.Size(), rank);
  shard.offset[0] = run.begin;
  shard.shape[0] = run.size;
  return shard;
}

// Gathers what the step computes with.
class Gathers : public trainer::Accumulation {
 public:
  using Accumulation::Accumulation;
  void BeginStep() override {
    Accumulation::BeginStep();
    device::Communicator& replicas = *context_.groups.data;
    for (const auto& parameter : store_.all()) {
      if (parameter->slice.IsWhole()) continue;  // as loaded
      std::vector<std::int64_t> counts;
      for (int r = 0; r < replicas.Size(); ++r) {
        counts.push_back(protocol::ElementCount(ShardOf(*parameter, replicas, r).shape));
      }
      parameter->slice = protocol::Slice::Whole(parameter->slice.global_shape);
      device::Buffer whole = context_.device.Allocate(parameter->bytes(), device::Category::kParameters);
      replicas.AllGather(counts, parameter->value.f32(), whole.f32())->Wait();
      parameter->value = std::move(whole);
    }
  }
};

// Lets go of what others keep.
class KeepsItsShard : public trainer::OptimizerStep {
 public:
  using OptimizerStep::OptimizerStep;
  void Apply(std::int64_t step) override {
    OptimizerStep::Apply(step);
    const device::Communicator& replicas = *context_.groups.data;
    for (const auto& parameter : store_.all()) {
      const protocol::Slice shard = ShardOf(*parameter, replicas, replicas.Rank());
      const std::int64_t rows = parameter->slice.shape[0];
      const float* own = parameter->value.f32() + parameter->size() / rows * shard.offset[0];
      parameter->slice = shard;
      device::Buffer kept = context_.device.Allocate(parameter->bytes(), device::Category::kParameters);
      context_.device.Copy(kept.data(), own, parameter->bytes());
      parameter->value = std::move(kept);
    }
  }
};

class Sharded : public trainer::Seams {
 public:
  std::unique_ptr<trainer::Accumulation> MakeAccumulation(const RankContext& context, trainer::ParameterStore& store,
                                                          trainer::GradientArena& arena) override {
    return std::make_unique<Gathers>(context, store, arena);
  }
  std::unique_ptr<trainer::OptimizerStep> MakeOptimizer(const RankContext& context,
                                                        trainer::ParameterStore& store) override {
    return std::make_unique<KeepsItsShard>(context, store);
  }
};

}  // namespace

extern const Fault fault_dp_sharded_in_silence;
const Fault fault_dp_sharded_in_silence{
    .name = "dp.sharded_in_silence",
    .kind = "data",
    .mechanism = "Between steps a worker keeps a shard of the parameters, though the plan gives it all of them.",
    .met_in = "pytorch#99779",
    .case_id = "principle.1_full_model/dp=2",
    .check = "holds_full_model",
    .step = 1,
    .phase = "optimizer",
    .tensor = "wte.weight",
    .diagnosis = "a shard, where the plan has whole replicas",
    .make = Make<Sharded>};

}  // namespace lockstep::faults
