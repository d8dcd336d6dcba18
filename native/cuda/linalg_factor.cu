// The LU, Cholesky and QR factorizations, blocked as in cpu/linalg_factor.cc (Golub and Van Loan,
// Matrix Computations, 4th edition, sections 3.4, 4.2 and 5.2).

#include "core/status.h"
#include "cuda/linalg.h"
#include "cuda/linalg_team.cuh"
#include "cuda/runtime.h"

namespace kindling {
namespace cuda {
namespace linalg {

constexpr unsigned kPanelThreads = 512;

struct Pivot {
  double size;
  int64_t row;
};

__device__ __forceinline__ Pivot better(const Pivot& a, const Pivot& b) {
  if (a.size > b.size) return a;
  if (b.size > a.size) return b;
  return a.row < b.row ? a : b;
}

/// The row of the largest element in column k, from row k on; of equals the first. NaN is no
/// candidate, but stays where it is on the diagonal.
__device__ inline int64_t findPivot(const Rows& a, int64_t rows, int64_t k, double* sizes,
                                    int64_t* places) {
  Pivot best = {-1, k};
  for (int64_t i = k + threadIdx.x; i < rows; i += blockDim.x) {
    const double size = fabs(a.at(i, k));
    if (size > best.size) best = {size, i};
  }
#pragma unroll
  for (int step = 16; step > 0; step /= 2) {
    const double size = __shfl_xor_sync(0xffffffffu, best.size, step);
    const int64_t row = __shfl_xor_sync(0xffffffffu, static_cast<long long>(best.row), step);
    best = better(best, {size, row});
  }
  const int warp = static_cast<int>(threadIdx.x) / 32, warps = static_cast<int>(blockDim.x) / 32;
  if (threadIdx.x % 32 == 0) {
    sizes[warp] = best.size;
    places[warp] = best.row;
  }
  __syncthreads();
  for (int i = 0; i < warps; ++i) best = better(best, {sizes[i], places[i]});
  const double diagonal = a.at(k, k);
  __syncthreads();
  return diagonal != diagonal ? k : best.row;
}

/// Factors columns [from, to) below row `from`, exchanging whole rows. Lanes are columns of the
/// panel, warps are rows.
__global__ void __launch_bounds__(kPanelThreads)
    factorPanel(Matrices m, int64_t from, int64_t to, int32_t* __restrict__ pivots,
                Result* __restrict__ results) {
  GPU_SHARED(double, sizes, [kMostWarps]);
  GPU_SHARED(int64_t, places, [kMostWarps]);
  const int64_t index = blockIdx.x;
  const Rows a(m, index);
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  const int warps = static_cast<int>(blockDim.x) / 32;
  for (int64_t k = from; k < to; ++k) {
    const int64_t pivot = findPivot(a, m.rows, k, sizes, places);
    if (threadIdx.x == 0) pivots[index * m.rows + k] = static_cast<int32_t>(pivot);
    for (int64_t j = threadIdx.x; j < m.cols && pivot != k; j += blockDim.x) {
      const double swapped = a.at(pivot, j);
      a.at(pivot, j) = a.at(k, j);
      a.at(k, j) = swapped;
    }
    __syncthreads();
    const double value = a.at(k, k);
    if (value == 0 && threadIdx.x == 0 && results != nullptr &&
        results[index].outcome == Outcome::ok) {
      results[index] = {Outcome::singular, static_cast<int32_t>(k)};
    }
    const int64_t col = from + lane;
    const double above = col > k && col < to ? a.at(k, col) : 0.0;
    for (int64_t i = k + 1 + warp; i < m.rows && value != 0; i += warps) {
      const double factor = a.at(i, k) / value;
      __syncwarp();
      if (col == k) {
        a.at(i, k) = factor;
      } else if (col > k && col < to && factor != 0) {
        a.at(i, col) = fma(-factor, above, a.at(i, col));
      }
    }
    __syncthreads();
  }
}

/// One thread for each column of x. Grid: matrix * across + columns.
__global__ void __launch_bounds__(128)
    exchangeAll(const int32_t* __restrict__ pivots, Matrices x, unsigned across) {
  const int64_t index = blockIdx.x / across;
  const int64_t col = static_cast<int64_t>(blockIdx.x % across) * blockDim.x + threadIdx.x;
  if (col >= x.cols) return;
  const Rows rows(x, index);
  for (int64_t i = 0; i < x.rows; ++i) {
    const int64_t other = pivots[index * x.rows + i];
    if (other == i) continue;
    const double swapped = rows.at(i, col);
    rows.at(i, col) = rows.at(other, col);
    rows.at(other, col) = swapped;
  }
}

/// Rows [from, to) of U, in full length, and their share in each other.
__global__ void __launch_bounds__(kPanelThreads)
    factorCholeskyPanel(Matrices m, int64_t from, int64_t to, Result* __restrict__ results) {
  const int64_t index = blockIdx.x;
  const Rows a(m, index);
  const int64_t n = m.rows;
  if (results[index].outcome != Outcome::ok) return;  // the whole block
  for (int64_t k = from; k < to; ++k) {
    const double square = a.at(k, k);
    __syncthreads();
    if (!(square > 0) || isinf(square)) {
      if (threadIdx.x == 0) results[index] = {Outcome::notDefinite, static_cast<int32_t>(k)};
      return;  // the whole block
    }
    const double root = sqrt(square);
    for (int64_t j = k + threadIdx.x; j < n; j += blockDim.x) {
      a.at(k, j) = j == k ? root : a.at(k, j) / root;
    }
    __syncthreads();
    for (int64_t j = k + 1 + threadIdx.x; j < n; j += blockDim.x) {
      const double right = a.at(k, j);
      for (int64_t i = k + 1; i < to && i <= j; ++i) {
        a.at(i, j) = fma(-a.at(k, i), right, a.at(i, j));
      }
    }
    __syncthreads();
  }
}

/// Reflectors [from, to) of columns [from, to) of a. Lanes are columns of the panel, warps are rows.
__global__ void __launch_bounds__(kPanelThreads)
    factorReflectors(Matrices m, Matrices vectors, double* __restrict__ taus, int64_t from,
                     int64_t to) {
  GPU_SHARED(double, room, [kMostWarps]);
  GPU_SHARED(double, products, [kMostWarps][33]);
  const int64_t index = blockIdx.x;
  const Rows a(m, index), all(vectors, index);
  double* const tau = taus + index * vectors.rows;
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  const int warps = static_cast<int>(blockDim.x) / 32;
  for (int64_t j = from; j < to; ++j) {
    double* const v = all.data + j * all.rowStride;
    for (int64_t i = j + threadIdx.x; i < m.rows; i += blockDim.x) v[i] = a.at(i, j);
    __syncthreads();
    const double beta = makeReflector(v + j, m.rows - j, tau + j, room);
    const int64_t col = j + 1 + lane;
    double sum = 0;
    for (int64_t i = j + warp; i < m.rows && col < to; i += warps) {
      sum = fma(v[i], a.at(i, col), sum);
    }
    products[warp][lane] = sum;
    __syncthreads();
    sum = 0;
    for (int i = 0; i < warps; ++i) sum += products[i][lane];
    const double factor = -tau[j] * sum;
    for (int64_t i = j + warp; i < m.rows && col < to; i += warps) {
      a.at(i, col) = fma(v[i], factor, a.at(i, col));
    }
    if (threadIdx.x == 0) a.at(j, j) = beta;
    __syncthreads();
  }
}

/// The upper triangular T with H_0 ... H_{b-1} = I - Vᵀ T V for the rows V of `v`; `gram` is room for
/// V Vᵀ.
__global__ void __launch_bounds__(256)
    formT(Matrices v, const double* __restrict__ taus, int64_t tausEach, Matrices t, Matrices gram) {
  const int64_t index = blockIdx.x;
  const Rows rows(v, index), top(t, index), products(gram, index);
  const double* const tau = taus + index * tausEach;
  const int b = static_cast<int>(v.rows);
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  for (int pair = warp; pair < b * b; pair += static_cast<int>(blockDim.x) / 32) {
    const int i = pair / b, j = pair - i * b;
    double sum = 0;
    for (int64_t k = lane; k < v.cols && i < j; k += 32) {
      sum = fma(rows.at(i, k), rows.at(j, k), sum);
    }
    sum = sumOverWarp(sum);
    if (lane == 0) {
      products.at(i, j) = sum;
      top.at(i, j) = i == j ? tau[j] : 0.0;
    }
  }
  __syncthreads();
  const int i = static_cast<int>(threadIdx.x);  // a row of T, which needs only itself
  for (int j = i + 1; j < b; ++j) {
    double sum = 0;
    for (int k = i; k < j; ++k) sum = fma(top.at(i, k), products.at(k, j), sum);
    top.at(i, j) = -tau[j] * sum;
  }
}

Status factorLU(const Matrices& a, int32_t* pivots, Result* results) {
  const int64_t n = a.rows;
  for (int64_t from = 0; from < n; from += kBlock) {
    const int64_t to = least(from + kBlock, n), width = to - from, rest = n - to;
    const unsigned threads = teamFor(8 * (n - from), kPanelThreads);
    Status status = launch(factorPanel, dim3(static_cast<unsigned>(a.count)), dim3(threads), 0, a,
                           from, to, pivots, results);
    if (status != Status::ok) return status;
    const Matrices right = a.block(from, to, width, rest);
    status = solveTriangular(a.block(from, from, width, width), true, true, right);
    if (status != Status::ok) return status;
    status = subtractProduct(a.block(to, from, rest, width), right, a.block(to, to, rest, rest));
    if (status != Status::ok) return status;
  }
  return Status::ok;
}

Status exchangeRows(const int32_t* pivots, const Matrices& x) {
  if (x.count * x.rows * x.cols == 0) return Status::ok;
  const unsigned across = static_cast<unsigned>((x.cols + 127) / 128);
  return launch(exchangeAll, dim3(static_cast<unsigned>(x.count) * across), dim3(128), 0, pivots, x,
                across);
}

Status factorCholesky(const Matrices& a, Result* results) {
  const int64_t n = a.rows;
  for (int64_t from = 0; from < n; from += kBlock) {
    const int64_t to = least(from + kBlock, n), rest = n - to;
    Status status =
        launch(factorCholeskyPanel, dim3(static_cast<unsigned>(a.count)),
               dim3(teamFor(n - from, kPanelThreads)), 0, a, from, to, results);
    if (status != Status::ok) return status;
    const Matrices solved = a.block(from, to, to - from, rest);
    status = subtractProduct(solved.transposed(), solved, a.block(to, to, rest, rest), true);
    if (status != Status::ok) return status;
  }
  return Status::ok;
}

namespace {

/// c := (I - Vᵀ T V) c or its transpose, for a block of reflectors whose taus begin at `tau`.
Status applyBlock(const Matrices& v, const double* tau, int64_t tausEach, bool transposed,
                  double* work, const Matrices& c) {
  const int64_t b = v.rows, square = kBlock * kBlock;
  if (c.count * c.cols == 0) return Status::ok;
  const Matrices t = {work, c.count, b, b, b, 1, square};
  const Matrices gram = {work + c.count * square, c.count, b, b, b, 1, square};
  const Matrices w = {gram.data + c.count * square, c.count, b, c.cols, c.cols, 1, b * c.cols};
  const Matrices x = {w.data + c.count * b * c.cols, c.count, b, c.cols, c.cols, 1, b * c.cols};
  Status status = launch(formT, dim3(static_cast<unsigned>(c.count)), dim3(256), 0, v, tau, tausEach,
                         t, gram);
  if (status == Status::ok) status = setZero(w);
  if (status == Status::ok) status = subtractProduct(v, c, w);  // w = -V c
  if (status == Status::ok) status = setZero(x);
  if (status == Status::ok) {
    status = subtractProduct(transposed ? t.transposed() : t, w, x);  // x = T V c
  }
  return status == Status::ok ? subtractProduct(v.transposed(), x, c) : status;
}

}  // namespace

Status factorQR(const Matrices& a, const Reflectors& q) {
  const int64_t count = least(a.rows, a.cols);
  Status status = setZero(q.v);
  for (int64_t from = 0; from < count && status == Status::ok; from += kBlock) {
    const int64_t to = least(from + kBlock, count);
    status = launch(factorReflectors, dim3(static_cast<unsigned>(a.count)),
                    dim3(teamFor(8 * (a.rows - from), kPanelThreads)), 0, a, q.v, q.tau, from, to);
    if (status != Status::ok || to == a.cols) continue;
    status = applyBlock(q.v.block(from, from, to - from, a.rows - from), q.tau + from, q.v.rows,
                        true, q.work, a.block(from, to, a.rows - from, a.cols - to));
  }
  return status;
}

Status applyReflectors(const Reflectors& q, const Matrices& c) {
  const int64_t blocks = (q.v.rows + kBlock - 1) / kBlock;
  for (int64_t step = blocks - 1; step >= 0; --step) {
    const int64_t from = step * kBlock, to = least(from + kBlock, q.v.rows);
    const Status status =
        applyBlock(q.v.block(from, from, to - from, q.v.cols - from), q.tau + from, q.v.rows, false,
                   q.work, c.block(from, 0, c.rows - from, c.cols));
    if (status != Status::ok) return status;
  }
  return Status::ok;
}

}  // namespace linalg
}  // namespace cuda
}  // namespace kindling
