// The words that the table, junit.xml and summary.md share: one check's figures, a case's failure, a case's groups.
#pragma once

#include <string>
#include <vector>

#include "harness/protocol/plan.h"
#include "harness/protocol/record.h"

namespace lockstep::publish {

enum class Outcome { kHolds, kBroken, kNotRun };  // broken: fail, error, timeout, xpass
Outcome OutcomeOf(protocol::Status status);

// The check that the table shows: the deciding one, or the first; null where there is none.
const protocol::CheckResult* DecidingCheck(const protocol::CaseResult& result);

// The classes that a case shows, strictest first: "B1+T" where it holds to the last bit and near the oracle, the
// deciding check's where it does not hold, "-" where it was not run.
std::string ClassesOf(const protocol::CaseResult& result);

std::string CaseName(const protocol::CaseResult& result);  // id without its plan: "dp.uneven_tokens"

// "step 1, reduction, tensor h.0.attn.qkv.weight, rank 1, micro-batch 2"
std::string DivergenceWords(const protocol::Divergence& divergence);

// What is to be said of a broken case, a line an entry: figures, first divergence, alpha and rho, diagnosis, the other
// checks that failed, ranks that ended badly with the tail of their standard error.
std::vector<std::string> FailureWords(const protocol::CaseResult& result);

// "switched on: fault tp.row_bias_times_tp (tensor): ..."
std::string FaultWords(const protocol::Fault& fault);

// The plan of a case; a plan of one rank where its text can't be read.
protocol::Plan PlanOf(const protocol::CaseResult& result);

}  // namespace lockstep::publish
