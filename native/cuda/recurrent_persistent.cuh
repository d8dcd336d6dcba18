#pragma once
// All steps of a recurrent layer in one launch, for few rows: a block keeps the recurrent weights
// of its units in shared memory, and the blocks meet once a step. What they hand each other, the
// states or the gradients of the products, lies in global memory as [k][rows], in two buffers that
// take turns, so that one meeting is enough.
//
// A step's product has kRows * 8 rows at a time and kColumns columns. The warps share k; a lane has
// kRows rows by 4 columns, and where there are fewer columns the lanes share k too.

#include "cuda/indexing.cuh"
#include "cuda/recurrent.cuh"

namespace kindling {
namespace cuda {

constexpr int kPersistentThreads = 256, kPersistentWarps = kPersistentThreads / 32;
constexpr int kForwardColumns = 16, kBackwardColumns = 4;

struct PersistentPlan {
  const float* weight;  // [gates * h, h]
  int64_t weightRow, weightColumn;
  float* exchange;  // [2][k][paddedRows], zeroed
  int64_t paddedRows;
  unsigned* counter;  // zeroed
};

/// Whole numbers of a block: its units, and k of its products.
template <class Cell>
struct ForwardShare {
  static constexpr int kUnits = kForwardColumns / Cell::kGates;
  static constexpr int kColumns = kForwardColumns;
  static __host__ __device__ __forceinline__ int64_t depth(int64_t width) { return width; }
};
template <class Cell>
struct BackwardShare {
  static constexpr int kUnits = kBackwardColumns;
  static constexpr int kColumns = kBackwardColumns;
  static __host__ __device__ __forceinline__ int64_t depth(int64_t width) {
    return width * Cell::kGates;
  }
};

/// Shared memory: the weights [k][columns], then the warps' sums.
template <class Share, int kRows>
size_t persistentBytes(int64_t width) {
  return sizeof(float) * static_cast<size_t>(Share::depth(width) * Share::kColumns +
                                             kPersistentWarps * kRows * 8 * Share::kColumns);
}

/// sums[warp][row][column] of `kRows * 8` rows from `from`, [k][paddedRows].
template <int kRows, int kColumns>
__device__ __forceinline__ void persistentProduct(const float* from, int64_t paddedRows, int depth,
                                                  const float* weights, float* sums) {
  constexpr int kColumnLanes = kColumns / 4, kDepthLanes = 4 / kColumnLanes;
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  const int rows = lane / 4 * kRows, column = lane % kColumnLanes * 4;
  const int first = warp * kDepthLanes + lane % 4 / kColumnLanes;
  float own[kRows][4] = {};
#pragma unroll 4
  for (int k = first; k < depth; k += kPersistentWarps * kDepthLanes) {
    float state[kRows], weight[4];
#pragma unroll
    for (int i = 0; i < kRows; ++i) state[i] = from[k * paddedRows + rows + i];
    loadFour(weights + k * kColumns + column, weight);
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
#pragma unroll
      for (int j = 0; j < 4; ++j) own[i][j] = fmaf(state[i], weight[j], own[i][j]);
    }
  }
#pragma unroll
  for (int i = 0; i < kRows; ++i) {
#pragma unroll
    for (int j = 0; j < 4; ++j) {
#pragma unroll
      for (int lanes = kColumnLanes; lanes < 4; lanes *= 2) {
        own[i][j] += __shfl_xor_sync(~0u, own[i][j], lanes);
      }
    }
    if (lane % 4 / kColumnLanes == 0) {
      storeFour(sums + (warp * kRows * 8 + rows + i) * kColumns + column, own[i]);
    }
  }
}

template <int kRows, int kColumns>
__device__ __forceinline__ float persistentSum(const float* sums, int row, int column) {
  float total = 0;
#pragma unroll
  for (int warp = 0; warp < kPersistentWarps; ++warp) {
    total += sums[(warp * kRows * 8 + row) * kColumns + column];
  }
  return total;
}

template <class Cell, int kRows>
__global__ void __launch_bounds__(kPersistentThreads, 2)
    persistentForwardKernel(RecurrentForwardPlan plan, PersistentPlan shared) {
  using Share = ForwardShare<Cell>;
  constexpr int kTile = kRows * 8, kColumns = Share::kColumns, kUnits = Share::kUnits;
  GPU_DYNAMIC_SHARED(memory);
  const RecurrentSize& s = plan.size;
  const int depth = static_cast<int>(Share::depth(s.width)), width = static_cast<int>(s.width);
  float* const weights = reinterpret_cast<float*>(memory);
  float* const sums = weights + static_cast<int64_t>(depth) * kColumns;
  const int firstUnit = static_cast<int>(blockIdx.x) * kUnits;
  // Column gate * kUnits + i is the gate of unit i.
  for (int at = static_cast<int>(threadIdx.x); at < depth * kColumns; at += kPersistentThreads) {
    const int column = at / depth, k = at % depth;
    const int gate = column / kUnits, unit = firstUnit + column % kUnits;
    weights[k * kColumns + column] =
        gate < Cell::kGates && unit < width
            ? shared.weight[(static_cast<int64_t>(gate) * width + unit) * shared.weightRow +
                            k * shared.weightColumn]
            : 0.0f;
  }
  const int rows = static_cast<int>(s.rows), own = kUnits * rows;
  const int64_t buffer = s.width * shared.paddedRows;
  for (int at = static_cast<int>(threadIdx.x); at < own; at += kPersistentThreads) {
    const int row = at / kUnits, unit = firstUnit + at % kUnits;
    if (unit >= width) continue;
    shared.exchange[unit * shared.paddedRows + row] = plan.h[row * s.width + unit];
    if (unit == 0) s.length(row, Cell::kForward, true);
  }
  gpu::gridBarrier(shared.counter);
  for (int64_t step = 0; step < s.steps; ++step) {
    const int64_t t = s.time(step);
    const float* const from = shared.exchange + step % 2 * buffer;
    float* const to = shared.exchange + (step + 1) % 2 * buffer;
    for (int first = 0; first < rows; first += kTile) {
      persistentProduct<kRows, kColumns>(from + first, shared.paddedRows, depth, weights, sums);
      __syncthreads();
      for (int at = static_cast<int>(threadIdx.x); at < kTile * kUnits; at += kPersistentThreads) {
        const int row = first + at / kUnits, i = at % kUnits, unit = firstUnit + i;
        if (row >= rows || unit >= width) continue;
        float products[Cell::kGates];
#pragma unroll
        for (int gate = 0; gate < Cell::kGates; ++gate) {
          products[gate] = persistentSum<kRows, kColumns>(sums, row - first, gate * kUnits + i);
        }
        const bool isActive = t < s.length(row, Cell::kForward, false);
        to[unit * shared.paddedRows + row] =
            recurrentForward<Cell>(plan, t, row, unit, isActive, products);
      }
      __syncthreads();
    }
    gpu::gridBarrier(shared.counter);
  }
}

template <class Cell, int kRows>
__global__ void __launch_bounds__(kPersistentThreads, 2)
    persistentBackwardKernel(RecurrentBackwardPlan plan, PersistentPlan shared) {
  using Share = BackwardShare<Cell>;
  constexpr int kTile = kRows * 8, kColumns = Share::kColumns, kUnits = Share::kUnits;
  GPU_DYNAMIC_SHARED(memory);
  const RecurrentSize& s = plan.size;
  const int depth = static_cast<int>(Share::depth(s.width)), width = static_cast<int>(s.width);
  float* const weights = reinterpret_cast<float*>(memory);
  float* const sums = weights + static_cast<int64_t>(depth) * kColumns;
  const int firstUnit = static_cast<int>(blockIdx.x) * kUnits;
  for (int at = static_cast<int>(threadIdx.x); at < depth * kColumns; at += kPersistentThreads) {
    const int k = at / kColumns, unit = firstUnit + at % kColumns;
    weights[at] =
        unit < width ? shared.weight[k * shared.weightRow + unit * shared.weightColumn] : 0.0f;
  }
  const int rows = static_cast<int>(s.rows), own = kUnits * rows;
  const int64_t buffer = static_cast<int64_t>(depth) * shared.paddedRows;
  for (int64_t step = s.steps; step-- > 0;) {
    const int64_t t = s.time(step);
    float* const exchange = shared.exchange + step % 2 * buffer;
    for (int at = static_cast<int>(threadIdx.x); at < own; at += kPersistentThreads) {
      const int row = at / kUnits, unit = firstUnit + at % kUnits;
      if (unit >= width) continue;
      const bool reports = unit == 0 && step == s.steps - 1;
      float products[Cell::kGates];
      recurrentBackward<Cell>(plan, t, row, unit, s.length(row, Cell::kBackward, reports),
                              products);
#pragma unroll
      for (int gate = 0; gate < Cell::kGates; ++gate) {
        exchange[(static_cast<int64_t>(gate) * width + unit) * shared.paddedRows + row] =
            products[gate];
      }
    }
    gpu::gridBarrier(shared.counter);
    for (int first = 0; first < rows; first += kTile) {
      persistentProduct<kRows, kColumns>(exchange + first, shared.paddedRows, depth, weights, sums);
      __syncthreads();
      for (int at = static_cast<int>(threadIdx.x); at < kTile * kUnits; at += kPersistentThreads) {
        const int row = first + at / kUnits, i = at % kUnits, unit = firstUnit + i;
        if (row >= rows || unit >= width) continue;
        plan.dh[row * s.width + unit] += persistentSum<kRows, kColumns>(sums, row - first, i);
      }
      __syncthreads();
    }
  }
}

}  // namespace cuda
}  // namespace kindling
