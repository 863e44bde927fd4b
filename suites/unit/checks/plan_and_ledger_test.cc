// The effective plan, the ledger, and the principles' own checks.
#include <algorithm>
#include <stdexcept>

#include "harness/protocol/parameters.h"
#include "suites/unit/checks/expect.h"

namespace lockstep::checks {
namespace {

TEST(EffectivePlan, SeesClippingThatNobodyAskedFor) {
  Scene scene(MlpWorkload(), PlanOf("dp=2"));
  Mutations m;
  m.hello = [](std::int64_t, protocol::Hello& hello) { hello.effective.clip_norm = 1; };
  const auto r = scene.Judge("effective_plan", m);
  ExpectFail(r, 0, "plan", "clip_norm of the run is 1, asked for 0: gradients are clipped though nobody asked");
  EXPECT_EQ(r.first_divergence->tensor, "clip_norm");
}

TEST(EffectivePlan, SeesEveryFieldThatFallsBackInSilence) {
  Scene scene(UnevenGptWorkload(), PlanOf("dp=2,pp=2,micro_batches=2"));
  const std::vector<std::pair<std::string, std::function<void(protocol::EffectivePlan&)>>> changes = {
      {"plan.data", [](auto& e) { e.plan.data = 4; }},
      {"plan.micro_batches", [](auto& e) { e.plan.micro_batches = 1; }},
      {"plan.schedule", [](auto& e) { e.plan.schedule = "gpipe"; }},
      {"plan.partition",
       [](auto& e) {
         e.plan.partition = {2, 0};
       }},
      {"plan.overlap", [](auto& e) { e.plan.overlap = false; }},
      {"plan.bucket_bytes", [](auto& e) { e.plan.bucket_bytes = 7; }},
      {"plan.zero_stage", [](auto& e) { e.plan.zero_stage = 1; }},
      {"plan.recompute", [](auto& e) { e.plan.recompute = true; }},
      {"at.data", [](auto& e) { e.at.data = 1 - e.at.data; }},
      {"precision", [](auto& e) { e.precision = protocol::Precision::kBF16; }},
      {"optimizer", [](auto& e) { e.optimizer = protocol::OptimizerKind::kAdamW; }},
      {"placement",
       [](auto& e) {
         e.placement = {{1}, {0}};
       }},
      {"devices",
       [](auto& e) {
         e.devices = {0, 0, 1, 2};
       }},
      {"devices",
       [](auto& e) {
         e.devices = {1, 0, 2, 3};
       }},
  };
  for (const auto& [field, change] : changes) {
    Mutations m;
    m.hello = [&change = change](std::int64_t rank, protocol::Hello& hello) {
      if (rank == 3) change(hello.effective);
    };
    const auto r = scene.Judge("effective_plan", m);
    ExpectFail(r, 0, "plan", field + " of the run is");
    EXPECT_EQ(r.first_divergence->rank, 3) << field;
  }
}

TEST(DevicesInOrder, SeesASwap) {
  Scene scene(MlpWorkload(), PlanOf("dp=2"));
  Mutations m;
  m.hello = [](std::int64_t, protocol::Hello& hello) { hello.effective.devices = {1, 0}; };
  ExpectFail(scene.Judge("devices_in_order", m), 0, "plan", "rank 0 reports devices [1, 0], asked for [0, 1]");
}

using Ledger = std::vector<protocol::MicroBatchEvent>;

protocol::MicroBatchEvent& At(Ledger& ledger, std::int64_t step, std::int64_t micro_batch) {
  for (auto& event : ledger) {
    if (event.step == step && event.micro_batch == micro_batch) return event;
  }
  throw std::logic_error("no such micro-batch");
}

TEST(Ledger, NamesADuplicateAndTheSampleThatItDisplaced) {
  Scene scene(MlpWorkload(), PlanOf("dp=2,micro_batches=2"));
  Mutations m;
  std::int64_t twice = -1, gone = -1;
  Ledger first;
  m.ledger = [&](std::int64_t rank, Ledger& ledger) {
    if (rank == 0) first = ledger;
    if (rank != 1) return;
    gone = At(ledger, 2, 1).samples.back();
    twice = At(first, 2, 0).samples.front();
    At(ledger, 2, 1).samples.back() = twice;
  };
  const auto r = scene.Judge("ledger", m);
  ExpectFail(r, 2, "ledger",
             "samples run more than once: " + std::to_string(twice) + " (" + std::to_string(twice) +
                 " by rank 0 micro-batch 0 and rank 1 micro-batch 1)");
  EXPECT_THAT(r.diagnosis, testing::HasSubstr("samples of the batch that nobody ran: " + std::to_string(gone)));
  EXPECT_EQ(r.first_divergence->rank, 1);
  EXPECT_EQ(r.first_divergence->micro_batch, 1);
  ExpectFail(scene.Judge("disjoint_batches", m), 2, "ledger", "more than once");
}

TEST(Ledger, SeesSamplesThatSwappedReplicas) {
  Scene scene(MlpWorkload(), PlanOf("dp=2"));
  Mutations m;
  Ledger first;
  m.ledger = [&](std::int64_t rank, Ledger& ledger) {
    if (rank == 0) first = ledger;
    std::reverse(At(ledger, 1, 0).samples.begin(), At(ledger, 1, 0).samples.end());
  };
  ExpectFail(scene.Judge("ledger", m), 1, "ledger", "its share is");
}

TEST(Ledger, SeesADroppedTailAndAMicroBatchThatNeverRan) {
  Scene scene(MlpWorkload(), PlanOf("dp=2,micro_batches=3"));
  Mutations m;
  m.ledger = [](std::int64_t rank, Ledger& ledger) {
    if (rank == 1) At(ledger, 3, 2).samples.pop_back();
  };
  ExpectFail(scene.Judge("ledger", m), 3, "ledger", "nobody ran");
  m.ledger = [](std::int64_t rank, Ledger& ledger) {
    if (rank == 1) std::erase_if(ledger, [](const auto& e) { return e.step == 2 && e.micro_batch == 2; });
  };
  ExpectFail(scene.Judge("ledger", m), 2, "ledger", "rank 1 ran [] as micro-batch 2");
}

TEST(Ledger, SaysWhichStepsSamplesWereRun) {
  Scene scene(MlpWorkload(), PlanOf("dp=2"));
  Mutations m;
  m.ledger = [](std::int64_t, Ledger& ledger) {
    At(ledger, 2, 0).samples = At(ledger, 1, 0).samples;
    At(ledger, 2, 0).valid_tokens = At(ledger, 1, 0).valid_tokens;
  };
  ExpectFail(scene.Judge("ledger", m), 2, "ledger",
             "these are the samples of step 1: the position in the data is 1 steps behind");
}

TEST(Ledger, CountsTokensAndNamesTheirDuplication) {
  Scene scene(UnevenGptWorkload(), PlanOf("dp=2"));
  Mutations m;
  m.step_event = [](std::int64_t, protocol::StepEvent& e) { e.valid_tokens *= 2; };
  ExpectFail(scene.Judge("ledger", m), 1, "ledger", "the count x 2.000 = data-parallel degree");
  Mutations one;
  one.ledger = [](std::int64_t rank, Ledger& ledger) {
    if (rank == 1) At(ledger, 1, 0).valid_tokens += 1;
  };
  ExpectFail(scene.Judge("ledger", one), 1, "ledger", "valid targets in micro-batch 0");
}

TEST(Ledger, SeesAPipelineRankWithOtherSamples) {
  Scene scene(UnevenGptWorkload(), PlanOf("pp=2,micro_batches=3"));
  Mutations m;
  m.ledger = [](std::int64_t rank, Ledger& ledger) {
    if (rank == 1) std::swap(At(ledger, 1, 0).samples, At(ledger, 1, 1).samples);
  };
  const auto r = scene.Judge("ledger", m);
  ExpectFail(r, 1, "ledger", "rank 1 ran");
  EXPECT_EQ(r.first_divergence->rank, 1);
}

TEST(AllSamplesThroughAllParts, SeesAPartThatRanThirty) {
  Scene scene(UnevenGptWorkload(), PlanOf("pp=2,micro_batches=3"));
  Mutations m;
  m.ledger = [](std::int64_t rank, Ledger& ledger) {
    if (rank == 1) std::erase_if(ledger, [](const auto& e) { return e.micro_batch > 0; });
  };
  const auto r = scene.Judge("all_samples_through_all_parts", m);
  ExpectFail(r, 1, "ledger", "3 of 9 samples of replica 0 passed through part 1");
  EXPECT_THAT(r.diagnosis, testing::HasSubstr("part 0 ran others: the batch is dealt over the parts too"));
}

TEST(DisjointBatches, SeesTwoWorkersWithOneShare) {
  Scene scene(MlpWorkload(), PlanOf("dp=2"));
  Mutations m;
  m.ledger = [&](std::int64_t rank, Ledger& ledger) {
    if (rank == 1) At(ledger, 2, 0).samples[0] = protocol::BatchSamples(scene.inputs.data.at("order"), 2)[0];
  };
  ExpectFail(scene.Judge("disjoint_batches", m), 2, "ledger", "more than once");
}

TEST(HoldsFullModel, SeesAShardAndATensorLeftOut) {
  Scene scene(MlpWorkload(), PlanOf("dp=2"));
  Mutations m;
  m.tensors = [](std::int64_t rank, std::int64_t step, Mutations::Tensors& tensors, Mutations::Slices& slices) {
    if (rank != 1 || step != 1) return;
    protocol::Slice& slice = slices.at("param/layers.0.weight");
    slice.shape[0] = 4;
    tensors.at("param/layers.0.weight") = protocol::Extract(tensors.at("param/layers.0.weight"), slice);
  };
  const auto r = scene.Judge("holds_full_model", m);
  ExpectFail(r, 1, "optimizer", "rank 1 holds [4, 6] of param/layers.0.weight, which is [11, 6]: a shard");
  m.tensors = [](std::int64_t rank, std::int64_t, Mutations::Tensors& tensors, Mutations::Slices& slices) {
    if (rank == 1) tensors.erase("param/layers.1.bias"), slices.erase("param/layers.1.bias");
  };
  ExpectFail(scene.Judge("holds_full_model", m), 0, "load", "nothing of param/layers.1.bias, which is [9]: left out");
  Scene split(MlpWorkload(), PlanOf("pp=3"));
  ExpectRefused(split.Judge("holds_full_model"), "no claim here");
}

TEST(HoldsOnlyItsPart, SeesAWorkerWithTheWholeModel) {
  Scene scene(MlpWorkload(), PlanOf("pp=3"));
  Mutations m;
  m.tensors = [&](std::int64_t rank, std::int64_t step, Mutations::Tensors& tensors, Mutations::Slices& slices) {
    if (rank != 2 || step != 0) return;
    for (const auto& p : protocol::Parameters(scene.workload.model)) {
      tensors["param/" + p.name] = protocol::Tensor::Zeros(protocol::DType::kF32, p.shape);
      slices["param/" + p.name] = protocol::Slice::Whole(p.shape);
    }
  };
  const auto r = scene.Judge("holds_only_its_part", m);
  ExpectFail(r, 0, "load", "it is not split");
  EXPECT_EQ(r.first_divergence->rank, 2);
  Scene whole(MlpWorkload(), PlanOf("dp=2"));
  ExpectRefused(whole.Judge("holds_only_its_part"), "no claim here");
}

}  // namespace
}  // namespace lockstep::checks
