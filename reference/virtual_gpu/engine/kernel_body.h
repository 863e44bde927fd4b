// A kernel bound to its arguments, as the engine runs it: once for each thread, on a fiber of that thread.
#pragma once

#include <span>

namespace lockstep::virtual_gpu {

struct PointerArgument {
  int index;  // of the kernel's parameters, from 0
  const void* address;
};

class KernelBody {
 public:
  virtual ~KernelBody() = default;
  virtual void RunThread() const = 0;
  // The parameters that are pointers, so that the runtime can check what they point to before the kernel starts.
  virtual std::span<const PointerArgument> Pointers() const = 0;
};

}  // namespace lockstep::virtual_gpu
