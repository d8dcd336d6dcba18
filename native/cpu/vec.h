#pragma once
// One small vector type, so that a kernel is written once for every instruction set. The build
// compiles each kernel file once per level and defines KINDLING_ISA_LEVEL (0 scalar, 1 AVX2+FMA,
// 2 AVX-512, 3 NEON) and KINDLING_ISA (the level's namespace). Everything lives in that namespace,
// so that no symbol is shared between the levels.

#include <cstdint>

#if KINDLING_ISA_LEVEL == 1 || KINDLING_ISA_LEVEL == 2
#include <immintrin.h>
#elif KINDLING_ISA_LEVEL == 0
#include <cmath>
#include <cstring>
#endif

#define KINDLING_INLINE inline __attribute__((always_inline))

#if KINDLING_ISA_LEVEL == 3

#include "cpu/vec_neon.h"

#else

namespace kindling {
namespace KINDLING_ISA {

#if KINDLING_ISA_LEVEL == 2

struct Mask {
  __mmask16 m;
  KINDLING_INLINE Mask operator&(Mask o) const { return {static_cast<__mmask16>(m & o.m)}; }
  KINDLING_INLINE Mask operator|(Mask o) const { return {static_cast<__mmask16>(m | o.m)}; }
  KINDLING_INLINE Mask operator!() const { return {static_cast<__mmask16>(~m)}; }
  /// One bit per lane.
  KINDLING_INLINE uint32_t bits() const { return m; }
};

/// The first n lanes, 0 <= n <= width.
KINDLING_INLINE __mmask16 firstLanes(int n) { return static_cast<__mmask16>((1u << n) - 1u); }

struct VecI {
  using Scalar = int32_t;
  static constexpr int width = 16;
  __m512i v;
  static KINDLING_INLINE VecI load(const int32_t* p) { return {_mm512_loadu_si512(p)}; }
  static KINDLING_INLINE VecI loadPartial(const int32_t* p, int n) {
    return {_mm512_maskz_loadu_epi32(firstLanes(n), p)};
  }
  KINDLING_INLINE void store(int32_t* p) const { _mm512_storeu_si512(p, v); }
  KINDLING_INLINE void storePartial(int32_t* p, int n) const {
    _mm512_mask_storeu_epi32(p, firstLanes(n), v);
  }
  static KINDLING_INLINE VecI set1(int32_t x) { return {_mm512_set1_epi32(x)}; }
  KINDLING_INLINE VecI operator+(VecI o) const { return {_mm512_add_epi32(v, o.v)}; }
  KINDLING_INLINE VecI operator-(VecI o) const { return {_mm512_sub_epi32(v, o.v)}; }
  KINDLING_INLINE VecI operator*(VecI o) const { return {_mm512_mullo_epi32(v, o.v)}; }
  KINDLING_INLINE VecI operator&(VecI o) const { return {_mm512_and_si512(v, o.v)}; }
  KINDLING_INLINE VecI operator|(VecI o) const { return {_mm512_or_si512(v, o.v)}; }
  KINDLING_INLINE VecI operator^(VecI o) const { return {_mm512_xor_si512(v, o.v)}; }
  template <int n>
  KINDLING_INLINE VecI shiftLeft() const {
    return {_mm512_slli_epi32(v, n)};
  }
  template <int n>
  KINDLING_INLINE VecI shiftRight() const {
    return {_mm512_srai_epi32(v, n)};
  }
  KINDLING_INLINE Mask operator==(VecI o) const { return {_mm512_cmpeq_epi32_mask(v, o.v)}; }
  KINDLING_INLINE Mask operator<(VecI o) const { return {_mm512_cmplt_epi32_mask(v, o.v)}; }
};

struct VecF {
  using Scalar = float;
  static constexpr int width = 16;
  __m512 v;
  static KINDLING_INLINE VecF load(const float* p) { return {_mm512_loadu_ps(p)}; }
  static KINDLING_INLINE VecF loadPartial(const float* p, int n) {
    return {_mm512_maskz_loadu_ps(firstLanes(n), p)};
  }
  KINDLING_INLINE void store(float* p) const { _mm512_storeu_ps(p, v); }
  KINDLING_INLINE void storePartial(float* p, int n) const {
    _mm512_mask_storeu_ps(p, firstLanes(n), v);
  }
  static KINDLING_INLINE VecF set1(float x) { return {_mm512_set1_ps(x)}; }
  static KINDLING_INLINE VecF zero() { return {_mm512_setzero_ps()}; }
  KINDLING_INLINE VecF operator+(VecF o) const { return {_mm512_add_ps(v, o.v)}; }
  KINDLING_INLINE VecF operator-(VecF o) const { return {_mm512_sub_ps(v, o.v)}; }
  KINDLING_INLINE VecF operator*(VecF o) const { return {_mm512_mul_ps(v, o.v)}; }
  KINDLING_INLINE VecF operator/(VecF o) const { return {_mm512_div_ps(v, o.v)}; }
  KINDLING_INLINE Mask operator==(VecF o) const { return {_mm512_cmp_ps_mask(v, o.v, _CMP_EQ_OQ)}; }
  KINDLING_INLINE Mask operator<(VecF o) const { return {_mm512_cmp_ps_mask(v, o.v, _CMP_LT_OQ)}; }
  KINDLING_INLINE Mask operator<=(VecF o) const { return {_mm512_cmp_ps_mask(v, o.v, _CMP_LE_OQ)}; }
  KINDLING_INLINE Mask isNaN() const { return {_mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q)}; }
};

/// a * b + c, rounded once (scalar level: as the compiler rounds).
KINDLING_INLINE VecF fma(VecF a, VecF b, VecF c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
/// c - a * b
KINDLING_INLINE VecF fnma(VecF a, VecF b, VecF c) { return {_mm512_fnmadd_ps(a.v, b.v, c.v)}; }
/// As the hardware: the second operand where either is NaN.
KINDLING_INLINE VecF maxRaw(VecF a, VecF b) { return {_mm512_max_ps(a.v, b.v)}; }
KINDLING_INLINE VecF minRaw(VecF a, VecF b) { return {_mm512_min_ps(a.v, b.v)}; }
KINDLING_INLINE VecI max(VecI a, VecI b) { return {_mm512_max_epi32(a.v, b.v)}; }
KINDLING_INLINE VecI min(VecI a, VecI b) { return {_mm512_min_epi32(a.v, b.v)}; }
KINDLING_INLINE VecF sqrt(VecF a) { return {_mm512_sqrt_ps(a.v)}; }
/// To the nearest integer, ties to even.
KINDLING_INLINE VecF roundEven(VecF a) {
  return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
KINDLING_INLINE VecF floor(VecF a) {
  return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC)};
}
KINDLING_INLINE VecF ceil(VecF a) {
  return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC)};
}
KINDLING_INLINE VecF trunc(VecF a) {
  return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC)};
}
/// mask ? a : b
KINDLING_INLINE VecF select(Mask m, VecF a, VecF b) {
  return {_mm512_mask_blend_ps(m.m, b.v, a.v)};
}
KINDLING_INLINE VecI select(Mask m, VecI a, VecI b) {
  return {_mm512_mask_blend_epi32(m.m, b.v, a.v)};
}
KINDLING_INLINE VecI bitsOf(VecF a) { return {_mm512_castps_si512(a.v)}; }
KINDLING_INLINE VecF fromBits(VecI a) { return {_mm512_castsi512_ps(a.v)}; }
KINDLING_INLINE VecI toInt(VecF a) { return {_mm512_cvttps_epi32(a.v)}; }
KINDLING_INLINE VecF toFloat(VecI a) { return {_mm512_cvtepi32_ps(a.v)}; }
KINDLING_INLINE float reduceAdd(VecF a) { return _mm512_reduce_add_ps(a.v); }
KINDLING_INLINE float reduceMaxRaw(VecF a) { return _mm512_reduce_max_ps(a.v); }
KINDLING_INLINE float reduceMinRaw(VecF a) { return _mm512_reduce_min_ps(a.v); }

