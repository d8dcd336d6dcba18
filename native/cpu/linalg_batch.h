#pragma once
// What the linear algebra ops share: matrices of a batch are loaded into scratch memory as doubles,
// one after the other or side by side on several threads, and results are stored in the tensor's
// dtype.

#include <cinttypes>
#include <cmath>
#include <cstdio>

#include "core/op_info.h"
#include "core/status.h"
#include "cpu/linalg.h"
#include "cpu/parallel.h"
#include "cpu/scratch.h"
#include "cpu/vec.h"

namespace kindling {
namespace KINDLING_ISA {
namespace {

KINDLING_INLINE int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
KINDLING_INLINE int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

/// The last two axes of a tensor, and where each matrix of the batch before them starts.
struct Matrices {
  const TensorView& view;
  int64_t rows, cols, rowStride, colStride;

  explicit Matrices(const TensorView& v)
      : view(v),
        rows(v.shape[v.rank - 2]),
        cols(v.shape[v.rank - 1]),
        rowStride(v.strides[v.rank - 2]),
        colStride(v.strides[v.rank - 1]) {}

  int64_t offset(int64_t index) const {
    int64_t result = 0;
    for (int axis = view.rank - 3; axis >= 0; --axis) {
      result += index % view.shape[axis] * view.strides[axis];
      index /= view.shape[axis];
    }
    return result;
  }
};

int64_t batchOf(const TensorView& view) {
  int64_t count = 1;
  for (int axis = 0; axis + 2 < view.rank; ++axis) count *= view.shape[axis];
  return count;
}

template <typename T>
void loadAs(const T* from, int64_t rowStride, int64_t colStride, const Matrix& to) {
  for (int64_t i = 0; i < to.rows; ++i) {
    double* row = to.row(i);
    const T* source = from + i * rowStride;
    for (int64_t j = 0; j < to.cols; ++j) row[j] = static_cast<double>(source[j * colStride]);
  }
}

/// Matrix `index` of the batch, or its transpose, which `to` then has the shape of.
void load(const TensorView& view, int64_t index, const Matrix& to, bool transposed = false) {
  const Matrices m(view);
  const int64_t at = m.offset(index);
  const int64_t rowStride = transposed ? m.colStride : m.rowStride;
  const int64_t colStride = transposed ? m.rowStride : m.colStride;
  if (view.dtype == DType::float64) {
    loadAs(static_cast<const double*>(view.data) + at, rowStride, colStride, to);
  } else {
    loadAs(static_cast<const float*>(view.data) + at, rowStride, colStride, to);
  }
}

template <typename T>
void storeAs(const Operand& from, double factor, T* to) {
  for (int64_t i = 0; i < from.rows; ++i) {
    for (int64_t j = 0; j < from.cols; ++j) {
      to[i * from.cols + j] = static_cast<T>(from.at(i, j) * factor);
    }
  }
}

/// factor · from as element `index` of a contiguous tensor of such matrices (or vectors, or
/// scalars).
void store(const Operand& from, const TensorView& view, int64_t index, double factor = 1) {
  const int64_t at = index * from.rows * from.cols;
  if (view.dtype == DType::float64) {
    storeAs(from, factor, static_cast<double*>(view.data) + at);
  } else {
    storeAs(from, factor, static_cast<float*>(view.data) + at);
  }
}

/// What became of one matrix; `where` says more.
enum class Outcome : int32_t {
  ok,
  noMemory,
  singular,
  zeroDiagonal,
  notDefinite,
  notFinite,
  noConvergence
};
struct Result {
  Outcome outcome;
  int32_t where;
};
constexpr Result kOk = {Outcome::ok, 0};

Result failed(Outcome outcome, int64_t where = 0) { return {outcome, static_cast<int32_t>(where)}; }

Status report(const OpCall& call, int64_t batch, int64_t index, Result result) {
  const char* op = opInfo(call.op).name;
  if (result.outcome == Outcome::noMemory) {
    return fail(Status::outOfMemory, "%s: no scratch memory", op);
  }
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

/// Calls body(index, workspace of `doubles`) for each matrix; reports the first that failed.
template <typename Body>
Status forBatch(const OpCall& call, int64_t doubles, double flops, const Body& body) {
  const int64_t batch = batchOf(call.inputs[0]);
  int64_t wanted = 0;
  for (int i = 0; i < opInfo(call.op).outputs; ++i) wanted += call.outputs[i].size;
  if (wanted == 0) return Status::ok;
  const Scratch results(static_cast<size_t>(batch) * sizeof(Result));
  if (!results.ok())
    return fail(Status::outOfMemory, "%s: no scratch memory", opInfo(call.op).name);
  Result* result = results.as<Result>();
  parallelFor(batch, flops < 60000 ? static_cast<int64_t>(60000 / (flops + 1)) + 1 : 1, 1,
              [&](int64_t begin, int64_t end) {
                const Scratch scratch(static_cast<size_t>(doubles) * sizeof(double));
                for (int64_t i = begin; i < end; ++i) {
                  result[i] =
                      scratch.ok() ? body(i, scratch.as<double>()) : failed(Outcome::noMemory);
                }
              });
  for (int64_t i = 0; i < batch; ++i) {
    if (result[i].outcome != Outcome::ok) return report(call, batch, i, result[i]);
  }
  return Status::ok;
}

/// Hands out pieces of a workspace.
struct Pieces {
  double* next;

  double* take(int64_t count) {
    double* piece = next;
    next += count;
    return piece;
  }
  Matrix matrix(int64_t rows, int64_t cols) { return {take(rows * cols), rows, cols, cols}; }
  int32_t* pivots(int64_t n) { return reinterpret_cast<int32_t*>(take(n)); }
  Reflectors reflectors(int64_t count, int64_t length, double* work) {
    const Matrix v = matrix(count, length);
    return {v, take(count), work};
  }
  Rotations::One* rotations(int64_t count) {
    return reinterpret_cast<Rotations::One*>(take(count * kRotation));
  }
  static constexpr int64_t kRotation = sizeof(Rotations::One) / sizeof(double);
};

double cube(int64_t n) {
  return static_cast<double>(n) * static_cast<double>(n) * static_cast<double>(n);
}

}  // namespace
}  // namespace KINDLING_ISA
}  // namespace kindling
