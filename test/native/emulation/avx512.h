#pragma once
// AVX-512 for CPUs that lack it: the 512-bit intrinsics of the kernels as pairs of 256-bit ones, so
// that the kernels of that level are tested wherever there is AVX2. Included by force into the
// avx512 objects of a build with KINDLING_EMULATE_AVX512. The names stand in the level's own
// namespace, where they hide the compiler's; one that is missing here does not compile there. What
// does not fit halves goes element by element: this is for tests, not for speed.

#include <immintrin.h>

#include <cstdint>
#include <cstring>

// Macros of the compiler in builds that do not optimize.
#undef _mm512_cmp_ps_mask
#undef _mm512_extractf32x8_ps
#undef _mm512_extractf64x4_pd
#undef _mm512_extracti64x4_epi64
#undef _mm512_roundscale_ps
#undef _mm512_shuffle_f32x4
#undef _mm512_shuffle_f64x2
#undef _mm512_shuffle_ps
#undef _mm512_slli_epi32
#undef _mm512_srai_epi32
#undef _mm512_srli_epi32

#define KINDLING_EMULATED static inline __attribute__((always_inline, unused))

namespace kindling {
namespace KINDLING_ISA {

struct __m512 {
  __m256 low, high;
};
struct __m512d {
  __m256d low, high;
};
struct __m512i {
  __m256i low, high;
};
struct __m256bh {
  __m256i all;
};
struct __m512bh {
  __m256i low, high;
};

// ---- arithmetic, by halves

#define KINDLING_UNARY(to, from, name, half)              \
  KINDLING_EMULATED to _mm512_##name(from a) {            \
    return {_mm256_##half(a.low), _mm256_##half(a.high)}; \
  }
#define KINDLING_BINARY(type, name, half)                                \
  KINDLING_EMULATED type _mm512_##name(type a, type b) {                 \
    return {_mm256_##half(a.low, b.low), _mm256_##half(a.high, b.high)}; \
  }
#define KINDLING_TERNARY(type, name)                                                    \
  KINDLING_EMULATED type _mm512_##name(type a, type b, type c) {                        \
    return {_mm256_##name(a.low, b.low, c.low), _mm256_##name(a.high, b.high, c.high)}; \
  }

KINDLING_BINARY(__m512, add_ps, add_ps)
KINDLING_BINARY(__m512, sub_ps, sub_ps)
KINDLING_BINARY(__m512, mul_ps, mul_ps)
KINDLING_BINARY(__m512, div_ps, div_ps)
KINDLING_BINARY(__m512, max_ps, max_ps)
KINDLING_BINARY(__m512, min_ps, min_ps)
KINDLING_BINARY(__m512, unpacklo_ps, unpacklo_ps)
KINDLING_BINARY(__m512, unpackhi_ps, unpackhi_ps)
KINDLING_UNARY(__m512, __m512, sqrt_ps, sqrt_ps)
KINDLING_TERNARY(__m512, fmadd_ps)
KINDLING_TERNARY(__m512, fnmadd_ps)

KINDLING_BINARY(__m512d, add_pd, add_pd)
KINDLING_BINARY(__m512d, sub_pd, sub_pd)
KINDLING_BINARY(__m512d, mul_pd, mul_pd)
KINDLING_BINARY(__m512d, div_pd, div_pd)
KINDLING_BINARY(__m512d, max_pd, max_pd)
KINDLING_BINARY(__m512d, min_pd, min_pd)
KINDLING_BINARY(__m512d, unpacklo_pd, unpacklo_pd)
KINDLING_BINARY(__m512d, unpackhi_pd, unpackhi_pd)
KINDLING_UNARY(__m512d, __m512d, sqrt_pd, sqrt_pd)
KINDLING_TERNARY(__m512d, fmadd_pd)
KINDLING_TERNARY(__m512d, fnmadd_pd)

KINDLING_BINARY(__m512i, add_epi32, add_epi32)
KINDLING_BINARY(__m512i, sub_epi32, sub_epi32)
KINDLING_BINARY(__m512i, mullo_epi32, mullo_epi32)
KINDLING_BINARY(__m512i, max_epi32, max_epi32)
KINDLING_BINARY(__m512i, min_epi32, min_epi32)
KINDLING_BINARY(__m512i, and_si512, and_si256)
KINDLING_BINARY(__m512i, or_si512, or_si256)
KINDLING_BINARY(__m512i, xor_si512, xor_si256)
KINDLING_BINARY(__m512i, unpacklo_epi16, unpacklo_epi16)
KINDLING_BINARY(__m512i, unpackhi_epi16, unpackhi_epi16)
KINDLING_BINARY(__m512i, unpacklo_epi32, unpacklo_epi32)
KINDLING_BINARY(__m512i, unpackhi_epi32, unpackhi_epi32)

KINDLING_UNARY(__m512i, __m512, castps_si512, castps_si256)
KINDLING_UNARY(__m512, __m512i, castsi512_ps, castsi256_ps)
KINDLING_UNARY(__m512d, __m512, castps_pd, castps_pd)
KINDLING_UNARY(__m512, __m512d, castpd_ps, castpd_ps)
KINDLING_UNARY(__m512i, __m512, cvttps_epi32, cvttps_epi32)
KINDLING_UNARY(__m512, __m512i, cvtepi32_ps, cvtepi32_ps)

#undef KINDLING_UNARY
#undef KINDLING_BINARY
#undef KINDLING_TERNARY

KINDLING_EMULATED __m512i _mm512_slli_epi32(__m512i a, unsigned n) {
  const int count = static_cast<int>(n);
  return {_mm256_slli_epi32(a.low, count), _mm256_slli_epi32(a.high, count)};
}
KINDLING_EMULATED __m512i _mm512_srli_epi32(__m512i a, unsigned n) {
  const int count = static_cast<int>(n);
  return {_mm256_srli_epi32(a.low, count), _mm256_srli_epi32(a.high, count)};
}
KINDLING_EMULATED __m512i _mm512_srai_epi32(__m512i a, unsigned n) {
  const int count = static_cast<int>(n);
  return {_mm256_srai_epi32(a.low, count), _mm256_srai_epi32(a.high, count)};
}
template <typename Mode>
KINDLING_EMULATED __m512 _mm512_roundscale_ps(__m512 a, Mode mode) {
  // The kernels' four modes; the instruction's immediate must be a constant.
  switch (mode & 3) {
    case _MM_FROUND_TO_NEG_INF:
      return {_mm256_floor_ps(a.low), _mm256_floor_ps(a.high)};
    case _MM_FROUND_TO_POS_INF:
      return {_mm256_ceil_ps(a.low), _mm256_ceil_ps(a.high)};
    case _MM_FROUND_TO_ZERO:
      return {_mm256_round_ps(a.low, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC),
              _mm256_round_ps(a.high, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC)};
    default:
      return {_mm256_round_ps(a.low, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC),
              _mm256_round_ps(a.high, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
  }
}

// ---- constants, halves and whole loads

KINDLING_EMULATED __m512 _mm512_set1_ps(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
KINDLING_EMULATED __m512d _mm512_set1_pd(double x) {
  return {_mm256_set1_pd(x), _mm256_set1_pd(x)};
}
KINDLING_EMULATED __m512i _mm512_set1_epi32(int x) {
  return {_mm256_set1_epi32(x), _mm256_set1_epi32(x)};
}
KINDLING_EMULATED __m512 _mm512_setzero_ps() { return _mm512_set1_ps(0); }
KINDLING_EMULATED __m512d _mm512_setzero_pd() { return _mm512_set1_pd(0); }
KINDLING_EMULATED __m512i _mm512_setzero_si512() { return _mm512_set1_epi32(0); }
KINDLING_EMULATED __m512i _mm512_set_epi32(int p, int o, int n, int m, int l, int k, int j, int i,
                                           int h, int g, int f, int e, int d, int c, int b, int a) {
  return {_mm256_set_epi32(h, g, f, e, d, c, b, a), _mm256_set_epi32(p, o, n, m, l, k, j, i)};
}

KINDLING_EMULATED __m256 _mm512_castps512_ps256(__m512 a) { return a.low; }
KINDLING_EMULATED __m256d _mm512_castpd512_pd256(__m512d a) { return a.low; }
KINDLING_EMULATED __m256i _mm512_castsi512_si256(__m512i a) { return a.low; }
KINDLING_EMULATED __m256 _mm512_extractf32x8_ps(__m512 a, int part) {
  return part ? a.high : a.low;
}
KINDLING_EMULATED __m256d _mm512_extractf64x4_pd(__m512d a, int part) {
  return part ? a.high : a.low;
}
KINDLING_EMULATED __m256i _mm512_extracti64x4_epi64(__m512i a, int part) {
  return part ? a.high : a.low;
}

KINDLING_EMULATED __m512 _mm512_loadu_ps(const void* p) {
  const float* const x = static_cast<const float*>(p);
  return {_mm256_loadu_ps(x), _mm256_loadu_ps(x + 8)};
}
KINDLING_EMULATED __m512d _mm512_loadu_pd(const void* p) {
  const double* const x = static_cast<const double*>(p);
  return {_mm256_loadu_pd(x), _mm256_loadu_pd(x + 4)};
}
KINDLING_EMULATED __m512i _mm512_loadu_si512(const void* p) {
  const __m256i* const x = static_cast<const __m256i*>(p);
  return {_mm256_loadu_si256(x), _mm256_loadu_si256(x + 1)};
}
KINDLING_EMULATED void _mm512_storeu_ps(void* p, __m512 a) {
  _mm256_storeu_ps(static_cast<float*>(p), a.low);
  _mm256_storeu_ps(static_cast<float*>(p) + 8, a.high);
}
KINDLING_EMULATED void _mm512_storeu_pd(void* p, __m512d a) {
  _mm256_storeu_pd(static_cast<double*>(p), a.low);
  _mm256_storeu_pd(static_cast<double*>(p) + 4, a.high);
}
KINDLING_EMULATED void _mm512_stream_ps(float* p, __m512 a) {
  _mm256_stream_ps(p, a.low);
  _mm256_stream_ps(p + 8, a.high);
}
KINDLING_EMULATED void _mm512_storeu_si512(void* p, __m512i a) {
  _mm256_storeu_si256(static_cast<__m256i*>(p), a.low);
  _mm256_storeu_si256(static_cast<__m256i*>(p) + 1, a.high);
}

/// Sixteen numbers of 16 bits as ones of 32: without sign, or from binary16.
KINDLING_EMULATED __m512i _mm512_cvtepu16_epi32(__m256i a) {
  return {_mm256_cvtepu16_epi32(_mm256_castsi256_si128(a)),
          _mm256_cvtepu16_epi32(_mm256_extracti128_si256(a, 1))};
}
KINDLING_EMULATED __m512 _mm512_cvtph_ps(__m256i a) {
  return {_mm256_cvtph_ps(_mm256_castsi256_si128(a)),
          _mm256_cvtph_ps(_mm256_extracti128_si256(a, 1))};
}

// ---- masks: bit i stands for lane i; what is masked out is neither read nor written

/// All bits of a lane from one bit of the mask, for the eight lanes from `first` on.
KINDLING_EMULATED __m256i emulatedLanes32(unsigned mask, int first) {
  const __m256i bit = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
  const __m256i all = _mm256_set1_epi32(static_cast<int>(mask >> first));
  return _mm256_cmpeq_epi32(_mm256_and_si256(all, bit), bit);
}
KINDLING_EMULATED __m256i emulatedLanes64(unsigned mask, int first) {
  const __m256i bit = _mm256_setr_epi64x(1, 2, 4, 8);
  const __m256i all = _mm256_set1_epi64x(static_cast<int64_t>(mask >> first));
  return _mm256_cmpeq_epi64(_mm256_and_si256(all, bit), bit);
}

KINDLING_EMULATED __m512 _mm512_maskz_loadu_ps(__mmask16 mask, const void* p) {
  const float* const x = static_cast<const float*>(p);
  return {_mm256_maskload_ps(x, emulatedLanes32(mask, 0)),
          _mm256_maskload_ps(x + 8, emulatedLanes32(mask, 8))};
}
KINDLING_EMULATED __m512i _mm512_maskz_loadu_epi32(__mmask16 mask, const void* p) {
  const int* const x = static_cast<const int*>(p);
  return {_mm256_maskload_epi32(x, emulatedLanes32(mask, 0)),
          _mm256_maskload_epi32(x + 8, emulatedLanes32(mask, 8))};
}
KINDLING_EMULATED __m512d _mm512_maskz_loadu_pd(__mmask8 mask, const void* p) {
  const double* const x = static_cast<const double*>(p);
  return {_mm256_maskload_pd(x, emulatedLanes64(mask, 0)),
          _mm256_maskload_pd(x + 4, emulatedLanes64(mask, 4))};
}
KINDLING_EMULATED void _mm512_mask_storeu_ps(void* p, __mmask16 mask, __m512 a) {
  float* const x = static_cast<float*>(p);
  _mm256_maskstore_ps(x, emulatedLanes32(mask, 0), a.low);
  _mm256_maskstore_ps(x + 8, emulatedLanes32(mask, 8), a.high);
}
KINDLING_EMULATED void _mm512_mask_storeu_epi32(void* p, __mmask16 mask, __m512i a) {
  int* const x = static_cast<int*>(p);
  _mm256_maskstore_epi32(x, emulatedLanes32(mask, 0), a.low);
  _mm256_maskstore_epi32(x + 8, emulatedLanes32(mask, 8), a.high);
}
KINDLING_EMULATED void _mm512_mask_storeu_pd(void* p, __mmask8 mask, __m512d a) {
  double* const x = static_cast<double*>(p);
  _mm256_maskstore_pd(x, emulatedLanes64(mask, 0), a.low);
  _mm256_maskstore_pd(x + 4, emulatedLanes64(mask, 4), a.high);
}

/// b where the mask is set, else a.
KINDLING_EMULATED __m512 _mm512_mask_blend_ps(__mmask16 mask, __m512 a, __m512 b) {
  return {_mm256_blendv_ps(a.low, b.low, _mm256_castsi256_ps(emulatedLanes32(mask, 0))),
          _mm256_blendv_ps(a.high, b.high, _mm256_castsi256_ps(emulatedLanes32(mask, 8)))};
}
KINDLING_EMULATED __m512i _mm512_mask_blend_epi32(__mmask16 mask, __m512i a, __m512i b) {
  return {_mm256_blendv_epi8(a.low, b.low, emulatedLanes32(mask, 0)),
          _mm256_blendv_epi8(a.high, b.high, emulatedLanes32(mask, 8))};
}

KINDLING_EMULATED __mmask16 emulatedMask(__m256 low, __m256 high) {
  return static_cast<__mmask16>(_mm256_movemask_ps(low) | _mm256_movemask_ps(high) << 8);
}
KINDLING_EMULATED __mmask16 _mm512_cmp_ps_mask(__m512 a, __m512 b, int predicate) {
  switch (predicate) {
    case _CMP_EQ_OQ:
      return emulatedMask(_mm256_cmp_ps(a.low, b.low, _CMP_EQ_OQ),
                          _mm256_cmp_ps(a.high, b.high, _CMP_EQ_OQ));
    case _CMP_LT_OQ:
      return emulatedMask(_mm256_cmp_ps(a.low, b.low, _CMP_LT_OQ),
                          _mm256_cmp_ps(a.high, b.high, _CMP_LT_OQ));
    case _CMP_LE_OQ:
      return emulatedMask(_mm256_cmp_ps(a.low, b.low, _CMP_LE_OQ),
                          _mm256_cmp_ps(a.high, b.high, _CMP_LE_OQ));
    case _CMP_UNORD_Q:
      return emulatedMask(_mm256_cmp_ps(a.low, b.low, _CMP_UNORD_Q),
                          _mm256_cmp_ps(a.high, b.high, _CMP_UNORD_Q));
    default:
      __builtin_trap();  // a predicate that the kernels did not use when this was written
  }
}
KINDLING_EMULATED __mmask16 _mm512_cmpeq_epi32_mask(__m512i a, __m512i b) {
  return emulatedMask(_mm256_castsi256_ps(_mm256_cmpeq_epi32(a.low, b.low)),
                      _mm256_castsi256_ps(_mm256_cmpeq_epi32(a.high, b.high)));
}
KINDLING_EMULATED __mmask16 _mm512_cmplt_epi32_mask(__m512i a, __m512i b) {
  return emulatedMask(_mm256_castsi256_ps(_mm256_cmpgt_epi32(b.low, a.low)),
                      _mm256_castsi256_ps(_mm256_cmpgt_epi32(b.high, a.high)));
}

// ---- across lanes

/// The lanes of a vector as an array, which the compiler may put back into registers.
template <typename Element, typename Vector>
struct EmulatedLanes {
  static constexpr int count = static_cast<int>(sizeof(Vector) / sizeof(Element));
  Element lane[count];
  KINDLING_EMULATED EmulatedLanes of(Vector a) {
    EmulatedLanes lanes;
    memcpy(lanes.lane, &a, sizeof a);
    return lanes;
  }
  inline __attribute__((always_inline)) Vector vector() const {
    Vector a;
    memcpy(&a, lane, sizeof a);
    return a;
  }
};

/// Of each four elements the first two from a, the last two from b, as the pairs of bits say.
template <typename Element, typename Vector>
KINDLING_EMULATED Vector emulatedShuffle(Vector a, Vector b, int picks) {
  const auto x = EmulatedLanes<Element, Vector>::of(a), y = EmulatedLanes<Element, Vector>::of(b);
  EmulatedLanes<Element, Vector> z;
  for (int i = 0; i < z.count; i += 4) {
    z.lane[i] = x.lane[i + (picks & 3)];
    z.lane[i + 1] = x.lane[i + (picks >> 2 & 3)];
    z.lane[i + 2] = y.lane[i + (picks >> 4 & 3)];
    z.lane[i + 3] = y.lane[i + (picks >> 6 & 3)];
  }
  return z.vector();
}
struct EmulatedQuarter {
  float lane[4];
};
KINDLING_EMULATED __m512 _mm512_shuffle_ps(__m512 a, __m512 b, int picks) {
  return emulatedShuffle<float>(a, b, picks);
}
KINDLING_EMULATED __m512 _mm512_shuffle_f32x4(__m512 a, __m512 b, int picks) {
  return emulatedShuffle<EmulatedQuarter>(a, b, picks);
}
KINDLING_EMULATED __m512d _mm512_shuffle_f64x2(__m512d a, __m512d b, int picks) {
  return emulatedShuffle<EmulatedQuarter>(a, b, picks);
}

KINDLING_EMULATED __m512 _mm512_permutex2var_ps(__m512 a, __m512i index, __m512 b) {
  const auto x = EmulatedLanes<float, __m512>::of(a), y = EmulatedLanes<float, __m512>::of(b);
  const auto from = EmulatedLanes<int, __m512i>::of(index);
  EmulatedLanes<float, __m512> z;
  for (int i = 0; i < 16; ++i) {
    const int at = from.lane[i] & 15;
    z.lane[i] = from.lane[i] & 16 ? y.lane[at] : x.lane[at];
  }
  return z.vector();
}

/// The halves added, the halves of that, and so on, as the compiler's own sequence does.
template <typename Element, typename Vector, typename Combine>
KINDLING_EMULATED Element emulatedReduce(Vector a, Combine combine) {
  auto x = EmulatedLanes<Element, Vector>::of(a);
  for (int half = x.count / 2; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) x.lane[i] = combine(x.lane[i], x.lane[i + half]);
  }
  return x.lane[0];
}
KINDLING_EMULATED float _mm512_reduce_add_ps(__m512 a) {
  return emulatedReduce<float>(a, [](float x, float y) { return x + y; });
}
KINDLING_EMULATED double _mm512_reduce_add_pd(__m512d a) {
  return emulatedReduce<double>(a, [](double x, double y) { return x + y; });
}
KINDLING_EMULATED float _mm512_reduce_max_ps(__m512 a) {
  return emulatedReduce<float>(a, [](float x, float y) { return x > y ? x : y; });
}
KINDLING_EMULATED float _mm512_reduce_min_ps(__m512 a) {
  return emulatedReduce<float>(a, [](float x, float y) { return x < y ? x : y; });
}

// ---- bfloat16

KINDLING_EMULATED uint32_t emulatedBits(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}
KINDLING_EMULATED float emulatedFloat(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}
/// A subnormal number counts as zero, before and after, in these instructions.
KINDLING_EMULATED float emulatedFlush(float x) {
  const uint32_t bits = emulatedBits(x);
  return bits & 0x7f800000u ? x : emulatedFloat(bits & 0x80000000u);
}
/// To the nearest, ties to even; NaN stays a quiet NaN.
KINDLING_EMULATED uint16_t emulatedBfloat16(float x) {
  const uint32_t bits = emulatedBits(emulatedFlush(x));
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>(bits >> 16 | 0x40u);
  return static_cast<uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}
KINDLING_EMULATED __m256bh _mm512_cvtneps_pbh(__m512 a) {
  const auto x = EmulatedLanes<float, __m512>::of(a);
  EmulatedLanes<uint16_t, __m256bh> z;
  for (int i = 0; i < 16; ++i) z.lane[i] = emulatedBfloat16(x.lane[i]);
  return z.vector();
}
/// b in the lower half, a in the upper.
KINDLING_EMULATED __m512bh _mm512_cvtne2ps_pbh(__m512 a, __m512 b) {
  return {_mm512_cvtneps_pbh(b).all, _mm512_cvtneps_pbh(a).all};
}
/// sum + the products of the pairs of a lane, the odd one first; each step rounds to the nearest.
KINDLING_EMULATED __m512 _mm512_dpbf16_ps(__m512 sum, __m512bh a, __m512bh b) {
  auto z = EmulatedLanes<float, __m512>::of(sum);
  const auto x = EmulatedLanes<uint32_t, __m512bh>::of(a),
             y = EmulatedLanes<uint32_t, __m512bh>::of(b);
  for (int i = 0; i < 16; ++i) {
    const float x1 = emulatedFlush(emulatedFloat(x.lane[i] & 0xffff0000u));
    const float y1 = emulatedFlush(emulatedFloat(y.lane[i] & 0xffff0000u));
    const float x0 = emulatedFlush(emulatedFloat(x.lane[i] << 16));
    const float y0 = emulatedFlush(emulatedFloat(y.lane[i] << 16));
    z.lane[i] = emulatedFlush(__builtin_fmaf(x1, y1, emulatedFlush(z.lane[i])));
    z.lane[i] = emulatedFlush(__builtin_fmaf(x0, y0, z.lane[i]));
  }
  return z.vector();
}

}  // namespace KINDLING_ISA
}  // namespace kindling

#undef KINDLING_EMULATED
