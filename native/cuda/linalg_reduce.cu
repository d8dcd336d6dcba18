// Scaling, and the Householder reductions of symmetric matrices to tridiagonal and of square matrices to
// upper bidiagonal form, as in cpu/linalg_eigen.cc (Golub and Van Loan, Matrix Computations, 4th
// edition, sections 8.3 and 8.6). One block works on one matrix.

#include "core/status.h"
#include "cuda/indexing.cuh"
#include "cuda/linalg.h"
#include "cuda/linalg_team.cuh"
#include "cuda/runtime.h"

namespace kindling {
namespace cuda {
namespace linalg {

constexpr unsigned kReductionThreads = 512;

__global__ void __launch_bounds__(256)
    normalizeAll(Matrices m, double* __restrict__ factors, Result* __restrict__ results) {
  GPU_SHARED(double, tops, [kMostWarps]);
  GPU_SHARED(double, room, [kMostWarps]);
  const int64_t index = blockIdx.x, size = m.rows * m.cols;
  const Rows a(m, index);
  double top = 0, check = 0;
  for (int64_t i = threadIdx.x; i < size; i += blockDim.x) {
    const double element = fabs(a.at(i / m.cols, i % m.cols));
    top = element > top ? element : top;
    check += element * 0;
  }
#pragma unroll
  for (int step = 16; step > 0; step /= 2) {
    const double other = __shfl_xor_sync(0xffffffffu, top, step);
    top = other > top ? other : top;
  }
  if (threadIdx.x % 32 == 0) tops[threadIdx.x / 32] = top;
  check = sumOverBlock(check, room);
  for (int i = 0; i < static_cast<int>(blockDim.x) / 32; ++i) top = tops[i] > top ? tops[i] : top;
  if (check != 0) {
    if (threadIdx.x == 0) {
      factors[index] = NAN;
      if (results != nullptr) results[index].outcome = Outcome::notFinite;
    }
    return;  // the whole block
  }
  if (threadIdx.x == 0) factors[index] = 1;
  if (top == 0) return;  // the whole block
  int exponent;
  frexp(top, &exponent);
  --exponent;
  // In two steps: the inverse of the least powers of two is not finite.
  const int part = -exponent / 2;
  const double half = ldexp(1.0, part), rest = ldexp(1.0, -exponent - part);
  for (int64_t i = threadIdx.x; i < size; i += blockDim.x) {
    double& element = a.at(i / m.cols, i % m.cols);
    element = element * half * rest;
  }
  if (threadIdx.x == 0) factors[index] = ldexp(1.0, exponent);
}

__global__ void __launch_bounds__(kBlockThreads) mirrorAll(Matrices m, bool upper) {
  const int64_t total = m.count * m.rows * m.cols;
  const int64_t grid = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < total;
       i += grid) {
    const int64_t line = i / m.cols, row = line % m.rows, col = i - line * m.cols;
    const Rows a(m, line / m.rows);
    if (upper ? col < row : col > row) a.at(row, col) = a.at(col, row);
  }
}

/// a := its tridiagonal form in d and e, and the reflectors of a = Q T Qᵀ. `works` has n for each
/// matrix; the vectors are zero.
__global__ void __launch_bounds__(kReductionThreads)
    reduceToTridiagonal(Matrices m, double* ds, double* es, Matrices vectors, double* taus, double* works,
                   const Result* __restrict__ results) {
  GPU_SHARED(double, room, [kMostWarps]);
  const int64_t index = blockIdx.x, n = m.rows;
  if (results[index].outcome != Outcome::ok) return;  // the whole block
  const Rows a(m, index), all(vectors, index);
  double *const d = ds + index * n, *const e = es + index * n;
  double *const taus1 = taus + index * n, *const w = works + index * n;
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  const int warps = static_cast<int>(blockDim.x) / 32;
  for (int64_t k = 0; k + 1 < n; ++k) {
    double* const v = all.data + k * all.rowStride;
    const int64_t from = k + 1, rest = n - from;
    for (int64_t j = from + threadIdx.x; j < n; j += blockDim.x) v[j] = a.at(k, j);
    __syncthreads();
    const double beta = makeReflector(v + from, rest, taus1 + k, room);
    if (threadIdx.x == 0) {
      d[k] = a.at(k, k);
      e[k] = beta;
    }
    const double tau = taus1[k];
    if (tau == 0) continue;
    // A - v wᵀ - w vᵀ with w = p - (tau/2)(p·v) v and p = tau A v.
    double along = 0;
    for (int64_t i = warp; i < rest; i += warps) {
      double sum = 0;
      for (int64_t j = lane; j < rest; j += 32) sum = fma(a.at(from + i, from + j), v[from + j], sum);
      sum = tau * sumOverWarp(sum);
      if (lane == 0) {
        w[i] = sum;
        along = fma(sum, v[from + i], along);
      }
    }
    const double factor = -tau / 2 * sumOverBlock(along, room);
    for (int64_t i = threadIdx.x; i < rest; i += blockDim.x) w[i] = fma(factor, v[from + i], w[i]);
    __syncthreads();
    for (int64_t i = warp; i < rest; i += warps) {
      const double vi = v[from + i], wi = w[i];
      for (int64_t j = lane; j < rest; j += 32) {
        double& element = a.at(from + i, from + j);
        element = fma(-wi, v[from + j], fma(-vi, w[j], element));
      }
    }
    __syncthreads();
  }
  if (threadIdx.x == 0) {
    d[n - 1] = a.at(n - 1, n - 1);
    taus1[n - 1] = 0;
  }
}

/// a := its upper bidiagonal form in d and e, and the reflectors of a = L B Rᵀ. The vectors are zero.
__global__ void __launch_bounds__(kReductionThreads)
    reduceToBidiagonal(Matrices m, double* ds, double* es, Matrices lefts, double* leftTaus,
                  Matrices rights, double* rightTaus, const Result* __restrict__ results) {
  GPU_SHARED(double, room, [kMostWarps]);
  const int64_t index = blockIdx.x, n = m.rows;
  if (results[index].outcome != Outcome::ok) return;  // the whole block
  const Rows a(m, index), left(lefts, index), right(rights, index);
  double *const d = ds + index * n, *const e = es + index * n;
  double *const leftTau = leftTaus + index * n, *const rightTau = rightTaus + index * n;
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  const int warps = static_cast<int>(blockDim.x) / 32;
  for (int64_t j = 0; j < n; ++j) {
    const int64_t rest = n - j - 1;
    double* const v = left.data + j * left.rowStride;
    for (int64_t i = j + threadIdx.x; i < n; i += blockDim.x) v[i] = a.at(i, j);
    __syncthreads();
    const double diagonal = makeReflector(v + j, n - j, leftTau + j, room);
    const double tau = leftTau[j];
    if (threadIdx.x == 0) {
      d[j] = diagonal;
      rightTau[j] = 0;
    }
    // rows -= tau v (vᵀ rows), column by column
    for (int64_t c = j + 1 + threadIdx.x; c < n; c += blockDim.x) {
      double sum = 0;
      for (int64_t i = j; i < n; ++i) sum = fma(v[i], a.at(i, c), sum);
      sum *= -tau;
      for (int64_t i = j; i < n; ++i) a.at(i, c) = fma(v[i], sum, a.at(i, c));
    }
    __syncthreads();
    if (rest == 0) break;
    double* const u = right.data + j * right.rowStride + j + 1;
    for (int64_t i = threadIdx.x; i < rest; i += blockDim.x) u[i] = a.at(j, j + 1 + i);
    __syncthreads();
    const double above = makeReflector(u, rest, rightTau + j, room);
    if (threadIdx.x == 0) e[j] = above;
    const double other = rightTau[j];
    for (int64_t i = j + 1 + warp; i < n; i += warps) {
      double sum = 0;
      for (int64_t c = lane; c < rest; c += 32) sum = fma(a.at(i, j + 1 + c), u[c], sum);
      sum = -other * sumOverWarp(sum);
      for (int64_t c = lane; c < rest; c += 32) {
        a.at(i, j + 1 + c) = fma(sum, u[c], a.at(i, j + 1 + c));
      }
    }
    __syncthreads();
  }
}

Status normalize(const Matrices& a, double* factors, Result* results) {
  return launch(normalizeAll, dim3(static_cast<unsigned>(a.count)), dim3(256), 0, a, factors,
                results);
}

Status mirror(const Matrices& a, bool upper) {
  return launch(mirrorAll, dim3(gridFor(a.count * a.rows * a.cols, kBlockThreads)),
                dim3(kBlockThreads), 0, a, upper);
}

Status tridiagonalize(const Matrices& a, const Spectrum& spectrum, const Reflectors& q,
                      const Result* results) {
  const Status status = setZero(q.v);
  if (status != Status::ok) return status;
  return launch(reduceToTridiagonal, dim3(static_cast<unsigned>(a.count)),
                dim3(teamFor(4 * a.rows, kReductionThreads)), 0, a, spectrum.d, spectrum.e, q.v,
                q.tau, q.work, results);
}

Status bidiagonalize(const Matrices& a, const Spectrum& spectrum, const Reflectors& left,
                     const Reflectors& right, const Result* results) {
  Status status = setZero(left.v);
  if (status == Status::ok) status = setZero(right.v);
  if (status != Status::ok) return status;
  return launch(reduceToBidiagonal, dim3(static_cast<unsigned>(a.count)),
                dim3(teamFor(4 * a.rows, kReductionThreads)), 0, a, spectrum.d, spectrum.e, left.v,
                left.tau, right.v, right.tau, results);
}

}  // namespace linalg
}  // namespace cuda
}  // namespace kindling
