// Explains a SIGSEGV or SIGBUS before it ends the process: the host in a device's memory, a kernel out of bounds, a
// kernel thread's stack.
#pragma once

namespace lockstep::virtual_gpu {

class Runtime;

// From now on a fault says what it was on standard error; then the handler that was there before goes on (a
// sanitizer's, which knows the source line, or the system's, which ends the process).
void ExplainFaults(Runtime& runtime);

}  // namespace lockstep::virtual_gpu
