#include "reference/virtual_gpu/runtime/submit.h"

#include <iterator>
#include <utility>

#include "reference/virtual_gpu/runtime/capture.h"
#include "reference/virtual_gpu/runtime/runtime.h"

namespace lockstep::virtual_gpu {
namespace {

std::uint64_t Enqueue(const std::shared_ptr<Stream>& stream, Work work) {
  Device& device = stream->device();
  auto implicit = device.ImplicitlyAfter(*stream);
  work.after.insert(work.after.end(), std::make_move_iterator(implicit.begin()),
                    std::make_move_iterator(implicit.end()));
  const std::uint64_t ticket = stream->Enqueue(std::move(work));
  if (Runtime::Get().settings().streams == StreamMode::kRandom) device.LetSomeGo();
  return ticket;
}

bool IsDefault(const Stream& stream) { return &stream == stream.device().DefaultStream().get(); }

}  // namespace

cudaError_t Submit(const std::shared_ptr<Stream>& stream, Work work) {
  Captures& captures = Runtime::Get().captures;
  if (captures.Any()) {
    cudaError_t error = cudaSuccess;
    if (captures.Take(*stream, work.name, work.run, &error)) return error;
    if (IsDefault(*stream)) error = captures.RefuseDefaultStream();
    if (error != cudaSuccess) return error;
  }
  Enqueue(stream, std::move(work));
  return cudaSuccess;
}

cudaError_t SubmitRecord(const std::shared_ptr<Stream>& stream, Event& event) {
  Captures& captures = Runtime::Get().captures;
  auto record = std::make_shared<Record>();
  record->stream = stream;
  cudaError_t error = cudaSuccess;
  if (captures.Any()) {
    const bool captured = captures.TakeRecord(*stream, *record, &error);
    if (!captured && IsDefault(*stream)) error = captures.RefuseDefaultStream();
    if (error != cudaSuccess) return error;
  }
  if (record->capture == nullptr) {
    const auto tell = [record] {
      record->when = std::chrono::steady_clock::now();
      Release(record->order.get());  // before a query can see the end
      record->ended.store(true, std::memory_order_release);
      return cudaSuccess;
    };
    record->ticket = Enqueue(stream, {.name = "cudaEventRecord", .run = tell, .after = {}, .always = true});
  }
  const std::lock_guard lock(event.mutex);
  event.record = std::move(record);
  return cudaSuccess;
}

cudaError_t SubmitWait(const std::shared_ptr<Stream>& stream, const std::shared_ptr<Record>& record) {
  Captures& captures = Runtime::Get().captures;
  cudaError_t error = cudaSuccess;
  if (captures.Any() || record->capture != nullptr) {
    if (captures.TakeWait(*stream, record, &error)) return error;
    if (IsDefault(*stream)) error = captures.RefuseDefaultStream();
    if (error != cudaSuccess) return error;
  }
  // ThreadSanitizer must see the order even where nothing is left to wait for.
  if (!kThreadSanitizer && record->ended.load(std::memory_order_acquire)) return cudaSuccess;
  Enqueue(stream,
          {.name = "cudaStreamWaitEvent", .run = nullptr, .after = {{record->stream, record->ticket, record->order}}});
  return cudaSuccess;
}

}  // namespace lockstep::virtual_gpu
