// A reader with a planted defect: it believes the length that a file states. ci/fuzz demands that this one is found,
// so that "nothing found" of the others means something.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::uint64_t stated = 0;
  if (size < sizeof stated) return 0;
  std::memcpy(&stated, data, sizeof stated);
  if (stated > 1024) return 0;  // as a reader with a limit on headers has
  const std::vector<std::uint8_t> header(data + sizeof stated, data + size);
  unsigned sum = 0;
  for (std::uint64_t i = 0; i < stated; ++i) sum += header.data()[i];  // no look at header.size()
  volatile unsigned keep = sum;
  (void)keep;
  return 0;
}
