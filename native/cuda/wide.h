#pragma once
// Copies move plain bits, several elements at once where memory allows.

#include <cstdint>
#include <initializer_list>

#include "cuda/indexing.cuh"

namespace kindling {
namespace cuda {

/// Calls body with a value of a type as wide as `bytes`: 1, 2, 4, 8 or 16.
template <typename Body>
Status byWidth(int64_t bytes, const Body& body) {
  switch (bytes) {
    case 1:
      return body(uint8_t());
    case 2:
      return body(uint16_t());
    case 4:
      return body(uint32_t());
    case 8:
      return body(uint2());
    default:
      return body(uint4());
  }
}

/// Where the last axis is contiguous on both sides of a copy of elements of `bytes`, several
/// elements are made one: the widest, of up to 16 bytes, that fits the last axis, the addresses,
/// the other strides and `otherStrides`. Gives its bytes.
inline int64_t widen(LoopAxes<2>* axes, const void* target, const void* source, int64_t bytes,
                     std::initializer_list<int64_t> otherStrides = {}) {
  if (axes->rank == 0 || axes->innerStride(0) != 1 || axes->innerStride(1) != 1) return bytes;
  const int last = axes->rank - 1;
  const uint64_t addresses =
      reinterpret_cast<uintptr_t>(target) | reinterpret_cast<uintptr_t>(source);
  const auto fits = [&](int64_t width) {
    const int64_t elements = width / bytes;
    bool divides =
        axes->shape[last] % elements == 0 && addresses % static_cast<uint64_t>(width) == 0;
    for (int axis = 0; axis < last; ++axis) {
      divides = divides && axes->strides[0][axis] % elements == 0 &&
                axes->strides[1][axis] % elements == 0;
    }
    for (const int64_t stride : otherStrides) divides = divides && stride % elements == 0;
    return divides;
  };
  int64_t width = 16;
  while (width > bytes && !fits(width)) width /= 2;
  const int64_t elements = width / bytes;
  axes->shape[last] /= elements;
  axes->size /= elements;
  for (int axis = 0; axis < last; ++axis) {
    axes->strides[0][axis] /= elements;
    axes->strides[1][axis] /= elements;
  }
  return width;
}

}  // namespace cuda
}  // namespace kindling
