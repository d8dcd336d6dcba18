#pragma once
// The product of one or two rows with a matrix whose columns lie side by side: every element of the
// matrix is used once or twice, so what counts is to read memory in order, a few long rows at a
// time.

#include <cstdint>

#include "cpu/gemm_widen.h"

namespace kindling {
namespace KINDLING_ISA {

/// c[i * cStride + j] += sum over p of rows[i * rowStride + p * rowStep] * columns[p * columnStep +
/// j].
template <typename T, typename S>
struct StreamProblem {
  int64_t rowCount, columnCount, k;  // rowCount: 1 or 2
  const S* rows;
  int64_t rowStride, rowStep;
  const S* columns;
  int64_t columnStep;
  T* c;
  int64_t cStride;
};

/// kSteps steps of k, from p on, for the columns [begin, end).
template <int kRows, int kSteps, typename T, typename S>
inline void streamSteps(const StreamProblem<T, S>& problem, int64_t p, int64_t begin, int64_t end) {
  using V = GemmVecOf<T>;
  constexpr int kWidth = V::width;
  const S* columns = problem.columns + p * problem.columnStep;
  const int64_t step = problem.columnStep;
  V x[kRows][kSteps];
#pragma GCC unroll 16
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 16
    for (int s = 0; s < kSteps; ++s) {
      x[i][s] = V::set1(widen(problem.rows[i * problem.rowStride + (p + s) * problem.rowStep]));
    }
  }
  T* const c = problem.c;
  const int64_t cStride = problem.cStride;
  int64_t j = begin;
  for (; j + kWidth <= end; j += kWidth) {
    V acc[kRows];
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) acc[i] = V::load(c + i * cStride + j);
#pragma GCC unroll 16
    for (int s = 0; s < kSteps; ++s) {
      const V y = loadWide<V>(columns + s * step + j);
#pragma GCC unroll 16
      for (int i = 0; i < kRows; ++i) acc[i] = fma(x[i][s], y, acc[i]);
    }
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) acc[i].store(c + i * cStride + j);
  }
  if (j == end) return;
  const int rest = static_cast<int>(end - j);
  for (int i = 0; i < kRows; ++i) {
    V acc = V::loadPartial(c + i * cStride + j, rest);
#pragma GCC unroll 16
    for (int s = 0; s < kSteps; ++s) {
      acc = fma(x[i][s], loadWidePart<V>(columns + s * step + j, rest), acc);
    }
    storeFirst(acc, c + i * cStride + j, rest);
  }
}

template <int kRows, typename T, typename S>
inline void streamRows(const StreamProblem<T, S>& problem, int64_t begin, int64_t end) {
  constexpr int kSteps = KINDLING_ISA_LEVEL == 2 || kRows == 1 ? 8 : 4;
  constexpr int64_t kColumns = 1024;  // of the result, that stay in the L1 cache
  for (int64_t j = begin; j < end; j += kColumns) {
    const int64_t last = end - j < kColumns ? end : j + kColumns;
    int64_t p = 0;
    for (; p + kSteps <= problem.k; p += kSteps) streamSteps<kRows, kSteps>(problem, p, j, last);
    for (; p < problem.k; ++p) streamSteps<kRows, 1>(problem, p, j, last);
  }
}

/// The columns [begin, end) of the result.
template <typename T, typename S>
inline void streamRange(const StreamProblem<T, S>& problem, int64_t begin, int64_t end) {
  if (problem.rowCount == 1) return streamRows<1>(problem, begin, end);
  streamRows<2>(problem, begin, end);
}

}  // namespace KINDLING_ISA
}  // namespace kindling
