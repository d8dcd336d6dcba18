#pragma once
// The shape rules of convolution, pooling and resampling; part of validate.cc's.

#include "core/op_call.h"

namespace kindling {

Status checkConvolution(const OpCall& call);
Status checkPooling(const OpCall& call);

}  // namespace kindling
