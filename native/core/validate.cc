// The shape rules. TypeScript has checked all this with better messages; here nothing is trusted,
// so that no mistake above can make a kernel read or write outside its buffers.

#include <cinttypes>

#include "core/execute.h"
#include "core/op_info.h"
#include "core/validate.h"

namespace kindling {

Status broken(const OpCall& call, const char* rule) {
  return fail(Status::badShape, "%s: %s", opInfo(call.op).name, rule);
}

bool sameShape(const TensorView& a, const TensorView& b) {
  if (a.rank != b.rank) return false;
  for (int axis = 0; axis < a.rank; ++axis) {
    if (a.shape[axis] != b.shape[axis]) return false;
  }
  return true;
}

namespace {

/// Whether `input`, aligned at the last axis, can be repeated to fill `output`.
bool broadcastsTo(const TensorView& input, const TensorView& output) {
  const int missing = output.rank - input.rank;
  if (missing < 0) return false;
  for (int axis = 0; axis < input.rank; ++axis) {
    const int64_t extent = input.shape[axis];
    if (extent != 1 && extent != output.shape[axis + missing]) return false;
  }
  return true;
}

bool isVector(const TensorView& view, DType dtype, int64_t size) {
  return view.dtype == dtype && view.rank == 1 && view.size == size;
}

Status checkBroadcast(const OpCall& call, int first, int inputs, DType dtype) {
  for (int i = first; i < inputs; ++i) {
    if (call.inputs[i].dtype != dtype) return broken(call, "inputs have different dtypes");
  }
  for (int i = 0; i < inputs; ++i) {
    if (!broadcastsTo(call.inputs[i], call.outputs[0])) {
      return broken(call, "an input does not broadcast to the output's shape");
    }
  }
  return Status::ok;
}

/// The code is checked by the kernel.
Status checkFused(const OpCall& call) {
  const OpInfo& info = opInfo(call.op);
  if (!isVector(call.inputs[0], DType::int32, call.inputs[0].size) || !call.inputs[0].contiguous) {
    return broken(call, "the code must be an int32 vector");
  }
  for (int i = 1; i < info.inputs; ++i) {
    const DType dtype = call.inputs[i].dtype;
    if (dtype != DType::float32 && dtype != DType::boolean) {
      return broken(call, "operands must be float32 or bool");
    }
    if (!broadcastsTo(call.inputs[i], call.outputs[0])) {
      return broken(call, "an input does not broadcast to the output's shape");
    }
  }
  for (int i = 0; i < info.outputs; ++i) {
    if (call.outputs[i].dtype != DType::float32 || !sameShape(call.outputs[i], call.outputs[0])) {
      return broken(call, "results must be float32 of one shape");
    }
  }
  return Status::ok;
}

Status checkIndexed(const OpCall& call, const TensorView& table, const TensorView& rows) {
  const TensorView& index = call.inputs[1];
  if (table.rank < 1 || rows.rank != table.rank) return broken(call, "ranks differ");
  if (!isVector(index, DType::int32, rows.shape[0])) {
    return broken(call, "the index must be an int32 vector, one entry per row");
  }
  for (int axis = 1; axis < table.rank; ++axis) {
    if (table.shape[axis] != rows.shape[axis]) return broken(call, "row shapes differ");
  }
  return call.inputs[0].dtype == call.outputs[0].dtype ? Status::ok : broken(call, "dtypes differ");
}

Status checkSliceBackward(const OpCall& call) {
  const TensorView& grad = call.inputs[0];
  const TensorView& out = call.outputs[0];
  if (grad.rank != out.rank || call.ints[0] != out.rank) return broken(call, "ranks differ");
  if (grad.dtype != out.dtype) return broken(call, "dtypes differ");
  for (int axis = 0; axis < out.rank; ++axis) {
    if (grad.shape[axis] == 0) continue;
    const int64_t first = call.ints[1 + 2 * axis];
    const int64_t last = first + call.ints[2 + 2 * axis] * (grad.shape[axis] - 1);
    const int64_t extent = out.shape[axis];
    if (first < 0 || first >= extent || last < 0 || last >= extent) {
      return broken(call, "the slice leaves its tensor");
    }
  }
  return Status::ok;
}

Status checkConcat(const OpCall& call) {
  const TensorView& a = call.inputs[0];
  const TensorView& b = call.inputs[1];
  const TensorView& out = call.outputs[0];
  const int axis = call.ints[0];
  if (a.rank != b.rank || a.rank != out.rank || axis < 0 || axis >= a.rank) {
    return broken(call, "ranks differ or the axis is out of range");
  }
  if (a.dtype != b.dtype || a.dtype != out.dtype) return broken(call, "dtypes differ");
  for (int i = 0; i < a.rank; ++i) {
    const bool joined = i == axis;
    if (out.shape[i] != a.shape[i] + (joined ? b.shape[i] : 0))
      return broken(call, "shapes differ");
    if (!joined && a.shape[i] != b.shape[i]) return broken(call, "shapes differ");
  }
  return Status::ok;
}

Status checkReduce(const OpCall& call) {
  const TensorView& in = call.inputs[0];
  const TensorView& out = call.outputs[0];
  const OpInfo& info = opInfo(call.op);
  uint32_t mask = static_cast<uint32_t>(call.ints[0]);
  if (info.kind == OpKind::argReduce) {
    if (call.ints[0] < -1 || call.ints[0] >= in.rank) return broken(call, "axis is out of range");
    mask = call.ints[0] < 0 ? (1u << in.rank) - 1 : 1u << call.ints[0];
    if (out.dtype != DType::int32) return broken(call, "the result must be int32");
  } else if (out.dtype != in.dtype) {
    return broken(call, "dtypes differ");
  }
  if (mask >> in.rank) return broken(call, "an axis is out of range");
  // The kept extents, in order, must be the output's, in which a reduced axis may stand as 1.
  int64_t kept = 1, reduced = 1;
  int next = 0;
  for (int axis = 0; axis < in.rank; ++axis) {
    const bool isReduced = mask >> axis & 1;
    (isReduced ? reduced : kept) *= in.shape[axis];
    if (out.rank == in.rank) {
      if (out.shape[axis] != (isReduced ? 1 : in.shape[axis])) return broken(call, "wrong shape");
    } else if (!isReduced) {
      if (next >= out.rank || out.shape[next] != in.shape[axis]) {
        return broken(call, "wrong shape");
      }
      ++next;
    }
  }
  if (out.size != kept) return broken(call, "wrong shape");
  const bool hasIdentity = call.op == Op::sum || call.op == Op::mean || call.op == Op::prod ||
                           in.dtype == DType::boolean;
  if (reduced == 0 && kept > 0 && !hasIdentity) return broken(call, "nothing to reduce");
  return Status::ok;
}

Status checkMatmul(const OpCall& call) {
  const TensorView& a = call.inputs[0];
  const TensorView& b = call.inputs[1];
  const TensorView& out = call.outputs[0];
  const int rank = out.rank;
  if (a.dtype != b.dtype || a.dtype != out.dtype) return broken(call, "dtypes differ");
  if (rank < 2 || a.rank != rank || b.rank != rank) return broken(call, "ranks differ");
  for (int axis = 0; axis < rank - 2; ++axis) {
    if (a.shape[axis] != out.shape[axis] || b.shape[axis] != out.shape[axis]) {
      return broken(call, "batch axes differ");
    }
  }
  const bool fits = a.shape[rank - 2] == out.shape[rank - 2] &&
                    b.shape[rank - 1] == out.shape[rank - 1] &&
                    a.shape[rank - 1] == b.shape[rank - 2];
  return fits ? Status::ok : broken(call, "inner dimensions differ");
}

Status checkLinear(const OpCall& call) {
  const TensorView& x = call.inputs[0];
  const TensorView& weight = call.inputs[1];
  const TensorView& bias = call.inputs[2];
  const TensorView& out = call.outputs[0];
  if (x.rank < 1 || x.rank != out.rank || weight.rank != 2) return broken(call, "wrong rank");
  if (weight.dtype != x.dtype || out.dtype != x.dtype) return broken(call, "dtypes differ");
  for (int axis = 0; axis < x.rank - 1; ++axis) {
    if (x.shape[axis] != out.shape[axis]) return broken(call, "leading axes differ");
  }
  const bool fits = x.shape[x.rank - 1] == weight.shape[1] &&
                    out.shape[x.rank - 1] == weight.shape[0] &&
                    isVector(bias, x.dtype, weight.shape[0]);
  if (call.op == Op::linearEpilogue && call.ints[0] != 0) {
    const TensorView& residual = call.inputs[3];
    if (residual.dtype != x.dtype || !sameShape(residual, out)) {
      return broken(call, "the residual differs from the result");
    }
  }
  return fits ? Status::ok : broken(call, "features differ");
}

Status checkCrossEntropy(const OpCall& call) {
  const TensorView& logits = call.inputs[0];
  if (logits.rank != 2) return broken(call, "logits must be a matrix");
  const int64_t rows = logits.shape[0];
  if (rows > 0 && logits.shape[1] == 0) return broken(call, "there are no classes");
  if (!isVector(call.inputs[1], DType::int32, rows)) {
    return broken(call, "labels must be an int32 vector, one per row");
  }
  if (call.op == Op::crossEntropy) {
    return isVector(call.outputs[0], logits.dtype, rows) ? Status::ok
                                                         : broken(call, "wrong output shape");
  }
  if (!isVector(call.inputs[2], logits.dtype, rows)) return broken(call, "wrong gradient shape");
  return call.outputs[0].dtype == logits.dtype && sameShape(call.outputs[0], logits)
             ? Status::ok
             : broken(call, "wrong output shape");
}

Status checkNormalize(const OpCall& call) {
  const TensorView& x = call.inputs[0];
  const TensorView& out = call.outputs[0];
  if (x.rank != 3 || !sameShape(x, out) || x.dtype != out.dtype) return broken(call, "wrong shape");
  const auto perGroup = [&](const TensorView& view) { return isVector(view, x.dtype, x.shape[1]); };
  const bool isAffine = call.op == Op::normalizeAffine || call.op == Op::normalizeAffineBackward;
  const bool byPosition = isAffine && call.ints[1] != 0;
  if (byPosition && x.shape[0] != 1) return broken(call, "parameters of positions need one run");
  const auto parameter = [&](const TensorView& view) {
    return isVector(view, x.dtype, x.shape[byPosition ? 2 : 1]);
  };
  if (call.op == Op::normalize || call.op == Op::normalizeAffine) {
    if (isAffine && !(parameter(call.inputs[1]) && parameter(call.inputs[2]))) {
      return broken(call, "wrong shape of the parameters");
    }
    return perGroup(call.outputs[1]) && perGroup(call.outputs[2])
               ? Status::ok
               : broken(call, "wrong shape of the statistics");
  }
  if (!sameShape(call.inputs[1], x) || call.inputs[1].dtype != x.dtype) {
    return broken(call, "the gradient does not fit");
  }
  if (!isAffine) {
    return perGroup(call.inputs[2]) ? Status::ok : broken(call, "wrong shape of the statistics");
  }
  if (!perGroup(call.inputs[3]) || !perGroup(call.inputs[4])) {
    return broken(call, "wrong shape of the statistics");
  }
  return parameter(call.inputs[2]) && parameter(call.outputs[1]) && parameter(call.outputs[2])
             ? Status::ok
             : broken(call, "wrong shape of the parameters");
}

/// q [outer, heads, queries, d], k [.., keys, d], v [.., keys, features], y [.., queries,
/// features].
Status checkAttention(const OpCall& call) {
  const bool isBack = call.op == Op::attentionBackward;
  const TensorView* in = call.inputs + (isBack ? 1 : 0);
  const TensorView &q = in[0], &k = in[1], &v = in[2];
  if (q.rank != 4 || v.rank != 4) return broken(call, "wrong rank");
  const auto is = [&](const TensorView& view, int64_t rows, int64_t columns) {
    return view.dtype == DType::float32 && view.rank == 4 && view.shape[0] == q.shape[0] &&
           view.shape[1] == q.shape[1] && view.shape[2] == rows && view.shape[3] == columns;
  };
  const int64_t queries = q.shape[2], d = q.shape[3], keys = v.shape[2], features = v.shape[3];
  const bool operands = is(q, queries, d) && is(k, keys, d) && is(v, keys, features);
  const TensorView& y = isBack ? in[3] : call.outputs[0];
  const TensorView& logs = isBack ? in[4] : call.outputs[1];
  const bool results = is(y, queries, features) && is(logs, queries, 1);
  const bool back =
      !isBack || (is(call.inputs[0], queries, features) && is(call.outputs[0], queries, d) &&
                  is(call.outputs[1], keys, d) && is(call.outputs[2], keys, features));
  return operands && results && back ? Status::ok : broken(call, "shapes do not fit");
}

/// The values of lengths and labels are the kernel's to check.
Status checkCtcLoss(const OpCall& call) {
  const TensorView& logProbs = call.inputs[0];
  const TensorView& targets = call.inputs[1];
  if (logProbs.rank != 3) return broken(call, "log probabilities must be [t, n, c]");
  const int64_t samples = logProbs.shape[1];
  if (targets.dtype != DType::int32 || targets.rank != 2 || targets.shape[0] != samples) {
    return broken(call, "targets must be an int32 matrix, one row per sample");
  }
  for (int i = 2; i < 4; ++i) {
    if (!isVector(call.inputs[i], DType::int32, samples)) {
      return broken(call, "lengths must be int32 vectors, one entry per sample");
    }
  }
  if (call.ints[0] < 0 || call.ints[0] >= logProbs.shape[2]) {
    return broken(call, "the blank is not a class");
  }
  const TensorView& gradient = call.outputs[1];
  const bool isGradient = sameShape(gradient, logProbs) || isVector(gradient, logProbs.dtype, 0);
  return isVector(call.outputs[0], logProbs.dtype, samples) && isGradient &&
                 gradient.dtype == logProbs.dtype
             ? Status::ok
             : broken(call, "wrong output shape");
}

/// In-place kernels need dense operands of one shape; `assign` takes any strides on both sides.
Status checkInplace(const OpCall& call) {
  const TensorView& target = call.inputs[0];
  const int inputs = opInfo(call.op).inputs;
  for (int i = 0; i < inputs; ++i) {
    const TensorView& input = call.inputs[i];
    if (input.dtype != target.dtype) return broken(call, "dtypes differ");
    if (!sameShape(input, target)) return broken(call, "shapes differ");
    if (call.op != Op::assign && i != 1 && !input.contiguous) {
      return broken(call, "parameters and state must be contiguous");
    }
  }
  // Two indices on one element would make the result depend on the order of the writes.
  for (int axis = 0; axis < target.rank && target.size > 0; ++axis) {
    if (target.strides[axis] == 0 && target.shape[axis] > 1) {
      return broken(call, "the destination is a broadcast view");
    }
  }
  return Status::ok;
}

/// The rows' numbers are the kernel's to check.
Status checkAssignRows(const OpCall& call) {
  const TensorView& target = call.inputs[0];
  const TensorView& rows = call.inputs[2];
  if (target.rank < 1 || rows.rank != target.rank || rows.dtype != target.dtype) {
    return broken(call, "ranks or dtypes differ");
  }
  if (!isVector(call.inputs[1], DType::int32, rows.shape[0])) {
    return broken(call, "the index must be an int32 vector, one entry per row");
  }
  for (int axis = 1; axis < target.rank; ++axis) {
    if (target.shape[axis] != rows.shape[axis]) return broken(call, "row shapes differ");
  }
  return target.contiguous ? Status::ok : broken(call, "the destination must be contiguous");
}

Status checkCreate(const OpCall& call) {
  if (call.op == Op::eye && call.outputs[0].rank != 2) return broken(call, "needs a matrix");
  if (call.op == Op::arange && call.outputs[0].rank != 1) return broken(call, "needs a vector");
  return Status::ok;
}

Status checkShapes(const OpCall& call) {
  const TensorView* in = call.inputs;
  const TensorView& out = call.outputs[0];
  switch (opInfo(call.op).kind) {
    case OpKind::create:
      return checkCreate(call);
    case OpKind::unary:
    case OpKind::binarySame:
      if (opInfo(call.op).inputs == 2 && (!sameShape(in[1], out) || in[1].dtype != out.dtype)) {
        return broken(call, "shapes or dtypes differ");
      }
      return sameShape(in[0], out) && in[0].dtype == out.dtype
                 ? Status::ok
                 : broken(call, "shapes or dtypes differ");
    case OpKind::test:
      if (out.dtype != DType::boolean) return broken(call, "the result must be bool");
      return sameShape(in[0], out) ? Status::ok : broken(call, "shapes differ");
    case OpKind::cast:
      return sameShape(in[0], out) ? Status::ok : broken(call, "shapes differ");
    case OpKind::binary:
      if (out.dtype != in[0].dtype) return broken(call, "dtypes differ");
      return checkBroadcast(call, 1, 2, in[0].dtype);
    case OpKind::compare:
      if (out.dtype != DType::boolean) return broken(call, "the result must be bool");
      return checkBroadcast(call, 1, 2, in[0].dtype);
    case OpKind::where:
      return checkBroadcast(call, 1, 3, out.dtype);
    case OpKind::fused:
      return checkFused(call);
    case OpKind::indexSelect:
      return checkIndexed(call, in[0], out);
    case OpKind::indexAdd:
      return checkIndexed(call, out, in[0]);
    case OpKind::sliceBackward:
      return checkSliceBackward(call);
    case OpKind::concat:
      return checkConcat(call);
    case OpKind::reduce:
    case OpKind::argReduce:
      return checkReduce(call);
    case OpKind::matmul:
      return checkMatmul(call);
    case OpKind::linear:
      return checkLinear(call);
    case OpKind::convolution:
      return checkConvolution(call);
    case OpKind::pooling:
      return checkPooling(call);
    case OpKind::linalg:
      return checkLinalg(call);
    case OpKind::fft:
      return checkFft(call);
    case OpKind::crossEntropy:
    case OpKind::crossEntropyBackward:
      return checkCrossEntropy(call);
    case OpKind::ctcLoss:
      return checkCtcLoss(call);
    case OpKind::gather:
      return checkGather(call);
    case OpKind::scatter:
      return checkScatter(call);
    case OpKind::scan:
      return checkScan(call);
    case OpKind::sort:
      return checkSort(call);
    case OpKind::searchSorted:
      return checkSearchSorted(call);
    case OpKind::nonzero:
      return checkNonzero(call);
    case OpKind::normalize:
    case OpKind::normalizeBackward:
      return checkNormalize(call);
    case OpKind::attention:
      return checkAttention(call);
    case OpKind::recurrent:
      return checkRecurrent(call);
    case OpKind::assignRows:
      return checkAssignRows(call);
    case OpKind::inplace:
      return checkInplace(call);
  }
  return broken(call, "unknown kind");
}

}  // namespace

Status validate(const OpCall& call) {
  const int code = static_cast<int>(call.op);
  if (code < 0 || code >= kOpCount) return fail(Status::badArgument, "unknown op %d", code);
  const OpInfo& info = opInfo(call.op);
  const DType dtype = info.inputs > 0 ? call.inputs[0].dtype : call.outputs[0].dtype;
  if (!(info.dtypes >> static_cast<int>(dtype) & 1)) {
    return fail(Status::badDtype, "%s: dtype is not supported", info.name);
  }
  return checkShapes(call);
}

Status validateValues(const OpCall& call) {
  return opInfo(call.op).kind == OpKind::recurrent ? checkRecurrentValues(call) : Status::ok;
}

}  // namespace kindling
