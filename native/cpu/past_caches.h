#pragma once
// Results that are too large to be found in a cache by whoever reads them next are written past the
// caches: a plain store to memory first reads the line that it is going to overwrite, a quarter of
// the traffic of an addition and a third of that of a copy. Kernels that take longer than memory do
// not wait for that, and are faster with plain stores.

#include <cstdint>
#include <type_traits>

#include "core/cpu_features.h"
#include "cpu/vec.h"

namespace kindling {
namespace KINDLING_ISA {
namespace {

#if KINDLING_ISA_LEVEL == 1 || KINDLING_ISA_LEVEL == 2
constexpr bool kWritesPastCaches = true;
#else
constexpr bool kWritesPastCaches = false;
#endif

constexpr int64_t kCacheLine = 64;

/// Whether a result of that many bytes is.
KINDLING_INLINE bool goesPastCaches(int64_t bytes) {
  return kWritesPastCaches && bytes >= largeResultBytes();
}

/// One line; `to` is aligned to it.
KINDLING_INLINE void streamLine(char* to, const char* from) {
#if KINDLING_ISA_LEVEL == 2
  _mm512_stream_ps(reinterpret_cast<float*>(to), _mm512_loadu_ps(from));
#elif KINDLING_ISA_LEVEL == 1
  const float* half = reinterpret_cast<const float*>(from);
  _mm256_stream_ps(reinterpret_cast<float*>(to), _mm256_loadu_ps(half));
  _mm256_stream_ps(reinterpret_cast<float*>(to) + 8, _mm256_loadu_ps(half + 8));
#else
  __builtin_memcpy(to, from, kCacheLine);
#endif
}

KINDLING_INLINE bool isWholeLines(const void* data, int64_t bytes) {
  return reinterpret_cast<uintptr_t>(data) % kCacheLine == 0 && bytes % kCacheLine == 0;
}

/// Stores a vector of float32 past the caches, any other as usual. `to` is aligned to the vector,
/// and all of its line is stored so.
template <class V>
KINDLING_INLINE void streamVector(V x, typename V::Scalar* to) {
#if KINDLING_ISA_LEVEL == 2
  if constexpr (std::is_same<V, VecF>::value) return _mm512_stream_ps(to, x.v);
#elif KINDLING_ISA_LEVEL == 1
  if constexpr (std::is_same<V, VecF>::value) return _mm256_stream_ps(to, x.v);
#endif
  x.store(to);
}

/// Whole lines past the caches, what is left of a line at either end as usual.
KINDLING_INLINE void streamOut(void* to, const void* from, int64_t bytes) {
  char* target = static_cast<char*>(to);
  const char* source = static_cast<const char*>(from);
  const int64_t before = static_cast<int64_t>(-reinterpret_cast<uintptr_t>(target) % kCacheLine);
  const int64_t head = before < bytes ? before : bytes;
  __builtin_memcpy(target, source, static_cast<size_t>(head));
  int64_t at = head;
  for (; at + kCacheLine <= bytes; at += kCacheLine) streamLine(target + at, source + at);
  __builtin_memcpy(target + at, source + at, static_cast<size_t>(bytes - at));
}

/// To be called by every thread that has streamed, before another may read the result.
KINDLING_INLINE void finishStreaming() {
#if KINDLING_ISA_LEVEL == 1 || KINDLING_ISA_LEVEL == 2
  _mm_sfence();
#endif
}

constexpr int64_t kPieceBytes = 1024;

/// Writes n elements to `out` by way of a buffer in the L1 cache, so that no kernel needs a second
/// form: compute(buffer, first, count) has the next ones to compute.
template <typename Compute>
KINDLING_INLINE void streamPieces(char* out, int64_t n, int64_t elementBytes,
                                  const Compute& compute) {
  alignas(kCacheLine) char buffer[kPieceBytes];
  const int64_t whole = kPieceBytes / elementBytes;
  const int64_t misplaced = static_cast<int64_t>(reinterpret_cast<uintptr_t>(out) % kCacheLine);
  int64_t count = whole - misplaced / elementBytes;  // so that all others begin with a line
  for (int64_t at = 0; at < n; at += count, count = whole) {
    if (count > n - at) count = n - at;
    compute(buffer, at, count);
    streamOut(out + at * elementBytes, buffer, count * elementBytes);
  }
  finishStreaming();
}

}  // namespace
}  // namespace KINDLING_ISA
}  // namespace kindling
