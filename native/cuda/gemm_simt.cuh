#pragma once
// Products by plain multiply-adds: exact float32, and float64. A warp's lanes stand 4 by 8, each
// with 4 kRows by 4 kColumns sums in registers, read from shared memory four at a time.

#include "cuda/gemm_tile.cuh"

namespace kindling {
namespace cuda {

template <typename T, int kRows_, int kColumns_, int kWarpsM_, int kWarpsN_, int kBlocks_>
struct SimtShape {
  using Element = T;
  static constexpr int kRows = kRows_, kColumns = kColumns_, kWarpsM = kWarpsM_, kWarpsN = kWarpsN_;
  static constexpr int kThreads = 32 * kWarpsM * kWarpsN;
  // On a multiprocessor at once, for the registers. Where copies pass through registers there is no
  // room for two of the largest.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
  static constexpr int kBlocks = kBlocks_ > 1 ? kBlocks_ / 2 : 1;
#else
  static constexpr int kBlocks = kBlocks_;
#endif
  static constexpr int kWarpM = 16 * kRows, kWarpN = 32 * kColumns;
  static constexpr int kTileM = kWarpM * kWarpsM, kTileN = kWarpN * kWarpsN;
  static constexpr int kDepth = 16, kStages = 2;
  using TileA = PaddedTile<T, kTileM, kDepth>;
  using TileB = PaddedTile<T, kTileN, kDepth>;
  static constexpr int kShared = kStages * (TileA::kElements + TileB::kElements);
};

template <class Shape>
__global__ void __launch_bounds__(Shape::kThreads, Shape::kBlocks)
    gemmSimtKernel(GemmPlan<typename Shape::Element, typename Shape::Element> plan) {
  using T = typename Shape::Element;
  using TileA = typename Shape::TileA;
  using TileB = typename Shape::TileB;
  GPU_SHARED(T, shared, [Shape::kShared]);
  const GemmPlace<T> place = gemmPlace(plan, blockIdx.x);
  const int row = place.row * Shape::kTileM, column = place.column * Shape::kTileN;
  TileCopy<T, TileA, Shape::kThreads> copyA(plan.a, place.a, row, place.kBegin, place.kEnd);
  TileCopy<T, TileB, Shape::kThreads> copyB(plan.b, place.b, column, place.kBegin, place.kEnd);

  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  const int ownRow = warp / Shape::kWarpsN * Shape::kWarpM + lane / 8 * 4;
  const int ownColumn = warp % Shape::kWarpsN * Shape::kWarpN + lane % 8 * 4;
  T sums[Shape::kRows][4][Shape::kColumns][4] = {};
  const int tiles = (place.kEnd - place.kBegin + Shape::kDepth - 1) / Shape::kDepth;
  pipelineTiles<Shape::kStages, T>(
      copyA, copyB, shared, TileA::kElements, TileB::kElements, tiles, [&](const T* a, const T* b) {
  // Unrolled further, loads for later steps would push sums out of the registers.
#pragma unroll 2
        for (int k = 0; k < Shape::kDepth; ++k) {
          T left[Shape::kRows][4], right[Shape::kColumns][4];
#pragma unroll
          for (int i = 0; i < Shape::kRows; ++i)
            loadFour(a + TileA::at(ownRow + 16 * i, k), left[i]);
#pragma unroll
          for (int j = 0; j < Shape::kColumns; ++j) {
            loadFour(b + TileB::at(ownColumn + 32 * j, k), right[j]);
          }
#pragma unroll
          for (int i = 0; i < Shape::kRows * 4; ++i) {
#pragma unroll
            for (int j = 0; j < Shape::kColumns * 4; ++j) {
              sums[i / 4][i % 4][j / 4][j % 4] += left[i / 4][i % 4] * right[j / 4][j % 4];
            }
          }
        }
      });

#pragma unroll
  for (int i = 0; i < Shape::kRows * 4; ++i) {
    const int r = row + ownRow + i / 4 * 16 + i % 4;
    if (r >= plan.a.outers) continue;
#pragma unroll
    for (int j = 0; j < Shape::kColumns; ++j) {
      gemmFinish(plan.result, place.batch, place.split, r, column + ownColumn + 32 * j,
                 plan.b.outers, sums[i / 4][i % 4][j]);
    }
  }
}

}  // namespace cuda
}  // namespace kindling
