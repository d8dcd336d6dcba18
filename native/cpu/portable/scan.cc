// Running sums, products and linear recurrences along one axis.

#include "core/status.h"
#include "cpu/parallel.h"
#include "cpu/portable/odometer.h"
#include "cpu/portable/portable.h"

namespace kindling {
namespace {

constexpr int64_t kGrain = 16384;

template <typename T>
struct Wide {
  using Type = T;
};
// A running float sum gains an error with every step: kept in double, as PyTorch does.
template <>
struct Wide<float> {
  using Type = double;
};
// Integers wrap.
template <>
struct Wide<int32_t> {
  using Type = uint32_t;
};
template <>
struct Wide<int64_t> {
  using Type = uint64_t;
};

/// Calls body(offsets, step) for the first position of every line along the axis. Operands: the
/// output, then the inputs.
template <int operands, typename Body>
void forLines(const TensorView* const (&views)[operands], int axis, const Body& body) {
  const TensorView& out = *views[0];
  const int64_t extent = out.rank > 0 ? out.shape[axis] : 1;
  if (out.size == 0) return;
  const int64_t lines = out.size / extent;
  parallelFor(lines, kGrain / extent + 1, 1, [&](int64_t begin, int64_t end) {
    Odometer<operands> at;
    for (int i = 0; i < out.rank; ++i) {
      if (i == axis) continue;
      int64_t steps[operands];
      for (int k = 0; k < operands; ++k) steps[k] = views[k]->strides[i];
      at.add(out.shape[i], steps);
    }
    at.seek(begin);
    for (int64_t line = begin; line < end; ++line, at.next()) body(at.offsets);
  });
}

struct Line {
  int64_t extent, first, step;  // positions first, first + step, ...
  Line(const OpCall& call) {
    const TensorView& out = call.outputs[0];
    extent = out.rank > 0 ? out.shape[call.ints[0]] : 1;
    const bool reverse = call.ints[1] != 0;
    first = reverse ? extent - 1 : 0;
    step = reverse ? -1 : 1;
  }
};

template <typename T, bool product>
void running(const OpCall& call) {
  using W = typename Wide<T>::Type;
  const TensorView& x = call.inputs[0];
  const TensorView& out = call.outputs[0];
  const int axis = call.ints[0];
  const Line line(call);
  const int64_t toStep = out.rank > 0 ? out.strides[axis] : 0;
  const int64_t fromStep = x.rank > 0 ? x.strides[axis] : 0;
  forLines<2>({&out, &x}, axis, [&](const int64_t(&offsets)[2]) {
    T* to = static_cast<T*>(out.data) + offsets[0];
    const T* from = static_cast<const T*>(x.data) + offsets[1];
    W total = product ? 1 : 0;
    for (int64_t n = 0, i = line.first; n < line.extent; ++n, i += line.step) {
      const W value = static_cast<W>(from[i * fromStep]);
      total = product ? total * value : total + value;
      to[i * toStep] = static_cast<T>(total);
    }
  });
}

/// r[i] = b[i] + a[i] * r[i - 1], from 0; in reverse from the other end.
template <typename T>
void recurrence(const OpCall& call) {
  const TensorView& a = call.inputs[0];
  const TensorView& b = call.inputs[1];
  const TensorView& out = call.outputs[0];
  const int axis = call.ints[0];
  const Line line(call);
  const int64_t steps[3] = {out.rank > 0 ? out.strides[axis] : 0, a.rank > 0 ? a.strides[axis] : 0,
                            b.rank > 0 ? b.strides[axis] : 0};
  forLines<3>({&out, &a, &b}, axis, [&](const int64_t(&offsets)[3]) {
    T* to = static_cast<T*>(out.data) + offsets[0];
    const T* factor = static_cast<const T*>(a.data) + offsets[1];
    const T* term = static_cast<const T*>(b.data) + offsets[2];
    T state = 0;
    for (int64_t n = 0, i = line.first; n < line.extent; ++n, i += line.step) {
      state = term[i * steps[2]] + factor[i * steps[1]] * state;
      to[i * steps[0]] = state;
    }
  });
}

template <bool product>
Status cumulative(const OpCall& call) {
  switch (call.inputs[0].dtype) {
    case DType::float32:
      running<float, product>(call);
      return Status::ok;
    case DType::float64:
      running<double, product>(call);
      return Status::ok;
    case DType::int32:
      running<int32_t, product>(call);
      return Status::ok;
    case DType::int64:
      running<int64_t, product>(call);
      return Status::ok;
    default:
      return fail(Status::badDtype, "no kernel for this dtype");
  }
}

Status linearScan(const OpCall& call) {
  if (call.inputs[0].dtype == DType::float32) {
    recurrence<float>(call);
  } else {
    recurrence<double>(call);
  }
  return Status::ok;
}

}  // namespace

void registerScan(Kernel* kernels) {
  kernels[static_cast<int>(Op::cumsum)] = cumulative<false>;
  kernels[static_cast<int>(Op::cumprod)] = cumulative<true>;
  kernels[static_cast<int>(Op::linearScan)] = linearScan;
}

}  // namespace kindling
