// Layers whose tensor ranks believe that they reduce.
#pragma once

#include <memory>

#include "suites/faults/forwarding_communicator.h"
#include "suites/faults/replace.h"

namespace lockstep::faults {

// Gives layers the same group without its all-reduces. Lives as long as the factory of the layers.
class Silenced {
 public:
  trainer::LinearSpec operator()(trainer::LinearSpec spec) {
    if (spec.group == nullptr) return spec;
    if (!silent_) silent_ = std::make_unique<NoAllReduce>(*spec.group);
    spec.group = silent_.get();
    return spec;
  }

 private:
  std::unique_ptr<NoAllReduce> silent_;
};

}  // namespace lockstep::faults
