#include "harness/protocol/parameters.h"

namespace lockstep::protocol {
namespace {

void AddBlock(const Model& model, std::int64_t index, std::vector<Parameter>* out) {
  const std::int64_t c = model.width, h = model.heads, d = model.head_width(), f = model.mlp_width;
  const std::string block = "h." + std::to_string(index) + ".";
  out->insert(out->end(), {{block + "ln_1.weight", {c}, false},
                           {block + "ln_1.bias", {c}, false},
                           {block + "attn.qkv.weight", {3, h, d, c}, true},
                           {block + "attn.qkv.bias", {3, h, d}, false},
                           {block + "attn.proj.weight", {c, h, d}, true},
                           {block + "attn.proj.bias", {c}, false},
                           {block + "ln_2.weight", {c}, false},
                           {block + "ln_2.bias", {c}, false},
                           {block + "mlp.fc.weight", {f, c}, true},
                           {block + "mlp.fc.bias", {f}, false},
                           {block + "mlp.proj.weight", {c, f}, true},
                           {block + "mlp.proj.bias", {c}, false}});
}

}  // namespace

std::vector<Parameter> Parameters(const Model& model) {
  std::vector<Parameter> out;
  if (model.kind == ModelKind::kMlp) {
    for (std::size_t i = 0; i + 1 < model.sizes.size(); ++i) {
      const std::string layer = "layers." + std::to_string(i) + ".";
      out.push_back({layer + "weight", {model.sizes[i + 1], model.sizes[i]}, true});
      out.push_back({layer + "bias", {model.sizes[i + 1]}, false});
    }
  } else if (model.kind == ModelKind::kGpt) {
    out.push_back({"wte.weight", {model.vocabulary, model.width}, true});
    out.push_back({"wpe.weight", {model.sequence, model.width}, true});
    for (std::int64_t i = 0; i < model.layers; ++i) AddBlock(model, i, &out);
    out.push_back({"ln_f.weight", {model.width}, false});
    out.push_back({"ln_f.bias", {model.width}, false});
    if (!model.tied) out.push_back({"head.weight", {model.vocabulary, model.width}, true});
  }
  return out;
}

std::vector<std::string> StateNames(OptimizerKind kind) {
  switch (kind) {
    case OptimizerKind::kSgd:
      return {};
    case OptimizerKind::kMomentum:
      return {"momentum"};
    case OptimizerKind::kAdamW:
      return {"exp_avg", "exp_avg_sq"};
  }
  return {};
}

}  // namespace lockstep::protocol
