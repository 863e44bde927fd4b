#include "harness/protocol/inputs.h"

#include "harness/protocol/files.h"
#include "harness/protocol/safetensors.h"
#include "suites/unit/protocol/support.h"

namespace lockstep::protocol {
namespace {

using ::testing::HasSubstr;

const Workload& Gpt() {
  static const Workload workload = SmallRequest().workload;
  return workload;
}

template <typename Change>
std::string RefusalAfter(const Workload& workload, Inputs inputs, Change change) {
  change(inputs);
  return Refusal([&] { ValidateInputs(inputs, workload, "folder"); });
}

Workload Mlp(LossKind loss) {
  Workload workload;
  workload.model.sizes = {3, 4, 2};
  workload.model.loss = loss;
  workload.global_batch = 2;
  workload.steps = 2;
  return workload;
}

Inputs MlpInputs(const Workload& workload) {
  Inputs inputs;
  for (const Parameter& parameter : Parameters(workload.model)) {
    inputs.parameters[parameter.name] = Tensor::Zeros(DType::kF64, parameter.shape);
  }
  inputs.data["order"] = Tensor::FromInt64({2, 2}, std::vector<std::int64_t>{0, 1, 2, 3});
  inputs.data["inputs"] = Tensor::Zeros(DType::kF64, {4, 3});
  const bool classes = workload.model.loss == LossKind::kCrossEntropy;
  inputs.data["targets"] = classes ? Tensor::Zeros(DType::kI32, {4}) : Tensor::Zeros(DType::kF64, {4, 2});
  if (!classes) inputs.data["valid"] = Tensor::Zeros(DType::kU8, {4});
  return inputs;
}

TEST(Inputs, SurviveTheWayThroughFiles) {
  const Scratch folder;
  Inputs inputs = SmallInputs(Gpt());
  inputs.data["targets"].As<std::int32_t>()[2] = -1;
  WriteInputs(folder.path(), inputs);
  const Inputs read = ReadInputs(folder.path(), Gpt());
  EXPECT_EQ(read.form, inputs.form);
  EXPECT_EQ(HashInputs(read), HashInputs(inputs));
  EXPECT_EQ(read.data.at("targets").bytes, inputs.data.at("targets").bytes);
}

TEST(Inputs, HashSeesEveryByteNameAndShape) {
  const Inputs inputs = SmallInputs(Gpt());
  const std::string hash = HashInputs(inputs);
  Inputs changed = inputs;
  changed.data["targets"].bytes[5] = std::byte{1};
  EXPECT_NE(HashInputs(changed), hash);
  changed = inputs;
  changed.form = "stream";
  EXPECT_NE(HashInputs(changed), hash);
  changed = inputs;
  changed.data["order"].shape = {5, 2};
  EXPECT_NE(HashInputs(changed), hash);
  changed = inputs;
  changed.parameters["x"] = changed.parameters["ln_f.bias"];
  EXPECT_NE(HashInputs(changed), hash);
}

TEST(Inputs, BothLossesOfAnMlpAreTaken) {
  for (const LossKind loss : {LossKind::kSquaredError, LossKind::kCrossEntropy}) {
    EXPECT_NO_THROW(ValidateInputs(MlpInputs(Mlp(loss)), Mlp(loss), "folder"));
  }
}

TEST(Inputs, RefusalsNameFileAndTensor) {
  const Inputs good = SmallInputs(Gpt());
  const auto gpt = [&](auto change) { return RefusalAfter(Gpt(), good, change); };
  EXPECT_THAT(gpt([](Inputs& i) { i.parameters.erase("ln_f.bias"); }),
              HasSubstr("parameters.safetensors: has no tensor \"ln_f.bias\""));
  EXPECT_THAT(gpt([](Inputs& i) { i.parameters["x"] = {}; }), HasSubstr("parameters.safetensors"));
  EXPECT_THAT(gpt([](Inputs& i) {
                i.parameters["wte.weight"].shape = {4, 7};
              }),
              HasSubstr("parameters.safetensors: wte.weight: is F64 [4, 7]"));
  EXPECT_THAT(gpt([](Inputs& i) {
                i.parameters["wte.weight"] = Tensor::Zeros(DType::kF32, {7, 4});
              }),
              HasSubstr("wte.weight: is F32"));
  EXPECT_THAT(gpt([](Inputs& i) { i.form = "strean"; }),
              HasSubstr("data.safetensors: __metadata__.form: is \"strean\""));
  EXPECT_THAT(gpt([](Inputs& i) { i.data.erase("order"); }), HasSubstr("data.safetensors: has no tensor \"order\""));
  EXPECT_THAT(gpt([](Inputs& i) { i.data["target"] = i.data["targets"]; }),
              HasSubstr("data.safetensors: target: unknown tensor; expected \"targets\""));
  EXPECT_THAT(gpt([](Inputs& i) {
                i.data["order"].shape = {1, 10};
              }),
              HasSubstr("data.safetensors: order: is I64 [1, 10]"));
  EXPECT_THAT(gpt([](Inputs& i) { i.data["order"].As<std::int64_t>()[3] = 10; }),
              HasSubstr("order: holds 10 at element 3"));
  EXPECT_THAT(gpt([](Inputs& i) { i.data["order"].As<std::int64_t>()[3] = -2; }), HasSubstr("order: holds -2"));
  EXPECT_THAT(gpt([](Inputs& i) { i.data["order"].As<std::int64_t>()[3] = -1; }),
              HasSubstr("order: has a sample after -1 at element 4"));
  EXPECT_THAT(gpt([](Inputs& i) { i.data["inputs"].As<std::int32_t>()[1] = 7; }),
              HasSubstr("inputs: holds 7 at element 1"));
  EXPECT_THAT(gpt([](Inputs& i) { i.data["inputs"].As<std::int32_t>()[1] = -1; }), HasSubstr("inputs: holds -1"));
  EXPECT_THAT(gpt([](Inputs& i) { i.data["targets"].As<std::int32_t>()[1] = 7; }), HasSubstr("targets: holds 7"));
  EXPECT_THAT(gpt([](Inputs& i) {
                i.data["targets"] = Tensor::Zeros(DType::kI32, {10, 4});
              }),
              HasSubstr("targets: is I32 [10, 4]"));
  const Workload squared = Mlp(LossKind::kSquaredError), classes = Mlp(LossKind::kCrossEntropy);
  EXPECT_THAT(RefusalAfter(squared, MlpInputs(squared), [](Inputs& i) { i.data["valid"].bytes[0] = std::byte{2}; }),
              HasSubstr("valid: holds 2"));
  EXPECT_THAT(RefusalAfter(squared, MlpInputs(squared), [](Inputs& i) { i.form = "stream"; }), HasSubstr("form"));
  EXPECT_THAT(RefusalAfter(classes, MlpInputs(classes), [](Inputs& i) { i.data["targets"].As<std::int32_t>()[0] = 2; }),
              HasSubstr("targets: holds 2"));
}

TEST(Inputs, AStreamHasAsManySamplesAsItsTargetsAllow) {
  Inputs inputs = SmallInputs(Gpt());  // 10 samples of 3 tokens
  inputs.data.erase("inputs");
  inputs.data.erase("targets");
  inputs.form = "stream";
  inputs.data["stream"] = Tensor::Zeros(DType::kU16, {31});
  EXPECT_NO_THROW(ValidateInputs(inputs, Gpt(), "folder"));
  EXPECT_THAT(RefusalAfter(Gpt(), inputs, [](Inputs& i) { i.data["stream"] = Tensor::Zeros(DType::kU16, {30}); }),
              HasSubstr("order: holds 9"));
  EXPECT_THAT(RefusalAfter(Gpt(), inputs, [](Inputs& i) { i.data["stream"].bytes[0] = std::byte{7}; }),
              HasSubstr("stream: holds 7"));
  EXPECT_THAT(RefusalAfter(Gpt(), inputs, [](Inputs& i) { i.data["stream"] = Tensor::Zeros(DType::kF32, {31}); }),
              HasSubstr("stream: is F32"));
}

TEST(Inputs, WithoutTheirFormAreRefused) {
  const Scratch folder;
  const Inputs inputs = SmallInputs(Gpt());
  WriteInputs(folder.path(), inputs);
  WriteSafetensors(folder / "data.safetensors", inputs.data);
  EXPECT_THAT(Refusal([&] { ReadInputs(folder.path(), Gpt()); }),
              HasSubstr("data.safetensors: __metadata__.form: is missing"));
}

TEST(BatchSamples, LeavesOutTheEndOfASmallerBatch) {
  const Tensor order = Tensor::FromInt64({2, 3}, std::vector<std::int64_t>{4, 5, 6, 7, -1, -1});
  EXPECT_EQ(BatchSamples(order, 1), (std::vector<std::int64_t>{4, 5, 6}));
  EXPECT_EQ(BatchSamples(order, 2), (std::vector<std::int64_t>{7}));
  EXPECT_THROW(BatchSamples(order, 0), std::logic_error);
  EXPECT_THROW(BatchSamples(order, 3), std::logic_error);
}

}  // namespace
}  // namespace lockstep::protocol
