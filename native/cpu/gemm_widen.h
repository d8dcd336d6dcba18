#pragma once
// Vectors of floats from memory that holds floats, or halves of either kind.

#include <cstdint>
#include <type_traits>

#include "cpu/convert.h"
#include "cpu/gemm_vec.h"

namespace kindling {
namespace KINDLING_ISA {

#if KINDLING_ISA_LEVEL == 1

KINDLING_INLINE GemmVec loadHalves(const Brain* p) {
  const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return {_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16))};
}
KINDLING_INLINE GemmVec loadHalves(const Half* p) {
  return {_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))};
}

#elif KINDLING_ISA_LEVEL == 2

KINDLING_INLINE GemmVec loadHalves(const Brain* p) {
  const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16))};
}
KINDLING_INLINE GemmVec loadHalves(const Half* p) {
  return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
}

#else

template <typename S>
KINDLING_INLINE GemmVec loadHalves(const S* p) {
  float lanes[GemmVec::width];
  for (int i = 0; i < GemmVec::width; ++i) lanes[i] = widen(p[i]);
  return GemmVec::load(lanes);
}

#endif

template <typename V, typename S>
KINDLING_INLINE V loadWide(const S* p) {
  if constexpr (std::is_same<S, typename V::Scalar>::value) {
    return V::load(p);
  } else {
    return loadHalves(p);
  }
}

/// The first n lanes; the others are zero.
template <typename V, typename S>
KINDLING_INLINE V loadWidePart(const S* p, int n) {
  if constexpr (std::is_same<S, typename V::Scalar>::value) {
    return V::loadPartial(p, n);
  } else {
    S lanes[V::width] = {};
    for (int i = 0; i < n; ++i) lanes[i] = p[i];
    return loadHalves(lanes);
  }
}

/// transposeSquareOf, widened.
template <typename T, typename S>
KINDLING_INLINE void transposeWide(T* to, int64_t toStep, const S* from, int64_t across) {
  if constexpr (std::is_same<S, T>::value) {
    transposeSquareOf(to, toStep, from, across);
  } else {
    constexpr int kWidth = GemmVec::width;
    GemmVec block[kWidth];
#pragma GCC unroll 16
    for (int i = 0; i < kWidth; ++i) block[i] = loadHalves(from + i * across);
    transposeSquare(block);
#pragma GCC unroll 16
    for (int j = 0; j < kWidth; ++j) block[j].store(to + j * toStep);
  }
}

}  // namespace KINDLING_ISA
}  // namespace kindling
