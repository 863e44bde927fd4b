// Any bytes as a safetensors file; what is accepted is loaded and widened whole.
#include <cstddef>
#include <cstdint>
#include <span>

#include "harness/protocol/evidence_files.h"
#include "harness/protocol/safetensors.h"
#include "suites/fuzz/upholds.h"

namespace lockstep {
namespace {

void LoadAll(const protocol::SafetensorsFile& file) {
  for (const auto& [name, entry] : file.entries()) {
    const protocol::Tensor tensor = file.Load(name);
    fuzz::Demand(tensor.bytes.size() == static_cast<std::size_t>(tensor.size()) * protocol::SizeOf(tensor.dtype),
                 "a tensor has the bytes of its shape");
    fuzz::Demand(tensor.ToDoubles().size() == static_cast<std::size_t>(tensor.size()), "every element is widened");
    const auto slice = file.metadata().find(name);
    if (slice == file.metadata().end()) continue;
    fuzz::ReturnsOrRefuses([&] { protocol::SliceFromMetadata(slice->second, tensor.shape, "slice"); });
  }
}

}  // namespace
}  // namespace lockstep

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span bytes(reinterpret_cast<const std::byte*>(data), size);
  lockstep::fuzz::ReturnsOrRefuses(
      [&] { lockstep::LoadAll(lockstep::protocol::SafetensorsFile::Parse(bytes, "fuzz")); });
  return 0;
}
