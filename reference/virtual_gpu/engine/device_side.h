// Everything that a kernel may use, under CUDA's names.
#pragma once

#include "reference/virtual_gpu/engine/atomics.h"
#include "reference/virtual_gpu/engine/device_math.h"
#include "reference/virtual_gpu/engine/qualifiers.h"
#include "reference/virtual_gpu/engine/synchronisation.h"
#include "reference/virtual_gpu/engine/thread_index.h"
