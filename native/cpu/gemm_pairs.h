#pragma once
// Products of bfloat16 by AVX512-BF16, whose vdpbf16ps adds two products to each sum: a step is a
// pair of neighbours along k, packed as 32 bits and moved as a float. Numbers below the smallest
// normal one count as zero there.

#include <cstdint>
#include <type_traits>

#include "core/cpu_features.h"
#include "cpu/gemm_microkernel.h"
#include "cpu/gemm_pack.h"

namespace kindling {
namespace KINDLING_ISA {

/// Whether there are pairs of S at this level.
template <typename S>
constexpr bool kHasPairs = KINDLING_ISA_LEVEL == 2 && std::is_same<S, Brain>::value;

#if KINDLING_ISA_LEVEL == 2

/// Whether products of S are summed by pairs: the CPU decides, too.
template <typename S>
KINDLING_INLINE bool multipliesPairs() {
  return kHasPairs<S> && hasBrainDots();
}

/// The step of a tile kernel. In assembly, because these objects are compiled for every CPU with
/// AVX-512.
struct DotPairs {
  static KINDLING_INLINE VecF add(VecF a, VecF b, VecF sum) {
#if defined(KINDLING_EMULATE_AVX512)
    __m512bh x, y;
    __builtin_memcpy(&x, &a, sizeof x);
    __builtin_memcpy(&y, &b, sizeof y);
    return {_mm512_dpbf16_ps(sum.v, x, y)};
#else
    __asm__("vdpbf16ps %2, %1, %0" : "+v"(sum.v) : "v"(b.v), "v"(a.v));
    return sum;
#endif
  }
};

/// The pair of k = 0 and, where there is one, of k = 1.
KINDLING_INLINE float pairOf(const Brain* from, int64_t along, bool whole) {
  return floatOfBits(from[0].bits | (whole ? static_cast<uint32_t>(from[along].bits) << 16 : 0));
}

/// As packLanes: to[p * toStep + i] = the pair p of lane i, of `k` values along k.
inline void packPairLanes(float* to, int64_t toStep, const Brain* from, int64_t across,
                          int64_t along, int count, int stored, int64_t k) {
  constexpr int kWidth = VecF::width;
  int64_t p = 0;
  if (along == 1) {
    // Pairs lie in memory as they are wanted.
    for (; 2 * (p + kWidth) <= k; p += kWidth) {
      VecF block[kWidth];
      for (int i = 0; i < kWidth; ++i) {
        block[i] = VecF::zero();
        if (i < count) __builtin_memcpy(&block[i], from + i * across + 2 * p, sizeof(VecF));
      }
      transposeSquare(block);
      for (int j = 0; j < kWidth; ++j) storeFirst(block[j], to + (p + j) * toStep, stored);
    }
  } else if (across == 1 && count == kWidth) {
    for (; 2 * (p + 1) <= k; ++p) {
      const Brain* const row = from + 2 * p * along;
      const auto wide = [](const Brain* x) {
        __m256i bits;
        __builtin_memcpy(&bits, x, sizeof bits);
        return _mm512_cvtepu16_epi32(bits);
      };
      const __m512i pairs = _mm512_or_si512(wide(row), _mm512_slli_epi32(wide(row + along), 16));
      __builtin_memcpy(to + p * toStep, &pairs, sizeof pairs);
    }
  }
  for (; 2 * p < k; ++p) {
    for (int i = 0; i < count; ++i) {
      to[p * toStep + i] = pairOf(from + i * across + 2 * p * along, along, 2 * p + 1 < k);
    }
    for (int i = count; i < stored; ++i) to[p * toStep + i] = 0;
  }
}

/// Packs `lanes` rows or columns, of which those from `count` on are zeros.
inline void packPairs(float* to, int64_t toStep, const Brain* from, int64_t across, int64_t along,
                      int64_t count, int64_t lanes, int64_t k) {
  constexpr int64_t kWidth = VecF::width;
  for (int64_t i = 0; i < lanes; i += kWidth) {
    const int64_t left = count - i < kWidth ? count - i : kWidth;
    const int64_t stored = lanes - i < kWidth ? lanes - i : kWidth;
    packPairLanes(to + i, toStep, from + i * across, across, along, static_cast<int>(left),
                  static_cast<int>(stored), k);
  }
}

#else

struct DotPairs;

template <typename S>
constexpr bool multipliesPairs() {
  return false;
}

#endif

}  // namespace KINDLING_ISA
}  // namespace kindling
