// The CUDA backend as a rank's main takes it. Nothing of CUDA runs before the world is made: --describe and --help need
// no GPU and no driver.
#pragma once

#include <chrono>
#include <memory>
#include <utility>

#include "reference/backends/cuda/backend.h"
#include "reference/backends/cuda/world.h"
#include "reference/mpi/world.h"
#include "reference/trainer/rank_main.h"

namespace lockstep::backends::cuda {

class RankBackend {
 public:
  RankBackend()
      : backend_{.name = "cuda",
                 .description = "Kernels in CUDA, matrix products by cuBLAS, ranks over NCCL and MPI.",
                 .make_device = [this](std::int64_t capacity, int) { return MakeDevice(*runtime_, capacity); },
                 .make_world =
                     [this](int* count, char*** values) {
                       constexpr std::chrono::seconds kDeadline(60);
                       auto hosts = mpi::MakeMpiWorld(count, values, kDeadline);
                       runtime_ = std::make_unique<Runtime>(hosts->Rank(), NumberOnNode(*hosts));
                       return MakeWorld(*runtime_, std::move(hosts), kDeadline);
                     },
                 .abort = [](int code) { mpi::Abort(code); }} {}
  RankBackend(const RankBackend&) = delete;
  RankBackend& operator=(const RankBackend&) = delete;
  const trainer::Backend& get() const { return backend_; }

 private:
  std::unique_ptr<Runtime> runtime_;
  trainer::Backend backend_;
};

}  // namespace lockstep::backends::cuda
