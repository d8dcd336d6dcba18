#pragma once
// Products with a few rows or columns: the large matrix is read once, and that is all the time
// there is. The "few" axis has up to kFew positions, the "many" axis the rest.

#include "cuda/gemm_problem.cuh"

namespace kindling {
namespace cuda {

constexpr int kFewThreads = 256, kFewWarps = kFewThreads / 32;

/// `few.outers` rows of x times the matrix `many`; C's rows are the few where `fewAreRows`.
template <typename T>
struct FewPlan {
  GemmPlan<T, T> plan;  // a: few; b: many
  bool fewAreRows;
};

template <int kFew, typename T>
__device__ __forceinline__ void finishFew(const FewPlan<T>& few, const GemmPlace<T>& place, int i,
                                          int many, T sum) {
  const T one[1] = {sum};
  const GemmPlan<T, T>& plan = few.plan;
  if (few.fewAreRows) {
    gemmFinish(plan.result, place.batch, place.split, i, many, plan.b.outers, one);
  } else {
    gemmFinish(plan.result, place.batch, place.split, many, i, plan.a.outers, one);
  }
}

/// The large matrix is contiguous along k: a warp for each of its rows, lanes along k.
template <typename T, int kFew>
__global__ void __launch_bounds__(kFewThreads, 2) gemmDotKernel(FewPlan<T> few) {
  const GemmPlan<T, T>& plan = few.plan;
  const GemmPlace<T> place = gemmPlace(plan, blockIdx.x);
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int many = place.column * kFewWarps + static_cast<int>(threadIdx.x) / 32;
  if (many >= plan.b.outers) return;  // the whole warp
  const T* const matrix = place.b + many * plan.b.outer;
  const T* rows[kFew];
#pragma unroll
  for (int i = 0; i < kFew; ++i) {
    rows[i] = place.a + (i < plan.a.outers ? i : 0) * plan.a.outer;
  }
  T sums[kFew] = {};
  int k = place.kBegin;
  if (plan.a.vector && plan.b.vector) {
    for (k += lane * kLanes; k + kLanes <= place.kEnd; k += 32 * kLanes) {
      T own[kLanes];
      loadFour(matrix + k, own);
#pragma unroll
      for (int i = 0; i < kFew; ++i) {
        T x[kLanes];
        loadFour(rows[i] + k, x);
#pragma unroll
        for (int l = 0; l < kLanes; ++l) sums[i] += own[l] * x[l];
      }
    }
    k = place.kBegin + (place.kEnd - place.kBegin) / kLanes * kLanes;
  }
  for (k += lane; k < place.kEnd; k += 32) {
    const T own = matrix[k * plan.b.k];
#pragma unroll
    for (int i = 0; i < kFew; ++i) sums[i] += own * rows[i][k * plan.a.k];
  }
#pragma unroll
  for (int i = 0; i < kFew; ++i) {
#pragma unroll
    for (int step = 16; step > 0; step /= 2) sums[i] += __shfl_xor_sync(~0u, sums[i], step);
  }
#pragma unroll
  for (int i = 0; i < kFew; ++i) {
    if (lane == i && i < plan.a.outers) finishFew<kFew>(few, place, i, many, sums[i]);
  }
}

/// The large matrix is contiguous along the many: a lane for four of them beside each other, and
/// the warps of a block share k.
template <typename T, int kFew>
__global__ void __launch_bounds__(kFewThreads, 2) gemmSpreadKernel(FewPlan<T> few) {
  GPU_SHARED(T, parts, [kFewWarps][32 * kLanes]);
  const GemmPlan<T, T>& plan = few.plan;
  const GemmPlace<T> place = gemmPlace(plan, blockIdx.x);
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  const int first = place.column * 32 * kLanes + lane * kLanes;
  const T* rows[kFew];
#pragma unroll
  for (int i = 0; i < kFew; ++i) {
    rows[i] = place.a + (i < plan.a.outers ? i : 0) * plan.a.outer;
  }
  T sums[kFew][kLanes] = {};
  if (first < plan.b.outers) {
    const bool vector = plan.b.vector && first + kLanes <= plan.b.outers;
#pragma unroll 4
    for (int k = place.kBegin + warp; k < place.kEnd; k += kFewWarps) {
      T own[kLanes];
      const T* const from = place.b + k * plan.b.k + first * plan.b.outer;
      if (vector) {
        loadFour(from, own);
      } else {
#pragma unroll
        for (int l = 0; l < kLanes; ++l) {
          own[l] = first + l < plan.b.outers ? from[l * plan.b.outer] : T(0);
        }
      }
#pragma unroll
      for (int i = 0; i < kFew; ++i) {
        const T x = rows[i][k * plan.a.k];
#pragma unroll
        for (int l = 0; l < kLanes; ++l) sums[i][l] += own[l] * x;
      }
    }
  }
#pragma unroll
  for (int i = 0; i < kFew; ++i) {
    __syncthreads();
#pragma unroll
    for (int l = 0; l < kLanes; ++l) parts[warp][lane * kLanes + l] = sums[i][l];
    __syncthreads();
    const int own = static_cast<int>(threadIdx.x);
    const int many = place.column * 32 * kLanes + own;
    if (own < 32 * kLanes && many < plan.b.outers && i < plan.a.outers) {
      T total = 0;
#pragma unroll
      for (int w = 0; w < kFewWarps; ++w) total += parts[w][own];
      finishFew<kFew>(few, place, i, many, total);
    }
  }
}

}  // namespace cuda
}  // namespace kindling
