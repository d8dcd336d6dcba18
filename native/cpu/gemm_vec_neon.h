#pragma once
// What the matrix product needs of a vector beyond vec.h, at the level `neon`. Included by
// gemm_vec.h and gemm_vec_double.h.

#include <cstdint>

#include "cpu/vec.h"

namespace kindling {
namespace KINDLING_ISA {

KINDLING_INLINE void storeFirst(VecF x, float* p, int n) { x.storePartial(p, n); }

KINDLING_INLINE void reduceAdd4(const VecF* x, float* sums) {
  vst1q_f32(sums, vpaddq_f32(vpaddq_f32(x[0].v, x[1].v), vpaddq_f32(x[2].v, x[3].v)));
}

KINDLING_INLINE float32x4_t joined(float32x2_t low, float32x2_t high) {
  return vcombine_f32(low, high);
}

KINDLING_INLINE void transposeSquare(VecF* x) {
  const float32x4x2_t a = vtrnq_f32(x[0].v, x[1].v), b = vtrnq_f32(x[2].v, x[3].v);
  x[0].v = joined(vget_low_f32(a.val[0]), vget_low_f32(b.val[0]));
  x[1].v = joined(vget_low_f32(a.val[1]), vget_low_f32(b.val[1]));
  x[2].v = joined(vget_high_f32(a.val[0]), vget_high_f32(b.val[0]));
  x[3].v = joined(vget_high_f32(a.val[1]), vget_high_f32(b.val[1]));
}

/// Transposes a square from memory to memory: to[j * toStep + i] = from[i * across + j].
KINDLING_INLINE void transposeSquareOf(float* to, int64_t toStep, const float* from,
                                       int64_t across) {
  VecF block[4];
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) block[i] = VecF::load(from + i * across);
  transposeSquare(block);
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) block[j].store(to + j * toStep);
}

struct GemmVecD {
  using Scalar = double;
  static constexpr int width = 2;
  float64x2_t v;
  static KINDLING_INLINE GemmVecD load(const double* p) { return {vld1q_f64(p)}; }
  static KINDLING_INLINE GemmVecD loadPartial(const double* p, int n) {
    if (n >= width) return load(p);
    return {n > 0 ? vld1q_lane_f64(p, vdupq_n_f64(0), 0) : vdupq_n_f64(0)};
  }
  KINDLING_INLINE void store(double* p) const { vst1q_f64(p, v); }
  KINDLING_INLINE void storePartial(double* p, int n) const {
    if (n >= width) return store(p);
    if (n > 0) vst1q_lane_f64(p, v, 0);
  }
  static KINDLING_INLINE GemmVecD set1(double x) { return {vdupq_n_f64(x)}; }
  static KINDLING_INLINE GemmVecD zero() { return {vdupq_n_f64(0)}; }
  KINDLING_INLINE GemmVecD operator+(GemmVecD o) const { return {vaddq_f64(v, o.v)}; }
  KINDLING_INLINE GemmVecD operator-(GemmVecD o) const { return {vsubq_f64(v, o.v)}; }
  KINDLING_INLINE GemmVecD operator*(GemmVecD o) const { return {vmulq_f64(v, o.v)}; }
};

KINDLING_INLINE GemmVecD fma(GemmVecD a, GemmVecD b, GemmVecD c) {
  return {vfmaq_f64(c.v, a.v, b.v)};
}
KINDLING_INLINE GemmVecD fnma(GemmVecD a, GemmVecD b, GemmVecD c) {
  return {vfmsq_f64(c.v, a.v, b.v)};
}

/// NaN stays.
KINDLING_INLINE GemmVecD relu(GemmVecD x) {
  const float64x2_t zero = vdupq_n_f64(0);
  return {vbslq_f64(vcltq_f64(x.v, zero), zero, x.v)};
}

KINDLING_INLINE void storeFirst(GemmVecD x, double* p, int n) { x.storePartial(p, n); }

KINDLING_INLINE double reduceAdd(GemmVecD a) { return vaddvq_f64(a.v); }

KINDLING_INLINE void reduceAdd4(const GemmVecD* x, double* sums) {
  for (int i = 0; i < 4; ++i) sums[i] = reduceAdd(x[i]);
}

KINDLING_INLINE void transposeSquare(GemmVecD* x) {
  const float64x2_t first = vzip1q_f64(x[0].v, x[1].v);
  x[1].v = vzip2q_f64(x[0].v, x[1].v);
  x[0].v = first;
}

}  // namespace KINDLING_ISA
}  // namespace kindling
