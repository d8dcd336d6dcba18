#pragma once
// What pooling and resampling share: the planes of a tensor [batch, channels, spatial axes …].

#include <cstdint>

#include "core/op_call.h"
#include "cpu/vec.h"

namespace kindling {
namespace KINDLING_ISA {

/// The last three axes as extents; 1 for those that the tensor lacks.
struct Planes {
  int64_t count;  // batch times channels
  int64_t extents[3];
  int64_t size;  // elements of one
};

KINDLING_INLINE Planes planesOf(const TensorView& view) {
  Planes planes;
  planes.count = view.shape[0] * view.shape[1];
  planes.size = 1;
  for (int axis = 0; axis < 3; ++axis) {
    const int at = view.rank - 3 + axis;
    planes.extents[axis] = at >= 2 ? view.shape[at] : 1;
    planes.size *= planes.extents[axis];
  }
  return planes;
}

/// Adaptive pooling's windows: position i of `out` covers [floor(i·in/out), ceil((i+1)·in/out)).
KINDLING_INLINE int64_t adaptiveBegin(int64_t i, int64_t in, int64_t out) { return i * in / out; }
KINDLING_INLINE int64_t adaptiveEnd(int64_t i, int64_t in, int64_t out) {
  return ((i + 1) * in + out - 1) / out;
}

}  // namespace KINDLING_ISA
}  // namespace kindling
