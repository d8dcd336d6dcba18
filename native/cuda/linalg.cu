// The linear algebra ops. Batches are taken in pieces that bound the workspace.

#include <cinttypes>
#include <cstdio>
#include <vector>

#include "core/op_info.h"
#include "core/status.h"
#include "cuda/copies.h"
#include "cuda/indexing.cuh"
#include "cuda/kernel_table.h"
#include "cuda/linalg.h"
#include "cuda/runtime.h"

namespace kindling {
namespace cuda {
namespace linalg {

constexpr int64_t kMostWorkspace = int64_t{256} << 20;  // bytes, if that holds one matrix
constexpr int64_t kMostMatrices = 1 << 16;              // at once

/// The first element on the diagonal of each matrix that is 0 makes it singular.
__global__ void __launch_bounds__(kBlockThreads)
    checkDiagonal(Matrices m, Result* __restrict__ results) {
  const int64_t index = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (index >= m.count) return;
  for (int64_t i = 0; i < m.rows; ++i) {
    if (m.data[index * m.each + i * (m.rowStride + m.colStride)] == 0) {
      results[index] = {Outcome::zeroDiagonal, static_cast<int32_t>(i)};
      return;
    }
  }
}

/// The determinants of factored matrices. det: as mantissa · 2^exponent, so that no partial product
/// overflows; signs and logs, where given, for slogdet.
__global__ void __launch_bounds__(kBlockThreads)
    multiplyDiagonal(Matrices m, const int32_t* __restrict__ pivots, double* __restrict__ dets,
                     double* __restrict__ signs, double* __restrict__ logs) {
  const int64_t index = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (index >= m.count) return;
  double sign = 1, mantissa = 1, logarithm = 0;
  int64_t exponent = 0;
  for (int64_t i = 0; i < m.rows; ++i) {
    const double value = m.data[index * m.each + i * (m.rowStride + m.colStride)];
    if (pivots[index * m.rows + i] != i) sign = -sign;
    if (value < 0) sign = -sign;
    if (value == 0) sign = 0;
    if (value != value) sign = NAN;
    logarithm += log(fabs(value));
    int step = 0;
    mantissa = frexp(mantissa * fabs(value), &step);
    exponent += step;
  }
  if (dets != nullptr) {
    const int64_t bounded = most(least(exponent, 100000), -100000);
    dets[index] = sign == 0 ? 0 : sign * ldexp(mantissa, static_cast<int>(bounded));
    return;
  }
  signs[index] = sign;
  logs[index] = sign == 0 ? -INFINITY : logarithm;
}

}  // namespace linalg

namespace {

using namespace linalg;

/// Hands out pieces of a workspace for `count` matrices; with no memory it only adds up.
struct Pieces {
  double* base;
  int64_t count;
  int64_t used = 0;  // doubles for each matrix, in pieces that hold those of all matrices

