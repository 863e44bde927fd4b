#include <string>

#include "harness/protocol/dropout.h"
#include "reference/trainer/model/build.h"

namespace lockstep::trainer {
namespace {

using protocol::Activation;

// One block: two residual branches.
class BlockBuilder {
 public:
  BlockBuilder(const RankContext& context, ParameterStore& parameters, LayerFactory& factory, std::int64_t block)
      : model_(context.model()),
        tensor_(*context.groups.tensor),
        context_(context),
        parameters_(parameters),
        factory_(factory),
        block_(block),
        prefix_("h." + std::to_string(block) + ".") {}

  std::unique_ptr<Layer> AttentionBranch() {
    const std::int64_t heads = protocol::Split(model_.heads, tensor_.Size(), tensor_.Rank()).size;
    const std::int64_t width = heads * model_.head_width();
    auto norm = Norm("ln_1");
    std::vector<std::unique_ptr<Layer>> inner;
    inner.push_back(factory_.MakeColumnParallel({.weight = Use("attn.qkv.weight", 1, true),
                                                 .bias = Use("attn.qkv.bias", 1),
                                                 .in = model_.width,
                                                 .out = 3 * width,
                                                 .activation = std::nullopt,
                                                 .input_gradient = true,
                                                 .group = &tensor_}));
    inner.push_back(factory_.MakeAttention(heads));
    inner.push_back(Row("attn.proj", width));
    AddDropout(inner, protocol::DropoutSiteAttention(static_cast<std::uint64_t>(block_)));
    return std::make_unique<Residual>(context_, std::move(norm), std::move(inner));
  }

  std::unique_ptr<Layer> MlpBranch() {
    const std::int64_t width = protocol::Split(model_.mlp_width, tensor_.Size(), tensor_.Rank()).size;
    auto norm = Norm("ln_2");
    std::vector<std::unique_ptr<Layer>> inner;
    inner.push_back(factory_.MakeColumnParallel({.weight = Use("mlp.fc.weight", 0, true),
                                                 .bias = Use("mlp.fc.bias", 0),
                                                 .in = model_.width,
                                                 .out = width,
                                                 .activation = Activation::kGelu,
                                                 .input_gradient = true,
                                                 .group = &tensor_}));
    inner.push_back(Row("mlp.proj", width));
    AddDropout(inner, protocol::DropoutSiteMlp(static_cast<std::uint64_t>(block_)));
    return std::make_unique<Residual>(context_, std::move(norm), std::move(inner));
  }

 private:
  ParameterUse Use(const std::string& name, int axis, bool product = false, Gradients gradients = Gradients::kWhole) {
    return parameters_.Declare(prefix_ + name, axis, product, gradients);
  }
  std::unique_ptr<LayerNorm> Norm(const std::string& name) {
    const ParameterUse weight = Use(name + ".weight", -1, false, Gradients::kPartial);
    const ParameterUse bias = Use(name + ".bias", -1, false, Gradients::kPartial);
    return factory_.MakeLayerNorm(weight, bias, model_.width);
  }
  std::unique_ptr<Layer> Row(const std::string& name, std::int64_t in) {
    return factory_.MakeRowParallel({.weight = Use(name + ".weight", 1, true),
                                     .bias = Use(name + ".bias", -1, false, Gradients::kPartial),
                                     .in = in,
                                     .out = model_.width,
                                     .activation = std::nullopt,
                                     .input_gradient = true,
                                     .group = &tensor_});
  }
  void AddDropout(std::vector<std::unique_ptr<Layer>>& layers, std::uint64_t site) {
    if (model_.dropout > 0) layers.push_back(factory_.MakeDropout(site));
  }

  const protocol::Model& model_;
  device::Communicator& tensor_;
  const RankContext& context_;
  ParameterStore& parameters_;
  LayerFactory& factory_;
  std::int64_t block_;
  std::string prefix_;
};

void BuildHead(const RankContext& context, ParameterStore& parameters, LayerFactory& factory, Stage& stage) {
  const protocol::Model& model = context.model();
  device::Communicator& tensor = *context.groups.tensor;
  const ParameterUse weight = parameters.Declare("ln_f.weight", -1, false, Gradients::kPartial);
  const ParameterUse bias = parameters.Declare("ln_f.bias", -1, false, Gradients::kPartial);
  stage.layers.push_back(factory.MakeLayerNorm(weight, bias, model.width));
  const ParameterUse head = parameters.Declare(model.tied ? "wte.weight" : "head.weight", 0, true);
  if (IsTiedAcross(context, stage)) {
    head.parameter().tied_across = true;
    head.parameter().counted = false;  // the first stage counts it
  }
  const protocol::Run classes = protocol::Split(model.vocabulary, tensor.Size(), tensor.Rank());
  stage.layers.push_back(factory.MakeColumnParallel({.weight = head,
                                                     .bias = std::nullopt,
                                                     .in = model.width,
                                                     .out = classes.size,
                                                     .activation = std::nullopt,
                                                     .input_gradient = true,
                                                     .group = &tensor}));
  auto loss = factory.MakeCrossEntropy({.vocabulary = &tensor, .first = classes.begin, .count = classes.size});
  stage.loss = loss.get();
  stage.layers.push_back(std::move(loss));
}

}  // namespace

void BuildGpt(const RankContext& context, ParameterStore& parameters, LayerFactory& factory, std::int64_t first,
              Stage& stage) {
  const protocol::Model& model = context.model();
  stage.input_width = stage.first ? 0 : model.width;
  stage.output_width = stage.last ? 0 : model.width;
  if (stage.first) {
    const ParameterUse tokens = parameters.Declare("wte.weight", 0, false);
    tokens.parameter().tied_across = IsTiedAcross(context, stage);
    const ParameterUse positions = parameters.Declare("wpe.weight", -1, false, Gradients::kPartial);
    stage.layers.push_back(factory.MakeEmbedding(tokens, positions));
    if (model.dropout > 0) stage.layers.push_back(factory.MakeDropout(protocol::DropoutSiteEmbedding()));
  }
  for (std::int64_t block = first; block < first + stage.units; ++block) {
    BlockBuilder builder(context, parameters, factory, block);
    stage.layers.push_back(builder.AttentionBranch());
    stage.layers.push_back(builder.MlpBranch());
  }
  if (stage.last) BuildHead(context, parameters, factory, stage);
}

}  // namespace lockstep::trainer
