// Runs requests in this process, a thread a rank, and compares what the ranks left.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "harness/protocol/evidence.h"
#include "reference/trainer/seams.h"

namespace lockstep::trainer::testing {

// Small workloads that hide nothing: odd sizes, uneven valid targets, a batch that divides by nothing.
protocol::Workload Gpt();  // 3 layers, tied, 3 heads, sgd
protocol::Workload Mlp();  // 5 layers of odd widths, squared error

// A request of this plan ("single" for one rank), with its schedule generated.
protocol::Request RequestOf(const protocol::Workload& workload, const std::string& plan);

// The same with these lines, one a pipeline rank, and where their stages stand ({}: stage s on rank s mod pipeline).
protocol::Request RequestOf(const protocol::Workload& workload, const std::string& plan,
                            const std::vector<std::string>& lines,
                            const std::vector<std::vector<std::int64_t>>& placement = {});

// Runs of one test, in a folder that goes with the object.
class Runs {
 public:
  Runs();
  ~Runs();
  const std::string& folder() const { return folder_; }
  // Makes the inputs, trains with the Kokkos backend's device, and reads the evidence back. Each name once.
  protocol::RunEvidence Run(const std::string& name, const protocol::Request& request, Seams& seams);
  protocol::RunEvidence Run(const std::string& name, const protocol::Request& request);

 private:
  std::string folder_;
};

// "" when every gradient, clipped gradient, parameter, state, loss and norm is the same to the byte, else what differs.
std::string FirstDifference(const protocol::RunEvidence& a, const protocol::RunEvidence& b,
                            std::int64_t first_step = 1);

// The largest |x - oracle| / |oracle| (Frobenius) over all tensors, losses and norms of all steps. NaN where any is.
double LargestError(const protocol::RunEvidence& run, const std::string& request_folder);

}  // namespace lockstep::trainer::testing
