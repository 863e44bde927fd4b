// Operations as causes: which pieces of work are whose, and what each cost.
#pragma once

#include <vector>

#include "harness/stalls/attribution.h"
#include "harness/stalls/compare.h"

namespace lockstep::stalls {

enum class Scope { kOfStep, kOfRun };  // a straggler is of one step, imbalance of all

class CauseTable {
 public:
  CauseTable(const Tracks& tracks, Scope scope);

  const std::vector<std::vector<CauseId>>& pieces() const { return pieces_; }  // [rank][piece]
  std::size_t size() const { return operations_.size(); }
  const Operation& operator[](CauseId id) const { return operations_[static_cast<std::size_t>(id)]; }

  // The category of a wait for this cause.
  Category ReasonOf(CauseId id) const { return reasons_[static_cast<std::size_t>(id)]; }

  // What each of them took longer in `second` than in `first`, cost, and made others wait; most costly first. Of a
  // whole run as averages a step. Less than `least` seconds are left out.
  std::vector<Cause> Causes(const Tracks& tracks, const PieceSeconds& first, const PieceSeconds& second,
                            const Comparison& comparison, const std::vector<double>& others_waited, double least) const;

 private:
  Scope scope_;
  std::vector<Operation> operations_;
  std::vector<Category> reasons_;
  std::vector<std::vector<CauseId>> pieces_;
};

}  // namespace lockstep::stalls
