#pragma once
// Memory for packed operands.

#include <cstddef>
#include <cstdint>

#include "core/allocator.h"

namespace kindling {
namespace KINDLING_ISA {

/// Memory of one call: a little on the stack, more from the cache of the allocator.
class Scratch {
 public:
  Scratch() = default;
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() {
    if (data_) deallocate(data_, bytes_);
  }

  /// nullptr where memory ran out. One call per object.
  float* take(int64_t floats) {
    if (floats <= kSmallScratch) return small_;
    bytes_ = static_cast<size_t>(floats) * sizeof(float);
    data_ = allocate(bytes_);
    return static_cast<float*>(data_);
  }

 private:
  static constexpr int64_t kSmallScratch = 8192;  // floats
  alignas(kAlignment) float small_[kSmallScratch];
  void* data_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace KINDLING_ISA
}  // namespace kindling
