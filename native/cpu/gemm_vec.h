#pragma once
// What the matrix product needs of a vector beyond vec.h: stores of the first lanes that are cheap
// at every level, and transposes in registers.

#include <cstdint>

#include "cpu/gemm_vec_double.h"
#include "cpu/vec.h"

namespace kindling {
namespace KINDLING_ISA {

#if KINDLING_ISA_LEVEL == 0

/// 16 bytes of lanes the portable way: the compiler lowers this to whatever the baseline target
/// has.
template <typename T>
struct PortableVec {
  using Scalar = T;
  static constexpr int width = 16 / sizeof(T);
  typedef T Lanes __attribute__((vector_size(16)));
  Lanes v;
  static KINDLING_INLINE PortableVec load(const T* p) {
    PortableVec r;
    __builtin_memcpy(&r.v, p, sizeof(r.v));
    return r;
  }
  static KINDLING_INLINE PortableVec loadPartial(const T* p, int n) {
    PortableVec r = zero();
    for (int i = 0; i < n; ++i) r.v[i] = p[i];
    return r;
  }
  KINDLING_INLINE void store(T* p) const { __builtin_memcpy(p, &v, sizeof(v)); }
  KINDLING_INLINE void storePartial(T* p, int n) const {
    for (int i = 0; i < n; ++i) p[i] = v[i];
  }
  static KINDLING_INLINE PortableVec set1(T x) {
    PortableVec r;
    for (int i = 0; i < width; ++i) r.v[i] = x;
    return r;
  }
  static KINDLING_INLINE PortableVec zero() { return {Lanes{}}; }
  KINDLING_INLINE PortableVec operator+(PortableVec o) const { return {v + o.v}; }
};

using GemmVec = PortableVec<float>;
using GemmVecD = PortableVec<double>;

template <typename T>
KINDLING_INLINE PortableVec<T> fma(PortableVec<T> a, PortableVec<T> b, PortableVec<T> c) {
  return {a.v * b.v + c.v};
}

template <typename T>
KINDLING_INLINE void storeFirst(PortableVec<T> x, T* p, int n) {
  x.storePartial(p, n);
}

/// NaN stays.
template <typename T>
KINDLING_INLINE PortableVec<T> relu(PortableVec<T> x) {
  for (int i = 0; i < x.width; ++i) x.v[i] = T(0) > x.v[i] ? T(0) : x.v[i];
  return x;
}

KINDLING_INLINE float reduceAdd(GemmVec a) { return (a.v[0] + a.v[2]) + (a.v[1] + a.v[3]); }
KINDLING_INLINE double reduceAdd(GemmVecD a) { return a.v[0] + a.v[1]; }

template <typename T>
KINDLING_INLINE void transposeSquare(PortableVec<T>* x) {
  for (int i = 0; i < x->width; ++i) {
    for (int j = 0; j < i; ++j) {
      const T t = x[i].v[j];
      x[i].v[j] = x[j].v[i];
      x[j].v[i] = t;
    }
  }
}

template <typename T>
KINDLING_INLINE void transposeSquareOf(T* to, int64_t toStep, const T* from, int64_t across) {
  constexpr int kWidth = PortableVec<T>::width;
  for (int i = 0; i < kWidth; ++i) {
    for (int j = 0; j < kWidth; ++j) to[j * toStep + i] = from[i * across + j];
  }
}

/// The sums of four vectors' lanes.
template <typename T>
KINDLING_INLINE void reduceAdd4(const PortableVec<T>* x, T* sums) {
  for (int i = 0; i < 4; ++i) sums[i] = reduceAdd(x[i]);
}

#else

using GemmVec = VecF;

/// maxRaw gives its second operand where that is NaN.
KINDLING_INLINE VecF relu(VecF x) { return maxRaw(VecF::zero(), x); }

#if KINDLING_ISA_LEVEL < 3

KINDLING_INLINE __m128 reduceAdd4(__m256 a, __m256 b, __m256 c, __m256 d) {
  const __m256 sums = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
  return _mm_add_ps(_mm256_castps256_ps128(sums), _mm256_extractf128_ps(sums, 1));
}

#if KINDLING_ISA_LEVEL == 1

/// Stores the first n lanes, 1 <= n <= width; a masked store takes tens of cycles on some CPUs.
KINDLING_INLINE void storeFirst(VecF x, float* p, int n) {
  if (n == 8) return x.store(p);
  __m128 rest = _mm256_castps256_ps128(x.v);
  if (n & 4) {
    _mm_storeu_ps(p, rest);
    rest = _mm256_extractf128_ps(x.v, 1);
    p += 4;
  }
  if (n & 2) {
    _mm_storel_pi(reinterpret_cast<__m64*>(p), rest);
    rest = _mm_movehl_ps(rest, rest);
    p += 2;
  }
  if (n & 1) _mm_store_ss(p, rest);
}

KINDLING_INLINE void reduceAdd4(const VecF* x, float* sums) {
  _mm_storeu_ps(sums, reduceAdd4(x[0].v, x[1].v, x[2].v, x[3].v));
}

/// Transposes a square from memory to memory: to[j * toStep + i] = from[i * across + j]. Halves of
/// rows are brought together by loads, which leaves fewer shuffles than transposeSquare needs.
KINDLING_INLINE void transposeSquareOf(float* to, int64_t toStep, const float* from,
                                       int64_t across) {
#pragma GCC unroll 2
  for (int c = 0; c < 8; c += 4) {
    __m256 x[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      const float* row = from + i * across + c;
      x[i] = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(row)),
                                  _mm_loadu_ps(row + 4 * across), 1);
    }
    const __m256 a = _mm256_unpacklo_ps(x[0], x[1]), b = _mm256_unpackhi_ps(x[0], x[1]);
    const __m256 d = _mm256_unpacklo_ps(x[2], x[3]), e = _mm256_unpackhi_ps(x[2], x[3]);
    _mm256_storeu_ps(to + c * toStep, _mm256_shuffle_ps(a, d, 0x44));
    _mm256_storeu_ps(to + (c + 1) * toStep, _mm256_shuffle_ps(a, d, 0xee));
    _mm256_storeu_ps(to + (c + 2) * toStep, _mm256_shuffle_ps(b, e, 0x44));
    _mm256_storeu_ps(to + (c + 3) * toStep, _mm256_shuffle_ps(b, e, 0xee));
  }
}

