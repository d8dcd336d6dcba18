#pragma once
// The product of a few rows with many rows, both contiguous along k: vectors run along k and
// nothing is packed. The path of matrix-vector products.

#include <cstdint>

#include "cpu/gemm_widen.h"

namespace kindling {
namespace KINDLING_ISA {

/// c[i * cFew + j * cMany] = sum over k of few[i][k] many[j][k].
template <typename T, typename S = T>
struct DotProblemOf {
  int64_t few, many, k;
  const S* fewData;
  int64_t fewStride;
  const S* manyData;
  int64_t manyStride;
  T* c;
  int64_t cFew, cMany;
  const T* bias;  // nullptr, or values with these strides
  int64_t biasFew, biasMany;
  bool accumulate;
  const T* residual = nullptr;  // or values with these strides
  int64_t residualFew = 0, residualMany = 0;
  bool relu = false;
};
using DotProblem = DotProblemOf<float>;

template <int kFew, int kMany, typename T, typename S>
inline void dotTile(const DotProblemOf<T, S>& problem, int64_t i, int64_t j) {
  using V = GemmVecOf<T>;
  constexpr int kWidth = V::width;
  const S* a = problem.fewData + i * problem.fewStride;
  const S* b = problem.manyData + j * problem.manyStride;
  const int64_t aStride = problem.fewStride, bStride = problem.manyStride, k = problem.k;
  V acc[kFew][kMany];
#pragma GCC unroll 16
  for (int r = 0; r < kFew; ++r) {
#pragma GCC unroll 16
    for (int q = 0; q < kMany; ++q) acc[r][q] = V::zero();
  }
  int64_t p = 0;
  for (; p + kWidth <= k; p += kWidth) {
    V x[kFew];
#pragma GCC unroll 16
    for (int r = 0; r < kFew; ++r) x[r] = loadWide<V>(a + r * aStride + p);
#pragma GCC unroll 16
    for (int q = 0; q < kMany; ++q) {
      const V y = loadWide<V>(b + q * bStride + p);
#pragma GCC unroll 16
      for (int r = 0; r < kFew; ++r) acc[r][q] = fma(x[r], y, acc[r][q]);
    }
  }
  if (p < k) {
    const int rest = static_cast<int>(k - p);
    V x[kFew];
#pragma GCC unroll 16
    for (int r = 0; r < kFew; ++r) x[r] = loadWidePart<V>(a + r * aStride + p, rest);
#pragma GCC unroll 16
    for (int q = 0; q < kMany; ++q) {
      const V y = loadWidePart<V>(b + q * bStride + p, rest);
#pragma GCC unroll 16
      for (int r = 0; r < kFew; ++r) acc[r][q] = fma(x[r], y, acc[r][q]);
    }
  }
  for (int r = 0; r < kFew; ++r) {
    T sums[kMany < 4 ? 4 : kMany];
    if (kMany % 4 == 0) {
      for (int q = 0; q + 4 <= kMany; q += 4) reduceAdd4(acc[r] + q, sums + q);
    } else {
      for (int q = 0; q < kMany; ++q) sums[q] = reduceAdd(acc[r][q]);
    }
    for (int q = 0; q < kMany; ++q) {
      T sum = sums[q];
      if (problem.bias) sum += problem.bias[(i + r) * problem.biasFew + (j + q) * problem.biasMany];
      T* to = problem.c + (i + r) * problem.cFew + (j + q) * problem.cMany;
      if (problem.accumulate) sum = *to + sum;
      if (problem.residual) {
        sum += problem.residual[(i + r) * problem.residualFew + (j + q) * problem.residualMany];
      }
      *to = problem.relu && T(0) > sum ? T(0) : sum;
    }
  }
}

template <int kFew, int kMany, typename T, typename S>
inline void dotStrip(const DotProblemOf<T, S>& problem, int64_t i, int64_t begin, int64_t end) {
  int64_t j = begin;
  for (; j + kMany <= end; j += kMany) dotTile<kFew, kMany>(problem, i, j);
  for (; j < end; ++j) dotTile<kFew, 1>(problem, i, j);
}

/// All few rows times the many rows [begin, end).
template <typename T, typename S>
inline void dotRange(const DotProblemOf<T, S>& problem, int64_t begin, int64_t end) {
  int64_t i = 0;
#if KINDLING_ISA_LEVEL == 2
  for (; i + 4 <= problem.few; i += 4) dotStrip<4, 4>(problem, i, begin, end);
  if (i + 3 == problem.few) return dotStrip<3, 4>(problem, i, begin, end);
#endif
  for (; i + 2 <= problem.few; i += 2) dotStrip<2, 4>(problem, i, begin, end);
  for (; i < problem.few; ++i) dotStrip<1, 8>(problem, i, begin, end);
}

}  // namespace KINDLING_ISA
}  // namespace kindling
