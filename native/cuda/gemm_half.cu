// Products of 16-bit floats with float32 sums.

#include "cuda/gemm_tensor.h"

namespace kindling {
namespace cuda {

Status launchGemmHalf(const GemmPlan<uint16_t, float>& plan, DType dtype, GemmLayouts layouts,
                      uint32_t blocks) {
  return dtype == DType::bfloat16 ? launchTensor<Bfloat16, 4, 8>(plan, layouts, blocks)
                                  : launchTensor<Float16, 4, 8>(plan, layouts, blocks);
}

}  // namespace cuda
}  // namespace kindling
