// tp.vocab_padding_counts: Rows that pad the vocabulary to a round size enter the softmax.
#include <cmath>
#include <vector>

#include "suites/faults/fault.h"
#include "suites/faults/replace.h"

namespace lockstep::faults {
namespace {

class PaddingCounts : public trainer::CrossEntropy {
 public:
  using CrossEntropy::CrossEntropy;

 protected:
  void ReduceSums(trainer::Activations& statistics) override {
    CrossEntropy::ReduceSums(statistics);
    const std::int64_t vocabulary = context_.model().vocabulary;
    const std::int64_t padding = (vocabulary + 127) / 128 * 128 - vocabulary;
    const auto rows = static_cast<std::size_t>(statistics.width);
    std::vector<float> host(2 * rows);  // largest logits, sums of exponentials
    context_.device.ToHost(host.data(), statistics.data(), host.size() * sizeof(float));
    for (std::size_t i = 0; i < rows; ++i) host[rows + i] += static_cast<float>(padding) * std::exp(-host[i]);
    context_.device.ToDevice(statistics.data(), host.data(), host.size() * sizeof(float));
  }
};

class Layers : public trainer::LayerFactory {
 public:
  using LayerFactory::LayerFactory;
  std::unique_ptr<trainer::LossLayer> MakeCrossEntropy(const trainer::CrossEntropySpec& spec) override {
    return std::make_unique<PaddingCounts>(context_, spec);
  }
};

}  // namespace

extern const Fault fault_tp_vocab_padding_counts;
const Fault fault_tp_vocab_padding_counts{
    .name = "tp.vocab_padding_counts",
    .kind = "tensor",
    .mechanism = "Rows that pad the vocabulary to a round size enter the softmax.",
    .met_in = "Megatron-LM",
    .case_id = "tp.uneven_split/tp=2",
    .check = "noise_ratio",
    .step = 1,
    .phase = "forward",
    .tensor = "",
    .diagnosis = "padded rows",
    .make = Make<ReplaceLayers<Layers>>};

}  // namespace lockstep::faults
