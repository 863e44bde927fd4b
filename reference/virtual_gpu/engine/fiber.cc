#include "reference/virtual_gpu/engine/fiber.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>

#include "reference/virtual_gpu/engine/report.h"
#include "reference/virtual_gpu/engine/sanitizers.h"

// void lockstep_virtual_gpu_switch(void** save, void* load): pushes what a call preserves, stores the stack pointer in
// *save, takes `load` for it and pops the same from there.
extern "C" void lockstep_virtual_gpu_switch(void** save, void* load);

#if defined(__x86_64__)
asm(R"(
.text
.globl lockstep_virtual_gpu_switch
.type lockstep_virtual_gpu_switch,@function
lockstep_virtual_gpu_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size lockstep_virtual_gpu_switch,.-lockstep_virtual_gpu_switch
)");
#elif defined(__aarch64__)
asm(R"(
.text
.globl lockstep_virtual_gpu_switch
.type lockstep_virtual_gpu_switch,%function
lockstep_virtual_gpu_switch:
  sub sp, sp, #160
  stp x19, x20, [sp, #0]
  stp x21, x22, [sp, #16]
  stp x23, x24, [sp, #32]
  stp x25, x26, [sp, #48]
  stp x27, x28, [sp, #64]
  stp x29, x30, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  mov x9, sp
  str x9, [x0]
  mov sp, x1
  ldp x19, x20, [sp, #0]
  ldp x21, x22, [sp, #16]
  ldp x23, x24, [sp, #32]
  ldp x25, x26, [sp, #48]
  ldp x27, x28, [sp, #64]
  ldp x29, x30, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  add sp, sp, #160
  ret
.size lockstep_virtual_gpu_switch,.-lockstep_virtual_gpu_switch
)");
#else
#error "virtual GPUs switch fibers on x86-64 and aarch64 only: add the processor's switch to fiber.cc"
#endif

namespace lockstep::virtual_gpu {
namespace {

std::size_t PageBytes() {
  static const auto bytes = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  return bytes;
}

// The frame that the first switch pops: zeros, and `entry` as the address to return to.
void* FirstFrame(char* top, void (*entry)()) {
  auto** const end = reinterpret_cast<void**>(top);
#if defined(__x86_64__)
  // Below a call's return address the stack is 16-byte aligned: entry finds rsp % 16 == 8, and a null caller.
  void** const frame = end - 8;
  std::fill(frame, end, nullptr);
  frame[6] = reinterpret_cast<void*>(entry);
#else
  void** const frame = end - 20;
  std::fill(frame, end, nullptr);
  frame[11] = reinterpret_cast<void*>(entry);  // x30
#endif
  return frame;
}

}  // namespace

Fiber::Fiber(void (*entry)(), unsigned colour) {
  const std::size_t guard = PageBytes();
  void* const memory = mmap(nullptr, guard + kStackBytes, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
  if (memory == MAP_FAILED) Die("no memory for the stack of a kernel thread");
  mprotect(memory, guard, PROT_NONE);
  stack = static_cast<char*>(memory) + guard;
  stack_bytes = kStackBytes;
  owns_stack = true;
  stack_pointer = FirstFrame(stack + stack_bytes - std::size_t{256} * (colour % 16), entry);
#ifdef LOCKSTEP_VIRTUAL_GPU_TSAN
  identity = __tsan_create_fiber(0);
#endif
}

Fiber::~Fiber() {
  if (!owns_stack) return;
  const std::size_t guard = PageBytes();
  Unpoison(stack, stack_bytes);
  munmap(stack - guard, guard + stack_bytes);
#ifdef LOCKSTEP_VIRTUAL_GPU_TSAN
  __tsan_destroy_fiber(identity);
#endif
}

bool Fiber::GuardHolds(const void* address) const {
  const auto* const byte = static_cast<const char*>(address);
  return owns_stack && byte >= stack - PageBytes() && byte < stack;
}

void Switch(Fiber* from, Fiber* to) {
#ifdef LOCKSTEP_VIRTUAL_GPU_ASAN
  __sanitizer_start_switch_fiber(&from->fake_stack, to->stack, to->stack_bytes);
#endif
#ifdef LOCKSTEP_VIRTUAL_GPU_TSAN
  __tsan_switch_to_fiber(to->identity, __tsan_switch_to_fiber_no_sync);
#endif
  lockstep_virtual_gpu_switch(&from->stack_pointer, to->stack_pointer);
#ifdef LOCKSTEP_VIRTUAL_GPU_ASAN
  __sanitizer_finish_switch_fiber(from->fake_stack, nullptr, nullptr);
#endif
}

void Entered([[maybe_unused]] Fiber* thread_fiber) {
#ifdef LOCKSTEP_VIRTUAL_GPU_ASAN
  const void* bottom = nullptr;
  std::size_t bytes = 0;
  __sanitizer_finish_switch_fiber(nullptr, &bottom, &bytes);
  if (thread_fiber->stack == nullptr) {
    thread_fiber->stack = static_cast<char*>(const_cast<void*>(bottom));
    thread_fiber->stack_bytes = bytes;
  }
#endif
}

}  // namespace lockstep::virtual_gpu
