#pragma once
// Elementwise functions of two operands, and the choice among them inside a kernel, as in
// unary_ops.cuh.

#include "cuda/unary_ops.cuh"

namespace kindling {
namespace cuda {
namespace binary {

struct Add {
  template <typename T>
  static __device__ __forceinline__ T apply(T a, T b) {
    return wrappingAdd(a, b);
  }
};
struct Sub {
  template <typename T>
  static __device__ __forceinline__ T apply(T a, T b) {
    return wrappingSub(a, b);
  }
};
struct Mul {
  template <typename T>
  static __device__ __forceinline__ T apply(T a, T b) {
    return wrappingMul(a, b);
  }
};
struct Div {
  template <typename T>
  static __device__ __forceinline__ T apply(T a, T b) {
    return a / b;
  }
};
/// NaN in either operand gives NaN.
struct Maximum {
  template <typename T>
  static __device__ __forceinline__ T apply(T a, T b) {
    return a != a || a > b ? a : b;
  }
};
struct Minimum {
  template <typename T>
  static __device__ __forceinline__ T apply(T a, T b) {
    return a != a || a < b ? a : b;
  }
};
struct ReluBackward {
  template <typename T>
  static __device__ __forceinline__ T apply(T grad, T y) {
    return y <= T(0) ? T(0) : grad;
  }
};
struct Atan2 {
  static __device__ __forceinline__ float apply(float y, float x) { return atan2f(y, x); }
  static __device__ __forceinline__ double apply(double y, double x) { return atan2(y, x); }
};

/// The exponent is a single number more often than not: then all threads take one branch.
struct Pow {
  static __device__ __forceinline__ float apply(float a, float b) {
    if (b == 2.0f) return a * a;
    if (b == 3.0f) return a * a * a;
    if (b == -1.0f) return 1.0f / a;
    // pow(-0, 1/2) is 0, pow(-infinity, 1/2) infinity.
    if (b == 0.5f) return a == -INFINITY ? INFINITY : sqrtf(a + 0.0f);
    return powf(a, b);
  }
  static __device__ __forceinline__ double apply(double a, double b) { return pow(a, b); }
};

/// With the sign of the divisor, as Python's %: a - b * floor(a / b).
struct Remainder {
  static __device__ __forceinline__ float apply(float a, float b) {
    const float r = fmodf(a, b);
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
  }
  static __device__ __forceinline__ double apply(double a, double b) {
    const double r = fmod(a, b);
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
  }
  /// b is not 0.
  template <typename T>
  static __device__ __forceinline__ T apply(T a, T b) {
    if (b == T(-1)) return 0;  // the smallest integer's quotient would overflow
    const T r = static_cast<T>(a % b);
    return r != 0 && (r < 0) != (b < 0) ? static_cast<T>(r + b) : r;
  }
};
/// Rounded toward minus infinity.
struct FloorDivide {
  static __device__ __forceinline__ float apply(float a, float b) {
    const float r = fmodf(a, b);
    return b == 0 ? a / b : floorf((a - r) / b + 0.5f) - isBelow(r, b);
  }
  static __device__ __forceinline__ double apply(double a, double b) {
    const double r = fmod(a, b);
    return b == 0 ? a / b : floor((a - r) / b + 0.5) - isBelow(r, b);
  }
  /// 1 where the quotient rounded toward 0, with remainder r, is one too many.
  template <typename T>
  static __device__ __forceinline__ T isBelow(T r, T b) {
    return r != 0 && (r < 0) != (b < 0) ? T(1) : T(0);
  }
  /// b is not 0.
  template <typename T>
  static __device__ __forceinline__ T apply(T a, T b) {
    if (b == T(-1)) return wrappingSub(T(0), a);
    const T quotient = static_cast<T>(a / b);
    return a % b != 0 && (a < 0) != (b < 0) ? static_cast<T>(quotient - 1) : quotient;
  }
};

struct Equal {
  template <typename T>
  static __device__ __forceinline__ uint8_t apply(T a, T b) {
    return a == b;
  }
};
struct NotEqual {
  template <typename T>
  static __device__ __forceinline__ uint8_t apply(T a, T b) {
    return a != b;
  }
};
struct Less {
  template <typename T>
  static __device__ __forceinline__ uint8_t apply(T a, T b) {
    return a < b;
  }
};
struct LessEqual {
  template <typename T>
  static __device__ __forceinline__ uint8_t apply(T a, T b) {
    return a <= b;
  }
};

template <class F, typename In, typename Out>
__device__ __forceinline__ void each(const In (&a)[kLanes], const In (&b)[kLanes],
                                     Out (&out)[kLanes]) {
#pragma unroll
  for (int lane = 0; lane < kLanes; ++lane) out[lane] = F::apply(a[lane], b[lane]);
}

/// Ops that integers have too.
template <typename T>
__device__ __forceinline__ bool applyNumber(Op op, const T (&a)[kLanes], const T (&b)[kLanes],
                                            T (&out)[kLanes]) {
  switch (op) {
    case Op::add:
      each<Add>(a, b, out);
      return true;
    case Op::sub:
      each<Sub>(a, b, out);
      return true;
    case Op::mul:
      each<Mul>(a, b, out);
      return true;
    case Op::maximum:
      each<Maximum>(a, b, out);
      return true;
    case Op::minimum:
      each<Minimum>(a, b, out);
      return true;
    default:
      return false;
  }
}

/// Ops of floats that are done before their operands have come from memory.
template <typename T>
__device__ __forceinline__ bool applyCheap(Op op, const T (&a)[kLanes], const T (&b)[kLanes],
                                           T (&out)[kLanes]) {
  if (applyNumber(op, a, b, out)) return true;
  switch (op) {
    case Op::div:
      each<Div>(a, b, out);
      return true;
    case Op::reluBackward:
      each<ReluBackward>(a, b, out);
      return true;
    default:
      return false;
  }
}

}  // namespace binary
}  // namespace cuda
}  // namespace kindling
