// device::Communicator for device memory: elements over NCCL; host values and the headers of messages over MPI.
//
// The collectives of a group are one channel; so is every ordered pair of members that exchanges messages, so that a
// send never stands behind a receive that waits for somebody else. A channel (nccl_channel.h) is made by the first
// operation that needs it. A header arrives before the elements are asked for: crossed wires are told in the words of
// reference/mpi, and NCCL is never given two ends of different length. Sums are NCCL's: the same bytes on all members
// and in every run of one machine, in the order of its algorithm. A group of one needs no NCCL at all.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "reference/backends/cuda/nccl_channel.h"
#include "reference/backends/cuda/nccl_engine.h"
#include "reference/device/communicator.h"
#include "reference/mpi/mpi_communicator.h"

namespace lockstep::backends::cuda {

class NcclCommunicator final : public device::Communicator {
 public:
  // hosts: the same group over MPI. Collective over it.
  NcclCommunicator(std::shared_ptr<NcclEngine> engine, std::unique_ptr<mpi::MpiCommunicator> hosts);
  // Collective where channels were made: waits until the peers have ended theirs, unless an exception is on its way.
  ~NcclCommunicator() override;

  int Rank() const override { return hosts_->Rank(); }
  int Size() const override { return hosts_->Size(); }

  device::WorkHandle AllReduce(std::int64_t n, float* x, device::Reduction reduction) override;
  device::WorkHandle AllGather(std::span<const std::int64_t> counts, const float* part, float* whole) override;
  device::WorkHandle ReduceScatter(std::span<const std::int64_t> counts, const float* whole, float* part) override;
  device::WorkHandle Broadcast(std::int64_t n, float* x, int root) override;
  device::WorkHandle Send(std::int64_t n, const float* x, int peer, const device::Edge& edge) override;
  device::WorkHandle Receive(std::int64_t n, float* x, int peer, const device::Edge& edge) override;
  void SumOnHost(std::span<double> values) override { hosts_->SumOnHost(values); }
  void MaxOnHost(std::span<double> values) override { hosts_->MaxOnHost(values); }
  std::vector<std::string> GatherOnHost(const std::string& mine) override { return hosts_->GatherOnHost(mine); }
  void Barrier() override { hosts_->Barrier(); }
  void WatchForStrays(device::StrayObserver observer) override { hosts_->WatchForStrays(std::move(observer)); }
  std::unique_ptr<device::Communicator> Split(int color, int key) override;

 private:
  NcclChannel& Collectives();
  NcclChannel& Link(int from, int to);
  std::string RollCall(const std::string& operation);
  // Both on the compute stream, for groups of one.
  device::WorkHandle Copied(std::int64_t n, const float* from, float* to);

  std::shared_ptr<NcclEngine> engine_;
  std::unique_ptr<mpi::MpiCommunicator> hosts_;  // the program's thread's
  std::unique_ptr<mpi::MpiCommunicator> setup_;  // the same ranks: the channels' threads', and roll calls
  std::unique_ptr<NcclChannel> collectives_;
  std::map<std::pair<int, int>, std::unique_ptr<NcclChannel>> links_;  // by sender and receiver
};

}  // namespace lockstep::backends::cuda
