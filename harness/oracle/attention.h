// Causal attention of one sample: softmax(q k^T / sqrt(D)) v for each head (PROTOCOL.md, "Models").
//
// It begins after the projection to q, k, v and ends before the output's projection. Probabilities are computed again
// in the backward: the oracle trades time for fewer things that can disagree.
#pragma once

#include <cstdint>

#include "harness/oracle/layers.h"

namespace lockstep::oracle {

// qkv (T, 3 C): columns [part][head][d] with part 0 = q, 1 = k, 2 = v. Returns (T, C), columns [head][d].
Matrix Attention(const Matrix& qkv, std::int64_t heads);

// Gradient of qkv from the gradient of the output.
Matrix AttentionBackward(const Matrix& qkv, std::int64_t heads, const Matrix& dy);

}  // namespace lockstep::oracle
