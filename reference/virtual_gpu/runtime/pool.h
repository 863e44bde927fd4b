// Ranges of one span of addresses: taken, given back, and handed out again as late as may be.
//
// A range that was given back waits in a quarantine, so that a stale pointer does not soon point to something new.
// Only addresses: what protection the pages have and what they hold is the owner's affair. Not thread-safe.
#pragma once

#include <cstddef>
#include <deque>
#include <map>

namespace lockstep::virtual_gpu {

class Pool {
 public:
  Pool() = default;
  // `bytes` from `base`; every range is a multiple of `granule` bytes. Up to `quarantine` bytes are kept back.
  Pool(char* base, std::size_t bytes, std::size_t granule, std::size_t quarantine);

  char* Take(std::size_t bytes);  // null: no range is left
  void Give(char* data, std::size_t bytes);

  char* base() const { return base_; }
  char* end() const { return base_ + bytes_; }
  char* top() const { return top_; }  // nothing at or above was ever taken
  std::size_t Rounded(std::size_t bytes) const { return (bytes + granule_ - 1) / granule_ * granule_; }

 private:
  void FreeOldest();
  char* TakeFree(std::size_t bytes);

  char* base_ = nullptr;
  char* top_ = nullptr;
  std::size_t bytes_ = 0, granule_ = 1, quarantine_ = 0;
  std::map<char*, std::size_t> free_;
  std::deque<std::pair<char*, std::size_t>> kept_;
  std::size_t kept_bytes_ = 0;
};

}  // namespace lockstep::virtual_gpu
