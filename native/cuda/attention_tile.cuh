#pragma once
// The parts that attention is made of, forward and back. A block of four warps has 64 rows
// (queries, or keys on the way back to them) and goes over the other side in steps of 64 columns. A
// warp has 16 rows of every product, in registers; operands come through shared memory in pieces 32
// deep, the next one on its way while one is used.

#include "cuda/async_copy.cuh"
#include "cuda/indexing.cuh"
#include "cuda/mma.cuh"

namespace kindling {
namespace cuda {

constexpr int kAttentionSide = 64, kAttentionThreads = 128, kAttentionDepth = 32;
// Rows of shared memory are 8 longer than a tile, so that lanes t, g of the tensor core's fragments
// (word 8 t + g) meet all banks.
constexpr int kAttentionRow = kAttentionSide + 8;
constexpr int kAttentionPiece = kAttentionDepth * kAttentionRow;

/// One operand, [outer, heads, rows, columns].
struct AttentionMatrix {
  const float* data;
  int64_t outer, head, row, column;  // steps
  int rows, columns;
  bool vector;  // columns can be read in fours

  __device__ __forceinline__ const float* at(int64_t o, int64_t h) const {
    return data + o * outer + h * head;
  }
};

// --- Products of 16 rows by kColumns columns: a warp's lanes and what each holds ---

__device__ __forceinline__ int laneIndex() { return static_cast<int>(threadIdx.x) % 32; }
__device__ __forceinline__ int warpRow() { return static_cast<int>(threadIdx.x) / 32 * 16; }

/// By multiply-adds: lanes 4 by 8, each with 4 rows and in every 32 columns 4.
template <int kColumns>
struct SimtProduct {
  static constexpr int kOwnRows = 4, kOwnColumns = kColumns / 8, kRowLanes = 8;
  float value[kOwnRows][kOwnColumns];

  static __device__ __forceinline__ int row(int i) { return laneIndex() / 8 * 4 + i; }
  static __device__ __forceinline__ int column(int j) {
    return laneIndex() % 8 * 4 + j / 4 * 32 + j % 4;
  }
  /// value += A B: a(k, row) and b(k, column) are addresses in shared memory.
  template <typename A, typename B>
  __device__ __forceinline__ void multiply(int depth, const A& a, const B& b) {
#pragma unroll 8
    for (int k = 0; k < depth; ++k) {
      float left[4], right[kOwnColumns];
      loadFour(a(k, warpRow() + row(0)), left);
#pragma unroll
      for (int j = 0; j < kOwnColumns; j += 4) {
        float four[4];
        loadFour(b(k, column(j)), four);
#pragma unroll
        for (int l = 0; l < 4; ++l) right[j + l] = four[l];
      }
#pragma unroll
      for (int i = 0; i < kOwnRows; ++i) {
#pragma unroll
        for (int j = 0; j < kOwnColumns; ++j) value[i][j] += left[i] * right[j];
      }
    }
  }
};

/// By the tensor cores in TF32: lanes 8 by 4, each with 2 rows and in every 8 columns 2.
template <int kColumns>
struct TensorProduct {
  static constexpr int kOwnRows = 2, kOwnColumns = kColumns / 4, kRowLanes = 4;
  float value[kOwnRows][kOwnColumns];

