// The gpt of PROTOCOL.md: pre-LayerNorm blocks of causal attention and a tanh-gelu mlp, tied or untied head.
#include <string>
#include <vector>

#include "harness/oracle/attention.h"
#include "harness/oracle/layers.h"
#include "harness/oracle/losses.h"
#include "harness/oracle/models.h"
#include "harness/protocol/dropout.h"

namespace lockstep::oracle {
namespace {

// What a block's forward leaves for its backward.
struct BlockTrace {
  Matrix x;      // (T, C)   the block's input
  Matrix a;      // (T, C)   layernorm(x; ln_1)
  Matrix qkv;    // (T, 3 C)
  Matrix o;      // (T, C)   heads' outputs side by side
  Matrix x_mid;  // (T, C)   after the attention's residual
  Matrix b;      // (T, C)   layernorm(x_mid; ln_2)
  Matrix fc;     // (T, F)   before gelu
  Matrix gelu;   // (T, F)
};

// One sample's way through the model: what is read, what is added to, and the dropout's key.
class Pass {
 public:
  Pass(const protocol::Model& model, const Values& parameters, const DropoutKey& key, Values& gradients)
      : model_(model), p_(parameters), key_(key), g_(gradients) {}

  Matrix Embed(const std::vector<std::int32_t>& tokens) const;
  Matrix Forward(std::int64_t block, const Matrix& x, BlockTrace& trace) const;
  Matrix Backward(std::int64_t block, const BlockTrace& trace, Matrix dx);
  void EmbedBackward(const std::vector<std::int32_t>& tokens, Matrix dx);

  Matrix Norm(const std::string& name, const Matrix& x) const {
    return LayerNorm(x, p_.at(name + ".weight"), p_.at(name + ".bias"));
  }
  Matrix NormBackward(const std::string& name, const Matrix& x, const Matrix& dy) {
    return LayerNormBackward(x, p_.at(name + ".weight"), dy, g_.at(name + ".weight"), g_.at(name + ".bias"));
  }
  Matrix Layer(const std::string& name, const Matrix& x) const {
    return Linear(x, p_.at(name + ".weight"), p_.at(name + ".bias"));
  }
  Matrix LayerBackward(const std::string& name, const Matrix& x, const Matrix& dy) {
    return LinearBackward(x, p_.at(name + ".weight"), dy, g_.at(name + ".weight"), g_.at(name + ".bias"));
  }
  std::string HeadName() const { return model_.tied ? "wte.weight" : "head.weight"; }
  Matrix Head(const Matrix& x) const { return Product(x, p_.at(HeadName())); }
  Matrix HeadBackward(const Matrix& x, const Matrix& dy) {
    return ProductBackward(x, p_.at(HeadName()), dy, g_.at(HeadName()));
  }

 private:
  static std::string Name(std::int64_t block) { return "h." + std::to_string(block); }
  void Drop(std::uint64_t site, Matrix& x) const {
    Dropout({key_.seed, key_.step, key_.sample, site, model_.dropout}, x);
  }

