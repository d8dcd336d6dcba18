#pragma once
// The axes of a reduction, sorted by kind: those the output keeps and those that are reduced.

#include <cstdint>

#include "core/tensor_view.h"
#include "cpu/vec.h"

namespace kindling {
namespace KINDLING_ISA {
namespace {

/// Some axes of a tensor, neighbours merged where memory allows.
struct Axes {
  int rank = 0;
  int64_t count = 1;  // positions: the product of the extents
  int64_t shape[kMaxRank];
  int64_t strides[kMaxRank];

  void add(int64_t extent, int64_t stride) {
    count *= extent;
    if (extent == 1) return;
    if (rank > 0 && strides[rank - 1] == stride * extent) {
      shape[rank - 1] *= extent;
      strides[rank - 1] = stride;
      return;
    }
    shape[rank] = extent;
    strides[rank++] = stride;
  }

  bool innerIsContiguous() const { return rank > 0 && strides[rank - 1] == 1; }
  /// The extent of the last axis.
  int64_t inner() const { return rank > 0 ? shape[rank - 1] : 1; }

  /// The offset of position `index` in row-major order, the last `skip` axes left out.
  KINDLING_INLINE int64_t offset(int64_t index, int skip) const {
    if (rank <= skip) return 0;
    int64_t result = 0;
    for (int axis = rank - 1 - skip; axis > 0; --axis) {
      result += index % shape[axis] * strides[axis];
      index /= shape[axis];
    }
    return result + index * strides[0];
  }
};

struct Box {
  Axes kept;     // in the output's order
  Axes reduced;  // in the order of memory
  int64_t start = 0;
};

/// The order of the reduced axes does not matter, nor the direction in which they are walked: they
/// are sorted so that as many as possible merge.
Box makeBox(const TensorView& view, uint32_t mask) {
  Box box;
  int64_t shape[kMaxRank], strides[kMaxRank];
  int rank = 0;
  for (int axis = 0; axis < view.rank; ++axis) {
    const int64_t extent = view.shape[axis];
    int64_t stride = view.strides[axis];
    if (!(mask >> axis & 1)) {
      box.kept.add(extent, stride);
      continue;
    }
    if (stride < 0) {
      box.start += stride * (extent - 1);
      stride = -stride;
    }
    int at = rank++;
    // Repeated axes (stride 0) go first.
    for (; at > 0 && strides[at - 1] != 0 && (stride == 0 || strides[at - 1] < stride); --at) {
      shape[at] = shape[at - 1];
      strides[at] = strides[at - 1];
    }
    shape[at] = extent;
    strides[at] = stride;
  }
  for (int axis = 0; axis < rank; ++axis) box.reduced.add(shape[axis], strides[axis]);
  return box;
}

}  // namespace
}  // namespace KINDLING_ISA
}  // namespace kindling
