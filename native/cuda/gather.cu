// Elements by position along one axis: gather, scatter and the positions of true elements. The
// lines of a scatter along its axis never meet, so that with many lines each has a thread, which
// writes in the order of the index. With few, the last entry for each place is found first; sums
// use atomics, or in deterministic mode the entries sorted by their places.

#include "cuda/copies.h"
#include "cuda/indexing.cuh"
#include "cuda/kernel_table.h"
#include "cuda/segments.cuh"
#include "cuda/unary_ops.cuh"
#include "cuda/wide.h"

namespace kindling {
namespace cuda {

/// What an index points along.
struct AxisPlan {
  int64_t extent, step;  // of the axis in the tensor that is pointed into
  Op op;
  IndexError* errors;
};

/// A position along the axis that is in range, or -1 after a report.
__device__ __forceinline__ int64_t checkedPosition(const AxisPlan& axis, int32_t position,
                                                   int64_t entry) {
  if (position >= 0 && position < axis.extent) return position;
  gpu::reportIndex(axis.errors, axis.op, position, axis.extent, entry);
  return -1;
}

/// to[i] = from[...][index[i]]: a thread has four loads under way.
template <typename W>
__global__ void __launch_bounds__(kBlockThreads)
    gatherKernel(StridedPlan<2, uint64_t> plan, AxisPlan axis, const W* from, const int32_t* index,
                 W* to) {
  const uint64_t n = plan.size, step = static_cast<uint64_t>(strideOfGrid()) * kLanes;
  uint64_t first = static_cast<uint64_t>(blockIdx.x) * blockDim.x * kLanes + threadIdx.x;
  for (; first < n; first += step) {
    int64_t source[kLanes];
    bool isGood[kLanes];
#pragma unroll
    for (int lane = 0; lane < kLanes; ++lane) {
      const uint64_t i = first + static_cast<uint64_t>(lane) * blockDim.x;
      isGood[lane] = false;
      if (i >= n) continue;
      int64_t at[2];
      plan.offsets(i, at);
      const int64_t position = checkedPosition(axis, index[at[1]], static_cast<int64_t>(i));
      isGood[lane] = position >= 0;
      source[lane] = at[0] + position * axis.step;
    }
    W value[kLanes];
#pragma unroll
    for (int lane = 0; lane < kLanes; ++lane) {
      value[lane] = isGood[lane] ? from[source[lane]] : W{};
    }
#pragma unroll
    for (int lane = 0; lane < kLanes; ++lane) {
      const uint64_t i = first + static_cast<uint64_t>(lane) * blockDim.x;
      if (i < n) to[i] = value[lane];
    }
  }
}

struct Replace {
  template <typename T>
  static __device__ __forceinline__ T join(T, T value) {
    return value;
  }
};
struct Accumulate {
  template <typename T>
  static __device__ __forceinline__ T join(T old, T value) {
    return wrappingAdd(old, value);
  }
};

/// Lines of a scatter: offsets in the output, the index and the source without the axis.
struct ScatterPlan {
  StridedPlan<3, uint64_t> lines;
  int64_t length, indexStep, sourceStep;  // entries of a line
  int64_t after;                          // elements of the index behind the axis
  AxisPlan axis;

