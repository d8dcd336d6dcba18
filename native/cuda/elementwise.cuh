#pragma once
// The kernel and the host function of all elementwise ops. A functor F says how many inputs there
// are, their types (First, and Rest for all others) and, in `finish`, what becomes of four
// elements.

#include "core/status.h"
#include "cuda/copies.h"
#include "cuda/indexing.cuh"

namespace kindling {
namespace cuda {

/// What a functor may ask besides its operands.
struct ElementwiseContext {
  Op op;
  DType outputType;
  IndexError* errors;
};

template <class F>
__global__ void __launch_bounds__(kBlockThreads)
    elementwiseKernel(ElementwisePlan<F::inputs> plan, ElementwiseContext context) {
  const uint32_t n = plan.index.size, step = gridDim.x * blockDim.x * kLanes;
  uint32_t first = (blockIdx.x * blockDim.x + threadIdx.x) * kLanes;
  for (; first < n; first += step) {
    const uint32_t count = n - first < kLanes ? n - first : kLanes;
    typename F::First a[kLanes];
    typename F::Rest rest[F::inputs][kLanes];
    loadInputs(plan, first, count, a, rest);
    F::finish(context, plan, first, count, a, rest);
  }
}

/// The usual end: F::apply computes four elements of type Out, which are stored.
template <class F, int kInputs, typename FirstType, typename RestType, typename Out>
struct Elementwise {
  static constexpr int inputs = kInputs;
  using First = FirstType;
  using Rest = RestType;
  static __device__ __forceinline__ void finish(const ElementwiseContext& context,
                                                const ElementwisePlan<kInputs>& plan,
                                                uint32_t first, uint32_t count,
                                                const First (&a)[kLanes],
                                                const Rest (&rest)[kInputs][kLanes]) {
    Out out[kLanes];
    F::apply(context, a, rest, out);
    storeLanes(static_cast<Out*>(plan.output) + first, out, count, plan.outputVectorized);
  }
};

/// Runs F over the inputs of a call, broadcast to its output.
template <class F>
Status runElementwise(const OpCall& call) {
  constexpr int kInputs = F::inputs;
  const TensorView* views[kInputs + 1] = {&call.outputs[0]};
  const void* inputs[kInputs];
  int64_t bytes[kInputs];
  for (int k = 0; k < kInputs; ++k) {
    views[k + 1] = &call.inputs[k];
    inputs[k] = call.inputs[k].data;
    bytes[k] = elementBytes(call.inputs[k].dtype);
  }
  const ElementwiseContext context{call.op, call.outputs[0].dtype, gpu::errorSlot()};
  const auto& operands = const_cast<const TensorView* const(&)[kInputs + 1]>(views);
  return forPieces(loopOver(operands), [&](const LoopAxes<kInputs + 1>& piece) {
    const ElementwisePlan<kInputs> plan = planElementwise<kInputs>(
        piece, call.outputs[0].data, elementBytes(call.outputs[0].dtype), inputs, bytes);
    return launch(elementwiseKernel<F>, gridFor(piece.size, kBlockThreads * kLanes),
                  dim3(kBlockThreads), 0, plan, context);
  });
}

inline Status noKernel() { return fail(Status::badDtype, "no kernel for this dtype"); }

}  // namespace cuda
}  // namespace kindling
