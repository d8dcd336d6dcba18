// Rows by number: indexSelect and its transpose, indexAdd.

#include <cinttypes>

#include "cpu/kernel_table.h"
#include "cpu/parallel.h"
#include "cpu/strided_copy.h"
#include "cpu/strided_loop.h"
#include "cpu/tile_copy.h"

namespace kindling {
namespace KINDLING_ISA {

namespace {

constexpr int64_t kGrainBytes = int64_t{1} << 16;

KINDLING_INLINE int64_t indexAt(const TensorView& index, int64_t i) {
  return static_cast<const int32_t*>(index.data)[i * index.strides[0]];
}

/// Before anything is written, and on the calling thread, whose message it is.
Status checkIndex(const char* op, const TensorView& index, int64_t rows) {
  for (int64_t i = 0; i < index.size; ++i) {
    const int64_t row = indexAt(index, i);
    if (row < 0 || row >= rows) {
      return fail(Status::indexOutOfRange,
                  "%s: index %" PRId64 " at position %" PRId64 " is outside [0, %" PRId64 ")", op,
                  row, i, rows);
    }
  }
  return Status::ok;
}

/// One row of a tensor, as a tensor of rank - 1.
TensorView rowOf(const TensorView& tensor, int64_t row) {
  TensorView view = tensor;
  view.data =
      static_cast<char*>(tensor.data) + row * tensor.strides[0] * elementBytes(tensor.dtype);
  view.rank = tensor.rank - 1;
  view.size = 1;
  for (int axis = 0; axis < view.rank; ++axis) {
    view.shape[axis] = tensor.shape[axis + 1];
    view.strides[axis] = tensor.strides[axis + 1];
    view.size *= view.shape[axis];
  }
  view.contiguous = false;
  return view;
}

/// A row's layout with its axes merged. Rank 0 or 1 for all but unusual views.
LoopPlan planRow(const TensorView& tensor) {
  const TensorView row = rowOf(tensor, 0);
  const TensorView* views[] = {&row};
  LoopPlan plan;
  planLoop(&plan, views, 1);
  return plan;
}

bool isDense(const LoopPlan& row) {
  return row.rank == 0 || (row.rank == 1 && row.strides[0][0] == 1);
}

template <typename T>
void selectDenseRows(const OpCall& call, int64_t rowSize) {
  const TensorView& x = call.inputs[0];
  const TensorView& index = call.inputs[1];
  const T* from = static_cast<const T*>(x.data);
  T* to = static_cast<T*>(call.outputs[0].data);
  constexpr int64_t kAheadBytes = 2048;  // in flight
  const int64_t bytes = rowSize * int64_t{sizeof(T)};
  const int64_t ahead = kAheadBytes / bytes + 1;
  const int64_t fetched = bytes < kAheadBytes ? bytes : kAheadBytes;
  const int64_t grain = kGrainBytes / bytes + 1;
  parallelForPromptly(index.size, grain, 1, [&](int64_t begin, int64_t end) {
    if (rowSize == 1) {
      for (int64_t i = begin; i < end; ++i) to[i] = from[indexAt(index, i) * x.strides[0]];
      return;
    }
    const auto rowAt = [&](int64_t i) { return from + indexAt(index, i) * x.strides[0]; };
    for (int64_t i = begin; i < end; ++i) {
      // In any order, as rows are, no hardware foresees them.
      const char* const coming =
          reinterpret_cast<const char*>(i + ahead < end ? rowAt(i + ahead) : from);
      for (int64_t at = 0; at < fetched; at += 64) __builtin_prefetch(coming + at, 0, 3);
      copyRun(to + i * rowSize, rowAt(i), rowSize);
    }
  });
}

Status indexSelect(const OpCall& call) {
  const TensorView& x = call.inputs[0];
  const TensorView& index = call.inputs[1];
  const TensorView& out = call.outputs[0];
  const Status inside = checkIndex("indexSelect", index, x.shape[0]);
  if (inside != Status::ok || out.size == 0) return inside;
  const LoopPlan row = planRow(x);
  if (!isDense(row)) {
    for (int64_t i = 0; i < index.size; ++i) {
      copyStrided(rowOf(out, i), rowOf(x, indexAt(index, i)));
    }
  } else {
    withElement(x.dtype, [&](auto element) { selectDenseRows<decltype(element)>(call, row.size); });
  }
  return Status::ok;
}

/// to[i] += from[i * stride]
template <class V>
KINDLING_INLINE void addRun(typename V::Scalar* to, const typename V::Scalar* from, int64_t stride,
                            int64_t n) {
  if (stride != 1) {
    for (int64_t i = 0; i < n; ++i) to[i] += from[i * stride];
    return;
  }
  int64_t i = 0;
  for (; i + V::width <= n; i += V::width) {
    (V::load(to + i) + V::load(from + i)).store(to + i);
  }
  if (i < n) {
    const int rest = static_cast<int>(n - i);
    (V::loadPartial(to + i, rest) + V::loadPartial(from + i, rest)).storePartial(to + i, rest);
  }
}

/// Rows of any layout, one axis at a time.
template <class V>
void addStridedRow(typename V::Scalar* to, const typename V::Scalar* from, const LoopPlan& row) {
  const TileGrid grid = makeGrid(row, 1, row.shape[row.rank - 1]);
  walkTiles(grid, 0, grid.tiles, [&](const Tile& tile) {
    addRun<V>(to, from + tile.offsets[0], columnStride(row, 0), tile.columns);
    to += tile.columns;
  });
}

template <class V>
Status indexAdd(const OpCall& call) {
  using T = typename V::Scalar;
  const TensorView& grad = call.inputs[0];
  const TensorView& index = call.inputs[1];
  const TensorView& out = call.outputs[0];
  const Status inside = checkIndex("indexAdd", index, out.shape[0]);
  if (inside != Status::ok) return inside;
  fillZero(out);
  if (grad.size == 0) return Status::ok;
  const LoopPlan row = planRow(grad);
  const T* from = static_cast<const T*>(grad.data);
  T* to = static_cast<T*>(out.data);
  if (row.rank > 1) {
    for (int64_t i = 0; i < index.size; ++i) {
      addStridedRow<V>(to + indexAt(index, i) * row.size, from + i * grad.strides[0], row);
    }
    return Status::ok;
  }
  // Parts take columns, not rows: equal indices are then added in the order of the index.
  const int64_t stride = columnStride(row, 0);
  const int64_t grain = kGrainBytes / 4 / index.size + VecF::width;
  parallelFor(row.size, grain, VecF::width, [&](int64_t begin, int64_t end) {
    for (int64_t i = 0; i < index.size; ++i) {
      addRun<V>(to + indexAt(index, i) * row.size + begin,
                from + i * grad.strides[0] + begin * stride, stride, end - begin);
    }
  });
  return Status::ok;
}

/// Rows of a contiguous destination overwritten.
Status assignRows(const OpCall& call) {
  const TensorView& target = call.inputs[0];
  const TensorView& index = call.inputs[1];
  const TensorView& rows = call.inputs[2];
  const Status inside = checkIndex("assignRows", index, target.shape[0]);
  if (inside != Status::ok) return inside;
  for (int64_t i = 0; i < index.size; ++i) {
    copyStrided(rowOf(target, indexAt(index, i)), rowOf(rows, i));
  }
  return Status::ok;
}

}  // namespace

void registerIndexing(Kernel* kernels) {
  kernels[static_cast<int>(Op::indexSelect)] = indexSelect;
  kernels[static_cast<int>(Op::assignRows)] = assignRows;
  kernels[static_cast<int>(Op::indexAdd)] = [](const OpCall& call) {
    return byNumber(call, call.inputs[0].dtype, indexAdd<VecF>, indexAdd<VecI>, indexAdd<VecD>,
                    indexAdd<VecL>, indexAdd<VecU>);
  };
}

}  // namespace KINDLING_ISA
}  // namespace kindling
