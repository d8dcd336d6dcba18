#pragma once
// Every other lane of two vectors, and the way back. At the levels that have vectors.

#include "cpu/vec.h"

#if KINDLING_ISA_LEVEL > 0

namespace kindling {
namespace KINDLING_ISA {

/// The first half and the second of what two vectors hold together.
struct Halves {
  VecF low, high;
};

#if KINDLING_ISA_LEVEL == 2

/// Lanes 0, 2, 4, … of `low` followed by `high`.
KINDLING_INLINE VecF evenLanes(VecF low, VecF high) {
  const __m512i lanes = _mm512_set_epi32(30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
  return {_mm512_permutex2var_ps(low.v, lanes, high.v)};
}
/// Lanes 1, 3, 5, …
KINDLING_INLINE VecF oddLanes(VecF low, VecF high) {
  const __m512i lanes = _mm512_set_epi32(31, 29, 27, 25, 23, 21, 19, 17, 15, 13, 11, 9, 7, 5, 3, 1);
  return {_mm512_permutex2var_ps(low.v, lanes, high.v)};
}
/// even[0], odd[0], even[1], odd[1], …
KINDLING_INLINE Halves interleaved(VecF even, VecF odd) {
  const __m512i low = _mm512_set_epi32(23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  const __m512i high =
      _mm512_set_epi32(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8);
  return {{_mm512_permutex2var_ps(even.v, low, odd.v)},
          {_mm512_permutex2var_ps(even.v, high, odd.v)}};
}

#elif KINDLING_ISA_LEVEL == 1

KINDLING_INLINE VecF inOrder(__m256 pairs) {
  return {_mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(pairs), 0xd8))};
}
KINDLING_INLINE VecF evenLanes(VecF low, VecF high) {
  return inOrder(_mm256_shuffle_ps(low.v, high.v, 0x88));
}
KINDLING_INLINE VecF oddLanes(VecF low, VecF high) {
  return inOrder(_mm256_shuffle_ps(low.v, high.v, 0xdd));
}
KINDLING_INLINE Halves interleaved(VecF even, VecF odd) {
  const __m256 low = _mm256_unpacklo_ps(even.v, odd.v), high = _mm256_unpackhi_ps(even.v, odd.v);
  return {{_mm256_permute2f128_ps(low, high, 0x20)}, {_mm256_permute2f128_ps(low, high, 0x31)}};
}

#else

KINDLING_INLINE VecF evenLanes(VecF low, VecF high) { return {vuzp1q_f32(low.v, high.v)}; }
KINDLING_INLINE VecF oddLanes(VecF low, VecF high) { return {vuzp2q_f32(low.v, high.v)}; }
KINDLING_INLINE Halves interleaved(VecF even, VecF odd) {
  return {{vzip1q_f32(even.v, odd.v)}, {vzip2q_f32(even.v, odd.v)}};
}

#endif

}  // namespace KINDLING_ISA
}  // namespace kindling

#endif
