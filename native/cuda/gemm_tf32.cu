// Products of float32 that the user allowed to round its operands to TF32.

#include "cuda/gemm_tensor.h"

namespace kindling {
namespace cuda {

Status launchGemmTf32(const GemmPlan<float, float>& plan, GemmLayouts layouts, int tile,
                      uint32_t blocks) {
  return tile == 128 ? launchTensor<Tf32, 4, 8>(plan, layouts, blocks)
                     : launchTensor<Tf32, 2, 4>(plan, layouts, blocks);
}

}  // namespace cuda
}  // namespace kindling
