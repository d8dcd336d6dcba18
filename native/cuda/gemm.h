#pragma once
// Matrix products on the device, for all families: C = A B and an epilogue, any strides, batches.
// docs/cuda.md tells which kernel takes which shape.

#include <cstdint>

#include "core/op_call.h"
#include "core/status.h"

namespace kindling {
namespace cuda {

/// An operand's first element and its steps, in elements; 0 and negative ones are allowed.
struct GemmOperand {
  const void* data = nullptr;
  int64_t row = 0, column = 0;
};

/// What becomes of the sums, in this order. Pointers are to elements of C's type; the steps from
/// product to product of the batch are in elements.
struct GemmEpilogue {
  const void* bias = nullptr;  // added to every row, or to every column where it is `ofRows`
  int64_t biasStride = 1, biasBatch = 0;
  bool biasOfRows = false;
  bool accumulate = false;         // add to what C holds instead of overwriting it
  const void* residual = nullptr;  // [m, n], added where given; unit column stride
  int64_t residualRow = 0, residualBatch = 0;
  bool relu = false;  // NaN stays
};

constexpr int kMostBatchAxes = kMaxRank - 2;

/// Several products of one shape: the steps of A and B along each axis of the batch, row-major.
/// C goes from one product to the next by `c` elements.
struct GemmBatch {
  int rank = 0;
  int64_t shape[kMostBatchAxes] = {};
  int64_t a[kMostBatchAxes] = {}, b[kMostBatchAxes] = {};
  int64_t c = 0;
};

/// C[m, n] = A[m, k] B[k, n]. C has unit column stride and row stride ldc, and must not overlap A
/// or B. k = 0 gives zeros (and the epilogue). `dtype` is that of A and B; C is float64 for float64
/// and float32 for float32, float16 and bfloat16.
struct GemmProblem {
  DType dtype = DType::float32;
  int64_t m = 0, n = 0, k = 0;
  GemmOperand a, b;
  void* c = nullptr;
  int64_t ldc = 0;
  GemmBatch batch;
  GemmEpilogue epilogue;
};

/// How a problem is computed; the default of each is the choice by shape and device.
struct GemmChoice {
  enum class Kernel { automatic, few, simt, tensor };
  Kernel kernel = Kernel::automatic;
  int tile = 0;                    // 32 (simt only), 64 or 128
  int splits = 0;                  // of k
  int64_t mostExtent = 1LL << 30;  // m, n and k beyond are cut into pieces
};

/// float32 products are exact to float32's rounding unless gpu::allowTf32().
Status gemm(const GemmProblem& problem, const GemmChoice& choice = GemmChoice());

}  // namespace cuda
}  // namespace kindling
