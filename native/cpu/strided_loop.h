#pragma once
// Loops over operands of any strides. A plan holds one shape and every operand's strides for it,
// with axes merged where memory allows, so that most loops have one or two axes left.

#include <cstdint>

#include "core/tensor_view.h"
#include "cpu/parallel.h"
#include "cpu/vec.h"

namespace kindling {
namespace KINDLING_ISA {

constexpr int kMaxOperands = 9;

struct LoopPlan {
  int operands;
  int rank;  // axes left; 0 for a single element
  int64_t size;
  int64_t shape[kMaxRank];
  int64_t strides[kMaxOperands][kMaxRank];  // in elements
};

KINDLING_INLINE int64_t magnitude(int64_t x) { return x < 0 ? -x : x; }

/// Whether `axis` and the axis after it can be walked as one.
KINDLING_INLINE bool mergeable(const LoopPlan& plan, int axis) {
  for (int k = 0; k < plan.operands; ++k) {
    if (plan.strides[k][axis] != plan.strides[k][axis + 1] * plan.shape[axis + 1]) return false;
  }
  return true;
}

/// Drops axes of extent 1 and merges neighbours.
inline void simplify(LoopPlan* plan) {
  int rank = 0;
  for (int axis = 0; axis < plan->rank; ++axis) {
    if (plan->shape[axis] == 1) continue;
    plan->shape[rank] = plan->shape[axis];
    for (int k = 0; k < plan->operands; ++k) plan->strides[k][rank] = plan->strides[k][axis];
    ++rank;
    if (rank >= 2 && mergeable(*plan, rank - 2)) {
      plan->shape[rank - 2] *= plan->shape[rank - 1];
      for (int k = 0; k < plan->operands; ++k) {
        plan->strides[k][rank - 2] = plan->strides[k][rank - 1];
      }
      --rank;
    }
  }
  plan->rank = rank;
}

inline void moveAxis(LoopPlan* plan, int from, int to) {
  const int step = from < to ? 1 : -1;
  for (int axis = from; axis != to; axis += step) {
    const int64_t extent = plan->shape[axis];
    plan->shape[axis] = plan->shape[axis + step];
    plan->shape[axis + step] = extent;
    for (int k = 0; k < plan->operands; ++k) {
      const int64_t stride = plan->strides[k][axis];
      plan->strides[k][axis] = plan->strides[k][axis + step];
      plan->strides[k][axis + step] = stride;
    }
  }
}

/// The loop over shape of views[0], to which all other views broadcast (aligned at the last axis).
/// Merged, in row-major order.
inline void planLoop(LoopPlan* plan, const TensorView* const* views, int operands) {
  const TensorView& first = *views[0];
  plan->operands = operands;
  plan->rank = first.rank;
  plan->size = first.size;
  for (int axis = 0; axis < first.rank; ++axis) plan->shape[axis] = first.shape[axis];
  for (int k = 0; k < operands; ++k) {
    const TensorView& view = *views[k];
    const int missing = first.rank - view.rank;
    for (int axis = 0; axis < first.rank; ++axis) {
      const int own = axis - missing;
      plan->strides[k][axis] = own < 0 || view.shape[own] == 1 ? 0 : view.strides[own];
    }
  }
  simplify(plan);
}

/// Makes the axis along which a transposed input runs in memory the tile's row axis, so that a tile
/// uses the whole of each cache line it touches. Returns whether the last axis of any
/// input is not simply contiguous or repeated.
inline bool arrangeAxes(LoopPlan* plan, bool* transposed) {
  bool gathers = false;
  *transposed = false;
  const int last = plan->rank - 1;
  for (int k = 1; k < plan->operands; ++k) {
    const int64_t column = magnitude(plan->strides[k][last]);
    if (column <= 1 && plan->strides[k][last] >= 0) continue;
    gathers = true;
    if (*transposed) continue;
    int64_t smallest = column;
    int axis = last;
    for (int other = 0; other < last; ++other) {
      const int64_t stride = magnitude(plan->strides[k][other]);
      if (stride == 0 || stride >= smallest) continue;
      smallest = stride;
      axis = other;
    }
    if (axis == last) continue;
    *transposed = true;
    moveAxis(plan, axis, last - 1);
  }
  return gathers;
}

/// A rectangle of the last two axes: `rows` by `columns` elements from `offsets[k]` on.
struct Tile {
  int64_t offsets[kMaxOperands];
  int64_t rows, columns;
};

/// How a plan is cut into tiles. Axes before the last two are walked one by one.
struct TileGrid {
  const LoopPlan* plan;
  int64_t rows, columns;          // extents of the last two axes
  int64_t tileRows, tileColumns;  // of a full tile
  int64_t rowTiles, columnTiles, tiles;
};

inline TileGrid makeGrid(const LoopPlan& plan, int64_t tileRows, int64_t tileColumns) {
  TileGrid grid = {&plan, 1, 1, tileRows, tileColumns, 1, 1, 1};
  if (plan.rank >= 1) grid.columns = plan.shape[plan.rank - 1];
  if (plan.rank >= 2) grid.rows = plan.shape[plan.rank - 2];
  if (grid.rows < tileRows) grid.tileRows = tileRows = grid.rows;
  grid.rowTiles = (grid.rows + tileRows - 1) / tileRows;
  grid.columnTiles = (grid.columns + tileColumns - 1) / tileColumns;
  grid.tiles = grid.rowTiles * grid.columnTiles;
  for (int axis = 0; axis < plan.rank - 2; ++axis) grid.tiles *= plan.shape[axis];
  return grid;
}

KINDLING_INLINE int64_t rowStride(const LoopPlan& plan, int operand) {
  return plan.rank >= 2 ? plan.strides[operand][plan.rank - 2] : 0;
}
KINDLING_INLINE int64_t columnStride(const LoopPlan& plan, int operand) {
  return plan.rank >= 1 ? plan.strides[operand][plan.rank - 1] : 0;
}

/// Calls body(tile) for the tiles [begin, end) in order.
template <typename Body>
inline void walkTiles(const TileGrid& grid, int64_t begin, int64_t end, const Body& body) {
  const LoopPlan& plan = *grid.plan;
  const int outer = plan.rank > 2 ? plan.rank - 2 : 0;
  int64_t index[kMaxRank] = {};
  int64_t base[kMaxOperands] = {};
  int64_t rest = begin / (grid.rowTiles * grid.columnTiles);
  for (int axis = outer - 1; axis >= 0; --axis) {
    index[axis] = rest % plan.shape[axis];
    rest /= plan.shape[axis];
    for (int k = 0; k < plan.operands; ++k) base[k] += index[axis] * plan.strides[k][axis];
  }
  int64_t columnTile = begin % grid.columnTiles;
  int64_t rowTile = begin / grid.columnTiles % grid.rowTiles;
  for (int64_t t = begin; t < end; ++t) {
    const int64_t row = rowTile * grid.tileRows;
    const int64_t column = columnTile * grid.tileColumns;
    Tile tile = {};
    tile.rows = grid.rows - row < grid.tileRows ? grid.rows - row : grid.tileRows;
    tile.columns =
        grid.columns - column < grid.tileColumns ? grid.columns - column : grid.tileColumns;
    for (int k = 0; k < plan.operands; ++k) {
      tile.offsets[k] = base[k] + row * rowStride(plan, k) + column * columnStride(plan, k);
    }
    body(tile);
    if (++columnTile < grid.columnTiles) continue;
    columnTile = 0;
    if (++rowTile < grid.rowTiles) continue;
    rowTile = 0;
    for (int axis = outer - 1; axis >= 0; --axis) {
      for (int k = 0; k < plan.operands; ++k) base[k] += plan.strides[k][axis];
      if (++index[axis] < plan.shape[axis]) break;
      for (int k = 0; k < plan.operands; ++k) {
        base[k] -= plan.shape[axis] * plan.strides[k][axis];
      }
      index[axis] = 0;
    }
  }
}

/// Calls range(begin, end) for parts of the grid's tiles, in parallel where there are at least
/// 2 * grain elements.
template <typename Range>
inline void parallelTiles(const TileGrid& grid, int64_t grain, const Range& range) {
  const int64_t tileElements = grid.tileRows * grid.tileColumns;
  const int64_t tileGrain = grain / tileElements > 0 ? grain / tileElements : 1;
  parallelFor(grid.tiles, tileGrain, 1, range);
}

}  // namespace KINDLING_ISA
}  // namespace kindling
