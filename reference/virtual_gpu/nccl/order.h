// What a rank's group holds, for its peers to see, and the search for ranks that wait for each other in a circle.
//
// Groups of one communicator run one after another on every rank. So where rank a waits in its group for a call that
// rank b's running group does not hold and b has not made before, a waits until b's group is over; a circle of such
// waits never ends. On GPUs it is a silent hang: one all-reduce before the send, and the other way round elsewhere.
#pragma once

#include <optional>
#include <vector>

#include "reference/virtual_gpu/nccl/failure.h"
#include "reference/virtual_gpu/nccl/operation.h"
#include "reference/virtual_gpu/nccl/region.h"

namespace lockstep::virtual_gpu::nccl {

void ListGroup(Region& region, int rank, const std::vector<Call>& calls);  // where it starts
void UnlistGroup(Region& region, int rank);                                // where it has ended

// A circle that `rank` is in. Looks at what others write meanwhile, and says nothing where they do: a circle stands
// still. To be asked when a wait has been long.
std::optional<Failure> FindCircle(const Region& region, int rank);

}  // namespace lockstep::virtual_gpu::nccl
