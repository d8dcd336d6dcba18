#pragma once
// Arithmetic and atomics of device code.

#include <math.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "cuda_emulator/vector_types.h"

namespace kindling {
namespace cuda {
namespace emulator {

template <typename To, typename From>
inline To bitsAs(From from) {
  static_assert(sizeof(To) == sizeof(From), "the same bits");
  To to;
  std::memcpy(&to, &from, sizeof to);
  return to;
}

double erfinvOf(double x);

}  // namespace emulator

namespace gpu {

float halfToFloat(uint16_t bits);
uint16_t floatToHalf(float value);

inline float bfloat16ToFloat(uint16_t bits) {
  return emulator::bitsAs<float>(static_cast<uint32_t>(bits) << 16);
}

inline uint16_t floatToBfloat16(float value) {
  const uint32_t bits = emulator::bitsAs<uint32_t>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>((bits >> 16) | 0x40u);
  return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

}  // namespace gpu
}  // namespace cuda
}  // namespace kindling

// Bits.
inline unsigned __float_as_uint(float x) { return kindling::cuda::emulator::bitsAs<unsigned>(x); }
inline float __uint_as_float(unsigned x) { return kindling::cuda::emulator::bitsAs<float>(x); }
inline int __float_as_int(float x) { return kindling::cuda::emulator::bitsAs<int>(x); }
inline float __int_as_float(int x) { return kindling::cuda::emulator::bitsAs<float>(x); }
inline long long __double_as_longlong(double x) {
  return kindling::cuda::emulator::bitsAs<long long>(x);
}
inline double __longlong_as_double(long long x) {
  return kindling::cuda::emulator::bitsAs<double>(x);
}
inline unsigned __umulhi(unsigned a, unsigned b) {
  return static_cast<unsigned>(static_cast<uint64_t>(a) * b >> 32);
}
inline int __mulhi(int a, int b) { return static_cast<int>(static_cast<int64_t>(a) * b >> 32); }
__extension__ typedef unsigned __int128 kindling_emulated_uint128;
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
  return static_cast<unsigned long long>(static_cast<kindling_emulated_uint128>(a) * b >> 64);
}
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
inline int __clz(int x) { return x == 0 ? 32 : __builtin_clz(static_cast<unsigned>(x)); }
inline int __clzll(long long x) {
  return x == 0 ? 64 : __builtin_clzll(static_cast<unsigned long long>(x));
}
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __ffsll(long long x) { return __builtin_ffsll(x); }
inline unsigned __brev(unsigned x) {
  unsigned reversed = 0;
  for (int bit = 0; bit < 32; ++bit) reversed |= (x >> bit & 1u) << (31 - bit);
  return reversed;
}
inline unsigned __funnelshift_l(unsigned low, unsigned high, unsigned shift) {
  shift &= 31;
  return shift == 0 ? high : high << shift | low >> (32 - shift);
}
inline unsigned __funnelshift_r(unsigned low, unsigned high, unsigned shift) {
  shift &= 31;
  return shift == 0 ? low : high << (32 - shift) | low >> shift;
}

// Loads and stores with hints for the caches.
template <typename T>
inline T __ldg(const T* from) {
  return *from;
}
template <typename T>
inline T __ldcg(const T* from) {
  return *from;
}
template <typename T>
inline T __ldcs(const T* from) {
  return *from;
}
template <typename T>
inline void __stcs(T* to, T value) {
  *to = value;
}
template <typename T>
inline void __stcg(T* to, T value) {
  *to = value;
}

// min and max as CUDA overloads them.
#define KINDLING_EMULATED_MIN_MAX(type)                     \
  inline type min(type a, type b) { return b < a ? b : a; } \
  inline type max(type a, type b) { return a < b ? b : a; }
KINDLING_EMULATED_MIN_MAX(int)
KINDLING_EMULATED_MIN_MAX(unsigned)
KINDLING_EMULATED_MIN_MAX(long)
KINDLING_EMULATED_MIN_MAX(unsigned long)
KINDLING_EMULATED_MIN_MAX(long long)
KINDLING_EMULATED_MIN_MAX(unsigned long long)
#undef KINDLING_EMULATED_MIN_MAX
inline float min(float a, float b) { return fminf(a, b); }
inline float max(float a, float b) { return fmaxf(a, b); }
inline double min(double a, double b) { return fmin(a, b); }
inline double max(double a, double b) { return fmax(a, b); }

