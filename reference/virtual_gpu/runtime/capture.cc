#include "reference/virtual_gpu/runtime/capture.h"

#include <algorithm>
#include <utility>

namespace lockstep::virtual_gpu {

Capture::Capture(const Stream* origin, cudaStreamCaptureMode mode) : origin_(origin), mode_(mode) {
  lanes_.emplace_back().stream = origin;
}

Capture::Lane* Capture::LaneOf(const Stream* stream) {
  const auto found =
      std::find_if(lanes_.begin(), lanes_.end(), [&](const Lane& lane) { return lane.stream == stream; });
  return found == lanes_.end() ? nullptr : &*found;
}

std::size_t Capture::Add(const Stream* stream, const char* name, std::function<cudaError_t()> run) {
  Lane& lane = *LaneOf(stream);
  nodes_.push_back({name, std::move(run), static_cast<std::size_t>(&lane - lanes_.data()), std::move(lane.after)});
  lane.after.clear();
  lane.has_node = true;
  return lane.last = nodes_.size() - 1;
}

// Whether the origin's end follows the end of every other lane.
bool Capture::Joined() const {
  std::vector<bool> reached(nodes_.size(), false);
  std::vector<std::size_t> open = lanes_[0].after;
  if (lanes_[0].has_node) open.push_back(lanes_[0].last);
  while (!open.empty()) {
    const std::size_t node = open.back();
    open.pop_back();
    if (reached[node]) continue;
    reached[node] = true;
    open.insert(open.end(), nodes_[node].after.begin(), nodes_[node].after.end());
    for (std::size_t before = node; before-- > 0;) {
      if (nodes_[before].lane == nodes_[node].lane) {
        open.push_back(before);
        break;
      }
    }
  }
  return std::all_of(lanes_.begin() + 1, lanes_.end(),
                     [&](const Lane& lane) { return lane.has_node && reached[lane.last] && lane.after.empty(); });
}

std::shared_ptr<Capture> Captures::Of(const Stream& stream) {
  const auto found = of_stream_.find(&stream);
  return found == of_stream_.end() ? nullptr : found->second;
}

cudaError_t Captures::Begin(const Stream& stream, cudaStreamCaptureMode mode) {
  const std::lock_guard lock(mutex_);
  if (Of(stream) != nullptr) return cudaErrorIllegalState;
  of_stream_[&stream] = std::make_shared<Capture>(&stream, mode);
  ++count_;
  return cudaSuccess;
}

cudaError_t Captures::End(const Stream& stream, std::shared_ptr<Graph>* graph) {
  const std::lock_guard lock(mutex_);
  const auto capture = Of(stream);
  if (capture == nullptr) return cudaErrorIllegalState;
  if (capture->origin_ != &stream) {
    capture->valid_ = false;
    return cudaErrorStreamCaptureUnmatched;
  }
  if (capture->mode_ != cudaStreamCaptureModeRelaxed && capture->thread_ != std::this_thread::get_id()) {
    return cudaErrorStreamCaptureWrongThread;
  }
  std::erase_if(of_stream_, [&](const auto& entry) { return entry.second == capture; });
  --count_;
  if (!capture->valid_) return cudaErrorStreamCaptureInvalidated;
  if (!capture->Joined()) return cudaErrorStreamCaptureUnjoined;
  if (!capture->lanes_[0].after.empty()) capture->Add(&stream, "cudaStreamWaitEvent", nullptr);
  *graph = std::make_shared<Graph>(std::move(capture->nodes_), capture->lanes_.size());
  return cudaSuccess;
}

cudaStreamCaptureStatus Captures::StatusOf(const Stream& stream) {
  const std::lock_guard lock(mutex_);
  const auto capture = Of(stream);
  if (capture == nullptr) return cudaStreamCaptureStatusNone;
  return capture->valid_ ? cudaStreamCaptureStatusActive : cudaStreamCaptureStatusInvalidated;
}

bool Captures::Take(const Stream& stream, const char* name, const std::function<cudaError_t()>& run,
                    cudaError_t* error) {
  const std::lock_guard lock(mutex_);
  const auto capture = Of(stream);
  if (capture == nullptr) return false;
  *error = capture->valid_ ? cudaSuccess : cudaErrorStreamCaptureInvalidated;
  if (capture->valid_) capture->Add(&stream, name, run);
  return true;
}

bool Captures::TakeRecord(const Stream& stream, Record& record, cudaError_t* error) {
  const std::lock_guard lock(mutex_);
  const auto capture = Of(stream);
  if (capture == nullptr) return false;
  *error = capture->valid_ ? cudaSuccess : cudaErrorStreamCaptureInvalidated;
  if (!capture->valid_) return true;
  record.node = capture->Add(&stream, "cudaEventRecord", nullptr);
  record.capture = capture;
  return true;
}

bool Captures::TakeWait(const Stream& stream, const std::shared_ptr<Record>& record, cudaError_t* error) {
  const std::lock_guard lock(mutex_);
  const auto capture = Of(stream);
  if (capture == nullptr && record->capture == nullptr) return false;
  const bool live =
      record->capture != nullptr && std::any_of(of_stream_.begin(), of_stream_.end(),
                                                [&](const auto& entry) { return entry.second == record->capture; });
  *error = cudaSuccess;
  if (capture == nullptr) {
    if (!live) {
      *error = cudaErrorCapturedEvent;
      return true;
    }
    of_stream_[&stream] = record->capture;
    record->capture->lanes_.push_back({.stream = &stream, .has_node = false, .last = 0, .after = {record->node}});
    return true;
  }
  if (capture != record->capture) {
    // Waiting for what is outside of the capture, or merging two.
    capture->valid_ = false;
    *error = record->capture == nullptr ? cudaErrorStreamCaptureIsolation : cudaErrorStreamCaptureMerge;
    return true;
  }
  capture->LaneOf(&stream)->after.push_back(record->node);
  return true;
}

cudaError_t Captures::RefuseSynchronise(const Stream& stream) {
  const std::lock_guard lock(mutex_);
  const auto capture = Of(stream);
  if (capture == nullptr) return cudaSuccess;
  capture->valid_ = false;
  return cudaErrorStreamCaptureUnsupported;
}

cudaError_t Captures::RefuseUnsafe(cudaStreamCaptureMode mode_of_thread) {
  if (!Any() || mode_of_thread == cudaStreamCaptureModeRelaxed) return cudaSuccess;
  const std::lock_guard lock(mutex_);
  cudaError_t error = cudaSuccess;
  for (const auto& [stream, capture] : of_stream_) {
    const bool own = capture->thread_ == std::this_thread::get_id() && capture->mode_ != cudaStreamCaptureModeRelaxed;
    const bool global = mode_of_thread == cudaStreamCaptureModeGlobal && capture->mode_ == cudaStreamCaptureModeGlobal;
    if (!own && !global) continue;
    capture->valid_ = false;
    error = cudaErrorStreamCaptureUnsupported;
  }
  return error;
}

cudaError_t Captures::RefuseDefaultStream() {
  if (!Any()) return cudaSuccess;
  const std::lock_guard lock(mutex_);
  cudaError_t error = cudaSuccess;
  for (const auto& [stream, capture] : of_stream_) {
    if (!stream->blocking()) continue;
    capture->valid_ = false;
    error = cudaErrorStreamCaptureImplicit;
  }
  return error;
}

}  // namespace lockstep::virtual_gpu
