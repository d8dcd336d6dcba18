#pragma once
// The matrix algorithms, in double and row-major. float32 tensors are computed in double too: it
// costs a factor of two in the arithmetic, needs one form of each algorithm, and the result is
// float32's nearest or next to it wherever the problem is not badly conditioned.

#include <cstdint>

#include "core/op_call.h"

namespace kindling {
namespace KINDLING_ISA {

/// A row-major matrix in scratch memory; not an owner.
struct Matrix {
  double* data;
  int64_t rows, cols;
  int64_t stride;  // from one row to the next

  double* row(int64_t i) const { return data + i * stride; }
  double& at(int64_t i, int64_t j) const { return data[i * stride + j]; }
  /// The part from (i, j) on.
  Matrix block(int64_t i, int64_t j, int64_t height, int64_t width) const {
    return {data + i * stride + j, height, width, stride};
  }
};

/// A matrix that is only read, with both strides, so that a transposed one is one as well.
struct Operand {
  const double* data;
  int64_t rows, cols;
  int64_t rowStride, colStride;

  explicit Operand(const Matrix& m)
      : data(m.data), rows(m.rows), cols(m.cols), rowStride(m.stride), colStride(1) {}
  Operand(const double* from, int64_t height, int64_t width, int64_t row, int64_t col)
      : data(from), rows(height), cols(width), rowStride(row), colStride(col) {}
  Operand transposed() const { return {data, cols, rows, colStride, rowStride}; }
  Operand block(int64_t i, int64_t j, int64_t height, int64_t width) const {
    return {data + i * rowStride + j * colStride, height, width, rowStride, colStride};
  }
  double at(int64_t i, int64_t j) const { return data[i * rowStride + j * colStride]; }
};

void setZero(const Matrix& m);
void setIdentity(const Matrix& m);
void transposeInPlace(const Matrix& square);

/// c -= a b. Rows of c are split over threads; each element is computed in one order.
void subtractProduct(const Operand& a, const Matrix& b, const Matrix& c);

/// x := t⁻¹ x for a triangular t of which only the triangle is read; `unit` takes its diagonal
/// as 1.
void solveTriangular(const Operand& t, bool lower, bool unit, const Matrix& x);

/// a := L and U of P a = L U; row i was exchanged with row pivots[i], in the order of i. The first
/// column with no nonzero pivot, or -1; the factorization goes on in any case.
int64_t factorLU(const Matrix& a, int32_t* pivots);

/// The upper triangle of a := U of a = Uᵀ U, of which only the upper triangle is read. The first
/// row that shows a not to be positive definite, or -1.
int64_t factorCholesky(const Matrix& a);

/// Householder reflectors H = I - tau v vᵀ: row j of `v` is the j-th vector in full length.
struct Reflectors {
  Matrix v;
  double* tau;
  double* work;  // workSize(cols of what they are applied to)

  static constexpr int64_t kBlock = 32;
  static int64_t workSize(int64_t cols) { return kBlock * kBlock + 2 * kBlock * cols; }
};

/// In this unit the least numbers have normal squares.
constexpr double kTinyUnit = 0x1p-600;

/// Makes the reflector that takes x to (beta, 0, ..., 0); x becomes v, with v[0] = 1.
double makeReflector(double* x, int64_t n, double* tau);

/// a := R of a = Q R in its upper triangle (the rest is undefined); min(rows, cols) reflectors.
void factorQR(const Matrix& a, const Reflectors& q);

/// c := H_0 H_1 ... c
void applyReflectors(const Reflectors& q, const Matrix& c);

/// Rotations of pairs of rows, gathered so that they can be applied to a few columns at a time.
struct Rotations {
  struct One {
    int32_t x, y;
    double c, s;
  };
  One* list;
  int64_t most, count;
  Matrix rows;  // with data == nullptr nothing is gathered

  /// How many are gathered for matrices of n rows.
  static int64_t capacity(int64_t n) { return n < 512 ? 16 * n : 8192; }

  void add(int64_t x, int64_t y, double c, double s) {
    if (!rows.data) return;
    if (count == most) apply();
    list[count++] = {static_cast<int32_t>(x), static_cast<int32_t>(y), c, s};
  }
  void apply();
};

/// a := a matrix whose rows are its eigenvectors (where `vectors`), and d its eigenvalues,
/// ascending. a is symmetric, d and e are vectors of n > 0, rotations of capacity(n). False: no
/// convergence.
bool eigenSymmetric(const Matrix& a, double* d, double* e, bool vectors, Rotations::One* rotations,
                    const Reflectors& q);

/// Singular values d, descending, of the square matrix a, which is destroyed. Where ut.data is set,
/// the rows of ut and vt become the left and right singular vectors. d and e are vectors of n > 0,
/// rotations of 2 capacity(n). False: no convergence.
bool singularValues(const Matrix& a, double* d, double* e, const Matrix& ut, const Matrix& vt,
                    Rotations::One* rotations, const Reflectors& left, const Reflectors& right);

// The ops of linalg_spectral.cc.
Status qr(const OpCall& call);
Status eigh(const OpCall& call);
Status eigvalsh(const OpCall& call);
Status svd(const OpCall& call);
Status svdvals(const OpCall& call);

}  // namespace KINDLING_ISA
}  // namespace kindling
