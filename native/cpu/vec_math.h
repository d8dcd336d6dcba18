#pragma once
// Transcendental functions of VecF, with IEEE results at the special values. The bounds on their
// errors are in test/native/cpu/vec_math_test.cc.
// Polynomials: Cephes (Moshier), single precision.

#include <cmath>

#include "cpu/vec.h"

namespace kindling {
namespace KINDLING_ISA {

KINDLING_INLINE VecF abs(VecF x) { return fromBits(bitsOf(x) & VecI::set1(0x7fffffff)); }

/// The magnitude of `x` (which must not be negative) with the sign of `sign`.
KINDLING_INLINE VecF withSign(VecF x, VecF sign) {
  return fromBits(bitsOf(x) | (bitsOf(sign) & VecI::set1(INT32_MIN)));
}

/// x * 2^n, rounded once even where the result is subnormal; -252 <= n <= 254.
KINDLING_INLINE VecF scaleByPowerOfTwo(VecF x, VecI n) {
  const VecI bias = VecI::set1(127);
  const VecI half = n.shiftRight<1>();
  const VecF first = fromBits((half + bias).shiftLeft<23>());
  const VecF second = fromBits((n - half + bias).shiftLeft<23>());
  return x * first * second;
}

// Added to a number of magnitude below 2^22, this leaves its nearest integer in the lowest bits.
constexpr float kRounder = 12582912.0f;  // 1.5 * 2^23

KINDLING_INLINE VecF exp(VecF x) {
  // Beyond these bounds the result is 0 or infinity; NaN passes (the raw forms keep operand two).
  x = minRaw(VecF::set1(90.0f), maxRaw(VecF::set1(-105.0f), x));
  const VecF rounder = VecF::set1(kRounder);
  const VecF shifted = fma(x, VecF::set1(1.44269504088896341f), rounder);
  const VecF n = shifted - rounder;
  // ln 2 in two parts; n times the first part is exact.
  VecF r = fnma(n, VecF::set1(0.693359375f), x);
  r = fnma(n, VecF::set1(-2.12194440e-4f), r);
  VecF p = VecF::set1(1.9875691500e-4f);
  p = fma(p, r, VecF::set1(1.3981999507e-3f));
  p = fma(p, r, VecF::set1(8.3334519073e-3f));
  p = fma(p, r, VecF::set1(4.1665795894e-2f));
  p = fma(p, r, VecF::set1(1.6666665459e-1f));
  p = fma(p, r, VecF::set1(5.0000001201e-1f));
  p = fma(p, r * r, r) + VecF::set1(1.0f);
  return scaleByPowerOfTwo(p, bitsOf(shifted) - bitsOf(rounder));
}

KINDLING_INLINE VecF log(VecF x) {
  const VecF smallestNormal = VecF::set1(1.17549435e-38f);
  const Mask subnormal = x < smallestNormal;
  const VecF scaled = select(subnormal, x * VecF::set1(33554432.0f), x);
  // scaled = m * 2^e with m in [sqrt(1/2), sqrt(2)).
  const VecI offset = bitsOf(scaled) - VecI::set1(0x3f3504f3);
  const VecI exponent = offset.shiftRight<23>();
  const VecF m = fromBits(bitsOf(scaled) - exponent.shiftLeft<23>());
  const VecF e = toFloat(exponent) - select(subnormal, VecF::set1(25.0f), VecF::zero());
  const VecF r = m - VecF::set1(1.0f);
  const VecF z = r * r;
  VecF p = VecF::set1(7.0376836292e-2f);
  p = fma(p, r, VecF::set1(-1.1514610310e-1f));
  p = fma(p, r, VecF::set1(1.1676998740e-1f));
  p = fma(p, r, VecF::set1(-1.2420140846e-1f));
  p = fma(p, r, VecF::set1(1.4249322787e-1f));
  p = fma(p, r, VecF::set1(-1.6668057665e-1f));
  p = fma(p, r, VecF::set1(2.0000714765e-1f));
  p = fma(p, r, VecF::set1(-2.4999993993e-1f));
  p = fma(p, r, VecF::set1(3.3333331174e-1f));
  VecF y = fma(e, VecF::set1(-2.12194440e-4f), p * r * z);
  y = fnma(VecF::set1(0.5f), z, y);
  const VecF finite = fma(e, VecF::set1(0.693359375f), r + y);
  // +infinity and NaN stay; zero gives -infinity, a negative number NaN.
  const VecF infinity = VecF::set1(INFINITY);
  const VecF zeroOrLess = select(x == VecF::zero(), VecF::zero() - infinity, VecF::set1(NAN));
  return select(x < infinity, select(VecF::zero() < x, finite, zeroOrLess), x);
}

KINDLING_INLINE VecF tanh(VecF x) {
  const VecF magnitude = abs(x);
  const VecF z = x * x;
  VecF p = VecF::set1(-5.70498872745e-3f);
  p = fma(p, z, VecF::set1(2.06390887954e-2f));
  p = fma(p, z, VecF::set1(-5.37397155531e-2f));
  p = fma(p, z, VecF::set1(1.33314422036e-1f));
  p = fma(p, z, VecF::set1(-3.33332819422e-1f));
  const VecF nearZero = fma(p * z, magnitude, magnitude);
  const VecF one = VecF::set1(1.0f);
  const VecF away = one - VecF::set1(2.0f) / (exp(magnitude + magnitude) + one);
  return withSign(select(magnitude < VecF::set1(0.625f), nearZero, away), x);
}

KINDLING_INLINE VecF sigmoid(VecF x) {
  // exp of a number that is never positive: no overflow, and small results keep their digits.
  const VecF e = exp(fromBits(bitsOf(x) | VecI::set1(INT32_MIN)));
  const VecF one = VecF::set1(1.0f);
  return select(x < VecF::zero(), e, one) / (one + e);
}

#if KINDLING_ISA_LEVEL == 0

KINDLING_INLINE VecF pow(VecF x, VecF y) { return {powf(x.v, y.v)}; }

#else

/// x^y for positive, normal, finite x and finite y: 2^(y log2 x), where log2 x is carried as the
/// sum of two floats, because y multiplies its error.
KINDLING_INLINE VecF powPositive(VecF x, VecF y) {
  const VecF one = VecF::set1(1.0f);
  const VecI exponent = (bitsOf(x) - VecI::set1(0x3f3504f3)).shiftRight<23>();
  const VecF m = fromBits(bitsOf(x) - exponent.shiftLeft<23>());
  const VecF e = toFloat(exponent);
  // s = (m - 1) / (m + 1) as sHigh + sLow; log2 m = 2 / ln 2 * (s + s^3 / 3 + s^5 / 5 + ...).
  const VecF difference = m - one;
  const VecF sum = m + one;
  const VecF sumLow = m - (sum - one);
  const VecF sHigh = difference / sum;
  const VecF sLow = fnma(sHigh, sumLow, fnma(sHigh, sum, difference)) / sum;
  const VecF z = sHigh * sHigh;
  VecF p = VecF::set1(0.262308190f);  // 2 / ln 2 / 11
  p = fma(p, z, VecF::set1(0.320598898f));
  p = fma(p, z, VecF::set1(0.412198583f));
  p = fma(p, z, VecF::set1(0.577078016f));
  p = fma(p, z, VecF::set1(0.961796694f));
  const VecF cHigh = VecF::set1(2.88539008f);
  const VecF cLow = VecF::set1(3.851925978e-08f);
  const VecF product = cHigh * sHigh;
  VecF low = fma(cHigh, sHigh, VecF::zero() - product);
  low = fma(cHigh, sLow, fma(cLow, sHigh, fma(p * z, sHigh, low)));
  const VecF first = e + product;
  low = low + (product - (first - e));
  const VecF high = first + low;
  low = low - (high - first);
  // t = y * (high + low) as tHigh + tLow.
  const VecF tHigh = y * high;
  const VecF bounded = minRaw(VecF::set1(140.0f), maxRaw(VecF::set1(-160.0f), tHigh));
  const VecF tLow =
      select(tHigh == bounded, fma(y, low, fma(y, high, VecF::zero() - tHigh)), VecF::zero());
  const VecF n = roundEven(bounded);
  const VecF r = (bounded - n) + tLow;
  VecF q = VecF::set1(1.535336188319500e-4f);
  q = fma(q, r, VecF::set1(1.339887440266574e-3f));
  q = fma(q, r, VecF::set1(9.618437357674640e-3f));
  q = fma(q, r, VecF::set1(5.550332471162809e-2f));
  q = fma(q, r, VecF::set1(2.402264791363012e-1f));
  q = fma(q, r, VecF::set1(6.931472028550421e-1f));
  return scaleByPowerOfTwo(fma(q, r, one), toInt(n));
}

/// Lanes outside powPositive's domain go through the C library.
KINDLING_INLINE VecF pow(VecF x, VecF y) {
  const VecF infinity = VecF::set1(INFINITY);
  const Mask inside = (VecF::set1(1.17549435e-38f) <= x) & (x < infinity) & (abs(y) < infinity);
  const uint32_t outside = (!inside).bits();
  const VecF result = powPositive(x, y);
  if (__builtin_expect(outside == 0, 1)) return result;
  float xs[VecF::width], ys[VecF::width], results[VecF::width];
  x.store(xs);
  y.store(ys);
  result.store(results);
  for (int lane = 0; lane < VecF::width; ++lane) {
    if (outside >> lane & 1) results[lane] = powf(xs[lane], ys[lane]);
  }
  return VecF::load(results);
}

#endif

}  // namespace KINDLING_ISA
}  // namespace kindling
