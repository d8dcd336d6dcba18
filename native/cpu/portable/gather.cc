// Elements by position along one axis: gather, scatter and the positions of true elements.

#include <cinttypes>
#include <cstring>

#include "core/status.h"
#include "cpu/parallel.h"
#include "cpu/portable/odometer.h"
#include "cpu/portable/portable.h"

namespace kindling {
namespace {

constexpr int64_t kGrain = 16384;

template <typename Body>
void withBits(DType dtype, const Body& body) {
  switch (kDTypeBytes[static_cast<int>(dtype)]) {
    case 1:
      return body(uint8_t());
    case 2:
      return body(uint16_t());
    case 4:
      return body(uint32_t());
    default:
      return body(uint64_t());
  }
}

/// Before anything is written, and on the calling thread, whose message it is.
Status checkPositions(const char* op, const TensorView& index, int64_t extent) {
  Odometer<1> at;
  for (int axis = 0; axis < index.rank; ++axis) at.add(index.shape[axis], {index.strides[axis]});
  const int32_t* data = static_cast<const int32_t*>(index.data);
  for (int64_t i = 0; i < index.size; ++i, at.next()) {
    const int32_t position = data[at.offsets[0]];
    if (position < 0 || position >= extent) {
      return fail(Status::indexOutOfRange,
                  "%s: index %d at position %" PRId64 " is outside [0, %" PRId64 ")", op, position,
                  i, extent);
    }
  }
  return Status::ok;
}

int64_t extentOf(const TensorView& view, int axis) { return view.rank > 0 ? view.shape[axis] : 1; }
int64_t strideOf(const TensorView& view, int axis) {
  return view.rank > 0 ? view.strides[axis] : 0;
}

/// out[i][j] = x[i][index[i][j]], for the axis that ints[0] names.
Status gather(const OpCall& call) {
  const TensorView& x = call.inputs[0];
  const TensorView& index = call.inputs[1];
  const TensorView& out = call.outputs[0];
  const int axis = call.ints[0];
  const Status inside = checkPositions("gather", index, extentOf(x, axis));
  if (inside != Status::ok) return inside;
  const int64_t step = strideOf(x, axis);
  withBits(x.dtype, [&](auto bits) {
    using T = decltype(bits);
    const T* from = static_cast<const T*>(x.data);
    const int32_t* positions = static_cast<const int32_t*>(index.data);
    T* to = static_cast<T*>(out.data);
    parallelFor(out.size, kGrain, 1, [&](int64_t begin, int64_t end) {
      Odometer<2> at;
      for (int i = 0; i < out.rank; ++i) {
        at.add(out.shape[i], {i == axis ? 0 : x.strides[i], index.strides[i]});
      }
      at.seek(begin);
      for (int64_t i = begin; i < end; ++i, at.next()) {
        to[i] = from[at.offsets[0] + positions[at.offsets[1]] * step];
      }
    });
  });
  return Status::ok;
}

/// The input's elements in row-major order.
template <typename T>
void copyDense(const TensorView& from, T* to) {
  if (from.contiguous) {
    if (from.size) memcpy(to, from.data, static_cast<size_t>(from.size) * sizeof(T));
    return;
  }
  Odometer<1> at;
  for (int i = 0; i < from.rank; ++i) at.add(from.shape[i], {from.strides[i]});
  const T* data = static_cast<const T*>(from.data);
  for (int64_t i = 0; i < from.size; ++i, at.next()) to[i] = data[at.offsets[0]];
}

template <typename T, typename Join>
void scatterInto(const OpCall& call, const Join& join) {
  const TensorView& index = call.inputs[1];
  const TensorView& source = call.inputs[2];
  const TensorView& out = call.outputs[0];
  const int axis = call.ints[0];
  T* to = static_cast<T*>(out.data);
  copyDense(call.inputs[0], to);
  const T* from = static_cast<const T*>(source.data);
  const int32_t* positions = static_cast<const int32_t*>(index.data);
  const int64_t step = strideOf(out, axis);
  // Along the last axis rows are independent; otherwise equal positions meet in the index's order.
  const bool byRows = axis == index.rank - 1 && index.size > 0;
  const int64_t run = byRows ? index.shape[axis] : index.size;
  const int64_t rows = run > 0 ? index.size / run : 0;
  parallelFor(rows, run > 0 ? kGrain / run + 1 : 1, 1, [&](int64_t begin, int64_t end) {
    Odometer<3> at;
    for (int i = 0; i < index.rank; ++i) {
      at.add(index.shape[i], {i == axis ? 0 : out.strides[i], index.strides[i], source.strides[i]});
    }
    at.seek(begin * run);
    for (int64_t i = begin * run; i < end * run; ++i, at.next()) {
      join(&to[at.offsets[0] + positions[at.offsets[1]] * step], from[at.offsets[2]]);
    }
  });
}

struct Replace {
  template <typename T>
  void operator()(T* to, T value) const {
    *to = value;
  }
};

struct Add {
  template <typename T>
  void operator()(T* to, T value) const {
    *to += value;
  }
  // Integers wrap.
  void operator()(int32_t* to, int32_t value) const {
    *to = static_cast<int32_t>(static_cast<uint32_t>(*to) + static_cast<uint32_t>(value));
  }
  void operator()(int64_t* to, int64_t value) const {
    *to = static_cast<int64_t>(static_cast<uint64_t>(*to) + static_cast<uint64_t>(value));
  }
};

/// A copy of x in which out[i][index[i][j]] = source[i][j], or += with ints[1].
Status scatter(const OpCall& call) {
  const TensorView& x = call.inputs[0];
  const Status inside =
      checkPositions("scatter", call.inputs[1], extentOf(call.outputs[0], call.ints[0]));
  if (inside != Status::ok) return inside;
  if (!call.ints[1]) {
    withBits(x.dtype, [&](auto bits) { scatterInto<decltype(bits)>(call, Replace()); });
    return Status::ok;
  }
  switch (x.dtype) {
    case DType::float32:
      scatterInto<float>(call, Add());
      return Status::ok;
    case DType::float64:
      scatterInto<double>(call, Add());
      return Status::ok;
    case DType::int32:
      scatterInto<int32_t>(call, Add());
      return Status::ok;
    case DType::int64:
      scatterInto<int64_t>(call, Add());
      return Status::ok;
    default:
      return fail(Status::badDtype, "scatter: this dtype cannot be added");
  }
}

/// The positions, in the flattened input, of the elements that are true.
Status nonzero(const OpCall& call) {
  const TensorView& mask = call.inputs[0];
  const TensorView& out = call.outputs[0];
  Odometer<1> at;
  for (int axis = 0; axis < mask.rank; ++axis) at.add(mask.shape[axis], {mask.strides[axis]});
  const uint8_t* data = static_cast<const uint8_t*>(mask.data);
  int32_t* to = static_cast<int32_t*>(out.data);
  int64_t found = 0;
  for (int64_t i = 0; i < mask.size; ++i, at.next()) {
    if (!data[at.offsets[0]]) continue;
    if (found < out.size) to[found] = static_cast<int32_t>(i);
    ++found;
  }
  return found == out.size
             ? Status::ok
             : fail(Status::badShape, "nonzero: %" PRId64 " elements are true, not %" PRId64, found,
                    out.size);
}

}  // namespace

void registerGather(Kernel* kernels) {
  kernels[static_cast<int>(Op::gather)] = gather;
  kernels[static_cast<int>(Op::scatter)] = scatter;
  kernels[static_cast<int>(Op::nonzero)] = nonzero;
}

}  // namespace kindling
