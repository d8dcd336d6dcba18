#pragma once
// The products of a step for a few rows: every weight is used once per row, so that what counts is
// to read the weights in order, as they lie, from the cache of the core that reads them at every
// step.

#include <cstdint>

#include "core/lockstep.h"
#include "core/thread_pool.h"
#include "cpu/gemm_dot.h"

namespace kindling {
namespace KINDLING_ISA {
namespace {

/// Whether the units of the state are shared out among the threads, which then meet at every step;
/// more rows are shared out themselves and never meet.
constexpr int64_t kMostFew = 8;
inline bool isFew(int64_t rows) { return rows <= kMostFew; }

/// The units of a part of a step.
struct Units {
  int64_t begin, end;
  int64_t count() const { return end - begin; }
};

/// How the units are shared out. Parts are whole vectors of units, so that they change no result.
struct UnitParts {
  int64_t width;
  int parts;

  /// `work`: multiply-adds of a step.
  UnitParts(int64_t units, int64_t work) : width(units) {
    constexpr int64_t kWorthMeeting = 1 << 14;
    int64_t most = work / kWorthMeeting;
    if (most > (units + kGrain - 1) / kGrain) most = (units + kGrain - 1) / kGrain;
    if (most > numThreads()) most = numThreads();
    if (most > kMostStepParts) most = kMostStepParts;
    parts = most < 1 ? 1 : static_cast<int>(most);
  }

  Units operator[](int part) const { return {boundary(part), boundary(part + 1)}; }

 private:
  static constexpr int64_t kGrain = 16;

  int64_t boundary(int part) const {
    const int64_t unit = (width + kGrain - 1) / kGrain * part / parts * kGrain;
    return unit < width ? unit : width;
  }
};

/// Sums[i][j] (+)= sum over p of rows[i][p] * weight[p * step + j], for j in [begin, end).
struct RowsTimesWeight {
  int64_t k;
  const float* const* rows;
  const float* weight;
  int64_t step;
  float* const* sums;
  bool accumulate;
};

/// kRows rows from `row` on, kVectors vectors of columns from j on; with one vector `lanes` of it.
/// kChains: of additions, because one would take longer than the multiplications.
template <int kRows, int kVectors, int kChains>
inline void rowsTimesColumns(const RowsTimesWeight& x, int64_t row, int64_t j, int lanes) {
  constexpr int kWidth = GemmVec::width;
  const bool whole = kVectors > 1 || lanes == kWidth;
  const auto load = [&](const float* p) {
    return whole ? GemmVec::load(p) : GemmVec::loadPartial(p, lanes);
  };
  GemmVec acc[kChains][kRows][kVectors];
#pragma GCC unroll 2
  for (int c = 0; c < kChains; ++c) {
#pragma GCC unroll 4
    for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) acc[c][i][v] = GemmVec::zero();
    }
  }
  const float* weight = x.weight + j;
  const auto add = [&](GemmVec(&sums)[kRows][kVectors], int64_t p) __attribute__((always_inline)) {
    GemmVec factor[kRows];
#pragma GCC unroll 4
    for (int i = 0; i < kRows; ++i) factor[i] = GemmVec::set1(x.rows[row + i][p]);
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      const GemmVec y = load(weight + v * kWidth);
#pragma GCC unroll 4
      for (int i = 0; i < kRows; ++i) sums[i][v] = fma(factor[i], y, sums[i][v]);
    }
    weight += x.step;
  };
  int64_t p = 0;
  for (; p + kChains <= x.k; p += kChains) {
    for (int c = 0; c < kChains; ++c) add(acc[c], p + c);
  }
  for (; p < x.k; ++p) add(acc[0], p);
#pragma GCC unroll 4
  for (int i = 0; i < kRows; ++i) {
    float* to = x.sums[row + i] + j;
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      GemmVec sum = acc[0][i][v];
      if (kChains > 1) sum = sum + acc[kChains - 1][i][v];
      if (x.accumulate) sum = sum + load(to + v * kWidth);
      if (whole) {
        sum.store(to + v * kWidth);
      } else {
        storeFirst(sum, to, lanes);
      }
    }
  }
}

template <int kRows>
inline void rowsTimesRange(const RowsTimesWeight& x, int64_t row, int64_t begin, int64_t end) {
  constexpr int kWidth = GemmVec::width;
  constexpr int kVectors = kRows == 1 && KINDLING_ISA_LEVEL == 2 ? 8 : 4;
  constexpr int kFewVectors = KINDLING_ISA_LEVEL == 2 ? 4 : 2;
  constexpr int kChains = kRows * kVectors <= 8 && KINDLING_ISA_LEVEL > 0 ? 2 : 1;
  int64_t j = begin;
  for (; j + kVectors * kWidth <= end; j += kVectors * kWidth) {
    rowsTimesColumns<kRows, kVectors, kChains>(x, row, j, kWidth);
  }
  for (; j + kFewVectors * kWidth <= end; j += kFewVectors * kWidth) {
    rowsTimesColumns<kRows, kFewVectors, kChains>(x, row, j, kWidth);
  }
  for (; j < end; j += kWidth) {
    const int lanes = static_cast<int>(end - j < kWidth ? end - j : kWidth);
    rowsTimesColumns<kRows, 1, kChains>(x, row, j, lanes);
  }
}

/// For `count` rows. The range changes no result.
inline void rowsTimesWeight(const RowsTimesWeight& x, int64_t count, int64_t begin, int64_t end) {
  int64_t row = 0;
#if KINDLING_ISA_LEVEL == 2
  for (; row + 4 <= count; row += 4) rowsTimesRange<4>(x, row, begin, end);
  if (row + 3 == count) return rowsTimesRange<3>(x, row, begin, end);
#endif
  for (; row + 2 <= count; row += 2) rowsTimesRange<2>(x, row, begin, end);
  if (row < count) rowsTimesRange<1>(x, row, begin, end);
}

}  // namespace
}  // namespace KINDLING_ISA
}  // namespace kindling
