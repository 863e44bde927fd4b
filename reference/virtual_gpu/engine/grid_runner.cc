#include "reference/virtual_gpu/engine/grid_runner.h"

#include <signal.h>

#include <algorithm>
#include <array>
#include <numeric>

#include "reference/virtual_gpu/engine/sanitizers.h"

namespace lockstep::virtual_gpu {

struct GridRunner::Helper {
  std::mutex mutex;
  std::condition_variable changed;
  const Grid* grid = nullptr;  // to do; null: done
  unsigned workers = 0;
  bool stop = false;
  char begin = 0, end = 0;  // ThreadSanitizer's: workers follow the caller, and the caller the workers, nothing else
  BlockRunner runner;
  std::thread thread;
};

namespace {

// A stride that visits every block once, far from the last one.
std::uint64_t Stride(std::uint64_t blocks, std::uint64_t seed) {
  std::uint64_t stride = (seed * 2654435761u + blocks / 2) % blocks | 1u;
  while (std::gcd(stride, blocks) != 1) stride += 2;
  return stride;
}

}  // namespace

GridRunner::GridRunner(unsigned workers) : workers_(workers) {}

GridRunner::~GridRunner() {
  for (const auto& helper : helpers_) {
    {
      const std::lock_guard lock(helper->mutex);
      helper->stop = true;
    }
    helper->changed.notify_all();
    helper->thread.join();
  }
}

void GridRunner::Run(const Grid& grid) {
  const std::uint64_t blocks = std::uint64_t{grid.blocks.x} * grid.blocks.y * grid.blocks.z;
  const auto workers = static_cast<unsigned>(std::min<std::uint64_t>(workers_, blocks));
  while (helpers_.size() + 1 < workers) {
    helpers_.push_back(std::make_unique<Helper>());
    Helper& helper = *helpers_.back();
    helper.thread =
        std::thread([this, &helper, worker = static_cast<unsigned>(helpers_.size())] { HelperMain(helper, worker); });
  }
  for (unsigned i = 0; i + 1 < workers; ++i) {
    Helper& helper = *helpers_[i];
    Release(&helper.begin);
    const OwnAffairs own;
    {
      const std::lock_guard lock(helper.mutex);
      helper.grid = &grid;
      helper.workers = workers;
    }
    helper.changed.notify_all();
  }
  RunBlocks(runner_, grid, 0, workers);
  for (unsigned i = 0; i + 1 < workers; ++i) {
    Helper& helper = *helpers_[i];
    {
      const OwnAffairs own;
      std::unique_lock lock(helper.mutex);
      helper.changed.wait(lock, [&] { return helper.grid == nullptr; });
    }
    Acquire(&helper.end);
  }
}

void GridRunner::HelperMain(Helper& helper, unsigned worker) {
  PrepareSignalStack();
  for (;;) {
    const Grid* grid = nullptr;
    unsigned workers = 0;
    {
      const OwnAffairs own;
      std::unique_lock lock(helper.mutex);
      helper.changed.wait(lock, [&] { return helper.stop || helper.grid != nullptr; });
      if (helper.stop) return;
      grid = helper.grid;
      workers = helper.workers;
    }
    Acquire(&helper.begin);
    RunBlocks(helper.runner, *grid, worker, workers);
    Release(&helper.end);
    const OwnAffairs own;
    {
      const std::lock_guard lock(helper.mutex);
      helper.grid = nullptr;
    }
    helper.changed.notify_all();
  }
}

void GridRunner::RunBlocks(BlockRunner& runner, const Grid& grid, unsigned worker, unsigned workers) {
  const dim3 size = grid.blocks;
  const std::uint64_t blocks = std::uint64_t{size.x} * size.y * size.z;
  const std::uint64_t stride = grid.order == Order::kRandom ? Stride(blocks, grid.seed) : 1;
  for (std::uint64_t i = worker; i < blocks; i += workers) {
    std::uint64_t block = i;
    if (grid.order == Order::kReverse) block = blocks - 1 - i;
    if (grid.order == Order::kRandom) block = (i * stride + grid.seed % blocks) % blocks;
    runner.Run(grid, {static_cast<unsigned>(block % size.x), static_cast<unsigned>(block / size.x % size.y),
                      static_cast<unsigned>(block / size.x / size.y)});
  }
}

void PrepareSignalStack() {
  static thread_local std::array<char, 64 << 10> memory;
  stack_t stack{};
  if (sigaltstack(nullptr, &stack) == 0 && (stack.ss_flags & SS_DISABLE) == 0) return;
  stack = {};
  stack.ss_sp = memory.data();
  stack.ss_size = memory.size();
  sigaltstack(&stack, nullptr);
}

}  // namespace lockstep::virtual_gpu
