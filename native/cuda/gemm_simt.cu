// Products by multiply-adds.

#include "cuda/gemm_simt.cuh"

#include "cuda/gemm_launch.h"

namespace kindling {
namespace cuda {

namespace {

using Large = SimtShape<float, 2, 2, 4, 2, 2>;
using Middle = SimtShape<float, 2, 1, 2, 2, 4>;
using Small = SimtShape<float, 1, 1, 2, 1, 8>;
using Double = SimtShape<double, 2, 1, 2, 2, 2>;
static_assert(Large::kTileM == 128 && Large::kTileN == 128, "as GemmChoice::tile");
static_assert(Middle::kTileM == 64 && Middle::kTileN == 64, "as GemmChoice::tile");
static_assert(Small::kTileM == 32 && Small::kTileN == 32, "as GemmChoice::tile");
static_assert(Double::kTileM == 64 && Double::kTileN == 64, "as GemmChoice::tile");

template <class Shape, typename T>
Status run(const GemmPlan<T, T>& plan, uint32_t blocks) {
  return launch(gemmSimtKernel<Shape>, dim3(blocks), dim3(Shape::kThreads), 0, plan);
}

}  // namespace

Status launchGemmSimt(const GemmPlan<float, float>& plan, int tile, uint32_t blocks) {
  if (tile == 128) return run<Large>(plan, blocks);
  return tile == 64 ? run<Middle>(plan, blocks) : run<Small>(plan, blocks);
}

Status launchGemmSimt(const GemmPlan<double, double>& plan, int, uint32_t blocks) {
  return run<Double>(plan, blocks);
}

}  // namespace cuda
}  // namespace kindling
