// The linear algebra ops that rest on the LU and Cholesky factorizations.

#include "cpu/kernel_table.h"
#include "cpu/linalg_batch.h"

namespace kindling {
namespace KINDLING_ISA {
namespace {

void storeScalar(double value, const TensorView& view, int64_t index) {
  store(Operand(&value, 1, 1, 1, 1), view, index);
}

/// x := P x for the exchanges that factorLU made.
void exchangeRows(const int32_t* pivots, int64_t n, const Matrix& x) {
  for (int64_t i = 0; i < n; ++i) {
    if (pivots[i] == i) continue;
    double *a = x.row(i), *b = x.row(pivots[i]);
    for (int64_t j = 0; j < x.cols; ++j) {
      const double t = a[j];
      a[j] = b[j];
      b[j] = t;
    }
  }
}

Result solveLU(const Matrix& a, int32_t* pivots, const Matrix& x) {
  const int64_t column = factorLU(a, pivots);
  if (column >= 0) return failed(Outcome::singular, column);
  exchangeRows(pivots, a.rows, x);
  solveTriangular(Operand(a), true, true, x);
  solveTriangular(Operand(a), false, false, x);
  return kOk;
}

Status inv(const OpCall& call) {
  const int64_t n = Matrices(call.inputs[0]).rows;
  return forBatch(call, 2 * n * n + n, 2 * cube(n), [&](int64_t index, double* memory) {
    Pieces pieces = {memory};
    const Matrix a = pieces.matrix(n, n), x = pieces.matrix(n, n);
    load(call.inputs[0], index, a);
    setIdentity(x);
    const Result result = solveLU(a, pieces.pivots(n), x);
    if (result.outcome == Outcome::ok) store(Operand(x), call.outputs[0], index);
    return result;
  });
}

Status solve(const OpCall& call) {
  const int64_t n = Matrices(call.inputs[1]).rows, k = Matrices(call.inputs[1]).cols;
  const double flops = cube(n) + static_cast<double>(n) * static_cast<double>(n * k);
  return forBatch(call, n * n + n * k + n, flops, [&](int64_t index, double* memory) {
    Pieces pieces = {memory};
    const Matrix a = pieces.matrix(n, n), x = pieces.matrix(n, k);
    load(call.inputs[0], index, a);
    load(call.inputs[1], index, x);
    const Result result = solveLU(a, pieces.pivots(n), x);
    if (result.outcome == Outcome::ok) store(Operand(x), call.outputs[0], index);
    return result;
  });
}

Status solveTriangularOp(const OpCall& call) {
  const int64_t n = Matrices(call.inputs[1]).rows, k = Matrices(call.inputs[1]).cols;
  const bool lower = call.ints[0] == 0, unit = call.ints[1] != 0;
  const double flops = static_cast<double>(n) * static_cast<double>(n * k + n);
  return forBatch(call, n * n + n * k, flops, [&](int64_t index, double* memory) {
    Pieces pieces = {memory};
    const Matrix a = pieces.matrix(n, n), x = pieces.matrix(n, k);
    load(call.inputs[0], index, a);
    load(call.inputs[1], index, x);
    for (int64_t i = 0; i < n && !unit; ++i) {
      if (a.at(i, i) == 0) return failed(Outcome::zeroDiagonal, i);
    }
    solveTriangular(Operand(a), lower, unit, x);
    store(Operand(x), call.outputs[0], index);
    return kOk;
  });
}

Status cholesky(const OpCall& call) {
  const int64_t n = Matrices(call.inputs[0]).rows;
  const bool upper = call.ints[0] != 0;
  return forBatch(call, n * n, cube(n) / 3, [&](int64_t index, double* memory) {
    const Matrix a = {memory, n, n, n};
    load(call.inputs[0], index, a, !upper);
    const int64_t row = factorCholesky(a);
    if (row >= 0) return failed(Outcome::notDefinite, row);
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t j = 0; j < i; ++j) a.at(i, j) = 0;
    }
    store(upper ? Operand(a) : Operand(a).transposed(), call.outputs[0], index);
    return kOk;
  });
}

/// The determinant's sign, and its size as mantissa · 2^exponent so that no partial product
/// overflows.
struct Determinant {
  double sign, mantissa, logarithm;
  int64_t exponent;
};

Determinant determinant(const Matrix& a, int32_t* pivots) {
  factorLU(a, pivots);
  Determinant result = {1, 1, 0, 0};
  for (int64_t i = 0; i < a.rows; ++i) {
    const double value = a.at(i, i);
    if (pivots[i] != i) result.sign = -result.sign;
    if (value < 0) result.sign = -result.sign;
    if (value == 0) result.sign = 0;
    if (std::isnan(value)) result.sign = NAN;
    result.logarithm += std::log(std::fabs(value));
    int exponent = 0;
    result.mantissa = std::frexp(result.mantissa * std::fabs(value), &exponent);
    result.exponent += exponent;
  }
  return result;
}

Status det(const OpCall& call) {
  const int64_t n = Matrices(call.inputs[0]).rows;
  return forBatch(call, n * n + n, cube(n), [&](int64_t index, double* memory) {
    Pieces pieces = {memory};
    const Matrix a = pieces.matrix(n, n);
    load(call.inputs[0], index, a);
    const Determinant result = determinant(a, pieces.pivots(n));
    const int64_t exponent = most(least(result.exponent, 100000), -100000);
    const double size = std::ldexp(result.mantissa, static_cast<int>(exponent));
    storeScalar(result.sign == 0 ? 0 : result.sign * size, call.outputs[0], index);
    return kOk;
  });
}

Status slogdet(const OpCall& call) {
  const int64_t n = Matrices(call.inputs[0]).rows;
  return forBatch(call, n * n + n, cube(n), [&](int64_t index, double* memory) {
    Pieces pieces = {memory};
    const Matrix a = pieces.matrix(n, n);
    load(call.inputs[0], index, a);
    const Determinant result = determinant(a, pieces.pivots(n));
    storeScalar(result.sign, call.outputs[0], index);
    storeScalar(result.sign == 0 ? -INFINITY : result.logarithm, call.outputs[1], index);
    return kOk;
  });
}

}  // namespace

void registerLinalg(Kernel* kernels) {
  kernels[static_cast<int>(Op::inv)] = inv;
  kernels[static_cast<int>(Op::solve)] = solve;
  kernels[static_cast<int>(Op::solveTriangular)] = solveTriangularOp;
  kernels[static_cast<int>(Op::cholesky)] = cholesky;
  kernels[static_cast<int>(Op::qr)] = qr;
  kernels[static_cast<int>(Op::svd)] = svd;
  kernels[static_cast<int>(Op::svdvals)] = svdvals;
  kernels[static_cast<int>(Op::eigh)] = eigh;
  kernels[static_cast<int>(Op::eigvalsh)] = eigvalsh;
  kernels[static_cast<int>(Op::det)] = det;
  kernels[static_cast<int>(Op::slogdet)] = slogdet;
}

}  // namespace KINDLING_ISA
}  // namespace kindling