// Functions beyond the C library's.
inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
inline double rsqrt(double x) { return 1.0 / sqrt(x); }
inline float rcbrtf(float x) { return 1.0f / cbrtf(x); }
inline double rcbrt(double x) { return 1.0 / cbrt(x); }
inline float erfinvf(float x) {
  return static_cast<float>(kindling::cuda::emulator::erfinvOf(static_cast<double>(x)));
}
inline double erfinv(double x) { return kindling::cuda::emulator::erfinvOf(x); }
inline float normcdff(float x) {
  return static_cast<float>(0.5 * erfc(-static_cast<double>(x) * M_SQRT1_2));
}
inline double normcdf(double x) { return 0.5 * erfc(-x * M_SQRT1_2); }
inline float sinpif(float x) {
  return static_cast<float>(sin(M_PI * fmod(static_cast<double>(x), 2.0)));
}
inline float cospif(float x) {
  return static_cast<float>(cos(M_PI * fmod(static_cast<double>(x), 2.0)));
}
inline double sinpi(double x) { return sin(M_PI * fmod(x, 2.0)); }
inline double cospi(double x) { return cos(M_PI * fmod(x, 2.0)); }
inline void sincospif(float x, float* s, float* c) { *s = sinpif(x), *c = cospif(x); }
inline void sincospi(double x, double* s, double* c) { *s = sinpi(x), *c = cospi(x); }

// The fast approximations are exact here.
inline float __expf(float x) { return expf(x); }
inline float __exp10f(float x) { return powf(10.0f, x); }
inline float __logf(float x) { return logf(x); }
inline float __log2f(float x) { return log2f(x); }
inline float __log10f(float x) { return log10f(x); }
inline float __sinf(float x) { return sinf(x); }
inline float __cosf(float x) { return cosf(x); }
inline float __tanf(float x) { return tanf(x); }
inline void __sincosf(float x, float* s, float* c) { *s = sinf(x), *c = cosf(x); }
inline float __powf(float x, float y) { return powf(x, y); }
inline float __tanhf(float x) { return tanhf(x); }
inline float fdividef(float x, float y) { return x / y; }
/// Documented: 0 for 2^126 < |y| < 2^128, so that code that divides by huge numbers shows.
inline float __fdividef(float x, float y) {
  const float size = fabsf(y);
  if (size > 8.507059173023462e37f && size <= 3.4028234663852886e38f) {
    return isinf(x) ? NAN : copysignf(0.0f, x) * copysignf(1.0f, y);
  }
  return x / y;
}
inline float __saturatef(float x) { return x > 0.0f ? (x < 1.0f ? x : 1.0f) : 0.0f; }
inline float __frcp_rn(float x) { return 1.0f / x; }
inline float __fsqrt_rn(float x) { return sqrtf(x); }
inline float __frsqrt_rn(float x) { return 1.0f / sqrtf(x); }
inline float __fadd_rn(float x, float y) { return x + y; }
inline float __fsub_rn(float x, float y) { return x - y; }
inline float __fmul_rn(float x, float y) { return x * y; }
inline float __fdiv_rn(float x, float y) { return x / y; }
inline float __fmaf_rn(float x, float y, float z) { return fmaf(x, y, z); }
inline double __dadd_rn(double x, double y) { return x + y; }
inline double __dsub_rn(double x, double y) { return x - y; }
inline double __dmul_rn(double x, double y) { return x * y; }
inline double __ddiv_rn(double x, double y) { return x / y; }
inline double __dsqrt_rn(double x) { return sqrt(x); }
inline double __fma_rn(double x, double y, double z) { return fma(x, y, z); }

