// cuBLAS of virtual GPUs: products against the plain loop, their bits, and what they leave alone.
#include <cublas_v2.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <random>

#include "suites/virtual_gpu/library_memory.h"
#include "suites/virtual_gpu/matrix_reference.h"

namespace lockstep::suites::virtual_gpu {
namespace {

const float kNaN = std::numeric_limits<float>::quiet_NaN();

class Cublas : public testing::Test {
 protected:
  Cublas() {
    EXPECT_EQ(cublasCreate(&handle_), CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(cublasSetStream(handle_, stream_), CUBLAS_STATUS_SUCCESS);
  }
  ~Cublas() override { cublasDestroy(handle_); }

  // alpha op(a) op(b) + beta c as cublasSgemm leaves it, padding and all.
  HostMatrix Sgemm(bool transa, bool transb, float alpha, const HostMatrix& a, const HostMatrix& b, float beta,
                   const HostMatrix& c) {
    const DeviceArray<float> on_device_a(a.values), on_device_b(b.values), on_device_c(c.values);
    const auto k = static_cast<int>(transa ? a.rows : a.columns);
    EXPECT_EQ(cublasSgemm(handle_, transa ? CUBLAS_OP_T : CUBLAS_OP_N, transb ? CUBLAS_OP_C : CUBLAS_OP_N,
                          static_cast<int>(c.rows), static_cast<int>(c.columns), k, &alpha, on_device_a.data(),
                          static_cast<int>(a.leading), on_device_b.data(), static_cast<int>(b.leading), &beta,
                          on_device_c.data(), static_cast<int>(c.leading)),
              CUBLAS_STATUS_SUCCESS);
    stream_.Synchronize();
    return {c.rows, c.columns, c.leading, on_device_c.Read()};
  }

  Stream stream_;
  cublasHandle_t handle_ = nullptr;
  std::mt19937 random_{20240229};
};

std::vector<std::uint32_t> Bits(const std::vector<float>& values) {
  std::vector<std::uint32_t> bits;
  for (const float value : values) bits.push_back(std::bit_cast<std::uint32_t>(value));
  return bits;
}

void ExpectPaddingUntouched(const HostMatrix& matrix) {
  for (std::int64_t j = 0; j < matrix.columns; ++j) {
    for (std::int64_t i = matrix.rows; i < matrix.leading; ++i) ASSERT_TRUE(std::isnan(matrix.at(i, j)));
  }
}

struct Shape {
  std::int64_t m, n, k;
};

// Edges of a tile and of its parts, primes, one, and sizes of several blocks.
std::vector<Shape> Shapes(std::mt19937& random) {
  std::vector<Shape> shapes = {{1, 1, 1},       {1, 1, 1000}, {1, 77, 5},  {77, 1, 5},    {2, 3, 0},    {16, 8, 16},
                               {17, 9, 15},     {32, 8, 64},  {33, 7, 3},  {15, 16, 31},  {31, 37, 41}, {64, 192, 64},
                               {127, 131, 137}, {3, 257, 2},  {257, 3, 2}, {40, 1100, 97}};
  std::uniform_int_distribution<std::int64_t> size(1, 70);
  for (int i = 0; i < 60; ++i) shapes.push_back({size(random), size(random), size(random)});
  return shapes;
}

TEST_F(Cublas, SgemmIsThePlainLoopForEveryTranspositionAndLeadingDimension) {
  for (const Shape& shape : Shapes(random_)) {
    for (const bool transa : {false, true}) {
      for (const bool transb : {false, true}) {
        const std::int64_t padding = static_cast<std::int64_t>(random_() % 3);
        const auto a = RandomMatrix(random_, transa ? shape.k : shape.m, transa ? shape.m : shape.k, padding);
        const auto b = RandomMatrix(random_, transb ? shape.n : shape.k, transb ? shape.k : shape.n, 2 - padding);
        const auto c = RandomMatrix(random_, shape.m, shape.n, padding);
        const float alpha = random_() % 2 == 0 ? 1.0f : -0.75f, beta = random_() % 2 == 0 ? 1.0f : 0.5f;
        const HostMatrix d = Sgemm(transa, transb, alpha, a, b, beta, c);
        for (std::int64_t j = 0; j < shape.n; ++j) {
          for (std::int64_t i = 0; i < shape.m; ++i) {
            const Expected sum = SumOfProducts(a, transa, b, transb, shape.k, i, j);
            const double before = static_cast<double>(beta) * c.at(i, j);
            const double bound = Bound(shape.k, std::fabs(alpha) * sum.magnitude + std::fabs(before));
            ASSERT_TRUE(std::fabs(alpha * sum.value + before - d.at(i, j)) <= bound)
                << shape.m << " " << shape.n << " " << shape.k << ", element " << i << ", " << j;
          }
        }
        ExpectPaddingUntouched(d);
      }
    }
  }
}

TEST_F(Cublas, SgemmOfIntegersIsExact) {
  for (const Shape& shape : Shapes(random_)) {
    const bool transa = random_() % 2 == 0, transb = random_() % 2 == 0;
    const auto a = RandomMatrix(random_, transa ? shape.k : shape.m, transa ? shape.m : shape.k, 1, Values::kIntegers);
    const auto b = RandomMatrix(random_, transb ? shape.n : shape.k, transb ? shape.k : shape.n, 0, Values::kIntegers);
    const auto c = RandomMatrix(random_, shape.m, shape.n, 1, Values::kIntegers);
    const HostMatrix d = Sgemm(transa, transb, 2, a, b, -1, c);
    for (std::int64_t j = 0; j < shape.n; ++j) {
      for (std::int64_t i = 0; i < shape.m; ++i) {
        ASSERT_EQ(d.at(i, j), 2 * SumOfProducts(a, transa, b, transb, shape.k, i, j).value - c.at(i, j));
      }
    }
  }
}

// A replica's share of a batch gives the bits that the whole batch does.
TEST_F(Cublas, AnElementsBitsDoNotDependOnWhatIsComputedWithIt) {
  std::uniform_int_distribution<std::int64_t> size(1, 150);
  for (int round = 0; round < 200; ++round) {
    const std::int64_t m = size(random_), n = size(random_), k = size(random_);
    const auto a = RandomMatrix(random_, m, k, 0), b = RandomMatrix(random_, k, n, 0);
    const auto c = RandomMatrix(random_, m, n, 0);
    const HostMatrix whole = Sgemm(false, false, 1.5f, a, b, 1, c);
    const std::int64_t row = static_cast<std::int64_t>(random_()) % m,
                       column = static_cast<std::int64_t>(random_()) % n;
    const std::int64_t rows = 1 + static_cast<std::int64_t>(random_()) % (m - row);
    const std::int64_t columns = 1 + static_cast<std::int64_t>(random_()) % (n - column);
    const auto part_of = [](const HostMatrix& of, std::int64_t i, std::int64_t count_i, std::int64_t j,
                            std::int64_t count_j) {
      HostMatrix part{count_i, count_j, count_i, {}};
      for (std::int64_t y = 0; y < count_j; ++y) {
        for (std::int64_t x = 0; x < count_i; ++x) part.values.push_back(of.at(i + x, j + y));
      }
      return part;
    };
    const HostMatrix part = Sgemm(false, false, 1.5f, part_of(a, row, rows, 0, k), part_of(b, 0, k, column, columns), 1,
                                  part_of(c, row, rows, column, columns));
    ASSERT_EQ(Bits(part.values), Bits(part_of(whole, row, rows, column, columns).values))
        << m << " " << n << " " << k << ", part " << row << "+" << rows << ", " << column << "+" << columns;
  }
}

TEST_F(Cublas, BetaZeroDoesNotReadTheResult) {
  for (const std::int64_t k : {0, 1, 40}) {
    const auto a = RandomMatrix(random_, 35, k, 0, Values::kIntegers),
               b = RandomMatrix(random_, k, 21, 0, Values::kIntegers);
    HostMatrix poisoned{35, 21, 36, {}};
    poisoned.values.assign(std::size_t{36 * 21}, kNaN);
    const HostMatrix d = Sgemm(false, false, 1, a, b, 0, poisoned);
    for (std::int64_t j = 0; j < 21; ++j) {
      for (std::int64_t i = 0; i < 35; ++i) ASSERT_EQ(d.at(i, j), SumOfProducts(a, false, b, false, k, i, j).value);
    }
  }
}

TEST_F(Cublas, OneNaNReachesItsRowAndNoOther) {
  auto a = RandomMatrix(random_, 20, 30, 0);
  const auto b = RandomMatrix(random_, 30, 10, 0);
  a.values[7 + 20 * 13] = kNaN;
  const HostMatrix d = Sgemm(false, false, 1, a, b, 0, RandomMatrix(random_, 20, 10, 0));
  for (std::int64_t j = 0; j < 10; ++j) {
    for (std::int64_t i = 0; i < 20; ++i) ASSERT_EQ(std::isnan(d.at(i, j)), i == 7);
  }
}

TEST_F(Cublas, AlphaZeroScalesTheResultAlone) {
  HostMatrix a = RandomMatrix(random_, 9, 4, 0);
  a.values.assign(a.values.size(), kNaN);
  const auto b = RandomMatrix(random_, 4, 5, 0), c = RandomMatrix(random_, 9, 5, 0);
  const HostMatrix d = Sgemm(false, false, 0, a, b, 3, c);
  for (std::int64_t j = 0; j < 5; ++j) {
    for (std::int64_t i = 0; i < 9; ++i) ASSERT_EQ(d.at(i, j), 3 * c.at(i, j));
  }
}

TEST_F(Cublas, SizeZeroDoesNothing) {
  const float one = 1;
  const DeviceArray<float> c(std::vector<float>(4, 7.0f));
  for (const Shape& shape : {Shape{0, 2, 2}, Shape{2, 0, 2}, Shape{0, 0, 0}}) {
    EXPECT_EQ(cublasSgemm(handle_, CUBLAS_OP_N, CUBLAS_OP_N, static_cast<int>(shape.m), static_cast<int>(shape.n),
                          static_cast<int>(shape.k), &one, nullptr, 2, nullptr, 2, &one, c.data(), 2),
              CUBLAS_STATUS_SUCCESS);
  }
  EXPECT_EQ(cublasSgemmStridedBatched(handle_, CUBLAS_OP_N, CUBLAS_OP_N, 2, 2, 2, &one, nullptr, 2, 4, nullptr, 2, 4,
                                      &one, c.data(), 2, 4, 0),
            CUBLAS_STATUS_SUCCESS);
  stream_.Synchronize();
  EXPECT_EQ(c.Read(), std::vector<float>(4, 7.0f));
}

TEST_F(Cublas, ScalarsOnTheDeviceAreReadWhenTheProductRuns) {
  const auto a = RandomMatrix(random_, 6, 5, 0, Values::kIntegers),
             b = RandomMatrix(random_, 5, 4, 0, Values::kIntegers);
  const DeviceArray<float> on_device_a(a.values), on_device_b(b.values), c(std::vector<float>(24, 1.0f));
  const DeviceArray<float> scalars(std::vector<float>{0, 0}), later(std::vector<float>{3, 10});
  ASSERT_EQ(cublasSetPointerMode(handle_, CUBLAS_POINTER_MODE_DEVICE), CUBLAS_STATUS_SUCCESS);
  Must(cudaMemcpyAsync(scalars.data(), later.data(), 2 * sizeof(float), cudaMemcpyDeviceToDevice, stream_), "copy");
  ASSERT_EQ(cublasSgemm(handle_, CUBLAS_OP_N, CUBLAS_OP_N, 6, 4, 5, scalars.data(), on_device_a.data(), 6,
                        on_device_b.data(), 5, scalars.data() + 1, c.data(), 6),
            CUBLAS_STATUS_SUCCESS);
  stream_.Synchronize();
  const auto d = c.Read();
  for (std::int64_t j = 0; j < 4; ++j) {
    for (std::int64_t i = 0; i < 6; ++i) {
      ASSERT_EQ(d[static_cast<std::size_t>(i + 6 * j)], 3 * SumOfProducts(a, false, b, false, 5, i, j).value + 10);
    }
  }
}

// Attention's shape: each result lies between the columns of the others.
TEST_F(Cublas, StridedBatchesMayInterleave) {
  constexpr int kBatch = 3, kRows = 5, kColumns = 7, kTerms = 4;
  const auto a = RandomMatrix(random_, kBatch * kRows, kTerms, 0, Values::kIntegers);
  const auto b = RandomMatrix(random_, kTerms, kColumns * kBatch, 0, Values::kIntegers);
  const DeviceArray<float> on_device_a(a.values), on_device_b(b.values);
  const DeviceArray<float> c(std::vector<float>(std::size_t{kBatch * kRows * kColumns}, kNaN));
  const float one = 1, zero = 0;
  ASSERT_EQ(cublasSgemmStridedBatched(handle_, CUBLAS_OP_N, CUBLAS_OP_N, kRows, kColumns, kTerms, &one,
                                      on_device_a.data(), kBatch * kRows, kRows, on_device_b.data(), kTerms,
                                      kTerms * kColumns, &zero, c.data(), kBatch * kRows, kRows, kBatch),
            CUBLAS_STATUS_SUCCESS);
  stream_.Synchronize();
  const auto d = c.Read();
  for (int batch = 0; batch < kBatch; ++batch) {
    for (int j = 0; j < kColumns; ++j) {
      for (int i = 0; i < kRows; ++i) {
        ASSERT_EQ(d[static_cast<std::size_t>(batch * kRows + i + j * kBatch * kRows)],
                  SumOfProducts(a, false, b, false, kTerms, batch * kRows + i, batch * kColumns + j).value);
      }
    }
  }
}

TEST_F(Cublas, AWorkspaceIsOverwrittenUntilTheStreamIsSet) {
  const DeviceArray<float> square(std::vector<float>(4, 1.0f)), c(std::size_t{4});
  const DeviceArray<char> workspace(std::vector<char>(std::size_t{8192}, 0));
  const float one = 1, zero = 0;
  const auto multiply = [&] {
    ASSERT_EQ(cublasSgemm(handle_, CUBLAS_OP_N, CUBLAS_OP_N, 2, 2, 2, &one, square.data(), 2, square.data(), 2, &zero,
                          c.data(), 2),
              CUBLAS_STATUS_SUCCESS);
    stream_.Synchronize();
  };
  ASSERT_EQ(cublasSetWorkspace(handle_, workspace.data(), workspace.size()), CUBLAS_STATUS_SUCCESS);
  ASSERT_EQ(cublasSetStream(handle_, stream_), CUBLAS_STATUS_SUCCESS);
  multiply();
  EXPECT_EQ(workspace.Read()[0], 0);
  ASSERT_EQ(cublasSetWorkspace(handle_, workspace.data(), workspace.size()), CUBLAS_STATUS_SUCCESS);
  multiply();
  EXPECT_NE(workspace.Read()[0], 0);
  EXPECT_EQ(c.Read(), std::vector<float>(4, 2.0f));
}

}  // namespace
}  // namespace lockstep::suites::virtual_gpu
