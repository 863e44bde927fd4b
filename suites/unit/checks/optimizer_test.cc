// Norm, clipping, learning rate, updates and the bf16 copies.
#include <algorithm>
#include <cmath>

#include "suites/unit/checks/expect.h"

namespace lockstep::checks {
namespace {

protocol::Workload Clipped(protocol::OptimizerKind kind) {
  protocol::Workload workload = UnevenGptWorkload();
  workload.optimizer.kind = kind;
  workload.optimizer.learning_rate = 0.01;
  workload.optimizer.clip_norm = 0.05;
  workload.optimizer.weight_decay = 0.1;
  workload.optimizer.warmup_steps = 2;
  workload.optimizer.cosine_steps = 9;
  return workload;
}

protocol::Optimizer Changed(protocol::Optimizer o, double rate) {
  o.learning_rate = rate;
  o.warmup_steps = o.cosine_steps = 0;
  return o;
}

// Redoes the update with another workload or gradient.
Mutations Redone(Scene& scene, const std::function<void(protocol::Workload&, oracle::TraceStep& previous,
                                                        oracle::TraceStep& step, std::int64_t s)>& change) {
  Mutations m;
  m.after_update = [&scene, change](std::int64_t s, oracle::TraceStep& step) {
    if (s == 0) return;
    protocol::Workload workload = scene.workload;
    oracle::TraceStep previous = scene.Held(s - 1);
    oracle::TraceStep redone = step;
    change(workload, previous, redone, s);
    oracle::Update(workload, previous, s, redone);
    step.parameters = redone.parameters;
    step.state = redone.state;
  };
  return m;
}

TEST(OptimizerReplay, SeesTheUnclippedGradientInTheUpdate) {
  Scene scene(Clipped(protocol::OptimizerKind::kMomentum), PlanOf("dp=2"));
  const auto r = scene.Judge("optimizer_replay",
                             Redone(scene, [](auto& w, auto&, auto&, std::int64_t) { w.optimizer.clip_norm = 0; }));
  ExpectFail(r, 1, "optimizer", "the update used the unclipped gradient");
  ExpectPass(scene.Judge("reported_norm"));
}

TEST(OptimizerReplay, SeesALearningRateAdvancedByEveryRank) {
  Scene scene(Clipped(protocol::OptimizerKind::kAdamW), PlanOf("dp=2"));
  const auto r = scene.Judge("optimizer_replay", Redone(scene, [](auto& w, auto&, auto&, std::int64_t s) {
                               w.optimizer = Changed(w.optimizer, protocol::LearningRate(w.optimizer, 2 * s));
                             }));
  ExpectFail(r, 1, "optimizer", "the learning rate of step 2");
  EXPECT_THAT(r.diagnosis, testing::HasSubstr("data-parallel degree times a step"));
  EXPECT_NEAR(*r.alpha, 2, 0.01);
}

TEST(OptimizerReplay, SeesMomentsThatRestart) {
  Scene scene(Clipped(protocol::OptimizerKind::kAdamW), PlanOf("single"));
  const auto r = scene.Judge("optimizer_replay", Redone(scene, [](auto&, auto& previous, auto&, std::int64_t) {
                               for (auto& [name, v] : previous.state) std::fill(v.begin(), v.end(), 0.0);
                             }));
  ExpectFail(r, 2, "optimizer", "moments restarted");
}

TEST(OptimizerReplay, SeesWeightDecayLeftOut) {
  Scene scene(Clipped(protocol::OptimizerKind::kAdamW), PlanOf("single"));
  const auto r = scene.Judge("optimizer_replay",
                             Redone(scene, [](auto& w, auto&, auto&, std::int64_t) { w.optimizer.weight_decay = 0; }));
  ExpectFail(r, 1, "optimizer", "weight decay was left out");
}

TEST(OptimizerReplay, SeesMomentsOfTheNeighbour) {
  Scene scene(Clipped(protocol::OptimizerKind::kAdamW), PlanOf("dp=2"));
  const auto r = scene.Judge("optimizer_replay", Redone(scene, [](auto&, auto& previous, auto&, std::int64_t) {
                               for (auto& [name, v] : previous.state) std::rotate(v.begin(), v.begin() + 1, v.end());
                             }));
  ExpectFail(r, 2, "optimizer", "do not follow");
}

TEST(OptimizerReplay, SeesOneElementOff) {
  Scene scene(Clipped(protocol::OptimizerKind::kSgd), PlanOf("single"));
  Mutations m;
  m.after_update = [](std::int64_t s, oracle::TraceStep& step) {
    if (s == 3) step.parameters.at("h.1.ln_2.bias")[4] += 1e-5;
  };
  const auto r = scene.Judge("optimizer_replay", m);
  ExpectFail(r, 3, "optimizer", "param/h.1.ln_2.bias first");
}

TEST(OptimizerReplay, SeesABFloat16CopyOfAStaleMaster) {
  protocol::Workload workload = Clipped(protocol::OptimizerKind::kSgd);
  workload.precision = protocol::Precision::kBF16;
  workload.optimizer.learning_rate = 0.5;
  Scene scene(workload, PlanOf("dp=2"));
  ExpectPass(scene.Judge("optimizer_replay"));
  Mutations m;
  m.tensors = [&](std::int64_t rank, std::int64_t step, Mutations::Tensors& tensors, Mutations::Slices&) {
    if (step != 2 || rank != 1) return;
    protocol::Tensor& copy = tensors.at("working/h.0.mlp.fc.weight");
    copy = protocol::Tensor::FromDoubles(protocol::DType::kBF16, copy.shape,
                                         scene.Held(1).parameters.at("h.0.mlp.fc.weight"));
  };
  const auto r = scene.Judge("optimizer_replay", m);
  ExpectFail(r, 2, "optimizer", "the copy is stale");
  EXPECT_EQ(r.first_divergence->rank, 1);
  m.tensors = [](std::int64_t, std::int64_t, Mutations::Tensors& tensors, Mutations::Slices& slices) {
    tensors.erase("working/h.0.mlp.fc.weight"), slices.erase("working/h.0.mlp.fc.weight");
  };
  ExpectRefused(scene.Judge("optimizer_replay", m), "working/h.0.mlp.fc.weight: no rank holds it");
}

TEST(ReportedNorm, NamesTheNormOfOneStage) {
  Scene scene(Clipped(protocol::OptimizerKind::kSgd), PlanOf("pp=2,micro_batches=3"));
  Mutations m;
  m.step_event = [&](std::int64_t, protocol::StepEvent& e) {
    double sum = 0;
    for (const auto& [name, v] : scene.Held(e.step).gradients) {
      if (!name.starts_with("h.1.") && !name.starts_with("ln_f") && name != "wte.weight") continue;
      for (const double g : v) sum += g * g;
    }
    e.gradient_norm = std::sqrt(sum);
  };
  ExpectFail(scene.Judge("reported_norm", m), 1, "clip", "the norm of pipeline stage 1 alone");
}

TEST(ReportedNorm, NamesTheNormAfterClipping) {
  Scene scene(Clipped(protocol::OptimizerKind::kSgd), PlanOf("dp=2"));
  Mutations m;
  m.step_event = [](std::int64_t, protocol::StepEvent& e) { e.gradient_norm = 0.05; };
  ExpectFail(scene.Judge("reported_norm", m), 1, "clip", "the norm after clipping");
}

TEST(ReportedNorm, NamesCopiesCountedTwice) {
  Scene scene(UnevenGptWorkload(), PlanOf("dp=2"));
  Mutations m;
  m.step_event = [](std::int64_t, protocol::StepEvent& e) { *e.gradient_norm *= std::sqrt(2.0); };
  ExpectFail(scene.Judge("reported_norm", m), 1, "clip", "every rank's copy is counted");
}

TEST(ReportedNorm, SeesAGradientThatIsNotClippedOrClippedUnasked) {
  Scene scene(Clipped(protocol::OptimizerKind::kSgd), PlanOf("dp=2"));
  Mutations m;
  m.after_update = [](std::int64_t, oracle::TraceStep& step) { step.clipped = step.gradients; };
  ExpectFail(scene.Judge("reported_norm", m), 1, "clip", "the gradient is not clipped");
  Scene unasked(UnevenGptWorkload(), PlanOf("dp=2"));
  m.after_update = [](std::int64_t, oracle::TraceStep& step) {
    for (auto& [name, v] : step.clipped) {
      for (double& g : v) g *= 0.5;
    }
  };
  ExpectFail(unasked.Judge("reported_norm", m), 1, "clip", "clipped though the norm is below the limit");
}

TEST(ReportedNorm, NaNFails) {
  Scene scene(MlpWorkload(), PlanOf("dp=2"));
  Mutations m;
  m.step_event = [](std::int64_t, protocol::StepEvent& e) { e.gradient_norm = std::nan(""); };
  ExpectFail(scene.Judge("reported_norm", m), 1, "clip", "nan");
}

TEST(LearningRate, NamesTheStepWhoseRateItIs) {
  Scene scene(Clipped(protocol::OptimizerKind::kAdamW), PlanOf("dp=2"));
  Mutations m;
  m.step_event = [&](std::int64_t rank, protocol::StepEvent& e) {
    if (rank == 1) e.learning_rate = protocol::LearningRate(scene.workload.optimizer, 2 * e.step);
  };
  const auto r = scene.Judge("learning_rate", m);
  ExpectFail(r, 1, "optimizer",
             "it is the rate of step 2: the schedule is advanced 2 = data-parallel degree times a step");
  EXPECT_EQ(r.first_divergence->rank, 1);
}

TEST(LearningRate, SeesOnePartInAMillionAndNaN) {
  Scene scene(MlpWorkload(), PlanOf("single"));
  Mutations m;
  m.step_event = [](std::int64_t, protocol::StepEvent& e) { *e.learning_rate *= 1.000001; };
  ExpectFail(scene.Judge("learning_rate", m), 1, "optimizer", "the learning rate of step 1");
  m.step_event = [](std::int64_t, protocol::StepEvent& e) { e.learning_rate = std::nan(""); };
  ExpectFail(scene.Judge("learning_rate", m), 1, "optimizer", "nan");
}

}  // namespace
}  // namespace lockstep::checks
