// NCCL of virtual GPUs: every collective, type, reduction and size, in place and out of it, against exact values.
#include <cuda_bf16.h>
#include <gtest/gtest.h>
#include <nccl.h>

#include <algorithm>
#include <cmath>
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

// 1 or 2, without a pattern, so that sums, products and halves are exact in every type and no two places look alike.
int ValueOf(int rank, std::size_t i) {
  const std::size_t mixed = (i + 1) * 0x9E3779B97F4A7C15u + static_cast<std::size_t>(rank) * 0xC2B2AE3D27D4EB4Fu;
  return 1 + static_cast<int>(mixed >> 41 & 1);
}

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

// Elements on the device among others that nothing may touch.
template <typename T>
class Guarded {
 public:
  explicit Guarded(std::size_t most) : array_(most + 2) {}
  T* data() const { return array_.data() + 1; }

  // `count` elements and one on either side become guards, but for `values` at data()[from].
  void Set(std::size_t count, std::size_t from, const std::vector<T>& values) {
    held_.assign(count + 2, static_cast<T>(77));
    Expect(from, values);
    array_.Write(held_);
  }
  // From now on `values` should stand at data()[from].
  void Expect(std::size_t from, const std::vector<T>& values) {
    std::copy(values.begin(), values.end(), held_.begin() + 1 + static_cast<std::ptrdiff_t>(from));
  }
  // Every byte is what was set or is expected.
  void Check(const std::string& what) const {
    const auto found = array_.Read(held_.size());
    if (std::memcmp(found.data(), held_.data(), found.size() * sizeof(T)) == 0) return;
    for (std::size_t i = 0; i < found.size(); ++i) {
      ASSERT_EQ(static_cast<double>(found[i]), static_cast<double>(held_[i])) << what << ", element " << i << " less 1";
    }
  }

 private:
  DeviceArray<T> array_;
  std::vector<T> held_;
};

template <typename T>
class Exact {
 public:
  Exact(Rank& rank, ncclComm_t communicator, std::size_t most)
      : rank_(rank.rank()),
        ranks_(rank.ranks()),
        communicator_(communicator),
        send_(most * static_cast<std::size_t>(ranks_)),
        receive_(most * static_cast<std::size_t>(ranks_)) {}

  void Check(std::size_t count) {
    for (const bool in_place : {true, false}) {
      for (const ncclRedOp_t reduction : {ncclSum, ncclProd, ncclMax, ncclMin, ncclAvg}) {
        if (reduction == ncclAvg && !kIntegral && (ranks_ & (ranks_ - 1)) != 0) continue;  // 1/n is not exact
        AllReduce(count, in_place, reduction);
        Reduce(count, in_place, reduction, ranks_ - 1);
        ReduceScatter(count, in_place, reduction);
      }
      AllGather(count, in_place);
      for (int root = 0; root < ranks_; ++root) Broadcast(count, in_place, root);
    }
  }

 private:
  static constexpr bool kIntegral = std::is_integral_v<T>;

  static std::vector<T> ValuesOf(int rank, std::size_t count) {
    std::vector<T> values;
    for (std::size_t i = 0; i < count; ++i) values.push_back(static_cast<T>(ValueOf(rank, i)));
    return values;
  }
  std::vector<T> Mine(std::size_t count) const { return ValuesOf(rank_, count); }
  std::vector<T> Results(ncclRedOp_t reduction, std::size_t count, std::size_t from = 0) const {
    std::vector<T> values;
    for (std::size_t i = 0; i < count; ++i) {
      const double result = Reduced(reduction, ranks_, from + i);
      values.push_back(static_cast<T>(kIntegral ? std::trunc(result) : result));
    }
    return values;
  }
  std::size_t All(std::size_t count) const { return count * static_cast<std::size_t>(ranks_); }
  std::size_t Place(std::size_t count) const { return count * static_cast<std::size_t>(rank_); }

  void CheckBoth(const char* what, std::size_t count, ncclResult_t result) {
    ASSERT_EQ(result, ncclSuccess);
    stream_.Synchronize();
    const std::string words = std::string(what) + " of " + std::to_string(count) + " on rank " + std::to_string(rank_) +
                              " of " + std::to_string(ranks_);
    send_.Check(words + ", sendbuff");
    receive_.Check(words + ", recvbuff");
  }

  void AllReduce(std::size_t count, bool in_place, ncclRedOp_t reduction) {
    send_.Set(All(count), 0, Mine(count));
    receive_.Set(All(count), 0, {});
    Guarded<T>& out = in_place ? send_ : receive_;
    out.Expect(0, Results(reduction, count));
    CheckBoth("all-reduce", count,
              ncclAllReduce(send_.data(), out.data(), count, TypeOf<T>(), reduction, communicator_, stream_));
  }

