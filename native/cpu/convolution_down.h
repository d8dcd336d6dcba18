#pragma once
// 3x3 taps of one channel on a padded plane: two vectors of columns run down the plane. A row is
// loaded once for each shift and adds to the three rows of the result that it reaches; their sums
// and all weights stay in registers, so that nothing is set up between one row and the next. With
// one channel tiles of filters have nine terms, and took half of their time around them.

#include <cstdint>

#include "cpu/gemm_vec.h"

namespace kindling {
namespace KINDLING_ISA {
namespace {

constexpr int kDownTaps = 3;  // along either axis

struct DownCall {
  const float* weights;  // [row][column]
  float bias;
  const float* planes;  // what the first tap of the first result reads
  int64_t step;         // from row to row of the plane
  int64_t across;       // from the first vector to the second, in the plane and in the result
  float* out;
  int64_t outStep, rows;  // of the result
};

struct DownWeights {
  GemmVec at[kDownTaps][kDownTaps];
};

/// Of one row of the result.
struct DownSums {
  GemmVec at[2];
};

/// A row of the plane, for the row of the result that it ends and for two that go on.
KINDLING_INLINE void addDown(const DownWeights& weights, const float* from, int64_t across,
                             DownSums& last, DownSums& middle, DownSums& next) {
#pragma GCC unroll 4
  for (int k = 0; k < kDownTaps; ++k) {
#pragma GCC unroll 2
    for (int v = 0; v < 2; ++v) {
      const GemmVec x = GemmVec::load(from + v * across + k);
      last.at[v] = fma(weights.at[2][k], x, last.at[v]);
      middle.at[v] = fma(weights.at[1][k], x, middle.at[v]);
      next.at[v] = fma(weights.at[0][k], x, next.at[v]);
    }
  }
}

/// One filter, all rows of two vectors of columns.
inline void convolveDown(const DownCall& call) {
  DownWeights weights;
#pragma GCC unroll 4
  for (int i = 0; i < kDownTaps; ++i) {
#pragma GCC unroll 4
    for (int k = 0; k < kDownTaps; ++k) {
      weights.at[i][k] = GemmVec::set1(call.weights[i * kDownTaps + k]);
    }
  }
  const int64_t step = call.step, across = call.across, outStep = call.outStep;
  const GemmVec bias = GemmVec::set1(call.bias);
  const DownSums start = {{bias, bias}};
  DownSums a = start, b = start, c = start, unused = start;
  const float* from = call.planes;
  float* to = call.out;
  addDown(weights, from, across, unused, c, a);
  from += step;
  addDown(weights, from, across, unused, a, b);
  from += step;
  c = start;
  const auto row = [&](DownSums& last, DownSums& middle, DownSums& next) {
    addDown(weights, from, across, last, middle, next);
    last.at[0].store(to);
    last.at[1].store(to + across);
    last = start;
    from += step;
    to += outStep;
  };
  int64_t rest = call.rows;
  for (; rest >= 3; rest -= 3) {
    row(a, b, c);
    row(b, c, a);
    row(c, a, b);
  }
  if (rest > 0) row(a, b, c);
  if (rest > 1) row(b, c, a);
}

}  // namespace
}  // namespace KINDLING_ISA
}  // namespace kindling
