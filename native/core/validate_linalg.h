#pragma once
// The shape rules of the linear algebra and Fourier ops, for validate.cc.

#include "core/op_call.h"

namespace kindling {

Status checkLinalg(const OpCall& call);
Status checkFft(const OpCall& call);

}  // namespace kindling
