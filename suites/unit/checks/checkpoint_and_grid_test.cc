// Checkpoints under another layout, and the exact grid.
#include <algorithm>

#include "suites/unit/checks/expect.h"

namespace lockstep::checks {
namespace {

struct Resumed {
  explicit Resumed(const Mutations& mutations = {}, const std::function<void(oracle::TraceStep&)>& change = {},
                   const Mutations& same_mutations = {})
      : scene(Load(), PlanOf("dp=2,micro_batches=2")) {
    runs.candidate = scene.Candidate();
    protocol::CheckpointWanted checkpoint;
    checkpoint.resume_from = "saved";
    checkpoint.resume_step = 2;
    oracle::TraceStep loaded = scene.Held(2);
    const oracle::TraceStep right = loaded;
    if (change) change(loaded);
    runs.resumed_same = scene.Make(scene.plan, 7, same_mutations, checkpoint, &right);
    runs.resumed = scene.Make(PlanOf("tp=2"), 8, mutations, checkpoint, &loaded);
  }
  static protocol::Workload Load() {
    protocol::Workload workload = UnevenGptWorkload();
    workload.optimizer.kind = protocol::OptimizerKind::kMomentum;
    workload.steps = 4;
    return workload;
  }
  protocol::CheckResult Judge() {
    runs.resumed_same = nullptr;
    return scene.Judge("checkpoint_round_trip", runs);
  }
  Scene scene;
  Runs runs;
};

TEST(CheckpointRoundTrip, PassesWhenTheStateComesBackUnderAnotherLayout) {
  Resumed r;
  ExpectPass(r.Judge());
}

TEST(CheckpointRoundTrip, SeesStateThatWasDropped) {
  Resumed r({}, [](oracle::TraceStep& loaded) {
    for (auto& [name, v] : loaded.state) std::fill(v.begin(), v.end(), 0.0);
  });
  const auto result = r.Judge();
  ExpectFail(result, 2, "load", "the optimizer's state was dropped");
  EXPECT_EQ(result.first_divergence->tensor, "wte.weight/momentum");
}

TEST(CheckpointRoundTrip, SeesSlicesPairedInTheWrongOrder) {
  Resumed r({}, [](oracle::TraceStep& loaded) {
    auto& v = loaded.parameters.at("h.0.mlp.fc.weight");
    std::rotate(v.begin(), v.begin() + static_cast<std::ptrdiff_t>(v.size() / 2), v.end());
  });
  ExpectFail(r.Judge(), 2, "load", "param/h.0.mlp.fc.weight");
}

TEST(CheckpointRoundTrip, SeesALoaderThatBeginsAgain) {
  Mutations m;
  m.ledger = [](std::int64_t, std::vector<protocol::MicroBatchEvent>& ledger) {
    Scene scene(Resumed::Load(), PlanOf("tp=2"));
    for (auto& event : ledger) event.samples = protocol::BatchSamples(scene.inputs.data.at("order"), event.step - 2);
  };
  Resumed r(m);
  ExpectFail(r.Judge(), 3, "ledger", "these are the samples of step 1");
}

TEST(CheckpointRoundTrip, DemandsThatTheSameLayoutGoesOnToTheBit) {
  Resumed r;  // resumed_same has other noise: not the same bytes
  const auto result = r.scene.Judge("checkpoint_round_trip", r.runs);
  ExpectFail(result, 3, "forward", "the run that never stopped");
}

TEST(CheckpointRoundTrip, SeesAWrongGradientAfterTheResume) {
  Mutations m;
  m.before_update = [](std::int64_t s, oracle::TraceStep& step) {
    for (auto& [name, v] : step.gradients) {
      for (double& g : v) g *= s == 4 ? 2 : 1;
    }
  };
  Resumed r(m);
  ExpectFail(r.Judge(), 4, "backward", "gradients x 2.000 = tensor-parallel degree");
}

protocol::Workload Grid() {
  protocol::Workload workload;
  workload.model.kind = protocol::ModelKind::kMlp;
  workload.model.sizes = {16, 24, 16, 8};
  workload.optimizer.learning_rate = 0.125;
  workload.data.kind = protocol::DataKind::kExactGrid;
  workload.global_batch = 16;
  workload.steps = 2;
  return workload;
}

Mutations Exact(Scene& scene) {
  Mutations m;
  m.before_update = [&scene](std::int64_t s, oracle::TraceStep& step) {
    if (s == 1) step.gradients = scene.trace.steps[1].gradients;
  };
  m.after_update = [&scene](std::int64_t s, oracle::TraceStep& step) {
    if (s == 1) step.loss = scene.trace.steps[1].loss;
  };
  return m;
}

TEST(ExactGrid, PassesToTheBitAndSeesTheSmallestDifference) {
  Scene scene(Grid(), PlanOf("dp=4"));
  Runs runs;
  runs.candidate = scene.Candidate(Exact(scene));
  runs.single = scene.Make(PlanOf("single"), 2, Exact(scene));
  ExpectPass(scene.Judge("exact_grid", runs));
  Mutations m = Exact(scene);
  m.tensors = [](std::int64_t rank, std::int64_t step, Mutations::Tensors& tensors, Mutations::Slices&) {
    if (rank == 0 && step == 1) FlipBit(tensors.at("param/layers.1.weight"), 7);
  };
  runs.candidate = scene.Candidate(m);
  const auto r = scene.Judge("exact_grid", runs);
  ExpectFail(r, 1, "optimizer", "1 of 384 elements of param/layers.1.weight of the run are not exact");
  EXPECT_THAT(r.diagnosis, testing::HasSubstr("rounded where nothing need round"));
  m = Exact(scene);
  m.step_event = [](std::int64_t, protocol::StepEvent& e) { *e.loss *= 1 + 0x1p-23; };
  runs.candidate = scene.Candidate(m);
  ExpectFail(scene.Judge("exact_grid", runs), 1, "forward", "the loss of the run is");
}

TEST(ExactGrid, RefusesAWorkloadThatIsNotExact) {
  Scene scene(MlpWorkload(), PlanOf("dp=2"));
  ExpectRefused(scene.Judge("exact_grid"), "not an exact grid");
}

}  // namespace
}  // namespace lockstep::checks
