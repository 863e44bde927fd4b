// Pauses that the request asks of this rank, made by sleeping: more ranks than cores still tell the truth.
#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "harness/protocol/request.h"

namespace lockstep::trainer {

class Delays {
 public:
  Delays(const std::vector<protocol::Delay>& all, std::int64_t rank) {
    for (const protocol::Delay& delay : all) {
      if (delay.rank == rank) mine_.push_back(delay);
    }
  }
  // `operation` as in protocol::DelayOperations(); micro_batch -1: it has none.
  void Sleep(std::string_view operation, std::int64_t step, std::int64_t micro_batch = -1) const {
    for (const protocol::Delay& delay : mine_) {
      const bool here = delay.operation == operation && (delay.step == 0 || delay.step == step) &&
                        (delay.micro_batch < 0 || delay.micro_batch == micro_batch);
      if (here) std::this_thread::sleep_for(std::chrono::duration<double>(delay.seconds));
    }
  }

 private:
  std::vector<protocol::Delay> mine_;
};

}  // namespace lockstep::trainer
