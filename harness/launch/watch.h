// Where the ranks of one request stand, read off the evidence that they leave as they go.
//
// Reading is lenient: a file that can't be read yet is a file that is not there. Whether evidence is right is for its
// readers to say, later; here it only tells who is where. It knows files, but no process.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace lockstep::launch {

struct RankWatch {
  bool said_hello = false, done = false;
  std::int64_t pid = 0;
  bool on_this_host = false;
  std::string error;  // done.json's, where the rank gave up
};

// Whether a rank's last words are a communication library's about a peer that is gone (NCCL's, gloo's, the operating
// system's): it gave up because of another rank, which died, or, where the library tells that apart, gave up itself.
bool BlamesAPeer(const std::string& error);
bool BlamesADeath(const std::string& error);

class RequestWatch {
 public:
  RequestWatch(std::filesystem::path request, std::int64_t world_size);

  void Update();  // looks for hello.json and done.json that were not there
  const std::filesystem::path& request() const { return request_; }
  const std::vector<RankWatch>& ranks() const { return ranks_; }
  bool Begun() const;  // any rank has said hello
  bool AllHello() const;
  bool AllDone() const;
  bool AnyGaveUp() const;
  std::uint64_t EvidenceBytes() const;  // of all files there; grows while anything goes on
  std::uint64_t EvidenceBytes(std::int64_t rank) const;
  std::string Position(std::int64_t rank) const;  // "after step 2", "in step 3, after micro-batch 1", ...
  double PositionOrder(std::int64_t rank) const;  // grows with progress: for "who is furthest behind"

 private:
  std::filesystem::path request_;
  std::vector<RankWatch> ranks_;
};

}  // namespace lockstep::launch
