// NCCL of virtual GPUs: every collective, type, reduction and size, in place and out of it, against exact values.
#include <cuda_bf16.h>
#include <gtest/gtest.h>
#include <nccl.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <type_traits>

#include "suites/virtual_gpu/ranks.h"

namespace lockstep::suites::virtual_gpu {
namespace {

template <typename T>
ncclDataType_t TypeOf();
template <>
ncclDataType_t TypeOf<std::int8_t>() {
  return ncclInt8;
}
template <>
ncclDataType_t TypeOf<std::uint8_t>() {
  return ncclUint8;
}
template <>
ncclDataType_t TypeOf<std::int32_t>() {
  return ncclInt32;
}
template <>
ncclDataType_t TypeOf<std::uint32_t>() {
  return ncclUint32;
}
template <>
ncclDataType_t TypeOf<std::int64_t>() {
  return ncclInt64;
}
template <>
ncclDataType_t TypeOf<std::uint64_t>() {
  return ncclUint64;
}
template <>
ncclDataType_t TypeOf<float>() {
  return ncclFloat32;
}
template <>
ncclDataType_t TypeOf<double>() {
  return ncclFloat64;
}
template <>
ncclDataType_t TypeOf<__nv_bfloat16>() {
  return ncclBfloat16;
}

// Small integers, so that sums, products and halves are exact in every type.
int ValueOf(int rank, std::size_t i) { return 1 + static_cast<int>((i * 7 + static_cast<std::size_t>(rank) * 3) % 2); }

double Reduced(ncclRedOp_t reduction, int ranks, std::size_t i) {
  double result = ValueOf(0, i);
  for (int rank = 1; rank < ranks; ++rank) {
    const double value = ValueOf(rank, i);
    switch (reduction) {
      case ncclSum:
      case ncclAvg:
        result += value;
        break;
      case ncclProd:
        result *= value;
        break;
      case ncclMax:
        result = std::max(result, value);
        break;
      case ncclMin:
        result = std::min(result, value);
        break;
    }
  }
  return reduction == ncclAvg ? result / ranks : result;
}

// `count` elements on the device between two that nothing may touch.
template <typename T>
class Guarded {
 public:
  explicit Guarded(std::size_t count) : array_(std::vector<T>(count + 2, static_cast<T>(kGuard))), count_(count) {}
  T* data() const { return array_.data() + 1; }
  void Fill(std::size_t from, const std::vector<T>& values) {
    auto all = array_.Read();
    std::copy(values.begin(), values.end(), all.begin() + 1 + static_cast<std::ptrdiff_t>(from));
    array_.Write(all);
  }
  std::vector<T> Read() const {
    const auto all = array_.Read();
    EXPECT_EQ(static_cast<double>(all.front()), kGuard);
    EXPECT_EQ(static_cast<double>(all.back()), kGuard);
    return {all.begin() + 1, all.end() - 1};
  }

 private:
  static constexpr int kGuard = 77;
  DeviceArray<T> array_;
  std::size_t count_;
};

template <typename T>
class Exact {
 public:
  Exact(Rank& rank, ncclComm_t communicator) : rank_(rank), communicator_(communicator) {}

  void Check(std::size_t count) {
    const auto n = static_cast<std::size_t>(rank_.ranks());
    for (const bool in_place : {true, false}) {
      for (const ncclRedOp_t reduction : {ncclSum, ncclProd, ncclMax, ncclMin, ncclAvg}) {
        if (reduction == ncclAvg && !std::is_integral_v<T> && (n & (n - 1)) != 0) continue;  // 1/n is not exact
        AllReduce(count, in_place, reduction);
        Reduce(count, in_place, reduction, rank_.ranks() - 1);
        ReduceScatter(count, in_place, reduction);
      }
      AllGather(count, in_place);
      for (int root = 0; root < rank_.ranks(); ++root) Broadcast(count, in_place, root);
    }
  }

 private:
  std::vector<T> Mine(std::size_t count, std::size_t from = 0) const {
    std::vector<T> values;
    for (std::size_t i = 0; i < count; ++i) values.push_back(static_cast<T>(ValueOf(rank_.rank(), from + i)));
    return values;
  }
  static T As(double value) {
    return static_cast<T>(std::is_integral_v<T> ? static_cast<double>(static_cast<std::int64_t>(value)) : value);
  }

  void Expect(const char* what, std::size_t count, const std::vector<T>& found, std::size_t from,
              const std::function<double(std::size_t)>& expected) {
    for (std::size_t i = 0; i < count; ++i) {
      ASSERT_EQ(static_cast<double>(found[from + i]), static_cast<double>(As(expected(i))))
          << what << " of " << count << ", rank " << rank_.rank() << " of " << rank_.ranks() << ", element " << i;
    }
  }

