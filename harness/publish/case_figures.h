// The figures that a record's case holds as JSON, as numbers again. Records of other versions are read: what is missing
// or of another type counts as absent.
#pragma once

#include <string>
#include <vector>

#include "harness/protocol/record.h"
#include "harness/publish/figures.h"

namespace lockstep::publish {

// Figures may be published: the case passed (an expected failure's numbers are wrong, too).
bool HasFigures(const protocol::CaseResult& result);

std::vector<RankFigures> RanksOf(const protocol::CaseResult& result);

// All samples of a measure, warm-up with them; empty where the case has none.
std::vector<double> SamplesOf(const protocol::CaseResult& result, const std::string& measure);

// Median of a measure without its warm-up; NaN where the case has none.
double MedianOf(const protocol::CaseResult& result, const std::string& measure);

}  // namespace lockstep::publish
