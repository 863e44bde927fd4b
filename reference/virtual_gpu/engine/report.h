// How a defect is told: one line on standard error that names kernel, block and thread, then abort().
//
// Lines are written whole with write(2) from a buffer on the stack, so that they may be written by a signal handler
// and by the hooks that sanitizers call before a report of theirs.
#pragma once

#include <cstddef>

#include "reference/virtual_gpu/engine/site.h"

namespace lockstep::virtual_gpu {

// "kernel NAME, block (x, y, z), thread (x, y, z)" of this OS thread; when it runs no kernel thread, the call whose
// work it runs, or "".
void Standing(char* text, std::size_t bytes);
void StandAt(const char* call);  // from now on, outside kernels; lives for ever, "" for none

// "lockstep virtual GPU: " and the text as one line; the second prefixes Standing().
__attribute__((format(printf, 1, 2))) void Say(const char* format, ...);
__attribute__((format(printf, 1, 2))) void SayStanding(const char* format, ...);

// The same, and the process ends by abort().
[[noreturn]] __attribute__((format(printf, 1, 2))) void Die(const char* format, ...);
[[noreturn]] __attribute__((format(printf, 1, 2))) void DieStanding(const char* format, ...);

const char* FileName(Site site);  // without folders

}  // namespace lockstep::virtual_gpu
