// Data sets from files: text, token files and IDX, right ones and refused ones.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <set>

#include "harness/inputs/default_text.h"
#include "harness/inputs/make.h"
#include "harness/oracle/oracle.h"
#include "harness/protocol/bad_input.h"

namespace lockstep::inputs {
namespace {

using protocol::Workload;

std::string Big32(std::uint32_t value) {
  return {static_cast<char>(value >> 24), static_cast<char>(value >> 16), static_cast<char>(value >> 8),
          static_cast<char>(value)};
}

std::string Little(std::uint32_t value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text += static_cast<char>(value >> (8 * i));
  return text;
}

// llm.c's token file: 256 int32, of which magic, version and count are set, then the tokens.
std::string TokenFile(const std::vector<std::uint32_t>& tokens) {
  std::string content = Little(20240520, 4) + Little(1, 4) + Little(static_cast<std::uint32_t>(tokens.size()), 4);
  content.resize(1024);
  for (const std::uint32_t token : tokens) content += Little(token, 2);
  return content;
}

class Files : public testing::Test {
 protected:
  Files()
      : folder(std::filesystem::path(testing::TempDir()) /
               (std::string("inputs_") + testing::UnitTest::GetInstance()->current_test_info()->name())) {
    std::filesystem::remove_all(folder);
    std::filesystem::create_directories(folder);
  }
  ~Files() override { std::filesystem::remove_all(folder); }

  std::string Write(const std::string& name, const std::string& content) const {
    std::ofstream(folder / name, std::ios::binary) << content;
    return (folder / name).string();
  }
  // Three images of 2 x 2 and their labels.
  std::string Images() const {
    std::string pixels;
    for (int i = 0; i < 12; ++i) pixels += static_cast<char>(20 * i);
    return Write("images", Big32(0x803) + Big32(3) + Big32(2) + Big32(2) + pixels);
  }
  std::string Labels() const { return Write("labels", Big32(0x801) + Big32(3) + std::string("\2\0\1", 3)); }

  Workload Gpt(const std::string& file) const {
    Workload workload;
    workload.model = {.kind = protocol::ModelKind::kGpt,
                      .layers = 1,
                      .width = 8,
                      .heads = 2,
                      .mlp_width = 32,
                      .vocabulary = 256,
                      .sequence = 4};
    workload.data.kind = protocol::DataKind::kFile;
    workload.data.file = file;
    workload.global_batch = 2;
    workload.steps = 5;
    return workload;
  }
  Workload Mlp(const std::string& images, const std::string& labels) const {
    Workload workload;
    workload.model.sizes = {4, 5, 3};
    workload.model.loss = protocol::LossKind::kCrossEntropy;
    workload.data.kind = protocol::DataKind::kFile;
    workload.data.file = images;
    workload.data.labels = labels;
    workload.global_batch = 2;
    workload.steps = 2;
    return workload;
  }

