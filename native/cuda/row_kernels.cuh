#pragma once
// Kernels whose threads work on rows: a warp for a short row, several rows a block, or a block for
// a long one. blockDim.x threads share a row; blockDim.y rows are in a block.

#include <cstdint>

#include "cuda/gpu.h"
#include "cuda/indexing.cuh"

namespace kindling {
namespace cuda {

constexpr int kMostRowThreads = 512;

/// The launch for rows of some width.
struct RowLaunch {
  dim3 grid, block;
  RowLaunch(int64_t rows, int64_t width) {
    // A warp reads up to 32 elements a lane; more threads than there are fours would idle.
    constexpr int64_t kWarpRow = 1024;
    constexpr unsigned kWarpsInBlock = 8;
    if (width <= kWarpRow) {
      block = dim3(32, kWarpsInBlock);
    } else {
      unsigned threads = 128;
      while (threads < kMostRowThreads && threads * 16 < width) threads *= 2;
      block = dim3(threads, 1);
    }
    grid = rows > 0 ? gridFor(rows, block.y, 32) : dim3(0);
  }
};

/// The rows that the threads of one threadIdx.y work on, one after the other.
class RowWalk {
 public:
  __device__ __forceinline__ explicit RowWalk(int64_t rows)
      : row_(static_cast<int64_t>(blockIdx.x) * blockDim.y + threadIdx.y), rows_(rows) {}
  __device__ __forceinline__ bool isThere() const { return row_ < rows_; }
  __device__ __forceinline__ void next() { row_ += static_cast<int64_t>(gridDim.x) * blockDim.y; }
  __device__ __forceinline__ int64_t index() const { return row_; }

 private:
  int64_t row_, rows_;
};

/// All of a warp's values joined, in every lane; in an order that does not depend on the run. A
/// value has join(), and shuffled(value, lanes) that gives it from the lane across.
template <typename Value>
__device__ __forceinline__ Value joinWarp(Value value) {
#pragma unroll
  for (int lanes = 16; lanes > 0; lanes /= 2) value.join(shuffled(value, lanes));
  return value;
}

/// The values of a row's threads joined, in each of them. `shared` has a place for each warp and is
/// used only where a row has several warps.
template <typename Value>
__device__ __forceinline__ Value joinThreads(Value value, Value* shared) {
  value = joinWarp(value);
  const unsigned warps = blockDim.x / 32;
  if (warps == 1) return value;
  // Who reads the last result may be slow.
  __syncthreads();
  if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = value;
  __syncthreads();
  Value total = shared[0];
  for (unsigned warp = 1; warp < warps; ++warp) total.join(shared[warp]);
  return total;
}

// --- Sums ---

template <typename T>
struct RowSum {
  T sum;
  __device__ __forceinline__ void join(const RowSum& other) { sum += other.sum; }
};

template <typename T>
__device__ __forceinline__ RowSum<T> shuffled(RowSum<T> value, int lanes) {
  value.sum = __shfl_xor_sync(~0u, value.sum, lanes);
  return value;
}

// --- A thread's own elements, one or four beside each other ---

template <typename T>
__device__ __forceinline__ void loadOwn(const T* from, int count, T (&to)[kLanes]) {
  if (count == kLanes) {
    loadFour(from, to);
  } else {
    to[0] = *from;
  }
}
template <typename T>
__device__ __forceinline__ void storeOwn(T* to, int count, const T (&from)[kLanes]) {
  if (count == kLanes) {
    storeFour(to, from);
  } else {
    *to = from[0];
  }
}

}  // namespace cuda
}  // namespace kindling
