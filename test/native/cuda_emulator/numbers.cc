// Arithmetic that the C library lacks, and the atomics: only one thread runs at a time, so they
// need no more than to be told to who watches.

#include "cuda_emulator/intrinsics.h"
#include "cuda_emulator/watch.h"

namespace kindling {
namespace cuda {
namespace emulator {

double erfinvOf(double x) {
  if (x != x || x < -1 || x > 1) return static_cast<double>(NAN);
  if (x == 1 || x == -1) return x * static_cast<double>(INFINITY);
  // Giles' start, then Halley's method on erfc, which keeps its digits near 1.
  const double w = -log((1 - x) * (1 + x));
  const double y = w < 5 ? x * (1.50140941 + 0.246640727 * (w - 2.5))
                         : x * (2.83297682 + 1.00167406 * (sqrt(w) - 3));
  double size = fabs(y);
  const double target = fabs(x);
  for (int step = 0; step < 6; ++step) {
    const double error = target < 0.5 ? erf(size) - target : (1 - target) - erfc(size);
    const double change = error / (M_2_SQRTPI * exp(-size * size));
    size -= change / (1 + size * change);
  }
  return copysign(size, x);
}

}  // namespace emulator

namespace gpu {

float halfToFloat(uint16_t bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000u) << 16;
  const uint32_t exponent = bits >> 10 & 31u, mantissa = bits & 1023u;
  if (exponent == 31) return emulator::bitsAs<float>(sign | 0x7f800000u | mantissa << 13);
  if (exponent != 0) return emulator::bitsAs<float>(sign | (exponent + 112) << 23 | mantissa << 13);
  const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
  return sign ? -magnitude : magnitude;
}

uint16_t floatToHalf(float value) {
  const uint32_t bits = emulator::bitsAs<uint32_t>(value);
  const uint32_t sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7fffffffu;
  uint32_t result;
  if (magnitude > 0x7f800000u) {
    result = 0x7fffu;
  } else if (magnitude >= 0x477ff000u) {
    result = 0x7c00u;  // 65520 and more
  } else if (magnitude < 0x38800000u) {
    result = static_cast<uint32_t>(rintf(emulator::bitsAs<float>(magnitude) * 0x1p24f));
  } else {
    result = (magnitude + 0xfffu + (magnitude >> 13 & 1u) - 0x38000000u) >> 13;
  }
  return static_cast<uint16_t>(sign | result);
}

}  // namespace gpu
}  // namespace cuda
}  // namespace kindling

namespace {

template <typename T, typename Change>
inline T change(T* at, const Change& next, const void* code) {
  kindling::cuda::emulator::watch::atomic(at, sizeof(T), code);
  const T before = *at;
  *at = next(before);
  return before;
}

}  // namespace

#define KINDLING_EMULATED_ATOMIC(name, type, expression)                        \
  type name(type* at, type value) {                                             \
    return change(                                                              \
        at, [&](type before) -> type { return static_cast<type>(expression); }, \
        __builtin_return_address(0));                                           \
  }
// Signed sums wrap around as the hardware's do.
KINDLING_EMULATED_ATOMIC(atomicAdd, int,
                         static_cast<unsigned>(before) + static_cast<unsigned>(value))
KINDLING_EMULATED_ATOMIC(atomicAdd, unsigned, before + value)
KINDLING_EMULATED_ATOMIC(atomicAdd, unsigned long long, before + value)
KINDLING_EMULATED_ATOMIC(atomicAdd, float, before + value)
KINDLING_EMULATED_ATOMIC(atomicAdd, double, before + value)
KINDLING_EMULATED_ATOMIC(atomicSub, int,
                         static_cast<unsigned>(before) - static_cast<unsigned>(value))
KINDLING_EMULATED_ATOMIC(atomicSub, unsigned, before - value)
KINDLING_EMULATED_ATOMIC(atomicMin, int, min(before, value))
KINDLING_EMULATED_ATOMIC(atomicMin, unsigned, min(before, value))
KINDLING_EMULATED_ATOMIC(atomicMin, long long, min(before, value))
KINDLING_EMULATED_ATOMIC(atomicMin, unsigned long long, min(before, value))
KINDLING_EMULATED_ATOMIC(atomicMax, int, max(before, value))
KINDLING_EMULATED_ATOMIC(atomicMax, unsigned, max(before, value))
KINDLING_EMULATED_ATOMIC(atomicMax, long long, max(before, value))
KINDLING_EMULATED_ATOMIC(atomicMax, unsigned long long, max(before, value))
KINDLING_EMULATED_ATOMIC(atomicOr, int, before | value)
KINDLING_EMULATED_ATOMIC(atomicOr, unsigned, before | value)
KINDLING_EMULATED_ATOMIC(atomicAnd, int, before& value)
KINDLING_EMULATED_ATOMIC(atomicAnd, unsigned, before& value)
KINDLING_EMULATED_ATOMIC(atomicXor, unsigned, before ^ value)
#undef KINDLING_EMULATED_ATOMIC

#define KINDLING_EMULATED_ATOMIC(type)                                         \
  type atomicExch(type* at, type value) {                                      \
    return change(                                                             \
        at, [&](type) -> type { return value; }, __builtin_return_address(0)); \
  }
KINDLING_EMULATED_ATOMIC(int)
KINDLING_EMULATED_ATOMIC(unsigned)
KINDLING_EMULATED_ATOMIC(unsigned long long)
KINDLING_EMULATED_ATOMIC(float)
#undef KINDLING_EMULATED_ATOMIC

#define KINDLING_EMULATED_ATOMIC(type)                                                \
  type atomicCAS(type* at, type expected, type value) {                               \
    return change(                                                                    \
        at, [&](type before) -> type { return before == expected ? value : before; }, \
        __builtin_return_address(0));                                                 \
  }
KINDLING_EMULATED_ATOMIC(int)
KINDLING_EMULATED_ATOMIC(unsigned)
KINDLING_EMULATED_ATOMIC(unsigned short)
KINDLING_EMULATED_ATOMIC(unsigned long long)
#undef KINDLING_EMULATED_ATOMIC
