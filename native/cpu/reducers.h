#pragma once
// What a reduction combines with, and the two vector loops over it.

#include <cmath>
#include <cstdint>
#include <type_traits>

#include "cpu/lanes.h"
#include "cpu/vec.h"

namespace kindling {
namespace KINDLING_ISA {
namespace {

/// The lanes of a vector, halves combined with halves.
template <typename R>
KINDLING_INLINE typename R::T combineLanes(typename R::V x) {
  typename R::T lanes[R::V::width];
  x.store(lanes);
  for (int half = R::V::width / 2; half > 0; half /= 2) {
    for (int lane = 0; lane < half; ++lane) {
      lanes[lane] = R::combine(lanes[lane], lanes[lane + half]);
    }
  }
  return lanes[0];
}

struct SumF {
  using T = float;
  using V = VecF;
  static KINDLING_INLINE T identity() { return 0.0f; }
  static KINDLING_INLINE T combine(T a, T b) { return a + b; }
  static KINDLING_INLINE V combine(V a, V b) { return a + b; }
  static KINDLING_INLINE T acrossLanes(V x) { return reduceAdd(x); }
};

/// NaN wins: a raw maximum gives its second operand where either is NaN.
struct MaxF {
  using T = float;
  using V = VecF;
  static KINDLING_INLINE T identity() { return -INFINITY; }
  static KINDLING_INLINE T combine(T a, T b) { return a != a || a > b ? a : b; }
  static KINDLING_INLINE V combine(V a, V b) { return select(a.isNaN(), a, maxRaw(a, b)); }
  static KINDLING_INLINE T acrossLanes(V x) { return x.isNaN().bits() ? NAN : reduceMaxRaw(x); }
  /// Where `candidate` is better than `best`, or the first NaN.
  static KINDLING_INLINE Mask replaces(V candidate, V best) {
    return (best < candidate) | (candidate.isNaN() & !best.isNaN());
  }
  static KINDLING_INLINE Mask isSame(V a, V b) { return (a == b) | (a.isNaN() & b.isNaN()); }
};

struct MinF {
  using T = float;
  using V = VecF;
  static KINDLING_INLINE T identity() { return INFINITY; }
  static KINDLING_INLINE T combine(T a, T b) { return a != a || a < b ? a : b; }
  static KINDLING_INLINE V combine(V a, V b) { return select(a.isNaN(), a, minRaw(a, b)); }
  static KINDLING_INLINE T acrossLanes(V x) { return x.isNaN().bits() ? NAN : reduceMinRaw(x); }
  static KINDLING_INLINE Mask replaces(V candidate, V best) {
    return (candidate < best) | (candidate.isNaN() & !best.isNaN());
  }
  static KINDLING_INLINE Mask isSame(V a, V b) { return (a == b) | (a.isNaN() & b.isNaN()); }
};

struct SumI {
  using T = int32_t;
  using V = VecI;
  static KINDLING_INLINE T identity() { return 0; }
  static KINDLING_INLINE T combine(T a, T b) {
    return static_cast<T>(static_cast<uint32_t>(a) + static_cast<uint32_t>(b));
  }
  static KINDLING_INLINE V combine(V a, V b) { return a + b; }
  static KINDLING_INLINE T acrossLanes(V x) { return combineLanes<SumI>(x); }
};

/// Not ProductOf<int32_t>, whose results were wrong with AVX2 under GCC 12.
struct ProductI {
  using T = int32_t;
  using V = VecI;
  static KINDLING_INLINE T identity() { return 1; }
  static KINDLING_INLINE T combine(T a, T b) {
    return static_cast<T>(static_cast<uint32_t>(a) * static_cast<uint32_t>(b));
  }
  static KINDLING_INLINE V combine(V a, V b) { return a * b; }
  static KINDLING_INLINE T acrossLanes(V x) { return combineLanes<ProductI>(x); }
};

struct MaxI {
  using T = int32_t;
  using V = VecI;
  static KINDLING_INLINE T identity() { return INT32_MIN; }
  static KINDLING_INLINE T combine(T a, T b) { return a > b ? a : b; }
  static KINDLING_INLINE V combine(V a, V b) { return max(a, b); }
  static KINDLING_INLINE T acrossLanes(V x) { return combineLanes<MaxI>(x); }
  static KINDLING_INLINE Mask replaces(V candidate, V best) { return best < candidate; }
  static KINDLING_INLINE Mask isSame(V a, V b) { return a == b; }
};

struct MinI {
  using T = int32_t;
  using V = VecI;
  static KINDLING_INLINE T identity() { return INT32_MAX; }
  static KINDLING_INLINE T combine(T a, T b) { return a < b ? a : b; }
  static KINDLING_INLINE V combine(V a, V b) { return min(a, b); }
  static KINDLING_INLINE T acrossLanes(V x) { return combineLanes<MinI>(x); }
  static KINDLING_INLINE Mask replaces(V candidate, V best) { return candidate < best; }
  static KINDLING_INLINE Mask isSame(V a, V b) { return a == b; }
};

/// The same for any number type, by width-1 vectors.
template <typename N>
struct SumOf {
  using T = N;
  using V = Lane<N>;
  static KINDLING_INLINE T identity() { return 0; }
  static KINDLING_INLINE T combine(T a, T b) { return (V{a} + V{b}).v; }
  static KINDLING_INLINE V combine(V a, V b) { return a + b; }
  static KINDLING_INLINE T acrossLanes(V x) { return x.v; }
};

template <typename N>
struct ProductOf {
  using T = N;
  using V = Lane<N>;
  static KINDLING_INLINE T identity() { return 1; }
  static KINDLING_INLINE T combine(T a, T b) { return (V{a} * V{b}).v; }
  static KINDLING_INLINE V combine(V a, V b) { return a * b; }
  static KINDLING_INLINE T acrossLanes(V x) { return x.v; }
};

/// The value that every other replaces.
template <typename N>
KINDLING_INLINE N lowest() {
  return std::is_floating_point<N>::value  ? static_cast<N>(-INFINITY)
         : std::is_same<N, int64_t>::value ? static_cast<N>(INT64_MIN)
                                           : N(0);
}
template <typename N>
KINDLING_INLINE N highest() {
  return std::is_floating_point<N>::value  ? static_cast<N>(INFINITY)
         : std::is_same<N, int64_t>::value ? static_cast<N>(INT64_MAX)
                                           : static_cast<N>(255);
}

template <typename N>
struct MaxOf {
  using T = N;
  using V = Lane<N>;
  static KINDLING_INLINE T identity() { return lowest<N>(); }
  static KINDLING_INLINE T combine(T a, T b) { return a != a || a > b ? a : b; }
  static KINDLING_INLINE V combine(V a, V b) { return {combine(a.v, b.v)}; }
  static KINDLING_INLINE T acrossLanes(V x) { return x.v; }
  static KINDLING_INLINE Flag replaces(V candidate, V best) {
    return (best < candidate) | (candidate.isNaN() & !best.isNaN());
  }
  static KINDLING_INLINE Flag isSame(V a, V b) { return (a == b) | (a.isNaN() & b.isNaN()); }
};

template <typename N>
struct MinOf {
  using T = N;
  using V = Lane<N>;
  static KINDLING_INLINE T identity() { return highest<N>(); }
  static KINDLING_INLINE T combine(T a, T b) { return a != a || a < b ? a : b; }
  static KINDLING_INLINE V combine(V a, V b) { return {combine(a.v, b.v)}; }
  static KINDLING_INLINE T acrossLanes(V x) { return x.v; }
  static KINDLING_INLINE Flag replaces(V candidate, V best) {
    return (candidate < best) | (candidate.isNaN() & !best.isNaN());
  }
  static KINDLING_INLINE Flag isSame(V a, V b) { return (a == b) | (a.isNaN() & b.isNaN()); }
};

/// Up to 64 elements are combined one after the other in each lane of four vectors.
constexpr int64_t kRowBlock = 256 * VecF::width;

/// What of a block stands behind its whole groups of four vectors, added to the sums of those.
template <typename R>
KINDLING_INLINE typename R::T finishBlock(const typename R::V (&sums)[4], const typename R::T* x,
                                          int64_t i, int64_t n) {
  using V = typename R::V;
  V a = R::combine(R::combine(sums[0], sums[1]), R::combine(sums[2], sums[3]));
  for (; i + V::width <= n; i += V::width) a = R::combine(a, V::load(x + i));
  if constexpr (V::width > 1) {
    if (i < n) {
      const int rest = static_cast<int>(n - i);
      const V identity = V::set1(R::identity());
      a = R::combine(a, select(lanesBelow(rest), V::loadPartial(x + i, rest), identity));
    }
  }
  return R::acrossLanes(a);
}

/// kStreams blocks of n elements each.
template <typename R, int kStreams>
KINDLING_INLINE void reduceBlocks(const typename R::T* const* x, int64_t n, typename R::T* out) {
  using V = typename R::V;
  constexpr int64_t step = 4 * V::width;
  V sums[kStreams][4];
#pragma GCC unroll 4
  for (int s = 0; s < kStreams; ++s) {
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) sums[s][k] = V::set1(R::identity());
  }
  int64_t i = 0;
  for (; i + step <= n; i += step) {
#pragma GCC unroll 4
    for (int s = 0; s < kStreams; ++s) {
#pragma GCC unroll 4
      for (int k = 0; k < 4; ++k) {
        sums[s][k] = R::combine(sums[s][k], V::load(x[s] + i + k * V::width));
      }
    }
  }
#pragma GCC unroll 4
  for (int s = 0; s < kStreams; ++s) out[s] = finishBlock<R>(sums[s], x[s], i, n);
}

/// kStreams contiguous rows; long ones by halves, so that a float sum's error stays small.
template <typename R, int kStreams>
void reduceRowsTogether(const typename R::T* const* x, int64_t n, typename R::T* out) {
  if (n <= kRowBlock) return reduceBlocks<R, kStreams>(x, n, out);
  const int64_t half = (n / 2 + kRowBlock - 1) / kRowBlock * kRowBlock;
  const typename R::T* rest[kStreams];
  typename R::T more[kStreams];
  for (int s = 0; s < kStreams; ++s) rest[s] = x[s] + half;
  reduceRowsTogether<R, kStreams>(x, half, out);
  reduceRowsTogether<R, kStreams>(rest, n - half, more);
  for (int s = 0; s < kStreams; ++s) out[s] = R::combine(out[s], more[s]);
}

template <typename R>
KINDLING_INLINE typename R::T reduceRow(const typename R::T* x, int64_t n) {
  typename R::T result;
  if (n <= kRowBlock) {
    reduceBlocks<R, 1>(&x, n, &result);
  } else {
    reduceRowsTogether<R, 1>(&x, n, &result);
  }
  return result;
}

/// target[j] = combine(target[j], x[j])
template <typename R>
KINDLING_INLINE void combineInto(typename R::T* target, const typename R::T* x, int64_t n) {
  using V = typename R::V;
  int64_t j = 0;
  for (; j + V::width <= n; j += V::width) {
    R::combine(V::load(target + j), V::load(x + j)).store(target + j);
  }
  if (j < n) {
    const int rest = static_cast<int>(n - j);
    R::combine(V::loadPartial(target + j, rest), V::loadPartial(x + j, rest))
        .storePartial(target + j, rest);
  }
}

}  // namespace
}  // namespace KINDLING_ISA
}  // namespace kindling
