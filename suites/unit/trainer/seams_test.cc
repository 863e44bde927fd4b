// The comparisons of these tests see faults, planted through the seams where the catalogue of faults plants them.
#include "reference/trainer/seams.h"

#include <gtest/gtest.h>

#include "suites/unit/trainer/runs.h"

namespace lockstep::trainer::testing {
namespace {

double ErrorWith(Seams& seams, const protocol::Workload& workload, const std::string& plan) {
  Runs runs;
  const auto run = runs.Run("faulty", RequestOf(workload, plan), seams);
  return LargestError(run, runs.folder() + "/faulty");
}

class SumInsteadOfMean : public Seams {
  class Scale : public LossScale {
   public:
    using LossScale::LossScale;
    float OfGradients(const StepCounts& counts, std::int64_t micro_batch) const override {
      return LossScale::OfGradients(counts, micro_batch) * static_cast<float>(context_.plan().data);
    }
  };
  std::unique_ptr<LossScale> MakeLossScale(const RankContext& context) override {
    return std::make_unique<Scale>(context);
  }
};

TEST(Seams, ASumOverReplicasIsSeen) {
  SumInsteadOfMean seams;
  EXPECT_GE(ErrorWith(seams, Gpt(), "dp=2"), 0.99);  // gradients twice as large
}

class UnreducedRows : public Seams {
  class Reducer : public GradientReducer {
   public:
    using GradientReducer::GradientReducer;
    void SumRows(Bucket&) override {}
  };
  std::unique_ptr<GradientReducer> MakeReducer(const RankContext& context, GradientArena& arena) override {
    return std::make_unique<Reducer>(context, arena);
  }
};

TEST(Seams, NormGradientsOfOneRanksRowsAreSeen) {
  UnreducedRows seams;
  EXPECT_GE(ErrorWith(seams, Gpt(), "tp=2,sequence_parallel=true"), 1e-2);
}

class ZeroBeforeEveryMicroBatch : public Seams {
  class Zeroing : public Accumulation {
   public:
    using Accumulation::Accumulation;
    void BeginBackward(const MicroBatch&) override { arena_.Reset(); }
  };
  std::unique_ptr<Accumulation> MakeAccumulation(const RankContext& context, ParameterStore& store,
                                                 GradientArena& arena) override {
    return std::make_unique<Zeroing>(context, store, arena);
  }
};

TEST(Seams, AGradientThatForgetsMicroBatchesIsSeen) {
  ZeroBeforeEveryMicroBatch seams;
  EXPECT_GE(ErrorWith(seams, Mlp(), "micro_batches=3"), 1e-2);
}

class UntiedEnds : public Seams {
  class Alone : public GradientReducer {
   public:
    using GradientReducer::GradientReducer;
    void SumTied(Bucket&) override {}
  };
  std::unique_ptr<GradientReducer> MakeReducer(const RankContext& context, GradientArena& arena) override {
    return std::make_unique<Alone>(context, arena);
  }
};

TEST(Seams, ATiedEmbeddingWhoseEndsGoTheirOwnWaysIsSeen) {
  UntiedEnds seams;
  EXPECT_GE(ErrorWith(seams, Gpt(), "pp=2,micro_batches=2"), 1e-2);
}

class BiasTwice : public Seams {
  // Adds the bias once more for each further tensor rank.
  class Row : public RowParallelLinear {
   public:
    using RowParallelLinear::RowParallelLinear;
    Activations Forward(const MicroBatch& micro_batch, const Activations& x) override {
      Activations y = RowParallelLinear::Forward(micro_batch, x);
      for (int r = 1; r < context_.groups.tensor->Size(); ++r) {
        context_.device.AddBias(y.rows, y.width, spec_.bias->value(), y.data());
      }
      return y;
    }
  };
  class Factory : public LayerFactory {
   public:
    using LayerFactory::LayerFactory;
    std::unique_ptr<Layer> MakeRowParallel(const LinearSpec& spec) override {
      return std::make_unique<Row>(context_, spec);
    }
  };
  std::unique_ptr<LayerFactory> MakeLayerFactory(const RankContext& context, const DataLoader& loader) override {
    return std::make_unique<Factory>(context, loader);
  }
};

TEST(Seams, ABiasAddedByEveryTensorRankIsSeen) {
  BiasTwice seams;
  EXPECT_GE(ErrorWith(seams, Gpt(), "tp=2"), 1e-3);
}

TEST(Seams, WithoutADecoratorChangeNothing) {
  Seams seams;
  EXPECT_LE(ErrorWith(seams, Gpt(), "dp=2,tp=2"), 1e-5);
}

}  // namespace
}  // namespace lockstep::trainer::testing