#elif KINDLING_ISA_LEVEL == 1

struct Mask {
  __m256 m;
  KINDLING_INLINE Mask operator&(Mask o) const { return {_mm256_and_ps(m, o.m)}; }
  KINDLING_INLINE Mask operator|(Mask o) const { return {_mm256_or_ps(m, o.m)}; }
  KINDLING_INLINE Mask operator!() const {
    return {_mm256_xor_ps(m, _mm256_castsi256_ps(_mm256_set1_epi32(-1)))};
  }
  /// One bit per lane.
  KINDLING_INLINE uint32_t bits() const { return static_cast<uint32_t>(_mm256_movemask_ps(m)); }
};

/// The first n lanes, 0 <= n <= width.
KINDLING_INLINE __m256i firstLanes(int n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

struct VecI {
  using Scalar = int32_t;
  static constexpr int width = 8;
  __m256i v;
  static KINDLING_INLINE VecI load(const int32_t* p) {
    return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))};
  }
  static KINDLING_INLINE VecI loadPartial(const int32_t* p, int n) {
    return {_mm256_maskload_epi32(p, firstLanes(n))};
  }
  KINDLING_INLINE void store(int32_t* p) const {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v);
  }
  KINDLING_INLINE void storePartial(int32_t* p, int n) const {
    _mm256_maskstore_epi32(p, firstLanes(n), v);
  }
  static KINDLING_INLINE VecI set1(int32_t x) { return {_mm256_set1_epi32(x)}; }
  KINDLING_INLINE VecI operator+(VecI o) const { return {_mm256_add_epi32(v, o.v)}; }
  KINDLING_INLINE VecI operator-(VecI o) const { return {_mm256_sub_epi32(v, o.v)}; }
  KINDLING_INLINE VecI operator*(VecI o) const { return {_mm256_mullo_epi32(v, o.v)}; }
  KINDLING_INLINE VecI operator&(VecI o) const { return {_mm256_and_si256(v, o.v)}; }
  KINDLING_INLINE VecI operator|(VecI o) const { return {_mm256_or_si256(v, o.v)}; }
  KINDLING_INLINE VecI operator^(VecI o) const { return {_mm256_xor_si256(v, o.v)}; }
  template <int n>
  KINDLING_INLINE VecI shiftLeft() const {
    return {_mm256_slli_epi32(v, n)};
  }
  template <int n>
  KINDLING_INLINE VecI shiftRight() const {
    return {_mm256_srai_epi32(v, n)};
  }
  KINDLING_INLINE Mask operator==(VecI o) const {
    return {_mm256_castsi256_ps(_mm256_cmpeq_epi32(v, o.v))};
  }
  KINDLING_INLINE Mask operator<(VecI o) const {
    return {_mm256_castsi256_ps(_mm256_cmpgt_epi32(o.v, v))};
  }
};

