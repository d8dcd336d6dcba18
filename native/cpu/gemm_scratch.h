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
  template <typename T>
  T* take(int64_t count) {
    const size_t bytes = static_cast<size_t>(count) * sizeof(T);
    if (bytes <= sizeof(small_)) return reinterpret_cast<T*>(small_);
    bytes_ = bytes;
    data_ = allocate(bytes_);
    return static_cast<T*>(data_);
  }

 private:
  alignas(kAlignment) unsigned char small_[32768];
  void* data_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace KINDLING_ISA
}  // namespace kindling
