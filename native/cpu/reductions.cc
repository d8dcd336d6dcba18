// Reductions over any axes. An input is first seen as a row-major box whose neighbouring axes of
// one kind (kept or reduced) are merged, so that two cases remain: the last axis is reduced (rows),
// or kept (columns, vectorized across). Float sums run in blocks: their error grows with the
// logarithm of the count. Chunks have fixed sizes, so that results do not depend on the number of
// threads.

#include <cmath>

#include "core/status.h"
#include "cpu/kernel_table.h"
#include "cpu/parallel.h"
#include "cpu/reducers.h"
#include "cpu/scratch.h"

namespace kindling {
namespace KINDLING_ISA {
namespace {

// Elements below which another thread does not pay.
constexpr int64_t kGrain = 16384;
// A long reduction is cut into chunks of so many elements, combined in order.
constexpr int64_t kChunk = 16384;
// Columns that one pass keeps in registers or the first-level cache.
constexpr int64_t kColumns = 256;

/// The merged axes of a row-major input; kept and reduced ones take turns.
struct Box {
  int rank = 0;
  int64_t shape[kMaxRank];
  int64_t strides[kMaxRank];
  bool reduced[kMaxRank];
  int64_t kept = 1;       // outputs
  int64_t collapsed = 1;  // elements behind each output
};

Box makeBox(const TensorView& view, uint32_t mask) {
  Box box;
  for (int axis = 0; axis < view.rank; ++axis) {
    const bool isReduced = mask >> axis & 1;
    const int64_t extent = view.shape[axis];
    (isReduced ? box.collapsed : box.kept) *= extent;
    if (extent == 1) continue;
    if (box.rank > 0 && box.reduced[box.rank - 1] == isReduced) {
      box.shape[box.rank - 1] *= extent;
    } else {
      box.shape[box.rank] = extent;
      box.reduced[box.rank++] = isReduced;
    }
  }
  int64_t stride = 1;
  for (int axis = box.rank - 1; axis >= 0; --axis) {
    box.strides[axis] = stride;
    stride *= box.shape[axis];
  }
  return box;
}

/// The offset of position `index` among the axes of one kind, the last `skip` axes left out.
int64_t offsetAmong(const Box& box, bool reduced, int skip, int64_t index) {
  int64_t offset = 0;
  for (int axis = box.rank - 1 - skip; axis >= 0; --axis) {
    if (box.reduced[axis] != reduced) continue;
    offset += index % box.shape[axis] * box.strides[axis];
    index /= box.shape[axis];
  }
  return offset;
}

/// One output of a box whose last axis is reduced.
template <typename R>
typename R::T reduceGroup(const Box& box, const typename R::T* x, int64_t output) {
  const int64_t width = box.shape[box.rank - 1];
  const int64_t rows = box.collapsed / width;
  x += offsetAmong(box, false, 1, output);
  if (rows == 1) return reduceRow<R>(x, width);
  typename R::T total = reduceRow<R>(x, width);
  typename R::T block = R::identity();
  for (int64_t row = 1; row < rows; ++row) {
    block = R::combine(block, reduceRow<R>(x + offsetAmong(box, true, 1, row), width));
    if (row % 64 == 0) {
      total = R::combine(total, block);
      block = R::identity();
    }
  }
  return R::combine(total, block);
}

/// Everything to one number: fixed chunks side by side, their results in order.
template <typename R>
Status reduceAll(const typename R::T* x, int64_t n, typename R::T* out) {
  const int64_t chunks = (n + kChunk - 1) / kChunk;
  const Scratch scratch(static_cast<size_t>(chunks) * sizeof(typename R::T));
  if (!scratch.ok()) return fail(Status::outOfMemory, "reduce: no scratch memory");
  typename R::T* partial = scratch.as<typename R::T>();
  parallelFor(chunks, 2, 1, [&](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; ++c) {
      const int64_t at = c * kChunk;
      partial[c] = reduceRow<R>(x + at, n - at < kChunk ? n - at : kChunk);
    }
  });
  *out = reduceRow<R>(partial, chunks);
  return Status::ok;
}

template <typename R>
Status reduceRows(const Box& box, const typename R::T* x, typename R::T* out) {
  if (box.kept == 1 && box.rank == 1) {
    if (box.collapsed > 2 * kChunk) return reduceAll<R>(x, box.collapsed, out);
    *out = reduceRow<R>(x, box.collapsed);
    return Status::ok;
  }
  parallelFor(box.kept, kGrain / box.collapsed + 1, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) out[i] = reduceGroup<R>(box, x, i);
  });
  return Status::ok;
}

