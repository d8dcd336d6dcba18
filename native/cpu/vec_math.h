#pragma once
// Exponentials, logarithms, powers and hyperbolic functions of VecF, with IEEE results at the
// special values. The bounds on their errors are in test/native/cpu/vec_math_test.cc.
// Polynomials: Cephes (Moshier), single precision, where nothing else is said.

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

/// `y` with the lanes of `outside` replaced by f(x), lane by lane. For lanes that are rare.
template <class F>
KINDLING_INLINE VecF byLibrary(Mask outside, VecF x, VecF y, F f) {
  const uint32_t lanes = outside.bits();
  if (__builtin_expect(lanes == 0, 1)) return y;
  float xs[VecF::width], ys[VecF::width];
  x.store(xs);
  y.store(ys);
  for (int lane = 0; lane < VecF::width; ++lane) {
    if (lanes >> lane & 1) ys[lane] = f(xs[lane]);
  }
  return VecF::load(ys);
}

KINDLING_INLINE VecF round(VecF x) { return roundEven(x); }

KINDLING_INLINE VecF rsqrt(VecF x) { return VecF::set1(1.0f) / sqrt(x); }

/// e^x = p * 2^n with p between sqrt(1/2) and sqrt(2).
struct PowerOfE {
  VecF p;
  VecI n;
};

/// -126 < x < 126 or so; NaN passes.
KINDLING_INLINE PowerOfE powerOfE(VecF x) {
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
  return {p, bitsOf(shifted) - bitsOf(rounder)};
}

KINDLING_INLINE VecF exp(VecF x) {
  // Beyond these bounds the result is 0 or infinity; NaN passes (the raw forms keep operand two).
  x = minRaw(VecF::set1(90.0f), maxRaw(VecF::set1(-105.0f), x));
  const PowerOfE e = powerOfE(x);
  return scaleByPowerOfTwo(e.p, e.n);
}

/// e^x - 1
KINDLING_INLINE VecF expm1(VecF x) {
  const VecF one = VecF::set1(1.0f), rounder = VecF::set1(kRounder);
  // Beyond these bounds the result is -1 or infinity.
  const VecF bounded = minRaw(VecF::set1(90.0f), maxRaw(VecF::set1(-20.0f), x));
  const VecF shifted = fma(bounded, VecF::set1(1.44269504088896341f), rounder);
  const VecF n = shifted - rounder;
  // As in powerOfE, with what r was rounded by in `low`.
  const VecF first = fnma(n, VecF::set1(0.693359375f), bounded);
  const VecF second = VecF::set1(-2.12194440e-4f);
  const VecF r = fnma(n, second, first);
  const VecF low = fnma(n, second, first - r);
  VecF p = VecF::set1(1.9875691500e-4f);
  p = fma(p, r, VecF::set1(1.3981999507e-3f));
  p = fma(p, r, VecF::set1(8.3334519073e-3f));
  p = fma(p, r, VecF::set1(4.1665795894e-2f));
  p = fma(p, r, VecF::set1(1.6666665459e-1f));
  p = fma(p, r, VecF::set1(5.0000001201e-1f));
  const VecF tail = fma(p, r * r, low);
  // 2^n (1 + r + tail) - 1 = (2^n - 1) + 2^n r + 2^n tail; the first sum's rounding is kept too.
  // For n = 128 in two steps.
  const VecI power = bitsOf(shifted) - bitsOf(rounder);
  const VecI within = min(power, VecI::set1(127));
  const VecF scale = fromBits((within + VecI::set1(127)).shiftLeft<23>());
  const VecF large = scale - one, small = scale * r;
  const VecF sum = large + small;
  const VecF y = sum + fma(scale, tail, (large - sum) + small);
  const VecF last =
      toFloat(power - within + VecI::set1(1));  // 1; 2 for 2^128; more overflows anyway
  return withSign(y * last, x);
}

/// The e of x = m * 2^e with m in [sqrt(1/2), sqrt(2)), for positive, normal, finite x.
KINDLING_INLINE VecI exponentOf(VecF x) {
  return (bitsOf(x) - VecI::set1(0x3f3504f3)).shiftRight<23>();
}

