// The shape rules of the ops that find elements by position or by order.

#include "core/validate.h"

namespace kindling {

namespace {

bool inRange(int axis, const TensorView& view) {
  return axis >= 0 && axis < (view.rank > 0 ? view.rank : 1);
}

/// `index` may be shorter than `x` along every axis but the one it points along, where it may be
/// anything.
bool fitsAround(const TensorView& index, const TensorView& x, int axis) {
  if (index.rank != x.rank) return false;
  for (int i = 0; i < x.rank; ++i) {
    if (i != axis && index.shape[i] > x.shape[i]) return false;
  }
  return true;
}

}  // namespace

Status checkGather(const OpCall& call) {
  const TensorView& x = call.inputs[0];
  const TensorView& index = call.inputs[1];
  if (!inRange(call.ints[0], x)) return broken(call, "the axis is out of range");
  if (index.dtype != DType::int32) return broken(call, "the index must be int32");
  if (!fitsAround(index, x, call.ints[0])) return broken(call, "the index does not fit");
  return sameShape(index, call.outputs[0]) && x.dtype == call.outputs[0].dtype
             ? Status::ok
             : broken(call, "wrong output");
}

Status checkScatter(const OpCall& call) {
  const TensorView& x = call.inputs[0];
  const TensorView& index = call.inputs[1];
  const TensorView& source = call.inputs[2];
  if (!inRange(call.ints[0], x)) return broken(call, "the axis is out of range");
  if (index.dtype != DType::int32) return broken(call, "the index must be int32");
  if (!fitsAround(index, x, call.ints[0])) return broken(call, "the index does not fit");
  if (!sameShape(index, source) || source.dtype != x.dtype) {
    return broken(call, "the source does not fit the index");
  }
  return sameShape(x, call.outputs[0]) && x.dtype == call.outputs[0].dtype
             ? Status::ok
             : broken(call, "wrong output");
}

Status checkScan(const OpCall& call) {
  const TensorView& out = call.outputs[0];
  if (!inRange(call.ints[0], out)) return broken(call, "the axis is out of range");
  for (int i = 0; i < opInfo(call.op).inputs; ++i) {
    if (!sameShape(call.inputs[i], out) || call.inputs[i].dtype != out.dtype) {
      return broken(call, "shapes or dtypes differ");
    }
  }
  return Status::ok;
}

Status checkSort(const OpCall& call) {
  const TensorView& x = call.inputs[0];
  const TensorView& values = call.outputs[0];
  const TensorView& positions = call.outputs[1];
  if (values.dtype != x.dtype || positions.dtype != DType::int32)
    return broken(call, "wrong dtype");
  if (values.rank != x.rank || !sameShape(values, positions)) return broken(call, "wrong shape");
  for (int i = 0; i < x.rank; ++i) {
    const bool last = i == x.rank - 1;
    if (last ? values.shape[i] > x.shape[i] : values.shape[i] != x.shape[i]) {
      return broken(call, "wrong shape");
    }
  }
  if (x.rank > 0 && x.shape[x.rank - 1] > INT32_MAX) return broken(call, "the axis is too long");
  return Status::ok;
}

Status checkSearchSorted(const OpCall& call) {
  const TensorView& sorted = call.inputs[0];
  const TensorView& values = call.inputs[1];
  if (sorted.rank < 1 || sorted.dtype != values.dtype) return broken(call, "wrong rank or dtype");
  if (sorted.rank > 1) {
    if (sorted.rank != values.rank) return broken(call, "ranks differ");
    for (int i = 0; i < sorted.rank - 1; ++i) {
      if (sorted.shape[i] != values.shape[i]) return broken(call, "leading axes differ");
    }
  }
  return sameShape(values, call.outputs[0]) && call.outputs[0].dtype == DType::int32
             ? Status::ok
             : broken(call, "wrong output");
}

Status checkNonzero(const OpCall& call) {
  const TensorView& out = call.outputs[0];
  if (call.inputs[0].size > INT32_MAX) return broken(call, "more than 2^31 - 1 elements");
  return out.rank == 1 && out.dtype == DType::int32 ? Status::ok : broken(call, "wrong output");
}

}  // namespace kindling
