// cublasLt of virtual GPUs: every epilogue against the plain loop, and what its heuristic and its product refuse.
#include <cublasLt.h>
#include <gtest/gtest.h>

#include <functional>
#include <random>

#include "suites/virtual_gpu/library_memory.h"
#include "suites/virtual_gpu/matrix_reference.h"

namespace lockstep::suites::virtual_gpu {
namespace {

double GeluInDouble(double x) { return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x))); }

class CublasLt : public testing::Test {
 protected:
  static constexpr std::int64_t kM = 24, kN = 17, kK = 29, kAuxLeading = 32;

  CublasLt()
      : a_(RandomMatrix(random_, kM, kK, 3)),
        b_(RandomMatrix(random_, kK, kN, 1)),
        c_(RandomMatrix(random_, kM, kN, 2)),
        bias_(RandomMatrix(random_, kM, 1, 0)) {
    EXPECT_EQ(cublasLtCreate(&handle_), CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(cublasLtMatmulPreferenceCreate(&preference_), CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(cublasLtMatmulDescCreate(&product_, CUBLAS_COMPUTE_32F, CUDA_R_32F), CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(cublasLtMatrixLayoutCreate(&layout_a_, CUDA_R_32F, kM, kK, a_.leading), CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(cublasLtMatrixLayoutCreate(&layout_b_, CUDA_R_32F, kK, kN, b_.leading), CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(cublasLtMatrixLayoutCreate(&layout_c_, CUDA_R_32F, kM, kN, c_.leading), CUBLAS_STATUS_SUCCESS);
  }
  ~CublasLt() override {
    cublasLtMatrixLayoutDestroy(layout_c_);
    cublasLtMatrixLayoutDestroy(layout_b_);
    cublasLtMatrixLayoutDestroy(layout_a_);
    cublasLtMatmulDescDestroy(product_);
    cublasLtMatmulPreferenceDestroy(preference_);
    cublasLtDestroy(handle_);
  }

  template <typename T>
  void Set(cublasLtMatmulDescAttributes_t attribute, T value) {
    ASSERT_EQ(cublasLtMatmulDescSetAttribute(product_, attribute, &value, sizeof value), CUBLAS_STATUS_SUCCESS);
  }
  template <typename T>
  void Set(cublasLtMatmulPreferenceAttributes_t attribute, T value) {
    ASSERT_EQ(cublasLtMatmulPreferenceSetAttribute(preference_, attribute, &value, sizeof value),
              CUBLAS_STATUS_SUCCESS);
  }
  void SetEpilogue(cublasLtEpilogue_t epilogue) {
    Set(CUBLASLT_MATMUL_DESC_EPILOGUE, epilogue);
    Set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, static_cast<const void*>(device_bias_.data()));
    Set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, static_cast<void*>(device_aux_.data()));
    Set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, kAuxLeading);
  }

  cublasStatus_t Choose() {
    int count = -1;
    const auto status = cublasLtMatmulAlgoGetHeuristic(handle_, product_, layout_a_, layout_b_, layout_c_, layout_c_,
                                                       preference_, 1, &choice_, &count);
    EXPECT_EQ(count, status == CUBLAS_STATUS_SUCCESS ? 1 : 0);
    return status;
  }
  cublasStatus_t Run(float alpha, float beta, const cublasLtMatmulAlgo_t* algorithm, void* workspace = nullptr,
                     std::size_t bytes = 0) {
    const auto status =
        cublasLtMatmul(handle_, product_, &alpha, device_a_.data(), layout_a_, device_b_.data(), layout_b_, &beta,
                       device_c_.data(), layout_c_, device_c_.data(), layout_c_, algorithm, workspace, bytes, stream_);
    stream_.Synchronize();
    return status;
  }
  // alpha a b + beta c, before the epilogue
  Expected Before(float alpha, float beta, std::int64_t i, std::int64_t j) const {
    const Expected sum = SumOfProducts(a_, false, b_, false, kK, i, j);
    const double before = beta == 0 ? 0 : static_cast<double>(beta) * c_.at(i, j);
    return {alpha * sum.value + before, std::fabs(alpha) * sum.magnitude + std::fabs(before)};
  }
  static double At(const std::vector<float>& values, std::int64_t i, std::int64_t j, std::int64_t leading) {
    return values[static_cast<std::size_t>(i + j * leading)];
  }

  std::mt19937 random_{20240302};
  Stream stream_;
  HostMatrix a_, b_, c_, bias_;
  DeviceArray<float> device_a_{a_.values}, device_b_{b_.values}, device_c_{c_.values}, device_bias_{bias_.values};
  DeviceArray<float> device_aux_{std::vector<float>(std::size_t{kAuxLeading * kN}, 77.0f)};
  cublasLtHandle_t handle_ = nullptr;
  cublasLtMatmulPreference_t preference_ = nullptr;
  cublasLtMatmulDesc_t product_ = nullptr;
  cublasLtMatrixLayout_t layout_a_ = nullptr, layout_b_ = nullptr, layout_c_ = nullptr;
  cublasLtMatmulHeuristicResult_t choice_{};
};

TEST_F(CublasLt, EveryEpilogueIsThePlainLoop) {
  const struct {
    cublasLtEpilogue_t epilogue;
    bool bias, relu, gelu, aux;
  } cases[] = {{CUBLASLT_EPILOGUE_DEFAULT, false, false, false, false},
               {CUBLASLT_EPILOGUE_RELU, false, true, false, false},
               {CUBLASLT_EPILOGUE_BIAS, true, false, false, false},
               {CUBLASLT_EPILOGUE_RELU_BIAS, true, true, false, false},
               {CUBLASLT_EPILOGUE_GELU, false, false, true, false},
               {CUBLASLT_EPILOGUE_GELU_AUX, false, false, true, true},
               {CUBLASLT_EPILOGUE_GELU_BIAS, true, false, true, false},
               {CUBLASLT_EPILOGUE_GELU_AUX_BIAS, true, false, true, true}};
  for (const auto& each : cases) {
    for (const float beta : {0.0f, 0.5f}) {
      device_c_.Write(c_.values);
      device_aux_.Write(std::vector<float>(device_aux_.size(), 77.0f));
      SetEpilogue(each.epilogue);
      ASSERT_EQ(Choose(), CUBLAS_STATUS_SUCCESS);
      ASSERT_EQ(Run(1.25f, beta, &choice_.algo), CUBLAS_STATUS_SUCCESS);
      const auto d = device_c_.Read(), aux = device_aux_.Read();
      for (std::int64_t j = 0; j < kN; ++j) {
        for (std::int64_t i = 0; i < kM; ++i) {
          Expected u = Before(1.25f, beta, i, j);
          if (each.bias) u.value += bias_.at(i, 0), u.magnitude += std::fabs(bias_.at(i, 0));
          const double bound = Bound(kK, u.magnitude);
          ASSERT_TRUE(std::fabs((each.aux ? u.value : 77) - At(aux, i, j, kAuxLeading)) <= bound) << each.epilogue;
          const double y = each.relu ? std::max(0.0, u.value) : each.gelu ? GeluInDouble(u.value) : u.value;
          // gelu's slope is at most 1.13, and its own rounding a few units
          ASSERT_TRUE(std::fabs(y - At(d, i, j, c_.leading)) <= 1.13 * bound + std::ldexp(std::fabs(y), -21))
              << each.epilogue << " of " << u.value;
        }
      }
    }
  }
}

TEST_F(CublasLt, GeluIsTheTanhApproximationFromEndToEnd) {
  const std::vector<float> inputs = {0.0f, -0.0f, 1e-30f, -1e-30f, 1e-4f, -1e-4f, 0.5f,   -0.5f,
                                     1.0f, -1.0f, 3.0f,   -3.0f,   6.0f,  -6.0f,  100.0f, -100.0f};
  const DeviceArray<float> one(std::vector<float>{1.0f}), x(inputs), y(inputs.size());
  cublasLtMatrixLayout_t scalar = nullptr, row = nullptr;
  ASSERT_EQ(cublasLtMatrixLayoutCreate(&scalar, CUDA_R_32F, 1, 1, 1), CUBLAS_STATUS_SUCCESS);
  ASSERT_EQ(cublasLtMatrixLayoutCreate(&row, CUDA_R_32F, 1, inputs.size(), 1), CUBLAS_STATUS_SUCCESS);
  SetEpilogue(CUBLASLT_EPILOGUE_GELU);
  const float alpha = 1, beta = 0;
  ASSERT_EQ(cublasLtMatmul(handle_, product_, &alpha, one.data(), scalar, x.data(), row, &beta, nullptr, row, y.data(),
                           row, nullptr, nullptr, 0, stream_),
            CUBLAS_STATUS_SUCCESS);
  stream_.Synchronize();
  const auto outputs = y.Read();
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const double expected = GeluInDouble(inputs[i]);
    EXPECT_TRUE(std::fabs(outputs[i] - expected) <= std::ldexp(std::fabs(expected), -20) + 1e-7 * (inputs[i] < -2))
        << inputs[i] << " gives " << outputs[i];
  }
  cublasLtMatrixLayoutDestroy(row);
  cublasLtMatrixLayoutDestroy(scalar);
}

TEST_F(CublasLt, BiasGradientsAreTheInputsSums) {
  for (const bool of_a : {true, false}) {
    const std::int64_t count = of_a ? kM : kN;
    const DeviceArray<float> gradient(static_cast<std::size_t>(count));
    Set(CUBLASLT_MATMUL_DESC_EPILOGUE, of_a ? CUBLASLT_EPILOGUE_BGRADA : CUBLASLT_EPILOGUE_BGRADB);
    Set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, static_cast<void*>(gradient.data()));
    device_c_.Write(c_.values);
    ASSERT_EQ(Run(1, 1, nullptr), CUBLAS_STATUS_SUCCESS);
    const auto sums = gradient.Read(), d = device_c_.Read();
    for (std::int64_t u = 0; u < count; ++u) {
      double sum = 0, magnitude = 0;
      for (std::int64_t p = 0; p < kK; ++p) {
        const double term = of_a ? a_.at(u, p) : b_.at(p, u);
        sum += term, magnitude += std::fabs(term);
      }
      ASSERT_TRUE(std::fabs(sum - sums[static_cast<std::size_t>(u)]) <= Bound(kK, magnitude));
    }
    const Expected corner = Before(1, 1, kM - 1, kN - 1);
    EXPECT_TRUE(std::fabs(corner.value - At(d, kM - 1, kN - 1, c_.leading)) <= Bound(kK, corner.magnitude));
  }
}

