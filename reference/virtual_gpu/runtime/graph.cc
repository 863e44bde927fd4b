#include "reference/virtual_gpu/runtime/graph.h"

#include <utility>

#include "reference/virtual_gpu/runtime/device.h"

namespace lockstep::virtual_gpu {

GraphExecutable::GraphExecutable(std::shared_ptr<const Graph> graph, Device& device)
    : graph_(std::move(graph)), device_(device) {
  for (std::size_t lane = 1; lane < graph_->lanes(); ++lane) {
    own_.push_back(device_.AddStream(cudaStreamNonBlocking, 0));
  }
}

GraphExecutable::~GraphExecutable() {
  for (const auto& stream : own_) stream->Close();
}

void GraphExecutable::Launch(const std::shared_ptr<Stream>& stream) {
  const std::lock_guard lock(mutex_);
  const auto stream_of = [&](std::size_t lane) -> const std::shared_ptr<Stream>& {
    return lane == 0 ? stream : own_[lane - 1];
  };
  Work start{.name = "cudaGraphLaunch", .run = nullptr, .after = device_.ImplicitlyAfter(*stream)};
  if (launched_.stream != nullptr) start.after.push_back(launched_);
  std::uint64_t last = stream->Enqueue(std::move(start));
  std::vector<std::uint64_t> tickets;
  for (std::size_t i = 0; i < graph_->nodes().size(); ++i) {
    const Node& node = graph_->nodes()[i];
    Work work{.name = node.name, .run = nullptr};
    if (node.run) work.run = [graph = graph_, i] { return graph->nodes()[i].run(); };
    for (const std::size_t before : node.after) {
      work.after.push_back({stream_of(graph_->nodes()[before].lane), tickets[before], nullptr});
    }
    tickets.push_back(stream_of(node.lane)->Enqueue(std::move(work)));
    if (node.lane == 0) last = tickets.back();
  }
  launched_ = {stream, last, nullptr};
}

}  // namespace lockstep::virtual_gpu
