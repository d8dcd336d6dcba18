// Running sums, products and linear recurrences along one axis. Where the axis is the innermost one
// a warp or a block goes along a line, tile by tile (rows); else each thread follows a line of its
// own beside its neighbours' (columns). Few long lines are cut into chunks: their totals first,
// then what comes before each chunk, then the results.

#include "cuda/copies.h"
#include "cuda/indexing.cuh"
#include "cuda/kernel_table.h"
#include "cuda/reducers.cuh"

namespace kindling {
namespace cuda {

// --- What is scanned ---

template <typename N>
__device__ __forceinline__ N shuffleUp(N value, int offset) {
  if constexpr (sizeof(N) == 8 && std::is_integral<N>::value) {
    return static_cast<N>(
        __shfl_up_sync(0xffffffffu, static_cast<unsigned long long>(value), offset));
  } else {
    return __shfl_up_sync(0xffffffffu, value, offset);
  }
}

/// A running float sum gains an error with every step: kept in double. Integers wrap.
template <typename N>
struct Wide {
  using Type = N;
};
template <>
struct Wide<float> {
  using Type = double;
};
template <>
struct Wide<int32_t> {
  using Type = uint32_t;
};
template <>
struct Wide<int64_t> {
  using Type = uint64_t;
};

template <typename N, bool kProduct>
struct Running {
  using T = N;
  using State = typename Wide<N>::Type;
  static constexpr int inputs = 1;
  static __device__ __forceinline__ State identity() { return kProduct ? 1 : 0; }
  static __device__ __forceinline__ State lift(T x, T) { return static_cast<State>(x); }
  /// The state after `state` and one more element.
  static __device__ __forceinline__ State next(State state, T x, T) {
    return merge(state, static_cast<State>(x));
  }
  static __device__ __forceinline__ State merge(State before, State after) {
    return kProduct ? before * after : before + after;
  }
  static __device__ __forceinline__ T result(State state) { return static_cast<T>(state); }
  static __device__ __forceinline__ State up(State state, int offset) {
    return shuffleUp(state, offset);
  }
};

/// A run of r = b + a r: as a whole it is affine too.
template <typename N>
struct Affine {
  N factor, term;
};

template <typename N>
struct Recurrence {
  using T = N;
  using State = Affine<N>;
  static constexpr int inputs = 2;
  static __device__ __forceinline__ State identity() { return {N(1), N(0)}; }
  static __device__ __forceinline__ State lift(T a, T b) { return {a, b}; }
  static __device__ __forceinline__ State next(State state, T a, T b) {
    return {state.factor * a, b + a * state.term};
  }
  static __device__ __forceinline__ State merge(State before, State after) {
    // The product of many factors may overflow where the recurrence, from 0, does not.
    const N carried = before.term == N(0) ? N(0) : after.factor * before.term;
    return {before.factor * after.factor, after.term + carried};
  }
  static __device__ __forceinline__ T result(State state) { return state.term; }
  static __device__ __forceinline__ State up(State state, int offset) {
    return {shuffleUp(state.factor, offset), shuffleUp(state.term, offset)};
  }
};

// --- Kernels ---

struct ScanPlan {
  StridedPlan<3, uint64_t> lines;  // output, then inputs, without the axis
  int64_t start[3], step[3];       // along the axis, in its direction
  uint64_t count, extent;          // lines, elements of each
  uint64_t chunk, chunks;          // elements of a chunk, chunks of a line
  uint32_t group;                  // rows: threads that share a line, 32 or the block
};

/// What a pass does with its chunks.
template <class S>
struct ScanPass {
  const typename S::T* inputs[2];
  typename S::T* out;               // nullptr where totals are wanted
  typename S::State* totals;        // of every chunk
  const typename S::State* before;  // what comes before every chunk; nullptr for nothing
};

/// The states of a group's threads: merged up to each thread (returned), and of all.
template <class S>
__device__ __forceinline__ typename S::State scanGroup(typename S::State state, uint32_t group,
                                                       typename S::State* before,
                                                       typename S::State* all) {
  constexpr int kWarps = kBlockThreads / 32;
  using State = typename S::State;
  GPU_SHARED(State, lasts, [kWarps]);
  GPU_SHARED(State, firsts, [kWarps + 1]);
  const uint32_t lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  for (int offset = 1; offset < 32; offset *= 2) {
    const State other = S::up(state, offset);
    if (static_cast<int>(lane) >= offset) state = S::merge(other, state);
  }
  State exclusive = S::up(state, 1);
  if (lane == 0) exclusive = S::identity();
  if (lane == 31) lasts[warp] = state;
  if (group == 32) {
    __syncwarp();
    *all = lasts[warp];
    __syncwarp();
    *before = exclusive;
    return state;
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    firsts[0] = S::identity();
    for (int i = 0; i < kWarps; ++i) firsts[i + 1] = S::merge(firsts[i], lasts[i]);
  }
  __syncthreads();
  *before = S::merge(firsts[warp], exclusive);
  *all = firsts[kWarps];
  const State result = S::merge(firsts[warp], state);
  __syncthreads();
  return result;
}

template <class S>
__global__ void __launch_bounds__(kBlockThreads) scanRowsKernel(ScanPlan plan, ScanPass<S> pass) {
  using State = typename S::State;
  using T = typename S::T;
  const uint32_t groups = kBlockThreads / plan.group, lane = threadIdx.x % plan.group;
  const uint64_t items = plan.count * plan.chunks;
  // Threads of a block go on together: they meet in scanGroup.
  for (uint64_t base = static_cast<uint64_t>(blockIdx.x) * groups; base < items;
       base += static_cast<uint64_t>(gridDim.x) * groups) {
    const uint64_t item = base + threadIdx.x / plan.group;
    const bool active = item < items;
    const uint64_t line = active ? item / plan.chunks : 0;
    const uint64_t first = active ? (item - line * plan.chunks) * plan.chunk : 0;
    const uint64_t last = first + plan.chunk < plan.extent ? first + plan.chunk : plan.extent;
    int64_t at[3];
    plan.lines.offsets(line, at);
    State carry = active && pass.before ? pass.before[item] : S::identity();
    for (uint64_t tile = 0; tile < plan.chunk; tile += plan.group * kLanes) {
      const uint64_t i = first + tile + lane * kLanes;
      T a[kLanes], b[kLanes];
      State local = S::identity();
#pragma unroll
      for (int k = 0; k < kLanes; ++k) {
        const int64_t position = static_cast<int64_t>(i) + k;
        a[k] = b[k] = T(0);
        if (!active || static_cast<uint64_t>(position) >= last) continue;
        a[k] = pass.inputs[0][at[1] + plan.start[1] + position * plan.step[1]];
        if (S::inputs == 2) b[k] = pass.inputs[1][at[2] + plan.start[2] + position * plan.step[2]];
        local = k == 0 ? S::lift(a[k], b[k]) : S::next(local, a[k], b[k]);
      }
      State before, all;
      scanGroup<S>(local, plan.group, &before, &all);
      State state = S::merge(carry, before);
      if (pass.out) {
#pragma unroll
        for (int k = 0; k < kLanes; ++k) {
          const int64_t position = static_cast<int64_t>(i) + k;
          if (!active || static_cast<uint64_t>(position) >= last) continue;
          state = S::next(state, a[k], b[k]);
          pass.out[at[0] + plan.start[0] + position * plan.step[0]] = S::result(state);
        }
      }
      carry = S::merge(carry, all);
    }
    if (active && lane == 0 && !pass.out) pass.totals[item] = carry;
  }
}

template <class S>
__global__ void __launch_bounds__(kBlockThreads)
    scanColumnsKernel(ScanPlan plan, ScanPass<S> pass) {
  using T = typename S::T;
  const uint64_t items = plan.count * plan.chunks;
  for (uint64_t item = static_cast<uint64_t>(firstOfThread()); item < items;
       item += static_cast<uint64_t>(strideOfGrid())) {
    // Neighbours take neighbouring lines.
    const uint64_t chunk = item / plan.count, line = item - chunk * plan.count;
    const uint64_t place = line * plan.chunks + chunk;
    const uint64_t first = chunk * plan.chunk;
    const uint64_t last = first + plan.chunk < plan.extent ? first + plan.chunk : plan.extent;
    int64_t at[3];
    plan.lines.offsets(line, at);
    typename S::State state = pass.before ? pass.before[place] : S::identity();
#pragma unroll 4
    for (uint64_t i = first; i < last; ++i) {
      const int64_t position = static_cast<int64_t>(i);
      const T a = pass.inputs[0][at[1] + plan.start[1] + position * plan.step[1]];
      T b = T(0);
      if (S::inputs == 2) b = pass.inputs[1][at[2] + plan.start[2] + position * plan.step[2]];
      state = S::next(state, a, b);
      if (pass.out) pass.out[at[0] + plan.start[0] + position * plan.step[0]] = S::result(state);
    }
    if (!pass.out) pass.totals[place] = state;
  }
}

/// Turns the totals of a line's chunks into what comes before each, a warp for every line.
template <class S>
__global__ void __launch_bounds__(kBlockThreads)
    scanTotalsKernel(typename S::State* totals, uint64_t lines, uint64_t chunks) {
  using State = typename S::State;
  constexpr uint32_t kWarps = kBlockThreads / 32;
  const uint32_t lane = threadIdx.x % 32;
  for (uint64_t line = static_cast<uint64_t>(blockIdx.x) * kWarps + threadIdx.x / 32; line < lines;
       line += static_cast<uint64_t>(gridDim.x) * kWarps) {
    State carry = S::identity();
    for (uint64_t first = 0; first < chunks; first += 32) {
      const bool exists = first + lane < chunks;
      State* const place = totals + line * chunks + first + lane;
      State before, all;
      scanGroup<S>(exists ? *place : S::identity(), 32, &before, &all);
      if (exists) *place = S::merge(carry, before);
      carry = S::merge(carry, all);
    }
  }
}

// --- Ops ---

namespace {

constexpr int64_t kEnoughThreads = int64_t{1} << 16;  // that keep a large device busy

/// The lines of a call, and how they are cut.
ScanPlan planScan(const OpCall& call, int inputs, bool* byRows) {
  const TensorView& out = call.outputs[0];
  const TensorView* const views[3] = {&out, &call.inputs[0], &call.inputs[inputs - 1]};
  const int axis = call.ints[0];
  const bool isReverse = call.ints[1] != 0;
  ScanPlan plan;
  LoopAxes<3> lines;
  const int64_t extent = out.rank > 0 ? out.shape[axis] : 1;
  for (int i = 0; i < out.rank; ++i) {
    if (i == axis) continue;
    lines.add(out.shape[i], {views[0]->strides[i], views[1]->strides[i], views[2]->strides[i]});
  }
  for (int k = 0; k < 3; ++k) {
    const int64_t stride = out.rank > 0 ? views[k]->strides[axis] : 0;
    plan.start[k] = isReverse ? (extent - 1) * stride : 0;
    plan.step[k] = isReverse ? -stride : stride;
  }
  plan.lines = StridedPlan<3, uint64_t>(lines);
  plan.count = static_cast<uint64_t>(lines.size);
  plan.extent = static_cast<uint64_t>(extent);
  *byRows = out.rank == 0 || out.strides[axis] == 1 || lines.size < 32;
  plan.group = extent > 512 ? kBlockThreads : 32;
  const int64_t tile = *byRows ? int64_t{kBlockThreads} * kLanes : 32;
  const int64_t threads = *byRows ? lines.size * plan.group : lines.size;
  int64_t chunks = kEnoughThreads / threads;
  if (chunks > extent / (4 * tile)) chunks = extent / (4 * tile);
  if (chunks < 2) chunks = 1;
  const int64_t chunk = ceilDivide(ceilDivide(extent, chunks), tile) * tile;
  plan.chunk = static_cast<uint64_t>(chunks == 1 ? extent : chunk);
  plan.chunks = static_cast<uint64_t>(ceilDivide(extent, static_cast<int64_t>(plan.chunk)));
  return plan;
}

template <class S>
Status scan(const OpCall& call) {
  if (call.outputs[0].size == 0) return Status::ok;
  bool byRows;
  const ScanPlan plan = planScan(call, S::inputs, &byRows);
  using T = typename S::T;
  ScanPass<S> pass = {};
  pass.inputs[0] = static_cast<const T*>(call.inputs[0].data);
  pass.inputs[1] = static_cast<const T*>(call.inputs[S::inputs - 1].data);
  const auto kernel = byRows ? scanRowsKernel<S> : scanColumnsKernel<S>;
  const int64_t threads =
      static_cast<int64_t>(plan.count * plan.chunks) * (byRows ? plan.group : 1);
  const dim3 grid = gridFor(threads, kBlockThreads);
  T* const out = static_cast<T*>(call.outputs[0].data);
  DeviceScratch scratch;
  if (plan.chunks > 1) {
    scratch = DeviceScratch(plan.count * plan.chunks * sizeof(typename S::State));
    if (!scratch) return fail(Status::outOfMemory, "scan: no scratch memory");
    pass.totals = scratch.as<typename S::State>();
    Status status = launch(kernel, grid, dim3(kBlockThreads), 0, plan, pass);
    if (status != Status::ok) return status;
    status =
        launch(scanTotalsKernel<S>, gridFor(static_cast<int64_t>(plan.count), kBlockThreads / 32),
               dim3(kBlockThreads), 0, pass.totals, plan.count, plan.chunks);
    if (status != Status::ok) return status;
    pass.before = pass.totals;
  }
  pass.out = out;
  return launch(kernel, grid, dim3(kBlockThreads), 0, plan, pass);
}

template <bool kProduct>
Status cumulative(const OpCall& call) {
  switch (call.inputs[0].dtype) {
    case DType::float32:
      return scan<Running<float, kProduct>>(call);
    case DType::float64:
      return scan<Running<double, kProduct>>(call);
    case DType::int32:
      return scan<Running<int32_t, kProduct>>(call);
    case DType::int64:
      return scan<Running<int64_t, kProduct>>(call);
    default:
      return fail(Status::badDtype, "no kernel for this dtype");
  }
}

Status linearScan(const OpCall& call) {
  return call.inputs[0].dtype == DType::float32 ? scan<Recurrence<float>>(call)
                                                : scan<Recurrence<double>>(call);
}

}  // namespace

void registerScan(Kernel* kernels) {
  kernels[static_cast<int>(Op::cumsum)] = cumulative<false>;
  kernels[static_cast<int>(Op::cumprod)] = cumulative<true>;
  kernels[static_cast<int>(Op::linearScan)] = linearScan;
}

}  // namespace cuda
}  // namespace kindling