/// log(1 + r) - r for 1 + r in [sqrt(1/2), sqrt(2)), added to `start`.
KINDLING_INLINE VecF logTail(VecF r, VecF start) {
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
  return fnma(VecF::set1(0.5f), z, fma(p * r, z, start));
}

/// log(2^e * (1 + r)) for 1 + r in [sqrt(1/2), sqrt(2)).
KINDLING_INLINE VecF logOfParts(VecF r, VecF e) {
  const VecF y = logTail(r, e * VecF::set1(-2.12194440e-4f));
  return fma(e, VecF::set1(0.693359375f), r + y);
}

/// x = m * 2^e with m in [sqrt(1/2), sqrt(2)), for positive, finite x.
struct BinaryParts {
  VecF m, e;
};

KINDLING_INLINE BinaryParts binaryParts(VecF x) {
  const VecF smallestNormal = VecF::set1(1.17549435e-38f);
  const Mask subnormal = x < smallestNormal;
  const VecF scaled = select(subnormal, x * VecF::set1(33554432.0f), x);
  const VecI exponent = exponentOf(scaled);
  const VecF m = fromBits(bitsOf(scaled) - exponent.shiftLeft<23>());
  return {m, toFloat(exponent) - select(subnormal, VecF::set1(25.0f), VecF::zero())};
}

/// `finite` is the logarithm where x is positive and finite. +infinity and NaN stay; zero gives
/// -infinity, a negative number NaN.
KINDLING_INLINE VecF withLogEdges(VecF x, VecF finite) {
  const VecF infinity = VecF::set1(INFINITY);
  const VecF zeroOrLess = select(x == VecF::zero(), VecF::zero() - infinity, VecF::set1(NAN));
  return select(x < infinity, select(VecF::zero() < x, finite, zeroOrLess), x);
}

KINDLING_INLINE VecF log(VecF x) {
  const BinaryParts parts = binaryParts(x);
  return withLogEdges(x, logOfParts(parts.m - VecF::set1(1.0f), parts.e));
}

KINDLING_INLINE VecF log2(VecF x) {
  const BinaryParts parts = binaryParts(x);
  const VecF r = parts.m - VecF::set1(1.0f);
  // log(1 + r) as high + low, times 1 / ln 2 in two parts.
  const VecF tail = logTail(r, VecF::zero());
  const VecF high = r + tail;
  const VecF low = (r - high) + tail;
  const VecF scale = VecF::set1(1.44269502f), scaleLow = VecF::set1(1.92596303e-8f);
  const VecF finite = fma(high, scale, fma(high, scaleLow, low * scale)) + parts.e;
  return withLogEdges(x, finite);
}

/// log(1 + x) for finite x > -1.
KINDLING_INLINE VecF log1pInside(VecF x) {
  const VecF one = VecF::set1(1.0f);
  const VecF u = one + x;
  const VecF lost = x - (u - one);
  const VecI exponent = exponentOf(u);
  const VecF m = fromBits(bitsOf(u) - exponent.shiftLeft<23>());
  // Above 2^126 nothing that counts was lost.
  const VecI inverse = VecI::set1(127) - min(exponent, VecI::set1(126));
  const VecF r = fma(lost, fromBits(inverse.shiftLeft<23>()), m - one);
  return logOfParts(r, toFloat(exponent));
}

/// log(1 + x)
KINDLING_INLINE VecF log1p(VecF x) {
  return withSign(withLogEdges(VecF::set1(1.0f) + x, log1pInside(x)), x);
}

/// log(1 + e^x)
KINDLING_INLINE VecF softplus(VecF x) {
  const VecF e = exp(fromBits(bitsOf(x) | VecI::set1(INT32_MIN)));
  return maxRaw(VecF::zero(), x) + log1pInside(e);
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
  const VecF sum = one + e;
  const VecF quotient = select(x < VecF::zero(), e, one) / sum;
  // The sum lost `low`, which takes quotient * low / sum away; a line is as good as 1 / sum there.
  const VecF low = e - (sum - one);
  return fma(quotient * low, fma(sum, VecF::set1(0.5f), VecF::set1(-1.457f)), quotient);
}

/// e^x / 2 for x >= 0, which overflows only where cosh does.
KINDLING_INLINE VecF halfExp(VecF x) {
  const PowerOfE e = powerOfE(minRaw(VecF::set1(91.0f), x));
  return scaleByPowerOfTwo(e.p, e.n - VecI::set1(1));
}

