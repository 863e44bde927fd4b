#include "reference/virtual_gpu/runtime/faults.h"

#include <signal.h>

#include "reference/virtual_gpu/engine/block_runner.h"
#include "reference/virtual_gpu/engine/grid_runner.h"
#include "reference/virtual_gpu/engine/report.h"
#include "reference/virtual_gpu/runtime/runtime.h"

namespace lockstep::virtual_gpu {
namespace {

// A signal handler has no argument of its own. Set once, before the handlers are.
Runtime* explained = nullptr;
struct sigaction previous_segv, previous_bus;

void ExplainInKernel(const BlockRunner& runner, const void* address) {
  char text[256];
  if (runner.StackGuardHolds(address)) {
    SayStanding("kernel stack overflow: more than %zu KiB of local variables and calls", kStackBytes >> 10);
  } else if (runner.SharedGuardHolds(address)) {
    SayStanding("access past the end of the block's %zu bytes of dynamic shared memory", runner.grid().shared_bytes);
  } else if (const Device* const device = explained->Holding(address)) {
    device->memory().Describe(address, text, sizeof text);
    SayStanding("access to %p, %s", address, text);
  } else {
    SayStanding("access to %p, which is no memory of the device", address);
  }
}

void Explain(const void* address) {
  char text[256];
  if (const BlockRunner* const runner = BlockRunner::Current()) {
    ExplainInKernel(*runner, address);
  } else if (const Device* const device = explained->Holding(address)) {
    device->memory().Describe(address, text, sizeof text);
    if (Stream::OfThisThread() != nullptr) {
      Say("%s: access to %p, %s", Stream::RunningHere(), address, text);
    } else {
      Say("host access to device memory at %p (%s): copy it with cudaMemcpy", address, text);
    }
  }
}

void OnFault(int signal, siginfo_t* info, void*) {
  Explain(info->si_addr);
  // The faulting instruction runs again and meets the handler that was there before.
  sigaction(signal, signal == SIGSEGV ? &previous_segv : &previous_bus, nullptr);
}

}  // namespace

void ExplainFaults(Runtime& runtime) {
  explained = &runtime;
  PrepareSignalStack();
  struct sigaction action {};
  action.sa_sigaction = OnFault;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigemptyset(&action.sa_mask);
  sigaction(SIGSEGV, &action, &previous_segv);
  sigaction(SIGBUS, &action, &previous_bus);
}

}  // namespace lockstep::virtual_gpu
