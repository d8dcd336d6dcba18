#pragma once
// Temporary memory of a kernel, from the caching allocator: after the first call it is a warm
// block.

#include <cstddef>
#include <cstdint>

#include "core/allocator.h"
#include "core/tensor_view.h"
#include "cpu/strided_copy.h"

namespace kindling {
namespace KINDLING_ISA {
namespace {

class Scratch {
 public:
  explicit Scratch(size_t bytes) : data_(bytes ? allocate(bytes) : nullptr), bytes_(bytes) {}
  ~Scratch() {
    if (data_) deallocate(data_, bytes_);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  /// Whether the memory asked for is there.
  bool ok() const { return bytes_ == 0 || data_ != nullptr; }
  template <typename T>
  T* as() const {
    return static_cast<T*>(data_);
  }

 private:
  void* data_;
  size_t bytes_;
};

/// A view as a row-major one: itself, or a copy that lives as long as this object.
class Contiguous {
 public:
  explicit Contiguous(const TensorView& view) : Contiguous(view, !view.contiguous) {}

  /// Always a copy, whatever the layout.
  static Contiguous copyOf(const TensorView& view) { return Contiguous(view, true); }

  bool ok() const { return scratch_.ok(); }
  const TensorView& view() const { return view_; }
  const float* floats() const { return as<float>(); }
  template <typename T>
  const T* as() const {
    return static_cast<const T*>(view_.data);
  }

 private:
  Contiguous(const TensorView& view, bool copies)
      : scratch_(copies ? static_cast<size_t>(view.size * kDTypeBytes[static_cast<int>(view.dtype)])
                        : 0),
        view_(view) {
    if (!copies || !scratch_.ok()) return;
    view_.data = scratch_.as<void>();
    int64_t stride = 1;
    for (int axis = view.rank - 1; axis >= 0; --axis) {
      view_.strides[axis] = stride;
      stride *= view.shape[axis];
    }
    view_.contiguous = true;
    copyStrided(view_, view);
  }

  Scratch scratch_;
  TensorView view_;
};

}  // namespace
}  // namespace KINDLING_ISA
}  // namespace kindling
