// A graph: work that a capture recorded, with what each piece must follow; and the graph made ready to launch.
//
// Every captured stream is a lane. A launch runs lane 0 on the stream that it is launched into, the others on streams
// of the executable's own, so what ran side by side in the capture does so again.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "reference/virtual_gpu/runtime/stream.h"

namespace lockstep::virtual_gpu {

struct Node {
  const char* name = "";
  std::function<cudaError_t()> run;  // empty: stands for an event
  std::size_t lane = 0;
  std::vector<std::size_t> after = {};  // nodes of other lanes; those before it in its lane come first anyway
};

class Graph {
 public:
  Graph(std::vector<Node> nodes, std::size_t lanes) : nodes_(std::move(nodes)), lanes_(lanes) {}
  const std::vector<Node>& nodes() const { return nodes_; }  // each after what it must follow
  std::size_t lanes() const { return lanes_; }

 private:
  const std::vector<Node> nodes_;
  const std::size_t lanes_;
};

class GraphExecutable {
 public:
  GraphExecutable(std::shared_ptr<const Graph> graph, Device& device);
  ~GraphExecutable();
  GraphExecutable(const GraphExecutable&) = delete;
  GraphExecutable& operator=(const GraphExecutable&) = delete;

  Device& device() const { return device_; }
  void Launch(const std::shared_ptr<Stream>& stream);  // after what `stream` holds and after the launch before

 private:
  const std::shared_ptr<const Graph> graph_;
  Device& device_;
  std::vector<std::shared_ptr<Stream>> own_;  // of lanes 1, 2, ...
  std::mutex mutex_;
  Dependency launched_;  // the end of the launch before; null stream: none
};

}  // namespace lockstep::virtual_gpu
