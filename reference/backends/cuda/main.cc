// lockstep-trainer-cuda: the reference trainer on CUDA, one process a GPU.
#include "reference/backends/cuda/rank_backend.h"

int main(int argc, char** argv) {
  lockstep::backends::cuda::RankBackend backend;
  lockstep::trainer::Seams seams;
  return lockstep::trainer::RunTrainer(argc, argv, backend.get(), seams);
}
