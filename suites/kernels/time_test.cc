#include <chrono>

#include "suites/kernels/desk.h"

namespace lockstep::test {
namespace {

std::int64_t HostNow() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

TEST(Time, OfMarksIsInTheirOrderAndOnTheHostsClock) {
  const auto device = MakeTestDevice();
  Desk desk(*device, 0);
  float* const x = desk.In(std::vector<float>(1 << 16, 1.0f));
  for (int step = 0; step < 3; ++step) {  // marks begin anew with each
    const std::int64_t before = HostNow();
    std::vector<device::Device::Mark> marks;
    for (int i = 0; i < 5; ++i) {
      marks.push_back(device->MarkTime());
      device->Scale(1 << 16, 1.5f, x);
    }
    device->Synchronize();
    const std::int64_t after = HostNow();
    // A stream's clock is known to within the wait for one event, which is part of the first call; a host's exactly.
    device->TimeOf(marks.front());
    const std::int64_t slack = HostNow() - after;
    std::int64_t last = before - slack;
    for (const device::Device::Mark mark : marks) {
      const std::int64_t time = device->TimeOf(mark);
      EXPECT_GE(time, last);
      EXPECT_EQ(device->TimeOf(mark), time) << "asked twice";
      last = time;
    }
    EXPECT_LE(last, after + slack);
  }
}

}  // namespace
}  // namespace lockstep::test
