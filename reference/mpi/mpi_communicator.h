// device::Communicator over MPI point-to-point messages, run by the rank's MessageEngine.
//
// The collectives are our own: each element is added in rank order on the one rank that owns it and then copied to the
// others, so all members get the same bytes whatever MPI's algorithms are. A group is a list of ranks of the world and
// an id that its tags are made of; making one needs no MPI communicator, so nothing here ever blocks inside MPI.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "reference/device/communicator.h"
#include "reference/device/message.h"
#include "reference/mpi/message_engine.h"

namespace lockstep::mpi {

class MpiCommunicator final : public device::Communicator {
 public:
  // members: ranks of the world in the group's order; id: the same on all members, and of no other group of any two of
  // them.
  MpiCommunicator(std::shared_ptr<MessageEngine> engine, std::vector<int> members, int id);

  int Rank() const override { return rank_; }
  int Size() const override { return static_cast<int>(members_.size()); }

  device::WorkHandle AllReduce(std::int64_t n, float* x, device::Reduction reduction) override;
  device::WorkHandle AllGather(std::span<const std::int64_t> counts, const float* part, float* whole) override;
  device::WorkHandle ReduceScatter(std::span<const std::int64_t> counts, const float* whole, float* part) override;
  device::WorkHandle Broadcast(std::int64_t n, float* x, int root) override;
  device::WorkHandle Send(std::int64_t n, const float* x, int peer, const device::Edge& edge) override;
  device::WorkHandle Receive(std::int64_t n, float* x, int peer, const device::Edge& edge) override;
  void SumOnHost(std::span<double> values) override;
  void MaxOnHost(std::span<double> values) override;
  std::vector<std::string> GatherOnHost(const std::string& mine) override;
  void Barrier() override;
  void WatchForStrays(device::StrayObserver observer) override { engine_->WatchForStrays(std::move(observer)); }
  std::unique_ptr<device::Communicator> Split(int color, int key) override;

  // For a backend whose elements travel another way and whose headers and host values travel here.
  // Announce and Expect: the header of a message alone, in the order of Send and Receive. What Expect starts ends when
  // the peer has announced this message, with "link crossed: ..." when it has announced another.
  std::shared_ptr<Operation> Announce(const device::MessageHeader& message, int peer);
  std::shared_ptr<Operation> Expect(const device::MessageHeader& message, int peer);
  std::unique_ptr<MpiCommunicator> SplitGroup(int color, int key);  // Split
  // GatherOnHost with a deadline of its own: who does not answer within it is named by the error.
  std::vector<std::string> RollCall(const std::string& mine, std::chrono::milliseconds deadline);
  std::string MemberName(int member) const;         // "member 1 (rank 3 of the world)"
  std::string GroupName() const;                    // "group 5 of 2 ranks"
  std::string Name(const std::string& what) const;  // "rank 0: all-reduce of 3 elements in group 5 of 2 ranks"
  int World(int member) const { return members_[static_cast<std::size_t>(member)]; }

 private:
  // What one message is for: part of its tag.
  enum class Purpose { kCollective, kHeader, kPayload };
  static constexpr int kPurposes = 3;

  int Tag(Purpose purpose) const { return id_ * kPurposes + static_cast<int>(purpose); }
  std::shared_ptr<Operation> New(const std::string& what) const;
  device::WorkHandle StartCollective(std::shared_ptr<Operation> operation);
  std::shared_ptr<Operation> StartSend(const device::MessageHeader& message, const float* payload, int peer);
  std::shared_ptr<Operation> StartReceive(const device::MessageHeader& expected, float* payload, int peer);
  std::vector<std::string> Gather(const std::string& what, const std::string& mine,
                                  std::optional<std::chrono::milliseconds> deadline = std::nullopt);
  std::vector<std::vector<double>> GatherValues(const std::string& what, std::span<const double> values);

  std::shared_ptr<MessageEngine> engine_;
  std::vector<int> members_;
  int rank_ = 0;
  int id_;
};

// MakeWorld (world.h) for a backend that needs more than device::Communicator of it.
std::unique_ptr<MpiCommunicator> MakeMpiWorld(int* argc, char*** argv, std::chrono::seconds deadline);

}  // namespace lockstep::mpi
