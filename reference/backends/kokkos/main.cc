// lockstep-trainer-kokkos: the reference trainer on Kokkos, one MPI process a rank.
#include "reference/backends/kokkos/rank_backend.h"

int main(int argc, char** argv) {
  lockstep::backends::kokkos::RankBackend backend;
  lockstep::trainer::Seams seams;
  return lockstep::trainer::RunTrainer(argc, argv, backend.get(), seams);
}
