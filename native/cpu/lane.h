#pragma once
// A vector of width 1 over any arithmetic type, with the interface of VecF: a kernel written for a
// vector type V serves float32 as VecF and float64 as VecD from one source. Loops over it are left
// to the compiler to vectorize. Included by vec.h.

#include <cmath>
#include <cstdint>
#include <type_traits>

#include "cpu/vec.h"

namespace kindling {
namespace KINDLING_ISA {

struct Flag {
  bool m;
  KINDLING_INLINE Flag operator&(Flag o) const { return {m && o.m}; }
  KINDLING_INLINE Flag operator|(Flag o) const { return {m || o.m}; }
  KINDLING_INLINE Flag operator!() const { return {!m}; }
  KINDLING_INLINE uint32_t bits() const { return m; }
};

/// Integers wrap: arithmetic goes through the unsigned type.
template <typename T, bool = std::is_integral<T>::value>
struct Arithmetic {
  using Type = T;
};
template <typename T>
struct Arithmetic<T, true> {
  // At least as wide as unsigned int, so that promotion to a signed int cannot overflow.
  using Type = typename std::conditional<sizeof(T) == 8, uint64_t, uint32_t>::type;
};

template <typename T>
struct Lane {
  using Scalar = T;
  using A = typename Arithmetic<T>::Type;
  static constexpr int width = 1;
  T v;
  static KINDLING_INLINE Lane load(const T* p) { return {*p}; }
  static KINDLING_INLINE Lane loadPartial(const T* p, int n) { return {n ? *p : T(0)}; }
  KINDLING_INLINE void store(T* p) const { *p = v; }
  KINDLING_INLINE void storePartial(T* p, int n) const {
    if (n) *p = v;
  }
  static KINDLING_INLINE Lane set1(T x) { return {x}; }
  static KINDLING_INLINE Lane zero() { return {T(0)}; }
  KINDLING_INLINE Lane operator+(Lane o) const {
    return {static_cast<T>(static_cast<A>(v) + static_cast<A>(o.v))};
  }
  KINDLING_INLINE Lane operator-(Lane o) const {
    return {static_cast<T>(static_cast<A>(v) - static_cast<A>(o.v))};
  }
  KINDLING_INLINE Lane operator*(Lane o) const {
    return {static_cast<T>(static_cast<A>(v) * static_cast<A>(o.v))};
  }
  KINDLING_INLINE Lane operator/(Lane o) const { return {static_cast<T>(v / o.v)}; }
  KINDLING_INLINE Flag operator==(Lane o) const { return {v == o.v}; }
  KINDLING_INLINE Flag operator<(Lane o) const { return {v < o.v}; }
  KINDLING_INLINE Flag operator<=(Lane o) const { return {v <= o.v}; }
  KINDLING_INLINE Flag isNaN() const { return {v != v}; }
};

using VecD = Lane<double>;
using VecL = Lane<int64_t>;
using VecU = Lane<uint8_t>;

template <typename T>
KINDLING_INLINE Lane<T> fma(Lane<T> a, Lane<T> b, Lane<T> c) {
  return a * b + c;
}
template <typename T>
KINDLING_INLINE Lane<T> fnma(Lane<T> a, Lane<T> b, Lane<T> c) {
  return c - a * b;
}
/// As VecF's: the second operand where either is NaN.
template <typename T>
KINDLING_INLINE Lane<T> maxRaw(Lane<T> a, Lane<T> b) {
  return {a.v > b.v ? a.v : b.v};
}
template <typename T>
KINDLING_INLINE Lane<T> minRaw(Lane<T> a, Lane<T> b) {
  return {a.v < b.v ? a.v : b.v};
}
template <typename T>
KINDLING_INLINE Lane<T> max(Lane<T> a, Lane<T> b) {
  return maxRaw(a, b);
}
template <typename T>
KINDLING_INLINE Lane<T> min(Lane<T> a, Lane<T> b) {
  return minRaw(a, b);
}
template <typename T>
KINDLING_INLINE Lane<T> select(Flag m, Lane<T> a, Lane<T> b) {
  return {m.m ? a.v : b.v};
}
template <typename T>
KINDLING_INLINE T reduceAdd(Lane<T> a) {
  return a.v;
}
template <typename T>
KINDLING_INLINE T reduceMaxRaw(Lane<T> a) {
  return a.v;
}
template <typename T>
KINDLING_INLINE T reduceMinRaw(Lane<T> a) {
  return a.v;
}
KINDLING_INLINE VecD sqrt(VecD a) { return {__builtin_sqrt(a.v)}; }

// The C library's functions in double: their errors are below 1 ulp.
#define KINDLING_LIBM(name, function) \
  KINDLING_INLINE VecD name(VecD a) { return {__builtin_##function(a.v)}; }
KINDLING_LIBM(abs, fabs)
KINDLING_LIBM(exp, exp)
KINDLING_LIBM(expm1, expm1)
KINDLING_LIBM(log, log)
KINDLING_LIBM(log1p, log1p)
KINDLING_LIBM(log2, log2)
KINDLING_LIBM(sin, sin)
KINDLING_LIBM(cos, cos)
KINDLING_LIBM(tan, tan)
KINDLING_LIBM(asin, asin)
KINDLING_LIBM(acos, acos)
KINDLING_LIBM(atan, atan)
KINDLING_LIBM(sinh, sinh)
KINDLING_LIBM(cosh, cosh)
KINDLING_LIBM(tanh, tanh)
KINDLING_LIBM(erf, erf)
KINDLING_LIBM(floor, floor)
KINDLING_LIBM(ceil, ceil)
KINDLING_LIBM(trunc, trunc)
KINDLING_LIBM(round, rint)
KINDLING_LIBM(roundEven, rint)
#undef KINDLING_LIBM

KINDLING_INLINE VecD rsqrt(VecD a) { return {1.0 / __builtin_sqrt(a.v)}; }
KINDLING_INLINE VecD pow(VecD a, VecD b) { return {__builtin_pow(a.v, b.v)}; }
KINDLING_INLINE VecD atan2(VecD y, VecD x) { return {__builtin_atan2(y.v, x.v)}; }
KINDLING_INLINE VecD sigmoid(VecD x) {
  const double e = __builtin_exp(-__builtin_fabs(x.v));
  return {(x.v < 0 ? e : 1.0) / (1.0 + e)};
}
/// log(1 + e^x)
KINDLING_INLINE VecD softplus(VecD x) {
  const double tail = __builtin_log1p(__builtin_exp(-__builtin_fabs(x.v)));
  return {x.v > 0 ? x.v + tail : x.v != x.v ? x.v : tail};
}

/// Giles' approximation (2010), then two Newton steps, each of which doubles the digits.
KINDLING_INLINE VecD erfinv(VecD a) {
  const double x = a.v;
  if (!(x > -1 && x < 1)) {
    return {x == 1 ? __builtin_inf() : x == -1 ? -__builtin_inf() : __builtin_nan("")};
  }
  double w = -__builtin_log((1.0 - x) * (1.0 + x)), p;
  if (w < 5.0) {
    w -= 2.5;
    p = 2.81022636e-08;
    p = 3.43273939e-07 + p * w;
    p = -3.5233877e-06 + p * w;
    p = -4.39150654e-06 + p * w;
    p = 0.00021858087 + p * w;
    p = -0.00125372503 + p * w;
    p = -0.00417768164 + p * w;
    p = 0.246640727 + p * w;
    p = 1.50140941 + p * w;
  } else {
    w = __builtin_sqrt(w) - 3.0;
    p = -0.000200214257;
    p = 0.000100950558 + p * w;
    p = 0.00134934322 + p * w;
    p = -0.00367342844 + p * w;
    p = 0.00573950773 + p * w;
    p = -0.0076224613 + p * w;
    p = 0.00943887047 + p * w;
    p = 1.00167406 + p * w;
    p = 2.83297682 + p * w;
  }
  double y = p * x;
  constexpr double kTwoOverRootPi = 1.1283791670955126;
  for (int step = 0; step < 2; ++step) {
    // Near ±1 the difference of erf is taken through erfc, which keeps its digits there.
    const double error = y > 1    ? (1.0 - x) - __builtin_erfc(y)
                         : y < -1 ? __builtin_erfc(-y) - (1.0 + x)
                                  : __builtin_erf(y) - x;
    y -= error / (kTwoOverRootPi * __builtin_exp(-y * y));
  }
  return {y};
}

}  // namespace KINDLING_ISA
}  // namespace kindling
