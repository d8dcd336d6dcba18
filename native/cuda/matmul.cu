// Matrix products as ops: batches of gemm, and the fully connected layer.

#include "core/op_call.h"
#include "cuda/copies.h"
#include "cuda/gemm.h"
#include "cuda/kernel_table.h"

namespace kindling {
namespace cuda {

namespace {

/// Whether the leading axes of `x` are evenly spaced rows; their distance goes to `stride`.
bool collapsesToRows(const TensorView& x, int64_t* stride) {
  *stride = 0;
  int64_t expected = 0;
  bool found = false;
  for (int axis = x.rank - 2; axis >= 0; --axis) {
    if (x.shape[axis] == 1) continue;
    if (!found) {
      *stride = x.strides[axis];
      found = true;
    } else if (x.strides[axis] != expected) {
      return false;
    }
    expected = x.strides[axis] * x.shape[axis];
  }
  return true;
}

/// Whether every matrix of the batch is the same one.
bool isRepeated(const TensorView& view) {
  for (int axis = 0; axis < view.rank - 2; ++axis) {
    if (view.shape[axis] != 1 && view.strides[axis] != 0) return false;
  }
  return true;
}

/// The leading axes, those of extent 1 dropped and neighbours merged where memory allows.
GemmBatch batchOf(const TensorView& a, const TensorView& b, const TensorView& out) {
  GemmBatch batch;
  batch.c = out.shape[out.rank - 2] * out.shape[out.rank - 1];
  for (int axis = 0; axis < out.rank - 2; ++axis) {
    const int64_t extent = out.shape[axis], stepA = a.strides[axis], stepB = b.strides[axis];
    if (extent == 1) continue;
    const int last = batch.rank - 1;
    const bool merges =
        last >= 0 && batch.a[last] == stepA * extent && batch.b[last] == stepB * extent;
    const int to = merges ? last : batch.rank++;
    batch.shape[to] = merges ? batch.shape[to] * extent : extent;
    batch.a[to] = stepA;
    batch.b[to] = stepB;
  }
  return batch;
}

bool isHalf(DType dtype) { return dtype == DType::float16 || dtype == DType::bfloat16; }

/// `view` with elements of float32 in `scratch`.
Status widen(const TensorView& view, DeviceScratch& scratch, TensorView* wide) {
  scratch = DeviceScratch(static_cast<size_t>(view.size) * sizeof(float));
  if (!scratch) return fail(Status::outOfMemory, "no memory for a copy on the device");
  *wide = view;
  wide->data = scratch.data();
  wide->dtype = DType::float32;
  wide->contiguous = true;
  int64_t stride = 1;
  for (int axis = view.rank - 1; axis >= 0; --axis) {
    wide->strides[axis] = stride;
    stride *= view.shape[axis];
  }
  return castView(*wide, view);
}

/// 16-bit floats are summed in float32, and the sums rounded once.
Status multiply(GemmProblem p, const TensorView& out) {
  if (!isHalf(out.dtype)) return gemm(p);
  const DeviceScratch sums(static_cast<size_t>(out.size) * sizeof(float));
  if (!sums) return fail(Status::outOfMemory, "no memory for the sums on the device");
  TensorView wide = out;
  wide.data = p.c = sums.data();
  wide.dtype = DType::float32;
  const Status status = gemm(p);
  return status == Status::ok ? castView(out, wide) : status;
}

Status matmul(const OpCall& call) {
  const TensorView& a = call.inputs[0];
  const TensorView& b = call.inputs[1];
  const TensorView& out = call.outputs[0];
  if (out.size == 0) return Status::ok;
  const int row = out.rank - 2, column = out.rank - 1;
  GemmProblem p;
  p.dtype = out.dtype;
  p.m = out.shape[row];
  p.n = out.shape[column];
  p.k = a.shape[column];
  p.a = {a.data, a.strides[row], a.strides[column]};
  p.b = {b.data, b.strides[row], b.strides[column]};
  p.c = out.data;
  p.ldc = p.n;
  int64_t rowStride;
  if (isRepeated(b) && collapsesToRows(a, &rowStride)) {
    // One matrix times all rows of the batch.
    p.m = out.size / p.n;
    p.a.row = rowStride;
  } else {
    p.batch = batchOf(a, b, out);
  }
  return multiply(p, out);
}

Status linearWith(const OpCall& call, const GemmEpilogue& epilogue) {
  const TensorView& x = call.inputs[0];
  const TensorView& weight = call.inputs[1];
  const TensorView& out = call.outputs[0];
  if (out.size == 0) return Status::ok;
  TensorView bias = call.inputs[2];
  DeviceScratch wideBias;
  if (isHalf(out.dtype)) {
    const Status status = widen(call.inputs[2], wideBias, &bias);
    if (status != Status::ok) return status;
  }
  GemmProblem p;
  p.dtype = out.dtype;
  p.n = weight.shape[0];
  p.k = weight.shape[1];
  p.m = out.size / p.n;
  p.b = {weight.data, weight.strides[1], weight.strides[0]};
  p.c = out.data;
  p.ldc = p.n;
  p.epilogue = epilogue;
  p.epilogue.bias = bias.data;
  p.epilogue.biasStride = bias.strides[0];
  DeviceScratch scratch;
  TensorView rows = x;
  int64_t rowStride;
  if (!collapsesToRows(x, &rowStride)) {
    const Status status = makeContiguous(x, scratch, &rows);
    if (status != Status::ok) return status;
    rowStride = p.k;
  }
  p.a = {rows.data, rowStride, rows.strides[rows.rank - 1]};
  return multiply(p, out);
}

Status linear(const OpCall& call) { return linearWith(call, GemmEpilogue()); }

Status linearEpilogue(const OpCall& call) {
  GemmEpilogue epilogue;
  epilogue.relu = call.ints[1] != 0;
  if (call.ints[0] == 0) return linearWith(call, epilogue);
  DeviceScratch scratch;
  TensorView residual;
  const Status status = makeContiguous(call.inputs[3], scratch, &residual);
  if (status != Status::ok) return status;
  epilogue.residual = residual.data;
  epilogue.residualRow = call.inputs[1].shape[0];
  return linearWith(call, epilogue);
}

}  // namespace

void registerMatmul(Kernel* kernels) {
  kernels[static_cast<int>(Op::matmul)] = matmul;
  kernels[static_cast<int>(Op::linear)] = linear;
  kernels[static_cast<int>(Op::linearEpilogue)] = linearEpilogue;
}

}  // namespace cuda
}  // namespace kindling
