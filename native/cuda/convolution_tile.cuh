#pragma once
// The product of two panels in shared memory, [depth][rows] and [depth][columns], added to a tile in
// registers: in exact float32, or by tensor cores with operands rounded to TF32. Every thread holds
// kRows x 8 elements of the tile in both, so that what reads them need not know which it was.

#include "cuda/gpu.h"
#include "cuda/mma.cuh"

namespace kindling {
namespace cuda {
namespace convolution {

/// kRounded: the rows' panel holds TF32 values already.
template <int kTileRows, int kTileColumns, bool kTf32, bool kRounded>
struct Tile {
  static constexpr int kRows = kTileRows == 128 ? 8 : 4;  // of a thread
  static constexpr int kColumns = 8;
  static constexpr int kThreads = kTileRows * kTileColumns / (kRows * kColumns);
  static constexpr int kDepth = kTf32 ? 16 : 8;
  static constexpr int kStages = 3;
  // The fragments of the tensor cores lie 8 apart in steps of the depth: without bank conflicts.
  static constexpr int kPad = kTf32 ? 8 : 4;
  static constexpr int kRowPitch = kTileRows + kPad;
  static constexpr int kColumnPitch = kTileColumns + kPad;
  static constexpr int kPanel = kDepth * (kRowPitch + kColumnPitch);  // floats of a stage
  static constexpr int kSharedBytes = kStages * kPanel * 4;
  static_assert(kSharedBytes <= (kTf32 ? gpu::kSharedBytesWithTf32 : size_t{48} << 10),
                "no device refuses the launch");
  // Of the columns that a thread holds, so many are neighbours.
  static constexpr int kNeighbours = kTf32 ? 2 : 4;

  static constexpr int kWarpColumns = 32;
  static constexpr int kWarpRows = kRows * 8;
  static constexpr int kWarpsAcross = kTileColumns / kWarpColumns;

  float sum[kRows][kColumns];

  __device__ __forceinline__ void clear() {
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
#pragma unroll
      for (int j = 0; j < kColumns; ++j) sum[i][j] = 0.0f;
    }
  }

  /// The row in the tile of sum[i].
  static __device__ __forceinline__ int row(int i) {
    const int thread = static_cast<int>(threadIdx.x);
    if (kTf32) {
      const int lane = thread % 32, warp = thread / 32;
      return warp / kWarpsAcross * kWarpRows + i / 2 * 16 + i % 2 * 8 + lane / 4;
    }
    const int y = thread / (kTileColumns / kColumns);
    return (i / 4) * (kTileRows / 2) + y * 4 + i % 4;
  }

  /// The column in the tile of sum[.][j].
  static __device__ __forceinline__ int column(int j) {
    const int thread = static_cast<int>(threadIdx.x);
    if (kTf32) {
      const int lane = thread % 32, warp = thread / 32;
      return warp % kWarpsAcross * kWarpColumns + j / 2 * 8 + lane % 4 * 2 + j % 2;
    }
    const int x = thread % (kTileColumns / kColumns);
    return (j / 4) * (kTileColumns / 2) + x * 4 + j % 4;
  }

  __device__ __forceinline__ void add(const float* a, const float* b) {
    if constexpr (kTf32) {
      addByTensorCores(a, b);
    } else {
      addExactly(a, b);
    }
  }

 private:
  static __device__ __forceinline__ uint32_t rowOperand(float x) {
    return kRounded ? __float_as_uint(x) : gpu::toTf32(x);
  }

  __device__ __forceinline__ void addExactly(const float* a, const float* b) {
    const int rowAt = row(0), columnAt = column(0);
#pragma unroll
    for (int k = 0; k < kDepth; ++k) {
      float x[kRows], y[kColumns];
#pragma unroll
      for (int i = 0; i < kRows; i += 4) {
        const float4 four = *reinterpret_cast<const float4*>(a + k * kRowPitch + rowAt +
                                                             i / 4 * (kTileRows / 2));
        x[i] = four.x;
        x[i + 1] = four.y;
        x[i + 2] = four.z;
        x[i + 3] = four.w;
      }
#pragma unroll
      for (int j = 0; j < kColumns; j += 4) {
        const float4 four = *reinterpret_cast<const float4*>(b + k * kColumnPitch + columnAt +
                                                             j / 4 * (kTileColumns / 2));
        y[j] = four.x;
        y[j + 1] = four.y;
        y[j + 2] = four.z;
        y[j + 3] = four.w;
      }
#pragma unroll
      for (int i = 0; i < kRows; ++i) {
#pragma unroll
        for (int j = 0; j < kColumns; ++j) sum[i][j] = fmaf(x[i], y[j], sum[i][j]);
      }
    }
  }

  __device__ __forceinline__ void addByTensorCores(const float* a, const float* b) {
    constexpr int kHigh = kRows / 2, kWide = kColumns / 2;  // products of 16x8 of a warp
    const int lane = static_cast<int>(threadIdx.x) % 32;
    const int rowAt = row(0), columnAt = column(0) - lane % 4 * 2 + lane / 4;
#pragma unroll
    for (int k = 0; k < kDepth; k += 8) {
      const float* const aAt = a + (k + lane % 4) * kRowPitch + rowAt;
      const float* const bAt = b + (k + lane % 4) * kColumnPitch + columnAt;
      uint32_t x[kHigh][4], y[kWide][2];
#pragma unroll
      for (int i = 0; i < kHigh; ++i) {
        x[i][0] = rowOperand(aAt[i * 16]);
        x[i][1] = rowOperand(aAt[i * 16 + 8]);
        x[i][2] = rowOperand(aAt[4 * kRowPitch + i * 16]);
        x[i][3] = rowOperand(aAt[4 * kRowPitch + i * 16 + 8]);
      }
#pragma unroll
      for (int j = 0; j < kWide; ++j) {
        y[j][0] = gpu::toTf32(bAt[j * 8]);
        y[j][1] = gpu::toTf32(bAt[4 * kColumnPitch + j * 8]);
      }
#pragma unroll
      for (int i = 0; i < kHigh; ++i) {
#pragma unroll
        for (int j = 0; j < kWide; ++j) {
          float d[4] = {sum[2 * i][2 * j], sum[2 * i][2 * j + 1], sum[2 * i + 1][2 * j],
                        sum[2 * i + 1][2 * j + 1]};
          gpu::mmaTf32(d, x[i], y[j]);
          sum[2 * i][2 * j] = d[0];
          sum[2 * i][2 * j + 1] = d[1];
          sum[2 * i + 1][2 * j] = d[2];
          sum[2 * i + 1][2 * j + 1] = d[3];
        }
      }
    }
  }
};

}  // namespace convolution
}  // namespace cuda
}  // namespace kindling
