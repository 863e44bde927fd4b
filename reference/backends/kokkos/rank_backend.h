// The Kokkos backend as a rank's main takes it. Kokkos starts with the first device: --describe and --help need none.
#pragma once

#include <memory>

#include "reference/backends/kokkos/backend.h"
#include "reference/mpi/world.h"
#include "reference/trainer/rank_main.h"

namespace lockstep::backends::kokkos {

class RankBackend {
 public:
  RankBackend()
      : backend_{.name = "kokkos",
                 .description = "Kernels in Kokkos, matrix products by oneDNN, ranks over MPI.",
                 .make_device =
                     [this](std::int64_t capacity, int ordinal) {
                       if (!runtime_) runtime_ = std::make_unique<Runtime>();
                       return MakeDevice(capacity, ordinal);
                     },
                 .make_world = [](int* count, char*** values) { return mpi::MakeWorld(count, values); },
                 .abort = [](int code) { mpi::Abort(code); }} {}
  RankBackend(const RankBackend&) = delete;
  RankBackend& operator=(const RankBackend&) = delete;
  const trainer::Backend& get() const { return backend_; }

 private:
  std::unique_ptr<Runtime> runtime_;
  trainer::Backend backend_;
};

}  // namespace lockstep::backends::kokkos
