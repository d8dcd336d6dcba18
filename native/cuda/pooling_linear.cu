// Pooling by means and resampling are the same computation, as on the CPU: along every axis, each
// position of the result is a weighted sum of a few neighbouring positions of the source. A first
// kernel writes the windows of all axes, and for each position of the source the windows that contain
// it, which are neighbours too. So the gradient is a sum over those: a gather, without atomics.

#include "core/status.h"
#include "cuda/copies.h"
#include "cuda/indexing.cuh"
#include "cuda/kernel_table.h"
#include "cuda/pooling.h"
#include "cuda/runtime.h"

namespace kindling {
namespace cuda {
namespace pooling {

/// One position's window: source positions [begin, begin + count).
struct Window {
  int64_t begin, count;
  double weights[2];  // of the window's positions; windows of more have weight 1 throughout
  double divisor;     // of the sum
};

/// The same in the tables, in the precision of the elements.
template <typename T>
struct Entry {
  int begin, count;
  T weights[2], divisor;

  __device__ __forceinline__ T weight(int i) const {
    return count > 2 ? T(1) : i == 0 ? weights[0] : weights[1];
  }
};

/// The windows [begin, end) that contain a position of the source.
struct Containing {
  int begin, end;
};

enum class Rule : int32_t { mean, adaptive, nearest, linear, linearAligned };

struct AxisRule {
  Rule rule;
  int64_t in, out;
  int64_t kernel, stride, padding;
  bool includesPadding;
  double divisor;  // that every window has, or 0
  double scale;    // resampling's step in the source, or 0 for in / out
  int64_t windows, containing;  // where the axis starts in the tables
};

struct LinearPlan {
  AxisRule axes[3];
  int64_t inPlane, outPlane, size;  // size: of the result
  FastDivisor<uint64_t> plane, height, width;  // of the result
  int64_t mostTaps;
};

__device__ __forceinline__ Window plainWindow(int64_t begin, int64_t end, double divisor) {
  return {begin, end - begin, {1.0, 1.0}, divisor};
}

__device__ inline Window meanWindow(const AxisRule& rule, int64_t i) {
  int64_t begin = i * rule.stride - rule.padding, end = begin + rule.kernel;
  if (end > rule.in + rule.padding) end = rule.in + rule.padding;
  const int64_t padded = end - begin;
  if (begin < 0) begin = 0;
  if (end > rule.in) end = rule.in;
  const int64_t count = rule.includesPadding ? padded : end - begin;
  const double own = rule.divisor != 0 ? rule.divisor : static_cast<double>(count);
  return plainWindow(begin, end > begin ? end : begin, own);
}

__device__ inline Window resampleWindow(const AxisRule& rule, int64_t i) {
  const double last = static_cast<double>(rule.in - 1), at = static_cast<double>(i);
  double scale = rule.scale;
  if (rule.rule == Rule::nearest) {
    // Without a scale of the caller's the quotient is exact.
    double from = scale == 0 ? static_cast<double>(adaptiveBegin(i, rule.in, rule.out))
                             : floor(at * scale);
    if (from > last) from = last;
    const int64_t begin = static_cast<int64_t>(from);
    return plainWindow(begin, begin + 1, 1.0);
  }
  if (rule.rule == Rule::linearAligned) {
    scale = rule.out > 1 ? last / static_cast<double>(rule.out - 1) : 0.0;
  } else if (scale == 0) {
    scale = static_cast<double>(rule.in) / static_cast<double>(rule.out);
  }
  double from = rule.rule == Rule::linearAligned ? at * scale : (at + 0.5) * scale - 0.5;
  if (!(from > 0)) from = 0;
  if (from > last) from = last;
  const int64_t begin = static_cast<int64_t>(from);
  const double share = from - static_cast<double>(begin);
  return {begin, share > 0 ? 2 : 1, {1.0 - share, share}, 1.0};
}

__device__ inline Window windowOf(const AxisRule& rule, int64_t i) {
  if (rule.rule == Rule::mean) return meanWindow(rule, i);
  if (rule.rule == Rule::adaptive) {
    const int64_t begin = adaptiveBegin(i, rule.in, rule.out);
    const int64_t end = adaptiveEnd(i, rule.in, rule.out);
    return plainWindow(begin, end, static_cast<double>(end - begin));
  }
  return resampleWindow(rule, i);
}

/// The first window that begins (or, with `ends`, ends) after a position of the source. Both grow
/// from window to window.
__device__ inline int64_t firstWindowAfter(const AxisRule& rule, int64_t position, bool ends) {
  int64_t low = 0, high = rule.out;
  while (low < high) {
    const int64_t middle = low + (high - low) / 2;
    const Window window = windowOf(rule, middle);
    if (window.begin + (ends ? window.count : 0) > position) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}

template <typename T>
__global__ void __launch_bounds__(kBlockThreads)
    writeWindows(LinearPlan plan, Entry<T>* __restrict__ windows,
                 Containing* __restrict__ containing) {
  const int64_t grid = static_cast<int64_t>(gridDim.x) * blockDim.x;
  const int64_t first = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  for (int axis = 0; axis < 3; ++axis) {
    const AxisRule& rule = plan.axes[axis];
    for (int64_t i = first; i < rule.out; i += grid) {
      const Window window = windowOf(rule, i);
      windows[rule.windows + i] = {
          static_cast<int>(window.begin),
          static_cast<int>(window.count),
          {static_cast<T>(window.weights[0]), static_cast<T>(window.weights[1])},
          static_cast<T>(window.divisor)};
    }
    if (containing == nullptr) continue;
    for (int64_t i = first; i < rule.in; i += grid) {
      containing[rule.containing + i] = {static_cast<int>(firstWindowAfter(rule, i, true)),
                                         static_cast<int>(firstWindowAfter(rule, i, false))};
    }
  }
}

/// Where an element of the result is.
struct Place {
  int64_t plane;
  int at[3];

  __device__ __forceinline__ Place(const LinearPlan& plan, int64_t element) {
    const uint64_t i = static_cast<uint64_t>(element);
    const uint64_t whole = plan.plane.divide(i), item = i - whole * plan.plane.divisor;
    const uint64_t line = plan.width.divide(item), depth = plan.height.divide(line);
    plane = static_cast<int64_t>(whole);
    at[0] = static_cast<int>(depth);
    at[1] = static_cast<int>(line - depth * plan.height.divisor);
    at[2] = static_cast<int>(item - line * plan.width.divisor);
  }
};

/// The sum of a window by one thread.
template <typename T>
__device__ __forceinline__ T sumOfWindow(const LinearPlan& plan, const Entry<T>& depths,
                                         const Entry<T>& heights, const Entry<T>& widths,
                                         const T* __restrict__ plane) {
  T sum = T(0);
  for (int d = 0; d < depths.count; ++d) {
    for (int h = 0; h < heights.count; ++h) {
      const T outer = depths.weight(d) * heights.weight(h);
      const T* const row =
          plane +
          ((depths.begin + d) * plan.axes[1].in + heights.begin + h) * plan.axes[2].in +
          widths.begin;
      for (int w = 0; w < widths.count; ++w) sum += row[w] * (outer * widths.weight(w));
    }
  }
  return sum;
}

/// The same by a warp; all lanes get it.
template <typename T>
__device__ __forceinline__ T sumOverWarp(const LinearPlan& plan, const Entry<T>& depths,
                                         const Entry<T>& heights, const Entry<T>& widths,
                                         const T* __restrict__ plane) {
  const int64_t count = static_cast<int64_t>(depths.count) * heights.count * widths.count;
  T sum = T(0);
  for (int64_t tap = threadIdx.x % 32; tap < count; tap += 32) {
    const int64_t line = tap / widths.count;
    const int w = static_cast<int>(tap - line * widths.count);
    const int d = static_cast<int>(line / heights.count);
    const int h = static_cast<int>(line - static_cast<int64_t>(d) * heights.count);
    const int64_t at = ((depths.begin + d) * plan.axes[1].in + heights.begin + h) *
                           plan.axes[2].in +
                       widths.begin + w;
    sum += depths.weight(d) * heights.weight(h) * widths.weight(w) * plane[at];
  }
#pragma unroll
  for (int step = 16; step > 0; step /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, step);
  return sum;
}

/// kLanes: 1, or 32 where windows are large.
template <typename T, int kLanes>
__global__ void __launch_bounds__(kBlockThreads, 4)
    mapWindows(LinearPlan plan, const Entry<T>* __restrict__ windows,
               const T* __restrict__ source, T* __restrict__ result) {
  const int64_t grid = static_cast<int64_t>(gridDim.x) * (kBlockThreads / kLanes);
  const int64_t first =
      (static_cast<int64_t>(blockIdx.x) * kBlockThreads + threadIdx.x) / kLanes;
  for (int64_t i = first; i < plan.size; i += grid) {
    const Place place(plan, i);
    const Entry<T> depths = windows[plan.axes[0].windows + place.at[0]];
    const Entry<T> heights = windows[plan.axes[1].windows + place.at[1]];
    const Entry<T> widths = windows[plan.axes[2].windows + place.at[2]];
    const T* const plane = source + place.plane * plan.inPlane;
    const T sum = kLanes == 1 ? sumOfWindow(plan, depths, heights, widths, plane)
                              : sumOverWarp(plan, depths, heights, widths, plane);
    if (threadIdx.x % kLanes == 0) {
      result[i] = sum / (depths.divisor * heights.divisor * widths.divisor);
    }
  }
}

/// The adjoint: each element of the source's gradient gathers from the windows that contain it.
template <typename T>
__global__ void __launch_bounds__(kBlockThreads, 4)
    gatherWindows(LinearPlan plan, const Entry<T>* __restrict__ windows,
                  const Containing* __restrict__ containing, const T* __restrict__ grad,
                  T* __restrict__ result) {
  const int64_t grid = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < plan.size;
       i += grid) {
    const Place place(plan, i);
    const Containing depths = containing[plan.axes[0].containing + place.at[0]];
    const Containing heights = containing[plan.axes[1].containing + place.at[1]];
    const Containing widths = containing[plan.axes[2].containing + place.at[2]];
    const T* const from = grad + place.plane * plan.outPlane;
    T sum = T(0);
    for (int z = depths.begin; z < depths.end; ++z) {
      const Entry<T> depth = windows[plan.axes[0].windows + z];
      for (int y = heights.begin; y < heights.end; ++y) {
        const Entry<T> height = windows[plan.axes[1].windows + y];
        const T outer =
            depth.weight(place.at[0] - depth.begin) * height.weight(place.at[1] - height.begin);
        const T divisor = depth.divisor * height.divisor;
        const T* const row = from + (z * plan.axes[1].out + y) * plan.axes[2].out;
        for (int x = widths.begin; x < widths.end; ++x) {
          const Entry<T> width = windows[plan.axes[2].windows + x];
          const T share = row[x] / (divisor * width.divisor);
          sum += share * width.weight(place.at[2] - width.begin) * outer;
        }
      }
    }
    result[i] = sum;
  }
}

}  // namespace pooling

namespace {

using namespace pooling;

AxisRule ruleOf(const OpCall& call, int axis, int64_t in, int64_t out) {
  AxisRule rule = {};
  rule.in = in;
  rule.out = out;
  switch (call.op) {
    case Op::avgPool:
    case Op::avgPoolBackward:
      rule.rule = Rule::mean;
      rule.kernel = call.ints[axis];
      rule.stride = call.ints[3 + axis];
      rule.padding = call.ints[6 + axis];
      rule.includesPadding = call.ints[9] != 0;
      // A divisor that was given counts once, not for every axis.
      if (call.floats[0] != 0) rule.divisor = axis == 2 ? call.floats[0] : 1.0;
      break;
    case Op::adaptiveAvgPool:
    case Op::adaptiveAvgPoolBackward:
      rule.rule = Rule::adaptive;
      rule.kernel = ceilDivide(in, out) + 1;
      break;
    default:
      rule.rule = call.ints[0] == 0   ? Rule::nearest
                  : call.ints[0] == 1 ? Rule::linear
                                      : Rule::linearAligned;
      rule.kernel = rule.rule == Rule::nearest ? 1 : 2;
      rule.scale = call.floats[axis];
  }
  return rule;
}

/// `written` is the map's result, or its source where the adjoint runs.
LinearPlan planOf(const OpCall& call, const TensorView& source, const TensorView& result,
                  const TensorView& written) {
  const Planes in = planesOf(source), out = planesOf(result), of = planesOf(written);
  LinearPlan plan = {};
  plan.inPlane = in.size;
  plan.outPlane = out.size;
  plan.size = written.size;
  plan.plane = FastDivisor<uint64_t>(static_cast<uint64_t>(of.size));
  plan.height = FastDivisor<uint64_t>(static_cast<uint64_t>(of.extents[1]));
  plan.width = FastDivisor<uint64_t>(static_cast<uint64_t>(of.extents[2]));
  plan.mostTaps = 1;
  int64_t windows = 0, containing = 0;
  for (int axis = 0; axis < 3; ++axis) {
    AxisRule& rule = plan.axes[axis];
    rule = ruleOf(call, axis, in.extents[axis], out.extents[axis]);
    rule.windows = windows;
    rule.containing = containing;
    windows += rule.out;
    containing += rule.in;
    plan.mostTaps *= rule.kernel < rule.in ? rule.kernel : rule.in;
  }
  return plan;
}

constexpr int64_t kManyTaps = 24;  // from which on a warp sums a window

template <typename T, bool kAdjoint>
Status apply(const OpCall& call) {
  const TensorView& result = call.outputs[0];
  if (result.size == 0) return Status::ok;
  DeviceScratch room;
  TensorView given;
  Status status = makeContiguous(call.inputs[0], room, &given);
  if (status != Status::ok) return status;
  const LinearPlan plan = kAdjoint ? planOf(call, result, given, result) : planOf(call, given, result, result);
  const AxisRule& last = plan.axes[2];
  const DeviceScratch windows(static_cast<size_t>(last.windows + last.out) * sizeof(Entry<T>));
  const DeviceScratch containing(
      kAdjoint ? static_cast<size_t>(last.containing + last.in) * sizeof(Containing) : 1);
  if (!windows || !containing) return fail(Status::outOfMemory, "pooling: no scratch memory");
  int64_t most = 1;
  for (const AxisRule& rule : plan.axes) {
    most = rule.out > most ? rule.out : most;
    if (kAdjoint && rule.in > most) most = rule.in;
  }
  const dim3 block(kBlockThreads);
  status = launch(writeWindows<T>, dim3(gridFor(most, kBlockThreads)), block, 0, plan,
                  windows.as<Entry<T>>(), kAdjoint ? containing.as<Containing>() : nullptr);
  if (status != Status::ok) return status;
  const T* const from = static_cast<const T*>(given.data);
  T* const to = static_cast<T*>(result.data);
  if constexpr (kAdjoint) {
    return launch(gatherWindows<T>, dim3(gridFor(result.size, kBlockThreads)), block, 0, plan,
                  windows.as<Entry<T>>(), containing.as<Containing>(), from, to);
  } else if (plan.mostTaps >= kManyTaps) {
    return launch(mapWindows<T, 32>, dim3(gridFor(result.size, kBlockThreads / 32)), block, 0, plan,
                  windows.as<Entry<T>>(), from, to);
  } else {
    return launch(mapWindows<T, 1>, dim3(gridFor(result.size, kBlockThreads)), block, 0, plan,
                  windows.as<Entry<T>>(), from, to);
  }
}

template <bool kAdjoint>
Status byFloat(const OpCall& call) {
  return call.inputs[0].dtype == DType::float64 ? apply<double, kAdjoint>(call)
                                                : apply<float, kAdjoint>(call);
}

}  // namespace

void registerLinearPooling(Kernel* kernels) {
  for (const Op op : {Op::avgPool, Op::adaptiveAvgPool, Op::resample}) {
    kernels[static_cast<int>(op)] = byFloat<false>;
  }
  for (const Op op : {Op::avgPoolBackward, Op::adaptiveAvgPoolBackward, Op::resampleBackward}) {
    kernels[static_cast<int>(op)] = byFloat<true>;
  }
}

}  // namespace cuda
}  // namespace kindling
