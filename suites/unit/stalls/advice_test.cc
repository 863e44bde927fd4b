// What a formula allows, and what would help, of runs whose answer is known.
#include "harness/stalls/advice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "suites/unit/stalls/expect.h"
#include "suites/unit/stalls/scene.h"

namespace lockstep::stalls {
namespace {

constexpr double kTicks = 1e-4;  // durations are put into whole ticks, a millionth of the longest each

Advice Find(const std::vector<Advice>& all, const std::string& beginning) {
  for (const Advice& advice : all) {
    if (advice.what.starts_with(beginning)) return advice;
  }
  return {};
}

std::vector<Advice> Given(const Scene& scene, const Limits& limits = {}) {
  const stalls::Run run = scene.Joined();
  return AdviceFor(run, Attribute(run), limits);
}

TEST(Allowance, IsTheFormulasOfTheScheduleWithTheDurationsMeasured) {
  Scene scene = SceneOf("pp=4,m=8");
  scene.forward = 2;
  scene.backward = 3;
  const stalls::Run run = scene.Joined();
  const Allowance allowance = AllowanceOf(run, Attribute(run));
  EXPECT_EQ(allowance.formula, "(p-1)(F+B)");
  EXPECT_THAT(allowance.idle, testing::Each(testing::DoubleNear(15, kTicks)));
  EXPECT_NEAR(allowance.ratio, 3.0 / 11, 1e-6);  // (p-1)/(m+p-1)
}

TEST(Allowance, DoesNotGrowWithAStageThatIsSlow) {
  Scene scene = SceneOf("pp=4,m=8");
  scene.extra = [](const Moment& at) { return at.stage == 2 && at.name == "B" ? 4.0 : 0; };
  const stalls::Run run = scene.Joined();
  EXPECT_THAT(AllowanceOf(run, Attribute(run)).idle, testing::Each(testing::DoubleNear(9, kTicks)));
}

TEST(Allowance, OfOneStageIsNothing) {
  const stalls::Run run = SceneOf("dp=2,m=2").Joined();
  const Allowance allowance = AllowanceOf(run, Attribute(run));
  EXPECT_EQ(allowance.formula, "");
  EXPECT_THAT(allowance.idle, testing::ElementsAre(0));
}

TEST(Advice, GivesWhatAnotherScheduleSavesByItsFormula) {
  Scene scene = SceneOf("pp=4,m=8");
  scene.forward = 2;
  scene.backward = 4;
  const Advice advice = Find(Given(scene, {.units = 4}), "schedule zb_h1");  // no room for chunks
  // (p-1)(F+B) - (p-1)(F+I-W), I = W = B/2
  EXPECT_NEAR(advice.seconds, 3 * 6 - 3 * 2, kTicks);
}

TEST(Advice, GivesWhatMoreMicroBatchesSave) {
  const Advice advice = Find(Given(SceneOf("pp=4,m=4")), "8 micro-batches");
  EXPECT_NEAR(advice.seconds, 3 * 3 - 3 * 1.5, kTicks);  // (p-1)(F+B), of micro-batches half the size
  EXPECT_EQ(advice.price, "peak of activations 0.5 times as high");
}

TEST(Advice, AsksForNoMoreMicroBatchesThanSamplesAndNoMoreStagesThanUnits) {
  const Scene scene = SceneOf("pp=2,m=4");
  EXPECT_NE(Find(Given(scene, {.samples = 8}), "8 micro-batches").what, "");
  EXPECT_EQ(Find(Given(scene, {.samples = 7}), "8 micro-batches").what, "");
  EXPECT_NE(Find(Given(scene, {.units = 4}), "schedule interleaved_1f1b").what +
                Find(Given(scene, {.units = 4}), "schedule zb_v").what,
            "");
  for (const Advice& advice : Given(scene, {.units = 3})) EXPECT_EQ(advice.what.find("chunks"), std::string::npos);
}

TEST(Advice, GivesWhatAnEvenPartitionSaves) {
  Scene scene = SceneOf("pp=2,m=4");
  scene.extra = [](const Moment& at) { return at.stage == 1 && at.name == "F" ? 2.0 : 0; };
  // 1F1B on two stages: the slow one decides. Evenly dealt, each stage's forward takes 2.
  const Advice advice = Find(Given(scene), "a partition into stages of equal length");
  const double now = 1 + 4 * (3 + 2) + 2, even = 5 * (2 + 2);
  EXPECT_NEAR(advice.seconds, now - even, kTicks);
}

TEST(Advice, IsSilentWhereNothingGainsEnough) {
  EXPECT_TRUE(Given(SceneOf("dp=2,m=2")).empty());
  EXPECT_TRUE(Given(SceneOf("pp=4,m=8"), {.least = 100}).empty());
}

TEST(Advice, GivesWhatLinksCost) {
  Scene scene = SceneOf("pp=2,m=1");
  scene.latency = 0.5;
  EXPECT_NEAR(Find(Given(scene), "messages that arrive at once").seconds, 1.0, kExact);  // there and back
}

}  // namespace
}  // namespace lockstep::stalls
