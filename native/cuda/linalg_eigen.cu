// Eigenvalues and singular values: after the reductions of linalg_reduce.cu, implicitly shifted QR
// steps on the two diagonals, by the formulas of cpu/linalg_eigen.cc. One block works on one matrix.
// The steps are a chain that one thread follows; it gathers their rotations, which all threads then
// apply to the vectors, each to columns of its own.

#include "core/status.h"
#include "cuda/indexing.cuh"
#include "cuda/linalg.h"
#include "cuda/linalg_team.cuh"
#include "cuda/runtime.h"

namespace kindling {
namespace cuda {
namespace linalg {

constexpr unsigned kEigenThreads = 512;
constexpr double kEpsilon = 2.220446049250313e-16;
// Below this an element is 0: matrices are scaled to a largest element near 1.
constexpr double kTiny = 1e-290;
constexpr double kLeastNormal = 2.2250738585072014e-308;
// QR steps per eigenvalue before giving up; two or three are usual.
constexpr int64_t kMostSteps = 60;

struct Rotation {
  int32_t x, y;
  double c, s;
};
static_assert(sizeof(Rotation) == 3 * sizeof(double), "Spectrum::rotationSize");

/// Rotations of pairs of rows, gathered by one thread. Without a list nothing is gathered.
struct Rotations {
  Rotation* list;
  int count;

