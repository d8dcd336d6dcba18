#pragma once
// Several steps of one optimizer in one launch, for the executor of compiled steps.

#include "core/op_call.h"

namespace kindling {
namespace cuda {

/// Whether two records are steps of one optimizer with the same dtype and attributes, so that
/// stepTogether may run them side by side. Their parameters must be different tensors.
bool stepsJoin(const OpCall& a, const OpCall& b);

/// Runs steps that all join, as if one after the other. Few launches for many parameters.
Status stepTogether(const OpCall* const* calls, int count);

}  // namespace cuda
}  // namespace kindling
