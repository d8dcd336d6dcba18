// Eigenvalues and singular values: Householder reduction to a tridiagonal or bidiagonal matrix,
// then implicitly shifted QR steps on the two diagonals. The rotations of the steps are gathered
// and go over the vectors a few columns at a time, on several threads. Methods: Golub and Van Loan,
// Matrix Computations, 4th edition, sections 8.3 and 8.6; Golub and Reinsch, Singular value
// decomposition and least squares solutions, 1970.

#include <cmath>

#include "cpu/linalg.h"
#include "cpu/linalg_vec.h"
#include "cpu/parallel.h"

namespace kindling {
namespace KINDLING_ISA {

namespace {

constexpr double kEpsilon = 2.220446049250313e-16;
// Below this an element is 0: matrices are scaled to a largest element near 1.
constexpr double kTiny = 1e-290;
constexpr double kLeastNormal = 2.2250738585072014e-308;
// QR steps per eigenvalue before giving up; two or three are usual.
constexpr int64_t kMostSteps = 60;

/// c x + s z = r and c z - s x = 0.
struct Givens {
  double c, s, r;
};

KINDLING_INLINE Givens givens(double x, double z) {
  if (z == 0) return {1, 0, x};
  const double r = std::hypot(x, z);
  if (r >= kLeastNormal) return {x / r, z / r, r};
  // A subnormal r has too few digits for c² + s² = 1.
  const double unit = std::hypot(x / kTinyUnit, z / kTinyUnit);
  return {x / kTinyUnit / unit, z / kTinyUnit / unit, r};
}

KINDLING_INLINE bool negligible(double e, double d0, double d1) {
  return std::fabs(e) <= kEpsilon * (std::fabs(d0) + std::fabs(d1)) + kTiny;
}

/// The eigenvalue of [[a, b], [b, c]] next to c.
KINDLING_INLINE double wilkinsonShift(double a, double b, double c) {
  if (b == 0) return c;
  const double half = (a - c) / 2;
  const double root = std::hypot(half, b);
  return c - b * (b / (half >= 0 ? half + root : half - root));
}

/// One implicit QR step on the unreduced block [lo, hi] of a symmetric tridiagonal matrix.
void tridiagonalStep(double* d, double* e, int64_t lo, int64_t hi, Rotations& vectors) {
  double x = d[lo] - wilkinsonShift(d[hi - 1], e[hi - 1], d[hi]);
  double z = e[lo];
  for (int64_t k = lo; k < hi; ++k) {
    const Givens g = givens(x, z);
    if (k > lo) e[k - 1] = g.r;
    const double a = d[k], b = e[k], f = d[k + 1];
    const double cross = 2 * g.c * g.s * b;
    d[k] = g.c * g.c * a + cross + g.s * g.s * f;
    d[k + 1] = g.s * g.s * a - cross + g.c * g.c * f;
    e[k] = g.c * g.s * (f - a) + (g.c * g.c - g.s * g.s) * b;
    if (k + 1 < hi) {
      x = e[k];
      z = g.s * e[k + 1];
      e[k + 1] *= g.c;
    }
    vectors.add(k, k + 1, g.c, g.s);
  }
}

/// One implicit QR step on the unreduced block [lo, hi] of an upper bidiagonal matrix.
void bidiagonalStep(double* d, double* e, int64_t lo, int64_t hi, Rotations& left,
                    Rotations& right) {
  const double above = hi - 1 > lo ? e[hi - 2] : 0;
  const double shift = wilkinsonShift(d[hi - 1] * d[hi - 1] + above * above, d[hi - 1] * e[hi - 1],
                                      d[hi] * d[hi] + e[hi - 1] * e[hi - 1]);
  double y = d[lo] * d[lo] - shift;
  double z = d[lo] * e[lo];
  for (int64_t k = lo; k < hi; ++k) {
    const Givens g = givens(y, z);
    if (k > lo) e[k - 1] = g.r;
    const double diagonal = g.c * d[k] + g.s * e[k];
    double next = g.c * d[k + 1];
    e[k] = g.c * e[k] - g.s * d[k];
    right.add(k, k + 1, g.c, g.s);
    const Givens h = givens(diagonal, g.s * d[k + 1]);
    d[k] = h.r;
    const double off = e[k];
    e[k] = h.c * off + h.s * next;
    d[k + 1] = h.c * next - h.s * off;
    if (k + 1 < hi) {
      y = e[k];
      z = h.s * e[k + 1];
      e[k + 1] *= h.c;
    }
    left.add(k, k + 1, h.c, h.s);
  }
}

/// With d[i] = 0 inside the block [lo, hi], turns row i (or, where i = hi, column hi) into zeros.
void splitAtZero(double* d, double* e, int64_t i, int64_t lo, int64_t hi, Rotations& left,
                 Rotations& right) {
  d[i] = 0;
  if (i < hi) {
    double f = e[i];
    e[i] = 0;
    for (int64_t k = i + 1; k <= hi && f != 0; ++k) {
      const Givens g = givens(d[k], f);
      d[k] = g.r;
      left.add(k, i, g.c, g.s);
      if (k == hi) break;
      f = -g.s * e[k];
      e[k] *= g.c;
    }
    return;
  }
  double f = e[hi - 1];
  e[hi - 1] = 0;
  for (int64_t k = hi - 1; k >= lo && f != 0; --k) {
    const Givens g = givens(d[k], f);
    d[k] = g.r;
    right.add(k, hi, g.c, g.s);
    if (k == lo) break;
    f = -g.s * e[k - 1];
    e[k - 1] *= g.c;
  }
}

bool diagonalizeBidiagonal(double* d, double* e, int64_t n, Rotations& left, Rotations& right) {
  double norm = 0;
  for (int64_t i = 0; i < n; ++i) {
    norm = std::fmax(norm, std::fabs(d[i]) + (i + 1 < n ? std::fabs(e[i]) : 0));
  }
  const double zero = kEpsilon * norm + kTiny;
  int64_t steps = kMostSteps * n;
  for (int64_t hi = n - 1; hi > 0;) {
    if (negligible(e[hi - 1], d[hi - 1], d[hi])) {
      e[--hi] = 0;
      continue;
    }
    int64_t lo = hi - 1;
    while (lo > 0 && !negligible(e[lo - 1], d[lo - 1], d[lo])) --lo;
    if (lo > 0) e[lo - 1] = 0;
    int64_t split = hi;
    while (split >= lo && std::fabs(d[split]) > zero) --split;
    if (split >= lo) {
      splitAtZero(d, e, split, lo, hi, left, right);
      continue;
    }
    if (steps-- == 0) return false;
    bidiagonalStep(d, e, lo, hi, left, right);
  }
  return true;
}

/// Orders d by selection, and the rows of both matrices (where there are any) with it.
void sortRows(double* d, int64_t n, bool descending, const Matrix& a, const Matrix& b) {
  for (int64_t i = 0; i < n; ++i) {
    int64_t best = i;
    for (int64_t j = i + 1; j < n; ++j) {
      if (descending ? d[j] > d[best] : d[j] < d[best]) best = j;
    }
    if (best == i) continue;
    const double t = d[i];
    d[i] = d[best];
    d[best] = t;
    if (a.data) swapRows(a.row(i), a.row(best), a.cols);
    if (b.data) swapRows(b.row(i), b.row(best), b.cols);
  }
}

/// False: no convergence.
bool diagonalizeTridiagonal(double* d, double* e, int64_t n, Rotations& vectors) {
  int64_t steps = kMostSteps * n;
  for (int64_t hi = n - 1; hi > 0;) {
    if (negligible(e[hi - 1], d[hi - 1], d[hi])) {
      --hi;
      continue;
    }
    int64_t lo = hi - 1;
    while (lo > 0 && !negligible(e[lo - 1], d[lo - 1], d[lo])) --lo;
    if (lo > 0) e[lo - 1] = 0;
    if (steps-- == 0) return false;
    tridiagonalStep(d, e, lo, hi, vectors);
  }
  vectors.apply();
  sortRows(d, n, false, vectors.rows, {});
  return true;
}

/// a := its tridiagonal form in d and e, and the reflectors of a = Q T Qᵀ.
void tridiagonalize(const Matrix& a, double* d, double* e, const Reflectors& q) {
  const int64_t n = a.rows;
  setZero(q.v);
  for (int64_t k = 0; k + 1 < n; ++k) {
    d[k] = a.at(k, k);
    double* v = q.v.row(k);
    for (int64_t j = k + 1; j < n; ++j) v[j] = a.at(k, j);
    const double tau = (e[k] = makeReflector(v + k + 1, n - k - 1, &q.tau[k]), q.tau[k]);
    if (tau == 0) continue;
    // A - v wᵀ - w vᵀ with w = p - (tau/2)(p·v) v and p = tau A v.
    double* w = q.work;
    const int64_t rest = n - k - 1;
    parallelFor(rest, 65536 / rest + 1, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        w[i] = tau * dot(a.row(k + 1 + i) + k + 1, v + k + 1, rest);
      }
    });
    addScaled(-tau / 2 * dot(w, v + k + 1, rest), v + k + 1, w, rest);
    parallelFor(rest, 65536 / rest + 1, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        double* row = a.row(k + 1 + i) + k + 1;
        addScaled(-v[k + 1 + i], w, row, rest);
        addScaled(-w[i], v + k + 1, row, rest);
      }
    });
  }
  d[n - 1] = a.at(n - 1, n - 1);
  q.tau[n - 1] = 0;
}

