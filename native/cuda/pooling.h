#pragma once
// What pooling and resampling share: the planes of a tensor [batch, channels, spatial axes …].

#include <cstdint>

#include "core/op_call.h"
#include "cuda/gpu.h"

namespace kindling {
namespace cuda {
namespace pooling {

/// The last three axes as extents; 1 for those that the tensor lacks.
struct Planes {
  int64_t count;  // batch times channels
  int64_t extents[3];
  int64_t size;  // elements of one
};

inline Planes planesOf(const TensorView& view) {
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
__host__ __device__ __forceinline__ int64_t adaptiveBegin(int64_t i, int64_t in, int64_t out) {
  return i * in / out;
}
__host__ __device__ __forceinline__ int64_t adaptiveEnd(int64_t i, int64_t in, int64_t out) {
  return ((i + 1) * in + out - 1) / out;
}

}  // namespace pooling
}  // namespace cuda
}  // namespace kindling