KINDLING_INLINE void transposeSquare(VecF* x) {
  __m256 t[8];
  for (int i = 0; i < 8; i += 2) {
    t[i] = _mm256_unpacklo_ps(x[i].v, x[i + 1].v);
    t[i + 1] = _mm256_unpackhi_ps(x[i].v, x[i + 1].v);
  }
  __m256 u[8];
  for (int i = 0; i < 8; i += 4) {
    u[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
    u[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xee);
    u[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
    u[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xee);
  }
  for (int i = 0; i < 4; ++i) {
    x[i].v = _mm256_permute2f128_ps(u[i], u[i + 4], 0x20);
    x[i + 4].v = _mm256_permute2f128_ps(u[i], u[i + 4], 0x31);
  }
}

#else

KINDLING_INLINE void storeFirst(VecF x, float* p, int n) { x.storePartial(p, n); }

KINDLING_INLINE __m256 addHalves(__m512 x) {
  return _mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
}

KINDLING_INLINE void reduceAdd4(const VecF* x, float* sums) {
  _mm_storeu_ps(
      sums, reduceAdd4(addHalves(x[0].v), addHalves(x[1].v), addHalves(x[2].v), addHalves(x[3].v)));
}

KINDLING_INLINE void transposeSquare(VecF* x) {
  __m512 t[16];
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_ps(x[i].v, x[i + 1].v);
    t[i + 1] = _mm512_unpackhi_ps(x[i].v, x[i + 1].v);
  }
  __m512 u[16];
  for (int i = 0; i < 16; i += 4) {
    u[i] = _mm512_shuffle_ps(t[i], t[i + 2], 0x44);
    u[i + 1] = _mm512_shuffle_ps(t[i], t[i + 2], 0xee);
    u[i + 2] = _mm512_shuffle_ps(t[i + 1], t[i + 3], 0x44);
    u[i + 3] = _mm512_shuffle_ps(t[i + 1], t[i + 3], 0xee);
  }
  for (int i = 0; i < 4; ++i) {
    const __m512 a = _mm512_shuffle_f32x4(u[i], u[i + 4], 0x88);
    const __m512 b = _mm512_shuffle_f32x4(u[i], u[i + 4], 0xdd);
    const __m512 c = _mm512_shuffle_f32x4(u[i + 8], u[i + 12], 0x88);
    const __m512 d = _mm512_shuffle_f32x4(u[i + 8], u[i + 12], 0xdd);
    x[i].v = _mm512_shuffle_f32x4(a, c, 0x88);
    x[i + 4].v = _mm512_shuffle_f32x4(b, d, 0x88);
    x[i + 8].v = _mm512_shuffle_f32x4(a, c, 0xdd);
    x[i + 12].v = _mm512_shuffle_f32x4(b, d, 0xdd);
  }
}

KINDLING_INLINE void transposeSquareOf(float* to, int64_t toStep, const float* from,
                                       int64_t across) {
  VecF block[16];
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i) block[i] = VecF::load(from + i * across);
  transposeSquare(block);
#pragma GCC unroll 16
  for (int j = 0; j < 16; ++j) block[j].store(to + j * toStep);
}

#endif
#endif
#endif

/// The vector of a number type.
template <typename T>
struct GemmVecFor;
template <>
struct GemmVecFor<float> {
  using Type = GemmVec;
};
template <>
struct GemmVecFor<double> {
  using Type = GemmVecD;
};
template <typename T>
using GemmVecOf = typename GemmVecFor<T>::Type;

}  // namespace KINDLING_ISA
}  // namespace kindling