  double* take(int64_t each) {
    double* const piece = base != nullptr ? base + used * count : nullptr;
    used += each;
    return piece;
  }
  Matrices matrices(int64_t rows, int64_t cols) {
    return {take(rows * cols), count, rows, cols, cols, 1, rows * cols};
  }
  int32_t* integers(int64_t n) { return reinterpret_cast<int32_t*>(take((n + 1) / 2)); }
  Reflectors reflectors(int64_t number, int64_t length, double* work) {
    const Matrices v = matrices(number, length);
    return {v, take(number), work};
  }
};

/// What one piece of a batch is worked on with.
struct Piece {
  const OpCall& call;           // with contiguous inputs
  int64_t first;                // its first matrix
  Pieces pieces;
  Result* results;
};

Status report(const OpCall& call, int64_t batch, int64_t index, Result result) {
  const char* op = opInfo(call.op).name;
  char which[64] = "the matrix";
  if (batch > 1) snprintf(which, sizeof which, "matrix %" PRId64 " of the batch", index);
  switch (result.outcome) {
    case Outcome::singular:
      return fail(Status::numerical, "%s: %s is singular: no pivot in column %d", op, which,
                  result.where);
    case Outcome::zeroDiagonal:
      return fail(Status::numerical, "%s: %s is singular: element %d of its diagonal is 0", op,
                  which, result.where);
    case Outcome::notDefinite:
      return fail(Status::numerical,
                  "%s: %s is not positive definite: its leading minor of order %d is not positive",
                  op, which, result.where + 1);
    case Outcome::notFinite:
      return fail(Status::numerical, "%s: %s has a NaN or an infinite element", op, which);
    default:
      return fail(Status::numerical, "%s: %s: the iteration did not converge", op, which);
  }
}

/// Calls body(piece) for pieces of the batch, first without memory to learn how much each matrix
/// needs. `canFail`: reports the first matrix that failed, for which the host waits.
template <typename Body>
Status forBatch(const OpCall& given, bool canFail, const Body& body) {
  const OpInfo& info = opInfo(given.op);
  int64_t wanted = 0;
  for (int i = 0; i < info.outputs; ++i) wanted += given.outputs[i].size;
  if (wanted == 0) return Status::ok;
  OpCall call = given;
  DeviceScratch rooms[2];
  for (int i = 0; i < info.inputs; ++i) {
    const Status status = makeContiguous(given.inputs[i], rooms[i], &call.inputs[i]);
    if (status != Status::ok) return status;
  }
  const TensorView& a = call.inputs[0];
  int64_t batch = 1;
  for (int axis = 0; axis + 2 < a.rank; ++axis) batch *= a.shape[axis];
  Piece measured = {call, 0, {nullptr, 0}, nullptr};
  Status status = body(measured);
  if (status != Status::ok) return status;
  const int64_t each = most(measured.pieces.used, 1) * static_cast<int64_t>(sizeof(double));
  const int64_t count = most(1, least(least(batch, kMostMatrices), kMostWorkspace / each));
  const DeviceScratch memory(static_cast<size_t>(count * each));
  const DeviceScratch results(static_cast<size_t>(batch) * sizeof(Result));
  if (!memory || !results) return fail(Status::outOfMemory, "%s: no scratch memory", info.name);
  const size_t resultBytes = static_cast<size_t>(batch) * sizeof(Result);
  status = gpu::fillBytes(results.data(), 0, resultBytes);
  for (int64_t first = 0; first < batch && status == Status::ok; first += count) {
    Piece piece = {call, first, {memory.as<double>(), least(count, batch - first)},
                   results.as<Result>() + first};
    status = body(piece);
  }
  if (status != Status::ok || !canFail) return status;
  std::vector<Result> seen(static_cast<size_t>(batch));
  status = gpu::readBack(seen.data(), results.data(), resultBytes);
  if (status != Status::ok) return status;
  for (int64_t i = 0; i < batch; ++i) {
    const Result& result = seen[static_cast<size_t>(i)];
    if (result.outcome != Outcome::ok) return report(call, batch, i, result);
  }
  return Status::ok;
}

/// Runs the steps one after the other as long as they succeed.
template <typename... Steps>
Status inTurn(const Steps&... steps) {
  Status status = Status::ok;
  ((status = status == Status::ok ? steps() : status), ...);
  return status;
}

int64_t rowsOf(const TensorView& view) { return view.shape[view.rank - 2]; }
int64_t colsOf(const TensorView& view) { return view.shape[view.rank - 1]; }
bool isMeasuring(const Piece& piece) { return piece.pieces.base == nullptr; }

/// x := a⁻¹ x, which goes to output 0; `right` is where x comes from, nullptr for the identity.
Status solveInto(Piece& piece, int64_t n, int64_t k, const TensorView* right) {
  const Matrices a = piece.pieces.matrices(n, n), x = piece.pieces.matrices(n, k);
  int32_t* const pivots = piece.pieces.integers(n);
  if (isMeasuring(piece)) return Status::ok;
  return inTurn([&] { return load(piece.call.inputs[0], piece.first, a); },
                [&] { return right ? load(*right, piece.first, x) : setIdentity(x); },
                [&] { return factorLU(a, pivots, piece.results); },
                [&] { return exchangeRows(pivots, x); },
                [&] { return solveTriangular(a, true, true, x); },
                [&] { return solveTriangular(a, false, false, x); },
                [&] { return store(x, piece.call.outputs[0], piece.first); });
}

Status inv(const OpCall& call) {
  const int64_t n = rowsOf(call.inputs[0]);
  return forBatch(call, true, [&](Piece& piece) { return solveInto(piece, n, n, nullptr); });
}

Status solve(const OpCall& call) {
  const int64_t n = rowsOf(call.inputs[1]), k = colsOf(call.inputs[1]);
  return forBatch(call, true,
                  [&](Piece& piece) { return solveInto(piece, n, k, &piece.call.inputs[1]); });
}

Status solveTriangularOp(const OpCall& call) {
  const int64_t n = rowsOf(call.inputs[1]), k = colsOf(call.inputs[1]);
  const bool lower = call.ints[0] == 0, unit = call.ints[1] != 0;
  return forBatch(call, !unit, [&](Piece& piece) {
    const Matrices a = piece.pieces.matrices(n, n), x = piece.pieces.matrices(n, k);
    if (isMeasuring(piece)) return Status::ok;
    const dim3 grid(static_cast<unsigned>(ceilDivide(a.count, kBlockThreads)));
    return inTurn([&] { return load(piece.call.inputs[0], piece.first, a); },
                  [&] { return load(piece.call.inputs[1], piece.first, x); },
                  [&] {
                    return unit ? Status::ok
                                : launch(checkDiagonal, grid, dim3(kBlockThreads), 0, a,
                                         piece.results);
                  },
                  [&] { return linalg::solveTriangular(a, lower, unit, x); },
                  [&] { return store(x, piece.call.outputs[0], piece.first); });
  });
}

Status cholesky(const OpCall& call) {
  const int64_t n = rowsOf(call.inputs[0]);
  const bool upper = call.ints[0] != 0;
  return forBatch(call, true, [&](Piece& piece) {
    const Matrices a = piece.pieces.matrices(n, n);
    if (isMeasuring(piece)) return Status::ok;
    return inTurn([&] { return load(piece.call.inputs[0], piece.first, a, !upper); },
                  [&] { return factorCholesky(a, piece.results); },
                  [&] { return clearLower(a); },
                  [&] {
                    return store(upper ? a : a.transposed(), piece.call.outputs[0], piece.first);
                  });
  });
}

/// det, or with two outputs slogdet.
Status determinant(const OpCall& call) {
  const int64_t n = rowsOf(call.inputs[0]);
  const bool split = call.op == Op::slogdet;
  return forBatch(call, false, [&](Piece& piece) {
    const Matrices a = piece.pieces.matrices(n, n);
    const Matrices first = piece.pieces.matrices(1, 1), second = piece.pieces.matrices(1, 1);
    int32_t* const pivots = piece.pieces.integers(n);
    if (isMeasuring(piece)) return Status::ok;
    const dim3 grid(static_cast<unsigned>(ceilDivide(a.count, kBlockThreads)));
    double* const none = nullptr;
    return inTurn([&] { return load(piece.call.inputs[0], piece.first, a); },
                  [&] { return factorLU(a, pivots, nullptr); },
                  [&] {
                    return launch(multiplyDiagonal, grid, dim3(kBlockThreads), 0, a, pivots,
                                  split ? none : first.data, split ? first.data : none,
                                  split ? second.data : none);
                  },
                  [&] { return store(first, piece.call.outputs[0], piece.first); },
                  [&] {
                    return split ? store(second, piece.call.outputs[1], piece.first) : Status::ok;
                  });
  });
}

Status qr(const OpCall& call) {
  const int64_t m = rowsOf(call.inputs[0]), n = colsOf(call.inputs[0]), k = least(m, n);
  const int64_t width = colsOf(call.outputs[0]);
  return forBatch(call, false, [&](Piece& piece) {
    const Matrices a = piece.pieces.matrices(m, n), q = piece.pieces.matrices(m, width);
    double* const work = piece.pieces.take(Reflectors::workSize(most(width, n)));
    const Reflectors h = piece.pieces.reflectors(k, m, work);
    double* const factors = piece.pieces.take(1);
    if (isMeasuring(piece)) return Status::ok;
    return inTurn([&] { return load(piece.call.inputs[0], piece.first, a); },
                  [&] { return normalize(a, factors, nullptr); },
                  [&] { return factorQR(a, h); }, [&] { return clearLower(a); },
                  [&] { return setIdentity(q); }, [&] { return applyReflectors(h, q); },
                  [&] { return store(q, piece.call.outputs[0], piece.first); },
                  [&] {
                    return store(a.block(0, 0, width, n), piece.call.outputs[1], piece.first,
                                 factors);
                  });
  });
}

Spectrum spectrumOf(Pieces& pieces, int64_t n, int lists) {
  Spectrum spectrum;
  spectrum.d = pieces.take(n);
  spectrum.e = pieces.take(n);
  spectrum.rotations = pieces.take(lists * Spectrum::rotationSize(n));
  spectrum.order = pieces.integers(n);
  return spectrum;
}

Matrices rowOf(double* data, int64_t count, int64_t n) { return {data, count, 1, n, n, 1, n}; }

/// eigh, or with one output eigvalsh.
Status eigen(const OpCall& call) {
  const int64_t n = rowsOf(call.inputs[0]);
  const bool wantsVectors = call.op == Op::eigh;
  return forBatch(call, true, [&](Piece& piece) {
    Pieces& pieces = piece.pieces;
    const Matrices a = pieces.matrices(n, n);
    Matrices vectors = {};
    if (wantsVectors) vectors = pieces.matrices(n, n);
    double* const work = pieces.take(Reflectors::workSize(n));
    const Reflectors q = pieces.reflectors(n, n, work);
    const Spectrum spectrum = spectrumOf(pieces, n, 1);
    double* const factors = pieces.take(1);
    if (isMeasuring(piece)) return Status::ok;
    return inTurn([&] { return load(piece.call.inputs[0], piece.first, a); },
                  [&] { return mirror(a, piece.call.ints[0] != 0); },
                  [&] { return normalize(a, factors, piece.results); },
                  [&] { return eigenSymmetric(a, vectors, spectrum, q, piece.results); },
                  [&] {
                    return store(rowOf(spectrum.d, a.count, n), piece.call.outputs[0], piece.first,
                                 factors);
                  },
                  [&] {
                    return wantsVectors
                               ? store(vectors.transposed(), piece.call.outputs[1], piece.first)
                               : Status::ok;
                  });
  });
}

/// A singular value decomposition of matrices that are at least as high as wide (else of their
/// transposes): R of the QR factorization is decomposed, and Q applied to R's left vectors.
/// leftWidth: how many left vectors are wanted; 0: no vectors at all.
Status decompose(const OpCall& call, int64_t leftWidth) {
  const int64_t height = most(rowsOf(call.inputs[0]), colsOf(call.inputs[0]));
  const int64_t n = least(rowsOf(call.inputs[0]), colsOf(call.inputs[0]));
  const bool flipped = rowsOf(call.inputs[0]) < colsOf(call.inputs[0]), wanted = leftWidth > 0;
  return forBatch(call, true, [&](Piece& piece) {
    Pieces& pieces = piece.pieces;
    const Matrices a = pieces.matrices(height, n), square = a.block(0, 0, n, n);
    double* const work = pieces.take(Reflectors::workSize(most(leftWidth, n)));
    const Reflectors q = pieces.reflectors(n, height, work);
    const Reflectors left = pieces.reflectors(n, n, work), right = pieces.reflectors(n, n, work);
    const Spectrum spectrum = spectrumOf(pieces, n, 2);
    double* const factors = pieces.take(1);
    Matrices ut = {}, vt = {}, u = {};
    if (wanted) {
      ut = pieces.matrices(n, n);
      vt = pieces.matrices(n, n);
      u = pieces.matrices(height, leftWidth);
    }
    if (isMeasuring(piece)) return Status::ok;
    const bool tall = height > n;
    const int valuesAt = wanted ? 1 : 0;
    Status status = inTurn(
        [&] { return load(piece.call.inputs[0], piece.first, a, flipped); },
        [&] { return normalize(a, factors, piece.results); },
        [&] { return tall ? factorQR(a, q) : Status::ok; },
        [&] { return tall ? clearLower(square) : Status::ok; },
        [&] {
          return n > 0 ? singularValues(square, ut, vt, spectrum, left, right, piece.results)
                       : Status::ok;
        },
        [&] {
          return store(rowOf(spectrum.d, a.count, n), piece.call.outputs[valuesAt], piece.first,
                       factors);
        });
    if (!wanted || status != Status::ok) return status;
    return inTurn([&] { return setIdentity(u); },
                  [&] { return copy(ut.transposed(), u.block(0, 0, n, n)); },
                  [&] { return tall ? applyReflectors(q, u) : Status::ok; },
                  [&] {
                    return store(flipped ? vt.transposed() : u, piece.call.outputs[0], piece.first);
                  },
                  [&] {
                    return store(flipped ? u.transposed() : vt, piece.call.outputs[2], piece.first);
                  });
  });
}

Status svd(const OpCall& call) {
  const int64_t m = rowsOf(call.inputs[0]), n = colsOf(call.inputs[0]), k = least(m, n);
  const bool full = colsOf(call.outputs[0]) != k || rowsOf(call.outputs[2]) != k;
  return decompose(call, full ? most(m, n) : k);
}

Status svdvals(const OpCall& call) { return decompose(call, 0); }

}  // namespace

void registerLinalg(Kernel* kernels) {
  kernels[static_cast<int>(Op::inv)] = inv;
  kernels[static_cast<int>(Op::solve)] = solve;
  kernels[static_cast<int>(Op::solveTriangular)] = solveTriangularOp;
  kernels[static_cast<int>(Op::cholesky)] = cholesky;
  kernels[static_cast<int>(Op::qr)] = qr;
  kernels[static_cast<int>(Op::svd)] = svd;
  kernels[static_cast<int>(Op::svdvals)] = svdvals;
  kernels[static_cast<int>(Op::eigh)] = eigen;
  kernels[static_cast<int>(Op::eigvalsh)] = eigen;
  kernels[static_cast<int>(Op::det)] = determinant;
  kernels[static_cast<int>(Op::slogdet)] = determinant;
}

}  // namespace cuda
}  // namespace kindling
