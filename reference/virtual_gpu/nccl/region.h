// The memory that a communicator's ranks share, and its layout.
//
// It is a memfd that the ranks get over a socket (rendezvous.h): it has no name, so nothing is left when processes are
// killed, and all zeros is its first state. Pages that no rank touches cost nothing. Ranks of one process map it each
// for itself.
//
//   Header | Member of rank 0 .. n-1 | slots: rank, half -> kChunk | results: half -> kChunk | Lane of (from, to)
#pragma once

#include <cstddef>

#include "reference/virtual_gpu/nccl/description.h"
#include "reference/virtual_gpu/nccl/doorbell.h"
#include "reference/virtual_gpu/nccl/failure.h"

namespace lockstep::virtual_gpu::nccl {

inline constexpr int kMaxRanks = 64;
inline constexpr std::int64_t kChunk = std::int64_t{256} << 10;  // bytes of a slot: a rank's part of one step
inline constexpr std::int64_t kLane = std::int64_t{128} << 10;   // bytes of a point-to-point ring
inline constexpr int kHostBytes = 256;                           // what a rank brings to an exchange of the hosts
inline constexpr int kListed = 64;                               // operations of a group that its peers can look up

// How a rank stands to the communicator. Only kJoined can be waited for.
enum class Membership : std::uint32_t { kAbsent, kJoined, kLeft, kAborted };

// The first failure of any rank, which all report. Written once.
struct FailureRecord {
  enum State : std::uint32_t { kNone, kBeingWritten, kWritten };
  std::atomic<std::uint32_t> state;
  std::int32_t result;
  char text[1008];
};

struct Header {
  alignas(64) std::atomic<std::uint64_t> arrivals;       // at the steps of collectives, all ranks and steps together
  alignas(64) std::atomic<std::uint64_t> host_arrivals;  // at exchanges of the hosts
  alignas(64) std::atomic<std::uint32_t> departures;     // members that are kLeft or kAborted
  alignas(64) FailureRecord failure;
};

// An operation that a rank is in: `index` counts collectives, or messages of that direction between the two.
struct Listed {
  Description description;
  std::uint64_t index;
  std::atomic<std::uint32_t> done;
};

struct Member {
  Doorbell operations, hosts;  // for the thread that runs the rank's operations, and for its host's exchanges
  std::atomic<Membership> membership;
  std::atomic<std::int32_t> process;
  Description step[2];  // of the collective whose first step is this one, by parity of the step
  alignas(64) char host[2][kHostBytes];
  // The group that runs: odd while it does. Read by peers that have waited for long (order.h).
  alignas(64) std::atomic<std::uint64_t> group;
  std::atomic<std::uint64_t> collectives_started;
  std::uint32_t listed;  // more than kListed: not all are
  Listed list[kListed];
};

// Bytes from one rank to another: positions grow for ever, byte p lies at p % kLane.
struct Lane {
  alignas(64) std::atomic<std::uint64_t> written, messages_sent;    // by the sender
  alignas(64) std::atomic<std::uint64_t> taken, messages_received;  // by the receiver; counted where they start
  alignas(64) char bytes[kLane];
};

class Region {
 public:
  static std::size_t BytesFor(int ranks);

  // Maps and closes `descriptor`. A mapping that fails is not Valid().
  Region(int descriptor, int ranks);
  Region(const Region&) = delete;
  Region& operator=(const Region&) = delete;
  ~Region();
  bool Valid() const { return base_ != nullptr; }

  int ranks() const { return ranks_; }
  Header& header() const { return *reinterpret_cast<Header*>(base_); }
  Member& member(int rank) const;
  char* Slot(int rank, std::uint64_t step) const;
  char* Result(std::uint64_t step) const;
  Lane& lane(int from, int to) const;

  // Writes the record unless there is one, and wakes all. Returns the failure that stands there.
  Failure Record(const Failure& failure);
  void RingAll();

 private:
  char* base_ = nullptr;
  int ranks_;
};

}  // namespace lockstep::virtual_gpu::nccl