  static __device__ __forceinline__ int row(int i) { return laneIndex() / 4 + 8 * i; }
  static __device__ __forceinline__ int column(int j) {
    return j / 2 * 8 + laneIndex() % 4 * 2 + j % 2;
  }
  template <typename A, typename B>
  __device__ __forceinline__ void multiply(int depth, const A& a, const B& b) {
    const int g = laneIndex() / 4, t = laneIndex() % 4;
#pragma unroll 2
    for (int k = 0; k < depth; k += 8) {
      uint32_t left[4];
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        left[i] = gpu::toTf32(*a(k + t + i / 2 * 4, warpRow() + g + i % 2 * 8));
      }
#pragma unroll
      for (int j = 0; j < kOwnColumns; j += 2) {
        const uint32_t right[2] = {gpu::toTf32(*b(k + t, j * 4 + g)),
                                   gpu::toTf32(*b(k + t + 4, j * 4 + g))};
        float sums[4] = {value[0][j], value[0][j + 1], value[1][j], value[1][j + 1]};
        gpu::mmaTf32(sums, left, right);
        value[0][j] = sums[0];
        value[0][j + 1] = sums[1];
        value[1][j] = sums[2];
        value[1][j + 1] = sums[3];
      }
    }
  }
};

template <class Product>
__device__ __forceinline__ void clear(Product& product) {
#pragma unroll
  for (int i = 0; i < Product::kOwnRows; ++i) {
#pragma unroll
    for (int j = 0; j < Product::kOwnColumns; ++j) product.value[i][j] = 0;
  }
}

/// The multiply-adds or the tensor cores.
struct BySimt {
  template <int kColumns>
  using Product = SimtProduct<kColumns>;
};
struct ByTensor {
  template <int kColumns>
  using Product = TensorProduct<kColumns>;
};

/// Over the lanes that share a row.
template <class Product>
__device__ __forceinline__ float rowSum(float x) {
#pragma unroll
  for (int lanes = Product::kRowLanes / 2; lanes > 0; lanes /= 2) {
    x += __shfl_xor_sync(~0u, x, lanes);
  }
  return x;
}
template <class Product>
__device__ __forceinline__ float rowMax(float x) {
#pragma unroll
  for (int lanes = Product::kRowLanes / 2; lanes > 0; lanes /= 2) {
    const float other = __shfl_xor_sync(~0u, x, lanes);
    x = other > x ? other : x;
  }
  return x;
}

// --- Shared memory ---

/// Weights of 64 columns by 64 rows, as the left operand of the second product. Fours of rows are
/// permuted by the column, so that lanes which write different columns meet different banks.
__device__ __forceinline__ int weightAt(int column, int row) {
  return column * kAttentionRow + (((row / 4) ^ (column / 4 & 7)) * 4) + row % 4;
}

/// 64 rows of an operand from `first`, and 32 of its columns from `depth`, to shared memory as
/// [column][row]; 0 beyond the operand.
__device__ __forceinline__ void copyTransposed(float* to, const AttentionMatrix& from,
                                               const float* data, int first, int depth) {
  const int lane = laneIndex(), warp = static_cast<int>(threadIdx.x) / 32;
  const int column = lane % 8 + 8 * warp;
  const bool isThere = depth + column < from.columns;
  const float* source = data + (depth + column) * from.column + (first + lane / 8) * from.row;
  float* target = to + column * kAttentionRow + lane / 8;
#pragma unroll 4
  for (int row = first + lane / 8; row < first + kAttentionSide; row += 4) {
    const bool valid = isThere && row < from.rows;
    gpu::cpAsync4(target, valid ? source : data, valid);
    source += 4 * from.row;
    target += 4;
  }
}

/// 32 rows of an operand and kColumns of its columns, as they lie.
template <int kColumns>
__device__ __forceinline__ void copyPlain(float* to, const AttentionMatrix& from, const float* data,
                                          int first, int firstColumn) {
  const int width = from.vector ? 4 : 1, inRow = kColumns / width;
  const int thread = static_cast<int>(threadIdx.x);
  const int step = kAttentionThreads / inRow > 0 ? kAttentionThreads / inRow : 1;
  const int column = thread % inRow * width;
  const bool isThere = firstColumn + column < from.columns;
#pragma unroll 4
  for (int row = thread / inRow; row < kAttentionDepth; row += step) {
    const bool valid = isThere && first + row < from.rows;
    const float* const source =
        valid ? data + (first + row) * from.row + (firstColumn + column) * from.column : data;
    float* const target = to + row * (kColumns + 8) + column;
    if (from.vector) {
      gpu::cpAsync16(target, source, valid);
    } else {
      gpu::cpAsync4(target, source, valid);
    }
  }
}

/// A row's powers are of 2, which the hardware has.
__device__ __forceinline__ float powerOfDifference(float x, float shift) {
  constexpr float kLog2e = 1.4426950408889634f;
  return exp2f((x - shift) * kLog2e);
}

}  // namespace cuda
}  // namespace kindling
