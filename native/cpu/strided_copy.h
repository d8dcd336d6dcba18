#pragma once
// Copies between layouts. In parallel where large.

#include "core/tensor_view.h"

namespace kindling {
namespace KINDLING_ISA {

/// Copies `from` to `to`: one dtype; `from` broadcasts to the shape of `to`; any strides on both
/// sides, but no element of `to` may be reached twice or be an element of `from`.
void copyStrided(const TensorView& to, const TensorView& from);

/// Sets every byte of a contiguous tensor to 0.
void fillZero(const TensorView& to);

}  // namespace KINDLING_ISA
}  // namespace kindling
