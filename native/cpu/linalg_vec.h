#pragma once
// A vector of doubles for the matrix kernels, in the manner of cpu/vec.h.

#include <cstdint>

#include "cpu/vec.h"
#if KINDLING_ISA_LEVEL == 3
#include "cpu/gemm_vec_double.h"
#endif

namespace kindling {
namespace KINDLING_ISA {

#if KINDLING_ISA_LEVEL == 2

struct Pack {
  static constexpr int width = 8;
  __m512d v;
  static KINDLING_INLINE Pack load(const double* p) { return {_mm512_loadu_pd(p)}; }
  static KINDLING_INLINE Pack loadPartial(const double* p, int n) {
    return {_mm512_maskz_loadu_pd(static_cast<__mmask8>((1u << n) - 1u), p)};
  }
  KINDLING_INLINE void store(double* p) const { _mm512_storeu_pd(p, v); }
  KINDLING_INLINE void storePartial(double* p, int n) const {
    _mm512_mask_storeu_pd(p, static_cast<__mmask8>((1u << n) - 1u), v);
  }
  static KINDLING_INLINE Pack set1(double x) { return {_mm512_set1_pd(x)}; }
  KINDLING_INLINE Pack operator+(Pack o) const { return {_mm512_add_pd(v, o.v)}; }
  KINDLING_INLINE Pack operator-(Pack o) const { return {_mm512_sub_pd(v, o.v)}; }
  KINDLING_INLINE Pack operator*(Pack o) const { return {_mm512_mul_pd(v, o.v)}; }
};
KINDLING_INLINE Pack fma(Pack a, Pack b, Pack c) { return {_mm512_fmadd_pd(a.v, b.v, c.v)}; }
KINDLING_INLINE Pack fnma(Pack a, Pack b, Pack c) { return {_mm512_fnmadd_pd(a.v, b.v, c.v)}; }
KINDLING_INLINE double reduceAdd(Pack a) { return _mm512_reduce_add_pd(a.v); }

#elif KINDLING_ISA_LEVEL == 1

struct Pack {
  static constexpr int width = 4;
  __m256d v;
  static KINDLING_INLINE __m256i first(int n) {
    return _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), _mm256_setr_epi64x(0, 1, 2, 3));
  }
  static KINDLING_INLINE Pack load(const double* p) { return {_mm256_loadu_pd(p)}; }
  static KINDLING_INLINE Pack loadPartial(const double* p, int n) {
    return {_mm256_maskload_pd(p, first(n))};
  }
  KINDLING_INLINE void store(double* p) const { _mm256_storeu_pd(p, v); }
  KINDLING_INLINE void storePartial(double* p, int n) const { _mm256_maskstore_pd(p, first(n), v); }
  static KINDLING_INLINE Pack set1(double x) { return {_mm256_set1_pd(x)}; }
  KINDLING_INLINE Pack operator+(Pack o) const { return {_mm256_add_pd(v, o.v)}; }
  KINDLING_INLINE Pack operator-(Pack o) const { return {_mm256_sub_pd(v, o.v)}; }
  KINDLING_INLINE Pack operator*(Pack o) const { return {_mm256_mul_pd(v, o.v)}; }
};
KINDLING_INLINE Pack fma(Pack a, Pack b, Pack c) { return {_mm256_fmadd_pd(a.v, b.v, c.v)}; }
KINDLING_INLINE Pack fnma(Pack a, Pack b, Pack c) { return {_mm256_fnmadd_pd(a.v, b.v, c.v)}; }
KINDLING_INLINE double reduceAdd(Pack a) {
  __m128d x = _mm_add_pd(_mm256_castpd256_pd128(a.v), _mm256_extractf128_pd(a.v, 1));
  return _mm_cvtsd_f64(_mm_add_sd(x, _mm_unpackhi_pd(x, x)));
}

#elif KINDLING_ISA_LEVEL == 3

using Pack = GemmVecD;

#else

struct Pack {
  static constexpr int width = 1;
  double v;
  static KINDLING_INLINE Pack load(const double* p) { return {*p}; }
  static KINDLING_INLINE Pack loadPartial(const double* p, int n) { return {n ? *p : 0.0}; }
  KINDLING_INLINE void store(double* p) const { *p = v; }
  KINDLING_INLINE void storePartial(double* p, int n) const {
    if (n) *p = v;
  }
  static KINDLING_INLINE Pack set1(double x) { return {x}; }
  KINDLING_INLINE Pack operator+(Pack o) const { return {v + o.v}; }
  KINDLING_INLINE Pack operator-(Pack o) const { return {v - o.v}; }
  KINDLING_INLINE Pack operator*(Pack o) const { return {v * o.v}; }
};
KINDLING_INLINE Pack fma(Pack a, Pack b, Pack c) { return {a.v * b.v + c.v}; }
KINDLING_INLINE Pack fnma(Pack a, Pack b, Pack c) { return {c.v - a.v * b.v}; }
KINDLING_INLINE double reduceAdd(Pack a) { return a.v; }

#endif

namespace {

KINDLING_INLINE double dot(const double* x, const double* y, int64_t n) {
  constexpr int64_t w = Pack::width;
  Pack a = Pack::set1(0), b = a;
  int64_t i = 0;
  for (; i + 2 * w <= n; i += 2 * w) {
    a = fma(Pack::load(x + i), Pack::load(y + i), a);
    b = fma(Pack::load(x + i + w), Pack::load(y + i + w), b);
  }
  for (; i < n; i += w) {
    const int lanes = static_cast<int>(n - i < w ? n - i : w);
    a = fma(Pack::loadPartial(x + i, lanes), Pack::loadPartial(y + i, lanes), a);
  }
  return reduceAdd(a + b);
}

/// y += factor x
KINDLING_INLINE void addScaled(double factor, const double* x, double* y, int64_t n) {
  const Pack f = Pack::set1(factor);
  int64_t i = 0;
  for (; i + Pack::width <= n; i += Pack::width) {
    fma(f, Pack::load(x + i), Pack::load(y + i)).store(y + i);
  }
  if (i < n) {
    const int lanes = static_cast<int>(n - i);
    fma(f, Pack::loadPartial(x + i, lanes), Pack::loadPartial(y + i, lanes))
        .storePartial(y + i, lanes);
  }
}

KINDLING_INLINE void scale(double factor, double* x, int64_t n) {
  for (int64_t i = 0; i < n; ++i) x[i] *= factor;
}

KINDLING_INLINE void swapRows(double* x, double* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    const double t = x[i];
    x[i] = y[i];
    y[i] = t;
  }
}

/// (x, y) := (c x + s y, c y - s x)
KINDLING_INLINE void rotate(double c, double s, double* x, double* y, int64_t n) {
  const Pack cc = Pack::set1(c), ss = Pack::set1(s);
  int64_t i = 0;
  for (; i < n; i += Pack::width) {
    const int lanes = static_cast<int>(n - i < Pack::width ? n - i : Pack::width);
    const Pack a = lanes == Pack::width ? Pack::load(x + i) : Pack::loadPartial(x + i, lanes);
    const Pack b = lanes == Pack::width ? Pack::load(y + i) : Pack::loadPartial(y + i, lanes);
    const Pack p = fma(cc, a, ss * b), q = fnma(ss, a, cc * b);
    if (lanes == Pack::width) {
      p.store(x + i);
      q.store(y + i);
    } else {
      p.storePartial(x + i, lanes);
      q.storePartial(y + i, lanes);
    }
  }
}

}  // namespace
}  // namespace KINDLING_ISA
}  // namespace kindling
