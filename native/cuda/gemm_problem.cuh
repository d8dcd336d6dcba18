#pragma once
// What the kernels of matrix products are handed, and what they do with their sums.

#include <cstdint>

#include "cuda/gemm.h"
#include "cuda/gpu.h"
#include "cuda/indexing.cuh"

namespace kindling {
namespace cuda {

/// An operand as the kernels see it: `outer` is the axis that C has too (m or n).
template <typename T>
struct GemmSource {
  const T* data;
  int64_t outer, k;  // steps
  int outers;        // extent
  bool vector;       // pieces of 16 bytes along the axis that shared memory has contiguous
  bool lanesAlongK;  // else along the outer axis: which one memory is read in order of
};

/// Where the sums go, and the epilogue. Partial sums of a split k go to a place of their own.
template <typename Acc>
struct GemmResult {
  Acc* c;
  int64_t row, batch, split;  // steps of c
  const Acc* bias;
  int64_t biasStride, biasBatch;
  const Acc* residual;
  int64_t residualRow, residualBatch;
  bool biasOfRows, accumulate, relu;
  bool vector;  // runs of four start at multiples of 16 bytes in all that is read and written
};

struct GemmBatchPlan {
  int rank;
  uint32_t shape[kMostBatchAxes];
  int64_t a[kMostBatchAxes], b[kMostBatchAxes];
};

template <typename T, typename Acc>
struct GemmPlan {
  GemmSource<T> a, b;
  int k, kOfSplit;
  uint32_t tilesM, tilesN, splits;
  GemmBatchPlan batch;
  GemmResult<Acc> result;
};

/// What one block computes.
template <typename T>
struct GemmPlace {
  const T* a;
  const T* b;
  int row, column;  // tiles
  int kBegin, kEnd;
  uint32_t split, batch;
};

/// Tiles beside each other come in groups of eight rows, so that blocks which run at the same time
/// share operands in the second-level cache.
__device__ __forceinline__ void gemmTile(uint32_t tile, uint32_t tilesM, uint32_t tilesN, int* row,
                                         int* column) {
  constexpr uint32_t kGroup = 8;
  const uint32_t group = tile / (kGroup * tilesN);
  const uint32_t inGroup = tile - group * kGroup * tilesN;
  const uint32_t left = tilesM - group * kGroup;
  const uint32_t rows = left < kGroup ? left : kGroup;
  *column = static_cast<int>(inGroup / rows);
  *row = static_cast<int>(group * kGroup + inGroup % rows);
}

template <typename T, typename Acc>
__device__ __forceinline__ GemmPlace<T> gemmPlace(const GemmPlan<T, Acc>& plan, uint32_t index) {
  GemmPlace<T> place;
  const uint32_t tiles = plan.tilesM * plan.tilesN;
  const uint32_t part = index / tiles;
  gemmTile(index - part * tiles, plan.tilesM, plan.tilesN, &place.row, &place.column);
  place.batch = part / plan.splits;
  place.split = part - place.batch * plan.splits;
  place.kBegin = static_cast<int>(place.split) * plan.kOfSplit;
  place.kEnd = place.kBegin + plan.kOfSplit < plan.k ? place.kBegin + plan.kOfSplit : plan.k;
  place.a = plan.a.data;
  place.b = plan.b.data;
  uint32_t left = place.batch;
  for (int axis = plan.batch.rank - 1; axis >= 0; --axis) {
    const uint32_t next = left / plan.batch.shape[axis];
    const int64_t at = left - next * plan.batch.shape[axis];
    place.a += at * plan.batch.a[axis];
    place.b += at * plan.batch.b[axis];
    left = next;
  }
  return place;
}

/// max(x, 0) that keeps NaN.
template <typename Acc>
__device__ __forceinline__ Acc gemmRelu(Acc x) {
  return Acc(0) > x ? Acc(0) : x;
}

/// The epilogue of `count` sums beside each other, which are C's at [row, column...].
template <int count, typename Acc>
__device__ __forceinline__ void gemmFinish(const GemmResult<Acc>& r, uint32_t batch, uint32_t split,
                                           int64_t row, int64_t column, int64_t columns,
                                           const Acc (&sums)[count]) {
  Acc* const c = r.c + split * r.split + batch * r.batch + row * r.row + column;
  const Acc* const bias = r.bias == nullptr ? nullptr
                                            : r.bias + batch * r.biasBatch +
                                                  (r.biasOfRows ? row : column) * r.biasStride;
  const Acc* const residual =
      r.residual == nullptr ? nullptr
                            : r.residual + batch * r.residualBatch + row * r.residualRow + column;
  Acc values[count];
  const bool whole = column + count <= columns;
#pragma unroll
  for (int i = 0; i < count; ++i) {
    values[i] = sums[i];
    if (!whole && column + i >= columns) continue;
    if (bias != nullptr) values[i] += bias[r.biasOfRows ? 0 : i * r.biasStride];
    if (r.accumulate) values[i] += c[i];
    if (residual != nullptr) values[i] += residual[i];
    if (r.relu) values[i] = gemmRelu(values[i]);
  }
  if (r.vector && whole) {
    struct alignas(sizeof(Acc) * count < 16 ? sizeof(Acc) * count : 16) Run {
      Acc value[count];
    } run;
#pragma unroll
    for (int i = 0; i < count; ++i) run.value[i] = values[i];
    *reinterpret_cast<Run*>(c) = run;
    return;
  }
#pragma unroll
  for (int i = 0; i < count; ++i) {
    if (column + i < columns) c[i] = values[i];
  }
}

}  // namespace cuda
}  // namespace kindling