/// `count` rows of the reduced axes from `first` on, `columns` wide, into `out`.
template <typename R>
void reduceColumns(const Box& box, const typename R::T* x, int64_t first, int64_t count,
                   int64_t columns, typename R::T* out) {
  typename R::T block[kColumns];
  for (int64_t begin = 0; begin < count; begin += 64) {
    const int64_t end = begin + 64 < count ? begin + 64 : count;
    typename R::T* target = begin == 0 ? out : block;
    for (int64_t j = 0; j < columns; ++j) target[j] = R::identity();
    if (box.rank == 2) {
      for (int64_t row = begin; row < end; ++row) {
        combineInto<R>(target, x + (first + row) * box.strides[0], columns);
      }
    } else {
      for (int64_t row = begin; row < end; ++row) {
        combineInto<R>(target, x + offsetAmong(box, true, 1, first + row), columns);
      }
    }
    if (begin > 0) combineInto<R>(out, block, columns);
  }
}

/// Columns of one kept group, cut into tiles side by side.
template <typename R>
Status reduceTiles(const Box& box, const typename R::T* x, typename R::T* out) {
  const int64_t width = box.shape[box.rank - 1];
  const int64_t tiles = (width + kColumns - 1) / kColumns;
  const int64_t groups = box.kept / width;
  const int64_t tileWork = box.collapsed * (width < kColumns ? width : kColumns);
  parallelFor(groups * tiles, kGrain / tileWork + 1, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t group = i / tiles, column = i % tiles * kColumns;
      const int64_t columns = width - column < kColumns ? width - column : kColumns;
      reduceColumns<R>(box, x + offsetAmong(box, false, 1, group) + column, 0, box.collapsed,
                       columns, out + group * width + column);
    }
  });
  return Status::ok;
}

/// Many rows of few columns: chunks of rows side by side, their results in order.
template <typename R>
Status reduceTallColumns(const Box& box, const typename R::T* x, typename R::T* out) {
  const int64_t width = box.shape[box.rank - 1];
  const int64_t chunkRows = kChunk / width + 1;
  const int64_t chunks = (box.collapsed + chunkRows - 1) / chunkRows;
  const Scratch scratch(static_cast<size_t>(chunks * width) * sizeof(typename R::T));
  if (!scratch.ok()) return fail(Status::outOfMemory, "reduce: no scratch memory");
  typename R::T* partial = scratch.as<typename R::T>();
  parallelFor(chunks, 2, 1, [&](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; ++c) {
      const int64_t first = c * chunkRows;
      const int64_t rest = box.collapsed - first;
      reduceColumns<R>(box, x, first, rest < chunkRows ? rest : chunkRows, width,
                       partial + c * width);
    }
  });
  Box rows;
  rows.rank = 2;
  rows.strides[0] = width;
  reduceColumns<R>(rows, partial, 0, chunks, width, out);
  return Status::ok;
}

template <typename R>
Status reduceBox(const Box& box, const typename R::T* x, typename R::T* out) {
  if (box.collapsed == 0) {
    for (int64_t i = 0; i < box.kept; ++i) out[i] = R::identity();
    return Status::ok;
  }
  if (box.kept == 0) return Status::ok;
  if (box.rank == 0) {
    *out = *x;
    return Status::ok;
  }
  if (box.reduced[box.rank - 1]) return reduceRows<R>(box, x, out);
  const int64_t width = box.shape[box.rank - 1];
  const bool isTall = box.kept == width && width <= kColumns && box.collapsed * width > 4 * kChunk;
  return isTall ? reduceTallColumns<R>(box, x, out) : reduceTiles<R>(box, x, out);
}