  void AllReduce(std::size_t count, bool in_place, ncclRedOp_t reduction) {
    Guarded<T> send(count), receive(count);
    send.Fill(0, Mine(count));
    T* const out = in_place ? send.data() : receive.data();
    ASSERT_EQ(ncclAllReduce(send.data(), out, count, TypeOf<T>(), reduction, communicator_, stream_), ncclSuccess);
    stream_.Synchronize();
    const auto reduced = [&](std::size_t i) { return Reduced(reduction, rank_.ranks(), i); };
    Expect("all-reduce", count, (in_place ? send : receive).Read(), 0, reduced);
    const auto mine = [&](std::size_t i) { return ValueOf(rank_.rank(), i); };
    if (!in_place) Expect("all-reduce's input", count, send.Read(), 0, mine);
  }

  void Reduce(std::size_t count, bool in_place, ncclRedOp_t reduction, int root) {
    Guarded<T> send(count), receive(count);
    send.Fill(0, Mine(count));
    const bool is_root = rank_.rank() == root;
    T* const out = in_place ? send.data() : is_root ? receive.data() : nullptr;
    ASSERT_EQ(ncclReduce(send.data(), out, count, TypeOf<T>(), reduction, root, communicator_, stream_), ncclSuccess);
    stream_.Synchronize();
    const auto reduced = [&](std::size_t i) { return Reduced(reduction, rank_.ranks(), i); };
    const auto mine = [&](std::size_t i) { return ValueOf(rank_.rank(), i); };
    if (is_root) Expect("reduce", count, (in_place ? send : receive).Read(), 0, reduced);
    if (!is_root || !in_place) Expect("reduce's input", count, send.Read(), 0, mine);
  }

  void ReduceScatter(std::size_t count, bool in_place, ncclRedOp_t reduction) {
    const std::size_t all = count * static_cast<std::size_t>(rank_.ranks());
    const std::size_t from = count * static_cast<std::size_t>(rank_.rank());
    Guarded<T> send(all), receive(count);
    send.Fill(0, Mine(all));
    T* const out = in_place ? send.data() + from : receive.data();
    ASSERT_EQ(ncclReduceScatter(send.data(), out, count, TypeOf<T>(), reduction, communicator_, stream_), ncclSuccess);
    stream_.Synchronize();
    const auto reduced = [&](std::size_t i) { return Reduced(reduction, rank_.ranks(), from + i); };
    Expect("reduce-scatter", count, in_place ? send.Read() : receive.Read(), in_place ? from : 0, reduced);
  }

  void AllGather(std::size_t count, bool in_place) {
    const std::size_t all = count * static_cast<std::size_t>(rank_.ranks());
    const std::size_t from = count * static_cast<std::size_t>(rank_.rank());
    Guarded<T> send(count), receive(all);
    send.Fill(0, Mine(count));
    if (in_place) receive.Fill(from, Mine(count));
    const T* const in = in_place ? receive.data() + from : send.data();
    ASSERT_EQ(ncclAllGather(in, receive.data(), count, TypeOf<T>(), communicator_, stream_), ncclSuccess);
    stream_.Synchronize();
    const auto found = receive.Read();
    for (int rank = 0; rank < rank_.ranks(); ++rank) {
      Expect("all-gather", count, found, count * static_cast<std::size_t>(rank),
             [rank](std::size_t i) { return ValueOf(rank, i); });
    }
  }

  void Broadcast(std::size_t count, bool in_place, int root) {
    Guarded<T> send(count), receive(count);
    const bool is_root = rank_.rank() == root;
    if (is_root) send.Fill(0, Mine(count));
    if (in_place) {
      ASSERT_EQ(ncclBcast(send.data(), count, TypeOf<T>(), root, communicator_, stream_), ncclSuccess);
    } else {
      ASSERT_EQ(ncclBroadcast(is_root ? send.data() : nullptr, receive.data(), count, TypeOf<T>(), root, communicator_,
                              stream_),
                ncclSuccess);
    }
    stream_.Synchronize();
    Expect("broadcast", count, (in_place ? send : receive).Read(), 0,
           [root](std::size_t i) { return ValueOf(root, i); });
  }

