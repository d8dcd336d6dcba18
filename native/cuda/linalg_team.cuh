#pragma once
// What the threads of a block that work on one matrix do together. All threads call these; the block
// has at most 1024 threads, in whole warps.

#include "cuda/gpu.h"
#include "cuda/linalg.h"

namespace kindling {
namespace cuda {
namespace linalg {

constexpr int kMostWarps = 32;

__device__ __forceinline__ double sumOverWarp(double value) {
#pragma unroll
  for (int step = 16; step > 0; step /= 2) value += __shfl_xor_sync(0xffffffffu, value, step);
  return value;
}

/// The sum of all threads' values, for all of them. `room` holds kMostWarps.
__device__ __forceinline__ double sumOverBlock(double value, double* room) {
  value = sumOverWarp(value);
  const int warp = static_cast<int>(threadIdx.x) / 32, warps = static_cast<int>(blockDim.x) / 32;
  if (threadIdx.x % 32 == 0) room[warp] = value;
  __syncthreads();
  double total = 0;
  for (int i = 0; i < warps; ++i) total += room[i];
  __syncthreads();
  return total;
}

/// One of the matrices: where its rows are.
struct Rows {
  double* data;
  int64_t rowStride, colStride;

  __device__ __forceinline__ Rows(const Matrices& m, int64_t index)
      : data(m.data + index * m.each), rowStride(m.rowStride), colStride(m.colStride) {}
  __device__ __forceinline__ double& at(int64_t i, int64_t j) const {
    return data[i * rowStride + j * colStride];
  }
};

/// Sums of squares below this have lost digits to subnormals, and a reflector made of them would
/// not be orthogonal. In this unit the squares of the least numbers are normal.
constexpr double kFewDigits = 1e-290;
constexpr double kTinyUnit = 0x1p-600;

/// The sum of (x[i] / unit)² from i = 1 on.
__device__ __forceinline__ double squares(const double* x, int64_t n, double perUnit,
                                          double* room) {
  double part = 0;
  for (int64_t i = 1 + threadIdx.x; i < n; i += blockDim.x) {
    const double value = x[i] * perUnit;
    part = fma(value, value, part);
  }
  return sumOverBlock(part, room);
}

/// Makes the reflector that takes x to (beta, 0, ..., 0); x becomes v, with v[0] = 1. Returns beta.
__device__ __forceinline__ double makeReflector(double* x, int64_t n, double* tau, double* room) {
  double alpha = x[0], rest = squares(x, n, 1, room), unit = 1;
  if (alpha * alpha + rest < kFewDigits) {
    unit = kTinyUnit;
    alpha /= unit;
    rest = squares(x, n, 1 / unit, room);
  }
  __syncthreads();
  if (rest == 0) {
    if (threadIdx.x == 0) {
      x[0] = 1;
      *tau = 0;
    }
    __syncthreads();
    return alpha * unit;
  }
  const double norm = sqrt(alpha * alpha + rest), beta = alpha >= 0 ? -norm : norm;
  const double factor = 1 / (alpha - beta);
  for (int64_t i = threadIdx.x; i < n; i += blockDim.x) x[i] = i == 0 ? 1 : x[i] / unit * factor;
  if (threadIdx.x == 0) *tau = (beta - alpha) / beta;
  __syncthreads();
  return beta * unit;
}

/// As many threads as are of use for columns or rows of n: whole warps.
inline unsigned teamFor(int64_t n, unsigned mostThreads) {
  const int64_t wanted = (n + 31) / 32 * 32;
  return wanted < mostThreads ? static_cast<unsigned>(wanted > 32 ? wanted : 32) : mostThreads;
}

}  // namespace linalg
}  // namespace cuda
}  // namespace kindling
