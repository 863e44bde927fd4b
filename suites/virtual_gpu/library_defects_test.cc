// Every planted misuse of cuBLAS and NCCL is caught in a process of its own, and the call is named.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "suites/virtual_gpu/child.h"

namespace lockstep::suites::virtual_gpu {
namespace {

using testing::AnyOf;
using testing::HasSubstr;
using testing::Not;

Outcome Plain(const std::string& defect, const Environment& environment = {}) {
  return RunProgram("virtual_gpu_defects", defect, environment);
}

TEST(PlantedLibraryDefects, AMismatchedCollectiveNamesBothRanks) {
  for (const char* const streams : {"eager", "lazy", "random"}) {
    const Outcome outcome = Plain("mismatched_collective", {{"LOCKSTEP_VIRTUAL_STREAMS", streams}});
    EXPECT_EQ(outcome.status, 3);
    EXPECT_THAT(outcome.text, HasSubstr("virtual NCCL: rank 0 of 2 called all-reduce of 256 float32, rank 1 called "
                                        "all-reduce of 128 float32\n"));
    EXPECT_THAT(outcome.text, HasSubstr("the all-reduce returned invalid usage"));
  }
}

TEST(PlantedLibraryDefects, AProductPastItsResultIsRefused) {
  const Outcome outcome = Plain("product_past_its_result");
  EXPECT_EQ(outcome.status, 3);
  EXPECT_THAT(outcome.text, HasSubstr("virtual cuBLAS: cublasSgemm: C has 1024 bytes, 1084 are needed\n"));
  EXPECT_THAT(outcome.text, HasSubstr("cublasSgemm returned CUBLAS_STATUS_INVALID_VALUE"));
}

TEST(PlantedLibraryDefects, AProductOfHostMemoryIsRefused) {
  const Outcome outcome = Plain("product_of_host_memory");
  EXPECT_EQ(outcome.status, 3);
  EXPECT_THAT(outcome.text, HasSubstr("virtual cuBLAS: cublasSgemm: A is host memory, device memory is needed\n"));
}

TEST(PlantedLibraryDefects, NothingIsSaidWithoutADefect) {
  const Outcome outcome = Plain("no_library_defect");
  EXPECT_EQ(outcome.status, 0);
  EXPECT_EQ(outcome.text, "nothing was noticed\n");
}

Outcome Thread(const std::string& defect) {
  return RunProgram("virtual_gpu_defects_thread", defect, {{"TSAN_OPTIONS", "halt_on_error=1"}});
}

TEST(PlantedLibraryDefects, ThreadSanitizerNamesAProductThatDoesNotWaitForAnother) {
  const Outcome outcome = Thread("product_without_wait");
  EXPECT_NE(outcome.status, 0);
  EXPECT_THAT(outcome.text, HasSubstr("ThreadSanitizer: data race"));
  EXPECT_THAT(outcome.text, HasSubstr("lockstep virtual GPU: cublasSgemm: in the report of ThreadSanitizer"));
}

TEST(PlantedLibraryDefects, ThreadSanitizerNamesAProductThatDoesNotWaitForACollective) {
  const Outcome outcome = Thread("collective_without_wait");
  EXPECT_NE(outcome.status, 0);
  EXPECT_THAT(outcome.text, HasSubstr("ThreadSanitizer: data race"));
  EXPECT_THAT(outcome.text, AnyOf(HasSubstr("lockstep virtual GPU: cublasSgemm: in the report of ThreadSanitizer"),
                                  HasSubstr("lockstep virtual GPU: ncclAllReduce: in the report of ThreadSanitizer")));
}

TEST(PlantedLibraryDefects, SanitizersAreSilentWithoutADefect) {
  const Outcome thread = Thread("no_library_defect");
  EXPECT_EQ(thread.status, 0) << thread.text;
  EXPECT_THAT(thread.text, Not(HasSubstr("ThreadSanitizer")));
  const Outcome address = RunProgram("virtual_gpu_defects_address", "no_library_defect");
  EXPECT_EQ(address.status, 0) << address.text;
}

}  // namespace
}  // namespace lockstep::suites::virtual_gpu
