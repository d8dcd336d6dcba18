#pragma once
// What a reduction combines with, and the two vector loops over it.

#include <cmath>
#include <cstdint>

#include "cpu/vec.h"

namespace kindling {
namespace KINDLING_ISA {
namespace {

struct SumF {
  using T = float;
  using V = VecF;
  static KINDLING_INLINE T identity() { return 0.0f; }
  static KINDLING_INLINE T combine(T a, T b) { return a + b; }
  static KINDLING_INLINE V combine(V a, V b) { return a + b; }
};

/// NaN wins: a raw maximum gives its second operand where either is NaN.
struct MaxF {
  using T = float;
  using V = VecF;
  static KINDLING_INLINE T identity() { return -INFINITY; }
  static KINDLING_INLINE T combine(T a, T b) { return a != a || a > b ? a : b; }
  static KINDLING_INLINE V combine(V a, V b) { return select(a.isNaN(), a, maxRaw(a, b)); }
};

struct MinF {
  using T = float;
  using V = VecF;
  static KINDLING_INLINE T identity() { return INFINITY; }
  static KINDLING_INLINE T combine(T a, T b) { return a != a || a < b ? a : b; }
  static KINDLING_INLINE V combine(V a, V b) { return select(a.isNaN(), a, minRaw(a, b)); }
};

struct SumI {
  using T = int32_t;
  using V = VecI;
  static KINDLING_INLINE T identity() { return 0; }
  static KINDLING_INLINE T combine(T a, T b) {
    return static_cast<T>(static_cast<uint32_t>(a) + static_cast<uint32_t>(b));
  }
  static KINDLING_INLINE V combine(V a, V b) { return a + b; }
};

struct MaxI {
  using T = int32_t;
  using V = VecI;
  static KINDLING_INLINE T identity() { return INT32_MIN; }
  static KINDLING_INLINE T combine(T a, T b) { return a > b ? a : b; }
  static KINDLING_INLINE V combine(V a, V b) { return max(a, b); }
};

struct MinI {
  using T = int32_t;
  using V = VecI;
  static KINDLING_INLINE T identity() { return INT32_MAX; }
  static KINDLING_INLINE T combine(T a, T b) { return a < b ? a : b; }
  static KINDLING_INLINE V combine(V a, V b) { return min(a, b); }
};

/// Up to so many elements are combined one after the other in each vector lane.
constexpr int64_t kRowBlock = 4096;

template <typename R>
typename R::T reduceBlock(const typename R::T* x, int64_t n) {
  using V = typename R::V;
  constexpr int64_t width = V::width;
  typename R::T result = R::identity();
  int64_t i = 0;
  if (n >= 4 * width) {
    V a = V::load(x), b = V::load(x + width), c = V::load(x + 2 * width),
      d = V::load(x + 3 * width);
    for (i = 4 * width; i + 4 * width <= n; i += 4 * width) {
      a = R::combine(a, V::load(x + i));
      b = R::combine(b, V::load(x + i + width));
      c = R::combine(c, V::load(x + i + 2 * width));
      d = R::combine(d, V::load(x + i + 3 * width));
    }
    typename R::T lanes[width];
    R::combine(R::combine(a, b), R::combine(c, d)).store(lanes);
    // Halves onto halves, as the vectors were combined.
    for (int64_t half = width / 2; half > 0; half /= 2) {
      for (int64_t lane = 0; lane < half; ++lane) {
        lanes[lane] = R::combine(lanes[lane], lanes[lane + half]);
      }
    }
    result = lanes[0];
  }
  for (; i < n; ++i) result = R::combine(result, x[i]);
  return result;
}

/// A contiguous row; long ones by halves, so that a float sum's error stays small.
template <typename R>
typename R::T reduceRow(const typename R::T* x, int64_t n) {
  if (n <= kRowBlock) return reduceBlock<R>(x, n);
  const int64_t half = (n / 2 + kRowBlock - 1) / kRowBlock * kRowBlock;
  return R::combine(reduceRow<R>(x, half), reduceRow<R>(x + half, n - half));
}

/// target[j] = combine(target[j], x[j])
template <typename R>
KINDLING_INLINE void combineInto(typename R::T* target, const typename R::T* x, int64_t n) {
  using V = typename R::V;
  int64_t j = 0;
  for (; j + V::width <= n; j += V::width) {
    R::combine(V::load(target + j), V::load(x + j)).store(target + j);
  }
  for (; j < n; ++j) target[j] = R::combine(target[j], x[j]);
}

}  // namespace
}  // namespace KINDLING_ISA
}  // namespace kindling
