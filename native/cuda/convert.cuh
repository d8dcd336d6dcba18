#pragma once
// Element types that C++ has no name for, and conversions between all of them, as the CPU's
// (native/cpu/convert.h): toward an integer a float is truncated and saturates, NaN gives 0;
// integers wrap; anything but 0 is true; halves round to nearest, ties to even.

#include <cstdint>
#include <type_traits>

#include "core/tensor_view.h"
#include "cuda/gpu.h"

namespace kindling {
namespace cuda {

struct Bool {
  uint8_t bits;
};
struct Half {
  uint16_t bits;
};
struct Brain {
  uint16_t bits;
};

// To the type that conversions go through: float, double or int64_t.
__device__ __forceinline__ float widen(Half h) { return gpu::halfToFloat(h.bits); }
__device__ __forceinline__ float widen(Brain b) { return gpu::bfloat16ToFloat(b.bits); }
__device__ __forceinline__ int64_t widen(Bool b) { return b.bits; }
__device__ __forceinline__ float widen(float x) { return x; }
__device__ __forceinline__ double widen(double x) { return x; }
__device__ __forceinline__ int64_t widen(int32_t x) { return x; }
__device__ __forceinline__ int64_t widen(int64_t x) { return x; }
__device__ __forceinline__ int64_t widen(uint8_t x) { return x; }

/// The least and the greatest value of an integer element type.
template <typename T>
struct Range;
template <>
struct Range<uint8_t> {
  static constexpr uint8_t least = 0, greatest = 255;
};
template <>
struct Range<int32_t> {
  static constexpr int32_t least = INT32_MIN, greatest = INT32_MAX;
};
template <>
struct Range<int64_t> {
  static constexpr int64_t least = INT64_MIN, greatest = INT64_MAX;
};

/// To an integer from a float or double.
template <typename To, typename From>
__host__ __device__ __forceinline__ To saturate(From x) {
  // As a float the largest integer may round up, so that equality already is out of range.
  constexpr To kMost = Range<To>::greatest, kLeast = Range<To>::least;
  if (x >= static_cast<From>(kMost)) return kMost;
  if (x <= static_cast<From>(kLeast)) return kLeast;
  return x != x ? To(0) : static_cast<To>(x);
}

/// From a float, a double or an int64_t to any element type.
template <typename To, typename From>
__device__ __forceinline__ To narrow(From x) {
  if constexpr (std::is_same<To, Bool>::value) {
    return {static_cast<uint8_t>(x != 0)};
  } else if constexpr (std::is_same<To, Half>::value) {
    return {gpu::floatToHalf(static_cast<float>(x))};
  } else if constexpr (std::is_same<To, Brain>::value) {
    return {gpu::floatToBfloat16(static_cast<float>(x))};
  } else if constexpr (std::is_integral<To>::value && std::is_floating_point<From>::value) {
    return saturate<To>(x);
  } else {
    return static_cast<To>(x);
  }
}

/// Calls body with a value of the dtype's element type and returns what it returns.
template <typename Body>
auto withType(DType dtype, const Body& body) {
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
    default:
      return body(Brain());
  }
}

}  // namespace cuda
}  // namespace kindling