  std::filesystem::path folder;
};

// The refusal is one line that holds `words`.
template <typename Call>
void Refuses(const Call& call, const std::string& words) {
  try {
    call();
    ADD_FAILURE() << "nothing was refused; expected: " << words;
  } catch (const protocol::BadInput& error) {
    const std::string line = error.what();
    EXPECT_NE(line.find(words), std::string::npos) << line;
    EXPECT_EQ(line.find('\n'), std::string::npos) << line;
  }
}

TEST_F(Files, TextIsAStreamOfBytes) {
  const std::string file = Write("text", "to be, or not to be\xff");
  const Workload workload = Gpt(file);
  const protocol::Inputs made = Make(workload);
  EXPECT_NO_THROW(protocol::ValidateInputs(made, workload, "made"));
  EXPECT_EQ(made.form, "stream");
  const protocol::Tensor& stream = made.data.at("stream");
  ASSERT_EQ(stream.dtype, protocol::DType::kU8);
  EXPECT_EQ(stream.shape, (protocol::Shape{20}));
  EXPECT_EQ(stream.As<std::uint8_t>()[1], 'o');
  EXPECT_EQ(stream.As<std::uint8_t>()[19], 0xff);
  // (20 - 1) / 4 = 4 samples: two full batches an epoch, as many epochs as five steps take.
  std::set<std::int64_t> first;
  for (std::int64_t s = 1; s <= 5; ++s) {
    for (const std::int64_t id : protocol::BatchSamples(made.data.at("order"), s)) {
      EXPECT_LT(id, 4);
      if (s <= 2) first.insert(id);
    }
  }
  EXPECT_EQ(first.size(), 4u);
}

TEST_F(Files, TheLastTargetNeedsATokenOfItsOwn) {
  Workload workload = Gpt(Write("text", "12345678"));  // 8 tokens are one sample of 4, not two
  workload.global_batch = 1;
  const protocol::Inputs made = Make(workload);
  for (std::int64_t s = 1; s <= 5; ++s) EXPECT_EQ(protocol::BatchSamples(made.data.at("order"), s)[0], 0);
  Refuses([&] { Make(Gpt(Write("four", "1234"))); }, "four: 4 tokens; one sample needs 5");
}

TEST_F(Files, TokensAreReadWithTheirHeader) {
  const std::string file = Write("tokens.bin", TokenFile({1, 500, 3, 50256, 7, 8, 9, 10, 11}));
  Workload workload = Gpt(file);
  workload.model.vocabulary = 50257;
  const protocol::Inputs made = Make(workload);
  EXPECT_NO_THROW(protocol::ValidateInputs(made, workload, "made"));
  const protocol::Tensor& stream = made.data.at("stream");
  ASSERT_EQ(stream.dtype, protocol::DType::kU16);
  EXPECT_EQ(stream.shape, (protocol::Shape{9}));
  EXPECT_EQ(stream.As<std::uint16_t>()[3], 50256);
  const FileKind found = Inspect(file);
  EXPECT_EQ(found.kind, "tokens");
  EXPECT_EQ(found.vocabulary, 50257);
  EXPECT_EQ(found.length, 9);
}

TEST_F(Files, ImagesAreScaledByAPowerOfTwo) {
  Workload workload = Mlp(Images(), Labels());
  workload.precision = protocol::Precision::kBF16;
  const protocol::Inputs made = Make(workload);
  EXPECT_NO_THROW(protocol::ValidateInputs(made, workload, "made"));
  EXPECT_EQ(made.form, "samples");
  EXPECT_EQ(made.data.at("inputs").shape, (protocol::Shape{3, 4}));
  EXPECT_EQ(made.data.at("inputs").As<double>()[11], 220 / 256.0);
  EXPECT_EQ(made.data.at("targets").As<std::int32_t>()[0], 2);
  const FileKind found = Inspect(workload.data.file, workload.data.labels);
  EXPECT_EQ(found.kind, "idx");
  EXPECT_EQ(found.features, 4);
  EXPECT_EQ(found.classes, 3);
  EXPECT_EQ(found.length, 3);
}

TEST_F(Files, DataSamplesTakesThatManyAndNoMore) {
  Workload workload = Mlp(Images(), Labels());
  workload.data.samples = 2;
  EXPECT_EQ(Make(workload).data.at("targets").shape, (protocol::Shape{2}));
  workload.data.samples = 4;
  Refuses([&] { Make(workload); }, "holds 3");
}

TEST_F(Files, InspectTellsText) {
  const FileKind found = Inspect(Write("text", "abc"));
  EXPECT_EQ(found.kind, "text");
  EXPECT_EQ(found.vocabulary, 256);
  EXPECT_EQ(found.length, 3);
}

TEST_F(Files, RefusesWhatIsNotThere) {
  Refuses([&] { Make(Gpt("")); }, "data.file");
  Refuses([&] { Make(Gpt((folder / "none").string())); }, "none: no such file");
  Refuses([&] { Make(Gpt(folder.string())); }, "is a folder");
  Refuses([&] { Make(Gpt(Write("empty", ""))); }, "empty: empty");
  Refuses([&] { Make(Mlp(Images(), "")); }, "data.labels");
}

TEST_F(Files, RefusesATokenOutsideTheVocabulary) {
  Workload workload = Gpt(Write("tokens.bin", TokenFile({1, 2, 3, 4, 300, 5})));
  Refuses([&] { Make(workload); }, "token 4: id 300 is outside the model's vocabulary of 256");
  workload = Gpt(Write("text", "hello world"));
  workload.model.vocabulary = 100;
  Refuses([&] { Make(workload); }, "model.vocabulary must be at least 120");
}

TEST_F(Files, RefusesATornTokenFile) {
  const std::string whole = TokenFile({1, 2, 3, 4, 5, 6});
  Refuses([&] { Make(Gpt(Write("torn", whole.substr(0, whole.size() - 1)))); }, "torn: count");
  Refuses([&] { Make(Gpt(Write("long", whole + "xx"))); }, "long: count");
  Refuses([&] { Make(Gpt(Write("head", whole.substr(0, 900)))); }, "head: header");
  Refuses([&] { Make(Gpt(Write("four", whole.substr(0, 4)))); }, "four: header");
  std::string version = whole;
  version[4] = 2;
  Refuses([&] { Make(Gpt(Write("two", version))); }, "two: version: 2; expected 1");
}

TEST_F(Files, RefusesTornAndOversizedIdx) {
  const std::string images = Images(), labels = Labels();
  std::filesystem::resize_file(images, 29);
  Refuses([&] { Make(Mlp(images, labels)); }, "images: dimensions");
  std::filesystem::resize_file(images, 27);
  Refuses([&] { Make(Mlp(images, labels)); }, "images: dimensions");
  std::filesystem::resize_file(images, 12);
  Refuses([&] { Make(Mlp(images, labels)); }, "images: header");
  // Extents whose product is 2^64: as 64 bits, 0 bytes.
  const std::string huge = Write("huge", Big32(0x803) + Big32(1u << 31) + Big32(1u << 31) + Big32(4));
  Refuses([&] { Make(Mlp(huge, labels)); }, "huge: dimensions");
  const std::string none = Write("none", Big32(0x803) + Big32(0) + Big32(2) + Big32(2));
  Refuses([&] { Make(Mlp(none, labels)); }, "none: dimensions");
  Refuses([&] { Make(Mlp(Labels(), Labels())); }, "not IDX images");
  Refuses([&] { Make(Mlp(Images(), Images())); }, "not IDX labels");
  const std::string two = Write("two", Big32(0x801) + Big32(2) + std::string(2, '\0'));
  Refuses([&] { Make(Mlp(Images(), two)); }, "two: 2 labels; 3 images");
}

TEST_F(Files, RefusesAModelThatDoesNotFitTheFile) {
  const std::string text = Write("text", "hello world"), images = Images(), labels = Labels();
  Refuses([&] { Make(Gpt(images)); }, "the model is gpt");
  Refuses([&] { Make(Mlp(text, labels)); }, "the model is mlp");
  Workload workload = Mlp(images, labels);
  workload.model.loss = protocol::LossKind::kSquaredError;
  Refuses([&] { Make(workload); }, "model.loss");
  workload = Mlp(images, labels);
  workload.model.sizes = {5, 3};
  Refuses([&] { Make(workload); }, "model.sizes: begins with 5");
  workload.model.sizes = {4, 2};
  Refuses([&] { Make(workload); }, "model.sizes: ends with 2");
  workload = Mlp(images, labels);
  workload.global_batch = 4;
  Refuses([&] { Make(workload); }, "images: 3 samples for a global batch of 4");
  workload = Gpt(text);
  workload.data.uneven = true;
  Refuses([&] { Make(workload); }, "data.uneven");
}

TEST_F(Files, StartFromParametersThatTrain) {
  std::string text;
  for (int i = 0; i < 40; ++i) text += "in step, in time; ";
  Workload workload = Gpt(Write("text", text));
  workload.model.width = 16;
  workload.model.sequence = 8;
  workload.global_batch = 4;
  workload.steps = 60;
  workload.optimizer.kind = protocol::OptimizerKind::kAdamW;
  workload.optimizer.learning_rate = 0.02;
  const protocol::Inputs made = Make(workload);
  for (const double value : made.parameters.at("ln_f.weight").ToDoubles()) EXPECT_EQ(value, 1);
  for (const double value : made.parameters.at("h.0.mlp.fc.bias").ToDoubles()) EXPECT_EQ(value, 0);
  const oracle::Trace trace = oracle::Train(workload, made);
  EXPECT_NEAR(trace.steps[1].loss, std::log(256.0), 0.1);  // begins as a uniform guess
  EXPECT_LT(trace.steps.back().loss, 2.0);
}

TEST_F(Files, DefaultTextIsWrittenOnceAndTrainable) {
  const std::filesystem::path text = DefaultText(folder / "cache");
  EXPECT_EQ(DefaultText(folder / "cache"), text);
  EXPECT_EQ(Inspect(text).kind, "text");
  EXPECT_GT(Inspect(text).length, 100000);
  std::ofstream(text, std::ios::binary) << "kept";
  EXPECT_EQ(Inspect(DefaultText(folder / "cache")).length, 4);
}

TEST_F(Files, DefaultTextTakesFilesInNameOrderAndNoLinks) {
  std::filesystem::create_directories(folder / "licences" / "sub");
  Write("licences/b", "second");
  Write("licences/a", "first ");
  std::filesystem::create_symlink("b", folder / "licences" / "c");
  EXPECT_EQ(ConcatenateTexts(folder / "licences"), "first second");
  Refuses([&] { ConcatenateTexts(folder / "missing"); }, "missing: holds no text");
  Refuses([&] { ConcatenateTexts(folder / "licences" / "sub"); }, "sub: holds no text");
}

}  // namespace
}  // namespace lockstep::inputs
