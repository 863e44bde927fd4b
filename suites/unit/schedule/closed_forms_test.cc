// The simulator against the papers' formulas, exactly, on every rank: makespan idle, span idle, peak activations.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>

#include "harness/schedule/simulate.h"
#include "suites/unit/schedule/shapes.h"

namespace lockstep::schedule {
namespace {

constexpr std::int64_t kRanks = 16, kChunks = 8;

// Twice as far as the numbers at which a schedule changes its face.
std::vector<std::int64_t> MicroBatches(std::int64_t p) {
  std::vector<std::int64_t> all(static_cast<std::size_t>(4 * p));
  std::iota(all.begin(), all.end(), 1);
  return all;
}

const std::vector<Durations> kDurations{{1, 1, 1, 3},  {4, 4, 4, 12}, {2, 2, 1, 5}, {3, 5, 2, 10},
                                        {7, 3, 3, 13}, {1, 2, 2, 5},  {2, 1, 4, 7}};

Costs CostsOf(const Durations& durations) {
  Costs costs;
  costs.forward = {durations.forward};
  costs.input_gradient = {durations.input_gradient};
  costs.weight_gradient = {durations.weight_gradient};
  costs.fused = {durations.fused};
  return costs;
}

// Compares on every shape and durations for which the generator gives a form; how many there were, by the ranks for
// which it lays out any shape.
std::map<std::int64_t, int> Compare(const Generator& generator) {
  std::map<std::int64_t, int> compared;
  ForEachShape(generator, kRanks, kChunks, MicroBatches, [&](const Shape& shape) {
    const protocol::Schedule schedule = Make(generator.name, shape);
    int& forms = compared[shape.ranks];
    for (const Durations& durations : kDurations) {
      const auto form = generator.closed_form(shape, durations);
      if (!form) continue;
      ++forms;
      const Simulation simulation = Simulate(schedule, CostsOf(durations), Channels());
      for (std::size_t rank = 0; rank < simulation.ranks.size(); ++rank) {
        const RankFigures& figures = simulation.ranks[rank];
        const bool same = figures.makespan_idle == form->makespan_idle[rank] &&
                          figures.span_idle == form->span_idle[rank] &&
                          figures.peak_activations == form->peak_activations[rank];
        EXPECT_TRUE(same) << Describe(generator, shape) << " rank " << rank << " F=" << durations.forward
                          << " I=" << durations.input_gradient << " W=" << durations.weight_gradient << ": idle "
                          << figures.makespan_idle << " against " << form->makespan_idle[rank] << ", span idle "
                          << figures.span_idle << " against " << form->span_idle[rank] << ", peak "
                          << figures.peak_activations << " against " << form->peak_activations[rank];
      }
    }
  });
  return compared;
}

TEST(ClosedForms, HoldExactlyForEveryGeneratorOnTwoToSixteenRanks) {
  int generators = 0;
  for (const Generator* generator : AllGenerators()) {
    if (!generator->closed_form) continue;
    ++generators;
    const std::map<std::int64_t, int> compared = Compare(*generator);
    EXPECT_GE(compared.size(), 8u) << generator->name;  // of an even number of ranks, at least
    int all = 0;
    for (const auto& [ranks, forms] : compared) {
      EXPECT_GE(forms, ranks) << generator->name << " on " << ranks;
      all += forms;
    }
    EXPECT_GE(all, 80) << generator->name;
  }
  EXPECT_GE(generators, 9);
}

// The page's own formulas, written out again, so that a generator can't promise itself what it does.
TEST(ClosedForms, AreThoseOfThePage) {
  const Durations uneven{3, 5, 2, 10}, even{4, 4, 4, 12}, symmetric{2, 2, 1, 5};
  const auto form = [](const char* name, const Shape& shape, const Durations& durations) {
    return *FindGenerator(name, "test").closed_form(shape, durations);
  };
  for (std::int64_t p = 2; p <= kRanks; ++p) {
    const std::int64_t m = 4 * p, whole = 3 + 5 + 2;  // F + B
    EXPECT_EQ(form("gpipe", {p, 1, m}, uneven).makespan_idle[0], (p - 1) * whole);
    EXPECT_EQ(form("gpipe", {p, 1, m}, uneven).peak_activations[1], m);
    EXPECT_EQ(form("1f1b", {p, 1, m}, uneven).makespan_idle[1], (p - 1) * whole);
    EXPECT_EQ(form("1f1b", {p, 1, m}, uneven).peak_activations[1], p - 1);
    for (std::int64_t v = 2; v <= kChunks; ++v) {
      // F and B of the page are those of a rank, v chunks: (p-1)(F+B)/v.
      EXPECT_EQ(form("interleaved_1f1b", {p, v, m}, uneven).makespan_idle[0] * v, (p - 1) * (v * whole));
      EXPECT_EQ(form("interleaved_1f1b", {p, v, m}, uneven).peak_activations[0], p * v + p - 1);
      EXPECT_EQ(form("looped_bfs", {p, v, m}, uneven).makespan_idle[0] * v, (p - 1) * (v * whole));
      EXPECT_EQ(form("looped_bfs", {p, v, m}, uneven).peak_activations[0], m * v);
    }
    EXPECT_EQ(form("zb_h1", {p, 1, m}, uneven).makespan_idle[0], (p - 1) * (3 + 5 - 2));
    EXPECT_EQ(form("zb_h1", {p, 1, m}, uneven).peak_activations[1], p);
    EXPECT_EQ(form("zb_h2", {p, 1, m}, even).span_idle[0], 0);
    EXPECT_EQ(form("zb_h2", {p, 1, m}, even).makespan_idle[0], (p - 1) * 4);
    EXPECT_EQ(form("zb_h2", {p, 1, m}, even).peak_activations[0], 2 * p - 1);
    EXPECT_EQ(form("zb_v", {p, 2, m}, even).span_idle[0], 0);
    EXPECT_EQ(form("zb_v", {p, 2, m}, even).makespan_idle[0], (p - 1) * 4);
    EXPECT_EQ(form("zb_v", {p, 2, m}, even).peak_activations[0], 2 * p);
    if (p % 2 != 0) continue;
    EXPECT_EQ(form("dualpipe", {p, 1, m}, symmetric).makespan_idle[0], (p / 2 - 1) * (5 + 3 - 3 * 1));
    EXPECT_EQ(form("dualpipe", {p, 1, m}, symmetric).peak_activations[0], p + 1);
  }
}

TEST(ClosedForms, OfZeroBubbleSchedulesNeedWhatTheirFilesSay) {
  // A weight gradient longer than a forward is not hidden: (p-1)(F+I-W) would be 0 here.
  const Shape shape{4, 1, 8};
  EXPECT_FALSE(FindGenerator("zb_h1", "test").closed_form(shape, {2, 1, 3, 6}));
  const Simulation simulation = Simulate(Make("zb_h1", shape), CostsOf({2, 1, 3, 6}), Channels());
  EXPECT_EQ(simulation.ranks[0].makespan_idle, 3 * 2);
  // Fewer than 2p - 1 micro-batches don't fill ZB-H2.
  EXPECT_FALSE(FindGenerator("zb_h2", "test").closed_form({4, 1, 6}, {}));
  EXPECT_GT(Simulate(Make("zb_h2", {4, 1, 6}), Costs(), Channels()).ranks[0].span_idle, 0);
  // Where fusing saves time, DualPipe's ranks idle unlike; the formula is then that of the middle ones.
  const Simulation saved = Simulate(Make("dualpipe", {8, 1, 16}), CostsOf({4, 4, 4, 9}), Channels());
  EXPECT_LT(saved.ranks[0].makespan_idle, saved.ranks[3].makespan_idle);
  EXPECT_EQ(saved.ranks[3].makespan_idle, (8 / 2 - 1) * (9 + 8 - 3 * 4));
}

}  // namespace
}  // namespace lockstep::schedule
