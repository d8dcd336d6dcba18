// Recurrent layers over a whole sequence: LSTM, GRU and the plain RNN, forward. The inputs'
// projections come from one product outside. Few rows go through all steps in one launch, with the
// recurrent weights on the chip; for many, each step is one product and one pass over the gates.

#include "cuda/recurrent.cuh"

#include "cuda/gemm.h"
#include "cuda/kernel_table.h"
#include "cuda/recurrent_host.h"
#include "cuda/recurrent_persistent.cuh"

namespace kindling {
namespace cuda {

/// The gates of one step, a thread for each unit of each row.
template <class Cell>
__global__ void __launch_bounds__(kBlockThreads)
    recurrentForwardKernel(RecurrentForwardPlan plan, int64_t step,
                           const float* __restrict__ products) {
  const RecurrentSize& s = plan.size;
  const int64_t t = s.time(step);
  for (int64_t i = firstOfThread(); i < s.rows * s.width; i += strideOfGrid()) {
    const int64_t row = i / s.width, unit = i - row * s.width;
    const bool isActive = t < s.length(row, Cell::kForward, step == 0 && unit == 0);
    float own[Cell::kGates];
#pragma unroll
    for (int gate = 0; gate < Cell::kGates; ++gate) {
      own[gate] = products[(row * Cell::kGates + gate) * s.width + unit];
    }
    recurrentForward<Cell>(plan, t, row, unit, isActive, own);
  }
}

namespace {

template <class Cell>
Status stepByStep(const OpCall& call, const RecurrentForwardPlan& plan) {
  const RecurrentSize& s = plan.size;
  const TensorView& weight = call.inputs[1];
  const int64_t gates = Cell::kGates * s.width;
  const DeviceScratch products(static_cast<size_t>(s.rows * gates) * sizeof(float));
  if (!products) return noScratch(call);
  GemmProblem p;
  p.m = s.rows;
  p.n = gates;
  p.k = s.width;
  p.a = {plan.h, s.width, 1};
  p.b = {weight.data, weight.strides[1], weight.strides[0]};
  p.c = products.data();
  p.ldc = gates;
  for (int64_t step = 0; step < s.steps; ++step) {
    Status status = gemm(p);
    if (status == Status::ok) {
      status = launch(recurrentForwardKernel<Cell>, gridFor(s.rows * s.width, kBlockThreads),
                      dim3(kBlockThreads), 0, plan, step, products.as<float>());
    }
    if (status != Status::ok) return status;
  }
  return Status::ok;
}

// Inputs: projections [t, n, gates*h], weight [gates*h, h], lengths [n], h0 [n, h], then c0 (LSTM)
// or the hidden bias [h] (GRU). Outputs: y [t, n, h], final h [n, h], saved [t, n, saved*h], then
// for LSTM final c [n, h], c [t, n, h]. What is kept for the way back may have 0 steps instead.
template <class Cell>
Status forward(const OpCall& call) {
  RecurrentForwardPlan plan = {};
  plan.size = sizeOf(call, call.outputs[0], call.inputs[2], Cell::kForward == Op::rnn);
  const TensorView& input = call.inputs[0];
  plan.input = floatsOf(input);
  plan.inputTime = input.strides[0];
  plan.inputRow = input.strides[1];
  plan.inputColumn = input.strides[2];
  if (Cell::kHasHiddenBias) {
    plan.bias = floatsOf(call.inputs[4]);
    plan.biasStride = call.inputs[4].strides[0];
  }
  plan.y = floatsOf(call.outputs[0]);
  plan.h = floatsOf(call.outputs[1]);
  if (call.outputs[2].shape[0] > 0) plan.saved = floatsOf(call.outputs[2]);
  Status status = copyView(call.outputs[1], call.inputs[3]);
  if (Cell::kHasCell && status == Status::ok) {
    plan.c = floatsOf(call.outputs[3]);
    plan.cells = floatsOf(call.outputs[4]);
    status = copyView(call.outputs[3], call.inputs[4]);
  }
  if (status != Status::ok || plan.size.rows * plan.size.width == 0) return status;
  using Share = ForwardShare<Cell>;
  bool ran = false;
  status = tryPersistent<Share>(call, plan, call.inputs[1], persistentForwardKernel<Cell, 1>,
                                persistentForwardKernel<Cell, 4>, &ran);
  return ran || status != Status::ok ? status : stepByStep<Cell>(call, plan);
}

}  // namespace

void registerRecurrent(Kernel* kernels) {
  kernels[static_cast<int>(Op::lstm)] = forward<LstmCell>;
  kernels[static_cast<int>(Op::gru)] = forward<GruCell>;
  kernels[static_cast<int>(Op::rnn)] = forward<RnnCell>;
}

}  // namespace cuda
}  // namespace kindling
