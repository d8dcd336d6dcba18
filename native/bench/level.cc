#include "bench/level.h"

#include "cpu/gemm_vec.h"

namespace kindling {
namespace KINDLING_ISA {
namespace {

double spinFma(int64_t steps, float* sink) {
  constexpr int kChains = 12;  // more than latency times units, fewer than registers
  GemmVec acc[kChains];
  for (int i = 0; i < kChains; ++i) acc[i] = GemmVec::set1(static_cast<float>(i) * *sink);
  const GemmVec x = GemmVec::set1(0.5f + *sink), y = GemmVec::set1(0.25f + *sink);
  for (int64_t step = 0; step < steps; ++step) {
#pragma GCC unroll 16
    for (int i = 0; i < kChains; ++i) acc[i] = fma(acc[i], x, y);
  }
  GemmVec sum = acc[0];
  for (int i = 1; i < kChains; ++i) sum = sum + acc[i];
  *sink += 1e-30f * reduceAdd(sum);
  return 2.0 * kChains * GemmVec::width * static_cast<double>(steps);
}

}  // namespace

extern const Level kLevel = {spinFma};

}  // namespace KINDLING_ISA
}  // namespace kindling
