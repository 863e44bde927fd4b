// Replicas and reruns: one bit in one rank is seen, and the rank is named.
#include <limits>

#include "harness/checks/support/replay.h"
#include "suites/unit/checks/expect.h"

namespace lockstep::checks {
namespace {

Mutations OnRank(std::int64_t rank, std::int64_t step, const std::string& tensor,
                 const std::function<void(protocol::Tensor&)>& change) {
  Mutations m;
  m.tensors = [=](std::int64_t r, std::int64_t s, Mutations::Tensors& tensors, Mutations::Slices&) {
    if (r == rank && s == step) change(tensors.at(tensor));
  };
  return m;
}

TEST(Replicas, SeesOneBitOfOneElement) {
  Scene scene(MlpWorkload(), PlanOf("dp=4"));
  const auto r = scene.Judge("replicas", OnRank(2, 2, "param/layers.1.bias", [](auto& t) { FlipBit(t, 4); }));
  ExpectFail(r, 2, "optimizer", "param/layers.1.bias: 1 of 9 elements differ between ranks");
  EXPECT_EQ(r.first_divergence->tensor, "layers.1.bias");
  EXPECT_EQ(r.measured, 1);
}

TEST(Replicas, SeesInitialParametersThatDiffer) {
  Scene scene(MlpWorkload(), PlanOf("dp=2"));
  const auto r = scene.Judge("replicas", OnRank(1, 0, "param/layers.0.weight", [](auto& t) { SetFloat(t, 0, 7); }));
  ExpectFail(r, 0, "load", "the ranks start apart");
  EXPECT_EQ(r.first_divergence->rank, 1);
}

TEST(Replicas, NamesAGradientThatWasNotReduced) {
  Scene scene(UnevenGptWorkload(), PlanOf("dp=3"));
  Mutations m;
  m.tensors = [&](std::int64_t rank, std::int64_t step, Mutations::Tensors& tensors, Mutations::Slices&) {
    if (step == 0) return;
    const Replay replay(scene.workload, scene.plan, scene.inputs, step, scene.Held(step - 1).parameters, nullptr);
    const auto& own = replay.cells().at(static_cast<std::size_t>(rank));
    for (const char* name : {"h.0.mlp.fc.weight", "h.0.mlp.fc.bias"}) {
      auto values = own.gradients.at(name);
      for (double& x : values) x *= static_cast<double>(own.valid) / static_cast<double>(replay.valid());
      protocol::Tensor& t = tensors.at(std::string("grad/") + name);
      t = protocol::Tensor::FromDoubles(protocol::DType::kF32, t.shape, values);
    }
  };
  const auto r = scene.Judge("replicas", m);
  ExpectFail(r, 1, "reduction", "not reduced over replicas");
  EXPECT_EQ(r.first_divergence->tensor, "h.0.mlp.fc.bias");
}

TEST(Replicas, ComparesOnlyWhatRanksShareUnderTensorParallelism) {
  Scene scene(UnevenGptWorkload(), PlanOf("dp=2,tp=2"));
  // ranks 1 and 3 hold the second half of the rows; a bit in rank 3 differs from rank 1's
  const auto r = scene.Judge("replicas", OnRank(3, 1, "grad/h.1.mlp.fc.weight", [](auto& t) { FlipBit(t, 5); }));
  ExpectFail(r, 1, "reduction", "grad/h.1.mlp.fc.weight");
  EXPECT_THAT(r.diagnosis, testing::AllOf(testing::HasSubstr("1"), testing::HasSubstr("3")));
}

TEST(Replicas, SeesTiedCopiesThatPartWays) {
  Scene scene(UnevenGptWorkload(), PlanOf("pp=2,micro_batches=3"));
  const auto r = scene.Judge("replicas", OnRank(1, 1, "param/wte.weight", [](auto& t) { SetFloat(t, 0, 3); }));
  ExpectFail(r, 1, "optimizer", "param/wte.weight");
  EXPECT_EQ(r.first_divergence->rank, 1);
}

TEST(Replicas, NaNIsNotEqualToItself) {
  Scene scene(MlpWorkload(), PlanOf("dp=2"));
  Mutations m;
  m.tensors = [](std::int64_t, std::int64_t step, Mutations::Tensors& tensors, Mutations::Slices&) {
    if (step == 1) SetFloat(tensors.at("grad/layers.0.bias"), 0, std::numeric_limits<float>::quiet_NaN());
  };
  ExpectFail(scene.Judge("replicas", m), 1, "reduction", "not finite");
}

TEST(Replicas, SeesFiguresThatDiffer) {
  Scene scene(MlpWorkload(), PlanOf("dp=2"));
  Mutations m;
  m.step_event = [](std::int64_t rank, protocol::StepEvent& e) {
    if (rank == 1 && e.step == 2) *e.gradient_norm *= 1.0000001;
  };
  const auto r = scene.Judge("replicas", m);
  ExpectFail(r, 2, "clip", "gradient_norm differs");
  EXPECT_EQ(r.first_divergence->rank, 1);
  m.step_event = [](std::int64_t rank, protocol::StepEvent& e) {
    if (rank == 1 && e.step == 3) e.loss = *e.loss + 1e-12;
  };
  ExpectFail(scene.Judge("replicas", m), 3, "forward", "loss differs");
}

TEST(Rerun, SeesOneBit) {
  Scene scene(MlpWorkload(), PlanOf("dp=2"));
  Runs runs;
  runs.candidate = scene.Candidate();
  runs.rerun = scene.Candidate(OnRank(1, 3, "clipped/layers.2.weight", [](auto& t) { FlipBit(t, 0); }));
  const auto r = scene.Judge("rerun", runs);
  ExpectFail(r, 3, "clip", "clipped/layers.2.weight of rank 1");
  EXPECT_EQ(r.first_divergence->rank, 1);
}

TEST(Rerun, SeesAnotherLossAndAMissingTensor) {
  Scene scene(MlpWorkload(), PlanOf("dp=2"));
  Runs runs;
  runs.candidate = scene.Candidate();
  Mutations loss;
  loss.step_event = [](std::int64_t, protocol::StepEvent& e) { *e.loss += 1e-15; };
  runs.rerun = scene.Candidate(loss);
  ExpectFail(scene.Judge("rerun", runs), 1, "forward", "loss differs");
  Mutations missing;
  missing.tensors = [](std::int64_t rank, std::int64_t step, Mutations::Tensors& tensors, Mutations::Slices& slices) {
    if (rank == 0 && step == 2) tensors.erase("grad/layers.0.bias"), slices.erase("grad/layers.0.bias");
  };
  runs.rerun = scene.Candidate(missing);
  ExpectFail(scene.Judge("rerun", runs), 2, "reduction", "missing");
}

// One gradient of rank 1 in step 1, every element of it times `factor`.
Mutations Scaled(const std::string& tensor, float factor) {
  return OnRank(1, 1, tensor, [factor](protocol::Tensor& t) {
    for (float& x : t.As<float>()) x *= factor;
  });
}

TEST(Rerun, TellsAnotherOrderOfAdditionFromOtherNumbers) {
  Scene scene(MlpWorkload(), PlanOf("dp=2"));
  Runs runs;
  runs.candidate = scene.Candidate();
  runs.rerun = scene.Candidate(Scaled("grad/layers.2.bias", 1 + 0x1p-22f));
  ExpectFail(scene.Judge("rerun", runs), 1, "reduction", "added in an order that is not the same in every run");
  runs.rerun = scene.Candidate(Scaled("grad/layers.2.bias", 1.01f));
  ExpectFail(scene.Judge("rerun", runs), 1, "reduction", "more than rounding: a race");
}

TEST(ByConstruction, DemandsThatAPipelineEqualsTheSingleRunToTheBit) {
  Scene scene(UnevenGptWorkload(), PlanOf("pp=2,micro_batches=3"));
  Runs runs;
  runs.candidate = scene.Candidate();
  runs.single = scene.Make(PlanOf("micro_batches=3"), 1);  // the same noise: the same arithmetic
  ExpectPass(scene.Judge("by_construction", runs));
  runs.single = scene.Make(PlanOf("micro_batches=3"), 2);
  ExpectFail(scene.Judge("by_construction", runs), 1, "forward", "loss differs");
  runs.single =
      scene.Make(PlanOf("micro_batches=3"), 1, OnRank(0, 2, "grad/h.0.ln_1.bias", [](auto& t) { FlipBit(t, 1); }));
  const auto r = scene.Judge("by_construction", runs);
  ExpectFail(r, 2, "backward", "grad/h.0.ln_1.bias");
}

TEST(ByConstruction, DemandsThatOverlapChangesNothing) {
  Scene scene(MlpWorkload(), PlanOf("dp=2"));
  Runs runs;
  runs.candidate = scene.Candidate();
  runs.variant = scene.Candidate(OnRank(1, 1, "grad/layers.0.weight", [](auto& t) { FlipBit(t, 1); }));
  ExpectFail(scene.Judge("by_construction", runs), 1, "reduction", "grad/layers.0.weight of rank 1");
}

TEST(ByConstruction, TellsAnotherOrderOfAdditionFromOtherNumbers) {
  Scene scene(MlpWorkload(), PlanOf("dp=2"));
  Runs runs;
  runs.candidate = scene.Candidate();
  runs.variant = scene.Candidate(Scaled("grad/layers.2.bias", 1 + 0x1p-22f));
  ExpectFail(scene.Judge("by_construction", runs), 1, "reduction", "the overlapped reduction adds in another order");
  runs.variant = scene.Candidate(Scaled("grad/layers.2.bias", 0.5f));
  ExpectFail(scene.Judge("by_construction", runs), 1, "reduction", "gradients that are not complete");
}

}  // namespace
}  // namespace lockstep::checks
