// The messages between stages in one step: receives posted early, results passed on, buffers held until they have left.
//
// Cannot deadlock under any schedule that can be run at all: a receive is posted together with all that its link
// carries before it, in the order of the sender's line; messages of different pairs of ranks are independent of each
// other; sends never block. Two stages on one rank hand over without a message, and nothing is sent where a micro-batch
// has no rows. Each message carries its edge, so that a crossed wire is an error and not a wrong gradient.
#pragma once

#include <deque>
#include <map>
#include <tuple>
#include <vector>

#include "reference/trainer/model/stage.h"

namespace lockstep::trainer {

// What a stage waits for: its input, or the gradient of its output.
struct Need {
  std::int64_t stage = 0, micro_batch = 0;
  bool backward = false;
  bool operator==(const Need&) const = default;
  bool operator<(const Need& other) const {
    return std::tie(stage, micro_batch, backward) < std::tie(other.stage, other.micro_batch, other.backward);
  }
};

class Transfers {
 public:
  // `stages` of this rank, for the widths of what they exchange.
  Transfers(const RankContext& context, const std::vector<Stage>& stages);

  // The micro-batches must stay until Finish.
  void Begin(const std::vector<MicroBatch>& micro_batches);
  // Posts the receive of `need`, if it comes by a link and is not posted yet.
  void Expect(const Need& need);
  // Waits for it; nothing where nothing is to come.
  Activations Take(const Need& need);
  // Hands a result of `source` on to the stage that needs it.
  void Pass(std::int64_t source, const Need& target, Activations payload);
  // Frees what has left; what `target` has answered for certainly has.
  void Release(const Need& answered);
  // Waits for what is still on its way out.
  void Finish();

 private:
  struct Incoming {
    const Link* link = nullptr;
    std::size_t posted = 0;
  };
  struct Message {
    Need need;
    Activations payload;
    device::WorkHandle work;
  };
  struct Place {
    std::size_t incoming = 0, position = 0;
  };

  std::int64_t WidthOf(const Need& need) const;
  const MicroBatch& BatchOf(const Need& need) const {
    return (*micro_batches_)[static_cast<std::size_t>(need.micro_batch)];
  }
  device::Communicator& GroupOf(const Need& need) const {
    return need.backward ? *context_.groups.backward : *context_.groups.forward;
  }
  device::Edge EdgeOf(std::int64_t source, const Need& need) const;
  void Post(Incoming& incoming);

  const RankContext& context_;
  const std::vector<Stage>& stages_;
  const std::vector<MicroBatch>* micro_batches_ = nullptr;
  std::vector<Incoming> incoming_;
  std::map<Need, Place> places_;  // of what comes by a link
  std::map<Need, Message> arriving_;
  std::deque<Message> sent_;
};

}  // namespace lockstep::trainer
