#pragma once
// Copies between views, for the host functions of all families.

#include "core/status.h"
#include "core/tensor_view.h"
#include "cuda/runtime.h"

namespace kindling {
namespace cuda {

inline int64_t elementBytes(DType dtype) { return kDTypeBytes[static_cast<int>(dtype)]; }

/// Copies `source` to `target`, views of one shape and dtype with any strides, that do not overlap.
/// With a `guard`, the error slot, nothing is written once an error is there: for ops in place.
Status copyView(const TensorView& target, const TensorView& source,
                const IndexError* guard = nullptr);

/// `view` itself where it is contiguous, else a copy of it in `scratch`, which must live as long as
/// the result is used by launches.
Status makeContiguous(const TensorView& view, DeviceScratch& scratch, TensorView* result);

/// The same, but always a copy: what is read stays as it was when `view` is overwritten.
Status copyToScratch(const TensorView& view, DeviceScratch& scratch, TensorView* result);

/// Converts the elements of `source` to the dtype of `target`, which is contiguous (unary.cu).
Status castView(const TensorView& target, const TensorView& source);

/// Clears a contiguous view.
Status fillZero(const TensorView& view);

}  // namespace cuda
}  // namespace kindling