TEST_F(CublasLt, BatchesGoByTheirStrides) {
  constexpr std::int32_t kBatch = 3;
  std::vector<float> many_a, many_c;
  for (int i = 0; i < kBatch; ++i) {
    for (const float value : a_.values) many_a.push_back(value * static_cast<float>(i + 1));
    many_c.insert(many_c.end(), c_.values.begin(), c_.values.end());
  }
  const DeviceArray<float> batch_a(many_a), batch_c(many_c);
  const std::int64_t stride_a = static_cast<std::int64_t>(a_.values.size()), none = 0;
  const std::int64_t stride_c = static_cast<std::int64_t>(c_.values.size());
  const struct {
    cublasLtMatrixLayout_t layout;
    std::int64_t stride;
  } layouts[] = {{layout_a_, stride_a}, {layout_b_, none}, {layout_c_, stride_c}};
  for (const auto& each : layouts) {
    cublasLtMatrixLayoutSetAttribute(each.layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &kBatch, sizeof kBatch);
    cublasLtMatrixLayoutSetAttribute(each.layout, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &each.stride,
                                     sizeof each.stride);
  }
  const float one = 1;
  ASSERT_EQ(cublasLtMatmul(handle_, product_, &one, batch_a.data(), layout_a_, device_b_.data(), layout_b_, &one,
                           batch_c.data(), layout_c_, batch_c.data(), layout_c_, nullptr, nullptr, 0, stream_),
            CUBLAS_STATUS_SUCCESS);
  stream_.Synchronize();
  const auto d = batch_c.Read();
  for (int batch = 0; batch < kBatch; ++batch) {
    const Expected expected = Before(static_cast<float>(batch + 1), 1, 5, 6);
    EXPECT_TRUE(std::fabs(expected.value - d[static_cast<std::size_t>(batch * stride_c + 5 + 6 * c_.leading)]) <=
                Bound(kK, expected.magnitude));
  }
}

