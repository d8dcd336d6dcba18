// Matrix products, triangular solves and the LU, Cholesky and QR factorizations. All are blocked:
// the bulk of the work is subtractProduct with an inner dimension of kBlock. Methods: Golub and Van
// Loan, Matrix Computations, 4th edition, sections 3.4, 4.2 and 5.2.

#include <cmath>

#include "cpu/linalg.h"
#include "cpu/linalg_vec.h"
#include "cpu/parallel.h"

namespace kindling {
namespace KINDLING_ISA {

namespace {

constexpr int64_t kBlock = Reflectors::kBlock;
// Sums of squares below this have lost digits to subnormals, and a reflector made of them would not
// be orthogonal.
constexpr double kFewDigits = 1e-290;

KINDLING_INLINE int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/// c -= a b for `height` rows and a strip of columns that fits two vectors.
template <int height>
KINDLING_INLINE void tile(const double* a, int64_t rowStride, int64_t colStride, int64_t depth,
                          const double* b, int64_t ldb, double* c, int64_t ldc, int lanes0,
                          int lanes1) {
  Pack sum[height][2];
  for (int i = 0; i < height; ++i) {
    sum[i][0] = Pack::loadPartial(c + i * ldc, lanes0);
    sum[i][1] = Pack::loadPartial(c + i * ldc + (lanes1 ? Pack::width : 0), lanes1);
  }
  for (int64_t k = 0; k < depth; ++k) {
    const double* row = b + k * ldb;
    const Pack b0 = Pack::loadPartial(row, lanes0);
    const Pack b1 = Pack::loadPartial(row + (lanes1 ? Pack::width : 0), lanes1);
    for (int i = 0; i < height; ++i) {
      const Pack f = Pack::set1(a[i * rowStride + k * colStride]);
      sum[i][0] = fnma(f, b0, sum[i][0]);
      sum[i][1] = fnma(f, b1, sum[i][1]);
    }
  }
  for (int i = 0; i < height; ++i) {
    sum[i][0].storePartial(c + i * ldc, lanes0);
    if (lanes1) sum[i][1].storePartial(c + i * ldc + Pack::width, lanes1);
  }
}

void subtractRows(const Operand& a, const Matrix& b, const Matrix& c, int64_t begin, int64_t end) {
  constexpr int64_t w = Pack::width;
  for (int64_t j = 0; j < c.cols; j += 2 * w) {
    const int lanes0 = static_cast<int>(least(w, c.cols - j));
    const int64_t rest = c.cols - j - w;
    const int lanes1 = static_cast<int>(rest > 0 ? least(w, rest) : 0);
    const double* bj = b.data + j;
    for (int64_t i = begin; i < end;) {
      const double* ai = a.data + i * a.rowStride;
      double* ci = c.row(i) + j;
      if (end - i >= 4) {
        tile<4>(ai, a.rowStride, a.colStride, a.cols, bj, b.stride, ci, c.stride, lanes0, lanes1);
        i += 4;
      } else {
        tile<1>(ai, a.rowStride, a.colStride, a.cols, bj, b.stride, ci, c.stride, lanes0, lanes1);
        i += 1;
      }
    }
  }
}

/// The row of the largest element in column k, from row k on.
int64_t findPivot(const Matrix& a, int64_t k) {
  int64_t best = k;
  double size = std::fabs(a.at(k, k));
  for (int64_t i = k + 1; i < a.rows; ++i) {
    const double candidate = std::fabs(a.at(i, k));
    if (candidate > size) {
      size = candidate;
      best = i;
    }
  }
  return best;
}

/// Factors columns [from, to) below row `from`, exchanging whole rows.
int64_t factorPanel(const Matrix& a, int64_t from, int64_t to, int32_t* pivots) {
  int64_t singular = -1;
  for (int64_t k = from; k < to; ++k) {
    const int64_t pivot = findPivot(a, k);
    pivots[k] = static_cast<int32_t>(pivot);
    if (pivot != k) swapRows(a.row(pivot), a.row(k), a.cols);
    const double value = a.at(k, k);
    if (value == 0) {
      if (singular < 0) singular = k;
      continue;
    }
    for (int64_t i = k + 1; i < a.rows; ++i) {
      const double factor = a.at(i, k) / value;
      a.at(i, k) = factor;
      if (factor != 0) addScaled(-factor, a.row(k) + k + 1, a.row(i) + k + 1, to - k - 1);
    }
  }
  return singular;
}

/// The upper triangular T with H_0 ... H_{b-1} = I - Vᵀ T V for the rows V of `v`.
void formT(const Matrix& v, const double* tau, const Matrix& t) {
  setZero(t);
  for (int64_t j = 0; j < v.rows; ++j) {
    t.at(j, j) = tau[j];
    double products[kBlock];
    for (int64_t i = 0; i < j; ++i) products[i] = dot(v.row(i), v.row(j), v.cols);
    for (int64_t i = 0; i < j; ++i) {
      double sum = 0;
      for (int64_t k = i; k < j; ++k) sum += t.at(i, k) * products[k];
      t.at(i, j) = -tau[j] * sum;
    }
  }
}

/// c := (I - Vᵀ T V) c or its transpose, for a block of reflectors.
void applyBlock(const Matrix& v, const double* tau, bool transposed, double* work,
                const Matrix& c) {
  const int64_t b = v.rows;
  const Matrix t = {work, b, b, b};
  const Matrix w = {work + kBlock * kBlock, b, c.cols, c.cols};
  const Matrix x = {w.data + b * c.cols, b, c.cols, c.cols};
  formT(v, tau, t);
  const Operand top = transposed ? Operand(t).transposed() : Operand(t);
  setZero(w);
  subtractProduct(Operand(v), c, w);  // w = -V c
  setZero(x);
  subtractProduct(top, w, x);  // x = T V c
  subtractProduct(Operand(v).transposed(), x, c);
}

}  // namespace

void setZero(const Matrix& m) {
  for (int64_t i = 0; i < m.rows; ++i) {
    double* row = m.row(i);
    for (int64_t j = 0; j < m.cols; ++j) row[j] = 0;
  }
}

void setIdentity(const Matrix& m) {
  setZero(m);
  for (int64_t i = 0; i < least(m.rows, m.cols); ++i) m.at(i, i) = 1;
}

void transposeInPlace(const Matrix& square) {
  for (int64_t i = 0; i < square.rows; ++i) {
    for (int64_t j = 0; j < i; ++j) {
      const double t = square.at(i, j);
      square.at(i, j) = square.at(j, i);
      square.at(j, i) = t;
    }
  }
}

void subtractProduct(const Operand& a, const Matrix& b, const Matrix& c) {
  if (c.rows == 0 || c.cols == 0 || a.cols == 0) return;
  const int64_t perRow = c.cols * a.cols;
  parallelFor(c.rows, 131072 / perRow + 4, 4,
              [&](int64_t begin, int64_t end) { subtractRows(a, b, c, begin, end); });
}

void solveTriangular(const Operand& t, bool lower, bool unit, const Matrix& x) {
  const int64_t n = t.rows;
  const int64_t blocks = (n + kBlock - 1) / kBlock;
  for (int64_t step = 0; step < blocks; ++step) {
    const int64_t from = (lower ? step : blocks - 1 - step) * kBlock;
    const int64_t to = least(from + kBlock, n);
    for (int64_t k = 0; k < to - from; ++k) {
      const int64_t i = lower ? from + k : to - 1 - k;
      for (int64_t j = lower ? from : i + 1; j < (lower ? i : to); ++j) {
        addScaled(-t.at(i, j), x.row(j), x.row(i), x.cols);
      }
      if (unit) continue;
      const double diagonal = t.at(i, i);
      double* row = x.row(i);
      for (int64_t j = 0; j < x.cols; ++j) row[j] /= diagonal;
    }
    const Matrix solved = x.block(from, 0, to - from, x.cols);
    if (lower) {
      subtractProduct(t.block(to, from, n - to, to - from), solved, x.block(to, 0, n - to, x.cols));
    } else {
      subtractProduct(t.block(0, from, from, to - from), solved, x.block(0, 0, from, x.cols));
    }
  }
}

int64_t factorLU(const Matrix& a, int32_t* pivots) {
  const int64_t n = a.rows;
  int64_t singular = -1;
  for (int64_t from = 0; from < n; from += kBlock) {
    const int64_t to = least(from + kBlock, n), width = to - from, rest = n - to;
    const int64_t zero = factorPanel(a, from, to, pivots);
    if (singular < 0) singular = zero;
    const Matrix right = a.block(from, to, width, rest);
    solveTriangular(Operand(a.block(from, from, width, width)), true, true, right);
    subtractProduct(Operand(a.block(to, from, rest, width)), right, a.block(to, to, rest, rest));
  }
  return singular;
}

int64_t factorCholesky(const Matrix& a) {
  const int64_t n = a.rows;
  for (int64_t from = 0; from < n; from += kBlock) {
    const int64_t to = least(from + kBlock, n);
    for (int64_t k = from; k < to; ++k) {
      double* row = a.row(k);
      if (!(row[k] > 0) || std::isinf(row[k])) return k;
      const double root = std::sqrt(row[k]);
      row[k] = root;
      for (int64_t j = k + 1; j < n; ++j) row[j] /= root;
      for (int64_t i = k + 1; i < to; ++i) addScaled(-row[i], row + i, a.row(i) + i, n - i);
    }
    // The rest in strips of rows, each from its diagonal on.
    const Operand solved(a.block(from, 0, to - from, n));
    for (int64_t i = to; i < n; i += 2 * kBlock) {
      const int64_t height = least(2 * kBlock, n - i);
      subtractProduct(solved.block(0, i, to - from, height).transposed(),
                      a.block(from, i, to - from, n - i), a.block(i, i, height, n - i));
    }
  }
  return -1;
}

double makeReflector(double* x, int64_t n, double* tau) {
  const auto squares = [&] { return n > 1 ? dot(x + 1, x + 1, n - 1) : 0; };
  double rest = squares(), unit = 1;
  if (x[0] * x[0] + rest < kFewDigits) {
    unit = kTinyUnit;
    scale(1 / unit, x, n);
    rest = squares();
  }
  const double alpha = x[0];
  x[0] = 1;
  if (rest == 0) {
    *tau = 0;
    return alpha * unit;
  }
  const double norm = std::sqrt(alpha * alpha + rest);
  const double beta = alpha >= 0 ? -norm : norm;
  scale(1 / (alpha - beta), x + 1, n - 1);
  *tau = (beta - alpha) / beta;
  return beta * unit;
}

void factorQR(const Matrix& a, const Reflectors& q) {
  const int64_t count = least(a.rows, a.cols);
  setZero(q.v);
  for (int64_t from = 0; from < count; from += kBlock) {
    const int64_t to = least(from + kBlock, count);
    for (int64_t j = from; j < to; ++j) {
      double* v = q.v.row(j);
      for (int64_t i = j; i < a.rows; ++i) v[i] = a.at(i, j);
      a.at(j, j) = makeReflector(v + j, a.rows - j, &q.tau[j]);
      double products[kBlock] = {};
      const int64_t width = to - j - 1;
      for (int64_t i = j; i < a.rows; ++i) addScaled(v[i], a.row(i) + j + 1, products, width);
      for (int64_t i = j; i < a.rows; ++i) {
        addScaled(-q.tau[j] * v[i], products, a.row(i) + j + 1, width);
      }
    }
    if (to == a.cols) continue;
    applyBlock(q.v.block(from, from, to - from, a.rows - from), q.tau + from, true, q.work,
               a.block(from, to, a.rows - from, a.cols - to));
  }
}

void applyReflectors(const Reflectors& q, const Matrix& c) {
  const int64_t blocks = (q.v.rows + kBlock - 1) / kBlock;
  for (int64_t step = blocks - 1; step >= 0; --step) {
    const int64_t from = step * kBlock, to = least(from + kBlock, q.v.rows);
    applyBlock(q.v.block(from, from, to - from, q.v.cols - from), q.tau + from, false, q.work,
               c.block(from, 0, c.rows - from, c.cols));
  }
}

}  // namespace KINDLING_ISA
}  // namespace kindling
