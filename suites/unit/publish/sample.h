// A record with one of everything, for the tests: every status, hostile names, figures of known size.
#pragma once

#include "harness/protocol/record.h"
#include "harness/publish/figures.h"

namespace lockstep::publish {

// What a trainer under test might call things: markup, control characters, bytes that are no UTF-8.
inline constexpr const char* kHostile = "<script>alert(\"1\")</script> & | `x` \x1b[31m\x01\xff\xc3(";

protocol::CaseResult PassingCase(const std::string& name, const std::string& plan);
protocol::Record PassingRecord();  // 3 profiles, all hold
protocol::Record SampleRecord();   // 3 profiles, every status, hostile words
TrainSummary SampleTrain();        // dp=1, pp=2, 4 steps

}  // namespace lockstep::publish
