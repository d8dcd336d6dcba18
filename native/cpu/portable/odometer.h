#pragma once
// Walks the positions of some axes in row-major order, with an offset for each of several operands.

#include <cstdint>

#include "core/tensor_view.h"

namespace kindling {
namespace {

template <int operands>
struct Odometer {
  int rank = 0;
  int64_t count = 1;
  int64_t shape[kMaxRank];
  int64_t strides[operands][kMaxRank];
  int64_t index[kMaxRank] = {};
  int64_t offsets[operands] = {};

  void add(int64_t extent, const int64_t (&steps)[operands]) {
    shape[rank] = extent;
    for (int k = 0; k < operands; ++k) strides[k][rank] = steps[k];
    ++rank;
    count *= extent;
  }

  void seek(int64_t position) {
    for (int k = 0; k < operands; ++k) offsets[k] = 0;
    for (int axis = rank - 1; axis >= 0; --axis) {
      index[axis] = position % shape[axis];
      position /= shape[axis];
      for (int k = 0; k < operands; ++k) offsets[k] += index[axis] * strides[k][axis];
    }
  }

  void next() {
    for (int axis = rank - 1; axis >= 0; --axis) {
      for (int k = 0; k < operands; ++k) offsets[k] += strides[k][axis];
      if (++index[axis] < shape[axis]) return;
      for (int k = 0; k < operands; ++k) offsets[k] -= shape[axis] * strides[k][axis];
      index[axis] = 0;
    }
  }
};

}  // namespace
}  // namespace kindling
