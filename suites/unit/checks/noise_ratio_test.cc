// What noise_ratio must catch, where it says that it began, and in which words.
#include <cmath>
#include <limits>

#include "harness/checks/support/replay.h"
#include "harness/checks/support/tensor_streams.h"
#include "suites/unit/checks/expect.h"

namespace lockstep::checks {
namespace {

void Scale(oracle::Values& values, double factor) {
  for (auto& [name, v] : values) {
    for (double& x : v) x *= factor;
  }
}

// Gradients made anew as weighted sums of the micro-batches' means.
template <typename Weight>
Mutations Reweighted(const Scene& scene, const Weight& weight) {
  Mutations m;
  m.before_update = [&scene, weight](std::int64_t s, oracle::TraceStep& step) {
    const oracle::Values& at = scene.Held(s - 1).parameters;
    const Replay replay(scene.workload, scene.plan, scene.inputs, s, at, nullptr);
    Scale(step.gradients, 0);
    for (const Cell& cell : replay.cells()) {
      for (auto& [name, v] : step.gradients) {
        for (std::size_t i = 0; i < v.size(); ++i) v[i] += weight(replay, cell) * cell.gradients.at(name)[i];
      }
    }
    for (auto& [name, v] : step.gradients) {
      for (double& x : v) x = static_cast<double>(static_cast<float>(x));
    }
  };
  return m;
}

TEST(NoiseRatio, NamesASumOverReplicas) {
  Scene scene(MlpWorkload(), PlanOf("dp=2,micro_batches=3"));
  Mutations m;
  m.before_update = [](std::int64_t, oracle::TraceStep& step) { Scale(step.gradients, 2); };
  const auto r = scene.Judge("noise_ratio", m);
  ExpectFail(r, 1, "backward", "gradients x 2.000 = data-parallel degree: summed, not averaged");
  EXPECT_NEAR(*r.alpha, 2, 1e-6);
  EXPECT_LT(*r.rho, 1e-5);
  EXPECT_EQ(r.first_divergence->tensor, "layers.2.bias");  // the first in backward order
}

TEST(NoiseRatio, NamesADivisionByMicroBatchesTooMany) {
  Scene scene(MlpWorkload(), PlanOf("dp=2,micro_batches=3"));
  Mutations m;
  m.before_update = [](std::int64_t, oracle::TraceStep& step) { Scale(step.gradients, 1.0 / 3); };
  ExpectFail(scene.Judge("noise_ratio", m), 1, "backward",
             "gradients x 0.333 = 1 / number of micro-batches: divided once too often");
}

TEST(NoiseRatio, TellsTheLastMicroBatchAloneFromADivision) {
  Scene scene(UnevenGptWorkload(), PlanOf("micro_batches=3"));
  const auto r =
      scene.Judge("noise_ratio", Reweighted(scene, [](const Replay& replay, const Cell& c) {
                    return c.micro_batch == 2 ? static_cast<double>(c.valid) / static_cast<double>(replay.valid()) : 0;
                  }));
  ExpectFail(r, 1, "backward", "only the last micro-batch survives");
  EXPECT_GT(*r.rho, 0.05);
}

TEST(NoiseRatio, NamesAMeanOfReplicaMeans) {
  Scene scene(UnevenGptWorkload(), PlanOf("dp=2,micro_batches=2"));
  const auto r = scene.Judge("noise_ratio", Reweighted(scene, [](const Replay& replay, const Cell& c) {
                               return static_cast<double>(c.valid) / static_cast<double>(replay.ValidOf(c.data)) / 2;
                             }));
  ExpectFail(r, 1, "backward", "mean of means over replicas");
}

TEST(NoiseRatio, NamesAMeanOfMicroBatchMeans) {
  Scene scene(UnevenGptWorkload(), PlanOf("dp=2,micro_batches=2"));
  const auto r =
      scene.Judge("noise_ratio", Reweighted(scene, [](const Replay& replay, const Cell& c) {
                    return static_cast<double>(replay.ValidOf(c.data)) / static_cast<double>(replay.valid()) / 2;
                  }));
  ExpectFail(r, 1, "backward", "mean of means over micro-batches");
}

TEST(NoiseRatio, NamesALabelThatTheShiftHasDropped) {
  Scene scene(UnevenGptWorkload(), PlanOf("dp=2,micro_batches=2"));
  const auto r =
      scene.Judge("noise_ratio", Reweighted(scene, [](const Replay& replay, const Cell& c) {
                    return static_cast<double>(c.valid) / static_cast<double>(replay.valid() + replay.batch_size());
                  }));
  ExpectFail(r, 1, "forward", "counted though the shift has dropped it");
}

TEST(NoiseRatio, NamesAShortBatchDividedByAFullOnesCount) {
  protocol::Workload workload = MlpWorkload();
  workload.data.samples = 20;
  workload.data.epochs = true;  // batches of 14 and 6
  Scene scene(workload, PlanOf("dp=2,micro_batches=2"));
  const auto r = scene.Judge("noise_ratio", Reweighted(scene, [](const Replay& replay, const Cell& c) {
                               return static_cast<double>(c.valid) / static_cast<double>(replay.valid()) *
                                      static_cast<double>(replay.batch_size()) / 14;
                             }));
  ExpectFail(r, 2, "backward", "the short last batch is divided by a full batch's count");
}

TEST(NoiseRatio, NamesTheMicroBatchWhoseBackwardIsMissing) {
  Scene scene(UnevenGptWorkload(), PlanOf("pp=2,dp=2,micro_batches=3"));
  const auto r = scene.Judge("noise_ratio", Reweighted(scene, [](const Replay& replay, const Cell& c) {
                               return c.data == 1 && c.micro_batch == 1
                                          ? 0
                                          : static_cast<double>(c.valid) / static_cast<double>(replay.valid());
                             }));
  ExpectFail(r, 1, "backward", "the backward of one micro-batch is missing (micro-batch 1 of replica 1");
  EXPECT_EQ(r.first_divergence->micro_batch, 1);
  EXPECT_EQ(scene.plan.At(r.first_divergence->rank).data, 1);
}

TEST(NoiseRatio, CatchesOneSampleOf256LeftOut) {
  protocol::Workload workload = MlpWorkload();
  workload.data.uneven = false;
  workload.global_batch = 256;
  workload.steps = 1;
  Scene scene(workload, PlanOf("dp=2"));
  Mutations m;
  m.before_update = [&](std::int64_t s, oracle::TraceStep& step) {
    const Replay replay(scene.workload, scene.plan, scene.inputs, s, scene.Held(0).parameters, nullptr);
    std::vector<std::int64_t> fewer = replay.samples();
    fewer.pop_back();
    step.gradients = replay.On(fewer, scene.Held(0).parameters).gradients;
  };
  const auto r = scene.Judge("noise_ratio", m);
  ExpectFail(r, 1, "backward", "gradients off by");
  EXPECT_GT(r.measured, 1000);
}

TEST(NoiseRatio, NamesALossTooLargeByLogTensorDegree) {
  Scene scene(UnevenGptWorkload(), PlanOf("tp=2"));
  Mutations m;
  m.after_update = [](std::int64_t s, oracle::TraceStep& step) { step.loss += s > 0 ? std::log(2.0) : 0; };
  const auto r = scene.Judge("noise_ratio", m);
  ExpectFail(r, 1, "forward", "logarithm of the tensor-parallel degree");
  EXPECT_EQ(r.first_divergence->tensor, "");
}

TEST(NoiseRatio, NamesABiasAddedByEveryTensorRank) {
  Scene scene(UnevenGptWorkload(), PlanOf("tp=2"));
  Mutations m;
  m.before_update = [&](std::int64_t s, oracle::TraceStep& step) {
    oracle::Values at = scene.Held(s - 1).parameters;
    for (auto& [name, v] : at) {
      if (!name.ends_with("proj.bias")) continue;
      for (double& x : v) x *= 2;
    }
    const oracle::TraceStep wrong = oracle::LossAndGradients(scene.workload, scene.inputs, at, s);
    step.loss = wrong.loss;
    step.gradients = wrong.gradients;
  };
  ExpectFail(scene.Judge("noise_ratio", m), 1, "forward",
             "the bias of row-parallel layers is added once for each tensor rank");
}

// What the ranks hold is one stream where nothing parts them, however the heads and classes are dealt.
TEST(TensorStreams, GiveTheLossOfOneDeviceWhereNothingPartsThem) {
  protocol::Workload workload = UnevenGptWorkload();
  workload.model.dropout = 0.25;
  Scene scene(workload, PlanOf("tp=2"));
  const Replay replay(scene.workload, scene.plan, scene.inputs, 1, scene.trace.steps[0].parameters, nullptr);
  const std::uint64_t seed = workload.seed;
  for (const std::vector<std::uint64_t>& seeds : {std::vector{seed}, {seed, seed}, {seed, seed, seed}}) {
    EXPECT_NEAR(LossOf({seeds, true}, replay), replay.whole().loss, 1e-14) << seeds.size();
  }
  EXPECT_GT(std::fabs(LossOf({{seed, seed + 1}, true}, replay) - replay.whole().loss), 1e-3);
  EXPECT_GT(std::fabs(LossOf({{seed, seed}, false}, replay) - replay.whole().loss), 1e-3);
}

TEST(NoiseRatio, NamesStaleWeightsAtTheSecondStep) {
  Scene scene(UnevenGptWorkload(), PlanOf("pp=2,micro_batches=3"));
  Mutations m;
  m.before_update = [&](std::int64_t s, oracle::TraceStep& step) {
    if (s == 2)
      step.gradients = oracle::LossAndGradients(scene.workload, scene.inputs, scene.Held(0).parameters, s).gradients;
  };
  ExpectFail(scene.Judge("noise_ratio", m), 2, "forward", "stale weights");
}

TEST(NoiseRatio, NamesHalfOfATiedWeight) {
  Scene scene(UnevenGptWorkload(), PlanOf("pp=2,micro_batches=3"));
  Mutations m;
  m.before_update = [&](std::int64_t s, oracle::TraceStep& step) {
    protocol::Workload untied = scene.workload;
    untied.model.tied = false;
    oracle::Values at = scene.Held(s - 1).parameters;
    at["head.weight"] = at.at("wte.weight");
    step.gradients["wte.weight"] = oracle::LossAndGradients(untied, scene.inputs, at, s).gradients.at("wte.weight");
  };
  const auto r = scene.Judge("noise_ratio", m);
  ExpectFail(r, 1, "reduction", "tied weight's two gradients are not added");
  EXPECT_EQ(r.first_divergence->tensor, "wte.weight");
}

TEST(NoiseRatio, NamesTheFirstWrongTensorInBackwardOrder) {
  Scene scene(UnevenGptWorkload(), PlanOf("tp=2"));
  Mutations m;
  m.before_update = [](std::int64_t, oracle::TraceStep& step) {
    for (const char* name : {"h.0.ln_1.weight", "h.1.ln_2.weight", "h.0.ln_2.weight"}) {
      for (double& x : step.gradients.at(name)) x *= 0.5;
    }
  };
  const auto r = scene.Judge("noise_ratio", m);
  ExpectFail(r, 1, "backward", "replicated over tensor ranks");
  EXPECT_EQ(r.first_divergence->tensor, "h.1.ln_2.weight");
}

TEST(NoiseRatio, IsNotFooledByASingleRunWithTheSameFault) {
  Scene scene(UnevenGptWorkload(), PlanOf("dp=2,micro_batches=3"));
  const auto fault = Reweighted(scene, [](const Replay& replay, const Cell& c) {
    return c.micro_batch == 2 ? static_cast<double>(c.valid) / static_cast<double>(replay.valid()) : 0;
  });
  Runs runs;
  runs.single = scene.Make(PlanOf("micro_batches=3"), 2, fault);
  runs.candidate = scene.Candidate(fault);
  ExpectFail(scene.Judge("noise_ratio", runs), 1, "backward", "the single run is itself far from the oracle");
}

// A single run can be right by luck. What rounding can do to the step then says what noise is, and a fault still shows.
TEST(NoiseRatio, ASingleRunThatIsRightByLuckRaisesNoAlarm) {
  Scene scene(UnevenGptWorkload(), PlanOf("dp=2"));
  const auto off_by = [&scene](double relative) {
    Mutations m;
    m.before_update = [&scene, relative](std::int64_t s, oracle::TraceStep& step) {
      step.gradients =
          oracle::LossAndGradients(scene.workload, scene.inputs, scene.Held(s - 1).parameters, s).gradients;
      int sign = 1;
      for (auto& [name, v] : step.gradients) {
        for (double& x : v) x = static_cast<double>(static_cast<float>(x * (1 + relative * (sign = -sign))));
      }
    };
    return m;
  };
  Runs runs;
  runs.single = scene.Make(PlanOf("single"), 2, off_by(0));
  runs.candidate = scene.Candidate(off_by(5 * 0x1p-24));  // beyond 3 times the type's round-off
  ExpectPass(scene.Judge("noise_ratio", runs));
  runs.candidate = scene.Candidate(off_by(1e-4));
  const auto r = scene.Judge("noise_ratio", runs);
  ExpectFail(r, 1, "backward", "gradients off by");
  EXPECT_GT(r.measured, 100);
}

TEST(NoiseRatio, NaNFails) {
  Scene scene(MlpWorkload(), PlanOf("dp=2"));
  Mutations m;
  m.tensors = [](std::int64_t, std::int64_t step, Mutations::Tensors& tensors, Mutations::Slices&) {
    if (step == 2) SetFloat(tensors.at("grad/layers.1.weight"), 3, std::numeric_limits<float>::quiet_NaN());
  };
  const auto r = scene.Judge("noise_ratio", m);
  ExpectFail(r, 2, "backward", "not finite");
  EXPECT_TRUE(std::isnan(r.measured));
  EXPECT_EQ(r.first_divergence->tensor, "layers.1.weight");
}

TEST(NoiseRatio, AMissingTensorIsBadEvidence) {
  Scene scene(MlpWorkload(), PlanOf("dp=2"));
  Mutations m;
  m.tensors = [](std::int64_t, std::int64_t step, Mutations::Tensors& tensors, Mutations::Slices& slices) {
    if (step == 2) tensors.erase("grad/layers.1.weight"), slices.erase("grad/layers.1.weight");
  };
  ExpectRefused(scene.Judge("noise_ratio", m), "grad/layers.1.weight");
}

TEST(NoiseRatio, AnAllZeroReferenceIsVacuous) {
  Scene scene(MlpWorkload(), PlanOf("dp=2"));
  const auto zero = [](oracle::Values& values) {
    for (double& x : values.at("layers.1.weight")) x = 0;
  };
  for (oracle::TraceStep& step : scene.trace.steps) {
    if (!step.gradients.empty()) zero(step.gradients);
  }
  Mutations m;
  m.before_update = [&](std::int64_t, oracle::TraceStep& step) { zero(step.gradients); };
  Runs runs;
  runs.single = scene.Make(PlanOf("single"), 2, m);
  runs.candidate = scene.Candidate(m);
  const auto r = scene.Judge("noise_ratio", runs);
  ExpectRefused(r, "vacuous");
}

TEST(NoiseRatio, SeesGradientsAccumulatedInBFloat16) {
  protocol::Workload workload = UnevenGptWorkload();
  workload.precision = protocol::Precision::kBF16;
  Scene scene(workload, PlanOf("micro_batches=3"));
  Mutations m;
  m.before_update = [](std::int64_t, oracle::TraceStep& step) {
    for (auto& [name, v] : step.gradients) {
      for (double& x : v) x = protocol::BFloat16ToFloat(protocol::FloatToBFloat16(static_cast<float>(x)));
    }
  };
  ExpectFail(scene.Judge("noise_ratio", m), 1, "backward", "accumulated in bf16");
}

}  // namespace
}  // namespace lockstep::checks
