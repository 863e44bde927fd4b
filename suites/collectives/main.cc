// One program a backend, which mpirun starts: COLLECTIVES [GoogleTest's options] [DEADLINE_SECONDS].
//
// The first rank prints what GoogleTest prints, the others what fails on them.
#include <gtest/gtest.h>
#include <mpi.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>
#include <string>

#include "reference/trainer/rank_main.h"
#include "suites/collectives/scene.h"

namespace lockstep::collectives {
namespace {

std::unique_ptr<device::Communicator> world;
std::unique_ptr<device::Device> opened_device;

class Failures final : public ::testing::EmptyTestEventListener {
  void OnTestStart(const ::testing::TestInfo& test) override {
    name_ = std::string(test.test_suite_name()) + "." + test.name();
  }
  void OnTestPartResult(const ::testing::TestPartResult& result) override {
    if (!result.failed()) return;
    std::fprintf(stderr, "rank %d: %s: %s:%d: %s\n", world->Rank(), name_.c_str(),
                 result.file_name() != nullptr ? result.file_name() : "?", result.line_number(), result.message());
  }

  std::string name_;
};

float Value(int rank, std::int64_t i) { return static_cast<float>((i * 7 + rank * 13) % 101 - 50); }

}  // namespace

device::Communicator& World() { return *world; }
device::Device& Device() { return *opened_device; }

std::vector<float> ValuesOf(int rank, std::int64_t n) {
  std::vector<float> values(static_cast<std::size_t>(n));
  for (std::int64_t i = 0; i < n; ++i) values[static_cast<std::size_t>(i)] = Value(rank, i);
  return values;
}

std::vector<float> Sums(int size, std::int64_t n) {
  std::vector<float> sums(static_cast<std::size_t>(n), 0.0f);
  for (int r = 0; r < size; ++r) {
    for (std::int64_t i = 0; i < n; ++i) sums[static_cast<std::size_t>(i)] += Value(r, i);
  }
  return sums;
}

std::vector<float> Largest(int size, std::int64_t n) {
  std::vector<float> largest = ValuesOf(0, n);
  for (int r = 1; r < size; ++r) {
    for (std::int64_t i = 0; i < n; ++i) {
      float& value = largest[static_cast<std::size_t>(i)];
      value = std::max(value, Value(r, i));
    }
  }
  return largest;
}

std::vector<std::vector<std::int64_t>> Deals(int size, std::int64_t n) {
  const auto ranks = static_cast<std::size_t>(size);
  const std::int64_t few = std::min<std::int64_t>(n, 3);
  std::vector<std::int64_t> even(ranks, n / size), nearly(ranks), uneven(ranks, 0);
  for (int r = 0; r < size; ++r) nearly[static_cast<std::size_t>(r)] = n * (r + 1) / size - n * r / size;
  uneven[ranks / 2] = n - few;
  uneven[ranks - 1] += few;
  std::vector<std::vector<std::int64_t>> deals{even, nearly, uneven};
  for (std::size_t r = 0; r < ranks; ++r) {
    deals.emplace_back(ranks, 0);
    deals.back()[r] = n;
  }
  return deals;
}

std::int64_t Offset(const std::vector<std::int64_t>& counts, int rank) {
  return std::accumulate(counts.begin(), counts.begin() + rank, std::int64_t{0});
}

DeviceArray::DeviceArray(const std::vector<float>& values)
    : size_(static_cast<std::int64_t>(values.size())),
      buffer_(Device().Allocate((values.size() + 1) * sizeof(float), device::Category::kCommunication)) {
  if (size_ > 0) Device().ToDevice(buffer_.data(), values.data(), values.size() * sizeof(float));
}

DeviceArray DeviceArray::Poisoned(std::int64_t n) {
  return DeviceArray(std::vector<float>(static_cast<std::size_t>(n), NAN));
}

std::vector<float> DeviceArray::Read() const {
  std::vector<float> values(static_cast<std::size_t>(size_));
  if (size_ > 0) Device().ToHost(values.data(), buffer_.data(), values.size() * sizeof(float));
  return values;
}

std::string ErrorOf(const std::function<void()>& body) {
  try {
    body();
  } catch (const device::CommunicationError& problem) {
    return problem.what();
  }
  ADD_FAILURE() << "it ended without an error";
  return "";
}

}  // namespace lockstep::collectives

int main(int argc, char** argv) {
  using namespace lockstep::collectives;
  ::testing::InitGoogleTest(&argc, argv);
  const lockstep::trainer::Backend backend = lockstep::trainer::LinkedBackend();
  const std::chrono::seconds deadline(argc > 1 ? std::stoi(argv[1]) : 60);
  world = backend.make_world(&argc, &argv, deadline);
  opened_device = backend.make_device(0, world->Rank());
  if (world->Rank() != 0) {
    auto& listeners = ::testing::UnitTest::GetInstance()->listeners();
    delete listeners.Release(listeners.default_result_printer());
    listeners.Append(new Failures);
  }
  int failed = RUN_ALL_TESTS();
  if (::testing::UnitTest::GetInstance()->test_to_run_count() == 0) {
    std::fprintf(stderr, "no test has the name that --gtest_filter asks for\n");
    failed = 1;
  }
  opened_device.reset();
  world.reset();
  // After a failure the communicator leaves MPI as it is, since a peer may be gone. Here all failed on purpose and
  // live.
  int finalized = 0;
  MPI_Finalized(&finalized);
  if (finalized == 0) MPI_Finalize();
  return failed;
}
