// Traces as PyTorch's profiler writes them, made by hand: microseconds from a rank's own zero.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "harness/stalls/trace/chrome_reader.h"
#include "harness/stalls/trace/kineto_rank.h"

namespace lockstep::stalls {

class TorchTrace {
 public:
  TorchTrace() = default;
  TorchTrace(std::int64_t rank, std::int64_t world, const std::string& host = "node") {
    file_["distributedInfo"] = {{"rank", rank}, {"world_size", world}, {"backend", "gloo"}};
    file_["host_name"] = host;
  }

  TorchTrace& Add(const std::string& category, const std::string& name, std::int64_t thread, double began, double ended,
                  nlohmann::json arguments = nlohmann::json::object()) {
    const std::int64_t process = category == "kernel" ? 0 : kProcess;  // kernels lie under their device
    file_["traceEvents"].push_back({{"ph", "X"},
                                    {"cat", category},
                                    {"name", name},
                                    {"pid", process},
                                    {"tid", thread},
                                    {"ts", began + shift_},
                                    {"dur", ended - began},
                                    {"args", std::move(arguments)}});
    return *this;
  }
  TorchTrace& Op(const std::string& name, double began, double ended, std::int64_t sequence = -1) {
    nlohmann::json arguments = nlohmann::json::object();
    if (sequence >= 0) arguments["Sequence number"] = sequence;
    return Add("cpu_op", name, kMain, began, ended, arguments);
  }
  TorchTrace& Backward(double began, double ended, std::int64_t sequence) {
    return Op("autograd::engine::evaluate_function: AddmmBackward0", began, ended, sequence);
  }
  TorchTrace& Note(const std::string& name, double began, double ended, bool finished = true) {
    nlohmann::json arguments = nlohmann::json::object();
    if (!finished) arguments["finished"] = false;
    return Add("user_annotation", name, kMain, began, ended, arguments);
  }
  // Asked for at `posted`, done by gloo's thread up to `ended`.
  TorchTrace& AllReduce(double posted, double ended, bool finished = true) {
    Op("c10d::allreduce_", posted, posted + 1);
    nlohmann::json arguments = nlohmann::json::object();
    if (!finished) arguments["finished"] = false;
    return Add("user_annotation", "gloo:all_reduce", kGloo, posted + 0.5, ended, arguments);
  }
  // A step of 100 us: data, forward, backward until `computed`, an all-reduce until `reduced`, optimizer.
  TorchTrace& Step(std::int64_t number, double began, double computed, double reduced) {
    const double at = began;
    Note("ProfilerStep#" + std::to_string(number), at, at + 100);
    Note("enumerate(DataLoader)#_SingleProcessDataLoaderIter.__next__", at + 1, at + 4);
    Op("aten::linear", at + 5, at + 9, 10 * number);
    Backward(at + 10, at + computed - 2, 10 * number);
    AllReduce(at + computed - 1, at + reduced);
    Op("torch.distributed.ddp.reducer::copy_bucket_to_grad", at + reduced + 1, at + reduced + 2);
    return Note("Optimizer.step#AdamW.step", at + reduced + 3, at + 99);
  }
  // Everything added from here on by this much later.
  TorchTrace& Shift(double microseconds) {
    shift_ = microseconds;
    return *this;
  }
  TorchTrace& Base(std::int64_t nanoseconds) {
    file_["baseTimeNanoseconds"] = nanoseconds;
    return *this;
  }

  std::string Text() const { return file_.dump(); }
  TracedRank Rank(const std::string& where = "trace.json") const {
    return RankOfTrace(ChromeTraceFromText(Text(), where));
  }

  static constexpr std::int64_t kProcess = 4711, kMain = 4711, kGloo = 4720, kAutograd = 4730;

 private:
  nlohmann::json file_{{"schemaVersion", 1}, {"traceEvents", nlohmann::json::array()}};
  double shift_ = 1000;
};

}  // namespace lockstep::stalls
