// The same defects in builds with sanitizers, which know the source line: each report also says whose it is.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "suites/virtual_gpu/child.h"

namespace lockstep::suites::virtual_gpu {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

Outcome Address(const std::string& defect) { return RunProgram("virtual_gpu_defects_address", defect); }
Outcome Thread(const std::string& defect, Environment environment = {}) {
  environment["TSAN_OPTIONS"] = "halt_on_error=1";
  return RunProgram("virtual_gpu_defects_thread", defect, environment);
}

std::string InKernels(const std::string& name) { return LineOf("kernel_defects.cu", name); }
std::string InStreams(const std::string& name) { return LineOf("stream_defects.cu", name); }

// --- AddressSanitizer and UndefinedBehaviorSanitizer

TEST(PlantedDefects, AddressSanitizerNamesTheLineOfAnAccessPastAnAllocation) {
  const Outcome outcome = Address("global_out_of_bounds");
  EXPECT_NE(outcome.status, 0);
  EXPECT_THAT(outcome.text, HasSubstr("kernel GlobalOutOfBounds, block (0, 0, 0), thread (100, 0, 0)"));
  EXPECT_THAT(outcome.text, ContainsRegex("#0 .* in GlobalOutOfBounds .*" + InKernels("global_out_of_bounds")));
}

TEST(PlantedDefects, AddressSanitizerNamesTheLineOfAUseAfterFree) {
  const Outcome outcome = Address("use_after_free_in_kernel");
  EXPECT_NE(outcome.status, 0);
  EXPECT_THAT(outcome.text, HasSubstr("kernel UsesHidden, block (0, 0, 0), thread (0, 0, 0)"));
  EXPECT_THAT(outcome.text, ContainsRegex("#0 .* in UsesHidden .*" + InKernels("use_after_free_in_kernel")));
}

TEST(PlantedDefects, UndefinedBehaviorSanitizerNamesTheLineOfAnIndexPastASharedArray) {
  const Outcome outcome = Address("shared_out_of_bounds");
  EXPECT_NE(outcome.status, 0);
  EXPECT_THAT(outcome.text, HasSubstr("kernel SharedOutOfBounds, block (0, 0, 0), thread (9, 0, 0)"));
  EXPECT_THAT(outcome.text, HasSubstr(InKernels("shared_out_of_bounds")));
  EXPECT_THAT(outcome.text, HasSubstr("index 9 out of bounds for type 'float [8]'"));
}

TEST(PlantedDefects, AddressSanitizerNamesTheLineOfAPointerPastASharedArray) {
  const Outcome outcome = Address("shared_out_of_bounds_by_pointer");
  EXPECT_NE(outcome.status, 0);
  EXPECT_THAT(outcome.text, HasSubstr("kernel SharedOutOfBoundsByPointer, block (0, 0, 0), thread (0, 0, 0)"));
  EXPECT_THAT(outcome.text, HasSubstr(InKernels("shared_out_of_bounds_by_pointer")));
}

TEST(PlantedDefects, AddressSanitizerNamesTheLineOfAnAccessPastDynamicSharedMemory) {
  const Outcome outcome = Address("dynamic_shared_out_of_bounds");
  EXPECT_NE(outcome.status, 0);
  EXPECT_THAT(outcome.text, HasSubstr("thread (32, 0, 0): access past the end of the block's 128 bytes"));
  EXPECT_THAT(outcome.text, HasSubstr(InKernels("dynamic_shared_out_of_bounds")));
}

TEST(PlantedDefects, AddressSanitizerNamesTheLineOfAHostAccess) {
  const Outcome outcome = Address("host_touches_device");
  EXPECT_NE(outcome.status, 0);
  EXPECT_THAT(outcome.text, HasSubstr("host access to device memory"));
  EXPECT_THAT(outcome.text, HasSubstr(InKernels("host_touches_device")));
}

TEST(PlantedDefects, AddressSanitizerIsSilentWithoutADefect) {
  const Outcome outcome = Address("no_defect");
  EXPECT_EQ(outcome.status, 0) << outcome.text;
}

// --- ThreadSanitizer

void ExpectRace(const Outcome& outcome, const std::string& kernel, const std::string& line) {
  EXPECT_NE(outcome.status, 0);
  EXPECT_THAT(outcome.text, HasSubstr("ThreadSanitizer: data race"));
  EXPECT_THAT(outcome.text, ContainsRegex("#0 " + kernel + " .*" + line));
  EXPECT_THAT(outcome.text, ContainsRegex("kernel " + kernel +
                                          ", block .[0-9]+, 0, 0., thread .[0-9]+, 0, 0.: in the "
                                          "report of ThreadSanitizer"));
}

TEST(PlantedDefects, ThreadSanitizerNamesTheLineAfterAMissingBarrier) {
  ExpectRace(Thread("missing_barrier"), "MissingBarrier", InKernels("missing_barrier"));
}

TEST(PlantedDefects, ThreadSanitizerNamesASumThatIsNotAtomic) {
  ExpectRace(Thread("non_atomic_sum"), "NonAtomicSum", InKernels("non_atomic_sum"));
}

TEST(PlantedDefects, ThreadSanitizerNamesASumOfBlocksThatIsNotAtomic) {
  ExpectRace(Thread("non_atomic_sum_of_blocks", {{"LOCKSTEP_VIRTUAL_WORKERS", "2"}}), "NonAtomicSumOfBlocks",
             InKernels("non_atomic_sum_of_blocks"));
}

TEST(PlantedDefects, ThreadSanitizerDoesNotTakeAShuffleForABarrier) {
  ExpectRace(Thread("missing_syncwarp"), "MissingSyncwarp", InKernels("missing_syncwarp"));
}

TEST(PlantedDefects, ThreadSanitizerNamesBothKernelsOfAMissingStreamWait) {
  const Outcome outcome = Thread("missing_stream_wait");
  EXPECT_THAT(outcome.text, HasSubstr("ThreadSanitizer: data race"));
  EXPECT_THAT(outcome.text, ContainsRegex("#0 Consume .*" + InStreams("missing_stream_wait")));
  EXPECT_THAT(outcome.text, ContainsRegex("#0 Produce .*stream_defects.cu"));
}

TEST(PlantedDefects, ThreadSanitizerNamesAHostThatReadsACopyTooSoon) {
  const Outcome outcome = Thread("copy_without_wait");
  EXPECT_THAT(outcome.text, HasSubstr("ThreadSanitizer: data race"));
  EXPECT_THAT(outcome.text, ContainsRegex("#0 CopyWithoutWait .*" + InStreams("copy_without_wait")));
}

TEST(PlantedDefects, ThreadSanitizerNamesAHostThatOverwritesWhatIsCopied) {
  const Outcome outcome = Thread("overwrites_what_is_copied");
  EXPECT_THAT(outcome.text, HasSubstr("ThreadSanitizer: data race"));
  EXPECT_THAT(outcome.text, ContainsRegex("#0 OverwritesWhatIsCopied .*" + InStreams("overwrites_what_is_copied")));
}

TEST(PlantedDefects, ThreadSanitizerIsSilentWithoutADefect) {
  for (const char* const streams : {"eager", "lazy", "random"}) {
    const Outcome outcome = Thread("no_defect", {{"LOCKSTEP_VIRTUAL_STREAMS", streams}});
    EXPECT_EQ(outcome.status, 0) << outcome.text;
    EXPECT_THAT(outcome.text, Not(HasSubstr("ThreadSanitizer")));
  }
}

}  // namespace
}  // namespace lockstep::suites::virtual_gpu