  __device__ __forceinline__ void add(int64_t x, int64_t y, double c, double s) {
    if (list == nullptr) return;
    list[count++] = {static_cast<int32_t>(x), static_cast<int32_t>(y), c, s};
  }
};

/// c x + s z = r and c z - s x = 0.
struct Givens {
  double c, s, r;
};

__device__ __forceinline__ Givens givens(double x, double z) {
  if (z == 0) return {1, 0, x};
  const double r = hypot(x, z);
  if (r >= kLeastNormal) return {x / r, z / r, r};
  // A subnormal r has too few digits for c² + s² = 1.
  const double unit = hypot(x / kTinyUnit, z / kTinyUnit);
  return {x / kTinyUnit / unit, z / kTinyUnit / unit, r};
}

__device__ __forceinline__ bool negligible(double e, double d0, double d1) {
  return fabs(e) <= kEpsilon * (fabs(d0) + fabs(d1)) + kTiny;
}

/// The eigenvalue of [[a, b], [b, c]] next to c.
__device__ __forceinline__ double wilkinsonShift(double a, double b, double c) {
  if (b == 0) return c;
  const double half = (a - c) / 2, root = hypot(half, b);
  return c - b * (b / (half >= 0 ? half + root : half - root));
}

/// One implicit QR step on the unreduced block [lo, hi] of a symmetric tridiagonal matrix.
__device__ inline void tridiagonalStep(double* d, double* e, int64_t lo, int64_t hi,
                                       Rotations& vectors) {
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
__device__ inline void bidiagonalStep(double* d, double* e, int64_t lo, int64_t hi,
                                      Rotations& left, Rotations& right) {
  const double above = hi - 1 > lo ? e[hi - 2] : 0;
  const double shift = wilkinsonShift(d[hi - 1] * d[hi - 1] + above * above, d[hi - 1] * e[hi - 1],
                                      d[hi] * d[hi] + e[hi - 1] * e[hi - 1]);
  double y = d[lo] * d[lo] - shift, z = d[lo] * e[lo];
  for (int64_t k = lo; k < hi; ++k) {
    const Givens g = givens(y, z);
    if (k > lo) e[k - 1] = g.r;
    const double diagonal = g.c * d[k] + g.s * e[k], next = g.c * d[k + 1];
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
__device__ inline void splitAtZero(double* d, double* e, int64_t i, int64_t lo, int64_t hi,
                                   Rotations& left, Rotations& right) {
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

/// The start of the unreduced block that ends at hi.
__device__ __forceinline__ int64_t blockStart(const double* d, double* e, int64_t hi) {
  int64_t lo = hi - 1;
  while (lo > 0 && !negligible(e[lo - 1], d[lo - 1], d[lo])) --lo;
  if (lo > 0) e[lo - 1] = 0;
  return lo;
}

/// How far the iteration on one matrix has come.
struct Progress {
  int64_t hi, steps;  // steps left
  double zero;        // what counts as 0 on a bidiagonal matrix's diagonal
};

/// Goes on until the lists may not hold one more step's rotations, or to the end.
__device__ inline void advanceTridiagonal(double* d, double* e, int64_t n, Progress& at,
                                          Rotations& vectors, int capacity) {
  while (at.hi > 0 && vectors.count + n <= capacity) {
    if (negligible(e[at.hi - 1], d[at.hi - 1], d[at.hi])) {
      --at.hi;
      continue;
    }
    if (at.steps-- == 0) return;
    tridiagonalStep(d, e, blockStart(d, e, at.hi), at.hi, vectors);
  }
}

__device__ inline void advanceBidiagonal(double* d, double* e, int64_t n, Progress& at,
                                         Rotations& left, Rotations& right, int capacity) {
  while (at.hi > 0 && left.count + n <= capacity && right.count + n <= capacity) {
    const int64_t hi = at.hi;
    if (negligible(e[hi - 1], d[hi - 1], d[hi])) {
      e[--at.hi] = 0;
      continue;
    }
    const int64_t lo = blockStart(d, e, hi);
    int64_t split = hi;
    while (split >= lo && fabs(d[split]) > at.zero) --split;
    if (split >= lo) {
      splitAtZero(d, e, split, lo, hi, left, right);
      continue;
    }
    if (at.steps-- == 0) return;
    bidiagonalStep(d, e, lo, hi, left, right);
  }
}

/// Every thread goes through the list for columns of its own.
__device__ __forceinline__ void rotateRows(const Rotation* list, int count, const Rows& rows,
                                           int64_t n) {
  for (int64_t j = threadIdx.x; j < n; j += blockDim.x) {
    for (int i = 0; i < count; ++i) {
      const Rotation r = list[i];
      double &x = rows.at(r.x, j), &y = rows.at(r.y, j);
      const double old = x;
      x = fma(r.c, old, r.s * y);
      y = fma(r.c, y, -r.s * old);
    }
  }
}

/// order[rank] = the position of that rank's value; equal values keep their order.
__device__ __forceinline__ void rankValues(const double* d, int64_t n, bool descending,
                                           int32_t* order) {
  for (int64_t i = threadIdx.x; i < n; i += blockDim.x) {
    int64_t rank = 0;
    for (int64_t j = 0; j < n; ++j) {
      const bool before = descending ? d[j] > d[i] : d[j] < d[i];
      rank += before || (d[j] == d[i] && j < i) ? 1 : 0;
    }
    order[rank] = static_cast<int32_t>(i);
  }
}

/// What the threads of an iteration tell each other.
struct Notice {
  int leftCount, rightCount, done;
};

/// The QR iteration on d and e; the rotations go to the rows of u and, where bidiagonal, v. At the
/// end order ranks the values.
__global__ void __launch_bounds__(kEigenThreads)
    iterate(int64_t n, bool bidiagonal, double* ds, double* es, Matrices us, Matrices vs,
            double* rotations, int capacity, int32_t* orders, Result* __restrict__ results) {
  GPU_SHARED(Notice, notice, [1]);
  const int64_t index = blockIdx.x;
  if (results[index].outcome != Outcome::ok) return;  // the whole block
  double *const d = ds + index * n, *const e = es + index * n;
  const bool wantsVectors = us.data != nullptr;
  const int lists = bidiagonal ? 2 : 1;
  Rotation* const all = reinterpret_cast<Rotation*>(rotations) + index * lists * capacity;
  Rotations left = {wantsVectors ? all : nullptr, 0};
  Rotations right = {wantsVectors && bidiagonal ? all + capacity : nullptr, 0};
  const Rows u(us, index), v(vs, index);
  Progress at = {n - 1, kMostSteps * n, 0};
  if (bidiagonal && threadIdx.x == 0) {
    double norm = 0;
    for (int64_t i = 0; i < n; ++i) {
      norm = fmax(norm, fabs(d[i]) + (i + 1 < n ? fabs(e[i]) : 0));
    }
    at.zero = kEpsilon * norm + kTiny;
  }
  for (bool done = false; !done;) {
    if (threadIdx.x == 0) {
      left.count = right.count = 0;
      if (bidiagonal) {
        advanceBidiagonal(d, e, n, at, left, right, capacity);
      } else {
        advanceTridiagonal(d, e, n, at, left, capacity);
      }
      notice[0] = {left.count, right.count, at.hi <= 0 || at.steps < 0 ? 1 : 0};
    }
    __syncthreads();
    const Notice told = notice[0];
    if (told.leftCount > 0) rotateRows(all, told.leftCount, u, n);
    if (told.rightCount > 0) rotateRows(all + capacity, told.rightCount, v, n);
    done = told.done != 0;
    __syncthreads();
  }
  if (threadIdx.x == 0) {
    notice[0].done = at.steps >= 0;
    if (at.steps < 0) results[index].outcome = Outcome::noConvergence;
  }
  __syncthreads();
  if (notice[0].done == 0) return;  // the whole block
  if (bidiagonal) {
    for (int64_t i = threadIdx.x; i < n; i += blockDim.x) {
      const bool negative = d[i] < 0;
      if (negative) d[i] = -d[i];
      for (int64_t j = 0; j < n && negative && wantsVectors; ++j) v.at(i, j) = -v.at(i, j);
    }
    __syncthreads();
  }
  rankValues(d, n, bidiagonal, orders + index * n);
}

/// to.row(i) = from.row(order[i])
__global__ void __launch_bounds__(kBlockThreads)
    orderRows(Matrices from, const int32_t* __restrict__ orders, Matrices to,
              const Result* __restrict__ results) {
  const int64_t total = to.count * to.rows * to.cols;
  const int64_t grid = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < total;
       i += grid) {
    const int64_t line = i / to.cols, index = line / to.rows;
    if (results[index].outcome != Outcome::ok) continue;
    const Rows target(to, index), source(from, index);
    target.at(line - index * to.rows, i - line * to.cols) =
        source.at(orders[line], i - line * to.cols);
  }
}

namespace {

Matrices columnsOf(double* data, int64_t count, int64_t n) { return {data, count, n, 1, 1, 1, n}; }

Status orderInto(const Matrices& from, const int32_t* order, const Matrices& to,
                 const Result* results) {
  return launch(orderRows, dim3(gridFor(to.count * to.rows * to.cols, kBlockThreads)),
                dim3(kBlockThreads), 0, from, order, to, results);
}

}  // namespace

Status eigenSymmetric(const Matrices& a, const Matrices& vectors, const Spectrum& spectrum,
                      const Reflectors& q, Result* results) {
  const int64_t n = a.rows;
  const dim3 grid(static_cast<unsigned>(a.count));
  Status status = tridiagonalize(a, spectrum, q, results);
  const bool wanted = vectors.data != nullptr;
  if (status == Status::ok && wanted) status = setIdentity(a);
  if (status == Status::ok && wanted) status = applyReflectors(q, a);
  // The columns of Q become rows, which the rotations mix.
  const Matrices rows = q.v;
  if (status == Status::ok && wanted) status = copy(a.transposed(), rows);
  const Matrices rotated = {wanted ? rows.data : nullptr, rows.count,     rows.rows, rows.cols,
                            rows.rowStride,               rows.colStride, rows.each};
  if (status == Status::ok) {
    status = launch(iterate, grid, dim3(teamFor(n, kEigenThreads)), 0, n, false, spectrum.d,
                    spectrum.e, rotated, Matrices{}, spectrum.rotations,
                    static_cast<int>(Spectrum::rotationCount(n)), spectrum.order, results);
  }
  const Matrices values = columnsOf(spectrum.d, a.count, n);
  const Matrices ordered = columnsOf(spectrum.e, a.count, n);
  if (status == Status::ok) status = orderInto(values, spectrum.order, ordered, results);
  if (status == Status::ok) status = copy(ordered, values);
  return status == Status::ok && wanted ? orderInto(rows, spectrum.order, vectors, results) : status;
}

Status singularValues(const Matrices& a, const Matrices& u, const Matrices& v,
                      const Spectrum& spectrum, const Reflectors& left, const Reflectors& right,
                      Result* results) {
  const int64_t n = a.rows;
  const dim3 grid(static_cast<unsigned>(a.count));
  const bool wanted = u.data != nullptr;
  Status status = bidiagonalize(a, spectrum, left, right, results);
  for (int side = 0; side < 2 && status == Status::ok && wanted; ++side) {
    const Reflectors& q = side == 0 ? left : right;
    status = setIdentity(a);
    if (status == Status::ok) status = applyReflectors(q, a);
    if (status == Status::ok) status = copy(a.transposed(), q.v);
  }
  Matrices leftRows = left.v, rightRows = right.v;
  if (!wanted) leftRows.data = rightRows.data = nullptr;
  if (status == Status::ok) {
    status = launch(iterate, grid, dim3(teamFor(n, kEigenThreads)), 0, n, true, spectrum.d,
                    spectrum.e, leftRows, rightRows, spectrum.rotations,
                    static_cast<int>(Spectrum::rotationCount(n)), spectrum.order, results);
  }
  const Matrices values = columnsOf(spectrum.d, a.count, n);
  const Matrices ordered = columnsOf(spectrum.e, a.count, n);
  if (status == Status::ok) status = orderInto(values, spectrum.order, ordered, results);
  if (status == Status::ok) status = copy(ordered, values);
  if (status == Status::ok && wanted) status = orderInto(left.v, spectrum.order, u, results);
  return status == Status::ok && wanted ? orderInto(right.v, spectrum.order, v, results) : status;
}

}  // namespace linalg
}  // namespace cuda
}  // namespace kindling
