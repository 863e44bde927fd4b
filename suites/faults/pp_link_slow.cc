// pp.link_slow: Every activation is on its way for 30 ms more.
#include <chrono>
#include <memory>
#include <thread>
#include <utility>

#include "suites/faults/fault.h"
#include "suites/faults/forwarding_communicator.h"
#include "suites/faults/replace.h"

namespace lockstep::faults {
namespace {

constexpr std::chrono::milliseconds kLater{30};

class LateWork : public device::Work {
 public:
  explicit LateWork(device::WorkHandle inner) : inner_(std::move(inner)) {}
  void Wait() override {
    inner_->Wait();
    if (ended_ > 0) return;
    std::this_thread::sleep_for(kLater);
    ended_ = std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count();
  }
  std::int64_t EndedAt() override { return ended_; }
  void AwaitOwnWork() override { inner_->AwaitOwnWork(); }

 private:
  device::WorkHandle inner_;
  std::int64_t ended_ = 0;
};

class Slow : public ForwardingCommunicator {
 public:
  using ForwardingCommunicator::ForwardingCommunicator;
  device::WorkHandle Receive(std::int64_t n, float* x, int peer, const device::Edge& edge) override {
    return std::make_shared<LateWork>(ForwardingCommunicator::Receive(n, x, peer, edge));
  }
};

}  // namespace

extern const Fault fault_pp_link_slow;
const Fault fault_pp_link_slow{.name = "pp.link_slow",
                               .kind = "time",
                               .mechanism = "Every activation is on its way for 30 ms more.",
                               .met_in = "principle 8",
                               .case_id = "principle.8_idle_is_the_schedules/pp=2,micro_batches=4",
                               .check = "idle_is_the_schedules",
                               .step = 3,
                               .phase = "time",
                               .tensor = "",
                               .diagnosis = "most waited for: link from rank 0 to rank 1",
                               .make = Make<ReplaceGroup<trainer::GroupKind::kForwardLink, Slow>>};

}  // namespace lockstep::faults
