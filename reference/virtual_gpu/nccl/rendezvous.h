// How ranks find the memory they share, given a unique id.
//
// The process that makes an id listens at once on a socket of the abstract namespace, named by the id's 16 random
// bytes, with a thread that hands each rank the communicator's memory and ends with the last. So whoever has an id can
// connect without waiting for anybody; as in NCCL, the process that made it must be alive until then. Nothing of it has
// a name in a file system.
#pragma once

#include <nccl.h>

namespace lockstep::virtual_gpu::nccl {

ncclUniqueId MakeUniqueId();  // throws Failure

// The descriptor of the memory of `ranks` ranks, in which this process takes `rank`'s place. Throws Failure: an id of
// nobody, a place out of range or taken, another number of ranks than the first to come had.
int Join(const ncclUniqueId& id, int ranks, int rank);

}  // namespace lockstep::virtual_gpu::nccl
