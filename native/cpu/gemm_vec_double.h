#pragma once
// The vector of doubles of the matrix product, with the interface that gemm_vec.h gives VecF. The
// scalar level's is in gemm_vec.h, NEON's in gemm_vec_neon.h.

#include <cstdint>

#include "cpu/vec.h"
#if KINDLING_ISA_LEVEL == 3
#include "cpu/gemm_vec_neon.h"
#endif

namespace kindling {
namespace KINDLING_ISA {

#if KINDLING_ISA_LEVEL == 1

struct GemmVecD {
  using Scalar = double;
  static constexpr int width = 4;
  __m256d v;
  static KINDLING_INLINE GemmVecD load(const double* p) { return {_mm256_loadu_pd(p)}; }
  static KINDLING_INLINE __m256i lanesBelow(int n) {
    return _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), _mm256_setr_epi64x(0, 1, 2, 3));
  }
  static KINDLING_INLINE GemmVecD loadPartial(const double* p, int n) {
    return {_mm256_maskload_pd(p, lanesBelow(n))};
  }
  KINDLING_INLINE void store(double* p) const { _mm256_storeu_pd(p, v); }
  static KINDLING_INLINE GemmVecD set1(double x) { return {_mm256_set1_pd(x)}; }
  static KINDLING_INLINE GemmVecD zero() { return {_mm256_setzero_pd()}; }
  KINDLING_INLINE GemmVecD operator+(GemmVecD o) const { return {_mm256_add_pd(v, o.v)}; }
};

KINDLING_INLINE GemmVecD fma(GemmVecD a, GemmVecD b, GemmVecD c) {
  return {_mm256_fmadd_pd(a.v, b.v, c.v)};
}

/// NaN stays: the instruction gives its second operand where that is NaN.
KINDLING_INLINE GemmVecD relu(GemmVecD x) { return {_mm256_max_pd(_mm256_setzero_pd(), x.v)}; }

/// Stores the first n lanes, 1 <= n <= width; a masked store takes tens of cycles on some CPUs.
KINDLING_INLINE void storeFirst(GemmVecD x, double* p, int n) {
  if (n == 4) return x.store(p);
  __m128d rest = _mm256_castpd256_pd128(x.v);
  if (n & 2) {
    _mm_storeu_pd(p, rest);
    rest = _mm256_extractf128_pd(x.v, 1);
    p += 2;
  }
  if (n & 1) _mm_store_sd(p, rest);
}

KINDLING_INLINE __m256d sumsOfFour(__m256d a, __m256d b, __m256d c, __m256d d) {
  const __m256d low = _mm256_hadd_pd(a, b), high = _mm256_hadd_pd(c, d);
  return _mm256_add_pd(_mm256_permute2f128_pd(low, high, 0x20),
                       _mm256_permute2f128_pd(low, high, 0x31));
}

KINDLING_INLINE void reduceAdd4(const GemmVecD* x, double* sums) {
  _mm256_storeu_pd(sums, sumsOfFour(x[0].v, x[1].v, x[2].v, x[3].v));
}

KINDLING_INLINE double reduceAdd(GemmVecD a) {
  const __m128d x = _mm_add_pd(_mm256_castpd256_pd128(a.v), _mm256_extractf128_pd(a.v, 1));
  return _mm_cvtsd_f64(_mm_add_sd(x, _mm_unpackhi_pd(x, x)));
}

KINDLING_INLINE void transposeSquare(GemmVecD* x) {
  const __m256d a = _mm256_unpacklo_pd(x[0].v, x[1].v), b = _mm256_unpackhi_pd(x[0].v, x[1].v);
  const __m256d c = _mm256_unpacklo_pd(x[2].v, x[3].v), d = _mm256_unpackhi_pd(x[2].v, x[3].v);
  x[0].v = _mm256_permute2f128_pd(a, c, 0x20);
  x[1].v = _mm256_permute2f128_pd(b, d, 0x20);
  x[2].v = _mm256_permute2f128_pd(a, c, 0x31);
  x[3].v = _mm256_permute2f128_pd(b, d, 0x31);
}

#elif KINDLING_ISA_LEVEL == 2

