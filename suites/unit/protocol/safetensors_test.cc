#include "harness/protocol/safetensors.h"

#include <fstream>

#include "harness/protocol/files.h"
#include "suites/unit/protocol/support.h"

namespace lockstep::protocol {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

std::string WithHeader(const std::string& header, std::size_t data_bytes) {
  std::string file;
  for (std::size_t i = 0; i < 8; ++i) file += static_cast<char>(header.size() >> (8 * i) & 0xff);
  return file + header + std::string(data_bytes, '\0');
}

std::string RefusalOf(const std::string& file) {
  return Refusal([&] { SafetensorsFile::Parse(std::as_bytes(std::span(file)), "FILE"); });
}

std::string RefusalOfHeader(const std::string& header, std::size_t data_bytes = 8) {
  return RefusalOf(WithHeader(header, data_bytes));
}

TEST(Safetensors, WhatIsWrittenIsReadBack) {
  const Scratch folder;
  const std::map<std::string, Tensor> tensors = {
      {"a", Tensor::FromDoubles(DType::kBF16, {3}, std::vector<double>{1, -2, 0.5})},
      {"b", Tensor::FromDoubles(DType::kF64, {2, 2}, std::vector<double>{1, 2, 3, 4})},
      {"empty", Tensor::Zeros(DType::kF32, {0, 5})},
      {"scalar", Tensor::FromDoubles(DType::kI64, {}, std::vector<double>{7})}};
  WriteSafetensors(folder / "t.safetensors", tensors, {{"form", "samples"}});
  const SafetensorsFile file = SafetensorsFile::Open(folder / "t.safetensors");
  EXPECT_EQ(file.metadata().at("form"), "samples");
  ASSERT_EQ(file.entries().size(), tensors.size());
  for (const auto& [name, tensor] : tensors) {
    const Tensor read = file.Load(name);
    EXPECT_EQ(read.dtype, tensor.dtype);
    EXPECT_EQ(read.shape, tensor.shape);
    EXPECT_EQ(read.bytes, tensor.bytes);
  }
  EXPECT_THAT(Refusal([&] { file.At("c"); }), AllOf(HasSubstr("t.safetensors"), HasSubstr(": c: no such tensor")));
}

TEST(Safetensors, DataBeginAtAMultipleOfEight) {
  const Scratch folder;
  for (std::size_t length = 1; length < 10; ++length) {
    WriteSafetensors(folder / "t", {{std::string(length, 'x'), Tensor::Zeros(DType::kU8, {1})}});
    EXPECT_EQ(std::filesystem::file_size(folder / "t") % 8, 1u);
  }
}

TEST(Safetensors, WritesWholeOrNotAtAll) {
  const Scratch folder;
  WriteSafetensors(folder / "t", {{"a", Tensor::Zeros(DType::kU8, {1})}});
  const std::string before = ReadTextFile(folder / "t");
  EXPECT_THROW(WriteSafetensors(folder / "t", {{"a", {DType::kF32, {2}, {}}}}), std::logic_error);
  EXPECT_EQ(ReadTextFile(folder / "t"), before);
  EXPECT_THAT(Refusal([&] { WriteSafetensors(folder / "absent/t", {}); }), HasSubstr("absent/t"));
  std::filesystem::create_directory(folder / "blocked");
  std::filesystem::create_directory(folder / "blocked/t");
  EXPECT_THAT(Refusal([&] { WriteSafetensors(folder / "blocked/t", {}); }), HasSubstr("blocked/t"));
  // Nothing is left of the attempts.
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder / "blocked"), {}), 1);
}

TEST(SafetensorsReader, RefusesEveryTruncation) {
  const Scratch folder;
  WriteSafetensors(folder / "t", {{"a", Tensor::Zeros(DType::kF32, {3})}, {"b", Tensor::Zeros(DType::kU8, {1})}});
  const std::string whole = ReadTextFile(folder / "t");
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_THAT(RefusalOf(whole.substr(0, size)), HasSubstr("FILE")) << size;
  }
}

TEST(SafetensorsReader, RefusesTrailingBytes) {
  EXPECT_THAT(RefusalOfHeader(R"({"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]}})", 9),
              AllOf(HasSubstr("FILE"), HasSubstr("1 bytes belong to no tensor")));
  EXPECT_THAT(RefusalOfHeader("{}", 1), HasSubstr("belong to no tensor"));
}

TEST(SafetensorsReader, RefusesAHole) {
  EXPECT_THAT(RefusalOfHeader(R"({"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},
                                  "b":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}})"),
              HasSubstr("FILE: b: a hole stands before it"));
  EXPECT_THAT(RefusalOfHeader(R"({"a":{"dtype":"U8","shape":[7],"data_offsets":[1,8]}})"), HasSubstr("a hole"));
}

TEST(SafetensorsReader, RefusesAnOverlap) {
  EXPECT_THAT(RefusalOfHeader(R"({"a":{"dtype":"U8","shape":[5],"data_offsets":[0,5]},
                                  "b":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}})"),
              HasSubstr("FILE: b: overlaps"));
  EXPECT_THAT(RefusalOfHeader(R"({"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},
                                  "b":{"dtype":"U8","shape":[8],"data_offsets":[0,8]}})"),
              HasSubstr("FILE: b: overlaps"));
}

