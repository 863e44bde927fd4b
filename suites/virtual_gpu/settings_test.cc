// The environment's settings: what is taken, and that a wrong value ends the process with one clear line.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "suites/virtual_gpu/child.h"

namespace lockstep::suites::virtual_gpu {
namespace {

using testing::HasSubstr;

Outcome With(const std::string& name, const std::string& value) {
  return RunProgram("virtual_gpu_defects", "no_defect", {{name, value}});
}

TEST(Settings, AreRefusedWithWhatWouldBeRight) {
  const std::map<std::string, std::pair<std::string, std::string>> wrong{
      {"LOCKSTEP_VIRTUAL_DEVICES", {"many", "must be a whole number from 0 to 256"}},
      {"LOCKSTEP_VIRTUAL_MEMORY_BYTES", {"2GiB", "must be a whole number from 1 to"}},
      {"LOCKSTEP_VIRTUAL_ORDER", {"sideways", "must be one of forward, reverse, random"}},
      {"LOCKSTEP_VIRTUAL_STREAMS", {"", "must be one of eager, lazy, random"}},
      {"LOCKSTEP_VIRTUAL_SEED", {"-1", "must be a whole number from 0 to"}},
      {"LOCKSTEP_VIRTUAL_WORKERS", {"0", "must be a whole number from 1 to 64"}},
  };
  for (const auto& [name, value] : wrong) {
    const Outcome outcome = With(name, value.first);
    EXPECT_EQ(outcome.status, 2) << name;
    EXPECT_THAT(outcome.text,
                HasSubstr("lockstep virtual GPU: " + name + " is \"" + value.first + "\": it " + value.second));
  }
}

TEST(Settings, OfNoDeviceLeaveNone) {
  const Outcome outcome = With("LOCKSTEP_VIRTUAL_DEVICES", "0");
  EXPECT_EQ(outcome.status, 3);
  EXPECT_THAT(outcome.text, HasSubstr("cudaErrorNoDevice"));
}

TEST(Settings, OfASmallCapacityEndInOutOfMemory) {
  const Outcome outcome = With("LOCKSTEP_VIRTUAL_MEMORY_BYTES", "1024");
  EXPECT_EQ(outcome.status, 3);
  EXPECT_THAT(outcome.text, HasSubstr("cudaMalloc returned cudaErrorMemoryAllocation"));
}

}  // namespace
}  // namespace lockstep::suites::virtual_gpu
