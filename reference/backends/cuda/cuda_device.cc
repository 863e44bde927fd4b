#include "reference/backends/cuda/cuda_device.h"

#include "reference/backends/cuda/backend.h"
#include "reference/backends/cuda/check.h"
#include "reference/backends/cuda/nccl_check.h"

namespace lockstep::backends::cuda {
namespace {

#ifdef LOCKSTEP_VIRTUAL_GPU
constexpr const char* kKind = "virtual";
#else
constexpr const char* kKind = "gpu";
#endif

// 13020 -> "13.2", as CUDA numbers its versions
std::string Version(int number) { return std::to_string(number / 1000) + "." + std::to_string(number % 1000 / 10); }

// 130100 -> "13.1.0", as cuBLAS numbers its versions; NCCL does as well
std::string LibraryVersion(int number) {
  return std::to_string(number / 10000) + "." + std::to_string(number / 100 % 100) + "." + std::to_string(number % 100);
}

}  // namespace

CudaDevice::CudaDevice(Runtime& runtime, std::int64_t memory_capacity_bytes)
    : runtime_(runtime), ledger_(memory_capacity_bytes), transfers_(runtime), products_(runtime) {}

// Blocks go back to the device at the end: nothing may still run on them.
CudaDevice::~CudaDevice() { static_cast<void>(cudaStreamSynchronize(stream())); }

device::DeviceInfo CudaDevice::Info() const {
  device::DeviceInfo info;
  cudaDeviceProp properties{};
  int runtime = 0, driver = 0, cublas = 0, nccl = 0;
  CUDA_CHECK(cudaGetDeviceProperties(&properties, runtime_.ordinal()));
  CUDA_CHECK(cudaRuntimeGetVersion(&runtime));
  CUDA_CHECK(cudaDriverGetVersion(&driver));
  CUBLAS_CHECK(cublasGetVersion(runtime_.cublas(), &cublas));
  NCCL_CHECK(ncclGetVersion(&nccl));
  info.kind = kKind;
  info.name = properties.name;
  info.ordinal = runtime_.rank();  // the evidence's devices are the ranks'; each node begins its own at 0
  info.libraries["cuda_runtime"] = Version(runtime);
  info.libraries["cuda_driver"] = Version(driver);
  info.libraries["cublas"] = LibraryVersion(cublas);
  info.libraries["nccl"] = LibraryVersion(nccl);
  info.libraries["fp32_products"] = runtime_.tf32() ? "TF32, as asked for" : "fp32, no TF32";
  info.libraries["bf16_products"] = "bf16, fp32 sums";
  return info;
}

device::Buffer CudaDevice::Allocate(std::size_t bytes, device::Category category) {
  const auto count = static_cast<std::int64_t>(bytes);
  ledger_.Take(category, count, runtime_.ordinal());
  void* const data = arena_.Take(bytes);
  if (data == nullptr) {
    ledger_.Give(category, count);
    std::size_t free = 0, total = 0;
    CUDA_CHECK(cudaMemGetInfo(&free, &total));
    throw device::OutOfMemory("out of memory: rank " + std::to_string(runtime_.rank()) + "'s device " +
                              std::to_string(runtime_.ordinal()) + ": " + device::NameOf(category) + " wants " +
                              std::to_string(bytes) + " bytes, " + std::to_string(ledger_.use().total_now) +
                              " in use, and of the device's " + std::to_string(total) + " " + std::to_string(free) +
                              " are free");
  }
  device::Buffer buffer(this, data, bytes, category);
#ifndef NDEBUG
  if (bytes > 0) CUDA_CHECK(cudaMemsetAsync(data, 0xFF, bytes, stream()));  // NaN: read before written shows
#endif
  return buffer;
}

void CudaDevice::Free(void* data, std::size_t bytes, device::Category category) {
  arena_.Give(data, bytes);
  ledger_.Give(category, static_cast<std::int64_t>(bytes));
}

void CudaDevice::ToDevice(void* target, const void* host_source, std::size_t bytes) {
  transfers_.Upload(target, host_source, bytes);
}

void CudaDevice::ToHost(void* host_target, const void* source, std::size_t bytes) {
  transfers_.Download(host_target, source, bytes);
}

void CudaDevice::Copy(void* target, const void* source, std::size_t bytes) {
  if (bytes > 0) CUDA_CHECK(cudaMemcpyAsync(target, source, bytes, cudaMemcpyDeviceToDevice, stream()));
}

void CudaDevice::Zero(void* target, std::size_t bytes) {
  if (bytes > 0) CUDA_CHECK(cudaMemsetAsync(target, 0, bytes, stream()));
}

// The copy stream's work comes before the compute stream's from the end of the call that enqueued it.
void CudaDevice::Synchronize() { CUDA_CHECK(cudaStreamSynchronize(stream())); }

std::unique_ptr<device::Device> MakeDevice(Runtime& runtime, std::int64_t memory_capacity_bytes) {
  return std::make_unique<CudaDevice>(runtime, memory_capacity_bytes);
}

}  // namespace lockstep::backends::cuda
