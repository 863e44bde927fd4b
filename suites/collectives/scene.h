// What the tests share: this rank's world and device, numbers whose sums are exact, and arrays in device memory.
//
// Every rank runs every test in the same order. Values are small integers: any order of additions gives the same bits,
// so results are compared for equality. Arrays meant for results start as NaN.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "reference/device/communicator.h"
#include "reference/device/device.h"

namespace lockstep::collectives {

device::Communicator& World();
device::Device& Device();

// 0, 1, primes, whole vectors, and more than one chunk of a reduction.
inline constexpr std::int64_t kSizes[] = {0, 1, 2, 7, 31, 97, 4096, 70001, 300007};

std::vector<float> ValuesOf(int rank, std::int64_t n);
std::vector<float> Sums(int size, std::int64_t n);
std::vector<float> Largest(int size, std::int64_t n);

// Ways to deal n elements to the ranks: evenly, as evenly as n allows, all but a few to one, and each rank alone all.
std::vector<std::vector<std::int64_t>> Deals(int size, std::int64_t n);
// Elements before `rank`'s part.
std::int64_t Offset(const std::vector<std::int64_t>& counts, int rank);

class DeviceArray {
 public:
  explicit DeviceArray(const std::vector<float>& values);
  static DeviceArray Poisoned(std::int64_t n);
  float* data() const { return buffer_.f32(); }
  std::int64_t size() const { return size_; }
  std::vector<float> Read() const;

 private:
  std::int64_t size_;
  device::Buffer buffer_;
};

// The words of the CommunicationError that `body` ends with; fails the test if it ends without.
std::string ErrorOf(const std::function<void()>& body);

}  // namespace lockstep::collectives
