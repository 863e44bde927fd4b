#include "reference/trainer/evidence_out.h"

#include <unistd.h>

#include <array>

namespace lockstep::trainer {

EvidenceOut::EvidenceOut(const RankContext& context)
    : context_(context), writer_(context.folder, context.groups.world->Rank()) {}

void EvidenceOut::Hello(const TrainerName& trainer, const protocol::EffectivePlan& effective) {
  const device::DeviceInfo info = context_.device.Info();
  std::array<char, 256> host{};
  gethostname(host.data(), host.size() - 1);
  protocol::Hello hello;
  hello.rank = context_.groups.world->Rank();
  hello.world_size = context_.groups.world->Size();
  hello.pid = getpid();
  hello.host = host.data();
  hello.device_kind = info.kind;
  hello.device_name = info.name;
  hello.trainer = trainer.name;
  hello.version = trainer.version;
  hello.libraries = info.libraries;
  for (const auto& [kind, members] : context_.groups.members) hello.groups[NameOf(kind)] = members;
  hello.effective = effective;
  writer_.Write(hello);
}

void EvidenceOut::Ran(const MicroBatch& micro_batch) {
  if (!context_.request.evidence.ledger) return;
  writer_.Write(protocol::MicroBatchEvent{.step = micro_batch.step,
                                          .micro_batch = micro_batch.index,
                                          .samples = micro_batch.samples,
                                          .valid_tokens = micro_batch.valid});
}

void EvidenceOut::Step(const protocol::StepEvent& event) {
  writer_.Write(event);
  done_.steps = event.step;
  done_.wall_seconds += event.wall_seconds;
  done_.busy_seconds += event.busy_seconds;
  done_.idle_seconds += event.idle_seconds;
}

bool EvidenceOut::WantsTensors(std::int64_t step) const {
  const protocol::EvidenceWanted& wanted = context_.request.evidence;
  const bool any = wanted.gradients || wanted.clipped_gradients || wanted.parameters || wanted.optimizer_state;
  const bool start = step == context_.request.checkpoint.resume_step;
  return any && (start || step % wanted.every == 0);
}

void EvidenceOut::WriteTensors(std::int64_t step, const TensorSet& set) {
  writer_.WriteStep(step, set.tensors, set.slices);
}

void EvidenceOut::Write(const protocol::Timeline& timeline) {
  const auto folder = protocol::RankFolder(context_.folder, context_.groups.world->Rank());
  protocol::WriteTimeline(folder / protocol::kTimelineFile, timeline);
}

void EvidenceOut::Done(const std::optional<std::string>& error) {
  const device::MemoryUse& use = context_.device.Memory();
  for (std::size_t i = 0; i < device::kCategories; ++i) {
    done_.memory.categories[device::NameOf(static_cast<device::Category>(i))] = use.peak[i];
  }
  done_.memory.peak_bytes = use.total_peak;
  done_.memory.capacity_bytes = use.capacity;
  done_.error = error;
  writer_.Write(done_);
}

}  // namespace lockstep::trainer