KINDLING_INLINE VecF sinh(VecF x) {
  const VecF magnitude = abs(x);
  const VecF z = x * x;
  VecF p = VecF::set1(2.782213187e-06f);  // scripts/polynomials.py
  p = fma(p, z, VecF::set1(1.984289556e-04f));
  p = fma(p, z, VecF::set1(8.333310485e-03f));
  p = fma(p, z, VecF::set1(1.666666716e-01f));
  const VecF nearZero = fma(p * z, magnitude, magnitude);
  const VecF half = halfExp(magnitude);
  const VecF away = half - VecF::set1(0.25f) / half;
  return withSign(select(magnitude < VecF::set1(1.0f), nearZero, away), x);
}

KINDLING_INLINE VecF cosh(VecF x) {
  const VecF half = halfExp(abs(x));
  return half + VecF::set1(0.25f) / half;
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
  // The coefficient of s^3 times s^2, then times s, each as a sum of two floats.
  const VecF zero = VecF::zero();
  const VecF zLow = fma(sHigh + sHigh, sLow, fma(sHigh, sHigh, zero - z));
  const VecF third = VecF::set1(0.961796701f);
  const VecF factor = third * z;
  VecF factorLow = fma(third, z, zero - factor);
  factorLow = fma(third, zLow, fma(z, fma(p, z, VecF::set1(-7.028461813e-9f)), factorLow));
  const VecF cube = factor * sHigh;
  VecF cubeLow = fma(factor, sHigh, zero - cube);
  cubeLow = fma(factor, sLow, fma(factorLow, sHigh, cubeLow));
  const VecF cHigh = VecF::set1(2.88539004f);
  const VecF cLow = VecF::set1(3.851926067e-08f);
  const VecF product = cHigh * sHigh;
  VecF low = fma(cHigh, sHigh, zero - product);
  low = fma(cHigh, sLow, fma(cLow, sHigh, low)) + cubeLow;
  const VecF first = e + product;
  low = low + (product - (first - e));
  const VecF second = first + cube;
  low = low + (cube - (second - first));
  const VecF high = second + low;
  low = low - (high - second);
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

/// pow where some x are not positive, normal and finite or some y are not finite; `power` is
/// powPositive(|x|, y). Subnormal, infinite and NaN operands go through the C library.
KINDLING_INLINE VecF powAnywhere(VecF x, VecF y, VecF power) {
  const VecF zero = VecF::zero(), one = VecF::set1(1.0f), infinity = VecF::set1(INFINITY);
  const VecF magnitude = abs(x);
  const Mask finite = abs(y) < infinity;
  const Mask xIsZero = x == zero;
  const Mask normal = (VecF::set1(1.17549435e-38f) <= magnitude) & (magnitude < infinity);
  const VecF powerOfZero = select(y == zero, one, select(y < zero, infinity, zero));
  VecF result = select(xIsZero, powerOfZero, power);
  const VecF half = VecF::set1(0.5f) * y;
  const Mask whole = roundEven(y) == y, odd = whole & !(roundEven(half) == half);
  result = select(odd, withSign(result, x), result);
  result = select((x < zero) & !whole, VecF::set1(NAN), result);
  const uint32_t rest = (!(finite & (normal | xIsZero))).bits();
  if (rest == 0) return result;
  float xs[VecF::width], ys[VecF::width], results[VecF::width];
  x.store(xs);
  y.store(ys);
  result.store(results);
  for (int lane = 0; lane < VecF::width; ++lane) {
    if (rest >> lane & 1) results[lane] = powf(xs[lane], ys[lane]);
  }
  return VecF::load(results);
}

KINDLING_INLINE VecF pow(VecF x, VecF y) {
  const VecF infinity = VecF::set1(INFINITY);
  const Mask inside = (VecF::set1(1.17549435e-38f) <= x) & (x < infinity) & (abs(y) < infinity);
  const VecF power = powPositive(abs(x), y);
  if (__builtin_expect((!inside).bits() == 0, 1)) return power;
  return powAnywhere(x, y, power);
}

#endif

}  // namespace KINDLING_ISA
}  // namespace kindling
