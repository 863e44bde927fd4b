// Matchers for verdicts.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "suites/unit/checks/scene.h"

namespace lockstep::checks {

inline void ExpectPass(const protocol::CheckResult& r) {
  EXPECT_EQ(r.status, protocol::Status::kPass)
      << r.check << ": " << r.diagnosis << " (" << r.measured << " of " << r.bound << ")";
  EXPECT_GT(r.compared, 0) << r.check;
}

// A failure whose first divergence is at this step and phase, and whose diagnosis holds these words.
inline void ExpectFail(const protocol::CheckResult& r, std::int64_t step, const std::string& phase,
                       const std::string& words) {
  ASSERT_EQ(r.status, protocol::Status::kFail) << r.check << ": measured " << r.measured << " of " << r.bound;
  EXPECT_THAT(r.diagnosis, testing::HasSubstr(words)) << r.check;
  ASSERT_TRUE(r.first_divergence.has_value()) << r.check << ": " << r.diagnosis;
  EXPECT_EQ(r.first_divergence->step, step) << r.diagnosis;
  EXPECT_EQ(r.first_divergence->phase, phase) << r.diagnosis;
}

// Bad evidence: no divergence, but a reason.
inline void ExpectRefused(const protocol::CheckResult& r, const std::string& words) {
  ASSERT_EQ(r.status, protocol::Status::kFail) << r.check;
  EXPECT_THAT(r.diagnosis, testing::HasSubstr(words)) << r.check;
}

}  // namespace lockstep::checks
