// Causes that can be computed: a table of hypotheses, each of which predicts the loss or the gradients that a known
// fault gives, so that a failure is told by its cause and not by its size.
//
// A hypothesis is a row: name, phase, words and a predictor over Replay. A predictor may give several predictions (one
// for each replica or micro-batch that could be the culprit). Explain() takes the one that leaves least of the
// difference and names it only when what it leaves is noise (tolerance.h: Explains). To add one: a row in hypotheses.cc
// (how micro-batches are added up) or in model_hypotheses.cc (what the model computes).
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "harness/checks/support/replay.h"

namespace lockstep::checks {

struct Prediction {
  std::optional<double> loss;
  oracle::Values gradients;                  // empty: not predicted
  std::int64_t data = -1, micro_batch = -1;  // whom it accuses
  std::string figures;                       // added to the words
  bool of_a_link = false;                    // the gradients are those of the stages behind some link of the pipeline
};

struct Hypothesis {
  std::string name;
  std::string phase;  // where such a fault first shows
  std::string words;
  std::function<std::vector<Prediction>(const Replay&)> predict;
};

std::vector<Hypothesis> AccumulationHypotheses();  // how micro-batches and replicas are added up
std::vector<Hypothesis> ModelHypotheses();         // what a layer or the loss computes

// What was seen of one gradient: a slice of it, by the rank that holds it, or the whole.
struct Observed {
  std::string parameter;
  protocol::Slice slice;
  std::vector<double> values;
};

struct Explanation {
  std::string name, phase, words;  // words with figures
  std::int64_t data = -1, micro_batch = -1;
  std::int64_t stage = -1;  // into which the accused link leads
  double residual = 0;      // |observed - predicted| / |right|
};

// The best explanation of gradients that differ (ExplainLoss: of the loss alone, where they tell the link); nullopt
// when none fits.
std::optional<Explanation> Explain(const Replay& replay, const std::vector<Observed>& gradients, double typical_noise);
std::optional<Explanation> ExplainLoss(const Replay& replay, double loss, const std::vector<Observed>& gradients,
                                       double typical_noise);

}  // namespace lockstep::checks
