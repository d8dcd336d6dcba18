#pragma once
// The driver of all elementwise ops: brings inputs of any layout to runs of contiguous elements and
// calls the op's loop on each run.

#include "core/op_call.h"

namespace kindling {
namespace KINDLING_ISA {

/// Computes n > 0 elements. Bit k of `repeated`: input k is a single element, used n times.
using RunLoop = void (*)(void* out, const void* const* inputs, uint32_t repeated, int64_t n);

constexpr int kMaxElementwiseInputs = 8;

/// The grain of an op that is done before its operands have come from memory.
constexpr int64_t kCheapGrain = 49152;

/// Work below 2 * grain elements stays on the calling thread, or below half a grain while workers
/// are awake.
Status runElementwise(const OpCall& call, int inputs, RunLoop loop, int64_t grain);

/// The loop of an op over float32 (the first input of `where` is bool); for fused chains.
struct FloatLoop {
  int inputs = 0;
  RunLoop run = nullptr;
};
void setFloatLoop(Op op, FloatLoop loop);
FloatLoop floatLoop(int32_t op);

/// Several elementwise ops in one pass over memory; see native/cpu/fused.cc.
class FusedLoop;
Status runFused(const OpCall& call, int inputs, const FusedLoop& loop, int64_t grain);

void registerUnary(Kernel* kernels);
void registerBinary(Kernel* kernels);
void registerFused(Kernel* kernels);

}  // namespace KINDLING_ISA
}  // namespace kindling