// Conversions. To an integer they saturate, and NaN gives 0 (for 64 bits the smallest number).
inline int __float2int_rz(float x) {
  return x != x ? 0 : x >= 2147483648.0f ? INT32_MAX : x <= -2147483648.0f ? INT32_MIN : int(x);
}
inline int __float2int_rn(float x) { return __float2int_rz(rintf(x)); }
inline int __float2int_rd(float x) { return __float2int_rz(floorf(x)); }
inline int __float2int_ru(float x) { return __float2int_rz(ceilf(x)); }
inline unsigned __float2uint_rz(float x) {
  return !(x > 0.0f) ? 0u : x >= 4294967296.0f ? UINT32_MAX : static_cast<unsigned>(x);
}
inline unsigned __float2uint_rn(float x) { return __float2uint_rz(rintf(x)); }
inline int __double2int_rz(double x) {
  return x != x ? 0 : x >= 2147483648.0 ? INT32_MAX : x <= -2147483648.0 ? INT32_MIN : int(x);
}
inline int __double2int_rn(double x) { return __double2int_rz(rint(x)); }
inline long long __double2ll_rz(double x) {
  if (x != x) return INT64_MIN;
  return x >= 9223372036854775808.0    ? INT64_MAX
         : x <= -9223372036854775808.0 ? INT64_MIN
                                       : static_cast<long long>(x);
}
inline long long __double2ll_rn(double x) { return __double2ll_rz(rint(x)); }
inline long long __float2ll_rz(float x) { return __double2ll_rz(static_cast<double>(x)); }
inline long long __float2ll_rn(float x) { return __double2ll_rn(static_cast<double>(x)); }
inline float __int2float_rn(int x) { return static_cast<float>(x); }
inline float __uint2float_rn(unsigned x) { return static_cast<float>(x); }
inline float __ll2float_rn(long long x) { return static_cast<float>(x); }
inline double __ll2double_rn(long long x) { return static_cast<double>(x); }
inline double __int2double_rn(int x) { return static_cast<double>(x); }
inline float __double2float_rn(double x) { return static_cast<float>(x); }

// Atomics, in global and shared memory. They return what was there.
#define KINDLING_EMULATED_ATOMIC(name, type) type name(type* at, type value)
KINDLING_EMULATED_ATOMIC(atomicAdd, int);
KINDLING_EMULATED_ATOMIC(atomicAdd, unsigned);
KINDLING_EMULATED_ATOMIC(atomicAdd, unsigned long long);
KINDLING_EMULATED_ATOMIC(atomicAdd, float);
KINDLING_EMULATED_ATOMIC(atomicAdd, double);
KINDLING_EMULATED_ATOMIC(atomicSub, int);
KINDLING_EMULATED_ATOMIC(atomicSub, unsigned);
KINDLING_EMULATED_ATOMIC(atomicMin, int);
KINDLING_EMULATED_ATOMIC(atomicMin, unsigned);
KINDLING_EMULATED_ATOMIC(atomicMin, long long);
KINDLING_EMULATED_ATOMIC(atomicMin, unsigned long long);
KINDLING_EMULATED_ATOMIC(atomicMax, int);
KINDLING_EMULATED_ATOMIC(atomicMax, unsigned);
KINDLING_EMULATED_ATOMIC(atomicMax, long long);
KINDLING_EMULATED_ATOMIC(atomicMax, unsigned long long);
KINDLING_EMULATED_ATOMIC(atomicOr, int);
KINDLING_EMULATED_ATOMIC(atomicOr, unsigned);
KINDLING_EMULATED_ATOMIC(atomicAnd, int);
KINDLING_EMULATED_ATOMIC(atomicAnd, unsigned);
KINDLING_EMULATED_ATOMIC(atomicXor, unsigned);
KINDLING_EMULATED_ATOMIC(atomicExch, int);
KINDLING_EMULATED_ATOMIC(atomicExch, unsigned);
KINDLING_EMULATED_ATOMIC(atomicExch, unsigned long long);
KINDLING_EMULATED_ATOMIC(atomicExch, float);
#undef KINDLING_EMULATED_ATOMIC
int atomicCAS(int* at, int expected, int value);
unsigned atomicCAS(unsigned* at, unsigned expected, unsigned value);
unsigned short atomicCAS(unsigned short* at, unsigned short expected, unsigned short value);
unsigned long long atomicCAS(unsigned long long* at, unsigned long long expected,
                             unsigned long long value);
