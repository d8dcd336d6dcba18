#pragma once
// The position of the first best element: of contiguous rows, or down columns.

#include "cpu/reducers.h"

namespace kindling {
namespace KINDLING_ISA {
namespace {

/// The first position of `value`, which is known to be in the row; NaN finds NaN.
template <typename R>
KINDLING_INLINE int64_t firstOf(const typename R::T* x, int64_t n, typename R::T value) {
  using V = typename R::V;
  const V wanted = V::set1(value);
  int64_t i = 0;
  for (; i + V::width <= n; i += V::width) {
    const uint32_t found = R::isSame(V::load(x + i), wanted).bits();
    if (found) return i + __builtin_ctz(found);
  }
  const V tail = V::loadPartial(x + i, static_cast<int>(n - i));
  const uint32_t found = R::isSame(tail, wanted).bits();
  return found ? i + __builtin_ctz(found) : 0;
}

template <typename R>
KINDLING_INLINE int32_t argOfRow(const typename R::T* x, int64_t n) {
  const typename R::T best = reduceRow<R>(x, n);
  return static_cast<int32_t>(firstOf<R>(x, n, best));
}

/// The arguments of columns [begin, end) of a matrix of `n` rows whose distance is `stride`.
template <typename R>
void argOfColumns(const typename R::T* x, int64_t n, int64_t stride, int64_t begin, int64_t end,
                  int32_t* out) {
  using V = typename R::V;
  if constexpr (V::width == 1) {
    for (int64_t j = begin; j < end; ++j) {
      V best = V::load(x + j);
      out[j] = 0;
      for (int64_t row = 1; row < n; ++row) {
        const V candidate = V::load(x + row * stride + j);
        if (!R::replaces(candidate, best).bits()) continue;
        best = candidate;
        out[j] = static_cast<int32_t>(row);
      }
    }
    return;
  } else {
    for (int64_t j = begin; j < end; j += V::width) {
      const int lanes = static_cast<int>(end - j < V::width ? end - j : V::width);
      V best = V::loadPartial(x + j, lanes);
      VecI at = VecI::set1(0);
      for (int64_t row = 1; row < n; ++row) {
        const V candidate = V::loadPartial(x + row * stride + j, lanes);
        const Mask better = R::replaces(candidate, best);
        best = select(better, candidate, best);
        at = select(better, VecI::set1(static_cast<int32_t>(row)), at);
      }
      at.storePartial(out + j, lanes);
    }
  }
}

}  // namespace
}  // namespace KINDLING_ISA
}  // namespace kindling
