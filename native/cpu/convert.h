#pragma once
// Conversions between all element types, one element at a time. Toward an integer a float is
// truncated and saturates, NaN gives 0; integers wrap; anything but 0 is true; to float16 and
// bfloat16 values round to nearest, ties to even.

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "core/tensor_view.h"
#include "cpu/vec.h"

namespace kindling {
namespace KINDLING_ISA {

// Element types that C++ has no name for.
struct Bool {
  uint8_t bits;
};
struct Half {
  uint16_t bits;
};
struct Brain {
  uint16_t bits;
};

KINDLING_INLINE float floatOfBits(uint32_t bits) {
  float value;
  memcpy(&value, &bits, 4);
  return value;
}
KINDLING_INLINE uint32_t bitsOfFloat(float value) {
  uint32_t bits;
  memcpy(&bits, &value, 4);
  return bits;
}

KINDLING_INLINE float widen(Half h) {
  const uint32_t sign = static_cast<uint32_t>(h.bits & 0x8000) << 16;
  const uint32_t exponent = h.bits >> 10 & 31, mantissa = h.bits & 1023;
  if (exponent == 31) return floatOfBits(sign | 0x7f800000 | mantissa << 13);
  if (exponent != 0) return floatOfBits(sign | (exponent + 112) << 23 | mantissa << 13);
  const float magnitude = static_cast<float>(mantissa) * 5.9604644775390625e-8f;  // 2^-24
  return floatOfBits(sign | bitsOfFloat(magnitude));
}
KINDLING_INLINE float widen(Brain b) { return floatOfBits(static_cast<uint32_t>(b.bits) << 16); }
KINDLING_INLINE int64_t widen(Bool b) { return b.bits; }
KINDLING_INLINE float widen(float x) { return x; }
KINDLING_INLINE double widen(double x) { return x; }
KINDLING_INLINE int64_t widen(int32_t x) { return x; }
KINDLING_INLINE int64_t widen(int64_t x) { return x; }
KINDLING_INLINE int64_t widen(uint8_t x) { return x; }

KINDLING_INLINE Half halfOf(float x) {
  const uint32_t bits = bitsOfFloat(x);
  const uint32_t sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
  uint32_t result;
  if (magnitude > 0x7f800000) {
    result = 0x7e00 | (magnitude >> 13 & 0x3ff);  // NaN, made quiet
  } else if (magnitude >= 0x477ff000) {
    result = 0x7c00;  // beyond 65520: infinity
  } else if (magnitude < 0x38800000) {
    // Below the smallest normal number: adding 1/2 leaves multiples of 2^-24 in the lowest bits.
    result = bitsOfFloat(floatOfBits(magnitude) + 0.5f) - bitsOfFloat(0.5f);
  } else {
    result = (magnitude + 0xfff + (magnitude >> 13 & 1) - 0x38000000) >> 13;
  }
  return {static_cast<uint16_t>(sign | result)};
}

KINDLING_INLINE Brain brainOf(float x) {
  const uint32_t bits = bitsOfFloat(x);
  if ((bits & 0x7fffffff) > 0x7f800000) return {static_cast<uint16_t>(bits >> 16 | 0x40)};
  return {static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16)};
}

/// To an integer type from a float or double.
template <typename To, typename From>
KINDLING_INLINE To saturate(From x) {
  constexpr To kMost = std::is_same<To, uint8_t>::value   ? static_cast<To>(255)
                       : std::is_same<To, int32_t>::value ? static_cast<To>(INT32_MAX)
                                                          : static_cast<To>(INT64_MAX);
  constexpr To kLeast = std::is_same<To, uint8_t>::value   ? static_cast<To>(0)
                        : std::is_same<To, int32_t>::value ? static_cast<To>(INT32_MIN)
                                                           : static_cast<To>(INT64_MIN);
  // As a float the largest integer may round up, so that equality already is out of range.
  if (x >= static_cast<From>(kMost)) return kMost;
  if (x <= static_cast<From>(kLeast)) return kLeast;
  return x != x ? To(0) : static_cast<To>(x);
}

/// From a float, a double or an int64_t to any element type.
template <typename To, typename From>
KINDLING_INLINE To narrow(From x) {
  if constexpr (std::is_same<To, Bool>::value) {
    return {static_cast<uint8_t>(x != 0)};
  } else if constexpr (std::is_same<To, Half>::value) {
    return halfOf(static_cast<float>(x));
  } else if constexpr (std::is_same<To, Brain>::value) {
    return brainOf(static_cast<float>(x));
  } else if constexpr (std::is_integral<To>::value && std::is_floating_point<From>::value) {
    return saturate<To>(x);
  } else {
    return static_cast<To>(x);
  }
}

/// Calls body with a value of the dtype's element type.
template <typename Body>
KINDLING_INLINE void withType(DType dtype, const Body& body) {
  switch (dtype) {
    case DType::float32:
      return body(float());
    case DType::int32:
      return body(int32_t());
    case DType::boolean:
      return body(Bool());
    case DType::float64:
      return body(double());
    case DType::int64:
      return body(int64_t());
    case DType::uint8:
      return body(uint8_t());
    case DType::float16:
      return body(Half());
    case DType::bfloat16:
      return body(Brain());
  }
}

}  // namespace KINDLING_ISA
}  // namespace kindling
