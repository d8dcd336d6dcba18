// A chain of elementwise ops in one pass over memory: every operand is loaded once, all loads under
// way together, and an interpreter goes through the chain for four elements of each thread. The
// chain is a kernel argument, so that its words come from the constant cache; values that are
// needed later than by the next instruction lie in shared memory, each thread in a column of its
// own.

#include "cuda/binary_ops.cuh"
#include "cuda/copies.h"
#include "cuda/fused_code.h"
#include "cuda/kernel_table.h"

namespace kindling {
namespace cuda {

struct FusedOutputs {
  float* data[kFusedResults];
  bool vectorized;
};

/// What the threads of a block keep: registers[number][thread].
struct FusedRegisters {
  Four<float>* column;
  uint32_t pitch;
  __device__ __forceinline__ void get(int number, float (&to)[kLanes]) const {
    loadFour(column[static_cast<uint32_t>(number) * pitch].lane, to);
  }
  __device__ __forceinline__ void put(int number, const float (&from)[kLanes]) const {
    storeFour(column[static_cast<uint32_t>(number) * pitch].lane, from);
  }
};

__device__ __forceinline__ float loadFused(const void* data, bool isBool, int32_t at) {
  return isBool ? static_cast<float>(static_cast<const uint8_t*>(data)[at])
                : static_cast<const float*>(data)[at];
}

/// All operands for four positions, into their registers.
__device__ __forceinline__ void loadFusedOperands(const ElementwisePlan<kFusedOperands>& plan,
                                                  const FusedCode& chain, uint32_t first,
                                                  uint32_t count, const FusedRegisters& registers) {
  float values[kFusedOperands][kLanes];
  int32_t at[kFusedOperands];
  if (plan.access == Access::strided) {
#pragma unroll
    for (uint32_t lane = 0; lane < kLanes; ++lane) {
      plan.index.offsets(first + (lane < count ? lane : 0), at);
#pragma unroll
      for (int k = 0; k < kFusedOperands; ++k) {
        if (chain.used >> k & 1) {
          values[k][lane] = loadFused(plan.inputs[k], chain.bools >> k & 1, at[k]);
        }
      }
    }
  } else {
    const bool isDense = plan.access == Access::dense;
    if (!isDense) plan.index.offsets(first, at);
#pragma unroll
    for (int k = 0; k < kFusedOperands; ++k) {
      if (!(chain.used >> k & 1)) continue;
      const bool repeated = plan.repeated >> k & 1;
      const int64_t offset = !isDense ? at[k] : repeated ? 0 : static_cast<int64_t>(first);
      if (chain.bools >> k & 1) {
        uint8_t flags[kLanes];
        loadLanes(plan.inputs[k], offset, repeated, count, plan.inputsVectorized, flags);
#pragma unroll
        for (int lane = 0; lane < kLanes; ++lane) values[k][lane] = flags[lane];
      } else {
        loadLanes(plan.inputs[k], offset, repeated, count, plan.inputsVectorized, values[k]);
      }
    }
  }
#pragma unroll
  for (int k = 0; k < kFusedOperands; ++k) {
    if (chain.used >> k & 1) registers.put(chain.operandRegister[k], values[k]);
  }
}

__device__ __forceinline__ void readFusedSource(const FusedCode& chain, uint8_t source,
                                                const FusedRegisters& registers,
                                                const float (&previous)[kLanes],
                                                float (&to)[kLanes]) {
  if (source == kFusedPrevious) {
#pragma unroll
    for (int lane = 0; lane < kLanes; ++lane) to[lane] = previous[lane];
  } else if (source >= kFusedFirstConstant) {
    const float value = chain.constants[source - kFusedFirstConstant];
#pragma unroll
    for (int lane = 0; lane < kLanes; ++lane) to[lane] = value;
  } else {
    registers.get(source, to);
  }
}

__device__ __forceinline__ void applyFused(Op op, const float (&a)[kLanes],
                                           const float (&b)[kLanes], const float (&c)[kLanes],
                                           float (&out)[kLanes]) {
  if (binary::applyCheap(op, a, b, out) || unary::applyCheap(op, a, out) ||
      unary::applyExponential(op, a, out) || unary::applyTrigonometric(op, a, out)) {
    return;
  }
  if (op == Op::atan2) {
    binary::each<binary::Atan2>(a, b, out);
    return;
  }
  // where
#pragma unroll
  for (int lane = 0; lane < kLanes; ++lane) out[lane] = a[lane] != 0.0f ? b[lane] : c[lane];
}

__global__ void __launch_bounds__(kBlockThreads)
    fusedKernel(ElementwisePlan<kFusedOperands> plan, FusedCode chain, FusedOutputs outputs) {
  GPU_DYNAMIC_SHARED(memory);
  const FusedRegisters registers{reinterpret_cast<Four<float>*>(memory) + threadIdx.x, blockDim.x};
  const uint32_t n = plan.index.size, step = gridDim.x * blockDim.x * kLanes;
  uint32_t first = (blockIdx.x * blockDim.x + threadIdx.x) * kLanes;
  for (; first < n; first += step) {
    const uint32_t count = n - first < kLanes ? n - first : kLanes;
    loadFusedOperands(plan, chain, first, count, registers);
    float previous[kLanes] = {};
    for (int i = 0; i < chain.instructions; ++i) {
      const FusedInstruction instruction = chain.code[i];
      float a[kLanes], b[kLanes] = {}, c[kLanes] = {}, out[kLanes] = {};
      readFusedSource(chain, instruction.sources[0], registers, previous, a);
      if (instruction.inputs > 1) {
        readFusedSource(chain, instruction.sources[1], registers, previous, b);
      }
      if (instruction.inputs > 2) {
        readFusedSource(chain, instruction.sources[2], registers, previous, c);
      }
      applyFused(static_cast<Op>(instruction.op), a, b, c, out);
      if (instruction.target != kFusedNowhere) registers.put(instruction.target, out);
      if (instruction.result != kFusedNowhere) {
        storeLanes(outputs.data[instruction.result] + first, out, count, outputs.vectorized);
      }
#pragma unroll
      for (int lane = 0; lane < kLanes; ++lane) previous[lane] = out[lane];
    }
  }
}

namespace {

Status launchFused(const LoopAxes<kFusedOperands + 1>& piece, const OpCall& call,
                   const FusedCode& code) {
  const void* inputs[kFusedOperands];
  int64_t bytes[kFusedOperands];
  for (int k = 0; k < kFusedOperands; ++k) {
    const bool exists = k < code.operands;
    inputs[k] = exists ? call.inputs[1 + k].data : call.outputs[0].data;
    bytes[k] = exists ? elementBytes(call.inputs[1 + k].dtype) : 4;
  }
  const auto plan = planElementwise<kFusedOperands>(piece, call.outputs[0].data, 4, inputs, bytes);
  FusedOutputs outputs;
  outputs.vectorized = true;
  for (int k = 0; k < kFusedResults; ++k) {
    const TensorView& result = call.outputs[k < code.results ? k : 0];
    outputs.data[k] = static_cast<float*>(result.data) + piece.start[0];
    outputs.vectorized = outputs.vectorized && isAlignedForFour<float>(outputs.data[k]);
  }
  // 24 registers at most: those of half a block then fit what every device gives.
  const int threads = code.registers > 12 ? kBlockThreads / 2 : kBlockThreads;
  const size_t shared =
      static_cast<size_t>(code.registers) * static_cast<size_t>(threads) * sizeof(Four<float>);
  return launch(fusedKernel, gridFor(piece.size, threads * kLanes), dim3(threads), shared, plan,
                code, outputs);
}

Status fused(const OpCall& call) {
  // The code is in host memory on every device.
  const TensorView& words = call.inputs[0];
  uint32_t bools = 0;
  for (int k = 0; k < kFusedOperands; ++k) {
    if (call.inputs[1 + k].dtype == DType::boolean) bools |= 1u << k;
  }
  FusedCode code;
  if (!readFusedCode(static_cast<const int32_t*>(words.data), words.size, bools, &code)) {
    return fail(Status::badArgument, "fused: the code is broken");
  }
  TensorView single = {};
  single.size = 1;
  const TensorView* views[kFusedOperands + 1] = {&call.outputs[0]};
  for (int k = 0; k < kFusedOperands; ++k) {
    views[1 + k] = k < code.operands ? &call.inputs[1 + k] : &single;
  }
  const auto& operands = const_cast<const TensorView* const(&)[kFusedOperands + 1]>(views);
  return forPieces(loopOver(operands), [&](const LoopAxes<kFusedOperands + 1>& piece) {
    return launchFused(piece, call, code);
  });
}

}  // namespace

void registerFused(Kernel* kernels) { kernels[static_cast<int>(Op::fused)] = fused; }

}  // namespace cuda
}  // namespace kindling
