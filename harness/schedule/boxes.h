// A simulated schedule as boxes on a time axis: what both drawings (draw.h) are made of.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "harness/schedule/file.h"
#include "harness/schedule/simulate.h"

namespace lockstep::schedule {

// What a box shows. Colours and words of each are in Paints().
enum class Paint {
  kForward,
  kBackward,
  kInputGradient,
  kWeightGradient,
  kFused,
  kRecompute,
  kOptimizer,
  kCommunication
};

struct PaintStyle {
  Paint paint;
  const char* letter;  // "F"; what stands in a box where there is no colour
  const char* word;    // "forward"
  const char* color;   // "#56B4E9": of the palette of Okabe and Ito, which colour-blind people tell apart
  int terminal[3];     // 256-colour numbers: one chunk; the first of several; the others
};
const std::vector<PaintStyle>& Paints();
const PaintStyle& StyleOf(Paint paint);

struct Box {
  std::size_t rank = 0;
  std::int64_t start = 0, end = 0;  // ticks; end > start
  Paint paint = Paint::kForward;
  std::int64_t chunk = 0;           // which of its rank's stages, from 0; of a fused pair the forward's
  std::int64_t backward_chunk = 0;  // of a fused pair
  std::string label;                // the micro-batch: "3", of a fused pair "3&1", of a whole stage ""
  std::string action;               // "2F3", for people who point at it
};

struct Picture {
  std::string title;  // "1f1b: 4 ranks, 8 micro-batches"
  std::size_t ranks = 0;
  std::int64_t chunks = 1;
  std::int64_t makespan = 0, shortest = 1;  // ticks, of the step and of the shortest box
  std::vector<Box> boxes;                   // by rank, then by time
};

Picture PictureOf(const protocol::Schedule& schedule, const Simulation& simulation);

}  // namespace lockstep::schedule
