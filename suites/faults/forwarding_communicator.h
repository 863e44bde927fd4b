// A communicator that passes every call on; a fault overrides the one that it gets wrong.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "reference/device/communicator.h"

namespace lockstep::faults {

class ForwardingCommunicator : public device::Communicator {
 public:
  explicit ForwardingCommunicator(device::Communicator& inner) : inner_(&inner) {}
  explicit ForwardingCommunicator(std::unique_ptr<device::Communicator> inner)
      : owned_(std::move(inner)), inner_(owned_.get()) {}

  int Rank() const override { return inner_->Rank(); }
  int Size() const override { return inner_->Size(); }
  device::WorkHandle AllReduce(std::int64_t n, float* x, device::Reduction reduction) override {
    return inner_->AllReduce(n, x, reduction);
  }
  device::WorkHandle AllGather(std::span<const std::int64_t> counts, const float* part, float* whole) override {
    return inner_->AllGather(counts, part, whole);
  }
  device::WorkHandle ReduceScatter(std::span<const std::int64_t> counts, const float* whole, float* part) override {
    return inner_->ReduceScatter(counts, whole, part);
  }
  device::WorkHandle Broadcast(std::int64_t n, float* x, int root) override { return inner_->Broadcast(n, x, root); }
  device::WorkHandle Send(std::int64_t n, const float* x, int peer, const device::Edge& edge) override {
    return inner_->Send(n, x, peer, edge);
  }
  device::WorkHandle Receive(std::int64_t n, float* x, int peer, const device::Edge& edge) override {
    return inner_->Receive(n, x, peer, edge);
  }
  void SumOnHost(std::span<double> values) override { inner_->SumOnHost(values); }
  void MaxOnHost(std::span<double> values) override { inner_->MaxOnHost(values); }
  std::vector<std::string> GatherOnHost(const std::string& mine) override { return inner_->GatherOnHost(mine); }
  void Barrier() override { inner_->Barrier(); }
  std::unique_ptr<device::Communicator> Split(int color, int key) override { return inner_->Split(color, key); }

 private:
  std::unique_ptr<device::Communicator> owned_;
  device::Communicator* inner_;
};

// Work that is done when it is made.
class NoWork : public device::Work {
 public:
  void Wait() override {}
  bool Done() override { return true; }
};

// Work that is known later: a message that waits for another one.
class LaterWork : public device::Work {
 public:
  void Wait() override {
    if (work) work->Wait();
  }
  bool Done() override { return work && work->Done(); }
  device::WorkHandle work;
};

// Sums and maxima that never happen.
class NoAllReduce : public ForwardingCommunicator {
 public:
  using ForwardingCommunicator::ForwardingCommunicator;
  device::WorkHandle AllReduce(std::int64_t, float*, device::Reduction) override { return std::make_shared<NoWork>(); }
};

}  // namespace lockstep::faults
