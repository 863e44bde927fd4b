// Runs the blocks of a grid: on the calling thread, or on several OS threads beside it.
//
// Block i (in the grid's order) belongs to worker i % workers, so what runs together does not depend on speed. Workers
// sleep between grids. The caller is a worker itself and returns when all blocks have ended.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "reference/virtual_gpu/engine/block_runner.h"

namespace lockstep::virtual_gpu {

class GridRunner {
 public:
  explicit GridRunner(unsigned workers);  // at least 1; the others start when first needed
  ~GridRunner();
  GridRunner(const GridRunner&) = delete;
  GridRunner& operator=(const GridRunner&) = delete;

  void Run(const Grid& grid);

 private:
  struct Helper;

  void RunBlocks(BlockRunner& runner, const Grid& grid, unsigned worker, unsigned workers);
  void HelperMain(Helper& helper, unsigned worker);

  const unsigned workers_;
  BlockRunner runner_;
  std::vector<std::unique_ptr<Helper>> helpers_;
};

// A stack for signal handlers on the calling OS thread, so that a kernel's stack overflow can be told. Idempotent; not
// where a sanitizer has given one.
void PrepareSignalStack();

}  // namespace lockstep::virtual_gpu