  void Reduce(std::size_t count, bool in_place, ncclRedOp_t reduction, int root) {
    const bool is_root = rank_ == root;
    send_.Set(All(count), 0, Mine(count));
    receive_.Set(All(count), 0, {});
    Guarded<T>& out = in_place ? send_ : receive_;
    if (is_root) out.Expect(0, Results(reduction, count));
    T* const where = is_root || in_place ? out.data() : nullptr;
    CheckBoth("reduce", count,
              ncclReduce(send_.data(), where, count, TypeOf<T>(), reduction, root, communicator_, stream_));
  }

  void ReduceScatter(std::size_t count, bool in_place, ncclRedOp_t reduction) {
    const std::size_t place = in_place ? Place(count) : 0;
    send_.Set(All(count), 0, Mine(All(count)));
    receive_.Set(All(count), 0, {});
    Guarded<T>& out = in_place ? send_ : receive_;
    out.Expect(place, Results(reduction, count, Place(count)));
    CheckBoth(
        "reduce-scatter", count,
        ncclReduceScatter(send_.data(), out.data() + place, count, TypeOf<T>(), reduction, communicator_, stream_));
  }

  void AllGather(std::size_t count, bool in_place) {
    send_.Set(All(count), 0, Mine(count));
    receive_.Set(All(count), Place(count), in_place ? Mine(count) : std::vector<T>{});
    for (int rank = 0; rank < ranks_; ++rank) {
      receive_.Expect(count * static_cast<std::size_t>(rank), ValuesOf(rank, count));
    }
    const T* const in = in_place ? receive_.data() + Place(count) : send_.data();
    CheckBoth("all-gather", count, ncclAllGather(in, receive_.data(), count, TypeOf<T>(), communicator_, stream_));
  }

  void Broadcast(std::size_t count, bool in_place, int root) {
    const bool is_root = rank_ == root;
    send_.Set(All(count), 0, is_root ? Mine(count) : std::vector<T>{});
    receive_.Set(All(count), 0, {});
    Guarded<T>& out = in_place ? send_ : receive_;
    out.Expect(0, ValuesOf(root, count));
    const T* const in = is_root ? send_.data() : nullptr;
    CheckBoth("broadcast", count,
              in_place ? ncclBcast(send_.data(), count, TypeOf<T>(), root, communicator_, stream_)
                       : ncclBroadcast(in, out.data(), count, TypeOf<T>(), root, communicator_, stream_));
  }

  const int rank_, ranks_;
  ncclComm_t communicator_;
  Stream stream_;
  Guarded<T> send_, receive_;
};

template <typename T>
void CheckCounts(Rank& rank, ncclComm_t communicator, const std::vector<std::size_t>& counts) {
  Exact<T> exact(rank, communicator, *std::max_element(counts.begin(), counts.end()));
  for (const std::size_t count : counts) exact.Check(count);
}

// Under a sanitizer the host's own checks take most of the time: a few types, and one size of several chunks.
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr bool kEverything = false;
#else
constexpr bool kEverything = true;
#endif

// One element, none, primes, one more than a step's chunk, several chunks.
void CheckEverything(int ranks) {
  ExpectAllPassed(RunRanks(ranks, [](Rank& rank) {
    const ncclComm_t communicator = rank.Communicator();
    const std::vector<std::size_t> counts = {0, 1, 2, 3, 31, 1021};
    CheckCounts<float>(rank, communicator, counts);
    CheckCounts<__nv_bfloat16>(rank, communicator, counts);
    CheckCounts<std::int8_t>(rank, communicator, counts);
    CheckCounts<float>(rank, communicator, {65537});
    if (kEverything) {
      CheckCounts<double>(rank, communicator, counts);
      CheckCounts<std::uint8_t>(rank, communicator, counts);
      CheckCounts<std::int32_t>(rank, communicator, counts);
      CheckCounts<std::uint32_t>(rank, communicator, counts);
      CheckCounts<std::int64_t>(rank, communicator, counts);
      CheckCounts<std::uint64_t>(rank, communicator, counts);
      CheckCounts<float>(rank, communicator, {8192, 150001});
      CheckCounts<double>(rank, communicator, {32769});
      CheckCounts<__nv_bfloat16>(rank, communicator, {131073});
      CheckCounts<std::uint8_t>(rank, communicator, {524289});
    }
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
