// The cursor: where a rank stands now, in a file that it maps and a watcher reads without its help. See PROTOCOL.md.
//
// The layout is the file's: little-endian, 128 bytes. The writer makes the sequence odd, writes, and makes it even; who
// reads the same even number before and after has read it whole. A rank that is killed in between leaves it odd.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>

namespace lockstep::protocol {

enum class CursorState : std::uint32_t {
  kStarting,
  kComputing,
  kReceiving,   // waits for a message
  kSending,     // waits for one to leave
  kCollective,  // waits for a group
  kData,
  kOptimizer,
  kEvidence,  // or a checkpoint
  kDone,
  kGaveUp
};

struct Cursor {
  std::array<char, 8> magic{'L', 'S', 'C', 'U', 'R', 'S', 'O', 'R'};
  std::uint64_t sequence = 0;
  std::int64_t step = 0;       // 0 before the first
  std::int64_t position = -1;  // in schedule.ranks[pipeline rank]
  std::int64_t stage = -1, micro_batch = -1;
  std::uint32_t kind = 0;  // 'F', 'B', 'I', 'W'
  CursorState state = CursorState::kStarting;
  std::int64_t peer = -1;                                // rank of the world, while receiving or sending
  std::int32_t source_stage = -1, target_stage = -1;     // of the message waited for
  std::int32_t message_micro_batch = -1, backward = -1;  // direction: 0 forward, 1 backward
  std::array<char, 16> group{};                          // while waiting in a collective
  std::int64_t number = -1;                              // of the collective
  std::int64_t since = 0;                                // ns of the host's monotonic clock
  std::int64_t done = 0;                                 // actions since the run began
  std::int32_t stray = 0;       // 1 + the rank whose message lies here unasked for, of a gradient negative; 0: none
  std::uint32_t operation = 0;  // of the collective: 1 + its place in kCursorOperations
  bool operator==(const Cursor&) const = default;
};
static_assert(sizeof(Cursor) == 128);

// A collective's operations as timeline.jsonl spells them.
inline constexpr std::array<const char*, 8> kCursorOperations{
    "all_reduce", "all_gather", "reduce_scatter", "broadcast", "barrier", "host_sum", "host_max", "host_gather"};

inline constexpr const char* kCursorFile = "cursor";  // in the rank's evidence folder

// What stands there now; nothing where there is no such file, or none that can be read whole.
std::optional<Cursor> ReadCursor(const std::filesystem::path& file);

}  // namespace lockstep::protocol
