// Reductions over any axes. Where the innermost run of memory is reduced, or nothing is contiguous,
// a group of threads goes along it (rows); where it is kept, threads stand side by side across it
// (columns). Few outputs of many elements are cut into chunks, whose states a second launch merges.
// The cuts depend on shapes only, so that results are the same from run to run and on every device.

#include "cuda/copies.h"
#include "cuda/indexing.cuh"
#include "cuda/kernel_table.h"
#include "cuda/reducers.cuh"

namespace kindling {
namespace cuda {

using WidePlan = StridedPlan<1, uint64_t>;

__device__ __forceinline__ int64_t offsetIn(const WidePlan& plan, uint64_t position) {
  int64_t at[1];
  plan.offsets(position, at);
  return at[0];
}

struct ReducePlan {
  WidePlan kept, reduced;
  uint64_t outputs = 1, count = 1;  // outputs, and elements of each
  uint64_t chunk = 1, chunks = 1;   // elements of a chunk, chunks of an output
  uint32_t group = 1;               // threads that share a row: 1 to 32, or the block
  bool vectorized = false;          // rows: along the reduced axis; columns: along the kept one
  bool isMean = false;
};

/// Where the result of an item, which is a chunk of an output, goes.
template <class R>
__device__ __forceinline__ void storeState(const ReducePlan& plan, uint64_t item,
                                           const typename R::State& state,
                                           typename R::State* partial, typename R::Out* out) {
  if (partial) {
    partial[item] = state;
  } else {
    out[item] = R::result(state, plan.isMean, static_cast<int64_t>(plan.count));
  }
}

/// Elements [begin, end) of a row, every group-th vector or element from the lane's on.
template <class R>
__device__ __forceinline__ typename R::State reduceSpan(const ReducePlan& plan,
                                                        const typename R::T* x, uint64_t begin,
                                                        uint64_t end, uint32_t lane) {
  const bool isLine = plan.reduced.rank <= 1;
  typename R::State states[kLanes];
#pragma unroll
  for (int i = 0; i < kLanes; ++i) states[i] = R::first();
  const auto addFour = [&](uint64_t r, int64_t at) {
    typename R::T value[kLanes];
    loadFour(x + at, value);
#pragma unroll
    for (int i = 0; i < kLanes; ++i) R::add(states[i], value[i], static_cast<int64_t>(r) + i);
  };
  if (plan.vectorized && isLine) {
#pragma unroll 4
    for (uint64_t r = begin + lane * kLanes; r < end; r += plan.group * kLanes) {
      addFour(r, static_cast<int64_t>(r));
    }
  } else if (plan.vectorized) {
#pragma unroll 1
    for (uint64_t r = begin + lane * kLanes; r < end; r += plan.group * kLanes) {
      addFour(r, offsetIn(plan.reduced, r));
    }
  } else {
    const int64_t stride = plan.reduced.rank > 0 ? plan.reduced.strides[0][0] : 0;
#pragma unroll 1
    for (uint64_t r = begin + lane; r < end; r += plan.group) {
      const int64_t at = isLine ? static_cast<int64_t>(r) * stride : offsetIn(plan.reduced, r);
      R::add(states[0], x[at], static_cast<int64_t>(r));
    }
  }
  return R::merge(R::merge(states[0], states[1]), R::merge(states[2], states[3]));
}

/// The states of a group, or of the block, merged; the result is whole in the group's first thread.
template <class R>
__device__ __forceinline__ typename R::State mergeGroup(typename R::State state, uint32_t group) {
  constexpr int kWarps = kBlockThreads / 32;
  GPU_SHARED(typename R::State, warps, [kWarps]);
  for (int offset = static_cast<int>(group < 32 ? group : 32) / 2; offset > 0; offset /= 2) {
    state = R::merge(state, R::exchange(state, offset));
  }
  if (group <= 32) return state;
  if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = state;
  __syncthreads();
  if (threadIdx.x < 32) {
    state = threadIdx.x < kWarps ? warps[threadIdx.x] : R::first();
    for (int offset = kWarps / 2; offset > 0; offset /= 2) {
      state = R::merge(state, R::exchange(state, offset));
    }
  }
  __syncthreads();
  return state;
}

template <class R>
__global__ void __launch_bounds__(kBlockThreads)
    reduceRowsKernel(ReducePlan plan, const typename R::T* x, typename R::State* partial,
                     typename R::Out* out) {
  const uint64_t items = plan.outputs * plan.chunks;
  const uint32_t groups = kBlockThreads / plan.group;
  const uint32_t lane = threadIdx.x % plan.group;
  // All threads of a block go on together: they meet in mergeGroup.
  for (uint64_t base = static_cast<uint64_t>(blockIdx.x) * groups; base < items;
       base += static_cast<uint64_t>(gridDim.x) * groups) {
    const uint64_t item = base + threadIdx.x / plan.group;
    typename R::State state = R::first();
    if (item < items) {
      const uint64_t output = plan.chunks == 1 ? item : item / plan.chunks;
      const uint64_t begin = (item - output * plan.chunks) * plan.chunk;
      const uint64_t end = begin + plan.chunk < plan.count ? begin + plan.chunk : plan.count;
      state = reduceSpan<R>(plan, x + offsetIn(plan.kept, output), begin, end, lane);
    }
    state = mergeGroup<R>(state, plan.group);
    if (item < items && lane == 0) storeState<R>(plan, item, state, partial, out);
  }
}

constexpr uint32_t kColumnThreads = 32, kRowThreads = kBlockThreads / kColumnThreads;

template <class R>
__device__ __forceinline__ void addColumns(const typename R::T* from,
                                           typename R::State (&states)[kLanes]) {
  typename R::T value[kLanes];
  loadFour(from, value);
#pragma unroll
  for (int i = 0; i < kLanes; ++i) R::add(states[i], value[i], 0);
}

template <class R>
__global__ void __launch_bounds__(kBlockThreads)
    reduceColumnsKernel(ReducePlan plan, const typename R::T* x, typename R::State* partial,
                        typename R::Out* out) {
  GPU_SHARED(typename R::State, tile, [kRowThreads][kColumnThreads * kLanes]);
  const uint32_t column = threadIdx.x % kColumnThreads, row = threadIdx.x / kColumnThreads;
  const uint32_t lanes = plan.vectorized ? kLanes : 1, width = kColumnThreads * lanes;
  const uint64_t tiles = (plan.outputs + width - 1) / width;
  const bool isLine = plan.reduced.rank <= 1;
  const int64_t stride = plan.reduced.rank > 0 ? plan.reduced.strides[0][0] : 0;
  for (uint64_t item = blockIdx.x; item < tiles * plan.chunks; item += gridDim.x) {
    const uint64_t chunk = item / tiles, first = (item - chunk * tiles) * width;
    const uint64_t begin = chunk * plan.chunk;
    const uint64_t end = begin + plan.chunk < plan.count ? begin + plan.chunk : plan.count;
    const uint64_t output = first + column * lanes;
    typename R::State states[kLanes];
#pragma unroll
    for (int i = 0; i < kLanes; ++i) states[i] = R::first();
    if (output < plan.outputs) {
      const typename R::T* const from = x + offsetIn(plan.kept, output);
      if (plan.vectorized && isLine) {
#pragma unroll 4
        for (uint64_t r = begin + row; r < end; r += kRowThreads) {
          addColumns<R>(from + static_cast<int64_t>(r) * stride, states);
        }
      } else {
#pragma unroll 1
        for (uint64_t r = begin + row; r < end; r += kRowThreads) {
          const int64_t at = isLine ? static_cast<int64_t>(r) * stride : offsetIn(plan.reduced, r);
          if (plan.vectorized) {
            addColumns<R>(from + at, states);
          } else {
            R::add(states[0], from[at], 0);
          }
        }
      }
    }
#pragma unroll
    for (uint32_t i = 0; i < kLanes; ++i) {
      if (i < lanes) tile[row][column * lanes + i] = states[i];
    }
    __syncthreads();
    if (threadIdx.x < width && first + threadIdx.x < plan.outputs) {
      typename R::State state = tile[0][threadIdx.x];
      for (uint32_t i = 1; i < kRowThreads; ++i) state = R::merge(state, tile[i][threadIdx.x]);
      storeState<R>(plan, (first + threadIdx.x) * plan.chunks + chunk, state, partial, out);
    }
    __syncthreads();
  }
}

/// The chunks of each output, a warp for each.
template <class R>
__global__ void __launch_bounds__(kBlockThreads)
    mergeChunksKernel(ReducePlan plan, const typename R::State* partial, typename R::Out* out) {
  constexpr uint32_t kWarps = kBlockThreads / 32;
  const uint32_t lane = threadIdx.x % 32;
  for (uint64_t output = static_cast<uint64_t>(blockIdx.x) * kWarps + threadIdx.x / 32;
       output < plan.outputs; output += static_cast<uint64_t>(gridDim.x) * kWarps) {
    typename R::State state = R::first();
    for (uint64_t i = lane; i < plan.chunks; i += 32) {
      state = R::merge(state, partial[output * plan.chunks + i]);
    }
    state = mergeGroup<R>(state, 32);
    if (lane == 0) out[output] = R::result(state, plan.isMean, static_cast<int64_t>(plan.count));
  }
}

namespace {

/// The axes of a reduction, sorted by kind.
struct Box {
  LoopAxes<1> kept, reduced;
  int64_t start = 0;
};

/// Where the order of the reduced axes does not matter, nor the direction in which they are walked,
/// they are sorted by stride so that as many as possible merge.
Box makeBox(const TensorView& view, uint32_t mask, bool inOrder) {
  Box box;
  int64_t shape[kMaxRank], strides[kMaxRank];
  int rank = 0;
  for (int axis = 0; axis < view.rank; ++axis) {
    const int64_t extent = view.shape[axis];
    int64_t stride = view.strides[axis];
    if (!(mask >> axis & 1)) {
      box.kept.add(extent, {stride});
      continue;
    }
    int at = rank++;
    if (!inOrder) {
      if (stride < 0) {
        box.start += stride * (extent - 1);
        stride = -stride;
      }
      // Repeated axes (stride 0) go first.
      for (; at > 0 && strides[at - 1] != 0 && (stride == 0 || strides[at - 1] < stride); --at) {
        shape[at] = shape[at - 1];
        strides[at] = strides[at - 1];
      }
    }
    shape[at] = extent;
    strides[at] = stride;
  }
  for (int axis = 0; axis < rank; ++axis) box.reduced.add(shape[axis], {strides[axis]});
  return box;
}

/// Whether the innermost axis of `along` can be read in fours, wherever `other` and the outer axes
/// of `along` point.
template <typename T>
bool readsInFours(const LoopAxes<1>& along, const LoopAxes<1>& other, const T* x) {
  if (along.rank == 0 || along.innerStride(0) != 1 || along.inner() % kLanes != 0) return false;
  bool fits = isAlignedForFour<T>(x);
  for (int axis = 0; axis + 1 < along.rank; ++axis)
    fits = fits && along.strides[0][axis] % kLanes == 0;
  for (int axis = 0; axis < other.rank; ++axis) fits = fits && other.strides[0][axis] % kLanes == 0;
  return fits;
}

// Blocks that keep a large device busy, and elements that are worth a block.
constexpr int64_t kEnoughBlocks = 1024, kLeastChunk = 4096;

/// Cuts `count` elements of an output so that there are enough items of work.
void cut(ReducePlan* plan, int64_t blocks, int64_t leastChunk) {
  const int64_t count = static_cast<int64_t>(plan->count);
  int64_t chunks = kEnoughBlocks / (blocks > 0 ? blocks : 1);
  if (chunks > count / leastChunk) chunks = count / leastChunk;
  if (chunks < 2) chunks = 1;
  const int64_t chunk = ceilDivide(ceilDivide(count, chunks), kLanes) * kLanes;
  plan->chunk = static_cast<uint64_t>(chunk > 0 ? chunk : 1);
  plan->chunks = static_cast<uint64_t>(count > 0 ? ceilDivide(count, chunk) : 1);
}

void planRows(ReducePlan* plan) {
  const int64_t outputs = static_cast<int64_t>(plan->outputs);
  const int64_t count = static_cast<int64_t>(plan->count);
  plan->group = 1;
  while (plan->group < 32 && plan->group * 2 * kLanes < count) plan->group *= 2;
  const int64_t warps = ceilDivide(outputs * plan->group, kBlockThreads);
  if (count > 1024 && warps < kEnoughBlocks) plan->group = kBlockThreads;
  cut(plan, ceilDivide(outputs * plan->group, kBlockThreads), kLeastChunk);
}

template <class R>
Status reduceBox(const OpCall& call, const Box& box, bool isMean) {
  using T = typename R::T;
  using State = typename R::State;
  const T* const x = static_cast<const T*>(call.inputs[0].data) + box.start;
  auto* const out = static_cast<typename R::Out*>(call.outputs[0].data);
  ReducePlan plan;
  plan.kept = WidePlan(box.kept);
  plan.reduced = WidePlan(box.reduced);
  plan.outputs = static_cast<uint64_t>(call.outputs[0].size);
  plan.count = static_cast<uint64_t>(box.reduced.size);
  plan.isMean = isMean;
  // Positions are compared in order, which columns do not keep.
  const bool byColumns = !R::hasPosition && box.kept.innerStride(0) == 1 &&
                         box.kept.inner() >= kColumnThreads / 2 && box.reduced.rank > 0 &&
                         box.reduced.innerStride(0) != 1;
  int64_t blocks;
  if (byColumns) {
    plan.vectorized = readsInFours(box.kept, box.reduced, x);
    const int64_t width = kColumnThreads * (plan.vectorized ? kLanes : 1);
    const int64_t tiles = ceilDivide(call.outputs[0].size, width);
    cut(&plan, tiles, kRowThreads * 16);
    blocks = tiles * static_cast<int64_t>(plan.chunks);
  } else {
    plan.vectorized = readsInFours(box.reduced, box.kept, x);
    planRows(&plan);
    blocks =
        ceilDivide(static_cast<int64_t>(plan.outputs * plan.chunks) * plan.group, kBlockThreads);
  }
  DeviceScratch scratch;
  State* partial = nullptr;
  if (plan.chunks > 1) {
    scratch = DeviceScratch(plan.outputs * plan.chunks * sizeof(State));
    if (!scratch) return fail(Status::outOfMemory, "reduce: no scratch memory");
    partial = scratch.as<State>();
  }
  auto kernel = reduceRowsKernel<R>;
  if constexpr (!R::hasPosition) {
    if (byColumns) kernel = reduceColumnsKernel<R>;
  }
  const Status status =
      launch(kernel, gridFor(blocks, 1), dim3(kBlockThreads), 0, plan, x, partial, out);
  if (status != Status::ok || !partial) return status;
  return launch(mergeChunksKernel<R>, gridFor(call.outputs[0].size, kBlockThreads / 32),
                dim3(kBlockThreads), 0, plan, static_cast<const State*>(partial), out);
}

template <class R>
Status reduce(const OpCall& call) {
  if (call.outputs[0].size == 0) return Status::ok;
  const TensorView& x = call.inputs[0];
  const uint32_t mask = R::hasPosition && call.ints[0] < 0 ? (1u << x.rank) - 1
                        : R::hasPosition                   ? 1u << call.ints[0]
                                                           : static_cast<uint32_t>(call.ints[0]);
  return reduceBox<R>(call, makeBox(x, mask, R::hasPosition), call.op == Op::mean);
}

Status noKernel() { return fail(Status::badDtype, "no kernel for this dtype"); }

template <template <typename> class R>
Status total(const OpCall& call) {
  switch (call.inputs[0].dtype) {
    case DType::float32:
      return reduce<R<float>>(call);
    case DType::int32:
      return reduce<R<int32_t>>(call);
    case DType::float64:
      return reduce<R<double>>(call);
    case DType::int64:
      return reduce<R<int64_t>>(call);
    default:
      return noKernel();
  }
}

template <template <typename> class R>
Status extreme(const OpCall& call) {
  switch (call.inputs[0].dtype) {
    case DType::uint8:
    case DType::boolean:
      return reduce<R<uint8_t>>(call);
    default:
      return total<R>(call);
  }
}

Status min(const OpCall& call) {
  return call.inputs[0].dtype == DType::boolean ? reduce<AllOf>(call) : extreme<MinOf>(call);
}

template <typename T>
using ArgMax = ArgReducer<T, true>;
template <typename T>
using ArgMin = ArgReducer<T, false>;

}  // namespace

void registerReductions(Kernel* kernels) {
  kernels[static_cast<int>(Op::sum)] = total<SumOf>;
  kernels[static_cast<int>(Op::mean)] = total<SumOf>;
  kernels[static_cast<int>(Op::prod)] = total<ProductOf>;
  kernels[static_cast<int>(Op::max)] = extreme<MaxOf>;
  kernels[static_cast<int>(Op::min)] = min;
  kernels[static_cast<int>(Op::argmax)] = extreme<ArgMax>;
  kernels[static_cast<int>(Op::argmin)] = extreme<ArgMin>;
}

}  // namespace cuda
}  // namespace kindling
