// Every planted defect is caught in a process of its own, and named: kernel, block and thread, or call, and the line.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "suites/virtual_gpu/child.h"

namespace lockstep::suites::virtual_gpu {
namespace {

using testing::AnyOf;
using testing::ContainsRegex;
using testing::HasSubstr;

Outcome Plain(const std::string& defect, const Environment& environment = {}) {
  return RunProgram("virtual_gpu_defects", defect, environment);
}

std::string InKernels(const std::string& name) { return LineOf("kernel_defects.cu", name); }

TEST(PlantedDefects, AKernelThatCallsTheRuntimeIsNamedWithItsThread) {
  const Outcome outcome = Plain("runtime_call_in_kernel");
  EXPECT_EQ(outcome.status, -SIGABRT);
  EXPECT_THAT(outcome.text, HasSubstr("kernel CallsTheRuntime, block (0, 0, 0), thread (5, 0, 0): a kernel calls the "
                                      "runtime's host side"));
}

// --- Threads that meet. No sanitizer is needed.

TEST(PlantedDefects, ADivergentBarrierIsNamedWithBothItsThreads) {
  const Outcome outcome = Plain("divergent_barrier");
  EXPECT_EQ(outcome.status, -SIGABRT);
  EXPECT_THAT(outcome.text,
              HasSubstr("kernel DivergentBarrier, block (0, 0, 0), thread (100, 0, 0): divergent barrier"));
  EXPECT_THAT(outcome.text, HasSubstr("thread (0, 0, 0) at that of " + InKernels("divergent_barrier")));
}

TEST(PlantedDefects, ADivergentBarrierIsNamedInReverseOrderToo) {
  const Outcome outcome = Plain("divergent_barrier", {{"LOCKSTEP_VIRTUAL_ORDER", "reverse"}});
  EXPECT_EQ(outcome.status, -SIGABRT);
  EXPECT_THAT(outcome.text, HasSubstr("block (0, 1, 0), thread (99, 0, 0): divergent barrier: this thread is at the "
                                      "barrier of " +
                                      InKernels("divergent_barrier")));
}

TEST(PlantedDefects, ABarrierThatWaitsForShufflingThreadsIsADeadlock) {
  const Outcome outcome = Plain("barrier_against_shuffle");
  EXPECT_EQ(outcome.status, -SIGABRT);
  EXPECT_THAT(outcome.text, HasSubstr("thread (48, 0, 0): deadlock: 16 threads wait in warp operations (this one at " +
                                      InKernels("barrier_against_shuffle")));
  EXPECT_THAT(outcome.text, HasSubstr("48 at a divergent barrier (thread (0, 0, 0) at kernel_defects.cu"));
}

TEST(PlantedDefects, AMaskThatLeavesItsCallerOutIsNamed) {
  const Outcome outcome = Plain("mask_leaves_lane_out");
  EXPECT_EQ(outcome.status, -SIGABRT);
  EXPECT_THAT(outcome.text, HasSubstr("thread (16, 0, 0): lane 16 calls a shuffle (" +
                                      InKernels("mask_leaves_lane_out") + ") with mask 0x0000ffff"));
}

TEST(PlantedDefects, AMaskOfLanesThatHaveEndedIsNamed) {
  const Outcome outcome = Plain("mask_names_ended_lanes");
  EXPECT_EQ(outcome.status, -SIGABRT);
  EXPECT_THAT(outcome.text, HasSubstr("lane 16 calls a shuffle (" + InKernels("mask_names_ended_lanes") +
                                      ") with mask 0xffffffff, but its lanes 0x0000ffff have ended"));
}

TEST(PlantedDefects, ALaneThatEndsWhileOthersWaitForItIsNamed) {
  const Outcome outcome = Plain("lane_ends_while_others_wait");
  EXPECT_EQ(outcome.status, -SIGABRT);
  EXPECT_THAT(outcome.text, HasSubstr("thread (16, 0, 0): lane 16 ends while lanes 0x0000ffff wait for it"));
  EXPECT_THAT(outcome.text, HasSubstr(InKernels("lane_ends_while_others_wait")));
}

TEST(PlantedDefects, AReadOfALaneThatTheBlockDoesNotHaveIsNamed) {
  const Outcome outcome = Plain("reads_absent_lane");
  EXPECT_EQ(outcome.status, -SIGABRT);
  EXPECT_THAT(outcome.text, HasSubstr("thread (8, 0, 0): lane 8 reads lane 24 in a shuffle (" +
                                      InKernels("reads_absent_lane") + "), and that lane is absent"));
}

TEST(PlantedDefects, AReadOfALaneOutsideTheMaskIsNamed) {
  const Outcome outcome = Plain("reads_lane_outside_mask");
  EXPECT_EQ(outcome.status, -SIGABRT);
  EXPECT_THAT(outcome.text, HasSubstr("thread (0, 0, 0): lane 0 reads lane 9 in a shuffle (" +
                                      InKernels("reads_lane_outside_mask") + ")"));
}

TEST(PlantedDefects, LanesInDifferentOperationsAreNamed) {
  const Outcome outcome = Plain("mixed_operations");
  EXPECT_EQ(outcome.status, -SIGABRT);
  EXPECT_THAT(outcome.text, HasSubstr("lane 1 calls a vote (" + InKernels("mixed_operations") + ")"));
}

TEST(PlantedDefects, ATrapNamesItsThread) {
  const Outcome outcome = Plain("trap");
  EXPECT_EQ(outcome.status, -SIGABRT);
  EXPECT_THAT(outcome.text, HasSubstr("kernel Traps, block (0, 0, 0), thread (7, 0, 0): __trap() (kernel_defects.cu:"));
}

// --- Memory, without a sanitizer

TEST(PlantedDefects, AWritePastTheEndIsFoundAtTheNextSynchronisation) {
  const Outcome outcome = Plain("global_out_of_bounds");
  EXPECT_EQ(outcome.status, -SIGABRT);
  EXPECT_THAT(outcome.text, ContainsRegex("device 0: something wrote [0-9]+ bytes past the end of the 400 bytes at"));
}

TEST(PlantedDefects, AnAccessFarPastTheEndNamesItsThread) {
  const Outcome outcome = Plain("global_far_out_of_bounds");
  EXPECT_EQ(outcome.status, -SIGSEGV);
  EXPECT_THAT(outcome.text, HasSubstr("kernel GlobalFarOutOfBounds, block (0, 0, 0), thread (5, 0, 0): access to"));
  EXPECT_THAT(outcome.text, HasSubstr("4096 bytes past the end of the 4194304 bytes at"));
}

TEST(PlantedDefects, AnAccessPastDynamicSharedMemoryNamesItsThread) {
  const Outcome outcome = Plain("dynamic_shared_out_of_bounds");
  EXPECT_EQ(outcome.status, -SIGSEGV);
  EXPECT_THAT(outcome.text,
              HasSubstr("thread (32, 0, 0): access past the end of the block's 128 bytes of dynamic shared"));
}

TEST(PlantedDefects, AFreedPointerGivenToAKernelIsAnIllegalAddress) {
  const Outcome outcome = Plain("use_after_free");
  EXPECT_EQ(outcome.status, 3);
  EXPECT_THAT(outcome.text,
              ContainsRegex("kernel Uses: argument 0, 0x[0-9a-f]+, is inside the 256 bytes .* were freed"));
  EXPECT_THAT(outcome.text, HasSubstr("cudaErrorIllegalAddress"));
}

TEST(PlantedDefects, AKernelInAFreedLargeBlockFaultsAndNamesItsThread) {
  const Outcome outcome = Plain("use_after_free_of_large");
  EXPECT_EQ(outcome.status, -SIGSEGV);
  EXPECT_THAT(outcome.text,
              ContainsRegex("kernel UsesHidden, block .0, 0, 0., thread .0, 0, 0.: access to .* were freed"));
}

TEST(PlantedDefects, AKernelsStackOverflowNamesItsThread) {
  const Outcome outcome = Plain("stack_overflow");
  EXPECT_EQ(outcome.status, -SIGSEGV);
  EXPECT_THAT(outcome.text,
              HasSubstr("kernel StackOverflow, block (0, 0, 0), thread (3, 0, 0): kernel stack overflow"));
}

TEST(PlantedDefects, AHostThatTouchesDeviceMemoryIsTold) {
  const Outcome outcome = Plain("host_touches_device");
  EXPECT_EQ(outcome.status, -SIGSEGV);
  EXPECT_THAT(outcome.text, ContainsRegex("host access to device memory at 0x[0-9a-f]+ .inside the 256 bytes .*"
                                          "copy it with cudaMemcpy"));
}

TEST(PlantedDefects, APageableHostPointerGivenToAKernelIsAnIllegalAddress) {
  const Outcome outcome = Plain("host_pointer_to_kernel");
  EXPECT_EQ(outcome.status, 3);
  EXPECT_THAT(outcome.text, ContainsRegex("kernel Uses: argument 0, 0x[0-9a-f]+, is host memory that is not pinned"));
}

TEST(PlantedDefects, CopiesThatDoNotFitAreRefusedWithTheirRange) {
  for (const auto& [defect, words] : Environment{{"copy_of_freed", "were freed"},
                                                 {"copy_too_long", "1028 bytes at"},
                                                 {"copy_of_wrong_kind", "is memory of the host"}}) {
    const Outcome outcome = Plain(defect);
    EXPECT_EQ(outcome.status, 3) << defect;
    EXPECT_THAT(outcome.text, HasSubstr("lockstep virtual GPU: cudaMemcpy: the ")) << defect;
    EXPECT_THAT(outcome.text, HasSubstr(words)) << defect;
    EXPECT_THAT(outcome.text, HasSubstr("cudaErrorInvalidValue")) << defect;
  }
}

// --- Order between streams

TEST(PlantedDefects, AMissingStreamWaitGivesOtherBytesInLazyMode) {
  const Outcome outcome = Plain("missing_stream_wait", {{"LOCKSTEP_VIRTUAL_STREAMS", "lazy"}});
  EXPECT_EQ(outcome.status, 4);
  EXPECT_THAT(outcome.text, HasSubstr("wrong result: element 0"));
}

TEST(PlantedDefects, AMissingStreamWaitGivesOtherBytesForSomeSeedInRandomMode) {
  int wrong = 0;
  for (int seed = 1; seed <= 8; ++seed) {
    const Outcome outcome = Plain("missing_stream_wait", {{"LOCKSTEP_VIRTUAL_STREAMS", "random"},
                                                          {"LOCKSTEP_VIRTUAL_SEED", std::to_string(seed)}});
    EXPECT_THAT(outcome.status, AnyOf(0, 4));
    wrong += outcome.status == 4 ? 1 : 0;
  }
  EXPECT_GT(wrong, 0);
}

TEST(PlantedDefects, ACopyThatIsReadTooSoonIsStillFreshInLazyMode) {
  const Outcome outcome = Plain("copy_without_wait", {{"LOCKSTEP_VIRTUAL_STREAMS", "lazy"}});
  EXPECT_THAT(outcome.text, ContainsRegex("the sum is -?nan"));
}

TEST(PlantedDefects, TheSameProgramWithItsWaitIsRightInEveryMode) {
  for (const char* const streams : {"eager", "lazy", "random"}) {
    for (const char* const seed : {"1", "2", "3", "4", "5"}) {
      const Outcome outcome =
          Plain("no_defect", {{"LOCKSTEP_VIRTUAL_STREAMS", streams}, {"LOCKSTEP_VIRTUAL_SEED", seed}});
      EXPECT_EQ(outcome.status, 0) << streams << " " << seed << ": " << outcome.text;
    }
  }
}

}  // namespace
}  // namespace lockstep::suites::virtual_gpu
