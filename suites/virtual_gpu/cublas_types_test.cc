// cuBLAS of virtual GPUs: bf16, TF32, and what is refused, with the status and the line that says why.
#include <cublas_v2.h>
#include <gtest/gtest.h>

#include <functional>
#include <random>

#include "suites/virtual_gpu/library_memory.h"
#include "suites/virtual_gpu/matrix_reference.h"

namespace lockstep::suites::virtual_gpu {
namespace {

class CublasTypes : public testing::Test {
 protected:
  CublasTypes() {
    EXPECT_EQ(cublasCreate(&handle_), CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(cublasSetStream(handle_, stream_), CUBLAS_STATUS_SUCCESS);
  }
  ~CublasTypes() override { cublasDestroy(handle_); }

  Stream stream_;
  cublasHandle_t handle_ = nullptr;
  std::mt19937 random_{20240301};
};

std::vector<__nv_bfloat16> Narrow(HostMatrix& matrix) {  // and rounds the host's values as well
  std::vector<__nv_bfloat16> narrow;
  for (float& value : matrix.values) {
    narrow.emplace_back(value);
    value = static_cast<float>(narrow.back());
  }
  return narrow;
}

TEST_F(CublasTypes, BF16InputsAreTakenAsTheyStandAndAddedInFP32) {
  for (const std::int64_t k : {1, 3, 64, 129}) {
    const std::int64_t m = 37, n = 19;
    auto a = RandomMatrix(random_, k, m, 1), b = RandomMatrix(random_, n, k, 2);
    const DeviceArray<__nv_bfloat16> on_device_a(Narrow(a)), on_device_b(Narrow(b));
    const DeviceArray<float> c(std::vector<float>(static_cast<std::size_t>(m * n), 2.0f));
    const float one = 1;
    ASSERT_EQ(cublasGemmEx(handle_, CUBLAS_OP_T, CUBLAS_OP_T, static_cast<int>(m), static_cast<int>(n),
                           static_cast<int>(k), &one, on_device_a.data(), CUDA_R_16BF, static_cast<int>(a.leading),
                           on_device_b.data(), CUDA_R_16BF, static_cast<int>(b.leading), &one, c.data(), CUDA_R_32F,
                           static_cast<int>(m), CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT),
              CUBLAS_STATUS_SUCCESS);
    stream_.Synchronize();
    const auto d = c.Read();
    for (std::int64_t j = 0; j < n; ++j) {
      for (std::int64_t i = 0; i < m; ++i) {
        const Expected sum = SumOfProducts(a, true, b, true, k, i, j);
        ASSERT_TRUE(std::fabs(sum.value + 2 - d[static_cast<std::size_t>(i + j * m)]) <= Bound(k, sum.magnitude + 2));
      }
    }
  }
}

TEST_F(CublasTypes, ABF16ResultIsRoundedOnce) {
  const std::int64_t m = 33, n = 10, k = 40;
  auto a = RandomMatrix(random_, m, k, 0, Values::kIntegers), b = RandomMatrix(random_, k, n, 0, Values::kIntegers);
  auto c = RandomMatrix(random_, m, n, 0, Values::kIntegers);
  const DeviceArray<__nv_bfloat16> on_device_a(Narrow(a)), on_device_b(Narrow(b));
  for (const float beta : {0.0f, 1.0f}) {
    const DeviceArray<__nv_bfloat16> on_device_c(Narrow(c));
    const float one = 1;
    ASSERT_EQ(cublasSgemmEx(handle_, CUBLAS_OP_N, CUBLAS_OP_N, m, n, k, &one, on_device_a.data(), CUDA_R_16BF, m,
                            on_device_b.data(), CUDA_R_16BF, k, &beta, on_device_c.data(), CUDA_R_16BF, m),
              CUBLAS_STATUS_SUCCESS);
    stream_.Synchronize();
    const auto d = on_device_c.Read();
    for (std::int64_t j = 0; j < n; ++j) {
      for (std::int64_t i = 0; i < m; ++i) {
        const double exact = SumOfProducts(a, false, b, false, k, i, j).value + beta * c.at(i, j);
        ASSERT_EQ(__bfloat16_as_ushort(d[static_cast<std::size_t>(i + j * m)]),
                  __bfloat16_as_ushort(__float2bfloat16(static_cast<float>(exact))));
      }
    }
  }
}

TEST_F(CublasTypes, BatchesOfBF16GoByTheirStrides) {
  const std::int64_t m = 8, n = 6, k = 5, batch = 4;
  auto a = RandomMatrix(random_, m, k * batch, 0, Values::kIntegers);
  auto b = RandomMatrix(random_, k, n * batch, 0, Values::kIntegers);
  const DeviceArray<__nv_bfloat16> on_device_a(Narrow(a)), on_device_b(Narrow(b));
  const DeviceArray<float> c(static_cast<std::size_t>(m * n * batch));
  const float half = 0.5f, zero = 0;
  ASSERT_EQ(
      cublasGemmStridedBatchedEx(handle_, CUBLAS_OP_N, CUBLAS_OP_N, m, n, k, &half, on_device_a.data(), CUDA_R_16BF, m,
                                 m * k, on_device_b.data(), CUDA_R_16BF, k, k * n, &zero, c.data(), CUDA_R_32F, m,
                                 m * n, batch, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT_TENSOR_OP),
      CUBLAS_STATUS_SUCCESS);
  stream_.Synchronize();
  const auto d = c.Read();
  for (std::int64_t each = 0; each < batch; ++each) {
    for (std::int64_t j = 0; j < n; ++j) {
      for (std::int64_t i = 0; i < m; ++i) {
        double sum = 0;
        for (std::int64_t p = 0; p < k; ++p) sum += static_cast<double>(a.at(i, each * k + p)) * b.at(p, each * n + j);
        ASSERT_EQ(d[static_cast<std::size_t>(each * m * n + j * m + i)], sum / 2);
      }
    }
  }
}

// 1 + 2^-12 needs 12 bits of mantissa; TF32 has 10.
TEST_F(CublasTypes, InputsLoseBitsToTF32OnlyWhereItIsAskedFor) {
  const float fine = 1 + std::ldexp(1.0f, -12), one = 1, zero = 0;
  const DeviceArray<float> a(std::vector<float>{fine}), b(std::vector<float>{1.0f}), c(std::size_t{1});
  const auto multiply = [&](cublasMath_t mode, cublasComputeType_t compute) {
    EXPECT_EQ(cublasSetMathMode(handle_, mode), CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(cublasGemmEx(handle_, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, &one, a.data(), CUDA_R_32F, 1, b.data(),
                           CUDA_R_32F, 1, &zero, c.data(), CUDA_R_32F, 1, compute, CUBLAS_GEMM_DEFAULT),
              CUBLAS_STATUS_SUCCESS);
    stream_.Synchronize();
    return c.Read()[0];
  };
  EXPECT_EQ(multiply(CUBLAS_DEFAULT_MATH, CUBLAS_COMPUTE_32F), fine);
  EXPECT_EQ(multiply(CUBLAS_PEDANTIC_MATH, CUBLAS_COMPUTE_32F), fine);
  EXPECT_EQ(multiply(CUBLAS_TF32_TENSOR_OP_MATH, CUBLAS_COMPUTE_32F_PEDANTIC), fine);
  EXPECT_EQ(multiply(CUBLAS_TF32_TENSOR_OP_MATH, CUBLAS_COMPUTE_32F), 1);
  EXPECT_EQ(multiply(CUBLAS_DEFAULT_MATH, CUBLAS_COMPUTE_32F_FAST_TF32), 1);
}

// A call that is right, to be made wrong in one place.
struct GemmCall {
  cublasHandle_t handle;
  cublasOperation_t transa = CUBLAS_OP_N, transb = CUBLAS_OP_N;
  int m = 4, n = 3, k = 2;
  const void* alpha;
  const void* a;
  cudaDataType type_a = CUDA_R_32F;
  int lda = 4;
  const void* b;
  cudaDataType type_b = CUDA_R_32F;
  int ldb = 2;
  const void* beta;
  void* c;
  cudaDataType type_c = CUDA_R_32F;
  int ldc = 4;
  long long stride_c = 12;
  int batch = 2;
  int compute = CUBLAS_COMPUTE_32F, algo = CUBLAS_GEMM_DEFAULT;

  cublasStatus_t operator()() const {
    return cublasGemmStridedBatchedEx(handle, transa, transb, m, n, k, alpha, a, type_a, lda, 8, b, type_b, ldb, 6,
                                      beta, c, type_c, ldc, stride_c, batch, static_cast<cublasComputeType_t>(compute),
                                      static_cast<cublasGemmAlgo_t>(algo));
  }
};

TEST_F(CublasTypes, WhatCublasRefusesIsRefusedWithTheArgumentNamed) {
  const float one = 1, host[24] = {};
  const DeviceArray<float> a(std::size_t{24}), b(std::size_t{24}), c(std::size_t{24});
  GemmCall right;
  right.handle = handle_;
  right.alpha = right.beta = &one;
  right.a = a.data(), right.b = b.data(), right.c = c.data();
  ASSERT_EQ(right(), CUBLAS_STATUS_SUCCESS);
  const struct {
    std::function<void(GemmCall&)> spoil;
    cublasStatus_t status;
    const char* words;
  } cases[] = {
      {[](GemmCall& call) { call.handle = nullptr; }, CUBLAS_STATUS_NOT_INITIALIZED, "the handle is null"},
      {[](GemmCall& call) { call.transa = static_cast<cublasOperation_t>(7); }, CUBLAS_STATUS_INVALID_VALUE,
       "transa is 7"},
      {[](GemmCall& call) { call.transb = static_cast<cublasOperation_t>(-1); }, CUBLAS_STATUS_INVALID_VALUE,
       "transb is -1"},
      {[](GemmCall& call) { call.m = -1; }, CUBLAS_STATUS_INVALID_VALUE, "m is -1"},
      {[](GemmCall& call) { call.n = -2; }, CUBLAS_STATUS_INVALID_VALUE, "n is -2"},
      {[](GemmCall& call) { call.k = -3; }, CUBLAS_STATUS_INVALID_VALUE, "k is -3"},
      {[](GemmCall& call) { call.batch = -1; }, CUBLAS_STATUS_INVALID_VALUE, "batchCount is -1"},
      {[](GemmCall& call) { call.lda = 3; }, CUBLAS_STATUS_INVALID_VALUE, "lda is 3, at least 4"},
      {[](GemmCall& call) { call.transa = CUBLAS_OP_T, call.lda = 1; }, CUBLAS_STATUS_INVALID_VALUE,
       "lda is 1, at least 2"},
      {[](GemmCall& call) { call.ldb = 1; }, CUBLAS_STATUS_INVALID_VALUE, "ldb is 1, at least 2"},
      {[](GemmCall& call) { call.transb = CUBLAS_OP_C; }, CUBLAS_STATUS_INVALID_VALUE, "ldb is 2, at least 3"},
      {[](GemmCall& call) { call.ldc = 3; }, CUBLAS_STATUS_INVALID_VALUE, "ldc is 3, at least 4"},
      {[](GemmCall& call) { call.m = 0, call.ldc = 0; }, CUBLAS_STATUS_INVALID_VALUE, "ldc is 0, at least 1"},
      {[](GemmCall& call) { call.alpha = nullptr; }, CUBLAS_STATUS_INVALID_VALUE, "alpha is null"},
      {[](GemmCall& call) { call.beta = nullptr; }, CUBLAS_STATUS_INVALID_VALUE, "beta is null"},
      {[&](GemmCall& call) { call.a = host; }, CUBLAS_STATUS_INVALID_VALUE, "A is host memory"},
      {[](GemmCall& call) { call.b = nullptr; }, CUBLAS_STATUS_INVALID_VALUE, "B is null"},
      {[](GemmCall& call) { call.c = nullptr; }, CUBLAS_STATUS_INVALID_VALUE, "C is null"},
      {[](GemmCall& call) { call.stride_c = 8; }, CUBLAS_STATUS_INVALID_VALUE,
       "strideC is 8: the results of the batch overlap"},
      {[](GemmCall& call) { call.stride_c = 0; }, CUBLAS_STATUS_INVALID_VALUE, "strideC is 0"},
      {[](GemmCall& call) { call.type_a = CUDA_R_16BF; }, CUBLAS_STATUS_NOT_SUPPORTED, "A CUDA_R_16BF, B CUDA_R_32F"},
      {[](GemmCall& call) { call.type_c = CUDA_R_16BF; }, CUBLAS_STATUS_NOT_SUPPORTED, "C CUDA_R_16BF is not covered"},
      {[](GemmCall& call) { call.compute = 64; }, CUBLAS_STATUS_NOT_SUPPORTED, "computeType 64"},
      {[](GemmCall& call) { call.algo = 5; }, CUBLAS_STATUS_NOT_SUPPORTED, "algo 5"},
  };
  for (const auto& wrong : cases) {
    GemmCall call = right;
    wrong.spoil(call);
    testing::internal::CaptureStderr();
    EXPECT_EQ(call(), wrong.status) << wrong.words;
    const std::string line = testing::internal::GetCapturedStderr();
    EXPECT_NE(line.find(std::string("virtual cuBLAS: cublasGemmStridedBatchedEx: ")), std::string::npos) << line;
    EXPECT_NE(line.find(wrong.words), std::string::npos) << line;
  }
  stream_.Synchronize();
}

TEST_F(CublasTypes, AHostScalarIsRefusedInDeviceMode) {
  const float one = 1;
  const DeviceArray<float> square(std::size_t{4});
  ASSERT_EQ(cublasSetPointerMode(handle_, CUBLAS_POINTER_MODE_DEVICE), CUBLAS_STATUS_SUCCESS);
  testing::internal::CaptureStderr();
  EXPECT_EQ(cublasSgemm(handle_, CUBLAS_OP_N, CUBLAS_OP_N, 2, 2, 2, &one, square.data(), 2, square.data(), 2, &one,
                        square.data(), 2),
            CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(testing::internal::GetCapturedStderr(),
            "virtual cuBLAS: cublasSgemm: alpha is host memory, device memory is needed\n");
}

TEST_F(CublasTypes, TheHandleKeepsWhatItIsTold) {
  cudaStream_t stream = nullptr;
  cublasMath_t math = CUBLAS_DEFAULT_MATH;
  cublasPointerMode_t pointers = CUBLAS_POINTER_MODE_DEVICE;
  int version = 0, major = 0;
  EXPECT_EQ(cublasGetStream(handle_, &stream), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(stream, static_cast<cudaStream_t>(stream_));
  EXPECT_EQ(cublasGetPointerMode(handle_, &pointers), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(pointers, CUBLAS_POINTER_MODE_HOST);
  const auto flagged =
      static_cast<cublasMath_t>(CUBLAS_PEDANTIC_MATH | CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION);
  EXPECT_EQ(cublasSetMathMode(handle_, flagged), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(cublasGetMathMode(handle_, &math), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(math, flagged);
  EXPECT_EQ(cublasGetVersion(handle_, &version), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(version, CUBLAS_VERSION);
  EXPECT_EQ(cublasGetProperty(MAJOR_VERSION, &major), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(major, CUBLAS_VER_MAJOR);
  EXPECT_STREQ(cublasGetStatusName(CUBLAS_STATUS_NOT_SUPPORTED), "CUBLAS_STATUS_NOT_SUPPORTED");
}

TEST_F(CublasTypes, TheHandleRefusesWhatIsNotItsOwn) {
  const DeviceArray<char> workspace(std::size_t{1024});
  char host[512];
  EXPECT_EQ(cublasSetWorkspace(handle_, workspace.data() + 8, 512), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(cublasSetWorkspace(handle_, host, 512), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(cublasSetMathMode(handle_, static_cast<cublasMath_t>(1)), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(cublasSetPointerMode(handle_, static_cast<cublasPointerMode_t>(2)), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(cublasSetStream(nullptr, nullptr), CUBLAS_STATUS_NOT_INITIALIZED);
  EXPECT_EQ(cublasDestroy(nullptr), CUBLAS_STATUS_NOT_INITIALIZED);
}

}  // namespace
}  // namespace lockstep::suites::virtual_gpu
