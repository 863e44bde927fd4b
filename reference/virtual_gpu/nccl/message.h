// A message from one rank to another, as either end runs it, over the lane between the two.
//
// A send ends when the receiver has taken all of it: NCCL promises no buffering, so a program that needs some hangs
// here always, and on GPUs sometimes. Messages of a pair match in order; the receiver finds the sender's description
// before the first byte and names the difference.
#pragma once

#include <cstdint>

#include "reference/virtual_gpu/nccl/operation.h"
#include "reference/virtual_gpu/nccl/region.h"

namespace lockstep::virtual_gpu::nccl {

class Message : public Operation {
 public:
  Message(Region& region, int rank, const Call& call);

  bool Done() const override { return done_; }
  bool Needs(int rank) const override { return !done_ && rank == call_.description.peer; }
  const Description& description() const override { return call_.description; }
  // Whether the next message of the pair may begin.
  virtual bool Through() const = 0;

 protected:
  std::int64_t left() const { return bytes_ - moved_; }

  Region& region_;
  int rank_;
  Call call_;
  Lane& lane_;
  std::int64_t bytes_, moved_ = 0;
  bool begun_ = false, done_ = false;
};

class Sending final : public Message {
 public:
  using Message::Message;
  bool Progress() override;
  bool Met() const override { return moved_ > kLane || done_; }
  bool Through() const override { return begun_ && left() == 0; }

 private:
  std::uint64_t end_ = 0;  // where in the lane the message ends, so far
};

class Receiving final : public Message {
 public:
  using Message::Message;
  bool Progress() override;
  bool Met() const override { return begun_; }
  bool Through() const override { return done_; }

 private:
  void Check(const Description& sent) const;
};

}  // namespace lockstep::virtual_gpu::nccl
