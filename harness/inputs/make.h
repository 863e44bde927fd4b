// Makes the numbers of a workload: initial parameters and data set, from its seed or from files.
//
//   seeded      random tokens or features from the seed; non-zero biases and norm weights unlike 1, so that no fault
//   hides
//               behind a zero; `uneven` masks a different share of each sample's targets
//   exact_grid  sparse ternary weights, small-integer inputs: every sum of step 1 is exact in fp32 and bf16
//   (numerics.md B2) file        text as bytes; tokens (uint16 with llm.c's header of 256 int32: magic 20240520,
//   version 1, count); IDX
//               images with labels. Told apart by their first bytes. gpt gets form "stream", mlp gets "samples".
#pragma once

#include <filesystem>
#include <string>

#include "harness/protocol/inputs.h"
#include "harness/protocol/workload.h"

namespace lockstep::inputs {

// Samples that a run takes in all its steps, at most: a table of them is part of the inputs, at 8 bytes each.
inline constexpr std::int64_t kMostSamples = std::int64_t{1} << 28;

// Throws BadInput: more samples than that, or more bytes than the machine's memory; a file that is missing, torn, too
// short for one sample, or holds a token outside the vocabulary.
protocol::Inputs Make(const protocol::Workload& workload);

// What a file is and what a model must look like to train on it: "text", vocabulary 256; "tokens", vocabulary; "idx".
struct FileKind {
  std::string kind;                        // "text", "tokens", "idx"
  std::int64_t vocabulary = 0;             // text: 256; tokens: largest id + 1
  std::int64_t features = 0, classes = 0;  // idx
  std::int64_t length = 0;                 // tokens or images
};
FileKind Inspect(const std::filesystem::path& file, const std::filesystem::path& labels = {});

// The text that stands in when no file is given: the licence texts of /usr/share/common-licenses, in name order,
// written once into the cache folder. Throws BadInput where the folder is missing.
std::filesystem::path DefaultText(const std::filesystem::path& cache);

}  // namespace lockstep::inputs
