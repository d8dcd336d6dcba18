#pragma once
// How tiles of the operands come to shared memory, and how they lie there.

#include "cuda/async_copy.cuh"
#include "cuda/gemm_problem.cuh"

namespace kindling {
namespace cuda {

/// [k][outer], each row a little longer, so that writes down a column meet different banks.
template <typename T, int kOuter_, int kDepth_>
struct PaddedTile {
  static constexpr int kOuter = kOuter_, kDepth = kDepth_, kRow = kOuter + 4;
  static constexpr int kElements = kRow * kDepth;
  static constexpr bool kAlongK = false;
  static __device__ __forceinline__ int at(int outer, int k) { return k * kRow + outer; }
};

/// [outer][k] with rows of 128 bytes, whose pieces of 16 are permuted by the row, so that eight
/// rows of ldmatrix meet all banks once.
template <typename T, int kOuter_, int kDepth_>
struct DepthTile {
  static constexpr int kOuter = kOuter_, kDepth = kDepth_;
  static constexpr int kElements = kOuter * kDepth;
  static constexpr bool kAlongK = true;
  static constexpr int kPiece = 16 / sizeof(T);
  static_assert(kDepth == 8 * kPiece, "a row is eight pieces");
  static __device__ __forceinline__ int at(int outer, int k) {
    return outer * kDepth + (((k / kPiece) ^ (outer & 7)) * kPiece) + k % kPiece;
  }
};

/// [k][outer] with pieces of 16 bytes permuted by k: for ldmatrix with transposition (16-bit
/// elements), or for single words, whose lanes t, g read k = t and outer = g.
template <typename T, int kOuter_, int kDepth_>
struct OuterTile {
  static constexpr int kOuter = kOuter_, kDepth = kDepth_;
  static constexpr int kElements = kOuter * kDepth;
  static constexpr bool kAlongK = false;
  static constexpr int kPiece = 16 / sizeof(T);
  static_assert(kOuter >= 8 * kPiece, "pieces are permuted in groups of eight");
  static __device__ __forceinline__ int at(int outer, int k) {
    const int turn = sizeof(T) == 2 ? k & 7 : (k & 3) << 1;
    return k * kOuter + (((outer / kPiece) ^ turn) * kPiece) + outer % kPiece;
  }
};

/// Starts the copy of `count` elements to shared memory, or of zeros.
template <int count, typename T>
__device__ __forceinline__ void copyPiece(T* to, const T* from, bool valid) {
  if constexpr (count * sizeof(T) == 16) {
    gpu::cpAsync16(to, from, valid);
  } else if constexpr (count * sizeof(T) == 8) {
    gpu::cpAsync8(to, from, valid);
  } else if constexpr (count * sizeof(T) == 4) {
    gpu::cpAsync4(to, from, valid);
  } else {
    static_assert(count == 1, "half a word");
    *to = valid ? *from : T(0);
  }
}

/// A block's copies of one operand's tiles, one after the other along k. What is beyond the operand
/// becomes 0. A thread keeps as little as it can, because the sums need the registers: steps come
/// from the launch's arguments each time.
template <typename T, class Tile, int kThreads>
class TileCopy {
 public:
  __device__ __forceinline__ TileCopy(const GemmSource<T>& source, const T* data, int firstOuter,
                                      int firstK, int endK)
      : source_(source), outers_(source.outers - firstOuter), left_(endK - firstK) {
    const bool alongK = source.vector ? Tile::kAlongK : source.lanesAlongK;
    const int width = source.vector ? kPiece : 1;
    const int thread = static_cast<int>(threadIdx.x);
    const int inRow = (alongK ? Tile::kDepth : Tile::kOuter) / width;
    const int along = thread % inRow * width, across = thread / inRow;
    outer_ = alongK ? across : along;
    k_ = alongK ? along : across;
    from_ = data + (firstOuter + outer_) * source.outer + (firstK + k_) * source.k;
  }

  /// Starts the copy of the next tile.
  __device__ __forceinline__ void start(T* shared) {
    if (source_.vector) {
      copy<kPiece>(shared, Tile::kAlongK);
    } else {
      copy<1>(shared, source_.lanesAlongK);
    }
    from_ += source_.k * Tile::kDepth;
    left_ -= Tile::kDepth;
  }

 private:
  static constexpr int kPiece = 16 / sizeof(T);
  static_assert(Tile::kOuter <= kThreads && Tile::kDepth <= kThreads, "a row per pass at least");

  template <int width>
  __device__ __forceinline__ void copy(T* shared, bool alongK) const {
    constexpr int kCopies = Tile::kOuter * Tile::kDepth / (kThreads * width);
    static_assert(kCopies * kThreads * width == Tile::kOuter * Tile::kDepth, "whole passes");
    [[maybe_unused]] constexpr int kAtOnce = width > 1 || kCopies < 2 ? kCopies : 2;
    const int nextOuter = alongK ? kThreads / (Tile::kDepth / width) : 0;
    const int nextK = alongK ? 0 : kThreads / (Tile::kOuter / width);
    const int64_t step = nextOuter * source_.outer + nextK * source_.k;
    const T* from = from_;
    int outer = outer_, k = k_;
#pragma unroll kAtOnce
    for (int i = 0; i < kCopies; ++i) {
      const bool valid = outer < outers_ && k < left_;
      copyPiece<width>(shared + Tile::at(outer, k), valid ? from : source_.data, valid);
      from += step;
      outer += nextOuter;
      k += nextK;
    }
  }

  const GemmSource<T>& source_;
  const T* from_;
  int outer_, k_, outers_, left_;
};

/// Runs `compute(stage)` for every tile along k, with the copies of later tiles under way
/// meanwhile. One barrier a tile: a stage is overwritten only after all warps have left it.
template <int kStages, typename T, class CopyA, class CopyB, typename Compute>
__device__ __forceinline__ void pipelineTiles(CopyA& copyA, CopyB& copyB, T* shared, int stageA,
                                              int stageB, int tiles, const Compute& compute) {
  const int stage = stageA + stageB;
#pragma unroll
  for (int s = 0; s < kStages - 1; ++s) {
    if (s < tiles) {
      copyA.start(shared + s * stage);
      copyB.start(shared + s * stage + stageA);
    }
    gpu::cpAsyncCommit();
  }
  int reads = 0, writes = kStages - 1;
  for (int tile = 0; tile < tiles; ++tile) {
    gpu::cpAsyncWait<kStages - 2>();
    __syncthreads();
    if (tile + kStages - 1 < tiles) {
      copyA.start(shared + writes * stage);
      copyB.start(shared + writes * stage + stageA);
    }
    gpu::cpAsyncCommit();
    compute(shared + reads * stage, shared + reads * stage + stageA);
    reads = reads + 1 == kStages ? 0 : reads + 1;
    writes = writes + 1 == kStages ? 0 : writes + 1;
  }
  gpu::cpAsyncWait<0>();
}

}  // namespace cuda
}  // namespace kindling
