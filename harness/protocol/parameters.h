// Canonical parameters of a model: names, global shapes, and which of them weight decay touches.
// Layouts and formulas: PROTOCOL.md, "Models". A trainer may hold them otherwise, but reports them so.
#pragma once

#include <string>
#include <vector>

#include "harness/protocol/tensor.h"
#include "harness/protocol/workload.h"

namespace lockstep::protocol {

struct Parameter {
  std::string name;      // "h.0.attn.qkv.weight"
  Shape shape;           // global
  bool decayed = false;  // matrices and embeddings; not biases, not norms
  std::int64_t size() const { return ElementCount(shape); }
};

// In canonical order, which is also the order of sums over parameters (the global norm). Empty for an own model.
//   mlp: layers.{i}.weight (D_{i+1}, D_i), layers.{i}.bias (D_{i+1})
//   gpt: wte.weight (V, C), wpe.weight (T, C),
//        h.{i}.ln_1.weight (C), h.{i}.ln_1.bias (C), h.{i}.attn.qkv.weight (3, H, D, C), h.{i}.attn.qkv.bias (3, H, D),
//        h.{i}.attn.proj.weight (C, H, D), h.{i}.attn.proj.bias (C), h.{i}.ln_2.weight (C), h.{i}.ln_2.bias (C),
//        h.{i}.mlp.fc.weight (F, C), h.{i}.mlp.fc.bias (F), h.{i}.mlp.proj.weight (C, F), h.{i}.mlp.proj.bias (C),
//        ln_f.weight (C), ln_f.bias (C), and head.weight (V, C) unless tied
std::vector<Parameter> Parameters(const Model& model);

// Names of the optimizer's state tensors for one parameter: {} for sgd, {"momentum"}, {"exp_avg", "exp_avg_sq"}.
std::vector<std::string> StateNames(OptimizerKind kind);

}  // namespace lockstep::protocol
