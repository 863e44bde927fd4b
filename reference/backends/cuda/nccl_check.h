// As check.h, for NCCL: what fails throws CommunicationError with rank, host, file, line, expression and NCCL's own
// words.
#pragma once

#include <nccl.h>

#include <string>

namespace lockstep::backends::cuda {

// "ncclRemoteError: remote process exited or there was a network error; WHAT NCCL LAST SAID". `comm` may be null.
std::string WordsOf(ncclResult_t result, ncclComm_t comm);

// ncclInProgress is no failure: a call on a non-blocking communicator goes on by itself.
void CheckNccl(ncclResult_t result, const char* expression, const char* file, int line);

}  // namespace lockstep::backends::cuda

#define NCCL_CHECK(expression) ::lockstep::backends::cuda::CheckNccl((expression), #expression, __FILE__, __LINE__)
