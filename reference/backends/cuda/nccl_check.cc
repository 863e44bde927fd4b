#include "reference/backends/cuda/nccl_check.h"

#include "reference/backends/cuda/check.h"
#include "reference/device/communicator.h"

namespace lockstep::backends::cuda {
namespace {

const char* NameOf(ncclResult_t result) {
  switch (result) {
    case ncclSuccess:
      return "ncclSuccess";
    case ncclUnhandledCudaError:
      return "ncclUnhandledCudaError";
    case ncclSystemError:
      return "ncclSystemError";
    case ncclInternalError:
      return "ncclInternalError";
    case ncclInvalidArgument:
      return "ncclInvalidArgument";
    case ncclInvalidUsage:
      return "ncclInvalidUsage";
    case ncclRemoteError:
      return "ncclRemoteError";
    case ncclInProgress:
      return "ncclInProgress";
    default:
      return "NCCL's result";
  }
}

}  // namespace

std::string WordsOf(ncclResult_t result, ncclComm_t comm) {
  std::string words = std::string(NameOf(result)) + ": " + ncclGetErrorString(result);
  const char* const last = ncclGetLastError(comm);
  if (last != nullptr && *last != '\0') words += std::string("; ") + last;
  return words;
}

void CheckNccl(ncclResult_t result, const char* expression, const char* file, int line) {
  if (result == ncclSuccess || result == ncclInProgress) return;
  throw device::CommunicationError(Where(expression, file, line) + WordsOf(result, nullptr));
}

}  // namespace lockstep::backends::cuda
