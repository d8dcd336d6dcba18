#pragma once
// Functions of VecF by the C library, lane by lane, until they have vector forms.

#include "cpu/vec_math.h"

namespace kindling {
namespace KINDLING_ISA {

#define KINDLING_LANEWISE(name, function)            \
  KINDLING_INLINE VecF name(VecF x) {                \
    float lanes[VecF::width];                        \
    x.store(lanes);                                  \
    for (float& lane : lanes) lane = function(lane); \
    return VecF::load(lanes);                        \
  }
KINDLING_LANEWISE(rsqrt, 1.0f / __builtin_sqrtf)
KINDLING_LANEWISE(expm1, __builtin_expm1f)
KINDLING_LANEWISE(log1p, __builtin_log1pf)
KINDLING_LANEWISE(log2, __builtin_log2f)
KINDLING_LANEWISE(sin, __builtin_sinf)
KINDLING_LANEWISE(cos, __builtin_cosf)
KINDLING_LANEWISE(tan, __builtin_tanf)
KINDLING_LANEWISE(asin, __builtin_asinf)
KINDLING_LANEWISE(acos, __builtin_acosf)
KINDLING_LANEWISE(atan, __builtin_atanf)
KINDLING_LANEWISE(sinh, __builtin_sinhf)
KINDLING_LANEWISE(cosh, __builtin_coshf)
KINDLING_LANEWISE(erf, __builtin_erff)
KINDLING_LANEWISE(floor, __builtin_floorf)
KINDLING_LANEWISE(ceil, __builtin_ceilf)
KINDLING_LANEWISE(round, __builtin_rintf)
KINDLING_LANEWISE(trunc, __builtin_truncf)
#undef KINDLING_LANEWISE

KINDLING_INLINE float erfinvOf(float x) {
  return static_cast<float>(erfinv(VecD::set1(static_cast<double>(x))).v);
}
KINDLING_INLINE float softplusOf(float x) {
  return static_cast<float>(softplus(VecD::set1(static_cast<double>(x))).v);
}
KINDLING_INLINE VecF erfinv(VecF x) {
  float lanes[VecF::width];
  x.store(lanes);
  for (float& lane : lanes) lane = erfinvOf(lane);
  return VecF::load(lanes);
}
KINDLING_INLINE VecF softplus(VecF x) {
  float lanes[VecF::width];
  x.store(lanes);
  for (float& lane : lanes) lane = softplusOf(lane);
  return VecF::load(lanes);
}
KINDLING_INLINE VecF atan2(VecF y, VecF x) {
  float ys[VecF::width], xs[VecF::width];
  y.store(ys);
  x.store(xs);
  for (int i = 0; i < VecF::width; ++i) ys[i] = __builtin_atan2f(ys[i], xs[i]);
  return VecF::load(ys);
}

}  // namespace KINDLING_ISA
}  // namespace kindling