struct VecF {
  using Scalar = float;
  static constexpr int width = 8;
  __m256 v;
  static KINDLING_INLINE VecF load(const float* p) { return {_mm256_loadu_ps(p)}; }
  static KINDLING_INLINE VecF loadPartial(const float* p, int n) {
    return {_mm256_maskload_ps(p, firstLanes(n))};
  }
  KINDLING_INLINE void store(float* p) const { _mm256_storeu_ps(p, v); }
  KINDLING_INLINE void storePartial(float* p, int n) const {
    _mm256_maskstore_ps(p, firstLanes(n), v);
  }
  static KINDLING_INLINE VecF set1(float x) { return {_mm256_set1_ps(x)}; }
  static KINDLING_INLINE VecF zero() { return {_mm256_setzero_ps()}; }
  KINDLING_INLINE VecF operator+(VecF o) const { return {_mm256_add_ps(v, o.v)}; }
  KINDLING_INLINE VecF operator-(VecF o) const { return {_mm256_sub_ps(v, o.v)}; }
  KINDLING_INLINE VecF operator*(VecF o) const { return {_mm256_mul_ps(v, o.v)}; }
  KINDLING_INLINE VecF operator/(VecF o) const { return {_mm256_div_ps(v, o.v)}; }
  KINDLING_INLINE Mask operator==(VecF o) const { return {_mm256_cmp_ps(v, o.v, _CMP_EQ_OQ)}; }
  KINDLING_INLINE Mask operator<(VecF o) const { return {_mm256_cmp_ps(v, o.v, _CMP_LT_OQ)}; }
  KINDLING_INLINE Mask operator<=(VecF o) const { return {_mm256_cmp_ps(v, o.v, _CMP_LE_OQ)}; }
  KINDLING_INLINE Mask isNaN() const { return {_mm256_cmp_ps(v, v, _CMP_UNORD_Q)}; }
};