struct GemmVecD {
  using Scalar = double;
  static constexpr int width = 8;
  __m512d v;
  static KINDLING_INLINE __mmask8 lanesBelow(int n) {
    return static_cast<__mmask8>((1u << n) - 1u);
  }
  static KINDLING_INLINE GemmVecD load(const double* p) { return {_mm512_loadu_pd(p)}; }
  static KINDLING_INLINE GemmVecD loadPartial(const double* p, int n) {
    return {_mm512_maskz_loadu_pd(lanesBelow(n), p)};
  }
  KINDLING_INLINE void store(double* p) const { _mm512_storeu_pd(p, v); }
  static KINDLING_INLINE GemmVecD set1(double x) { return {_mm512_set1_pd(x)}; }
  static KINDLING_INLINE GemmVecD zero() { return {_mm512_setzero_pd()}; }
  KINDLING_INLINE GemmVecD operator+(GemmVecD o) const { return {_mm512_add_pd(v, o.v)}; }
};

KINDLING_INLINE GemmVecD fma(GemmVecD a, GemmVecD b, GemmVecD c) {
  return {_mm512_fmadd_pd(a.v, b.v, c.v)};
}

/// NaN stays: the instruction gives its second operand where that is NaN.
KINDLING_INLINE GemmVecD relu(GemmVecD x) { return {_mm512_max_pd(_mm512_setzero_pd(), x.v)}; }

KINDLING_INLINE void storeFirst(GemmVecD x, double* p, int n) {
  _mm512_mask_storeu_pd(p, GemmVecD::lanesBelow(n), x.v);
}

KINDLING_INLINE double reduceAdd(GemmVecD a) {
  const __m256d half = _mm256_add_pd(_mm512_castpd512_pd256(a.v), _mm512_extractf64x4_pd(a.v, 1));
  const __m128d x = _mm_add_pd(_mm256_castpd256_pd128(half), _mm256_extractf128_pd(half, 1));
  return _mm_cvtsd_f64(_mm_add_sd(x, _mm_unpackhi_pd(x, x)));
}

KINDLING_INLINE void reduceAdd4(const GemmVecD* x, double* sums) {
  for (int i = 0; i < 4; ++i) sums[i] = reduceAdd(x[i]);
}

KINDLING_INLINE void transposeSquare(GemmVecD* x) {
  __m512d t[8];
  for (int i = 0; i < 8; i += 2) {
    t[i] = _mm512_unpacklo_pd(x[i].v, x[i + 1].v);
    t[i + 1] = _mm512_unpackhi_pd(x[i].v, x[i + 1].v);
  }
  // t[2i + s] holds column s, 2 + s, 4 + s, 6 + s of rows 2i and 2i + 1, a pair for each.
  for (int s = 0; s < 2; ++s) {
    const __m512d a = _mm512_shuffle_f64x2(t[s], t[2 + s], 0x88);
    const __m512d b = _mm512_shuffle_f64x2(t[s], t[2 + s], 0xdd);
    const __m512d c = _mm512_shuffle_f64x2(t[4 + s], t[6 + s], 0x88);
    const __m512d d = _mm512_shuffle_f64x2(t[4 + s], t[6 + s], 0xdd);
    x[s].v = _mm512_shuffle_f64x2(a, c, 0x88);
    x[2 + s].v = _mm512_shuffle_f64x2(b, d, 0x88);
    x[4 + s].v = _mm512_shuffle_f64x2(a, c, 0xdd);
    x[6 + s].v = _mm512_shuffle_f64x2(b, d, 0xdd);
  }
}

#endif

#if KINDLING_ISA_LEVEL > 0

/// Transposes a square from memory to memory: to[j * toStep + i] = from[i * across + j].
KINDLING_INLINE void transposeSquareOf(double* to, int64_t toStep, const double* from,
                                       int64_t across) {
  constexpr int kWidth = GemmVecD::width;
  GemmVecD block[kWidth];
#pragma GCC unroll 8
  for (int i = 0; i < kWidth; ++i) block[i] = GemmVecD::load(from + i * across);
  transposeSquare(block);
#pragma GCC unroll 8
  for (int j = 0; j < kWidth; ++j) block[j].store(to + j * toStep);
}

#endif

}  // namespace KINDLING_ISA
}  // namespace kindling
