#pragma once
// Elementwise functions of one operand, and the choice among them inside a kernel: the op is the
// same for the whole grid, so that the branch costs a few instructions for four elements, and one
// kernel per dtype serves all ops.

#include <cstdint>

#include "core/op_call.h"
#include "cuda/indexing.cuh"

namespace kindling {
namespace cuda {

/// Integers wrap: arithmetic goes through an unsigned type at least as wide as unsigned int.
template <typename T, bool = std::is_integral<T>::value>
struct Arithmetic {
  using Type = T;
};
template <typename T>
struct Arithmetic<T, true> {
  using Type = typename std::conditional<sizeof(T) == 8, uint64_t, uint32_t>::type;
};
template <typename T>
__device__ __forceinline__ T wrappingAdd(T a, T b) {
  using A = typename Arithmetic<T>::Type;
  return static_cast<T>(static_cast<A>(a) + static_cast<A>(b));
}
template <typename T>
__device__ __forceinline__ T wrappingSub(T a, T b) {
  using A = typename Arithmetic<T>::Type;
  return static_cast<T>(static_cast<A>(a) - static_cast<A>(b));
}
template <typename T>
__device__ __forceinline__ T wrappingMul(T a, T b) {
  using A = typename Arithmetic<T>::Type;
  return static_cast<T>(static_cast<A>(a) * static_cast<A>(b));
}

namespace unary {

struct Neg {
  template <typename T>
  static __device__ __forceinline__ T apply(T x) {
    if constexpr (std::is_floating_point<T>::value) return -x;
    return wrappingSub(T(0), x);
  }
};
struct Abs {
  static __device__ __forceinline__ float apply(float x) { return fabsf(x); }
  static __device__ __forceinline__ double apply(double x) { return fabs(x); }
  template <typename T>
  static __device__ __forceinline__ T apply(T x) {
    return x < 0 ? wrappingSub(T(0), x) : x;
  }
};
struct Sign {
  template <typename T>
  static __device__ __forceinline__ T apply(T x) {
    return T(0) < x ? T(1) : x < T(0) ? T(-1) : x;  // zero and NaN stay
  }
};
struct Relu {
  template <typename T>
  static __device__ __forceinline__ T apply(T x) {
    return T(0) > x ? T(0) : x;  // NaN stays
  }
};
struct Square {
  template <typename T>
  static __device__ __forceinline__ T apply(T x) {
    return wrappingMul(x, x);
  }
};
struct Reciprocal {
  template <typename T>
  static __device__ __forceinline__ T apply(T x) {
    return T(1) / x;
  }
};

/// A functor for a function of the CUDA library.
#define KINDLING_FUNCTION(Name, single, twice)                                    \
  struct Name {                                                                   \
    static __device__ __forceinline__ float apply(float x) { return single(x); }  \
    static __device__ __forceinline__ double apply(double x) { return twice(x); } \
  };
KINDLING_FUNCTION(Sqrt, sqrtf, sqrt)
KINDLING_FUNCTION(Rsqrt, rsqrtf, 1.0 / sqrt)
KINDLING_FUNCTION(Exp, expf, exp)
KINDLING_FUNCTION(Expm1, expm1f, expm1)
KINDLING_FUNCTION(Log, logf, log)
KINDLING_FUNCTION(Log1p, log1pf, log1p)
KINDLING_FUNCTION(Log2, log2f, log2)
KINDLING_FUNCTION(Sin, sinf, sin)
KINDLING_FUNCTION(Cos, cosf, cos)
KINDLING_FUNCTION(Tan, tanf, tan)
KINDLING_FUNCTION(Asin, asinf, asin)
KINDLING_FUNCTION(Acos, acosf, acos)
KINDLING_FUNCTION(Atan, atanf, atan)
KINDLING_FUNCTION(Sinh, sinhf, sinh)
KINDLING_FUNCTION(Cosh, coshf, cosh)
KINDLING_FUNCTION(Tanh, tanhf, tanh)
KINDLING_FUNCTION(Erf, erff, erf)
KINDLING_FUNCTION(Erfinv, erfinvf, erfinv)
KINDLING_FUNCTION(Floor, floorf, floor)
KINDLING_FUNCTION(Ceil, ceilf, ceil)
KINDLING_FUNCTION(Round, rintf, rint)
KINDLING_FUNCTION(Trunc, truncf, trunc)
#undef KINDLING_FUNCTION

struct Sigmoid {
  template <typename T>
  static __device__ __forceinline__ T apply(T x) {
    const T e = Exp::apply(-Abs::apply(x));
    return (x < T(0) ? e : T(1)) / (T(1) + e);
  }
};
/// log(1 + e^x)
struct Softplus {
  template <typename T>
  static __device__ __forceinline__ T apply(T x) {
    const T tail = Log1p::apply(Exp::apply(-Abs::apply(x)));
    return x > T(0) ? x + tail : x != x ? x : tail;
  }
};

template <class F, typename In, typename Out>
__device__ __forceinline__ void each(const In (&x)[kLanes], Out (&out)[kLanes]) {
#pragma unroll
  for (int lane = 0; lane < kLanes; ++lane) out[lane] = F::apply(x[lane]);
}

/// Ops that integers have too.
template <typename T>
__device__ __forceinline__ bool applyNumber(Op op, const T (&x)[kLanes], T (&out)[kLanes]) {
  switch (op) {
    case Op::neg:
      each<Neg>(x, out);
      return true;
    case Op::abs:
      each<Abs>(x, out);
      return true;
    case Op::sign:
      each<Sign>(x, out);
      return true;
    case Op::relu:
      each<Relu>(x, out);
      return true;
    case Op::square:
      each<Square>(x, out);
      return true;
    default:
      return false;
  }
}

/// Ops of floats that are done before their operand has come from memory.
template <typename T>
__device__ __forceinline__ bool applyCheap(Op op, const T (&x)[kLanes], T (&out)[kLanes]) {
  if (applyNumber(op, x, out)) return true;
  switch (op) {
    case Op::reciprocal:
      each<Reciprocal>(x, out);
      return true;
    case Op::sqrt:
      each<Sqrt>(x, out);
      return true;
    case Op::rsqrt:
      each<Rsqrt>(x, out);
      return true;
    case Op::floor:
      each<Floor>(x, out);
      return true;
    case Op::ceil:
      each<Ceil>(x, out);
      return true;
    case Op::round:
      each<Round>(x, out);
      return true;
    case Op::trunc:
      each<Trunc>(x, out);
      return true;
    default:
      return false;
  }
}

/// Exponentials, logarithms and their relatives.
template <typename T>
__device__ __forceinline__ bool applyExponential(Op op, const T (&x)[kLanes], T (&out)[kLanes]) {
  switch (op) {
    case Op::exp:
      each<Exp>(x, out);
      return true;
    case Op::expm1:
      each<Expm1>(x, out);
      return true;
    case Op::log:
      each<Log>(x, out);
      return true;
    case Op::log1p:
      each<Log1p>(x, out);
      return true;
    case Op::log2:
      each<Log2>(x, out);
      return true;
    case Op::tanh:
      each<Tanh>(x, out);
      return true;
    case Op::sigmoid:
      each<Sigmoid>(x, out);
      return true;
    case Op::softplus:
      each<Softplus>(x, out);
      return true;
    case Op::erf:
      each<Erf>(x, out);
      return true;
    case Op::sinh:
      each<Sinh>(x, out);
      return true;
    case Op::cosh:
      each<Cosh>(x, out);
      return true;
    default:
      return false;
  }
}

template <typename T>
__device__ __forceinline__ bool applyTrigonometric(Op op, const T (&x)[kLanes], T (&out)[kLanes]) {
  switch (op) {
    case Op::sin:
      each<Sin>(x, out);
      return true;
    case Op::cos:
      each<Cos>(x, out);
      return true;
    case Op::tan:
      each<Tan>(x, out);
      return true;
    case Op::asin:
      each<Asin>(x, out);
      return true;
    case Op::acos:
      each<Acos>(x, out);
      return true;
    case Op::atan:
      each<Atan>(x, out);
      return true;
    case Op::erfinv:
      each<Erfinv>(x, out);
      return true;
    default:
      return false;
  }
}

}  // namespace unary
}  // namespace cuda
}  // namespace kindling
