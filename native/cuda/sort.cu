// Sorting along the last axis, and the search in what is sorted. Elements become unsigned keys in
// whose order they stand, NaN above all, with the position in the lowest bits: ties keep their
// order, in either direction. Rows of up to kShortRow items are sorted in shared memory, several at
// once; longer ones by radix_sort.cu.

#include "cuda/copies.h"
#include "cuda/indexing.cuh"
#include "cuda/kernel_table.h"
#include "cuda/radix_sort.h"

namespace kindling {
namespace cuda {

__device__ __forceinline__ uint32_t keyOf(float value) {
  if (value != value) return UINT32_MAX;
  const uint32_t bits = value == 0 ? 0u : __float_as_uint(value);
  return bits >> 31 ? ~bits : bits | 0x80000000u;
}
__device__ __forceinline__ uint64_t keyOf(double value) {
  if (value != value) return UINT64_MAX;
  const uint64_t bits = value == 0 ? 0u : static_cast<uint64_t>(__double_as_longlong(value));
  return bits >> 63 ? ~bits : bits | uint64_t{1} << 63;
}
__device__ __forceinline__ uint32_t keyOf(int32_t value) {
  return static_cast<uint32_t>(value) ^ 0x80000000u;
}
__device__ __forceinline__ uint64_t keyOf(int64_t value) {
  return static_cast<uint64_t>(value) ^ uint64_t { 1 } << 63;
}
__device__ __forceinline__ uint32_t keyOf(uint8_t value) { return value; }

template <typename T>
using KeyOf = typename std::conditional<sizeof(T) == 8, uint64_t, uint32_t>::type;

struct SortPlan {
  StridedPlan<1, uint64_t> rows;  // of the input, without the last axis
  uint64_t rowCount;
  int64_t count, kept, step;  // items of a row, those wanted, the input's step
  bool descending;
};

// --- Short rows ---

constexpr uint32_t kShortRow = 2048;

/// A key of 32 bits and its position are one number; above all are the places that hold no item.
struct PackedItem {
  uint64_t bits;
  static __device__ __forceinline__ PackedItem make(uint32_t key, uint32_t at) {
    return {static_cast<uint64_t>(key) << 32 | at};
  }
  __device__ __forceinline__ uint32_t position() const { return static_cast<uint32_t>(bits); }
  __device__ __forceinline__ bool isAbove(const PackedItem& other) const {
    return bits > other.bits;
  }
};
struct PairItem {
  uint64_t key;
  uint32_t at;
  static __device__ __forceinline__ PairItem make(uint64_t key, uint32_t at) { return {key, at}; }
  __device__ __forceinline__ uint32_t position() const { return at; }
  __device__ __forceinline__ bool isAbove(const PairItem& other) const {
    return key > other.key || (key == other.key && at > other.at);
  }
};

/// Bitonic sort: `width` places for each row, a power of two; kShortRow / width rows in a block.
template <typename T>
__global__ void __launch_bounds__(kBlockThreads)
    sortShortRowsKernel(SortPlan plan, uint32_t width, const T* x, T* values, int32_t* positions) {
  using Key = KeyOf<T>;
  using Item = typename std::conditional<sizeof(T) == 8, PairItem, PackedItem>::type;
  GPU_SHARED(Item, items, [kShortRow]);
  const uint32_t rows = kShortRow / width, count = static_cast<uint32_t>(plan.count);
  const uint32_t kept = static_cast<uint32_t>(plan.kept);
  const Key flip = plan.descending ? static_cast<Key>(~Key(0)) : Key(0);
  for (uint64_t base = static_cast<uint64_t>(blockIdx.x) * rows; base < plan.rowCount;
       base += static_cast<uint64_t>(gridDim.x) * rows) {
    for (uint32_t i = threadIdx.x; i < kShortRow; i += kBlockThreads) {
      const uint32_t row = i / width, place = i % width;
      Item item = Item::make(static_cast<Key>(~Key(0)), UINT32_MAX);
      if (place < count && base + row < plan.rowCount) {
        int64_t at[1];
        plan.rows.offsets(base + row, at);
        item = Item::make(static_cast<Key>(keyOf(x[at[0] + place * plan.step]) ^ flip), place);
      }
      items[i] = item;
    }
    __syncthreads();
    for (uint32_t run = 2; run <= width; run *= 2) {
      for (uint32_t distance = run / 2; distance > 0; distance /= 2) {
        for (uint32_t pair = threadIdx.x; pair < kShortRow / 2; pair += kBlockThreads) {
          const uint32_t i = 2 * pair - (pair & (distance - 1)), j = i + distance;
          // The last merge of a row goes up in all rows.
          const bool goesUp = (i & (width - 1) & run) == 0;
          const Item a = items[i], b = items[j];
          if (a.isAbove(b) == goesUp) {
            items[i] = b;
            items[j] = a;
          }
        }
        __syncthreads();
      }
    }
    for (uint32_t i = threadIdx.x; i < kShortRow; i += kBlockThreads) {
      const uint32_t row = i / width, place = i % width;
      if (place >= kept || base + row >= plan.rowCount) continue;
      int64_t at[1];
      plan.rows.offsets(base + row, at);
      const uint32_t position = items[i].position();
      const uint64_t target = (base + row) * kept + place;
      positions[target] = static_cast<int32_t>(position);
      values[target] = x[at[0] + position * plan.step];
    }
    __syncthreads();
  }
}

// --- Long rows ---

template <typename T>
__global__ void __launch_bounds__(kBlockThreads)
    makeKeysKernel(SortPlan plan, const T* x, KeyOf<T>* keys, uint32_t* positions) {
  using Key = KeyOf<T>;
  const Key flip = plan.descending ? static_cast<Key>(~Key(0)) : Key(0);
  const int64_t items = static_cast<int64_t>(plan.rowCount) * plan.count;
  for (int64_t i = firstOfThread(); i < items; i += strideOfGrid()) {
    const int64_t row = i / plan.count, place = i - row * plan.count;
    int64_t at[1];
    plan.rows.offsets(static_cast<uint64_t>(row), at);
    keys[i] = static_cast<Key>(keyOf(x[at[0] + place * plan.step]) ^ flip);
    positions[i] = static_cast<uint32_t>(place);
  }
}

template <typename T>
__global__ void __launch_bounds__(kBlockThreads)
    takeSortedKernel(SortPlan plan, const T* x, const uint32_t* order, T* values,
                     int32_t* positions) {
  const int64_t items = static_cast<int64_t>(plan.rowCount) * plan.kept;
  for (int64_t i = firstOfThread(); i < items; i += strideOfGrid()) {
    const int64_t row = i / plan.kept, place = i - row * plan.kept;
    int64_t at[1];
    plan.rows.offsets(static_cast<uint64_t>(row), at);
    const uint32_t position = order[row * plan.count + place];
    positions[i] = static_cast<int32_t>(position);
    values[i] = x[at[0] + static_cast<int64_t>(position) * plan.step];
  }
}

/// How many elements of a sorted row stand before each value: those below it, or those not above
/// it.
struct SearchPlan {
  StridedPlan<2, uint64_t> values;  // the sorted rows, the values
  int64_t count, step;
  bool right;
};

template <typename T>
__global__ void __launch_bounds__(kBlockThreads)
    searchSortedKernel(SearchPlan plan, const T* sorted, const T* values, int32_t* out) {
  const int64_t n = static_cast<int64_t>(plan.values.size);
  for (int64_t i = firstOfThread(); i < n; i += strideOfGrid()) {
    int64_t at[2];
    plan.values.offsets(static_cast<uint64_t>(i), at);
    const T* const row = sorted + at[0];
    const KeyOf<T> key = keyOf(values[at[1]]);
    int64_t low = 0, high = plan.count;
    while (low < high) {
      const int64_t middle = (low + high) / 2;
      const KeyOf<T> there = keyOf(row[middle * plan.step]);
      if (plan.right ? there <= key : there < key) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    out[i] = static_cast<int32_t>(low);
  }
}

// --- Ops ---

namespace {

template <typename T>
Status sortLongRows(const SortPlan& plan, const T* x, T* values, int32_t* positions) {
  using Key = KeyOf<T>;
  const int64_t rows = static_cast<int64_t>(plan.rowCount);
  const DeviceScratch scratch(sortBytes<Key>(rows, plan.count));
  if (!scratch) return fail(Status::outOfMemory, "sort: no scratch memory");
  const SortBuffers<Key> buffers = sortBuffers<Key>(scratch.data(), rows, plan.count);
  Status status = launch(makeKeysKernel<T>, gridFor(rows * plan.count, kBlockThreads),
                         dim3(kBlockThreads), 0, plan, x, buffers.keys[0], buffers.positions[0]);
  if (status != Status::ok) return status;
  int order = 0;
  status = radixSort<Key>(buffers, rows, plan.count, 8 * static_cast<int>(sizeof(T)), &order);
  if (status != Status::ok) return status;
  return launch(takeSortedKernel<T>, gridFor(rows * plan.kept, kBlockThreads), dim3(kBlockThreads),
                0, plan, x, buffers.positions[order], values, positions);
}

template <typename T>
Status sortRows(const OpCall& call) {
  const TensorView& x = call.inputs[0];
  const TensorView& out = call.outputs[0];
  if (out.size == 0) return Status::ok;
  const int last = x.rank - 1;
  LoopAxes<1> rows;
  for (int axis = 0; axis < last; ++axis) rows.add(x.shape[axis], {x.strides[axis]});
  SortPlan plan;
  plan.rows = StridedPlan<1, uint64_t>(rows);
  plan.rowCount = static_cast<uint64_t>(rows.size);
  plan.count = x.rank > 0 ? x.shape[last] : 1;
  plan.kept = x.rank > 0 ? out.shape[last] : 1;
  plan.step = x.rank > 0 ? x.strides[last] : 0;
  plan.descending = call.ints[0] != 0;
  const T* const from = static_cast<const T*>(x.data);
  T* const values = static_cast<T*>(out.data);
  int32_t* const positions = static_cast<int32_t*>(call.outputs[1].data);
  if (plan.count > kShortRow) return sortLongRows(plan, from, values, positions);
  uint32_t width = 2;
  while (width < plan.count) width *= 2;
  return launch(sortShortRowsKernel<T>, gridFor(rows.size, kShortRow / width), dim3(kBlockThreads),
                0, plan, width, from, values, positions);
}

template <typename T>
Status search(const OpCall& call) {
  const TensorView& sorted = call.inputs[0];
  const TensorView& values = call.inputs[1];
  const TensorView& out = call.outputs[0];
  if (out.size == 0) return Status::ok;
  const int last = sorted.rank - 1;
  LoopAxes<2> axes;
  for (int axis = 0; axis < values.rank; ++axis) {
    const bool shared = sorted.rank == 1 || axis == values.rank - 1;
    axes.add(values.shape[axis], {shared ? 0 : sorted.strides[axis], values.strides[axis]});
  }
  SearchPlan plan;
  plan.values = StridedPlan<2, uint64_t>(axes);
  plan.count = sorted.shape[last];
  plan.step = sorted.strides[last];
  plan.right = call.ints[0] != 0;
  return launch(searchSortedKernel<T>, gridFor(out.size, kBlockThreads), dim3(kBlockThreads), 0,
                plan, static_cast<const T*>(sorted.data), static_cast<const T*>(values.data),
                static_cast<int32_t*>(out.data));
}

Status sort(const OpCall& call) {
  switch (call.inputs[0].dtype) {
    case DType::float32:
      return sortRows<float>(call);
    case DType::float64:
      return sortRows<double>(call);
    case DType::int32:
      return sortRows<int32_t>(call);
    case DType::int64:
      return sortRows<int64_t>(call);
    default:
      return sortRows<uint8_t>(call);
  }
}

Status searchSorted(const OpCall& call) {
  switch (call.inputs[0].dtype) {
    case DType::float32:
      return search<float>(call);
    case DType::float64:
      return search<double>(call);
    case DType::int32:
      return search<int32_t>(call);
    case DType::int64:
      return search<int64_t>(call);
    default:
      return search<uint8_t>(call);
  }
}

}  // namespace

void registerSort(Kernel* kernels) {
  kernels[static_cast<int>(Op::sort)] = sort;
  kernels[static_cast<int>(Op::searchSorted)] = searchSorted;
}

}  // namespace cuda
}  // namespace kindling