TEST_F(CublasLt, TheHeuristicHasNoAlgorithmForAnAuxiliaryMatrixOutOfStep) {
  SetEpilogue(CUBLASLT_EPILOGUE_GELU_AUX_BIAS);
  ASSERT_EQ(Choose(), CUBLAS_STATUS_SUCCESS);
  for (const std::int64_t leading : {std::int64_t{0}, std::int64_t{16}, kM + 1}) {
    Set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, leading);
    testing::internal::CaptureStderr();
    EXPECT_EQ(Choose(), CUBLAS_STATUS_NOT_SUPPORTED);
    EXPECT_EQ(testing::internal::GetCapturedStderr(), "");  // it was asked, and answers
    testing::internal::CaptureStderr();
    EXPECT_EQ(Run(1, 0, nullptr), CUBLAS_STATUS_NOT_SUPPORTED);
    EXPECT_NE(testing::internal::GetCapturedStderr().find("a multiple of 8 and at least 24 is needed"),
              std::string::npos);
  }
}

TEST_F(CublasLt, AnAlgorithmHoldsToTheAlignmentAndWorkspaceItWasChosenFor) {
  const DeviceArray<char> workspace(std::size_t{1} << 16);
  Set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, std::uint64_t{1} << 16);
  ASSERT_EQ(Choose(), CUBLAS_STATUS_SUCCESS);
  ASSERT_GT(choice_.workspaceSize, 0u);
  ASSERT_LE(choice_.workspaceSize, workspace.size());
  EXPECT_EQ(Run(1, 0, &choice_.algo, workspace.data(), workspace.size()), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(Run(1, 0, &choice_.algo), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(Run(1, 0, &choice_.algo, workspace.data() + 16, workspace.size() - 16), CUBLAS_STATUS_INVALID_VALUE);
  const float one = 1;
  const auto off_by_one_element = [&] {
    return cublasLtMatmul(handle_, product_, &one, device_a_.data(), layout_a_, device_b_.data() + 1, layout_b_, &one,
                          device_c_.data(), layout_c_, device_c_.data(), layout_c_, &choice_.algo, workspace.data(),
                          workspace.size(), stream_);
  };
  testing::internal::CaptureStderr();
  EXPECT_EQ(off_by_one_element(), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_NE(testing::internal::GetCapturedStderr().find("B is not aligned to the 256 bytes"), std::string::npos);
  Set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, 4u);
  ASSERT_EQ(Choose(), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(off_by_one_element(), CUBLAS_STATUS_SUCCESS);
  SetEpilogue(CUBLASLT_EPILOGUE_RELU);
  EXPECT_EQ(Run(1, 0, &choice_.algo, workspace.data(), workspace.size()), CUBLAS_STATUS_INVALID_VALUE);
  stream_.Synchronize();
}

TEST_F(CublasLt, WhatContradictsItselfIsRefusedWithTheReason) {
  const auto expect = [&](cublasStatus_t status, const char* words) {
    testing::internal::CaptureStderr();
    EXPECT_EQ(Run(1, 0, nullptr), status) << words;
    const std::string line = testing::internal::GetCapturedStderr();
    EXPECT_NE(line.find(std::string("virtual cuBLAS: cublasLtMatmul: ")), std::string::npos) << line;
    EXPECT_NE(line.find(words), std::string::npos) << line;
  };
  Set(CUBLASLT_MATMUL_DESC_TRANSA, CUBLAS_OP_T);
  expect(CUBLAS_STATUS_INVALID_VALUE, "A is 24 by 29, 24 by 24 is needed");
  Set(CUBLASLT_MATMUL_DESC_TRANSA, CUBLAS_OP_N);
  Set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS);
  expect(CUBLAS_STATUS_INVALID_VALUE, "the bias is null");
  Set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, static_cast<const void*>(bias_.values.data()));
  expect(CUBLAS_STATUS_INVALID_VALUE, "the bias is host memory");
  Set(CUBLASLT_MATMUL_DESC_EPILOGUE, std::uint32_t{8 | 128});
  expect(CUBLAS_STATUS_NOT_SUPPORTED, "epilogue 136 is not covered");
  Set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_DEFAULT);
  Set(CUBLASLT_MATMUL_DESC_SCALE_TYPE, CUDA_R_64F);
  expect(CUBLAS_STATUS_NOT_SUPPORTED, "scale type CUDA_R_64F");
  Set(CUBLASLT_MATMUL_DESC_SCALE_TYPE, CUDA_R_32F);
  const std::int32_t row_order = 1;
  cublasLtMatrixLayoutSetAttribute(layout_b_, CUBLASLT_MATRIX_LAYOUT_ORDER, &row_order, sizeof row_order);
  expect(CUBLAS_STATUS_NOT_SUPPORTED, "B: order 1 is not covered");
}

TEST_F(CublasLt, AnAttributeHasItsSizeAndNoOther) {
  const std::int64_t wide = CUBLAS_OP_T;
  EXPECT_EQ(cublasLtMatmulDescSetAttribute(product_, CUBLASLT_MATMUL_DESC_TRANSA, &wide, sizeof wide),
            CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(cublasLtMatmulDescSetAttribute(product_, static_cast<cublasLtMatmulDescAttributes_t>(17), &wide, 8),
            CUBLAS_STATUS_NOT_SUPPORTED);
  EXPECT_EQ(cublasLtMatmulDescSetAttribute(product_, CUBLASLT_MATMUL_DESC_TRANSA, nullptr, 4),
            CUBLAS_STATUS_INVALID_VALUE);
  std::uint64_t rows = 0;
  std::size_t written = 0;
  EXPECT_EQ(cublasLtMatrixLayoutGetAttribute(layout_a_, CUBLASLT_MATRIX_LAYOUT_ROWS, &rows, sizeof rows, &written),
            CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(rows, static_cast<std::uint64_t>(kM));
  EXPECT_EQ(written, sizeof rows);
}

}  // namespace
}  // namespace lockstep::suites::virtual_gpu