  const protocol::Model& model_;
  const Values& p_;
  DropoutKey key_;
  Values& g_;
};

// x = dropout(wte[token] + wpe[position])
Matrix Pass::Embed(const std::vector<std::int32_t>& tokens) const {
  const std::vector<double>&wte = p_.at("wte.weight"), &wpe = p_.at("wpe.weight");
  Matrix x(model_.sequence, model_.width);
  for (std::int64_t n = 0; n < x.rows; ++n) {
    const std::int64_t token = tokens[static_cast<std::size_t>(n)];
    for (std::int64_t c = 0; c < x.cols; ++c) {
      x(n, c) = wte[static_cast<std::size_t>(token * x.cols + c)] + wpe[static_cast<std::size_t>(n * x.cols + c)];
    }
  }
  Drop(protocol::DropoutSiteEmbedding(), x);
  return x;
}

void Pass::EmbedBackward(const std::vector<std::int32_t>& tokens, Matrix dx) {
  Drop(protocol::DropoutSiteEmbedding(), dx);
  std::vector<double>&d_wte = g_.at("wte.weight"), &d_wpe = g_.at("wpe.weight");
  for (std::int64_t n = 0; n < dx.rows; ++n) {
    const std::int64_t token = tokens[static_cast<std::size_t>(n)];
    for (std::int64_t c = 0; c < dx.cols; ++c) {
      d_wte[static_cast<std::size_t>(token * dx.cols + c)] += dx(n, c);
      d_wpe[static_cast<std::size_t>(n * dx.cols + c)] += dx(n, c);
    }
  }
}

Matrix Pass::Forward(std::int64_t block, const Matrix& x, BlockTrace& trace) const {
  const std::uint64_t index = static_cast<std::uint64_t>(block);
  trace.x = x;
  trace.a = Norm(Name(block) + ".ln_1", x);
  trace.qkv = Layer(Name(block) + ".attn.qkv", trace.a);
  trace.o = Attention(trace.qkv, model_.heads);
  Matrix branch = Layer(Name(block) + ".attn.proj", trace.o);
  Drop(protocol::DropoutSiteAttention(index), branch);
  trace.x_mid = x;
  AddTo(trace.x_mid, branch);

  trace.b = Norm(Name(block) + ".ln_2", trace.x_mid);
  trace.fc = Layer(Name(block) + ".mlp.fc", trace.b);
  trace.gelu = Activate(protocol::Activation::kGelu, trace.fc);
  branch = Layer(Name(block) + ".mlp.proj", trace.gelu);
  Drop(protocol::DropoutSiteMlp(index), branch);
  Matrix out = trace.x_mid;
  AddTo(out, branch);
  return out;
}

// The same lines from the last to the first. dx passes a residual as it is, and comes back from the branch as well.
Matrix Pass::Backward(std::int64_t block, const BlockTrace& trace, Matrix dx) {
  const std::uint64_t index = static_cast<std::uint64_t>(block);
  Matrix branch = dx;
  Drop(protocol::DropoutSiteMlp(index), branch);
  branch = LayerBackward(Name(block) + ".mlp.proj", trace.gelu, branch);
  branch = ActivateBackward(protocol::Activation::kGelu, trace.fc, branch);
  branch = LayerBackward(Name(block) + ".mlp.fc", trace.b, branch);
  AddTo(dx, NormBackward(Name(block) + ".ln_2", trace.x_mid, branch));

  branch = dx;
  Drop(protocol::DropoutSiteAttention(index), branch);
  branch = LayerBackward(Name(block) + ".attn.proj", trace.o, branch);
  branch = AttentionBackward(trace.qkv, model_.heads, branch);
  branch = LayerBackward(Name(block) + ".attn.qkv", trace.a, branch);
  AddTo(dx, NormBackward(Name(block) + ".ln_1", trace.x, branch));
  return dx;
}

}  // namespace

double GptSample(const protocol::Model& model, const Values& parameters, const TokenSample& sample,
                 const DropoutKey& key, Values& gradients) {
  Pass pass(model, parameters, key, gradients);
  std::vector<BlockTrace> blocks(static_cast<std::size_t>(model.layers));
  Matrix x = pass.Embed(sample.inputs);
  for (std::int64_t i = 0; i < model.layers; ++i) x = pass.Forward(i, x, blocks[static_cast<std::size_t>(i)]);
  const Matrix normed = pass.Norm("ln_f", x);
  const Matrix logits = pass.Head(normed);

  Matrix d_logits(logits.rows, logits.cols);  // rows of targets that do not count stay 0
  double loss = 0;
  for (std::int64_t n = 0; n < logits.rows; ++n) {
    const std::int32_t target = sample.targets[static_cast<std::size_t>(n)];
    if (target >= 0) loss += CrossEntropy(logits, n, target, d_logits);
  }

  Matrix dx = pass.NormBackward("ln_f", x, pass.HeadBackward(normed, d_logits));
  for (std::int64_t i = model.layers - 1; i >= 0; --i) {
    dx = pass.Backward(i, blocks[static_cast<std::size_t>(i)], std::move(dx));
  }
  pass.EmbedBackward(sample.inputs, std::move(dx));
  return loss;
}

}  // namespace lockstep::oracle
