// What the tests of the device lay their data out on: inputs uploaded, outputs poisoned with NaN, at a chosen
// alignment.
//
// `Repeatable` runs an operation at several alignments, over blocks that were used before, and demands the same bytes
// each time; so every test of a value is a test of determinism too. It leaves a digest of the bytes with the test's
// result, by which same_bytes.py compares runs of the whole program.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "reference/device/device.h"
#include "suites/kernels/backend_under_test.h"

namespace lockstep::test {

inline constexpr double kUnit = 0x1p-24;  // fp32's unit round-off

class Desk {
 public:
  Desk(device::Device& device, std::size_t offset) : device_(device), offset_(offset) {}

  template <typename T>
  T* In(const std::vector<T>& values) {
    T* const place = Place<T>(values.size());
    device_.ToDevice(place, values.data(), values.size() * sizeof(T));
    return place;
  }
  float* Out(std::int64_t n) { return In(std::vector<float>(n, std::numeric_limits<float>::quiet_NaN())); }
  template <typename T>
  std::vector<T> Read(const T* place, std::int64_t n) {
    std::vector<T> values(n);
    device_.ToHost(values.data(), place, values.size() * sizeof(T));
    return values;
  }
  device::Device* operator->() { return &device_; }

 private:
  template <typename T>
  T* Place(std::size_t n) {
    buffers_.push_back(device_.Allocate((n + offset_) * sizeof(T), device::Category::kActivations));
    return static_cast<T*>(buffers_.back().data()) + offset_;
  }

  device::Device& device_;
  std::size_t offset_;
  std::vector<device::Buffer> buffers_;
};

// The property "digest" of the test that runs: of all outputs so far (FNV-1a).
inline void AddToDigest(const std::vector<float>& outputs) {
  static std::string test;
  static std::uint64_t digest;
  const auto* const info = ::testing::UnitTest::GetInstance()->current_test_info();
  const std::string name = std::string(info->test_suite_name()) + "." + info->name();
  if (test != name) {
    test = name;
    digest = 0xCBF29CE484222325ull;
  }
  const auto* const bytes = reinterpret_cast<const unsigned char*>(outputs.data());
  for (std::size_t i = 0; i < outputs.size() * sizeof(float); ++i) digest = (digest ^ bytes[i]) * 0x100000001B3ull;
  ::testing::Test::RecordProperty("digest", std::to_string(digest));
}

// body(desk) -> outputs
template <typename Body>
std::vector<float> Repeatable(const Body& body) {
  const auto device = MakeTestDevice();
  std::vector<float> first;
  for (const std::size_t offset : {0, 1, 5, 0}) {
    Desk desk(*device, offset);
    const std::vector<float> outputs = body(desk);
    if (first.empty()) {
      first = outputs;
      continue;
    }
    EXPECT_EQ(first.size(), outputs.size());
    EXPECT_EQ(0, std::memcmp(first.data(), outputs.data(), first.size() * sizeof(float)))
        << "other bytes at an offset of " << offset << " elements";
  }
  EXPECT_EQ(device->Memory().total_now, 0);
  AddToDigest(first);
  return first;
}

inline std::vector<float> Random(std::int64_t n, unsigned seed, float low = -1, float high = 1) {
  std::mt19937 generator(seed);
  std::uniform_real_distribution<float> distribution(low, high);
  std::vector<float> values(n);
  for (float& value : values) value = distribution(generator);
  return values;
}

// |got - want| <= units * u * magnitude, u fp32's unit round-off. magnitude: sum of the absolute values that were
// added.
inline void ExpectNear(double want, float got, double magnitude, double units, const std::string& where) {
  const double error = std::abs(got - want), bound = units * kUnit * magnitude + 1e-44;
  if (!(error <= bound))
    ADD_FAILURE() << where << ": got " << got << ", want " << want << ", error of bound " << error / bound;
}

// Frobenius norm of the difference, relative to that of what is wanted.
inline double RelativeError(const std::vector<double>& want, const float* got) {
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < want.size(); ++i) {
    difference += (got[i] - want[i]) * (got[i] - want[i]);
    norm += want[i] * want[i];
  }
  return std::sqrt(difference) / (std::sqrt(norm) + 1e-300);
}

inline std::vector<float> Joined(std::initializer_list<std::vector<float>> parts) {
  std::vector<float> all;
  for (const auto& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

inline double GeluInDouble(double x) {
  return x / 2 * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
}

inline float Rounded(float x) {  // to bf16: nearest, ties to even; finite x
  std::uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  const std::uint32_t low = bits & 0xFFFF;
  bits -= low;
  if (low > 0x8000 || (low == 0x8000 && (bits & 0x10000) != 0)) bits += 0x10000;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

}  // namespace lockstep::test