  Rank& rank_;
  ncclComm_t communicator_;
  Stream stream_;
};

// One element, none, primes, one more than a step's chunk, several chunks.
void CheckEverything(int ranks) {
  ExpectAllPassed(RunRanks(ranks, [](Rank& rank) {
    const ncclComm_t communicator = rank.Communicator();
    for (const std::size_t count : {0, 1, 2, 3, 31, 1021, 8192}) {
      Exact<float>(rank, communicator).Check(count);
      Exact<double>(rank, communicator).Check(count);
      Exact<__nv_bfloat16>(rank, communicator).Check(count);
      Exact<std::int8_t>(rank, communicator).Check(count);
      Exact<std::uint8_t>(rank, communicator).Check(count);
      Exact<std::int32_t>(rank, communicator).Check(count);
      Exact<std::uint32_t>(rank, communicator).Check(count);
      Exact<std::int64_t>(rank, communicator).Check(count);
      Exact<std::uint64_t>(rank, communicator).Check(count);
    }
    Exact<float>(rank, communicator).Check(65537);
    Exact<float>(rank, communicator).Check(200003);
    Exact<double>(rank, communicator).Check(32769);
    Exact<std::uint8_t>(rank, communicator).Check(600011);
    EXPECT_EQ(ncclCommDestroy(communicator), ncclSuccess);
  }));
}

TEST(NcclCollectives, AreExactOnOneRank) { CheckEverything(1); }
TEST(NcclCollectives, AreExactOnTwoRanks) { CheckEverything(2); }
TEST(NcclCollectives, AreExactOnThreeRanks) { CheckEverything(3); }
TEST(NcclCollectives, AreExactOnFourRanks) { CheckEverything(4); }
TEST(NcclCollectives, AreExactOnSevenRanks) { CheckEverything(7); }

// Values whose sum depends on the order: every rank gets the bytes of the sum in rank order, whichever rank adds it.
TEST(NcclCollectives, ReductionsAddInRankOrderAndGiveAllTheSameBytes) {
  constexpr int kRanks = 5;
  ExpectAllPassed(RunRanks(kRanks, [](Rank& rank) {
    const ncclComm_t communicator = rank.Communicator();
    const Stream stream;
    for (const std::size_t count : {3, 2000, 150001}) {
      std::vector<std::vector<float>> all(kRanks);
      for (int each = 0; each < kRanks; ++each) {
        std::mt19937 random(static_cast<unsigned>(each));
        std::normal_distribution<float> normal;
        for (std::size_t i = 0; i < count; ++i) all[static_cast<std::size_t>(each)].push_back(normal(random));
      }
      const DeviceArray<float> values(all[static_cast<std::size_t>(rank.rank())]);
      ASSERT_EQ(ncclAllReduce(values.data(), values.data(), count, ncclFloat32, ncclSum, communicator, stream),
                ncclSuccess);
      stream.Synchronize();
      std::vector<float> expected = all[0];
      for (int each = 1; each < kRanks; ++each) {
        for (std::size_t i = 0; i < count; ++i) expected[i] += all[static_cast<std::size_t>(each)][i];
      }
      ASSERT_EQ(std::memcmp(values.Read().data(), expected.data(), count * sizeof(float)), 0) << count;
    }
    ncclCommDestroy(communicator);
  }));
}

// As on GPUs: a maximum drops NaN, so a program that must see one can't rely on it.
TEST(NcclCollectives, AMaximumDropsNaNAndASumKeepsIt) {
  ExpectAllPassed(RunRanks(2, [](Rank& rank) {
    const ncclComm_t communicator = rank.Communicator();
    const Stream stream;
    const float mine = rank.rank() == 0 ? std::numeric_limits<float>::quiet_NaN() : 3.0f;
    const DeviceArray<float> largest(std::vector<float>{mine}), sum(std::vector<float>{mine});
    ncclAllReduce(largest.data(), largest.data(), 1, ncclFloat32, ncclMax, communicator, stream);
    ncclAllReduce(sum.data(), sum.data(), 1, ncclFloat32, ncclSum, communicator, stream);
    stream.Synchronize();
    EXPECT_EQ(largest.Read()[0], 3.0f);
    EXPECT_TRUE(sum.Read()[0] != sum.Read()[0]);
    ncclCommDestroy(communicator);
  }));
}

TEST(NcclCollectives, RunInTheOrderOfTheCallsWhateverTheirStreams) {
  ExpectAllPassed(RunRanks(3, [](Rank& rank) {
    const ncclComm_t communicator = rank.Communicator();
    const Stream streams[3];
    const DeviceArray<std::int64_t> value(std::vector<std::int64_t>{1});
    std::int64_t expected = 1;
    for (int i = 0; i < 30; ++i) {  // each triples what the one before left, on another stream
      ASSERT_EQ(ncclAllReduce(value.data(), value.data(), 1, ncclInt64, ncclSum, communicator, streams[i % 3]),
                ncclSuccess);
      expected *= 3;
    }
    for (const Stream& stream : streams) stream.Synchronize();
    EXPECT_EQ(value.Read()[0], expected);
    ncclCommDestroy(communicator);
  }));
}

TEST(NcclCollectives, AGraphOfThemRunsAgainAndAgain) {
  ExpectAllPassed(RunRanks(2, [](Rank& rank) {
    const ncclComm_t communicator = rank.Communicator();
    const Stream stream;
    const DeviceArray<std::int32_t> value(std::vector<std::int32_t>{1});
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t executable = nullptr;
    Must(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "capture");
    EXPECT_EQ(ncclAllReduce(value.data(), value.data(), 1, ncclInt32, ncclSum, communicator, stream), ncclSuccess);
    Must(cudaStreamEndCapture(stream, &graph), "end of capture");
    Must(cudaGraphInstantiate(&executable, graph, 0), "cudaGraphInstantiate");
    for (int i = 0; i < 5; ++i) Must(cudaGraphLaunch(executable, stream), "cudaGraphLaunch");
    EXPECT_EQ(ncclAllReduce(value.data(), value.data(), 1, ncclInt32, ncclSum, communicator, stream), ncclSuccess);
    stream.Synchronize();
    EXPECT_EQ(value.Read()[0], 64);
    cudaGraphExecDestroy(executable);
    cudaGraphDestroy(graph);
    EXPECT_EQ(ncclCommDestroy(communicator), ncclSuccess);
  }));
}

}  // namespace
}  // namespace lockstep::suites::virtual_gpu
