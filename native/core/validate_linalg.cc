// The shape rules of the linear algebra and Fourier ops.

#include "core/op_info.h"
#include "core/validate.h"

namespace kindling {

namespace {

/// Whether `view` is [batch..., extents...] with the batch axes of `like`, a tensor of matrices.
bool isBatchOf(const TensorView& view, const TensorView& like, int count, const int64_t* extents) {
  const int batch = like.rank - 2;
  if (view.rank != batch + count) return false;
  for (int axis = 0; axis < batch; ++axis) {
    if (view.shape[axis] != like.shape[axis]) return false;
  }
  for (int i = 0; i < count; ++i) {
    if (view.shape[batch + i] != extents[i]) return false;
  }
  return true;
}

bool isMatrices(const TensorView& view, const TensorView& like, int64_t rows, int64_t cols) {
  const int64_t extents[] = {rows, cols};
  return isBatchOf(view, like, 2, extents);
}

bool isVectors(const TensorView& view, const TensorView& like, int64_t size) {
  return isBatchOf(view, like, 1, &size);
}

bool fitsLinalg(const OpCall& call, int64_t m, int64_t n) {
  const TensorView& a = call.inputs[0];
  const TensorView* out = call.outputs;
  const int64_t k = m < n ? m : n;
  switch (call.op) {
    case Op::inv:
    case Op::cholesky:
      return isMatrices(out[0], a, n, n);
    case Op::solve:
    case Op::solveTriangular: {
      const TensorView& b = call.inputs[1];
      if (b.rank != a.rank) return false;
      const int64_t cols = b.shape[b.rank - 1];
      return isMatrices(b, a, n, cols) && isMatrices(out[0], a, n, cols);
    }
    case Op::qr:
      return (isMatrices(out[0], a, m, k) && isMatrices(out[1], a, k, n)) ||
             (isMatrices(out[0], a, m, m) && isMatrices(out[1], a, m, n));
    case Op::svd:
      return isVectors(out[1], a, k) &&
             ((isMatrices(out[0], a, m, k) && isMatrices(out[2], a, k, n)) ||
              (isMatrices(out[0], a, m, m) && isMatrices(out[2], a, n, n)));
    case Op::svdvals:
      return isVectors(out[0], a, k);
    case Op::eigh:
      return isVectors(out[0], a, n) && isMatrices(out[1], a, n, n);
    case Op::eigvalsh:
      return isVectors(out[0], a, n);
    case Op::det:
      return isBatchOf(out[0], a, 0, nullptr);
    case Op::slogdet:
      return isBatchOf(out[0], a, 0, nullptr) && isBatchOf(out[1], a, 0, nullptr);
    default:
      return false;
  }
}

}  // namespace

Status checkLinalg(const OpCall& call) {
  const OpInfo& info = opInfo(call.op);
  const TensorView& a = call.inputs[0];
  for (int i = 0; i < info.inputs; ++i) {
    if (call.inputs[i].dtype != a.dtype) return broken(call, "dtypes differ");
  }
  for (int i = 0; i < info.outputs; ++i) {
    if (call.outputs[i].dtype != a.dtype) return broken(call, "dtypes differ");
  }
  if (a.rank < 2) return broken(call, "needs a matrix");
  const int64_t m = a.shape[a.rank - 2], n = a.shape[a.rank - 1];
  // Pivots and positions in messages are 32 bit.
  if (m > INT32_MAX || n > INT32_MAX) return broken(call, "the matrix is too large");
  const bool isSquare = call.op != Op::qr && call.op != Op::svd && call.op != Op::svdvals;
  if (isSquare && m != n) return broken(call, "the matrix is not square");
  return fitsLinalg(call, m, n) ? Status::ok : broken(call, "wrong shape");
}

Status checkFft(const OpCall& call) {
  const TensorView& in = call.inputs[0];
  const TensorView& out = call.outputs[0];
  if (in.dtype != out.dtype) return broken(call, "dtypes differ");
  const bool complexIn = call.op != Op::rfft, complexOut = call.op != Op::irfft;
  const int axes = in.rank - (complexIn ? 1 : 0), axis = call.ints[0];
  if (axis < 0 || axis >= axes) return broken(call, "the axis is out of range");
  if (out.rank != axes + (complexOut ? 1 : 0)) return broken(call, "ranks differ");
  if (complexIn && in.shape[axes] != 2) return broken(call, "the last axis must be 2");
  if (complexOut && out.shape[axes] != 2) return broken(call, "the last axis must be 2");
  for (int i = 0; i < axes; ++i) {
    if (i != axis && in.shape[i] != out.shape[i]) return broken(call, "other axes differ");
  }
  // Twice the length, and its chirp's next power of two, must be countable.
  if (call.ints[1] < 1 || call.ints[1] > 1 << 28) return broken(call, "the length is out of range");
  return Status::ok;
}

}  // namespace kindling
