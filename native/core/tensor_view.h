#pragma once
// What a kernel sees of a tensor. Plain data only: this header is included by code compiled for one
// instruction set, so it must define no function that the linker could share between those objects.

#include <cstdint>

namespace kindling {

constexpr int kMaxRank = 8;

enum class DType : int32_t {
  float32 = 0,
  int32 = 1,
  boolean = 2,  // one byte, 0 or 1
  float64 = 3,
  int64 = 4,
  uint8 = 5,
  float16 = 6,   // IEEE binary16; storage only: arithmetic happens in float32
  bfloat16 = 7,  // the upper half of a float32; storage only
};
constexpr int kDTypeCount = 8;
constexpr int kDTypeBytes[kDTypeCount] = {4, 4, 1, 8, 8, 1, 2, 2};

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
