#pragma once
// The launch of a product by tensor cores, one instance for each way that the operands lie.

#include "cuda/gemm_launch.h"
#include "cuda/gemm_tensor.cuh"

namespace kindling {
namespace cuda {

template <class Shape>
Status launchTensorShape(const GemmPlan<typename Shape::Element, float>& plan, uint32_t blocks) {
  static_assert(Shape::kSharedBytes <= gpu::kSharedBytesWithTf32, "no device refuses the launch");
  const auto kernel = gemmTensorKernel<Shape>;
  const Status status =
      gpu::allowSharedBytes(reinterpret_cast<const void*>(kernel), Shape::kSharedBytes);
  if (status != Status::ok) return status;
  return launch(kernel, dim3(blocks), dim3(Shape::kThreads), Shape::kSharedBytes, plan);
}

template <class Kind, int kRows, int kColumns>
Status launchTensor(const GemmPlan<typename Kind::Element, float>& plan, GemmLayouts layouts,
                    uint32_t blocks) {
  if (layouts.aAlongK) {
    return layouts.bAlongK
               ? launchTensorShape<TensorShape<Kind, true, true, kRows, kColumns>>(plan, blocks)
               : launchTensorShape<TensorShape<Kind, true, false, kRows, kColumns>>(plan, blocks);
  }
  return layouts.bAlongK
             ? launchTensorShape<TensorShape<Kind, false, true, kRows, kColumns>>(plan, blocks)
             : launchTensorShape<TensorShape<Kind, false, false, kRows, kColumns>>(plan, blocks);
}

}  // namespace cuda
}  // namespace kindling
