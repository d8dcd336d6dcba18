// Pooling by means and resampling are the same computation: along every axis, each position of the
// result is a weighted sum of a few neighbouring positions of the source. One pair of kernels, the
// map and its adjoint, serves them all; what differs are the tables of windows and weights.

#include "core/status.h"
#include "cpu/kernel_table.h"
#include "cpu/parallel.h"
#include "cpu/pooling.h"
#include "cpu/scratch.h"

namespace kindling {
namespace KINDLING_ISA {
namespace {

constexpr int64_t kThreadWork = 1 << 14;  // elements

/// One position's window: source positions [begin, begin + count).
struct Window {
  int64_t begin, count;
  double weights[2];  // of the window's positions; windows of more have weight 1 throughout
  double divisor;     // of the sum
};

/// The windows of all three axes.
struct Map {
  Window* axes[3];
};

double weightAt(const Window& window, int64_t i) {
  return window.count <= 2 ? window.weights[i] : 1.0;
}

// ---- the tables

Window plainWindow(int64_t begin, int64_t end, double divisor) {
  return {begin, end - begin, {1.0, 1.0}, divisor};
}

void meanWindows(const OpCall& call, int axis, int64_t in, int64_t out, Window* windows) {
  const int64_t kernel = call.ints[axis], stride = call.ints[3 + axis];
  const int64_t padding = call.ints[6 + axis];
  const bool includesPadding = call.ints[9] != 0;
  const double divisor = call.floats[0];
  for (int64_t i = 0; i < out; ++i) {
    int64_t begin = i * stride - padding, end = begin + kernel;
    if (end > in + padding) end = in + padding;
    const int64_t padded = end - begin;
    if (begin < 0) begin = 0;
    if (end > in) end = in;
    const int64_t count = includesPadding ? padded : end - begin;
    // A divisor that was given counts once, not for every axis.
    const double own = divisor != 0 ? (axis == 2 ? divisor : 1.0) : static_cast<double>(count);
    windows[i] = plainWindow(begin, end > begin ? end : begin, own);
  }
}

void adaptiveWindows(int64_t in, int64_t out, Window* windows) {
  for (int64_t i = 0; i < out; ++i) {
    const int64_t begin = adaptiveBegin(i, in, out), end = adaptiveEnd(i, in, out);
    windows[i] = plainWindow(begin, end, static_cast<double>(end - begin));
  }
}

enum Mode { nearest = 0, linear = 1, linearAligned = 2 };

void resampleWindows(int mode, double scale, int64_t in, int64_t out, Window* windows) {
  const double last = static_cast<double>(in - 1);
  if (mode == linearAligned) {
    scale = out > 1 ? last / static_cast<double>(out - 1) : 0.0;
  } else if (mode == linear && scale == 0) {
    scale = static_cast<double>(in) / static_cast<double>(out);
  }
  for (int64_t i = 0; i < out; ++i) {
    const double at = static_cast<double>(i);
    if (mode == nearest) {
      // Without a scale of the caller's the quotient is exact.
      double from =
          scale == 0 ? static_cast<double>(adaptiveBegin(i, in, out)) : __builtin_floor(at * scale);
      if (from > last) from = last;
      const int64_t begin = static_cast<int64_t>(from);
      windows[i] = plainWindow(begin, begin + 1, 1.0);
      continue;
    }
    double from = mode == linearAligned ? at * scale : (at + 0.5) * scale - 0.5;
    if (!(from > 0)) from = 0;
    if (from > last) from = last;
    const int64_t begin = static_cast<int64_t>(from);
    const double share = from - static_cast<double>(begin);
    windows[i] = {begin, share > 0 ? 2 : 1, {1.0 - share, share}, 1.0};
  }
}

void fillAxis(const OpCall& call, int axis, int64_t in, int64_t out, Window* windows) {
  switch (call.op) {
    case Op::avgPool:
    case Op::avgPoolBackward:
      return meanWindows(call, axis, in, out, windows);
    case Op::adaptiveAvgPool:
    case Op::adaptiveAvgPoolBackward:
      return adaptiveWindows(in, out, windows);
    default:
      return resampleWindows(call.ints[0], call.floats[axis], in, out, windows);
  }
}

// ---- the kernels

/// to[i] (+)= from[i] * weight
template <class V, bool kAccumulate>
KINDLING_INLINE void addRow(const typename V::Scalar* from, double weight, int64_t count,
                            typename V::Scalar* to) {
  using T = typename V::Scalar;
  const V factor = V::set1(static_cast<T>(weight));
  int64_t i = 0;
  for (; i + V::width <= count; i += V::width) {
    const V term = V::load(from + i);
    if (kAccumulate) {
      fma(term, factor, V::load(to + i)).store(to + i);
    } else {
      (term * factor).store(to + i);
    }
  }
  for (; i < count; ++i) {
    const T term = from[i] * static_cast<T>(weight);
    to[i] = kAccumulate ? to[i] + term : term;
  }
}

/// The source's rows that a row of the result needs, combined into one.
template <class V>
const typename V::Scalar* combineRows(const Window& depths, const Window& heights,
                                      const int64_t* in, const typename V::Scalar* source,
                                      typename V::Scalar* row) {
  using T = typename V::Scalar;
  const auto rowAt = [&](int64_t d, int64_t h) {
    return source + ((depths.begin + d) * in[1] + heights.begin + h) * in[2];
  };
  const double first = depths.weights[0] * heights.weights[0];
  if (depths.count == 1 && heights.count == 1 && first == 1.0) return rowAt(0, 0);
  bool started = false;
  for (int64_t d = 0; d < depths.count; ++d) {
    for (int64_t h = 0; h < heights.count; ++h) {
      const double weight = weightAt(depths, d) * weightAt(heights, h);
      if (started) {
        addRow<V, true>(rowAt(d, h), weight, in[2], row);
      } else {
        addRow<V, false>(rowAt(d, h), weight, in[2], row);
      }
      started = true;
    }
  }
  for (int64_t w = 0; !started && w < in[2]; ++w) row[w] = T(0);
  return row;
}

template <class V>
void mapPlane(const Map& map, const int64_t* in, const int64_t* out,
              const typename V::Scalar* source, typename V::Scalar* row,
              typename V::Scalar* result) {
  using T = typename V::Scalar;
  for (int64_t i = 0; i < out[0] * out[1]; ++i) {
    const Window& depths = map.axes[0][i / out[1]];
    const Window& heights = map.axes[1][i % out[1]];
    const T* const from = combineRows<V>(depths, heights, in, source, row);
    const double divisor = depths.divisor * heights.divisor;
    for (int64_t w = 0; w < out[2]; ++w) {
      const Window& window = map.axes[2][w];
      const T* const at = from + window.begin;
      T total;
      if (window.count == 1) {
        total = at[0] * static_cast<T>(window.weights[0]);
      } else if (window.count == 2) {
        total =
            at[0] * static_cast<T>(window.weights[0]) + at[1] * static_cast<T>(window.weights[1]);
      } else {
        total = T(0);
        for (int64_t k = 0; k < window.count; ++k) total += at[k];
      }
      *result++ = total / static_cast<T>(divisor * window.divisor);
    }
  }
}

template <class V>
void adjointPlane(const Map& map, const int64_t* in, const int64_t* out,
                  const typename V::Scalar* grad, typename V::Scalar* row,
                  typename V::Scalar* result) {
  using T = typename V::Scalar;
  for (int64_t i = 0; i < in[0] * in[1] * in[2]; ++i) result[i] = T(0);
  for (int64_t i = 0; i < out[0] * out[1]; ++i) {
    const Window& depths = map.axes[0][i / out[1]];
    const Window& heights = map.axes[1][i % out[1]];
    const double divisor = depths.divisor * heights.divisor;
    for (int64_t w = 0; w < in[2]; ++w) row[w] = T(0);
    for (int64_t w = 0; w < out[2]; ++w) {
      const Window& window = map.axes[2][w];
      const T share = *grad++ / static_cast<T>(divisor * window.divisor);
      for (int64_t k = 0; k < window.count; ++k) {
        row[window.begin + k] += share * static_cast<T>(weightAt(window, k));
      }
    }
    for (int64_t d = 0; d < depths.count; ++d) {
      for (int64_t h = 0; h < heights.count; ++h) {
        addRow<V, true>(row, weightAt(depths, d) * weightAt(heights, h), in[2],
                        result + ((depths.begin + d) * in[1] + heights.begin + h) * in[2]);
      }
    }
  }
}

/// The map (kAdjoint false) from input to output, or its adjoint from a gradient of the map's
/// output to one of its input.
template <class V, bool kAdjoint>
Status apply(const OpCall& call) {
  using T = typename V::Scalar;
  const TensorView& result = call.outputs[0];
  if (result.size == 0) return Status::ok;
  const Contiguous given(call.inputs[0]);
  const Planes in = planesOf(kAdjoint ? result : call.inputs[0]);
  const Planes out = planesOf(kAdjoint ? call.inputs[0] : result);
  const Scratch tables(static_cast<size_t>(out.extents[0] + out.extents[1] + out.extents[2]) *
                       sizeof(Window));
  if (!given.ok() || !tables.ok()) {
    return fail(Status::outOfMemory, "pooling: no scratch memory");
  }
  Map map;
  Window* next = tables.as<Window>();
  for (int axis = 0; axis < 3; ++axis) {
    map.axes[axis] = next;
    fillAxis(call, axis, in.extents[axis], out.extents[axis], next);
    next += out.extents[axis];
  }
  T* const to = static_cast<T*>(result.data);
  bool ok = true;
  parallelFor(in.count, kThreadWork / (in.size + out.size) + 1, 1, [&](int64_t begin, int64_t end) {
    const Scratch row(static_cast<size_t>(in.extents[2]) * sizeof(T));
    if (!row.ok()) {
      __atomic_store_n(&ok, false, __ATOMIC_RELAXED);
      return;
    }
    for (int64_t i = begin; i < end; ++i) {
      if (kAdjoint) {
        adjointPlane<V>(map, in.extents, out.extents, given.as<T>() + i * out.size, row.as<T>(),
                        to + i * in.size);
      } else {
        mapPlane<V>(map, in.extents, out.extents, given.as<T>() + i * in.size, row.as<T>(),
                    to + i * out.size);
      }
    }
  });
  return ok ? Status::ok : fail(Status::outOfMemory, "pooling: no scratch memory");
}

Status forward(const OpCall& call) { return byFloat(call, apply<VecF, false>, apply<VecD, false>); }
Status backward(const OpCall& call) { return byFloat(call, apply<VecF, true>, apply<VecD, true>); }

}  // namespace

void registerLinearPooling(Kernel* kernels) {
  kernels[static_cast<int>(Op::avgPool)] = forward;
  kernels[static_cast<int>(Op::avgPoolBackward)] = backward;
  kernels[static_cast<int>(Op::adaptiveAvgPool)] = forward;
  kernels[static_cast<int>(Op::adaptiveAvgPoolBackward)] = backward;
  kernels[static_cast<int>(Op::resample)] = forward;
  kernels[static_cast<int>(Op::resampleBackward)] = backward;
}

}  // namespace KINDLING_ISA
}  // namespace kindling