  /// Where entry i of a line stands in the index.
  __device__ __forceinline__ int64_t entryOf(int64_t line, int64_t i) const {
    const int64_t before = line / after;
    return (before * length + i) * after + (line - before * after);
  }
};

/// A thread for every line, entries in their order.
template <typename T, class Join>
__global__ void __launch_bounds__(kBlockThreads)
    scatterLinesKernel(ScatterPlan plan, const int32_t* index, const T* source, T* out) {
  for (int64_t line = firstOfThread(); line < static_cast<int64_t>(plan.lines.size);
       line += strideOfGrid()) {
    int64_t at[3];
    plan.lines.offsets(static_cast<uint64_t>(line), at);
    for (int64_t i = 0; i < plan.length; ++i) {
      const int64_t position = checkedPosition(plan.axis, index[at[1] + i * plan.indexStep],
                                               plan.entryOf(line, i));
      if (position < 0) continue;
      T* const to = out + at[0] + position * plan.axis.step;
      *to = Join::join(*to, source[at[2] + i * plan.sourceStep]);
    }
  }
}

/// Entry n of all lines: its line's offsets and where it writes in the output, -1 for nowhere.
__device__ __forceinline__ int64_t placeOfEntry(const ScatterPlan& plan, const int32_t* index,
                                                int64_t entry, int64_t* source) {
  const int64_t line = entry / plan.length, i = entry - line * plan.length;
  int64_t at[3];
  plan.lines.offsets(static_cast<uint64_t>(line), at);
  *source = at[2] + i * plan.sourceStep;
  const int64_t position =
      checkedPosition(plan.axis, index[at[1] + i * plan.indexStep], plan.entryOf(line, i));
  return position < 0 ? -1 : at[0] + position * plan.axis.step;
}

/// winner[place] = the last entry that writes there.
__global__ void __launch_bounds__(kBlockThreads)
    findLastWriteKernel(ScatterPlan plan, int64_t entries, const int32_t* index, int32_t* winner) {
  for (int64_t i = firstOfThread(); i < entries; i += strideOfGrid()) {
    int64_t source;
    const int64_t place = placeOfEntry(plan, index, i, &source);
    if (place >= 0) atomicMax(&winner[place], static_cast<int32_t>(i));
  }
}

template <typename T>
__global__ void __launch_bounds__(kBlockThreads)
    writeLastKernel(ScatterPlan plan, int64_t entries, const int32_t* index, const T* source,
                    const int32_t* winner, T* out) {
  for (int64_t i = firstOfThread(); i < entries; i += strideOfGrid()) {
    int64_t from;
    const int64_t place = placeOfEntry(plan, index, i, &from);
    if (place >= 0 && winner[place] == static_cast<int32_t>(i)) out[place] = source[from];
  }
}

template <typename T>
__global__ void __launch_bounds__(kBlockThreads)
    addAtomicKernel(ScatterPlan plan, int64_t entries, const int32_t* index, const T* source,
                    T* out) {
  for (int64_t i = firstOfThread(); i < entries; i += strideOfGrid()) {
    int64_t from;
    const int64_t place = placeOfEntry(plan, index, i, &from);
    if (place >= 0) atomicSum(out + place, source[from]);
  }
}

/// The keys of sortWrites: the place of every entry, `extent` for none.
__global__ void __launch_bounds__(kBlockThreads)
    placesKernel(ScatterPlan plan, int64_t entries, int64_t extent, const int32_t* index,
                 uint32_t* keys, uint32_t* numbers) {
  for (int64_t i = firstOfThread(); i < entries; i += strideOfGrid()) {
    int64_t from;
    const int64_t place = placeOfEntry(plan, index, i, &from);
    keys[i] = static_cast<uint32_t>(place < 0 ? extent : place);
    numbers[i] = static_cast<uint32_t>(i);
  }
}

/// The thread of the first entry for a place adds all of them, in their order.
template <typename T>
__global__ void __launch_bounds__(kBlockThreads)
    addSortedKernel(ScatterPlan plan, int64_t entries, int64_t extent, const uint32_t* places,
                    const uint32_t* order, const int32_t* index, const T* source, T* out) {
  for (int64_t i = firstOfThread(); i < entries; i += strideOfGrid()) {
    const uint32_t place = places[i];
    if (place >= extent || (i > 0 && places[i - 1] == place)) continue;
    T sum = out[place];
    for (int64_t k = i; k < entries && places[k] == place; ++k) {
      int64_t from;
      placeOfEntry(plan, index, order[k], &from);
      sum = wrappingAdd(sum, source[from]);
    }
    out[place] = sum;
  }
}

// --- nonzero: tiles are counted, the counts summed, the positions written ---

constexpr int64_t kMaskTile = int64_t{kBlockThreads} * kLanes;

/// The number of true ones among four elements of this thread, and of all before it in the block.
__device__ __forceinline__ uint32_t countBefore(uint32_t count, uint32_t* all) {
  constexpr uint32_t kWarps = kBlockThreads / 32;
  GPU_SHARED(uint32_t, sums, [kWarps]);
  const uint32_t lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  uint32_t sum = count;
  for (int offset = 1; offset < 32; offset *= 2) {
    const uint32_t other = __shfl_up_sync(0xffffffffu, sum, offset);
    if (static_cast<int>(lane) >= offset) sum += other;
  }
  if (lane == 31) sums[warp] = sum;
  __syncthreads();
  uint32_t before = sum - count, total = 0;
  for (uint32_t w = 0; w < kWarps; ++w) {
    if (w < warp) before += sums[w];
    total += sums[w];
  }
  __syncthreads();
  *all = total;
  return before;
}

/// Without `starts` counts each tile's true elements; with it writes their positions.
__global__ void __launch_bounds__(kBlockThreads)
    maskTilesKernel(const uint8_t* mask, int64_t n, bool vectorized, uint32_t* counts,
                    const uint32_t* starts, int32_t* out, int64_t outSize) {
  const int64_t tiles = (n + kMaskTile - 1) / kMaskTile;
  for (int64_t tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
    const int64_t first = tile * kMaskTile + threadIdx.x * kLanes;
    uint8_t flags[kLanes] = {};
    if (first < n) {
      const int64_t left = n - first;
      loadLanes(mask, first, false, static_cast<uint32_t>(left < kLanes ? left : kLanes),
                vectorized, flags);
    }
    uint32_t count = 0;
#pragma unroll
    for (int lane = 0; lane < kLanes; ++lane) count += flags[lane] && first + lane < n ? 1 : 0;
    uint32_t all;
    int64_t place = countBefore(count, &all);
    if (!starts) {
      if (threadIdx.x == 0) counts[tile] = all;
      continue;
    }
    place += starts[tile];
#pragma unroll
    for (int lane = 0; lane < kLanes; ++lane) {
      if (!flags[lane] || first + lane >= n) continue;
      if (place < outSize) out[place] = static_cast<int32_t>(first + lane);
      ++place;
    }
  }
}

/// One block: counts become what stands before each tile; the sum must be the output's size.
__global__ void __launch_bounds__(kBlockThreads)
    sumMaskTilesKernel(uint32_t* counts, int64_t tiles, int64_t outSize, IndexError* errors) {
  uint32_t carry = 0;
  for (int64_t first = 0; first < tiles; first += kBlockThreads) {
    const int64_t i = first + threadIdx.x;
    const uint32_t count = i < tiles ? counts[i] : 0;
    uint32_t all;
    const uint32_t before = countBefore(count, &all);
    if (i < tiles) counts[i] = carry + before;
    carry += all;
  }
  if (threadIdx.x == 0 && carry != outSize) {
    gpu::reportIndex(errors, Op::nonzero, carry, outSize, 0, IndexKind::trueCount);
  }
}

// --- Ops ---

namespace {

// Lines from which a thread for each keeps a device busy, and entries that one may have.
constexpr int64_t kManyLines = 8192, kShortLine = 64;

AxisPlan axisOf(const OpCall& call, const TensorView& x, int axis) {
  return {x.rank > 0 ? x.shape[axis] : 1, x.rank > 0 ? x.strides[axis] : 0, call.op,
          gpu::errorSlot()};
}

Status gather(const OpCall& call) {
  const TensorView& x = call.inputs[0];
  const TensorView& index = call.inputs[1];
  const TensorView& out = call.outputs[0];
  if (out.size == 0) return Status::ok;
  const int axis = call.ints[0];
  LoopAxes<2> axes;
  for (int i = 0; i < out.rank; ++i) {
    axes.add(out.shape[i], {i == axis ? 0 : x.strides[i], index.strides[i]});
  }
  return byWidth(elementBytes(x.dtype), [&](auto element) {
    using W = decltype(element);
    if constexpr (sizeof(W) > 8) {
      return Status::unsupported;
    } else {
      return launch(gatherKernel<W>, gridFor(out.size, kBlockThreads * kLanes), dim3(kBlockThreads),
                    0, StridedPlan<2, uint64_t>(axes), axisOf(call, x, axis),
                    static_cast<const W*>(x.data), static_cast<const int32_t*>(index.data),
                    static_cast<W*>(out.data));
    }
  });
}

ScatterPlan planScatter(const OpCall& call) {
  const TensorView& index = call.inputs[1];
  const TensorView& source = call.inputs[2];
  const TensorView& out = call.outputs[0];
  const int axis = call.ints[0];
  LoopAxes<3> lines;
  for (int i = 0; i < index.rank; ++i) {
    if (i == axis) continue;
    lines.add(index.shape[i], {out.strides[i], index.strides[i], source.strides[i]});
  }
  ScatterPlan plan;
  plan.lines = StridedPlan<3, uint64_t>(lines);
  plan.length = index.rank > 0 ? index.shape[axis] : 1;
  plan.after = 1;
  for (int i = axis + 1; i < index.rank; ++i) plan.after *= index.shape[i];
  plan.indexStep = index.rank > 0 ? index.strides[axis] : 0;
  plan.sourceStep = index.rank > 0 ? source.strides[axis] : 0;
  plan.axis = axisOf(call, out, axis);
  return plan;
}

bool goesByLines(const ScatterPlan& plan) {
  return plan.length == 1 ||
         (static_cast<int64_t>(plan.lines.size) >= kManyLines && plan.length <= kShortLine);
}

Status checkSizes(const OpCall& call) {
  return call.inputs[1].size <= INT32_MAX
             ? Status::ok
             : fail(Status::unsupported, "scatter: an index of more than 2^31 - 1 elements");
}

template <typename T>
Status replaceElements(const OpCall& call) {
  const ScatterPlan plan = planScatter(call);
  const int64_t entries = call.inputs[1].size;
  const auto* const index = static_cast<const int32_t*>(call.inputs[1].data);
  const T* const source = static_cast<const T*>(call.inputs[2].data);
  T* const out = static_cast<T*>(call.outputs[0].data);
  if (goesByLines(plan)) {
    return launch(scatterLinesKernel<T, Replace>,
                  gridFor(static_cast<int64_t>(plan.lines.size), kBlockThreads),
                  dim3(kBlockThreads), 0, plan, index, source, out);
  }
  Status status = checkSizes(call);
  if (status != Status::ok) return status;
  const DeviceScratch scratch(static_cast<size_t>(call.outputs[0].size) * sizeof(int32_t));
  if (!scratch) return fail(Status::outOfMemory, "scatter: no scratch memory");
  int32_t* const winner = scratch.as<int32_t>();
  status = gpu::fillBytes(winner, 0xff, scratch.bytes());
  if (status != Status::ok) return status;
  const dim3 grid = gridFor(entries, kBlockThreads), block(kBlockThreads);
  status = launch(findLastWriteKernel, grid, block, 0, plan, entries, index, winner);
  if (status != Status::ok) return status;
  return launch(writeLastKernel<T>, grid, block, 0, plan, entries, index, source,
                static_cast<const int32_t*>(winner), out);
}

template <typename T>
Status addSorted(const OpCall& call, const ScatterPlan& plan, const T* source, T* out) {
  const int64_t entries = call.inputs[1].size, extent = call.outputs[0].size;
  Status status = checkSizes(call);
  if (status != Status::ok) return status;
  if (extent >= UINT32_MAX) {
    return fail(Status::unsupported, "scatter: a result of 2^32 - 1 elements or more");
  }
  const auto* const index = static_cast<const int32_t*>(call.inputs[1].data);
  SortedWrites writes;
  writes.memory = DeviceScratch(sortBytes<uint32_t>(1, entries));
  if (!writes.memory) return fail(Status::outOfMemory, "scatter: no scratch memory");
  const auto buffers = sortBuffers<uint32_t>(writes.memory.data(), 1, entries);
  const dim3 grid = gridFor(entries, kBlockThreads), block(kBlockThreads);
  status = launch(placesKernel, grid, block, 0, plan, entries, extent, index, buffers.keys[0],
                  buffers.positions[0]);
  if (status == Status::ok) status = sortWrites(entries, extent, &writes);
  if (status != Status::ok) return status;
  return launch(addSortedKernel<T>, grid, block, 0, plan, entries, extent, writes.places,
                writes.order, index, source, out);
}

template <typename T>
Status addElements(const OpCall& call) {
  const ScatterPlan plan = planScatter(call);
  const int64_t entries = call.inputs[1].size;
  const auto* const index = static_cast<const int32_t*>(call.inputs[1].data);
  const T* const source = static_cast<const T*>(call.inputs[2].data);
  T* const out = static_cast<T*>(call.outputs[0].data);
  if (goesByLines(plan)) {
    return launch(scatterLinesKernel<T, Accumulate>,
                  gridFor(static_cast<int64_t>(plan.lines.size), kBlockThreads),
                  dim3(kBlockThreads), 0, plan, index, source, out);
  }
  if constexpr (std::is_floating_point<T>::value) {
    if (gpu::deterministic()) return addSorted(call, plan, source, out);
  }
  return launch(addAtomicKernel<T>, gridFor(entries, kBlockThreads), dim3(kBlockThreads), 0, plan,
                entries, index, source, out);
}

/// A copy of x in which out[i][index[i][j]] = source[i][j], or += with ints[1].
Status scatter(const OpCall& call) {
  const TensorView& x = call.inputs[0];
  const Status status = copyView(call.outputs[0], x);
  if (status != Status::ok || call.inputs[1].size == 0) return status;
  if (!call.ints[1]) {
    return byWidth(elementBytes(x.dtype), [&](auto element) {
      if constexpr (sizeof(element) > 8) {
        return Status::unsupported;
      } else {
        return replaceElements<decltype(element)>(call);
      }
    });
  }
  switch (x.dtype) {
    case DType::float32:
      return addElements<float>(call);
    case DType::float64:
      return addElements<double>(call);
    case DType::int32:
      return addElements<int32_t>(call);
    case DType::int64:
      return addElements<int64_t>(call);
    default:
      return fail(Status::badDtype, "scatter: this dtype cannot be added");
  }
}

/// The positions, in the flattened input, of the elements that are true.
Status nonzero(const OpCall& call) {
  const TensorView& out = call.outputs[0];
  DeviceScratch dense;
  TensorView mask;
  Status status = makeContiguous(call.inputs[0], dense, &mask);
  if (status != Status::ok) return status;
  const int64_t tiles = ceilDivide(mask.size, kMaskTile);
  const DeviceScratch scratch(static_cast<size_t>(tiles + 1) * sizeof(uint32_t));
  if (!scratch) return fail(Status::outOfMemory, "nonzero: no scratch memory");
  uint32_t* const counts = scratch.as<uint32_t>();
  const auto* const flags = static_cast<const uint8_t*>(mask.data);
  auto* const positions = static_cast<int32_t*>(out.data);
  const bool vectorized = isAlignedForFour<uint8_t>(mask.data);
  const dim3 grid = gridFor(tiles, 1), block(kBlockThreads);
  const auto pass = [&](const uint32_t* starts) {
    return launch(maskTilesKernel, grid, block, 0, flags, mask.size, vectorized, counts, starts,
                  positions, out.size);
  };
  status = pass(nullptr);
  if (status != Status::ok) return status;
  status = launch(sumMaskTilesKernel, dim3(1), block, 0, counts, tiles, out.size, gpu::errorSlot());
  return status == Status::ok && out.size > 0 ? pass(counts) : status;
}

}  // namespace

void registerGather(Kernel* kernels) {
  kernels[static_cast<int>(Op::gather)] = gather;
  kernels[static_cast<int>(Op::scatter)] = scatter;
  kernels[static_cast<int>(Op::nonzero)] = nonzero;
}

}  // namespace cuda
}  // namespace kindling