template <typename R>
Status reduce(const OpCall& call) {
  const Contiguous x(call.inputs[0]);
  if (!x.ok()) return fail(Status::outOfMemory, "reduce: no scratch memory");
  const Box box = makeBox(x.view(), static_cast<uint32_t>(call.ints[0]));
  return reduceBox<R>(box, static_cast<const typename R::T*>(x.view().data),
                      static_cast<typename R::T*>(call.outputs[0].data));
}

template <typename Float, typename Int>
Status reduceByType(const OpCall& call) {
  return call.inputs[0].dtype == DType::float32 ? reduce<Float>(call) : reduce<Int>(call);
}

Status mean(const OpCall& call) {
  const Status status = reduce<SumF>(call);
  if (status != Status::ok) return status;
  const TensorView& out = call.outputs[0];
  const Box box = makeBox(call.inputs[0], static_cast<uint32_t>(call.ints[0]));
  float* data = static_cast<float*>(out.data);
  // 0 / 0 is NaN: the mean of nothing.
  for (int64_t i = 0; i < out.size; ++i) data[i] /= static_cast<float>(box.collapsed);
  return Status::ok;
}

/// Whether `candidate` replaces `best`: it is better, or the first NaN.
template <bool largest, typename T>
KINDLING_INLINE bool replaces(T candidate, T best) {
  if (best != best) return false;
  return candidate != candidate || (largest ? candidate > best : candidate < best);
}

template <bool largest, typename T>
Status argReduceAs(const OpCall& call, const TensorView& view) {
  const T* x = static_cast<const T*>(view.data);
  int32_t* out = static_cast<int32_t*>(call.outputs[0].data);
  const int axis = call.ints[0];
  const int64_t n = axis < 0 ? view.size : view.shape[axis];
  int64_t inner = 1;
  if (axis >= 0) {
    for (int i = axis + 1; i < view.rank; ++i) inner *= view.shape[i];
  }
  parallelFor(call.outputs[0].size, kGrain / (n > 0 ? n : 1) + 1, 1,
              [&](int64_t begin, int64_t end) {
                for (int64_t i = begin; i < end; ++i) {
                  const T* column = x + i / inner * n * inner + i % inner;
                  T best = column[0];
                  int64_t at = 0;
                  for (int64_t j = 1; j < n; ++j) {
                    const T candidate = column[j * inner];
                    if (!replaces<largest>(candidate, best)) continue;
                    best = candidate;
                    at = j;
                  }
                  out[i] = static_cast<int32_t>(at);
                }
              });
  return Status::ok;
}

template <bool largest>
Status argReduce(const OpCall& call) {
  if (call.outputs[0].size == 0) return Status::ok;
  const Contiguous x(call.inputs[0]);
  if (!x.ok()) return fail(Status::outOfMemory, "argReduce: no scratch memory");
  return x.view().dtype == DType::float32 ? argReduceAs<largest, float>(call, x.view())
                                          : argReduceAs<largest, int32_t>(call, x.view());
}

}  // namespace

void registerReductions(Kernel* kernels) {
  kernels[static_cast<int>(Op::sum)] = reduceByType<SumF, SumI>;
  kernels[static_cast<int>(Op::mean)] = mean;
  kernels[static_cast<int>(Op::max)] = reduceByType<MaxF, MaxI>;
  kernels[static_cast<int>(Op::min)] = reduceByType<MinF, MinI>;
  kernels[static_cast<int>(Op::argmax)] = argReduce<true>;
  kernels[static_cast<int>(Op::argmin)] = argReduce<false>;
}

}  // namespace KINDLING_ISA
}  // namespace kindling
