#pragma once
// The kernels of matrix products by the files that instantiate them, for gemm.cu, which chooses.

#include "core/status.h"
#include "cuda/gemm_few.cuh"
#include "cuda/gemm_problem.cuh"

namespace kindling {
namespace cuda {

/// Multiply-adds: tiles of 32 (float32), 64 or 128 (float32) on both sides.
Status launchGemmSimt(const GemmPlan<float, float>& plan, int tile, uint32_t blocks);
Status launchGemmSimt(const GemmPlan<double, double>& plan, int tile, uint32_t blocks);

/// Tensor cores, whose operands lie along k or along the outer axis; from compute capability 8.0
/// on.
struct GemmLayouts {
  bool aAlongK, bAlongK;
};
Status launchGemmTf32(const GemmPlan<float, float>& plan, GemmLayouts layouts, int tile,
                      uint32_t blocks);
Status launchGemmHalf(const GemmPlan<uint16_t, float>& plan, DType dtype, GemmLayouts layouts,
                      uint32_t blocks);

/// Few rows or columns: `alongK` is how the large matrix lies.
constexpr int kMostFew = 4, kFewSpan = 32 * kLanes;
Status launchGemmFew(const FewPlan<float>& plan, bool alongK, uint32_t blocks);
Status launchGemmFew(const FewPlan<double>& plan, bool alongK, uint32_t blocks);

}  // namespace cuda
}  // namespace kindling
