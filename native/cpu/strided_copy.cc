#include "cpu/strided_copy.h"

#include "cpu/strided_loop.h"
#include "cpu/tile_copy.h"

namespace kindling {
namespace KINDLING_ISA {

namespace {

constexpr int64_t kGrainBytes = int64_t{1} << 18;
constexpr int64_t kTransposedGrain = int64_t{1} << 15;  // in elements

void copyContiguous(const TensorView& to, const TensorView& from) {
  const int64_t bytes = to.size * elementBytes(to.dtype);
  parallelFor(bytes, kGrainBytes, 64, [&](int64_t begin, int64_t end) {
    memcpy(static_cast<char*>(to.data) + begin, static_cast<const char*>(from.data) + begin,
           static_cast<size_t>(end - begin));
  });
}

/// Orders the axes by the destination's strides, the smallest last, and makes these positive, so
/// that memory is written front to back. Returns the offset that the reversed axes add per operand.
void followDestination(LoopPlan* plan, int64_t* offsets) {
  for (int axis = 0; axis < plan->rank; ++axis) {
    if (plan->strides[0][axis] >= 0) continue;
    for (int k = 0; k < plan->operands; ++k) {
      offsets[k] += plan->strides[k][axis] * (plan->shape[axis] - 1);
      plan->strides[k][axis] = -plan->strides[k][axis];
    }
  }
  for (int sorted = 1; sorted < plan->rank; ++sorted) {
    int place = sorted;
    while (place > 0 && plan->strides[0][place - 1] < plan->strides[0][sorted]) --place;
    moveAxis(plan, sorted, place);
  }
  simplify(plan);
}

template <typename T>
void copyTiles(const TileGrid& grid, int64_t grain, T* to, const T* from) {
  const LoopPlan& plan = *grid.plan;
  parallelTiles(grid, grain, [&](int64_t begin, int64_t end) {
    walkTiles(grid, begin, end, [&](const Tile& tile) {
      copyTile(to + tile.offsets[0], rowStride(plan, 0), columnStride(plan, 0),
               from + tile.offsets[1], rowStride(plan, 1), columnStride(plan, 1), tile.rows,
               tile.columns);
    });
  });
}

}  // namespace

void copyStrided(const TensorView& to, const TensorView& from) {
  if (to.size == 0) return;
  if (to.contiguous && from.contiguous && to.size == from.size) return copyContiguous(to, from);
  const TensorView* views[] = {&to, &from};
  LoopPlan plan;
  planLoop(&plan, views, 2);
  int64_t offsets[2] = {};
  followDestination(&plan, offsets);
  bool transposed = false;
  if (plan.rank > 0) arrangeAxes(&plan, &transposed);

  // A tile of a transposed copy stays in the first-level cache and within few pages.
  const int64_t columns = plan.rank > 0 ? plan.shape[plan.rank - 1] : 1;
  const int64_t elements = transposed ? 4096 : 16384;
  const int64_t rows = transposed && plan.rank > 1 ? plan.shape[plan.rank - 2] : 1;
  int64_t widest = elements;
  if (transposed) widest = rows < 64 ? elements / rows : 64;
  const int64_t tileColumns = columns < widest ? columns : widest;
  const TileGrid grid = makeGrid(plan, elements / tileColumns, tileColumns);
  const int64_t grain = transposed ? kTransposedGrain : kGrainBytes / elementBytes(to.dtype);
  withElement(to.dtype, [&](auto element) {
    using T = decltype(element);
    copyTiles(grid, grain, static_cast<T*>(to.data) + offsets[0],
              static_cast<const T*>(from.data) + offsets[1]);
  });
}

void fillZero(const TensorView& to) {
  parallelFor(to.size * elementBytes(to.dtype), kGrainBytes, 64, [&](int64_t begin, int64_t end) {
    memset(static_cast<char*>(to.data) + begin, 0, static_cast<size_t>(end - begin));
  });
}

}  // namespace KINDLING_ISA
}  // namespace kindling