/// rows -= tau v (vᵀ rows)
void reflectRows(const Matrix& rows, const double* v, double tau, double* work) {
  for (int64_t j = 0; j < rows.cols; ++j) work[j] = 0;
  for (int64_t i = 0; i < rows.rows; ++i) addScaled(v[i], rows.row(i), work, rows.cols);
  for (int64_t i = 0; i < rows.rows; ++i) addScaled(-tau * v[i], work, rows.row(i), rows.cols);
}

/// a := its upper bidiagonal form in d and e, and the reflectors of a = L B Rᵀ.
void bidiagonalize(const Matrix& a, double* d, double* e, const Reflectors& left,
                   const Reflectors& right) {
  const int64_t n = a.rows;
  setZero(left.v);
  setZero(right.v);
  for (int64_t j = 0; j < n; ++j) {
    const int64_t rest = n - j - 1;
    double* v = left.v.row(j);
    for (int64_t i = j; i < n; ++i) v[i] = a.at(i, j);
    d[j] = makeReflector(v + j, n - j, &left.tau[j]);
    reflectRows(a.block(j, j + 1, n - j, rest), v + j, left.tau[j], left.work);
    right.tau[j] = 0;
    if (rest == 0) break;
    double* u = right.v.row(j) + j + 1;
    for (int64_t i = 0; i < rest; ++i) u[i] = a.at(j, j + 1 + i);
    e[j] = makeReflector(u, rest, &right.tau[j]);
    const double tau = right.tau[j];
    parallelFor(rest, 65536 / rest + 1, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        double* row = a.row(j + 1 + i) + j + 1;
        addScaled(-tau * dot(row, u, rest), u, row, rest);
      }
    });
  }
}

}  // namespace

