// dp.devices_out_of_order: What ranks gather comes in another order than theirs, and so do the devices.
#include <algorithm>
#include <string>
#include <vector>

#include "suites/faults/fault.h"
#include "suites/faults/forwarding_communicator.h"
#include "suites/faults/replace.h"

namespace lockstep::faults {
namespace {

class LastRankFirst : public ForwardingCommunicator {
 public:
  using ForwardingCommunicator::ForwardingCommunicator;
  std::vector<std::string> GatherOnHost(const std::string& mine) override {
    std::vector<std::string> all = ForwardingCommunicator::GatherOnHost(mine);
    std::reverse(all.begin(), all.end());
    return all;
  }
};

}  // namespace

extern const Fault fault_dp_devices_out_of_order;
const Fault fault_dp_devices_out_of_order{
    .name = "dp.devices_out_of_order",
    .kind = "data",
    .mechanism = "What ranks gather comes in another order than theirs, and so do the devices.",
    .met_in = "nccl#1906",
    .case_id = "principle.5_devices/dp=2",
    .check = "devices_in_order",
    .step = 0,
    .phase = "plan",
    .tensor = "",
    .diagnosis = "devices [1, 0], asked for [0, 1]",
    .make = Make<ReplaceGroup<trainer::GroupKind::kWorld, LastRankFirst>>};

}  // namespace lockstep::faults