TEST(SafetensorsReader, RefusesAHeaderLongerThanTheFileOrTheLimit) {
  std::string file = WithHeader("{}", 0);
  file[0] = 3;
  EXPECT_THAT(RefusalOf(file), HasSubstr("header length 3"));
  file[7] = static_cast<char>(0xff);
  EXPECT_THAT(RefusalOf(file), HasSubstr("header length"));
}

TEST(SafetensorsReader, RefusesAHeaderThatIsNoObject) {
  EXPECT_THAT(RefusalOfHeader(" {}", 0), HasSubstr("does not start with '{'"));
  EXPECT_THAT(RefusalOfHeader("", 0), HasSubstr("does not start with '{'"));
  EXPECT_THAT(RefusalOfHeader("{\"a\":\xff}", 0), HasSubstr("FILE: header: not JSON"));
  EXPECT_THAT(RefusalOfHeader("{\"\xff\":{}}", 0), HasSubstr("FILE: header: not JSON"));
}

TEST(SafetensorsReader, RefusesAKeyThatStandsTwice) {
  EXPECT_THAT(RefusalOfHeader(R"({"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},
                                  "a":{"dtype":"I8","shape":[8],"data_offsets":[0,8]}})"),
              AllOf(HasSubstr("FILE"), HasSubstr("a: the key stands twice")));
}

TEST(SafetensorsReader, RefusesWrongEntriesNamingTensorAndField) {
  const auto entry = [](const std::string& content) { return RefusalOfHeader("{\"a\":" + content + "}"); };
  EXPECT_THAT(entry(R"({"dtype":"F7","shape":[1],"data_offsets":[0,8]})"), HasSubstr("FILE: a.dtype: is \"F7\""));
  EXPECT_THAT(entry(R"({"dtype":8,"shape":[1],"data_offsets":[0,8]})"), HasSubstr("FILE: a.dtype: is 8"));
  EXPECT_THAT(entry(R"({"dtype":"F64","shape":[-1],"data_offsets":[0,8]})"), HasSubstr("FILE: a: shape: negative"));
  EXPECT_THAT(entry(R"({"dtype":"F64","shape":[1.5],"data_offsets":[0,8]})"), HasSubstr("FILE: a.shape: holds 1.5"));
  EXPECT_THAT(entry(R"({"dtype":"F64","shape":[2],"data_offsets":[0,8]})"), HasSubstr("a.data_offsets: span 8 bytes"));
  EXPECT_THAT(entry(R"({"dtype":"F64","shape":[1],"data_offsets":[0,9]})"), HasSubstr("a.data_offsets: are [0, 9]"));
  EXPECT_THAT(entry(R"({"dtype":"F64","shape":[1],"data_offsets":[8,0]})"), HasSubstr("a.data_offsets: are [8, 0]"));
  EXPECT_THAT(entry(R"({"dtype":"F64","shape":[1],"data_offsets":[0]})"), HasSubstr("a.data_offsets: are [0]"));
  EXPECT_THAT(entry(R"({"dtype":"F64","shape":[1]})"), HasSubstr("FILE: a.data_offsets: is missing"));
  EXPECT_THAT(entry(R"({"dtype":"F64","shape":[1],"data_offsets":[0,8],"typ":1})"), HasSubstr("a.typ: unknown key"));
  EXPECT_THAT(entry("[]"), HasSubstr("FILE: a: is an array"));
  // 2^61 elements of 8 bytes wrap to 0 bytes; 2^32 x 2^32 elements wrap to 0 elements.
  EXPECT_THAT(entry(R"({"dtype":"F64","shape":[2305843009213693952],"data_offsets":[0,0]})"),
              HasSubstr("span 0 bytes"));
  EXPECT_THAT(entry(R"({"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,0]})"), HasSubstr("2^63"));
}

TEST(SafetensorsReader, RefusesMetadataThatIsNotStrings) {
  EXPECT_THAT(RefusalOfHeader(R"({"__metadata__":{"step":3}})", 0),
              HasSubstr("FILE: __metadata__.step: is not a string"));
  EXPECT_THAT(RefusalOfHeader(R"({"__metadata__":[]})", 0), HasSubstr("FILE: __metadata__: is not an object"));
}

TEST(SafetensorsReader, NamesAFileThatCantBeOpened) {
  const Scratch folder;
  EXPECT_THAT(Refusal([&] { SafetensorsFile::Open(folder / "absent"); }), HasSubstr("absent: can't be opened"));
  EXPECT_THAT(Refusal([&] { SafetensorsFile::Open(folder.path()); }), HasSubstr("not a regular file"));
  std::ofstream(folder / "empty").close();
  EXPECT_THAT(Refusal([&] { SafetensorsFile::Open(folder / "empty"); }), HasSubstr("empty: holds 0 bytes"));
}

}  // namespace
}  // namespace lockstep::protocol
