// The way back through the steps of a recurrent layer, and the gradients of its weights, which are
// two products over all steps.

#include "cuda/gemm.h"
#include "cuda/kernel_table.h"
#include "cuda/recurrent.cuh"
#include "cuda/recurrent_host.h"
#include "cuda/recurrent_persistent.cuh"

namespace kindling {
namespace cuda {

template <class Cell>
__global__ void __launch_bounds__(kBlockThreads)
    recurrentBackwardKernel(RecurrentBackwardPlan plan, int64_t step) {
  const RecurrentSize& s = plan.size;
  const int64_t t = s.time(step);
  for (int64_t i = firstOfThread(); i < s.rows * s.width; i += strideOfGrid()) {
    const int64_t row = i / s.width, unit = i - row * s.width;
    const bool reports = step == s.steps - 1 && unit == 0;
    float products[Cell::kGates];
    recurrentBackward<Cell>(plan, t, row, unit, s.length(row, Cell::kBackward, reports), products);
  }
}

/// first[n, gates]: of each row the gradients of the products at the step where it starts.
__global__ void __launch_bounds__(kBlockThreads)
    firstGradientsKernel(RecurrentSize s, Op op, int64_t gates, const float* __restrict__ grads,
                         float* __restrict__ first) {
  for (int64_t i = firstOfThread(); i < s.rows * gates; i += strideOfGrid()) {
    const int64_t row = i / gates, t = s.firstTime(s.length(row, op, false));
    first[i] = t >= 0 ? grads[(t * s.rows + row) * gates + i - row * gates] : 0.0f;
  }
}

namespace {

template <class Cell>
Status stepByStep(const RecurrentBackwardPlan& plan, const TensorView& weight) {
  const RecurrentSize& s = plan.size;
  const int64_t gates = Cell::kGates * s.width;
  GemmProblem p;
  p.m = s.rows;
  p.n = s.width;
  p.k = gates;
  p.b = {weight.data, weight.strides[0], weight.strides[1]};
  p.c = plan.dh;
  p.ldc = s.width;
  p.epilogue.accumulate = true;
  for (int64_t step = s.steps; step-- > 0;) {
    Status status = launch(recurrentBackwardKernel<Cell>, gridFor(s.rows * s.width, kBlockThreads),
                           dim3(kBlockThreads), 0, plan, step);
    p.a = {plan.productGrads + s.time(step) * s.rows * gates, gates, 1};
    if (status == Status::ok) status = gemm(p);
    if (status != Status::ok) return status;
  }
  return Status::ok;
}

/// The sum over steps and rows of the third gate's gradients.
Status biasGradient(const OpCall& call, const RecurrentBackwardPlan& plan) {
  const RecurrentSize& s = plan.size;
  OpCall sum = {};
  sum.op = Op::sum;
  TensorView& grads = sum.inputs[0];
  grads.data = plan.productGrads + 2 * s.width;
  grads.dtype = DType::float32;
  grads.rank = 2;
  grads.shape[0] = s.steps * s.rows;
  grads.shape[1] = s.width;
  grads.strides[0] = 3 * s.width;
  grads.strides[1] = 1;
  grads.size = grads.shape[0] * grads.shape[1];
  sum.outputs[0] = call.outputs[3];
  sum.ints[0] = 1;
  Kernel kernels[kOpCount] = {};
  registerReductions(kernels);
  return kernels[static_cast<int>(Op::sum)](sum);
}

/// Of all steps in two products: with the initial states, and with the states between steps.
template <class Cell>
Status weightGradient(const OpCall& call, const RecurrentBackwardPlan& plan) {
  const RecurrentSize& s = plan.size;
  const int64_t gates = Cell::kGates * s.width, between = (s.steps - 1) * s.rows;
  const DeviceScratch first(static_cast<size_t>(s.rows > 0 ? s.rows * gates : 1) * sizeof(float));
  if (!first) return noScratch(call);
  Status status = Status::ok;
  if (s.rows > 0) {
    status =
        launch(firstGradientsKernel, gridFor(s.rows * gates, kBlockThreads), dim3(kBlockThreads), 0,
               s, Cell::kBackward, gates, plan.productGrads, first.as<float>());
  }
  if (status != Status::ok) return status;
  GemmProblem p;
  p.m = gates;
  p.n = s.width;
  p.k = s.rows;
  p.a = {first.data(), 1, gates};
  p.b = {plan.h0, plan.h0Row, plan.h0Column};
  p.c = call.outputs[2].data;
  p.ldc = s.width;
  status = gemm(p);
  if (status != Status::ok || between == 0) return status;
  // Outputs are 0 where a row has not started, so that those steps add nothing.
  p.k = between;
  p.a.data = plan.productGrads + (s.reverse ? 0 : s.rows * gates);
  p.b = {plan.y + (s.reverse ? s.rows * s.width : 0), s.width, 1};
  p.epilogue.accumulate = true;
  return gemm(p);
}

// Inputs: grad of y [t, n, h], grad of the final h [n, h], saved, y, weight, lengths, h0, then for
// LSTM c, c0 and the grad of the final c. Outputs: grads of the projections [t, n, gates*h], of h0,
// of the weight, then of c0 (LSTM) or the hidden bias (GRU).
template <class Cell>
Status backward(const OpCall& call) {
  const TensorView &grad = call.inputs[0], &h0 = call.inputs[6];
  RecurrentBackwardPlan plan = {};
  plan.size = sizeOf(call, call.inputs[3], call.inputs[5], Cell::kBackward == Op::rnnBackward);
  const RecurrentSize& s = plan.size;
  plan.grad = floatsOf(grad);
  plan.gradTime = grad.strides[0];
  plan.gradRow = grad.strides[1];
  plan.gradColumn = grad.strides[2];
  plan.saved = floatsOf(call.inputs[2]);
  plan.y = floatsOf(call.inputs[3]);
  plan.h0 = floatsOf(h0);
  plan.h0Row = h0.strides[0];
  plan.h0Column = h0.strides[1];
  plan.inputGrads = plan.productGrads = floatsOf(call.outputs[0]);
  plan.dh = floatsOf(call.outputs[1]);
  DeviceScratch products;
  if (Cell::kHasHiddenBias && call.outputs[0].size > 0) {
    products = DeviceScratch(static_cast<size_t>(call.outputs[0].size) * sizeof(float));
    if (!products) return noScratch(call);
    plan.productGrads = products.as<float>();
  }
  Status status = copyView(call.outputs[1], call.inputs[1]);
  if (Cell::kHasCell && status == Status::ok) {
    const TensorView& c0 = call.inputs[8];
    plan.cells = floatsOf(call.inputs[7]);
    plan.c0 = floatsOf(c0);
    plan.c0Row = c0.strides[0];
    plan.c0Column = c0.strides[1];
    plan.dc = floatsOf(call.outputs[3]);
    status = copyView(call.outputs[3], call.inputs[9]);
  }
  if (status == Status::ok && s.rows * s.width > 0) {
    bool ran = false;
    status = tryPersistent<BackwardShare<Cell>>(call, plan, call.inputs[4],
                                                persistentBackwardKernel<Cell, 1>,
                                                persistentBackwardKernel<Cell, 4>, &ran);
    if (status == Status::ok && !ran) status = stepByStep<Cell>(plan, call.inputs[4]);
  }
  if (status == Status::ok) status = weightGradient<Cell>(call, plan);
  if (status == Status::ok && Cell::kHasHiddenBias) {
    status = s.rows > 0 ? biasGradient(call, plan) : fillZero(call.outputs[3]);
  }
  return status;
}

}  // namespace

void registerRecurrentBackward(Kernel* kernels) {
  kernels[static_cast<int>(Op::lstmBackward)] = backward<LstmCell>;
  kernels[static_cast<int>(Op::gruBackward)] = backward<GruCell>;
  kernels[static_cast<int>(Op::rnnBackward)] = backward<RnnCell>;
}

}  // namespace cuda
}  // namespace kindling
