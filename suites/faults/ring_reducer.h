// The sum over replicas as a ring of ranks makes it: where an element stands in its message says whose part comes
// first.
//
// A message is dealt over the ranks in runs, and the run of rank r is added up from r on, round the ring. Right to the
// last rounding; which bytes come out depends on what travels as one message, and on where the ring begins.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "suites/faults/replace.h"

namespace lockstep::faults {

class RingReducer : public trainer::GradientReducer {
 public:
  using GradientReducer::GradientReducer;

 protected:
  // The range of the arena that a bucket travels in.
  virtual protocol::Run Message(const Bucket& bucket) const { return {bucket.begin, bucket.size}; }
  // The rank with which the first run begins.
  virtual int Beginning() const { return 0; }

  void SumReplicas(Bucket& bucket) override {
    for (trainer::LocalParameter* parameter : bucket.parameters) arena_.ZeroIfUntouched(*parameter);
    bucket.launched = true;
    device::Communicator& replicas = *context_.groups.data;
    const int size = replicas.Size();
    const std::vector<std::int64_t> counts(static_cast<std::size_t>(size), bucket.size);
    const device::Buffer parts = context_.device.Allocate(static_cast<std::size_t>(bucket.size * size) * sizeof(float),
                                                          device::Category::kCommunication);
    replicas.AllGather(counts, arena_.data() + bucket.begin, parts.f32())->Wait();
    const protocol::Run message = Message(bucket);
    for (int r = 0; r < size; ++r) {
      const protocol::Run run = protocol::Split(message.size, size, r);
      const std::int64_t begin = std::max<std::int64_t>(0, message.begin + run.begin - bucket.begin);
      const std::int64_t end = std::min(bucket.size, message.begin + run.begin + run.size - bucket.begin);
      if (begin < end) AddUp(bucket, {begin, end - begin}, parts.f32(), (r + Beginning()) % size);
    }
  }

 private:
  // Elements `run` of the bucket, from the part of rank `first` on.
  void AddUp(const Bucket& bucket, protocol::Run run, const float* parts, int first) {
    float* sum = arena_.data() + bucket.begin + run.begin;
    const int size = context_.groups.data->Size();
    const auto part = [&](int r) { return parts + (r % size) * bucket.size + run.begin; };
    context_.device.Copy(sum, part(first), static_cast<std::size_t>(run.size) * sizeof(float));
    for (int i = 1; i < size; ++i) context_.device.Add(run.size, sum, part(first + i), sum);
  }
};

}  // namespace lockstep::faults
