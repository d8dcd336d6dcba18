#pragma once
// Matrix product for any strides, in float32 and float64, and of halves summed in float32. See
// native/cpu/gemm.cc for the method.

#include <cstdint>

namespace kindling {
namespace KINDLING_ISA {

struct Brain;
struct Half;

template <typename T>
struct GemmEpilogueOf {
  const T* bias = nullptr;  // n values added to every row, or nullptr
  int64_t biasStride = 1;
  bool accumulate = false;  // add to what C holds instead of overwriting it
  // Then, in this order:
  const T* residual = nullptr;  // [m,n], added where given; unit column stride
  int64_t residualRow = 0;      // its row stride
  bool relu = false;
};
using GemmEpilogue = GemmEpilogueOf<float>;

/// C[m,n] = A[m,k] B[k,n] and the epilogue, each operand with its row and column stride in elements
/// (0 and negative strides allowed for A and B). C has unit column stride and row stride ldc, and
/// must not overlap A or B. k = 0 gives zeros (and the epilogue). Returns false when scratch memory
/// ran out.
bool gemm(int64_t m, int64_t n, int64_t k, const float* a, int64_t aRow, int64_t aCol,
          const float* b, int64_t bRow, int64_t bCol, float* c, int64_t ldc,
          const GemmEpilogue& epilogue);
bool gemm(int64_t m, int64_t n, int64_t k, const double* a, int64_t aRow, int64_t aCol,
          const double* b, int64_t bRow, int64_t bCol, double* c, int64_t ldc,
          const GemmEpilogueOf<double>& epilogue);
// bfloat16 and float16 operands; the result, the sums and the epilogue are float32.
bool gemm(int64_t m, int64_t n, int64_t k, const Brain* a, int64_t aRow, int64_t aCol,
          const Brain* b, int64_t bRow, int64_t bCol, float* c, int64_t ldc,
          const GemmEpilogue& epilogue);
bool gemm(int64_t m, int64_t n, int64_t k, const Half* a, int64_t aRow, int64_t aCol, const Half* b,
          int64_t bRow, int64_t bCol, float* c, int64_t ldc, const GemmEpilogue& epilogue);

/// What B[k,n] takes packed, in elements.
int64_t packedElements(int64_t k, int64_t n);
void packOperand(int64_t k, int64_t n, const float* b, int64_t bRow, int64_t bCol, float* to);
/// C[m,n] = A[m,k] B[k,n] + bias, or added to C; B as packOperand left it, A with unit column
/// stride.
void gemmPacked(int64_t m, int64_t n, int64_t k, const float* a, int64_t aRow, const float* packed,
                float* c, int64_t ldc, const float* bias, bool accumulate);

}  // namespace KINDLING_ISA
}  // namespace kindling
