#pragma once
// Products by the tensor cores: TF32, BF16 and FP16 operands, float32 sums. A warp has kRows by
// kColumns fragments of 16 by 8 sums. Each operand lies in shared memory as it lies in global
// memory: along k (fragments by ldmatrix) or along the outer axis (by ldmatrix with transposition,
// or for TF32 word by word).

#include "cuda/gemm_tile.cuh"
#include "cuda/mma.cuh"

namespace kindling {
namespace cuda {

/// What is multiplied. `kStep`: the depth of one instruction.
struct Tf32 {
  using Element = float;
  static constexpr int kStep = 8;
  static __device__ __forceinline__ void multiply(float (&d)[4], const uint32_t (&a)[4],
                                                  const uint32_t (&b)[2]) {
    gpu::mmaTf32(d, a, b);
  }
  static __device__ __forceinline__ uint32_t rounded(uint32_t bits) {
    return gpu::toTf32(__uint_as_float(bits));
  }
};
struct Bfloat16 {
  using Element = uint16_t;
  static constexpr int kStep = 16;
  static __device__ __forceinline__ void multiply(float (&d)[4], const uint32_t (&a)[4],
                                                  const uint32_t (&b)[2]) {
    gpu::mmaBf16(d, a, b);
  }
  static __device__ __forceinline__ uint32_t rounded(uint32_t bits) { return bits; }
};
struct Float16 {
  using Element = uint16_t;
  static constexpr int kStep = 16;
  static __device__ __forceinline__ void multiply(float (&d)[4], const uint32_t (&a)[4],
                                                  const uint32_t (&b)[2]) {
    gpu::mmaF16(d, a, b);
  }
  static __device__ __forceinline__ uint32_t rounded(uint32_t bits) { return bits; }
};

template <class Kind_, bool kAAlongK, bool kBAlongK, int kRows_, int kColumns_>
struct TensorShape {
  using Kind = Kind_;
  using Element = typename Kind::Element;
  static constexpr int kRows = kRows_, kColumns = kColumns_;
  static constexpr int kWarpsM = 2, kWarpsN = 2, kThreads = 32 * kWarpsM * kWarpsN;
  static constexpr int kBlocks = kRows * kColumns > 16 ? 2 : 4;
  static constexpr int kWarpM = 16 * kRows, kWarpN = 8 * kColumns;
  static constexpr int kTileM = kWarpM * kWarpsM, kTileN = kWarpN * kWarpsN;
  static constexpr int kDepth = 128 / sizeof(Element), kStages = 3;
  template <bool alongK, int outer>
  using Tile = std::conditional_t<alongK, DepthTile<Element, outer, kDepth>,
                                  OuterTile<Element, outer, kDepth>>;
  using TileA = Tile<kAAlongK, kTileM>;
  using TileB = Tile<kBAlongK, kTileN>;
  static constexpr size_t kSharedBytes =
      sizeof(Element) * kStages * (TileA::kElements + TileB::kElements);
};

/// Two 8×8 blocks along the outer axis by two along k, whose registers come in the order (outer,
/// k): (0, 0), (8, 0), (0, half), (8, half), with half = kStep / 2; the order of A's fragment.
template <class Kind, class Tile>
__device__ __forceinline__ void loadFragment(const typename Kind::Element* shared, int outer, int k,
                                             uint32_t (&r)[4]) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  constexpr int kHalf = Kind::kStep / 2;
  if constexpr (Tile::kAlongK) {
    gpu::ldmatrixX4(r, shared + Tile::at(outer + lane % 16, k + lane / 16 * kHalf));
  } else if constexpr (sizeof(typename Kind::Element) == 2) {
    gpu::ldmatrixX4Trans(
        r, shared + Tile::at(outer + lane / 8 % 2 * 8, k + lane % 8 + lane / 16 * kHalf));
  } else {
    const int g = lane / 4, t = lane % 4;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      r[i] = __float_as_uint(shared[Tile::at(outer + g + i % 2 * 8, k + t + i / 2 * kHalf)]);
    }
  }
#pragma unroll
  for (int i = 0; i < 4; ++i) r[i] = Kind::rounded(r[i]);
}

template <class Shape>
__global__ void __launch_bounds__(Shape::kThreads, Shape::kBlocks)
    gemmTensorKernel(GemmPlan<typename Shape::Element, float> plan) {
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800  // the host takes another kernel below
  using Kind = typename Shape::Kind;
  using T = typename Shape::Element;
  using TileA = typename Shape::TileA;
  using TileB = typename Shape::TileB;
  GPU_DYNAMIC_SHARED(bytes);
  T* const shared = reinterpret_cast<T*>(bytes);
  const GemmPlace<T> place = gemmPlace(plan, blockIdx.x);
  const int row = place.row * Shape::kTileM, column = place.column * Shape::kTileN;
  TileCopy<T, TileA, Shape::kThreads> copyA(plan.a, place.a, row, place.kBegin, place.kEnd);
  TileCopy<T, TileB, Shape::kThreads> copyB(plan.b, place.b, column, place.kBegin, place.kEnd);

  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  const int warpRow = warp / Shape::kWarpsN * Shape::kWarpM;
  const int warpColumn = warp % Shape::kWarpsN * Shape::kWarpN;
  float sums[Shape::kRows][Shape::kColumns][4] = {};
  const int tiles = (place.kEnd - place.kBegin + Shape::kDepth - 1) / Shape::kDepth;
  pipelineTiles<Shape::kStages, T>(copyA, copyB, shared, TileA::kElements, TileB::kElements, tiles,
                                   [&](const T* a, const T* b) {
#pragma unroll
                                     for (int k = 0; k < Shape::kDepth; k += Kind::kStep) {
                                       uint32_t left[Shape::kRows][4], right[Shape::kColumns][2];
#pragma unroll
                                       for (int i = 0; i < Shape::kRows; ++i) {
                                         loadFragment<Kind, TileA>(a, warpRow + 16 * i, k, left[i]);
                                       }
#pragma unroll
                                       for (int j = 0; j < Shape::kColumns; j += 2) {
                                         uint32_t both[4];
                                         loadFragment<Kind, TileB>(b, warpColumn + 8 * j, k, both);
                                         right[j][0] = both[0];
                                         right[j][1] = both[2];
                                         right[j + 1][0] = both[1];
                                         right[j + 1][1] = both[3];
                                       }
#pragma unroll
                                       for (int i = 0; i < Shape::kRows; ++i) {
#pragma unroll
                                         for (int j = 0; j < Shape::kColumns; ++j) {
                                           Kind::multiply(sums[i][j], left[i], right[j]);
                                         }
                                       }
                                     }
                                   });

#pragma unroll
  for (int i = 0; i < Shape::kRows * 2; ++i) {
    const int r = row + warpRow + i / 2 * 16 + i % 2 * 8 + lane / 4;
    if (r >= plan.a.outers) continue;
#pragma unroll
    for (int j = 0; j < Shape::kColumns; ++j) {
      const float pair[2] = {sums[i / 2][j][i % 2 * 2], sums[i / 2][j][i % 2 * 2 + 1]};
      gemmFinish(plan.result, place.batch, place.split, r,
                 column + warpColumn + 8 * j + lane % 4 * 2, plan.b.outers, pair);
    }
  }
#endif
}

}  // namespace cuda
}  // namespace kindling