/// a * b + c, rounded once (scalar level: as the compiler rounds).
KINDLING_INLINE VecF fma(VecF a, VecF b, VecF c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
/// c - a * b
KINDLING_INLINE VecF fnma(VecF a, VecF b, VecF c) { return {_mm256_fnmadd_ps(a.v, b.v, c.v)}; }
/// As the hardware: the second operand where either is NaN.
KINDLING_INLINE VecF maxRaw(VecF a, VecF b) { return {_mm256_max_ps(a.v, b.v)}; }
KINDLING_INLINE VecF minRaw(VecF a, VecF b) { return {_mm256_min_ps(a.v, b.v)}; }
KINDLING_INLINE VecI max(VecI a, VecI b) { return {_mm256_max_epi32(a.v, b.v)}; }
KINDLING_INLINE VecI min(VecI a, VecI b) { return {_mm256_min_epi32(a.v, b.v)}; }
KINDLING_INLINE VecF sqrt(VecF a) { return {_mm256_sqrt_ps(a.v)}; }
/// To the nearest integer, ties to even.
KINDLING_INLINE VecF roundEven(VecF a) {
  return {_mm256_round_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
KINDLING_INLINE VecF floor(VecF a) {
  return {_mm256_round_ps(a.v, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC)};
}
KINDLING_INLINE VecF ceil(VecF a) {
  return {_mm256_round_ps(a.v, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC)};
}
KINDLING_INLINE VecF trunc(VecF a) {
  return {_mm256_round_ps(a.v, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC)};
}
/// mask ? a : b
KINDLING_INLINE VecF select(Mask m, VecF a, VecF b) { return {_mm256_blendv_ps(b.v, a.v, m.m)}; }
KINDLING_INLINE VecI select(Mask m, VecI a, VecI b) {
  return {_mm256_castps_si256(
      _mm256_blendv_ps(_mm256_castsi256_ps(b.v), _mm256_castsi256_ps(a.v), m.m))};
}
KINDLING_INLINE VecI bitsOf(VecF a) { return {_mm256_castps_si256(a.v)}; }
KINDLING_INLINE VecF fromBits(VecI a) { return {_mm256_castsi256_ps(a.v)}; }
KINDLING_INLINE VecI toInt(VecF a) { return {_mm256_cvttps_epi32(a.v)}; }
KINDLING_INLINE VecF toFloat(VecI a) { return {_mm256_cvtepi32_ps(a.v)}; }

KINDLING_INLINE float reduceAdd(VecF a) {
  __m128 x = _mm_add_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
  x = _mm_add_ps(x, _mm_movehl_ps(x, x));
  return _mm_cvtss_f32(_mm_add_ss(x, _mm_shuffle_ps(x, x, 1)));
}
KINDLING_INLINE float reduceMaxRaw(VecF a) {
  __m128 x = _mm_max_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
  x = _mm_max_ps(x, _mm_movehl_ps(x, x));
  return _mm_cvtss_f32(_mm_max_ss(x, _mm_shuffle_ps(x, x, 1)));
}
KINDLING_INLINE float reduceMinRaw(VecF a) {
  __m128 x = _mm_min_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
  x = _mm_min_ps(x, _mm_movehl_ps(x, x));
  return _mm_cvtss_f32(_mm_min_ss(x, _mm_shuffle_ps(x, x, 1)));
}

#else

struct Mask {
  bool m;
  KINDLING_INLINE Mask operator&(Mask o) const { return {m && o.m}; }
  KINDLING_INLINE Mask operator|(Mask o) const { return {m || o.m}; }
  KINDLING_INLINE Mask operator!() const { return {!m}; }
  KINDLING_INLINE uint32_t bits() const { return m; }
};

struct VecI {
  using Scalar = int32_t;
  static constexpr int width = 1;
  int32_t v;
  static KINDLING_INLINE VecI load(const int32_t* p) { return {*p}; }
  static KINDLING_INLINE VecI loadPartial(const int32_t* p, int n) { return {n ? *p : 0}; }
  KINDLING_INLINE void store(int32_t* p) const { *p = v; }
  KINDLING_INLINE void storePartial(int32_t* p, int n) const {
    if (n) *p = v;
  }
  static KINDLING_INLINE VecI set1(int32_t x) { return {x}; }
  // Integers wrap, as they do in the vector instructions.
  static KINDLING_INLINE VecI wrap(uint32_t x) { return {static_cast<int32_t>(x)}; }
  KINDLING_INLINE uint32_t u() const { return static_cast<uint32_t>(v); }
  KINDLING_INLINE VecI operator+(VecI o) const { return wrap(u() + o.u()); }
  KINDLING_INLINE VecI operator-(VecI o) const { return wrap(u() - o.u()); }
  KINDLING_INLINE VecI operator*(VecI o) const { return wrap(u() * o.u()); }
  KINDLING_INLINE VecI operator&(VecI o) const { return {v & o.v}; }
  KINDLING_INLINE VecI operator|(VecI o) const { return {v | o.v}; }
  KINDLING_INLINE VecI operator^(VecI o) const { return {v ^ o.v}; }
  template <int n>
  KINDLING_INLINE VecI shiftLeft() const {
    return wrap(u() << n);
  }
  template <int n>
  KINDLING_INLINE VecI shiftRight() const {
    return {v >> n};
  }
  KINDLING_INLINE Mask operator==(VecI o) const { return {v == o.v}; }
  KINDLING_INLINE Mask operator<(VecI o) const { return {v < o.v}; }
};

struct VecF {
  using Scalar = float;
  static constexpr int width = 1;
  float v;
  static KINDLING_INLINE VecF load(const float* p) { return {*p}; }
  static KINDLING_INLINE VecF loadPartial(const float* p, int n) { return {n ? *p : 0.0f}; }
  KINDLING_INLINE void store(float* p) const { *p = v; }
  KINDLING_INLINE void storePartial(float* p, int n) const {
    if (n) *p = v;
  }
  static KINDLING_INLINE VecF set1(float x) { return {x}; }
  static KINDLING_INLINE VecF zero() { return {0.0f}; }
  KINDLING_INLINE VecF operator+(VecF o) const { return {v + o.v}; }
  KINDLING_INLINE VecF operator-(VecF o) const { return {v - o.v}; }
  KINDLING_INLINE VecF operator*(VecF o) const { return {v * o.v}; }
  KINDLING_INLINE VecF operator/(VecF o) const { return {v / o.v}; }
  KINDLING_INLINE Mask operator==(VecF o) const { return {v == o.v}; }
  KINDLING_INLINE Mask operator<(VecF o) const { return {v < o.v}; }
  KINDLING_INLINE Mask operator<=(VecF o) const { return {v <= o.v}; }
  KINDLING_INLINE Mask isNaN() const { return {v != v}; }
};

/// a * b + c, rounded once (scalar level: as the compiler rounds).
KINDLING_INLINE VecF fma(VecF a, VecF b, VecF c) { return {a.v * b.v + c.v}; }
/// c - a * b
KINDLING_INLINE VecF fnma(VecF a, VecF b, VecF c) { return {c.v - a.v * b.v}; }
/// As the hardware: the second operand where either is NaN.
KINDLING_INLINE VecF maxRaw(VecF a, VecF b) { return {a.v > b.v ? a.v : b.v}; }
KINDLING_INLINE VecF minRaw(VecF a, VecF b) { return {a.v < b.v ? a.v : b.v}; }
KINDLING_INLINE VecI max(VecI a, VecI b) { return {a.v > b.v ? a.v : b.v}; }
KINDLING_INLINE VecI min(VecI a, VecI b) { return {a.v < b.v ? a.v : b.v}; }
KINDLING_INLINE VecF sqrt(VecF a) { return {sqrtf(a.v)}; }
/// To the nearest integer, ties to even.
KINDLING_INLINE VecF roundEven(VecF a) { return {rintf(a.v)}; }
KINDLING_INLINE VecF floor(VecF a) { return {floorf(a.v)}; }
KINDLING_INLINE VecF ceil(VecF a) { return {ceilf(a.v)}; }
KINDLING_INLINE VecF trunc(VecF a) { return {truncf(a.v)}; }
/// mask ? a : b
KINDLING_INLINE VecF select(Mask m, VecF a, VecF b) { return {m.m ? a.v : b.v}; }
KINDLING_INLINE VecI select(Mask m, VecI a, VecI b) { return {m.m ? a.v : b.v}; }
KINDLING_INLINE VecI bitsOf(VecF a) {
  VecI r;
  memcpy(&r.v, &a.v, 4);
  return r;
}
KINDLING_INLINE VecF fromBits(VecI a) {
  VecF r;
  memcpy(&r.v, &a.v, 4);
  return r;
}
/// Out of range and NaN give INT32_MIN, as the vector instructions do.
KINDLING_INLINE VecI toInt(VecF a) {
  return {a.v >= -2147483648.0f && a.v < 2147483648.0f ? static_cast<int32_t>(a.v) : INT32_MIN};
}
KINDLING_INLINE VecF toFloat(VecI a) { return {static_cast<float>(a.v)}; }
KINDLING_INLINE float reduceAdd(VecF a) { return a.v; }
KINDLING_INLINE float reduceMaxRaw(VecF a) { return a.v; }
KINDLING_INLINE float reduceMinRaw(VecF a) { return a.v; }

#endif

}  // namespace KINDLING_ISA
}  // namespace kindling

#endif

#include "cpu/lane.h"
