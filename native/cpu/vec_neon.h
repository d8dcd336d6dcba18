#pragma once
// The vectors of vec.h at the level `neon`: 16 bytes, which every ARMv8 CPU has. Included by vec.h.

#include <arm_neon.h>

#include <cstdint>

namespace kindling {
namespace KINDLING_ISA {

struct Mask {
  uint32x4_t m;
  KINDLING_INLINE Mask operator&(Mask o) const { return {vandq_u32(m, o.m)}; }
  KINDLING_INLINE Mask operator|(Mask o) const { return {vorrq_u32(m, o.m)}; }
  KINDLING_INLINE Mask operator!() const { return {vmvnq_u32(m)}; }
  /// One bit per lane.
  KINDLING_INLINE uint32_t bits() const {
    const uint32x4_t weights = {1, 2, 4, 8};
    return vaddvq_u32(vandq_u32(m, weights));
  }
};

struct VecI {
  using Scalar = int32_t;
  static constexpr int width = 4;
  int32x4_t v;
  static KINDLING_INLINE VecI load(const int32_t* p) { return {vld1q_s32(p)}; }
  static KINDLING_INLINE VecI loadPartial(const int32_t* p, int n) {
    if (n >= width) return load(p);
    int32x4_t r = vdupq_n_s32(0);
    if (n > 0) r = vld1q_lane_s32(p, r, 0);
    if (n > 1) r = vld1q_lane_s32(p + 1, r, 1);
    if (n > 2) r = vld1q_lane_s32(p + 2, r, 2);
    return {r};
  }
  KINDLING_INLINE void store(int32_t* p) const { vst1q_s32(p, v); }
  KINDLING_INLINE void storePartial(int32_t* p, int n) const {
    if (n >= width) return store(p);
    if (n > 0) vst1q_lane_s32(p, v, 0);
    if (n > 1) vst1q_lane_s32(p + 1, v, 1);
    if (n > 2) vst1q_lane_s32(p + 2, v, 2);
  }
  static KINDLING_INLINE VecI set1(int32_t x) { return {vdupq_n_s32(x)}; }
  KINDLING_INLINE VecI operator+(VecI o) const { return {vaddq_s32(v, o.v)}; }
  KINDLING_INLINE VecI operator-(VecI o) const { return {vsubq_s32(v, o.v)}; }
  KINDLING_INLINE VecI operator*(VecI o) const { return {vmulq_s32(v, o.v)}; }
  KINDLING_INLINE VecI operator&(VecI o) const { return {vandq_s32(v, o.v)}; }
  KINDLING_INLINE VecI operator|(VecI o) const { return {vorrq_s32(v, o.v)}; }
  KINDLING_INLINE VecI operator^(VecI o) const { return {veorq_s32(v, o.v)}; }
  template <int n>
  KINDLING_INLINE VecI shiftLeft() const {
    return {vshlq_n_s32(v, n)};
  }
  template <int n>
  KINDLING_INLINE VecI shiftRight() const {
    return {vshrq_n_s32(v, n)};
  }
  KINDLING_INLINE Mask operator==(VecI o) const { return {vceqq_s32(v, o.v)}; }
  KINDLING_INLINE Mask operator<(VecI o) const { return {vcltq_s32(v, o.v)}; }
};

struct VecF {
  using Scalar = float;
  static constexpr int width = 4;
  float32x4_t v;
  static KINDLING_INLINE VecF load(const float* p) { return {vld1q_f32(p)}; }
  static KINDLING_INLINE VecF loadPartial(const float* p, int n) {
    if (n >= width) return load(p);
    float32x4_t r = vdupq_n_f32(0);
    if (n > 0) r = vld1q_lane_f32(p, r, 0);
    if (n > 1) r = vld1q_lane_f32(p + 1, r, 1);
    if (n > 2) r = vld1q_lane_f32(p + 2, r, 2);
    return {r};
  }
  KINDLING_INLINE void store(float* p) const { vst1q_f32(p, v); }
  KINDLING_INLINE void storePartial(float* p, int n) const {
    if (n >= width) return store(p);
    if (n > 0) vst1q_lane_f32(p, v, 0);
    if (n > 1) vst1q_lane_f32(p + 1, v, 1);
    if (n > 2) vst1q_lane_f32(p + 2, v, 2);
  }
  static KINDLING_INLINE VecF set1(float x) { return {vdupq_n_f32(x)}; }
  static KINDLING_INLINE VecF zero() { return {vdupq_n_f32(0)}; }
  KINDLING_INLINE VecF operator+(VecF o) const { return {vaddq_f32(v, o.v)}; }
  KINDLING_INLINE VecF operator-(VecF o) const { return {vsubq_f32(v, o.v)}; }
  KINDLING_INLINE VecF operator*(VecF o) const { return {vmulq_f32(v, o.v)}; }
  KINDLING_INLINE VecF operator/(VecF o) const { return {vdivq_f32(v, o.v)}; }
  KINDLING_INLINE Mask operator==(VecF o) const { return {vceqq_f32(v, o.v)}; }
  KINDLING_INLINE Mask operator<(VecF o) const { return {vcltq_f32(v, o.v)}; }
  KINDLING_INLINE Mask operator<=(VecF o) const { return {vcleq_f32(v, o.v)}; }
  KINDLING_INLINE Mask isNaN() const { return !(*this == *this); }
};

KINDLING_INLINE VecF fma(VecF a, VecF b, VecF c) { return {vfmaq_f32(c.v, a.v, b.v)}; }
/// c - a * b
KINDLING_INLINE VecF fnma(VecF a, VecF b, VecF c) { return {vfmsq_f32(c.v, a.v, b.v)}; }
/// mask ? a : b
KINDLING_INLINE VecF select(Mask m, VecF a, VecF b) { return {vbslq_f32(m.m, a.v, b.v)}; }
KINDLING_INLINE VecI select(Mask m, VecI a, VecI b) { return {vbslq_s32(m.m, a.v, b.v)}; }
/// As x86's instructions, which other code counts on: the second operand where either is NaN.
KINDLING_INLINE VecF maxRaw(VecF a, VecF b) { return select(b < a, a, b); }
KINDLING_INLINE VecF minRaw(VecF a, VecF b) { return select(a < b, a, b); }
KINDLING_INLINE VecI max(VecI a, VecI b) { return {vmaxq_s32(a.v, b.v)}; }
KINDLING_INLINE VecI min(VecI a, VecI b) { return {vminq_s32(a.v, b.v)}; }
KINDLING_INLINE VecF sqrt(VecF a) { return {vsqrtq_f32(a.v)}; }
/// To the nearest integer, ties to even.
KINDLING_INLINE VecF roundEven(VecF a) { return {vrndnq_f32(a.v)}; }
KINDLING_INLINE VecF floor(VecF a) { return {vrndmq_f32(a.v)}; }
KINDLING_INLINE VecF ceil(VecF a) { return {vrndpq_f32(a.v)}; }
KINDLING_INLINE VecF trunc(VecF a) { return {vrndq_f32(a.v)}; }
KINDLING_INLINE VecI bitsOf(VecF a) { return {vreinterpretq_s32_f32(a.v)}; }
KINDLING_INLINE VecF fromBits(VecI a) { return {vreinterpretq_f32_s32(a.v)}; }
/// Out of range and NaN give INT32_MIN, as on x86.
KINDLING_INLINE VecI toInt(VecF a) {
  const VecF bound = VecF::set1(2147483648.0f);
  const Mask inside = (VecF::zero() - bound <= a) & (a < bound);
  return select(inside, {vcvtq_s32_f32(a.v)}, VecI::set1(INT32_MIN));
}
KINDLING_INLINE VecF toFloat(VecI a) { return {vcvtq_f32_s32(a.v)}; }
KINDLING_INLINE float reduceAdd(VecF a) { return vaddvq_f32(a.v); }
KINDLING_INLINE float reduceMaxRaw(VecF a) {
  VecF x = maxRaw(a, {vextq_f32(a.v, a.v, 2)});
  x = maxRaw(x, {vextq_f32(x.v, x.v, 1)});
  return vgetq_lane_f32(x.v, 0);
}
KINDLING_INLINE float reduceMinRaw(VecF a) {
  VecF x = minRaw(a, {vextq_f32(a.v, a.v, 2)});
  x = minRaw(x, {vextq_f32(x.v, x.v, 1)});
  return vgetq_lane_f32(x.v, 0);
}

}  // namespace KINDLING_ISA
}  // namespace kindling
