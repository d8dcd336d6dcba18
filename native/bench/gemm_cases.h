#pragma once
// The matrix products of training steps, against OpenBLAS where it is found.

#include <vector>

#include "bench/harness.h"
#include "bench/level.h"
#include "bench/openblas.h"

namespace kindling::bench {

struct GemmShape {
  int64_t m, n, k;
  bool transposeA, transposeB;  // whether the operand is stored transposed
};

const std::vector<GemmShape>& gemmShapes();

/// Variants for every number of threads: our product and, if `blas` is not null, OpenBLAS.
Case gemmCase(const GemmShape& shape, const std::vector<int>& threads, const Level& level,
              const OpenBlas* blas);

}  // namespace kindling::bench
