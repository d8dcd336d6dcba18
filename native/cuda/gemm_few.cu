// Products with a few rows or columns.

#include "cuda/gemm_few.cuh"

#include "cuda/gemm_launch.h"

namespace kindling {
namespace cuda {

namespace {

template <typename T, int kFew>
Status run(const FewPlan<T>& few, bool alongK, uint32_t blocks) {
  const auto kernel = alongK ? gemmDotKernel<T, kFew> : gemmSpreadKernel<T, kFew>;
  return launch(kernel, dim3(blocks), dim3(kFewThreads), 0, few);
}

template <typename T>
Status runAny(const FewPlan<T>& few, bool alongK, uint32_t blocks) {
  return few.plan.a.outers == 1 ? run<T, 1>(few, alongK, blocks)
                                : run<T, kMostFew>(few, alongK, blocks);
}

}  // namespace

Status launchGemmFew(const FewPlan<float>& plan, bool alongK, uint32_t blocks) {
  return runAny(plan, alongK, blocks);
}
Status launchGemmFew(const FewPlan<double>& plan, bool alongK, uint32_t blocks) {
  return runAny(plan, alongK, blocks);
}

}  // namespace cuda
}  // namespace kindling
