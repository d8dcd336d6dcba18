#pragma once
// What a kernel sees of a tensor. Plain data only: this header is included by code compiled for one
// instruction set, so it must define no function that the linker could share between those objects.

#include <cstdint>

namespace kindling {

constexpr int kMaxRank = 8;

enum class DType : int32_t { float32 = 0, int32 = 1, boolean = 2 };
constexpr int kDTypeCount = 3;

struct TensorView {
  void* data;  // the first element: the view's offset is already added
  DType dtype;
  int32_t rank;
  int64_t size;  // number of elements
  int64_t shape[kMaxRank];
  int64_t strides[kMaxRank];  // in elements; 0 where an axis is broadcast
  bool contiguous;            // row-major without gaps
};

}  // namespace kindling
