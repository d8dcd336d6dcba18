#pragma once
// Trigonometric functions of VecF and their inverses, with IEEE results at the special values. The
// bounds on their errors are in test/native/cpu/vec_math_test.cc.
// Polynomials: our own, see scripts/polynomials.py.

#include "cpu/vec_math.h"

namespace kindling {
namespace KINDLING_ISA {

constexpr float kHalfPiHigh = 1.57079637f, kHalfPiLow = -4.37113883e-8f;
constexpr float kPiHigh = 3.14159274f, kPiLow = -8.74227766e-8f;

/// Beyond this magnitude, and for NaN, the trigonometric functions take the C library's: reducing a
/// larger number needs more digits of pi than are worth carrying in every lane.
constexpr float kTrigLimit = 65536.0f;

/// x = quadrant * pi / 2 + r + low, |r| <= pi / 4 and a little; |x| <= kTrigLimit.
struct QuarterTurns {
  VecF r, low;
  VecI quadrant;  // modulo 4 in the lowest bits
};

#if KINDLING_ISA_LEVEL == 0

// Without a fused multiply-add it is cheaper to reduce in double: 30 digits of pi / 2, whose
// product with n is exact, and the next 53.
KINDLING_INLINE QuarterTurns quarterTurns(VecF x) {
  constexpr double kRounderOfDouble = 6755399441055744.0;  // 1.5 * 2^52
  const double wide = static_cast<double>(x.v);
  const double shifted = wide * 0.63661977236758134 + kRounderOfDouble;
  const double n = shifted - kRounderOfDouble;
  const double r = (wide - n * 1.570796325802803) - n * 9.9209357968054043e-10;
  const float high = static_cast<float>(r);
  const float low = static_cast<float>(r - static_cast<double>(high));
  uint64_t bits;
  memcpy(&bits, &shifted, sizeof(bits));
  return {{high}, {low}, VecI::wrap(static_cast<uint32_t>(bits))};
}

#else

// pi / 2 in three floats. x - n * (the first) is exact: a multiple of 2^-24 below 1. What the next
// difference is rounded by is known exactly where it is the smaller operand that is subtracted; n
// times the second float is below 2^-8. Nearer to 0 it is left out.
KINDLING_INLINE QuarterTurns quarterTurns(VecF x) {
  const VecF rounder = VecF::set1(kRounder), second = VecF::set1(7.549789416e-8f);
  const VecF shifted = fma(x, VecF::set1(0.636619747f), rounder);
  const VecF n = shifted - rounder;
  const VecF first = fnma(n, VecF::set1(1.570796251f), x);
  const VecF r = fnma(n, second, first);
  const VecF rounding = fnma(n, second, first - r);
  const VecF known = select(abs(r) < VecF::set1(0.0078125f), VecF::zero(), rounding);
  const VecF low = fnma(n, VecF::set1(5.390302953e-15f), known);
  return {r, low, bitsOf(shifted)};
}

#endif

/// sin(r + low)
KINDLING_INLINE VecF sinOfReduced(const QuarterTurns& t) {
  const VecF z = t.r * t.r;
  VecF p = VecF::set1(-1.950788137e-04f);
  p = fma(p, z, VecF::set1(8.332106285e-03f));
  p = fma(p, z, VecF::set1(-1.666665375e-01f));
  return t.r + fma(p * z, t.r, t.low);
}

/// cos(r + low)
KINDLING_INLINE VecF cosOfReduced(const QuarterTurns& t) {
  const VecF one = VecF::set1(1.0f);
  const VecF z = t.r * t.r;
  const VecF half = VecF::set1(0.5f) * z;
  const VecF leading = one - half;
  VecF p = VecF::set1(2.443142512e-05f);
  p = fma(p, z, VecF::set1(-1.388730481e-03f));
  p = fma(p, z, VecF::set1(4.166664556e-02f));
  return leading + fma(p * z, z, fnma(t.r, t.low, (one - leading) - half));
}

/// sin of (quadrant + turns) * pi / 2 + r + low
KINDLING_INLINE VecF sinOfTurns(const QuarterTurns& t, int32_t turns) {
  const VecI quadrant = t.quadrant + VecI::set1(turns);
  const Mask even = (quadrant & VecI::set1(1)) == VecI::set1(0);
  const VecF magnitude = select(even, sinOfReduced(t), cosOfReduced(t));
  return fromBits(bitsOf(magnitude) ^ (quadrant & VecI::set1(2)).shiftLeft<30>());
}

KINDLING_INLINE VecF sin(VecF x) {
  const Mask inside = abs(x) <= VecF::set1(kTrigLimit);
  const VecF y = select(x == VecF::zero(), x, sinOfTurns(quarterTurns(x), 0));
  return byLibrary(!inside, x, y, [](float lane) { return ::sinf(lane); });
}

KINDLING_INLINE VecF cos(VecF x) {
  const Mask inside = abs(x) <= VecF::set1(kTrigLimit);
  const VecF y = sinOfTurns(quarterTurns(x), 1);
  return byLibrary(!inside, x, y, [](float lane) { return ::cosf(lane); });
}

KINDLING_INLINE VecF tan(VecF x) {
  const Mask inside = abs(x) <= VecF::set1(kTrigLimit);
  const VecF one = VecF::set1(1.0f);
  const QuarterTurns t = quarterTurns(x);
  const VecF z = t.r * t.r;
  VecF p = VecF::set1(4.463952500e-03f);
  p = fma(p, z, VecF::set1(-8.641509339e-05f));
  p = fma(p, z, VecF::set1(1.097300742e-02f));
  p = fma(p, z, VecF::set1(2.122996561e-02f));
  p = fma(p, z, VecF::set1(5.406987295e-02f));
  p = fma(p, z, VecF::set1(1.333257705e-01f));
  p = fma(p, z, VecF::set1(3.333335221e-01f));
  // tan(r + low) = high + rest; the derivative of tan at r is about 1 + r^2.
  const VecF tail = fma(p * z, t.r, fma(t.low, z, t.low));
  const VecF high = t.r + tail;
  const VecF rest = (t.r - high) + tail;
  // In odd quadrants -1 / (high + rest).
  const VecF inverse = (VecF::zero() - one) / high;
  const VecF cotangent = fma(inverse * inverse, rest, inverse);
  const Mask even = (t.quadrant & VecI::set1(1)) == VecI::set1(0);
  const VecF y = select(x == VecF::zero(), x, select(even, high, cotangent));
  return byLibrary(!inside, x, y, [](float lane) { return ::tanf(lane); });
}

/// asin(|x|) = s + tail for |x| <= 1/2, and pi / 2 - 2 (s + tail) above.
struct ArcSine {
  VecF s, tail;
  Mask small;
};

KINDLING_INLINE ArcSine arcSine(VecF magnitude) {
  const VecF half = VecF::set1(0.5f);
  const Mask small = magnitude <= half;
  const VecF z = select(small, magnitude * magnitude, fnma(half, magnitude, half));
  const VecF s = select(small, magnitude, sqrt(z));
  VecF p = VecF::set1(4.215830564e-02f);
  p = fma(p, z, VecF::set1(2.418477833e-02f));
  p = fma(p, z, VecF::set1(4.546914995e-02f));
  p = fma(p, z, VecF::set1(7.495309412e-02f));
  p = fma(p, z, VecF::set1(1.666675210e-01f));
  return {s, p * z * s, small};
}

KINDLING_INLINE VecF asin(VecF x) {
  const ArcSine a = arcSine(abs(x));
  const VecF two = VecF::set1(2.0f), halfPi = VecF::set1(kHalfPiHigh);
  const VecF high = fnma(two, a.s, halfPi);
  const VecF low = fnma(two, a.s, halfPi - high) + VecF::set1(kHalfPiLow);
  const VecF large = high + fnma(two, a.tail, low);
  return withSign(select(a.small, a.s + a.tail, large), x);
}

KINDLING_INLINE VecF acos(VecF x) {
  const ArcSine a = arcSine(abs(x));
  const VecF zero = VecF::zero();
  const Mask positive = zero < x;
  // base + s + tail, where 0 < x <= 1/2: pi / 2 - asin x; x > 1/2: 2 (s + tail); x < -1/2:
  // pi - 2 (s + tail).
  const VecF pi = VecF::set1(kPiHigh), piLow = VecF::set1(kPiLow);
  const VecF base = select(a.small, VecF::set1(kHalfPiHigh), select(positive, zero, pi));
  const VecF baseLow = select(a.small, VecF::set1(kHalfPiLow), select(positive, zero, piLow));
  const VecF unit = VecF::set1(1.0f), two = VecF::set1(2.0f);
  const VecF size = select(a.small, zero - unit, two);
  const VecF factor = select(positive, size, zero - size);
  const VecF s = factor * a.s;
  const VecF high = base + s;
  const VecF low = (base - high) + s;
  return high + fma(factor, a.tail, low + baseLow);
}

/// atan q - q for 0 <= q <= 1.
KINDLING_INLINE VecF arcTangentTail(VecF q) {
  const VecF z = q * q;
  VecF p = VecF::set1(-1.787547604e-03f);
  p = fma(p, z, VecF::set1(1.088736113e-02f));
  p = fma(p, z, VecF::set1(-3.112700209e-02f));
  p = fma(p, z, VecF::set1(5.790654570e-02f));
  p = fma(p, z, VecF::set1(-8.400475234e-02f));
  p = fma(p, z, VecF::set1(1.095117480e-01f));
  p = fma(p, z, VecF::set1(-1.426405162e-01f));
  p = fma(p, z, VecF::set1(1.999853104e-01f));
  p = fma(p, z, VecF::set1(-3.333329856e-01f));
  return p * z * q;
}

KINDLING_INLINE VecF atan(VecF x) {
  const VecF one = VecF::set1(1.0f), halfPi = VecF::set1(kHalfPiHigh);
  const VecF magnitude = abs(x);
  const Mask large = one < magnitude;
  const VecF q = select(large, one / magnitude, magnitude);
  const VecF tail = arcTangentTail(q);
  const VecF high = halfPi - q;
  const VecF low = ((halfPi - high) - q) + VecF::set1(kHalfPiLow);
  return withSign(select(large, high + (low - tail), q + tail), x);
}

/// The angle of the point (x, y), from -pi to pi.
KINDLING_INLINE VecF atan2(VecF y, VecF x) {
  const VecF zero = VecF::zero(), infinity = VecF::set1(INFINITY);
  const VecF width = abs(x), height = abs(y);
  const Mask steep = width < height, left = bitsOf(x) < VecI::set1(0);
  const VecF shorter = select(steep, width, height), longer = select(steep, height, width);
  // 0 / 0 counts as 0, infinity / infinity as 1.
  VecF q = select(longer == zero, shorter, shorter / longer);
  q = select((longer == infinity) & (shorter == infinity), VecF::set1(1.0f), q);
  const VecF tail = arcTangentTail(q);
  // 0 + atan q, pi / 2 - atan q, pi / 2 + atan q or pi - atan q, as the angle grows.
  const VecF halfPi = VecF::set1(kHalfPiHigh), halfPiLow = VecF::set1(kHalfPiLow);
  const VecF pi = VecF::set1(kPiHigh), piLow = VecF::set1(kPiLow);
  const VecF base = select(steep, halfPi, select(left, pi, zero));
  const VecF baseLow = select(steep, halfPiLow, select(left, piLow, zero));
  const Mask minus = (steep & !left) | (left & !steep);
  const VecF signedQ = select(minus, zero - q, q), signedTail = select(minus, zero - tail, tail);
  const VecF high = base + signedQ;
  const VecF low = ((base - high) + signedQ) + baseLow;
  return withSign(high + (low + signedTail), y);
}

}  // namespace KINDLING_ISA
}  // namespace kindling
