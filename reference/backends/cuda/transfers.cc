#include "reference/backends/cuda/transfers.h"

#include <algorithm>
#include <cstring>

#include "reference/backends/cuda/check.h"

namespace lockstep::backends::cuda {
namespace {

constexpr std::size_t kPiece = std::size_t{1} << 20;

}  // namespace

Transfers::Transfers(const Runtime& runtime) : runtime_(runtime) {
  CUDA_CHECK(cudaEventCreateWithFlags(&order_, cudaEventDisableTiming));
  for (Piece& piece : pieces_) {
    CUDA_CHECK(cudaEventCreateWithFlags(&piece.moved, cudaEventDisableTiming));
    CUDA_CHECK(cudaMallocHost(reinterpret_cast<void**>(&piece.pinned), kPiece));
  }
}

Transfers::~Transfers() {
  static_cast<void>(cudaStreamSynchronize(runtime_.copy()));  // an upload may still read what is freed here
  for (Piece& piece : pieces_) {
    static_cast<void>(cudaEventDestroy(piece.moved));
    static_cast<void>(cudaFreeHost(piece.pinned));
  }
  static_cast<void>(cudaEventDestroy(order_));
}

void Transfers::After(cudaStream_t later, cudaStream_t earlier) {
  CUDA_CHECK(cudaEventRecord(order_, earlier));
  CUDA_CHECK(cudaStreamWaitEvent(later, order_, 0));
}

void Transfers::Upload(void* target, const void* host_source, std::size_t bytes) {
  if (bytes == 0) return;
  After(runtime_.copy(), runtime_.compute());
  for (std::size_t done = 0; done < bytes; done += kPiece) {
    const std::size_t size = std::min(kPiece, bytes - done);
    Piece& piece = pieces_[next_++ % 2];
    CUDA_CHECK(cudaEventSynchronize(piece.moved));  // what it held before is on the device
    std::memcpy(piece.pinned, static_cast<const char*>(host_source) + done, size);
    CUDA_CHECK(cudaMemcpyAsync(static_cast<char*>(target) + done, piece.pinned, size, cudaMemcpyHostToDevice,
                               runtime_.copy()));
    CUDA_CHECK(cudaEventRecord(piece.moved, runtime_.copy()));
  }
  After(runtime_.compute(), runtime_.copy());
}

void Transfers::Download(void* host_target, const void* source, std::size_t bytes) {
  if (bytes == 0) return;
  After(runtime_.copy(), runtime_.compute());
  const auto empty = [&](std::size_t at) {
    const Piece& piece = pieces_[at / kPiece % 2];
    CUDA_CHECK(cudaEventSynchronize(piece.moved));
    std::memcpy(static_cast<char*>(host_target) + at, piece.pinned, std::min(kPiece, bytes - at));
  };
  for (std::size_t at = 0; at < bytes; at += kPiece) {
    const Piece& piece = pieces_[at / kPiece % 2];
    CUDA_CHECK(cudaMemcpyAsync(piece.pinned, static_cast<const char*>(source) + at, std::min(kPiece, bytes - at),
                               cudaMemcpyDeviceToHost, runtime_.copy()));
    CUDA_CHECK(cudaEventRecord(piece.moved, runtime_.copy()));
    if (at > 0) empty(at - kPiece);
  }
  empty((bytes - 1) / kPiece * kPiece);
}

}  // namespace lockstep::backends::cuda
