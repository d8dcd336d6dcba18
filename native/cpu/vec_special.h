#pragma once
// The error function of VecF and its inverse, with IEEE results at the special values. The bounds
// on their errors are in test/native/cpu/vec_math_test.cc. Polynomials: our own, see
// scripts/polynomials.py.

#include "cpu/vec_math.h"

namespace kindling {
namespace KINDLING_ISA {

KINDLING_INLINE VecF erf(VecF x) {
  const VecF one = VecF::set1(1.0f);
  const VecF magnitude = abs(x);
  // Up to 1: erf x = x + x * p(x^2).
  const VecF z = x * x;
  VecF p = VecF::set1(7.806903159e-05f);
  p = fma(p, z, VecF::set1(-7.997853099e-04f));
  p = fma(p, z, VecF::set1(5.187162198e-03f));
  p = fma(p, z, VecF::set1(-2.685334720e-02f));
  p = fma(p, z, VecF::set1(1.128357872e-01f));
  p = fma(p, z, VecF::set1(-3.761262596e-01f));
  p = fma(p, z, VecF::set1(1.283791661e-01f));
  const VecF nearZero = fma(p, magnitude, magnitude);
  // Above: 1 - e^-q(x); from 3.95 on erf is 1 in float32. (NaN is taken by nearZero.)
  const VecF a = minRaw(VecF::set1(4.0f), magnitude);
  VecF q = VecF::set1(2.169800791e-05f);
  q = fma(q, a, VecF::set1(-4.414698051e-04f));
  q = fma(q, a, VecF::set1(4.205247853e-03f));
  q = fma(q, a, VecF::set1(-2.521021105e-02f));
  q = fma(q, a, VecF::set1(1.084218919e-01f));
  q = fma(q, a, VecF::set1(6.332165599e-01f));
  q = fma(q, a, VecF::set1(1.129580259e+00f));
  q = fma(q, a, VecF::set1(-1.884661178e-04f));
  const VecF away = one - exp(VecF::zero() - q);
  return withSign(select(one < magnitude, away, nearZero), x);
}

/// As Giles, "Approximating the erfinv function" (2010): a polynomial in w = -log(1 - x^2), far out
/// in the root of w.
KINDLING_INLINE VecF erfinv(VecF x) {
  const VecF one = VecF::set1(1.0f), zero = VecF::zero();
  const VecF magnitude = abs(x);
  const VecF toOne = one - magnitude;
  // 1 - x^2 = m * 2^e; where e is 0, m - 1 is -x^2 and need not suffer from the rounding of m.
  const VecF u = toOne * (one + magnitude);
  const VecI exponent = exponentOf(u);
  const VecF m = fromBits(bitsOf(u) - exponent.shiftLeft<23>());
  const VecF r = select(exponent == VecI::set1(0), zero - x * x, m - one);
  // As logOfParts, with the rounding of the last sum: -log(1 - x^2) = w + low.
  const VecF e = toFloat(exponent), ln2 = VecF::set1(0.693359375f);
  const VecF fraction = r + logTail(r, e * VecF::set1(-2.12194440e-4f));
  const VecF logarithm = fma(e, ln2, fraction);
  const VecF w = zero - logarithm;
  const VecF low = fnma(e, ln2, logarithm) - fraction;

  VecF p = VecF::set1(-8.806630980e-09f);
  p = fma(p, w, VecF::set1(2.214022174e-07f));
  p = fma(p, w, VecF::set1(-1.980189609e-06f));
  p = fma(p, w, VecF::set1(4.003704817e-06f));
  p = fma(p, w, VecF::set1(4.449839616e-05f));
  p = fma(p, w, VecF::set1(-1.273497473e-04f));
  p = fma(p, w, VecF::set1(-2.334448975e-03f));
  p = fma(p, w, VecF::set1(1.154874917e-02f));
  p = fma(p, w, VecF::set1(2.320137918e-01f));
  p = fma(p, w, fma(p, low, VecF::set1(-1.137730777e-01f)));  // p is nearly the slope
  const VecF central = fma(p, magnitude, magnitude);

  // The root's slope is between 0.22 and 0.13.
  const VecF b = fma(low, VecF::set1(0.17f), sqrt(w) - VecF::set1(3.0f));
  VecF q = VecF::set1(1.305321493e-04f);
  q = fma(q, b, VecF::set1(-3.196338075e-04f));
  q = fma(q, b, VecF::set1(-7.970508159e-05f));
  q = fma(q, b, VecF::set1(1.497391844e-03f));
  q = fma(q, b, VecF::set1(-3.584905528e-03f));
  q = fma(q, b, VecF::set1(5.682336167e-03f));
  q = fma(q, b, VecF::set1(-7.639957126e-03f));
  q = fma(q, b, VecF::set1(9.445846081e-03f));
  q = fma(q, b, VecF::set1(1.001675129e+00f));
  q = fma(q, b, VecF::set1(-1.670232117e-01f));
  // (3 + q) * |x|, rounded once.
  const VecF three = VecF::set1(3.0f);
  const VecF far = three + fnma(three + q, toOne, q);

  const VecF finite = select(w < VecF::set1(5.0f), central, far);
  const VecF edge = select(magnitude == one, VecF::set1(INFINITY), VecF::set1(NAN));
  return withSign(select(magnitude < one, finite, edge), x);
}

}  // namespace KINDLING_ISA
}  // namespace kindling
