// Loading, storing, products and triangular solves of batches of matrices.

#include "core/status.h"
#include "cuda/indexing.cuh"
#include "cuda/linalg.h"
#include "cuda/runtime.h"

namespace kindling {
namespace cuda {
namespace linalg {

/// The grid-stride loop over all elements of a batch: calls body(matrix, row, column).
template <typename Body>
__device__ __forceinline__ void forElements(const Matrices& m, const Body& body) {
  const int64_t total = m.count * m.rows * m.cols;
  const int64_t grid = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < total;
       i += grid) {
    const int64_t line = i / m.cols, index = line / m.rows;
    body(index, line - index * m.rows, i - line * m.cols);
  }
}

__device__ __forceinline__ double* elementOf(const Matrices& m, int64_t index, int64_t row,
                                             int64_t col) {
  return m.data + index * m.each + row * m.rowStride + col * m.colStride;
}

template <typename T>
__global__ void __launch_bounds__(kBlockThreads)
    loadMatrices(const T* __restrict__ from, Matrices to, bool transposed) {
  forElements(to, [&](int64_t index, int64_t row, int64_t col) {
    const int64_t at = transposed ? col * to.rows + row : row * to.cols + col;
    *elementOf(to, index, row, col) = static_cast<double>(from[index * to.rows * to.cols + at]);
  });
}

template <typename T>
__global__ void __launch_bounds__(kBlockThreads)
    storeMatrices(Matrices from, const double* __restrict__ factors, T* __restrict__ to) {
  forElements(from, [&](int64_t index, int64_t row, int64_t col) {
    const double factor = factors != nullptr ? factors[index] : 1.0;
    to[(index * from.rows + row) * from.cols + col] =
        static_cast<T>(*elementOf(from, index, row, col) * factor);
  });
}

__global__ void __launch_bounds__(kBlockThreads) fillDiagonal(Matrices m, double diagonal) {
  forElements(m, [&](int64_t index, int64_t row, int64_t col) {
    *elementOf(m, index, row, col) = row == col ? diagonal : 0.0;
  });
}

__global__ void __launch_bounds__(kBlockThreads) copyMatrices(Matrices from, Matrices to) {
  forElements(to, [&](int64_t index, int64_t row, int64_t col) {
    *elementOf(to, index, row, col) = *elementOf(from, index, row, col);
  });
}

__global__ void __launch_bounds__(kBlockThreads) clearBelow(Matrices m) {
  forElements(m, [&](int64_t index, int64_t row, int64_t col) {
    if (col < row) *elementOf(m, index, row, col) = 0.0;
  });
}

constexpr int kTile = 64, kTileDepth = 16, kTileThreads = 256, kTilePitch = kTile + 1;

/// panel[k][line] := part of m, whose lines run along the tile; zeros outside.
__device__ __forceinline__ void loadPanel(const double* __restrict__ from, int64_t lineStride,
                                          int64_t depthStride, int64_t lines, int64_t depth,
                                          double (*panel)[kTilePitch]) {
  // Neighbouring threads read neighbours in memory.
  const bool alongDepth = depthStride == 1;
#pragma unroll
  for (int i = 0; i < kTile * kTileDepth / kTileThreads; ++i) {
    const int e = static_cast<int>(threadIdx.x) + i * kTileThreads;
    const int k = alongDepth ? e % kTileDepth : e / kTile;
    const int line = alongDepth ? e / kTileDepth : e % kTile;
    panel[k][line] = line < lines && k < depth ? from[line * lineStride + k * depthStride] : 0.0;
  }
}

/// c -= a b. Grid: (matrix * down + tile row) * across + tile column.
__global__ void __launch_bounds__(kTileThreads)
    subtractTiles(Matrices a, Matrices b, Matrices c, unsigned across, unsigned down,
                  bool upperOnly) {
  GPU_SHARED(double, left, [kTileDepth][kTilePitch]);
  GPU_SHARED(double, right, [kTileDepth][kTilePitch]);
  const int64_t index = blockIdx.x / across / down;
  const int64_t row = static_cast<int64_t>(blockIdx.x / across % down) * kTile;
  const int64_t col = static_cast<int64_t>(blockIdx.x % across) * kTile;
  if (upperOnly && col + kTile <= row) return;  // the whole block
  const int y = static_cast<int>(threadIdx.x) / 16, x = static_cast<int>(threadIdx.x) % 16;
  double sum[4][4] = {};
  for (int64_t k = 0; k < a.cols; k += kTileDepth) {
    __syncthreads();
    loadPanel(elementOf(a, index, row, k), a.rowStride, a.colStride, a.rows - row, a.cols - k,
              left);
    loadPanel(elementOf(b, index, k, col), b.colStride, b.rowStride, b.cols - col, a.cols - k,
              right);
    __syncthreads();
#pragma unroll
    for (int i = 0; i < kTileDepth; ++i) {
      double p[4], q[4];
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        p[j] = left[i][y + 16 * j];
        q[j] = right[i][x + 16 * j];
      }
#pragma unroll
      for (int r = 0; r < 4; ++r) {
#pragma unroll
        for (int s = 0; s < 4; ++s) sum[r][s] = fma(p[r], q[s], sum[r][s]);
      }
    }
  }
#pragma unroll
  for (int r = 0; r < 4; ++r) {
#pragma unroll
    for (int s = 0; s < 4; ++s) {
      const int64_t i = row + y + 16 * r, j = col + x + 16 * s;
      if (i < c.rows && j < c.cols) *elementOf(c, index, i, j) -= sum[r][s];
    }
  }
}

constexpr int kSolveThreads = 64;

/// x := t⁻¹ x for triangles of at most kBlock rows: one thread for each column of x. Grid: matrix *
/// across + columns.
__global__ void __launch_bounds__(kSolveThreads)
    solveDiagonal(Matrices t, bool lower, bool unit, Matrices x, unsigned across) {
  GPU_SHARED(double, triangle, [kBlock][kBlock + 1]);
  GPU_SHARED(double, column, [kBlock][kSolveThreads]);
  const int64_t index = blockIdx.x / across;
  const int64_t col = static_cast<int64_t>(blockIdx.x % across) * kSolveThreads + threadIdx.x;
  const int n = static_cast<int>(t.rows), me = static_cast<int>(threadIdx.x);
  const bool exists = col < x.cols;
  for (int e = me; e < n * n; e += kSolveThreads) {
    const int i = e / n, j = e - i * n;
    // Only the triangle is read.
    const bool wanted = i == j ? !unit : (j < i) == lower;
    triangle[i][j] = wanted ? *elementOf(t, index, i, j) : 0.0;
  }
  for (int i = 0; i < n && exists; ++i) column[i][me] = *elementOf(x, index, i, col);
  __syncthreads();
  for (int step = 0; step < n && exists; ++step) {
    const int i = lower ? step : n - 1 - step;
    double value = column[i][me];
    for (int j = lower ? 0 : i + 1; j < (lower ? i : n); ++j) {
      value = fma(-triangle[i][j], column[j][me], value);
    }
    if (!unit) value /= triangle[i][i];
    column[i][me] = value;
    *elementOf(x, index, i, col) = value;
  }
}

namespace {

dim3 gridOver(const Matrices& m) {
  return dim3(gridFor(m.count * m.rows * m.cols, kBlockThreads));
}

}  // namespace

Status load(const TensorView& view, int64_t first, const Matrices& to, bool transposed) {
  const int64_t at = first * to.rows * to.cols;
  if (to.count * to.rows * to.cols == 0) return Status::ok;
  return view.dtype == DType::float64
             ? launch(loadMatrices<double>, gridOver(to), dim3(kBlockThreads), 0,
                      static_cast<const double*>(view.data) + at, to, transposed)
             : launch(loadMatrices<float>, gridOver(to), dim3(kBlockThreads), 0,
                      static_cast<const float*>(view.data) + at, to, transposed);
}

Status store(const Matrices& from, const TensorView& view, int64_t first, const double* factors) {
  const int64_t at = first * from.rows * from.cols;
  if (from.count * from.rows * from.cols == 0) return Status::ok;
  return view.dtype == DType::float64
             ? launch(storeMatrices<double>, gridOver(from), dim3(kBlockThreads), 0, from, factors,
                      static_cast<double*>(view.data) + at)
             : launch(storeMatrices<float>, gridOver(from), dim3(kBlockThreads), 0, from, factors,
                      static_cast<float*>(view.data) + at);
}

Status setZero(const Matrices& m) {
  if (m.count * m.rows * m.cols == 0) return Status::ok;
  return launch(fillDiagonal, gridOver(m), dim3(kBlockThreads), 0, m, 0.0);
}

Status setIdentity(const Matrices& m) {
  if (m.count * m.rows * m.cols == 0) return Status::ok;
  return launch(fillDiagonal, gridOver(m), dim3(kBlockThreads), 0, m, 1.0);
}

Status copy(const Matrices& from, const Matrices& to) {
  if (to.count * to.rows * to.cols == 0) return Status::ok;
  return launch(copyMatrices, gridOver(to), dim3(kBlockThreads), 0, from, to);
}

Status clearLower(const Matrices& m) {
  if (m.count * m.rows * m.cols == 0) return Status::ok;
  return launch(clearBelow, gridOver(m), dim3(kBlockThreads), 0, m);
}

Status subtractProduct(const Matrices& a, const Matrices& b, const Matrices& c, bool upperOnly) {
  if (c.count * c.rows * c.cols == 0 || a.cols == 0) return Status::ok;
  const unsigned across = static_cast<unsigned>(ceilDivide(c.cols, kTile));
  const unsigned down = static_cast<unsigned>(ceilDivide(c.rows, kTile));
  return launch(subtractTiles, dim3(static_cast<unsigned>(c.count) * across * down),
                dim3(kTileThreads), 0, a, b, c, across, down, upperOnly);
}

Status solveTriangular(const Matrices& t, bool lower, bool unit, const Matrices& x) {
  const int64_t n = t.rows, blocks = ceilDivide(n, kBlock);
  if (x.count * x.rows * x.cols == 0) return Status::ok;
  const unsigned across = static_cast<unsigned>(ceilDivide(x.cols, kSolveThreads));
  for (int64_t step = 0; step < blocks; ++step) {
    const int64_t from = (lower ? step : blocks - 1 - step) * kBlock;
    const int64_t to = least(from + kBlock, n), width = to - from;
    const Matrices solved = x.block(from, 0, width, x.cols);
    Status status = launch(solveDiagonal, dim3(static_cast<unsigned>(x.count) * across),
                           dim3(kSolveThreads), 0, t.block(from, from, width, width), lower, unit,
                           solved, across);
    if (status != Status::ok) return status;
    status = lower ? subtractProduct(t.block(to, from, n - to, width), solved,
                                     x.block(to, 0, n - to, x.cols))
                   : subtractProduct(t.block(0, from, from, width), solved,
                                     x.block(0, 0, from, x.cols));
    if (status != Status::ok) return status;
  }
  return Status::ok;
}

}  // namespace linalg
}  // namespace cuda
}  // namespace kindling
