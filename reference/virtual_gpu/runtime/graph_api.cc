// Capture and graphs.
#include "reference/virtual_gpu/runtime/graph.h"
#include "reference/virtual_gpu/runtime/runtime.h"

using namespace lockstep::virtual_gpu;  // NOLINT: CUDA's names are in no namespace

namespace {

template <typename Body>
cudaError_t WithStream(cudaStream_t handle, Body body) {
  return Call([&](Device&) -> cudaError_t {
    const auto stream = Runtime::Get().StreamOf(handle);
    return stream == nullptr ? cudaErrorInvalidResourceHandle : body(stream);
  });
}

bool IsMode(cudaStreamCaptureMode mode) {
  return mode == cudaStreamCaptureModeGlobal || mode == cudaStreamCaptureModeThreadLocal ||
         mode == cudaStreamCaptureModeRelaxed;
}

}  // namespace

extern "C" {

cudaError_t cudaStreamBeginCapture(cudaStream_t handle, cudaStreamCaptureMode mode) {
  return WithStream(handle, [&](const std::shared_ptr<Stream>& stream) {
    if (!IsMode(mode)) return cudaErrorInvalidValue;
    if (stream == stream->device().DefaultStream()) return cudaErrorStreamCaptureUnsupported;
    return Runtime::Get().captures.Begin(*stream, mode);
  });
}

cudaError_t cudaStreamEndCapture(cudaStream_t handle, cudaGraph_t* graph) {
  return WithStream(handle, [&](const std::shared_ptr<Stream>& stream) {
    if (graph == nullptr) return cudaErrorInvalidValue;
    *graph = nullptr;
    std::shared_ptr<Graph> made;
    const cudaError_t error = Runtime::Get().captures.End(*stream, &made);
    if (error == cudaSuccess) *graph = Runtime::Get().graphs.Add(std::move(made));
    return error;
  });
}

cudaError_t cudaStreamIsCapturing(cudaStream_t handle, cudaStreamCaptureStatus* status) {
  return WithStream(handle, [&](const std::shared_ptr<Stream>& stream) {
    if (status == nullptr) return cudaErrorInvalidValue;
    *status = Runtime::Get().captures.StatusOf(*stream);
    return cudaSuccess;
  });
}

cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode* mode) {
  return Call([&](Device&) {
    if (mode == nullptr || !IsMode(*mode)) return cudaErrorInvalidValue;
    std::swap(*mode, OfThread().capture_mode);
    return cudaSuccess;
  });
}

cudaError_t cudaGraphGetNodes(cudaGraph_t handle, cudaGraphNode_t* nodes, std::size_t* count) {
  return Call([&](Device&) {
    const auto graph = Runtime::Get().graphs.Find(handle);
    if (graph == nullptr || count == nullptr) return cudaErrorInvalidValue;
    if (nodes != nullptr)
      return Refuse(cudaErrorNotSupported, "cudaGraphGetNodes: only the number of nodes is covered");
    *count = graph->nodes().size();
    return cudaSuccess;
  });
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t handle, unsigned long long flags) {
  return Call([&](Device& device) {
    const auto graph = Runtime::Get().graphs.Find(handle);
    if (graph == nullptr || executable == nullptr) return cudaErrorInvalidValue;
    if (flags != 0) return Refuse(cudaErrorNotSupported, "cudaGraphInstantiate: flags 0x%llx are not covered", flags);
    *executable = Runtime::Get().executables.Add(std::make_shared<GraphExecutable>(graph, device));
    return cudaSuccess;
  });
}

cudaError_t cudaGraphUpload(cudaGraphExec_t executable, cudaStream_t handle) {
  return WithStream(handle, [&](const std::shared_ptr<Stream>&) {
    return Runtime::Get().executables.Find(executable) == nullptr ? cudaErrorInvalidValue : cudaSuccess;
  });
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t handle, cudaStream_t stream_handle) {
  return WithStream(stream_handle, [&](const std::shared_ptr<Stream>& stream) {
    Runtime& runtime = Runtime::Get();
    const auto executable = runtime.executables.Find(handle);
    if (executable == nullptr || &executable->device() != &stream->device()) return cudaErrorInvalidValue;
    if (runtime.captures.StatusOf(*stream) != cudaStreamCaptureStatusNone) {
      return Refuse(cudaErrorNotSupported, "cudaGraphLaunch: a graph within a graph is not covered");
    }
    executable->Launch(stream);
    if (runtime.settings().streams == StreamMode::kRandom) stream->device().LetSomeGo();
    return cudaSuccess;
  });
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  return Call([&](Device&) {
    return Runtime::Get().executables.Remove(executable) == nullptr ? cudaErrorInvalidValue : cudaSuccess;
  });
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  return Call(
      [&](Device&) { return Runtime::Get().graphs.Remove(graph) == nullptr ? cudaErrorInvalidValue : cudaSuccess; });
}

}  // extern "C"
