// The shape rules of the recurrent layers; native/cpu/recurrent.cc names their operands.

#include <cinttypes>

#include "core/op_info.h"
#include "core/validate.h"

namespace kindling {

namespace {

bool is(const TensorView& view, int rank, int64_t a, int64_t b = 1, int64_t c = 1) {
  if (view.dtype != DType::float32 || view.rank != rank) return false;
  const int64_t shape[3] = {a, b, c};
  for (int axis = 0; axis < rank; ++axis) {
    if (view.shape[axis] != shape[axis]) return false;
  }
  return true;
}

struct Cell {
  int64_t gates, saved;
  bool isLstm, isGru;
};

Cell cellOf(Op op) {
  if (op == Op::lstm || op == Op::lstmBackward) return {4, 4, true, false};
  if (op == Op::gru || op == Op::gruBackward) return {3, 4, false, true};
  return {1, 1, false, false};
}

Status checkLengths(const OpCall& call, const TensorView& lengths, int64_t rows) {
  if (lengths.dtype != DType::int32 || lengths.rank != 1 || lengths.size != rows) {
    return broken(call, "lengths must be an int32 vector, one entry per row");
  }
  return Status::ok;
}

bool isForward(const OpCall& call) {
  return call.op == Op::lstm || call.op == Op::gru || call.op == Op::rnn;
}

Status checkForward(const OpCall& call) {
  const TensorView& y = call.outputs[0];
  const Cell cell = cellOf(call.op);
  if (y.rank != 3) return broken(call, "wrong rank");
  const int64_t t = y.shape[0], n = y.shape[1], h = y.shape[2];
  const bool inputs = is(call.inputs[0], 3, t, n, cell.gates * h) &&
                      is(call.inputs[1], 2, cell.gates * h, h) && is(call.inputs[3], 2, n, h) &&
                      (!cell.isLstm || is(call.inputs[4], 2, n, h)) &&
                      (!cell.isGru || is(call.inputs[4], 1, h));
  // What is kept for the way back may be left out: 0 steps of it.
  const int64_t kept = call.outputs[2].rank == 3 && call.outputs[2].shape[0] == 0 ? 0 : t;
  const bool outputs =
      is(y, 3, t, n, h) && is(call.outputs[1], 2, n, h) &&
      is(call.outputs[2], 3, kept, n, cell.saved * h) &&
      (!cell.isLstm || (is(call.outputs[3], 2, n, h) && is(call.outputs[4], 3, kept, n, h)));
  if (!inputs || !outputs) return broken(call, "shapes do not fit");
  return checkLengths(call, call.inputs[2], n);
}

Status checkBackward(const OpCall& call) {
  const TensorView& y = call.inputs[3];
  const Cell cell = cellOf(call.op);
  if (y.rank != 3 || y.shape[0] < 1) return broken(call, "wrong rank");
  const int64_t t = y.shape[0], n = y.shape[1], h = y.shape[2];
  const TensorView* in = call.inputs;
  const TensorView* out = call.outputs;
  const bool inputs =
      is(in[0], 3, t, n, h) && is(in[1], 2, n, h) && is(in[2], 3, t, n, cell.saved * h) &&
      is(y, 3, t, n, h) && is(in[4], 2, cell.gates * h, h) && is(in[6], 2, n, h) &&
      (!cell.isLstm || (is(in[7], 3, t, n, h) && is(in[8], 2, n, h) && is(in[9], 2, n, h)));
  const bool outputs = is(out[0], 3, t, n, cell.gates * h) && is(out[1], 2, n, h) &&
                       is(out[2], 2, cell.gates * h, h) && (!cell.isLstm || is(out[3], 2, n, h)) &&
                       (!cell.isGru || is(out[3], 1, h));
  if (!inputs || !outputs) return broken(call, "shapes do not fit");
  if (!in[2].contiguous || !y.contiguous || (cell.isLstm && !in[7].contiguous)) {
    return broken(call, "what forward saved must be contiguous");
  }
  return checkLengths(call, in[5], n);
}

}  // namespace

Status checkRecurrent(const OpCall& call) {
  return isForward(call) ? checkForward(call) : checkBackward(call);
}

Status checkRecurrentValues(const OpCall& call) {
  const TensorView& lengths = call.inputs[isForward(call) ? 2 : 5];
  const int64_t steps = isForward(call) ? call.outputs[0].shape[0] : call.inputs[3].shape[0];
  const int32_t* data = static_cast<const int32_t*>(lengths.data);
  for (int64_t row = 0; row < lengths.size; ++row) {
    const int32_t length = data[row * lengths.strides[0]];
    if (length < 0 || length > steps) {
      return fail(Status::indexOutOfRange,
                  "%s: length %d of row %" PRId64 " is outside [0, %" PRId64 "]",
                  opInfo(call.op).name, length, row, steps);
    }
  }
  return Status::ok;
}

}  // namespace kindling