void Rotations::apply() {
  constexpr int64_t chunk = 64;
  const Matrix m = rows;
  const One* all = list;
  const int64_t n = count;
  count = 0;
  if (n == 0 || !m.data) return;
  parallelFor(m.cols, 65536 / n + 1, chunk, [&](int64_t begin, int64_t end) {
    for (int64_t j = begin; j < end; j += chunk) {
      const int64_t width = end - j < chunk ? end - j : chunk;
      for (int64_t i = 0; i < n; ++i) {
        rotate(all[i].c, all[i].s, m.row(all[i].x) + j, m.row(all[i].y) + j, width);
      }
    }
  });
}

bool eigenSymmetric(const Matrix& a, double* d, double* e, bool vectors, Rotations::One* rotations,
                    const Reflectors& q) {
  const int64_t most = Rotations::capacity(a.rows);
  tridiagonalize(a, d, e, q);
  if (vectors) {
    setIdentity(a);
    applyReflectors(q, a);
    transposeInPlace(a);
  }
  Rotations gathered = {rotations, most, 0, vectors ? a : Matrix{}};
  return diagonalizeTridiagonal(d, e, a.rows, gathered);
}

bool singularValues(const Matrix& a, double* d, double* e, const Matrix& ut, const Matrix& vt,
                    Rotations::One* rotations, const Reflectors& left, const Reflectors& right) {
  const int64_t n = a.rows;
  bidiagonalize(a, d, e, left, right);
  if (ut.data) {
    setIdentity(ut);
    applyReflectors(left, ut);
    transposeInPlace(ut);
    setIdentity(vt);
    applyReflectors(right, vt);
    transposeInPlace(vt);
  }
  const int64_t most = Rotations::capacity(n);
  Rotations onLeft = {rotations, most, 0, ut}, onRight = {rotations + most, most, 0, vt};
  if (!diagonalizeBidiagonal(d, e, n, onLeft, onRight)) return false;
  onLeft.apply();
  onRight.apply();
  for (int64_t i = 0; i < n; ++i) {
    if (!(d[i] < 0)) continue;
    d[i] = -d[i];
    if (vt.data) scale(-1, vt.row(i), n);
  }
  sortRows(d, n, true, ut, vt);
  return true;
}

}  // namespace KINDLING_ISA
}  // namespace kindling
