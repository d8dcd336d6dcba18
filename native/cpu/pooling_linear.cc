// Pooling by means and resampling are the same computation: along every axis, each position of the
// result is a weighted sum of a few neighbouring positions of the source. One pair of kernels, the
// map and its adjoint, serves them all; what differs are the tables of windows and weights.

#include "core/status.h"
#include "cpu/convolution_pieces.h"
#include "cpu/kernel_table.h"
#include "cpu/parallel.h"
#include "cpu/pooling.h"
#include "cpu/scratch.h"
#include "cpu/vec_shuffle.h"

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

/// Windows [begin, end) along the rows that differ in their place alone: they weigh all positions
/// alike, and follow each other at a distance of `stride`.
struct Run {
  int64_t begin, end, stride;
};

/// The windows of all three axes.
struct Map {
  Window* axes[3];
  Run run;     // of the last axis
  bool whole;  // whether there is one window, over the whole plane
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

bool isPlain(const Window& window) {
  return window.count > 2 ||
         (weightAt(window, 0) == 1.0 && weightAt(window, window.count - 1) == 1.0);
}

/// The run that the window in the middle is part of.
Run runOf(const Window* windows, int64_t out) {
  const int64_t middle = out / 2;
  const Window& like = windows[middle];
  Run run = {middle, middle + 1, out > 1 ? like.begin - windows[middle - 1].begin : 1};
  if (like.count == 0 || !isPlain(like)) return {0, 0, 1};
  const auto belongs = [&](int64_t i) {
    return windows[i].begin == like.begin + (i - middle) * run.stride &&
           windows[i].count == like.count && windows[i].divisor == like.divisor &&
           isPlain(windows[i]);
  };
  while (run.begin > 0 && belongs(run.begin - 1)) --run.begin;
  while (run.end < out && belongs(run.end)) ++run.end;
  return run;
}

bool coversAll(const Map& map, const int64_t* in, const int64_t* out) {
  for (int axis = 0; axis < 3; ++axis) {
    const Window& window = map.axes[axis][0];
    if (out[axis] != 1 || window.begin != 0 || window.count != in[axis] || !isPlain(window)) {
      return false;
    }
  }
  return true;
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

/// The means of a run's windows over a row; returns how many were written.
int64_t addRunOf(const Run&, const Window&, const double*, double, double*) { return 0; }
int64_t addRunOf(const Run& run, const Window& first, const float* row, double divisor,
                 float* result) {
#if KINDLING_ISA_LEVEL == 0
  (void)run, (void)first, (void)row, (void)divisor, (void)result;
  return 0;
#else
  if (run.stride != 1 && run.stride != 2) return 0;
  const VecF by = VecF::set1(static_cast<float>(divisor));
  const float* const from = row + first.begin;
  const int64_t count = run.end - run.begin;
  for (int64_t i = 0; i < count; i += VecF::width) {
    const int lanes = count - i < VecF::width ? static_cast<int>(count - i) : VecF::width;
    VecF sum = loadLanes(from + i * run.stride, run.stride, 0, lanes);
    for (int64_t k = 1; k < first.count; ++k) {
      sum = sum + loadLanes(from + i * run.stride + k, run.stride, 0, lanes);
    }
    storeFirst(sum / by, result + i, lanes);
  }
  return count;
#endif
}

template <typename T>
T meanOf(const Window& window, const T* row, double divisor) {
  const T* const at = row + window.begin;
  T total = T(0);
  if (window.count == 1) {
    total = at[0] * static_cast<T>(window.weights[0]);
  } else if (window.count == 2) {
    total = at[0] * static_cast<T>(window.weights[0]) + at[1] * static_cast<T>(window.weights[1]);
  } else {
    for (int64_t k = 0; k < window.count; ++k) total += at[k];
  }
  return total / static_cast<T>(divisor * window.divisor);
}

template <class V>
typename V::Scalar sumOf(const typename V::Scalar* source, int64_t count) {
  constexpr int kChains = 4;
  V sums[kChains] = {V::zero(), V::zero(), V::zero(), V::zero()};
  int64_t i = 0;
  for (; i + kChains * V::width <= count; i += kChains * V::width) {
    for (int j = 0; j < kChains; ++j) sums[j] = sums[j] + V::load(source + i + j * V::width);
  }
  for (; i < count; i += V::width) {
    const int lanes = count - i < V::width ? static_cast<int>(count - i) : V::width;
    sums[0] = sums[0] + V::loadPartial(source + i, lanes);
  }
  return reduceAdd((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

double divisorOf(const Map& map) {
  return map.axes[0][0].divisor * map.axes[1][0].divisor * map.axes[2][0].divisor;
}

template <class V>
void mapPlane(const Map& map, const int64_t* in, const int64_t* out,
              const typename V::Scalar* source, typename V::Scalar* row,
              typename V::Scalar* result) {
  using T = typename V::Scalar;
  if (map.whole) {
    *result = sumOf<V>(source, in[0] * in[1] * in[2]) / static_cast<T>(divisorOf(map));
    return;
  }
  for (int64_t i = 0; i < out[0] * out[1]; ++i, result += out[2]) {
    const Window& depths = map.axes[0][i / out[1]];
    const Window& heights = map.axes[1][i % out[1]];
    const T* const from = combineRows<V>(depths, heights, in, source, row);
    const double divisor = depths.divisor * heights.divisor;
    const Window& first = map.axes[2][map.run.begin];
    const int64_t done = map.run.begin + addRunOf(map.run, first, from, divisor * first.divisor,
                                                  result + map.run.begin);
    for (int64_t w = 0; w < map.run.begin; ++w) {
      result[w] = meanOf(map.axes[2][w], from, divisor);
    }
    for (int64_t w = done; w < out[2]; ++w) result[w] = meanOf(map.axes[2][w], from, divisor);
  }
}

constexpr int64_t kRunMargin = 16;  // zeros in front of and behind the shares of a run

/// The shares of a run's windows spread over a row: row[position] = sum of the shares of the
/// windows that contain it. `shares` has zeros around it. Returns the windows that were spread.
int64_t spreadRun(const Run&, const Window&, const double*, double, double*, double*) { return 0; }
int64_t spreadRun(const Run& run, const Window& first, const float* grad, double divisor,
                  float* shares, float* row) {
#if KINDLING_ISA_LEVEL == 0
  (void)run, (void)first, (void)grad, (void)divisor, (void)shares, (void)row;
  return 0;
#else
  if (run.stride != 2 || first.count < 2 || first.count / 2 > kRunMargin) return 0;
  const VecF by = VecF::set1(static_cast<float>(divisor));
  const int64_t count = run.end - run.begin;
  for (int64_t i = 0; i < count; i += VecF::width) {
    const int lanes = count - i < VecF::width ? static_cast<int>(count - i) : VecF::width;
    storeFirst(VecF::loadPartial(grad + i, lanes) / by, shares + i, lanes);
  }
  const int64_t length = 2 * (count - 1) + first.count;
  float* const to = row + first.begin;
  for (int64_t i = 0; 2 * i < length; i += VecF::width) {
    VecF even = VecF::load(shares + i), odd = even;
    for (int64_t k = 2; k < first.count; ++k) {
      const VecF share = VecF::load(shares + i - k / 2);
      if (k % 2) {
        odd = odd + share;
      } else {
        even = even + share;
      }
    }
    float both[2 * VecF::width];
    const Halves sums = interleaved(even, odd);
    if (2 * i + 2 * VecF::width <= length) {
      sums.low.store(to + 2 * i);
      sums.high.store(to + 2 * i + VecF::width);
    } else {
      sums.low.store(both);
      sums.high.store(both + VecF::width);
      for (int64_t j = 2 * i; j < length; ++j) to[j] = both[j - 2 * i];
    }
  }
  return count;
#endif
}

/// What a thread works with.
template <typename T>
struct Rows {
  T *row, *shares;
  bool* started;  // of the result's rows
};

template <class V>
void adjointPlane(const Map& map, const int64_t* in, const int64_t* out,
                  const typename V::Scalar* grad, const Rows<typename V::Scalar>& room,
                  typename V::Scalar* result) {
  using T = typename V::Scalar;
  if (map.whole) {
    const T share = *grad / static_cast<T>(divisorOf(map));
    for (int64_t i = 0; i < in[0] * in[1] * in[2]; ++i) result[i] = share;
    return;
  }
  for (int64_t i = 0; i < in[0] * in[1]; ++i) room.started[i] = false;
  for (int64_t i = 0; i < out[0] * out[1]; ++i, grad += out[2]) {
    const Window& depths = map.axes[0][i / out[1]];
    const Window& heights = map.axes[1][i % out[1]];
    const double divisor = depths.divisor * heights.divisor;
    for (int64_t w = 0; w < in[2]; ++w) room.row[w] = T(0);
    const Window& first = map.axes[2][map.run.begin];
    const int64_t done = map.run.begin + spreadRun(map.run, first, grad + map.run.begin,
                                                   divisor * first.divisor, room.shares, room.row);
    for (int64_t w = 0; w < out[2]; ++w) {
      if (w == map.run.begin) w = done;
      if (w == out[2]) break;
      const Window& window = map.axes[2][w];
      const T share = grad[w] / static_cast<T>(divisor * window.divisor);
      for (int64_t k = 0; k < window.count; ++k) {
        room.row[window.begin + k] += share * static_cast<T>(weightAt(window, k));
      }
    }
    for (int64_t d = 0; d < depths.count; ++d) {
      for (int64_t h = 0; h < heights.count; ++h) {
        const double weight = weightAt(depths, d) * weightAt(heights, h);
        const int64_t at = (depths.begin + d) * in[1] + heights.begin + h;
        if (room.started[at]) {
          addRow<V, true>(room.row, weight, in[2], result + at * in[2]);
        } else {
          addRow<V, false>(room.row, weight, in[2], result + at * in[2]);
          room.started[at] = true;
        }
      }
    }
  }
  for (int64_t i = 0; i < in[0] * in[1]; ++i) {
    if (room.started[i]) continue;
    for (int64_t w = 0; w < in[2]; ++w) result[i * in[2] + w] = T(0);
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
  map.run = runOf(map.axes[2], out.extents[2]);
  map.whole = coversAll(map, in.extents, out.extents);
  const int64_t shareCount = out.extents[2] + 4 * kRunMargin;
  T* const to = static_cast<T*>(result.data);
  bool ok = true;
  parallelFor(in.count, kThreadWork / (in.size + out.size) + 1, 1, [&](int64_t begin, int64_t end) {
    const Scratch memory(static_cast<size_t>(in.extents[2] + shareCount) * sizeof(T) +
                         static_cast<size_t>(kAdjoint ? in.extents[0] * in.extents[1] : 0));
    if (!memory.ok()) {
      __atomic_store_n(&ok, false, __ATOMIC_RELAXED);
      return;
    }
    T* const shares = memory.as<T>();
    T* const row = shares + shareCount;
    for (int64_t i = 0; i < shareCount; ++i) shares[i] = T(0);
    const Rows<T> room = {row, shares + kRunMargin, reinterpret_cast<bool*>(row + in.extents[2])};
    for (int64_t i = begin; i < end; ++i) {
      if (kAdjoint) {
        adjointPlane<V>(map, in.extents, out.extents, given.as<T>() + i * out.size, room,
                        to + i * in.size);
      } else {
        mapPlane<V>(map, in.extents, out.extents, given.as<T>() + i * in.size, row,
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
