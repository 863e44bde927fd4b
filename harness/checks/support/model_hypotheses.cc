// Hypotheses about what a layer, a link or the loss computes: the oracle run on a model or a batch that is wrong in the
// way the fault makes it wrong.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string_view>

#include "harness/checks/support/hypotheses.h"
#include "harness/checks/support/tensor_streams.h"
#include "harness/protocol/parameters.h"

namespace lockstep::checks {

namespace {

using protocol::ModelKind;

bool IsGpt(const Replay& r) { return r.workload().model.kind == ModelKind::kGpt; }

Prediction Of(const oracle::TraceStep& step, const std::string& figures = "") {
  Prediction p;
  p.loss = step.loss;
  p.gradients = step.gradients;
  p.figures = figures;
  return p;
}

std::vector<Prediction> LossPlusLogTensor(const Replay& r) {
  if (r.plan().tensor < 2) return {};
  Prediction p;
  p.loss = r.whole().loss + std::log(static_cast<double>(r.plan().tensor));
  p.figures = fmt::format("log {} = {:.4f}", r.plan().tensor, *p.loss - r.whole().loss);
  return {p};
}

// Row-parallel layers: gpt's two projections; of an mlp every second layer (either half may be the row-parallel one).
std::vector<Prediction> RowBiasTimesTensor(const Replay& r) {
  std::vector<Prediction> all;
  if (r.plan().tensor < 2) return all;
  for (const std::int64_t parity : {std::int64_t{1}, std::int64_t{0}}) {
    if (IsGpt(r) && parity == 0) continue;
    oracle::Values parameters = r.parameters();
    for (auto& [name, values] : parameters) {
      const bool gpt_row = name.ends_with("proj.bias");
      const bool mlp_row =
          name.starts_with("layers.") && name.ends_with(".bias") && std::stoll(name.substr(7)) % 2 == parity;
      if (!gpt_row && !mlp_row) continue;
      for (double& b : values) b *= static_cast<double>(r.plan().tensor);
    }
    all.push_back(Of(r.On(r.samples(), parameters), fmt::format("tensor-parallel degree {}", r.plan().tensor)));
  }
  return all;
}

// Of a tied weight, the use as embedding alone and the use as head alone: the gradients of the untied model.
std::vector<Prediction> TiedHalves(const Replay& r) {
  if (!IsGpt(r) || !r.workload().model.tied) return {};
  protocol::Workload untied = r.workload();
  untied.model.tied = false;
  oracle::Values parameters = r.parameters();
  parameters["head.weight"] = parameters.at("wte.weight");
  const oracle::TraceStep step = r.With(untied, r.inputs(), parameters);
  Prediction embedding = Of(r.whole(), "the embedding's part alone"), head = Of(r.whole(), "the head's part alone");
  embedding.loss.reset();
  head.loss.reset();
  embedding.gradients.at("wte.weight") = step.gradients.at("wte.weight");
  head.gradients.at("wte.weight") = step.gradients.at("head.weight");
  return {embedding, head};
}

// The vocabulary padded to a multiple of tp, with zero rows that enter the softmax.
std::vector<Prediction> VocabularyPadding(const Replay& r) {
  const protocol::Model& model = r.workload().model;
  std::vector<Prediction> all;
  if (!IsGpt(r) || r.plan().tensor < 2) return all;
  for (const std::int64_t multiple :
       {r.plan().tensor, 8 * r.plan().tensor, 64 * r.plan().tensor, 128 * r.plan().tensor}) {
    protocol::Workload padded = r.workload();
    padded.model.vocabulary = (model.vocabulary + multiple - 1) / multiple * multiple;
    if (padded.model.vocabulary == model.vocabulary) continue;
    oracle::Values parameters = r.parameters();
    for (auto& [name, values] : parameters) {
      if (name != "wte.weight" && name != "head.weight") continue;
      values.resize(static_cast<std::size_t>(padded.model.vocabulary * model.width), 0.0);
    }
    oracle::TraceStep step = r.With(padded, r.inputs(), parameters);
    for (auto& [name, values] : step.gradients) values.resize(r.whole().gradients.at(name).size());
    all.push_back(Of(step, fmt::format("vocabulary {} padded to {}", model.vocabulary, padded.model.vocabulary)));
  }
  return all;
}

// The fused (3, H, D, C) rows dealt to tensor ranks in one run, each then read as (3, H / tp, D, C).
std::vector<Prediction> QkvSplitAcrossFusedRows(const Replay& r) {
  const protocol::Model& model = r.workload().model;
  const std::int64_t tp = r.plan().tensor;
  if (!IsGpt(r) || tp < 2 || model.heads % tp != 0) return {};
  const std::int64_t heads = model.heads / tp, head_rows = model.head_width();
  oracle::Values parameters = r.parameters();
  for (auto& [name, values] : parameters) {
    if (name.find("attn.qkv.") == std::string::npos) continue;
    const auto row = static_cast<std::int64_t>(values.size()) / (3 * model.width);
    const std::vector<double> fused = values;
    for (std::int64_t part = 0; part < 3; ++part) {
      for (std::int64_t h = 0; h < model.heads; ++h) {
        const std::int64_t rank = h / heads, local = h % heads;
        const std::int64_t from = (rank * 3 * heads + part * heads + local) * head_rows * row;
        const std::int64_t to = (part * model.heads + h) * head_rows * row;
        std::copy_n(fused.begin() + from, head_rows * row, values.begin() + to);
      }
    }
  }
  Prediction p = Of(r.On(r.samples(), parameters));
  p.gradients.clear();  // they come back to the wrong rows too
  return {p};
}

// The ranks of a tensor group add their own number to the seed, as they rightly do where each holds a shard.
std::vector<Prediction> TensorMasksApart(const Replay& r) {
  std::vector<Prediction> all;
  if (!IsGpt(r) || r.plan().tensor < 2 || !(r.workload().model.dropout > 0)) return all;
  for (const std::uint64_t offset : {std::uint64_t{0}, std::uint64_t{2718}}) {  // 2718: Megatron-LM's
    TensorStreams streams;
    for (std::int64_t rank = 0; rank < r.plan().tensor; ++rank) {
      streams.seeds.push_back(r.workload().seed + offset + static_cast<std::uint64_t>(rank));
    }
    Prediction p;
    p.loss = LossOf(streams, r);
    p.figures = fmt::format("as of the seeds {} and up, by tensor rank", streams.seeds.front());
    all.push_back(std::move(p));
  }
  return all;
}

std::vector<Prediction> RowSumMissing(const Replay& r) {
  if (!IsGpt(r) || r.plan().tensor < 2) return {};
  const std::vector<std::uint64_t> seeds(static_cast<std::size_t>(r.plan().tensor), r.workload().seed);
  Prediction p;
  p.loss = LossOf({seeds, false}, r);
  return {p};
}

void SwapRows(protocol::Tensor& tensor, std::int64_t a, std::int64_t b) {
  const std::size_t row = tensor.bytes.size() / static_cast<std::size_t>(tensor.shape.at(0));
  const auto at = [&](std::int64_t i) { return tensor.bytes.begin() + static_cast<std::ptrdiff_t>(row) * i; };
  std::swap_ranges(at(a), at(a + 1), at(b));
}

// The inputs of two micro-batches of one replica change places; their targets stay.
std::vector<Prediction> CrossedLink(const Replay& r) {
  std::vector<Prediction> all;
  if (r.plan().pipeline < 2 || r.inputs().form == "stream" || r.plan().micro_batches > 8) return all;
  for (const Cell& a : r.cells()) {
    for (const Cell& b : r.cells()) {
      if (a.data != b.data || a.micro_batch >= b.micro_batch || a.samples.size() != b.samples.size()) continue;
      protocol::Inputs crossed = r.inputs();
      for (std::size_t i = 0; i < a.samples.size(); ++i) {
        SwapRows(crossed.data.at("inputs"), a.samples[i], b.samples[i]);
      }
      Prediction p = Of(r.With(r.workload(), crossed, r.parameters()),
                        fmt::format("micro-batches {} and {} of replica {}", a.micro_batch, b.micro_batch, a.data));
      p.data = a.data;
      p.micro_batch = a.micro_batch;
      p.of_a_link = true;
      all.push_back(std::move(p));
    }
  }
  return all;
}

void CopyRow(protocol::Tensor& tensor, std::int64_t from, std::int64_t to) {
  const std::size_t row = tensor.bytes.size() / static_cast<std::size_t>(tensor.shape.at(0));
  const auto at = [&](std::int64_t i) { return tensor.bytes.begin() + static_cast<std::ptrdiff_t>(row) * i; };
  std::copy(at(from), at(from + 1), at(to));
}

// A micro-batch's targets meet another one's activations: those that were written into its buffer.
std::vector<Prediction> SendBufferReused(const Replay& r) {
  std::vector<Prediction> all;
  if (r.plan().pipeline < 2 || r.inputs().form == "stream" || r.plan().micro_batches > 8) return all;
  for (const Cell& lost : r.cells()) {
    for (const Cell& kept : r.cells()) {
      const bool comparable = lost.data == kept.data && lost.samples.size() == kept.samples.size();
      if (!comparable || lost.micro_batch == kept.micro_batch) continue;
      protocol::Inputs overwritten = r.inputs();
      for (std::size_t i = 0; i < lost.samples.size(); ++i) {
        CopyRow(overwritten.data.at("inputs"), kept.samples[i], lost.samples[i]);
      }
      Prediction p = Of(r.With(r.workload(), overwritten, r.parameters()),
                        fmt::format("micro-batch {}'s in the place of micro-batch {}'s, replica {}", kept.micro_batch,
                                    lost.micro_batch, lost.data));
      p.data = lost.data;
      p.micro_batch = lost.micro_batch;
      p.of_a_link = true;
      all.push_back(std::move(p));
    }
  }
  return all;
}

}  // namespace

std::vector<Hypothesis> ModelHypotheses() {
  return {
      {"loss_plus_log_tp", "forward",
       "the loss is too large by the logarithm of the tensor-parallel degree: gathered logits treated as sharded",
       LossPlusLogTensor},
      {"row_bias_times_tp", "forward",
       "the bias of row-parallel layers is added once for each tensor rank: before the reduction, not after",
       RowBiasTimesTensor},
      {"tied_weight_half", "reduction",
       "a tied weight's two gradients are not added: its copies on first and last stage are updated apart", TiedHalves},
      {"vocabulary_padding", "forward", "padded rows of the vocabulary enter the softmax", VocabularyPadding},
      {"qkv_split", "forward", "attention's fused rows are split over tensor ranks across q, k, v and not by heads",
       QkvSplitAcrossFusedRows},
      {"tensor_masks_apart", "forward",
       "the ranks of a tensor group draw different dropout masks of what they all hold", TensorMasksApart},
      {"row_sum_missing", "forward",
       "the parts of a row-parallel layer's result are not added up over the tensor ranks", RowSumMissing},
      {"crossed_link", "forward", "activations of two micro-batches changed places", CrossedLink},
      {"send_buffer_reused", "forward",
       "activations of another micro-batch arrived: the buffer was written to again before it had left",
       SendBufferReused},
  };
}

}  // namespace lockstep::checks
