#pragma once
// Products of very few rows, shared out among threads: gemm_dot.h where both operands lie along k,
// gemm_stream.h for one or two rows of a matrix that is read once.

#include <cstdint>

#include "cpu/gemm_dot.h"
#include "cpu/gemm_plan.h"
#include "cpu/gemm_stream.h"
#include "cpu/parallel.h"

namespace kindling {
namespace KINDLING_ISA {
namespace {

template <typename T, typename S>
void multiplyDots(const DotProblemOf<T, S>& problem) {
  const int64_t costOfOne = problem.few * vectorsOf<T>(problem.k) + 1;
  const int64_t worthwhile = costWorthSplitting(static_cast<double>(problem.many * costOfOne));
  const int64_t grain = ceilDivide(worthwhile / 2, costOfOne);
  parallelFor(problem.many, grain, 8,
              [&](int64_t begin, int64_t end) { dotRange(problem, begin, end); });
}

/// Whether the product is one for gemm_stream.h.
template <typename T, typename S>
bool streams(const GemmProblem<T, S>& p) {
  const int64_t cStep = p.transposed ? p.ldc : 1;
  return p.rowCount <= 2 && p.columns.across == 1 && (cStep == 1 || p.columnCount == 1);
}

template <typename T, typename S>
void multiplyStream(const GemmProblem<T, S>& p) {
  const int64_t cStride = p.transposed ? 1 : p.ldc;
  const StreamProblem<T, S> stream = {
      p.rowCount,     p.columnCount,   p.k, p.rows.data, p.rows.across, p.rows.along,
      p.columns.data, p.columns.along, p.c, cStride};
  const int64_t worthwhile =
      costWorthSplitting(static_cast<double>(vectorsOf<T>(p.columnCount) * (p.k + 1)));
  const int64_t grain = ceilDivide(worthwhile / 2, p.k + 1) * GemmVecOf<T>::width;
  parallelFor(p.columnCount, grain, GemmVecOf<T>::width, [&](int64_t begin, int64_t end) {
    for (int64_t i = 0; i < p.rowCount; ++i) {
      for (int64_t j = begin; j < end; ++j) {
        const T bias = p.bias ? p.bias[p.transposed ? i : j] : T(0);
        T* to = p.c + i * cStride + j;
        *to = p.accumulate ? *to + bias : bias;
      }
    }
    streamRange(stream, begin, end);
    if (!p.residual && !p.relu) return;
    const int64_t across = p.transposed ? 1 : p.ldr, along = p.transposed ? p.ldr : 1;
    for (int64_t i = 0; i < p.rowCount; ++i) {
      for (int64_t j = begin; j < end; ++j) {
        T* to = p.c + i * cStride + j;
        const T sum = p.residual ? *to + p.residual[i * across + j * along] : *to;
        *to = p.relu && T(0) > sum ? T(0) : sum;
      }
    }
  });
}

template <typename T, typename S>
DotProblemOf<T, S> makeDots(const GemmProblem<T, S>& p, int64_t biasStride) {
  const int64_t a = p.rows.across, b = p.columns.across;
  if (p.rowCount <= p.columnCount) {
    return {p.rowCount, p.columnCount, p.k,        p.rows.data, a,      p.columns.data,
            b,          p.c,           p.ldc,      1,           p.bias, 0,
            biasStride, p.accumulate,  p.residual, p.ldr,       1,      p.relu};
  }
  return {p.columnCount, p.rowCount, p.k,   p.columns.data, b,          p.rows.data, a,
          p.c,           1,          p.ldc, p.bias,         biasStride, 0,           p.accumulate,
          p.residual,    1,          p.ldr, p.relu};
}

}  // namespace
}  // namespace KINDLING_ISA
}  // namespace kindling
