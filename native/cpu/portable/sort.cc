// Sorting along the last axis, and the search in what is sorted. Elements become unsigned keys in
// whose order they stand, NaN above all, with the position in the lowest bits: ties keep their
// order, in either direction.

#include <algorithm>
#include <cstring>

#include "core/allocator.h"
#include "core/status.h"
#include "cpu/parallel.h"
#include "cpu/portable/odometer.h"
#include "cpu/portable/portable.h"

namespace kindling {
namespace {

constexpr int64_t kGrain = 2048;

uint32_t keyOf(float value) {
  uint32_t bits;
  memcpy(&bits, &value, 4);
  if (value != value) return UINT32_MAX;
  if (value == 0) bits = 0;
  return bits >> 31 ? ~bits : bits | 0x80000000u;
}
uint64_t keyOf(double value) {
  uint64_t bits;
  memcpy(&bits, &value, 8);
  if (value != value) return UINT64_MAX;
  if (value == 0) bits = 0;
  return bits >> 63 ? ~bits : bits | uint64_t{1} << 63;
}
uint32_t keyOf(int32_t value) { return static_cast<uint32_t>(value) ^ 0x80000000u; }
uint64_t keyOf(int64_t value) {
  return static_cast<uint64_t>(value) ^ uint64_t { 1 } << 63;
}
uint32_t keyOf(uint8_t value) { return value; }

/// A key of 32 bits and its position are one number.
struct Packed {
  uint64_t bits;
  static Packed make(uint32_t key, int64_t i) {
    return {static_cast<uint64_t>(key) << 32 | static_cast<uint32_t>(i)};
  }
  uint32_t position() const { return static_cast<uint32_t>(bits); }
  bool operator<(const Packed& other) const { return bits < other.bits; }
};

struct Pair {
  uint64_t key;
  uint64_t at;
  static Pair make(uint64_t key, int64_t i) { return {key, static_cast<uint64_t>(i)}; }
  uint64_t position() const { return at; }
  bool operator<(const Pair& other) const {
    return key < other.key || (key == other.key && at < other.at);
  }
};

template <typename K>
struct ItemOf {
  using Type = Packed;
};
template <>
struct ItemOf<uint64_t> {
  using Type = Pair;
};

class Buffer {
 public:
  explicit Buffer(size_t bytes) : bytes_(bytes), data_(bytes ? allocate(bytes) : nullptr) {}
  ~Buffer() {
    if (data_) deallocate(data_, bytes_);
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  void* data() const { return data_; }

 private:
  size_t bytes_;
  void* data_;
};

/// The first `kept` of n items in order.
template <typename Item>
void order(Item* items, int64_t n, int64_t kept) {
  if (kept < n / 4) {
    std::partial_sort(items, items + kept, items + n);
  } else {
    std::sort(items, items + n);
  }
}

template <typename T>
Status sortRows(const OpCall& call) {
  using Key = decltype(keyOf(T()));
  using Item = typename ItemOf<Key>::Type;
  const TensorView& x = call.inputs[0];
  const TensorView& values = call.outputs[0];
  const int last = x.rank - 1;
  const int64_t n = x.rank > 0 ? x.shape[last] : 1, kept = x.rank > 0 ? values.shape[last] : 1;
  if (values.size == 0) return Status::ok;
  const int64_t rows = values.size / kept;
  const int64_t step = x.rank > 0 ? x.strides[last] : 0;
  const bool descending = call.ints[0] != 0;
  const Key flip = descending ? static_cast<Key>(~Key(0)) : Key(0);
  const Buffer buffer(static_cast<size_t>(rows * n) * sizeof(Item));
  if (!buffer.data()) return fail(Status::outOfMemory, "sort: no scratch memory");
  parallelFor(rows, kGrain / n + 1, 1, [&](int64_t begin, int64_t end) {
    Odometer<1> at;
    for (int i = 0; i < last; ++i) at.add(x.shape[i], {x.strides[i]});
    at.seek(begin);
    for (int64_t row = begin; row < end; ++row, at.next()) {
      const T* from = static_cast<const T*>(x.data) + at.offsets[0];
      Item* items = static_cast<Item*>(buffer.data()) + row * n;
      for (int64_t i = 0; i < n; ++i) items[i] = Item::make(keyOf(from[i * step]) ^ flip, i);
      order(items, n, kept);
      T* value = static_cast<T*>(values.data) + row * kept;
      int32_t* position = static_cast<int32_t*>(call.outputs[1].data) + row * kept;
      for (int64_t i = 0; i < kept; ++i) {
        position[i] = static_cast<int32_t>(items[i].position());
        value[i] = from[position[i] * step];
      }
    }
  });
  return Status::ok;
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

/// How many elements of a sorted row stand before each value: those below it, or with ints[0] those
/// not above it.
template <typename T>
void search(const OpCall& call) {
  const TensorView& sorted = call.inputs[0];
  const TensorView& values = call.inputs[1];
  const TensorView& out = call.outputs[0];
  const bool right = call.ints[0] != 0;
  const int last = sorted.rank - 1;
  const int64_t n = sorted.shape[last], step = sorted.strides[last];
  int32_t* to = static_cast<int32_t*>(out.data);
  parallelFor(out.size, kGrain, 1, [&](int64_t begin, int64_t end) {
    Odometer<2> at;
    for (int i = 0; i < values.rank; ++i) {
      const bool shared = sorted.rank == 1 || i == values.rank - 1;
      at.add(values.shape[i], {shared ? 0 : sorted.strides[i], values.strides[i]});
    }
    at.seek(begin);
    for (int64_t i = begin; i < end; ++i, at.next()) {
      const T* row = static_cast<const T*>(sorted.data) + at.offsets[0];
      const auto key = keyOf(static_cast<const T*>(values.data)[at.offsets[1]]);
      int64_t low = 0, high = n;
      while (low < high) {
        const int64_t middle = (low + high) / 2;
        const auto there = keyOf(row[middle * step]);
        (right ? there <= key : there < key) ? low = middle + 1 : high = middle;
      }
      to[i] = static_cast<int32_t>(low);
    }
  });
}

Status searchSorted(const OpCall& call) {
  switch (call.inputs[0].dtype) {
    case DType::float32:
      search<float>(call);
      return Status::ok;
    case DType::float64:
      search<double>(call);
      return Status::ok;
    case DType::int32:
      search<int32_t>(call);
      return Status::ok;
    case DType::int64:
      search<int64_t>(call);
      return Status::ok;
    default:
      search<uint8_t>(call);
      return Status::ok;
  }
}

}  // namespace

void registerSort(Kernel* kernels) {
  kernels[static_cast<int>(Op::sort)] = sort;
  kernels[static_cast<int>(Op::searchSorted)] = searchSorted;
}

}  // namespace kindling
