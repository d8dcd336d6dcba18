// Rows by number: indexSelect, its transpose indexAdd, and assignRows. Sums of float rows use
// atomics, or in deterministic mode the sorted index: one thread then owns an element of a row of
// the result and adds what belongs to it in the order of the index, as the CPU does.

#include "cuda/copies.h"
#include "cuda/indexing.cuh"
#include "cuda/kernel_table.h"
#include "cuda/segments.cuh"
#include "cuda/unary_ops.cuh"
#include "cuda/wide.h"

namespace kindling {
namespace cuda {

/// Rows of `inner` elements, whose numbers are in `index`.
struct RowPlan {
  StridedPlan<2, uint64_t> row;  // of the dense side, of the other
  FastDivisor<uint64_t> inner;
  uint64_t size;                   // elements of all rows
  int64_t rows;                    // that a number may name
  int64_t indexStride, rowStride;  // the latter of the side that is named
  int64_t denseStride;
  const int32_t* index;
  Op op;
  IndexError* errors;
};

/// The row that entry `i` of the index names, or -1; whoever looks at the first element reports.
__device__ __forceinline__ int64_t namedRow(const RowPlan& plan, uint64_t i, bool reports) {
  const int64_t row = plan.index[static_cast<int64_t>(i) * plan.indexStride];
  if (row >= 0 && row < plan.rows) return row;
  if (reports) {
    gpu::reportIndex(plan.errors, plan.op, row, plan.rows, static_cast<int64_t>(i));
  }
  return -1;
}

/// to[i][...] = from[index[i]][...], elements of width W.
template <typename W>
__global__ void __launch_bounds__(kBlockThreads)
    selectRowsKernel(RowPlan plan, W* to, const W* from) {
  for (uint64_t n = static_cast<uint64_t>(firstOfThread()); n < plan.size;
       n += static_cast<uint64_t>(strideOfGrid())) {
    const uint64_t i = plan.inner.divide(n), j = n - i * plan.inner.divisor;
    const int64_t row = namedRow(plan, i, j == 0);
    int64_t at[2];
    plan.row.offsets(j, at);
    to[static_cast<int64_t>(i) * plan.denseStride + at[0]] =
        row < 0 ? W{} : from[row * plan.rowStride + at[1]];
  }
}

/// winner[row] = the last entry of the index that names it.
__global__ void __launch_bounds__(kBlockThreads)
    findLastKernel(RowPlan plan, int64_t entries, int32_t* winner) {
  for (int64_t i = firstOfThread(); i < entries; i += strideOfGrid()) {
    const int64_t row = namedRow(plan, static_cast<uint64_t>(i), true);
    if (row >= 0) atomicMax(&winner[row], static_cast<int32_t>(i));
  }
}

/// to[index[i]][...] = from[i][...] where entry i is the last that names the row. After an error
/// the destination stays as it is.
template <typename W>
__global__ void __launch_bounds__(kBlockThreads)
    assignRowsKernel(RowPlan plan, W* to, const W* from, const int32_t* winner) {
  if (plan.errors->isSet) return;
  for (uint64_t n = static_cast<uint64_t>(firstOfThread()); n < plan.size;
       n += static_cast<uint64_t>(strideOfGrid())) {
    const uint64_t i = plan.inner.divide(n), j = n - i * plan.inner.divisor;
    const int64_t row = namedRow(plan, i, false);
    if (row < 0 || winner[row] != static_cast<int32_t>(i)) continue;
    int64_t at[2];
    plan.row.offsets(j, at);
    to[row * plan.rowStride + at[0]] = from[static_cast<int64_t>(i) * plan.denseStride + at[1]];
  }
}

// --- indexAdd: dense rows of `inner` elements ---

template <typename T>
__global__ void __launch_bounds__(kBlockThreads) addRowsKernel(RowPlan plan, T* to, const T* from) {
  for (uint64_t n = static_cast<uint64_t>(firstOfThread()); n < plan.size;
       n += static_cast<uint64_t>(strideOfGrid())) {
    const uint64_t i = plan.inner.divide(n), j = n - i * plan.inner.divisor;
    const int64_t row = namedRow(plan, i, j == 0);
    if (row >= 0) atomicSum(to + row * plan.rowStride + static_cast<int64_t>(j), from[n]);
  }
}

/// The keys of sortWrites: the row of every entry, plan.rows for what is out of range.
__global__ void __launch_bounds__(kBlockThreads)
    namedRowsKernel(RowPlan plan, int64_t entries, uint32_t* keys, uint32_t* positions) {
  for (int64_t i = firstOfThread(); i < entries; i += strideOfGrid()) {
    const int64_t row = namedRow(plan, static_cast<uint64_t>(i), true);
    keys[i] = static_cast<uint32_t>(row < 0 ? plan.rows : row);
    positions[i] = static_cast<uint32_t>(i);
  }
}

/// Each run of equal places is summed by the threads of its first entry, four elements each.
template <typename T>
__global__ void __launch_bounds__(kBlockThreads)
    addSortedRowsKernel(RowPlan plan, const uint32_t* places, const uint32_t* order,
                        int64_t entries, T* to, const T* from, bool vectorized) {
  const uint64_t width = plan.inner.divisor, columns = (width + kLanes - 1) / kLanes;
  const FastDivisor<uint64_t>& byColumns = plan.row.shape[0];
  for (uint64_t n = static_cast<uint64_t>(firstOfThread());
       n < static_cast<uint64_t>(entries) * columns; n += static_cast<uint64_t>(strideOfGrid())) {
    const int64_t i = static_cast<int64_t>(byColumns.divide(n));
    const uint64_t j = (n - static_cast<uint64_t>(i) * columns) * kLanes;
    const uint32_t place = places[i];
    if (place >= plan.rows || (i > 0 && places[i - 1] == place)) continue;
    const uint32_t count = static_cast<uint32_t>(width - j < kLanes ? width - j : kLanes);
    T sum[kLanes] = {};
    for (int64_t k = i; k < entries && places[k] == place; ++k) {
      T value[kLanes];
      loadLanes(from, static_cast<int64_t>(order[k] * width + j), false, count, vectorized, value);
#pragma unroll
      for (int lane = 0; lane < kLanes; ++lane) sum[lane] = wrappingAdd(sum[lane], value[lane]);
    }
    storeLanes(to + place * width + j, sum, count, vectorized);
  }
}

// --- Ops ---

Status sortWrites(int64_t count, int64_t extent, SortedWrites* writes) {
  const auto buffers = sortBuffers<uint32_t>(writes->memory.data(), 1, count);
  int bits = 1;
  while (bits < 32 && extent >> bits) ++bits;
  int result = 0;
  const Status status = radixSort<uint32_t>(buffers, 1, count, bits, &result);
  writes->places = buffers.keys[result];
  writes->order = buffers.positions[result];
  return status;
}

namespace {

/// The axes of a row: of `dense` and of `other`, both without their first axis.
LoopAxes<2> rowAxes(const TensorView& first, const TensorView& second) {
  LoopAxes<2> axes;
  for (int axis = 1; axis < first.rank; ++axis) {
    axes.add(first.shape[axis], {first.strides[axis], second.strides[axis]});
  }
  return axes;
}

/// `named` is the side whose rows are named, `dense` the side that has one row for every entry;
/// kernels take the target's offset first.
RowPlan planRows(const OpCall& call, LoopAxes<2> axes, const TensorView& named,
                 const TensorView& dense, int64_t elementsOfWidth) {
  const TensorView& index = call.inputs[1];
  RowPlan plan;
  plan.row = StridedPlan<2, uint64_t>(axes);
  plan.inner = FastDivisor<uint64_t>(static_cast<uint64_t>(axes.size > 0 ? axes.size : 1));
  plan.size = static_cast<uint64_t>(index.size * axes.size);
  plan.rows = named.shape[0];
  plan.indexStride = index.strides[0];
  plan.rowStride = named.strides[0] / elementsOfWidth;
  plan.denseStride = dense.strides[0] / elementsOfWidth;
  plan.index = static_cast<const int32_t*>(index.data);
  plan.op = call.op;
  plan.errors = gpu::errorSlot();
  return plan;
}

Status indexSelect(const OpCall& call) {
  const TensorView& x = call.inputs[0];
  const TensorView& out = call.outputs[0];
  if (out.size == 0) return Status::ok;
  LoopAxes<2> axes = rowAxes(out, x);
  const int64_t width =
      widen(&axes, out.data, x.data, elementBytes(out.dtype), {out.strides[0], x.strides[0]});
  const RowPlan plan = planRows(call, axes, x, out, width / elementBytes(out.dtype));
  return byWidth(width, [&](auto element) {
    using W = decltype(element);
    return launch(selectRowsKernel<W>, gridFor(static_cast<int64_t>(plan.size), kBlockThreads),
                  dim3(kBlockThreads), 0, plan, static_cast<W*>(out.data),
                  static_cast<const W*>(x.data));
  });
}

/// Rows of a contiguous destination overwritten; of equal numbers the last counts.
Status assignRows(const OpCall& call) {
  const TensorView& target = call.inputs[0];
  const TensorView& index = call.inputs[1];
  const TensorView& rows = call.inputs[2];
  if (rows.size == 0) return Status::ok;
  if (index.size > INT32_MAX) return fail(Status::unsupported, "assignRows: too many rows");
  const DeviceScratch scratch(static_cast<size_t>(target.shape[0]) * sizeof(int32_t));
  if (!scratch) return fail(Status::outOfMemory, "assignRows: no scratch memory");
  int32_t* const winner = scratch.as<int32_t>();
  Status status = gpu::fillBytes(winner, 0xff, scratch.bytes());
  if (status != Status::ok) return status;
  LoopAxes<2> axes = rowAxes(target, rows);
  const int64_t width = widen(&axes, target.data, rows.data, elementBytes(target.dtype),
                              {target.strides[0], rows.strides[0]});
  const RowPlan plan = planRows(call, axes, target, rows, width / elementBytes(target.dtype));
  status = launch(findLastKernel, gridFor(index.size, kBlockThreads), dim3(kBlockThreads), 0, plan,
                  index.size, winner);
  if (status != Status::ok) return status;
  return byWidth(width, [&](auto element) {
    using W = decltype(element);
    return launch(assignRowsKernel<W>, gridFor(static_cast<int64_t>(plan.size), kBlockThreads),
                  dim3(kBlockThreads), 0, plan, static_cast<W*>(target.data),
                  static_cast<const W*>(rows.data), static_cast<const int32_t*>(winner));
  });
}

template <typename T>
Status addSorted(const RowPlan& rows, int64_t entries, T* to, const T* from) {
  SortedWrites writes;
  writes.memory = DeviceScratch(sortBytes<uint32_t>(1, entries));
  if (!writes.memory) return fail(Status::outOfMemory, "indexAdd: no scratch memory");
  const auto buffers = sortBuffers<uint32_t>(writes.memory.data(), 1, entries);
  Status status = launch(namedRowsKernel, gridFor(entries, kBlockThreads), dim3(kBlockThreads), 0,
                         rows, entries, buffers.keys[0], buffers.positions[0]);
  if (status == Status::ok) status = sortWrites(entries, rows.rows, &writes);
  if (status != Status::ok) return status;
  // Of the row's plan the kernel needs the number of columns.
  RowPlan plan = rows;
  const int64_t width = static_cast<int64_t>(rows.inner.divisor);
  const int64_t columns = ceilDivide(width, kLanes);
  plan.row.shape[0] = FastDivisor<uint64_t>(static_cast<uint64_t>(columns));
  const bool vectorized =
      width % kLanes == 0 && isAlignedForFour<T>(to) && isAlignedForFour<T>(from);
  return launch(addSortedRowsKernel<T>, gridFor(entries * columns, kBlockThreads),
                dim3(kBlockThreads), 0, plan, writes.places, writes.order, entries, to, from,
                vectorized);
}

template <typename T>
Status addRows(const OpCall& call) {
  const TensorView& out = call.outputs[0];
  Status status = fillZero(out);
  if (status != Status::ok || call.inputs[0].size == 0 || out.size == 0) return status;
  DeviceScratch scratch;
  TensorView grad;
  status = makeContiguous(call.inputs[0], scratch, &grad);
  if (status != Status::ok) return status;
  const RowPlan plan = planRows(call, rowAxes(out, grad), out, grad, 1);
  T* const to = static_cast<T*>(out.data);
  const T* const from = static_cast<const T*>(grad.data);
  if constexpr (std::is_floating_point<T>::value) {
    if (gpu::deterministic()) return addSorted(plan, call.inputs[1].size, to, from);
  }
  return launch(addRowsKernel<T>, gridFor(static_cast<int64_t>(plan.size), kBlockThreads),
                dim3(kBlockThreads), 0, plan, to, from);
}

Status indexAdd(const OpCall& call) {
  if (call.inputs[1].size > INT32_MAX || call.outputs[0].shape[0] >= UINT32_MAX) {
    return fail(Status::unsupported, "indexAdd: too many rows");
  }
  switch (call.inputs[0].dtype) {
    case DType::float32:
      return addRows<float>(call);
    case DType::float64:
      return addRows<double>(call);
    case DType::int32:
      return addRows<int32_t>(call);
    case DType::int64:
      return addRows<int64_t>(call);
    default:
      return fail(Status::badDtype, "no kernel for this dtype");
  }
}

}  // namespace

void registerIndexing(Kernel* kernels) {
  kernels[static_cast<int>(Op::indexSelect)] = indexSelect;
  kernels[static_cast<int>(Op::assignRows)] = assignRows;
  kernels[static_cast<int>(Op::indexAdd)] = indexAdd;
}

}  // namespace cuda
}  // namespace kindling
