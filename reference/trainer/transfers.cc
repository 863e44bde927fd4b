#include "reference/trainer/transfers.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace lockstep::trainer {

Transfers::Transfers(const RankContext& context, const std::vector<Stage>& stages)
    : context_(context), stages_(stages) {
  const std::vector<Link>& links = context.wiring.links();
  for (std::size_t i = 0; i < links.size(); ++i) {
    if (links[i].to != context.at.pipeline) continue;
    for (std::size_t position = 0; position < links[i].messages.size(); ++position) {
      const LinkMessage& message = links[i].messages[position];
      places_[{message.target, message.micro_batch, links[i].backward}] = {incoming_.size(), position};
    }
    incoming_.push_back({.link = &links[i], .posted = 0});
  }
}

void Transfers::Begin(const std::vector<MicroBatch>& micro_batches) {
  micro_batches_ = &micro_batches;
  for (Incoming& incoming : incoming_) incoming.posted = 0;
}

std::int64_t Transfers::WidthOf(const Need& need) const {
  const auto stage =
      std::find_if(stages_.begin(), stages_.end(), [&](const Stage& each) { return each.index == need.stage; });
  if (stage == stages_.end()) throw std::logic_error("stage " + std::to_string(need.stage) + " doesn't stand here");
  return need.backward ? stage->output_width : stage->input_width;
}

device::Edge Transfers::EdgeOf(std::int64_t source, const Need& need) const {
  return {.source_stage = static_cast<std::int32_t>(source),
          .target_stage = static_cast<std::int32_t>(need.stage),
          .micro_batch = static_cast<std::int32_t>(need.micro_batch),
          .direction = need.backward ? 1 : 0,
          .step = static_cast<std::int32_t>(BatchOf(need).step)};
}

void Transfers::Post(Incoming& incoming) {
  const LinkMessage& expected = incoming.link->messages[incoming.posted++];
  const Need need{expected.target, expected.micro_batch, incoming.link->backward};
  const std::int64_t rows = BatchOf(need).local.size, width = WidthOf(need);
  if (rows * width == 0) return;
  Message message{.need = need,
                  .payload = NewActivations(context_.device, rows, width, device::Category::kCommunication),
                  .work = nullptr};
  message.work = GroupOf(need).Receive(message.payload.size(), message.payload.data(),
                                       static_cast<int>(incoming.link->from), EdgeOf(expected.source, need));
  arriving_.insert_or_assign(need, std::move(message));
}

void Transfers::Expect(const Need& need) {
  const auto place = places_.find(need);
  if (place == places_.end()) return;
  Incoming& incoming = incoming_[place->second.incoming];
  if (incoming.posted > place->second.position) return;
  const Activity::Span span(context_.activity, SpanName::kReceive);
  while (incoming.posted <= place->second.position) Post(incoming);
}

Activations Transfers::Take(const Need& need) {
  Expect(need);
  auto node = arriving_.extract(need);
  if (node.empty()) return {};
  if (node.mapped().work) node.mapped().work->Wait();
  return std::move(node.mapped().payload);
}

void Transfers::Pass(std::int64_t source, const Need& target, Activations payload) {
  Message message{.need = target, .payload = std::move(payload), .work = nullptr};
  const std::int64_t rank = context_.wiring.RankOf(target.stage, target.micro_batch);
  if (rank == context_.at.pipeline) {
    arriving_.insert_or_assign(target, std::move(message));
    return;
  }
  if (message.payload.size() == 0 || rank < 0) return;
  message.work = GroupOf(target).Send(message.payload.size(), message.payload.data(), static_cast<int>(rank),
                                      EdgeOf(source, target));
  sent_.push_back(std::move(message));
}

void Transfers::Release(const Need& answered) {
  std::erase_if(sent_, [&](Message& message) {
    const bool left = message.need == answered || message.work->Done();
    if (left) message.work->Wait();
    return left;
  });
}

void Transfers::Finish() {
  for (Message& message : sent_) message.work->Wait();
  sent_.clear();
  arriving_.clear();
}

}  // namespace lockstep::trainer
