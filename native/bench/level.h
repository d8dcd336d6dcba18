#pragma once
// What the benchmarks call of one ISA level, without the op table.

#include <cstdint>

namespace kindling {

/// C[m,n] = A[m,k] B[k,n]; C is contiguous.
struct GemmCall {
  int64_t m, n, k;
  const float* a;
  int64_t aRow, aCol;
  const float* b;
  int64_t bRow, bCol;
  float* c;
};

struct Level {
  bool (*gemm)(const GemmCall& call);
  /// Runs `steps` rounds of independent multiply-adds in registers; returns how many floating-point
  /// operations that were. `sink` receives a value that depends on all of them.
  double (*spinFma)(int64_t steps, float* sink);
};

namespace scalar {
extern const Level kLevel;
}
namespace avx2 {
extern const Level kLevel;
}
namespace avx512 {
extern const Level kLevel;
}

}  // namespace kindling
