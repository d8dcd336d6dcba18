#pragma once
// The short vectors of CUDA, with its alignments, so that a misaligned wide load shows.

#include <cstdint>

#define __global__ __attribute__((visibility("default")))
#define __device__
#define __host__
#define __constant__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __align__(n) alignas(n)

#define KINDLING_EMULATED_VECTORS(name, type, bytes)                            \
  struct name##1 { type x; };                                                   \
  struct alignas(2 * bytes) name##2 { type x, y; };                             \
  struct name##3 { type x, y, z; };                                             \
  struct alignas(4 * bytes < 16 ? 4 * bytes : 16) name##4 { type x, y, z, w; }; \
  inline name##1 make_##name##1(type x) { return {x}; }                         \
  inline name##2 make_##name##2(type x, type y) { return {x, y}; }              \
  inline name##3 make_##name##3(type x, type y, type z) { return {x, y, z}; }   \
  inline name##4 make_##name##4(type x, type y, type z, type w) { return {x, y, z, w}; }

KINDLING_EMULATED_VECTORS(char, signed char, 1)
KINDLING_EMULATED_VECTORS(uchar, unsigned char, 1)
KINDLING_EMULATED_VECTORS(short, short, 2)
KINDLING_EMULATED_VECTORS(ushort, unsigned short, 2)
KINDLING_EMULATED_VECTORS(int, int, 4)
KINDLING_EMULATED_VECTORS(uint, unsigned, 4)
KINDLING_EMULATED_VECTORS(float, float, 4)
KINDLING_EMULATED_VECTORS(longlong, long long, 8)
KINDLING_EMULATED_VECTORS(ulonglong, unsigned long long, 8)
KINDLING_EMULATED_VECTORS(double, double, 8)
#undef KINDLING_EMULATED_VECTORS

struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
  dim3(uint3 other) : x(other.x), y(other.y), z(other.z) {}
};

// Of the thread that runs now; the scheduler sets them at every switch.
#define KINDLING_EMULATED_STATE extern __attribute__((visibility("hidden")))
KINDLING_EMULATED_STATE uint3 threadIdx;
KINDLING_EMULATED_STATE uint3 blockIdx;
KINDLING_EMULATED_STATE dim3 blockDim;
KINDLING_EMULATED_STATE dim3 gridDim;
#undef KINDLING_EMULATED_STATE
constexpr int warpSize = 32;
