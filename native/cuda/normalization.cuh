#pragma once
// What the kernels of normalization share. A tensor is [outer, groups, inner]; a group's elements
// are those of one middle position, outer times inner of them.

#include "cuda/row_kernels.cuh"

namespace kindling {
namespace cuda {

/// What is read of groups, and how: in fours along `inner` where it and memory allow.
struct GroupPlan {
  int64_t outer, groups, inner;
  FastDivisor<uint64_t> pieces;  // in a run of memory: of one element, or of four
  bool vector;
  int64_t parts, partPieces;  // of a group, where several blocks share it

  __device__ __forceinline__ int64_t elements() const { return outer * inner; }
  __device__ __forceinline__ int width() const { return vector ? kLanes : 1; }
  __device__ __forceinline__ int64_t piecesOfGroup() const {
    return inner > 0 ? outer * static_cast<int64_t>(pieces.divisor) : 0;
  }
  /// Calls body(offset, position in the run) for the pieces of a group that this thread has.
  template <typename Body>
  __device__ __forceinline__ void forPieces(int64_t group, int64_t begin, int64_t end,
                                            const Body& body) const {
    for (int64_t piece = begin + threadIdx.x; piece < end; piece += blockDim.x) {
      const int64_t o =
          outer == 1 ? 0 : static_cast<int64_t>(pieces.divide(static_cast<uint64_t>(piece)));
      const int64_t i = (piece - o * static_cast<int64_t>(pieces.divisor)) * width();
      body((o * groups + group) * inner + i, i);
    }
  }
};

/// Parameters: of every group, or of positions in the groups, or none.
template <typename T>
struct NormParameters {
  const T* weight;  // may be nullptr
  const T* bias;
  int64_t weightStride, biasStride;
  bool byPosition;

  __device__ __forceinline__ T weightOf(int64_t group) const {
    return weight == nullptr || byPosition ? T(1) : weight[group * weightStride];
  }
  __device__ __forceinline__ T biasOf(int64_t group) const {
    return weight == nullptr || byPosition ? T(0) : bias[group * biasStride];
  }
};

__device__ __forceinline__ float inverseRoot(float x) { return 1.0f / sqrtf(x); }
__device__ __forceinline__ double inverseRoot(double x) { return 1.0 / sqrt(x); }

/// What the last pass makes of an element: forward (x - centre) * scale + shift, and back
/// grad * scale - (x - centre) * slope - shift.
template <typename T>
struct NormLine {
  T centre, scale, slope, shift;

  __device__ __forceinline__ T forward(T x) const { return (x - centre) * scale + shift; }
  __device__ __forceinline__ T back(T grad, T x) const {
    return grad * scale - (x - centre) * slope - shift;
  }
};

/// Count, mean and sum of squared differences from it (Chan et al., 1979).
struct Moments {
  double count, mean, squares;

  __device__ __forceinline__ void join(const Moments& other) {
    const double both = count + other.count;
    if (other.count == 0) return;
    const double difference = other.mean - mean, share = other.count / both;
    squares += other.squares + difference * difference * count * share;
    mean += difference * share;
    count = both;
  }
};
__device__ __forceinline__ Moments shuffled(Moments value, int lanes) {
  value.count = __shfl_xor_sync(~0u, value.count, lanes);
  value.mean = __shfl_xor_sync(~0u, value.mean, lanes);
  value.squares = __shfl_xor_sync(~0u, value.squares, lanes);
  return value;
}

/// Two sums over a group: forward of the differences from a mean and of their squares, going back
/// of the gradients and of their products with x - centre.
template <typename T>
struct TwoSums {
  T first, second;
  __device__ __forceinline__ void join(const TwoSums& other) {
    first += other.first;
    second += other.second;
  }
};
template <typename T>
__device__ __forceinline__ TwoSums<T> shuffled(TwoSums<T> value, int lanes) {
  value.first = __shfl_xor_sync(~0u, value.first, lanes);
  value.second = __shfl_xor_sync(~0u, value.second, lanes);
  return value;
}

// --- Columns: groups beside each other in memory (inner = 1), lanes along them ---

constexpr int kColumnLanes = 32, kColumnRows = 8;

/// Adds up a column's values over a block's rows of threads; the result is in every one of them.
template <typename T>
__device__ __forceinline__ T sumColumn(T own, T (*shared)[kColumnLanes]) {
  __syncthreads();
  shared[threadIdx.y][threadIdx.x] = own;
  __syncthreads();
  T total = shared[0][threadIdx.x];
#pragma unroll
  for (int y = 1; y < kColumnRows; ++y) total += shared[y][threadIdx.x];
  return total;
}

/// The rows that a block of a column kernel has: blockIdx.y counts the parts.
struct ColumnPlan {
  int64_t rows, columns, partRows;
  __device__ __forceinline__ int64_t column() const {
    return static_cast<int64_t>(blockIdx.x) * kColumnLanes + threadIdx.x;
  }
  __device__ __forceinline__ int64_t begin() const {
    return static_cast<int64_t>(blockIdx.y) * partRows;
  }
  __device__ __forceinline__ int64_t end() const {
    return begin() + partRows < rows ? begin() + partRows : rows;
  }
  /// Calls body(row) for the rows of this thread, if the column exists.
  template <typename Body>
  __device__ __forceinline__ void forRows(const Body& body) const {
    if (column() >= columns) return;
    for (int64_t row = begin() + threadIdx.y; row < end(); row += kColumnRows) body(row);
  }
};

}  // namespace cuda
}  // namespace kindling
