#pragma once
// An op record: what the binding (eager) and the program executor (compiled) hand to a backend.
// Plain data only, see tensor_view.h.

#include <cstdint>

#include "core/status.h"
#include "core/tensor_view.h"

namespace kindling {

enum class Op : int32_t {
#define KINDLING_OP(name, kind, inputs, outputs, ints, floats, dtypes) name,
#include "core/ops.def"
#undef KINDLING_OP
  count_
};
constexpr int kOpCount = static_cast<int>(Op::count_);

constexpr int kMaxInputs = 12;
constexpr int kMaxOutputs = 5;
constexpr int kMaxInts = 24;
constexpr int kMaxFloats = 8;

struct OpCall {
  Op op;
  TensorView inputs[kMaxInputs];
  TensorView outputs[kMaxOutputs];  // contiguous and allocated by the caller
  int32_t ints[kMaxInts];
  double floats[kMaxFloats];
};

using Kernel = Status (*)(const OpCall& call);

}  // namespace kindling
