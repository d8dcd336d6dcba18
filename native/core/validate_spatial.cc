// The shape rules of convolution, pooling and resampling.

#include "core/validate.h"

namespace kindling {

namespace {

constexpr int kSpatial = 3;
// Of one extent, so that products of two stay far from overflow.
constexpr int64_t kMostExtent = INT32_MAX;

int64_t extentOf(const TensorView& view, int axis) {
  const int at = view.rank - kSpatial + axis;
  return at >= 2 ? view.shape[at] : 1;
}

bool isSpatial(const TensorView& view, int rank) {
  if (view.rank != rank || rank < 3 || rank > 2 + kSpatial) return false;
  for (int axis = 0; axis < rank; ++axis) {
    if (view.shape[axis] > kMostExtent) return false;
  }
  return true;
}

bool sameFrames(const TensorView& a, const TensorView& b) {
  return a.shape[0] == b.shape[0] && a.shape[1] == b.shape[1];
}

int64_t floorQuotient(int64_t a, int64_t b) { return a >= 0 ? a / b : -((-a + b - 1) / b); }

/// The extent of a result where only whole windows count; at most 0 where there is none.
int64_t windowsIn(int64_t padded, int64_t kernel, int64_t stride, int64_t dilation) {
  return floorQuotient(padded - dilation * (kernel - 1) - 1, stride) + 1;
}

// ---- convolution: stride, padding in front, padding behind and dilation of three axes, groups

Status checkConvolutionAxis(const OpCall& call, int axis, int64_t in, int64_t kernel, int64_t out) {
  const int64_t stride = call.ints[axis], front = call.ints[3 + axis];
  const int64_t behind = call.ints[6 + axis], dilation = call.ints[9 + axis];
  // What is behind may be negative: positions that no window reaches.
  if (stride < 1 || dilation < 1 || front < 0 || -behind > in) {
    return broken(call, "a stride, padding or dilation is out of range");
  }
  if (kernel < 1) return broken(call, "the kernel is empty");
  if (out < 1 || out != windowsIn(in + front + behind, kernel, stride, dilation)) {
    return broken(call, "the output's extents are not those of this convolution");
  }
  return Status::ok;
}

}  // namespace

Status checkConvolution(const OpCall& call) {
  const TensorView *x = &call.inputs[0], *weight = &call.inputs[1], *y = &call.outputs[0];
  if (call.op == Op::convBackwardInput) {
    x = &call.outputs[0];
    y = &call.inputs[0];
  } else if (call.op == Op::convBackwardWeight) {
    y = &call.inputs[0];
    x = &call.inputs[1];
    weight = &call.outputs[0];
  }
  if (!isSpatial(*x, x->rank) || !isSpatial(*weight, x->rank) || !isSpatial(*y, x->rank)) {
    return broken(call, "ranks differ or an extent is out of range");
  }
  if (weight->dtype != x->dtype || y->dtype != x->dtype) return broken(call, "dtypes differ");
  const int64_t groups = call.ints[12];
  if (groups < 1 || x->shape[1] != weight->shape[1] * groups || weight->shape[0] % groups != 0) {
    return broken(call, "channels do not fit the groups");
  }
  if (x->shape[0] != y->shape[0] || y->shape[1] != weight->shape[0]) {
    return broken(call, "batch or output channels differ");
  }
  if (call.op == Op::convBias) {
    const TensorView& bias = call.inputs[2];
    if (bias.dtype != x->dtype || bias.rank != 1 || bias.size != weight->shape[0]) {
      return broken(call, "the bias must have one value for every output channel");
    }
  }
  for (int axis = 0; axis < kSpatial; ++axis) {
    const Status status = checkConvolutionAxis(call, axis, extentOf(*x, axis),
                                               extentOf(*weight, axis), extentOf(*y, axis));
    if (status != Status::ok) return status;
  }
  return Status::ok;
}

// ---- pooling and resampling

namespace {

/// Kernel, stride and padding of three axes, and for the maximum dilation.
Status checkWindows(const OpCall& call, const TensorView& in, const TensorView& out, bool dilates) {
  for (int axis = 0; axis < kSpatial; ++axis) {
    const int64_t kernel = call.ints[axis], stride = call.ints[3 + axis];
    const int64_t padding = call.ints[6 + axis], dilation = dilates ? call.ints[9 + axis] : 1;
    const int64_t extent = extentOf(in, axis), count = extentOf(out, axis);
    if (kernel < 1 || stride < 1 || dilation < 1 || padding < 0 || padding > kernel / 2) {
      return broken(call, "a kernel, stride, padding or dilation is out of range");
    }
    // With ceilMode one window more, if it begins inside.
    const int64_t whole = windowsIn(extent + 2 * padding, kernel, stride, dilation);
    if (count < 1 || extent < 1 || (count != whole && count != whole + 1) ||
        (count - 1) * stride >= extent + padding) {
      return broken(call, "the output's extents are not those of this pooling");
    }
  }
  return Status::ok;
}

Status checkNotEmpty(const OpCall& call, const TensorView& in, const TensorView& out) {
  for (int axis = 0; axis < kSpatial; ++axis) {
    if (extentOf(in, axis) < 1 || extentOf(out, axis) < 1) {
      return broken(call, "an axis is empty");
    }
  }
  return Status::ok;
}

Status checkResample(const OpCall& call, const TensorView& in, const TensorView& out) {
  if (call.ints[0] < 0 || call.ints[0] > 2) return broken(call, "unknown mode");
  for (int axis = 0; axis < kSpatial; ++axis) {
    const double scale = call.floats[axis];
    if (!(scale >= 0 && scale < 1e18)) return broken(call, "a scale is out of range");
  }
  return checkNotEmpty(call, in, out);
}

/// The positions that the maximum came from: int32, within one plane.
Status checkPositions(const OpCall& call, const TensorView& positions, const TensorView& in,
                      const TensorView& out) {
  if (positions.dtype != DType::int32 || !sameShape(positions, out)) {
    return broken(call, "the positions must be int32, one for each element");
  }
  int64_t plane = 1;
  for (int axis = 0; axis < kSpatial; ++axis) {
    plane *= extentOf(in, axis);
    if (plane > kMostExtent) return broken(call, "a plane is too large for int32 positions");
  }
  return Status::ok;
}

}  // namespace

Status checkPooling(const OpCall& call) {
  const bool isBackward = call.op == Op::avgPoolBackward ||
                          call.op == Op::adaptiveAvgPoolBackward ||
                          call.op == Op::resampleBackward || call.op == Op::maxPoolBackward;
  const TensorView& in = isBackward ? call.outputs[0] : call.inputs[0];
  const TensorView& out = isBackward ? call.inputs[0] : call.outputs[0];
  if (!isSpatial(in, in.rank) || !isSpatial(out, in.rank)) {
    return broken(call, "ranks differ or an extent is out of range");
  }
  if (in.dtype != out.dtype) return broken(call, "dtypes differ");
  if (!sameFrames(in, out)) return broken(call, "batch or channels differ");
  switch (call.op) {
    case Op::maxPool: {
      const Status status = checkPositions(call, call.outputs[1], in, out);
      return status == Status::ok ? checkWindows(call, in, out, true) : status;
    }
    case Op::adaptiveMaxPool: {
      const Status status = checkPositions(call, call.outputs[1], in, out);
      return status == Status::ok ? checkNotEmpty(call, in, out) : status;
    }
    case Op::maxPoolBackward:
    case Op::maxPoolGather:
      return checkPositions(call, call.inputs[1], in, out);
    case Op::avgPool:
    case Op::avgPoolBackward:
      return checkWindows(call, in, out, false);
    case Op::adaptiveAvgPool:
    case Op::adaptiveAvgPoolBackward:
      return checkNotEmpty(call, in, out);
    case Op::resample:
    case Op::resampleBackward:
      return checkResample(call, in, out);
    default:
      return broken(call, "not a pooling op");
  }
}

}  // namespace kindling
