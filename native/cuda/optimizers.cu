// In-place updates of parameters: one pass over the parameter, its gradient and the state, and one
// launch for many parameters. The tensors of a launch are cut into chunks, one for each block.

#include "cuda/optimizers.h"

#include "core/op_info.h"
#include "cuda/copies.h"
#include "cuda/indexing.cuh"
#include "cuda/kernel_table.h"
#include "cuda/optimizer_rules.cuh"

namespace kindling {
namespace cuda {

constexpr int kUpdateTensors = 48;                        // the list fits a kernel's arguments
constexpr int kUpdateChunk = 4 * kBlockThreads * kLanes;  // elements of a block

template <int kOperands>
struct UpdateList {
  int count = 0;
  uint32_t firstChunk[kUpdateTensors + 1] = {};
  int64_t size[kUpdateTensors];
  void* operands[kUpdateTensors][kOperands];
  const void* grad[kUpdateTensors];
  bool vectorized[kUpdateTensors];
  uint32_t reads, writes;  // bit masks of the operands
};

template <class Rule>
__global__ void __launch_bounds__(kBlockThreads)
    updateKernel(UpdateList<Rule::operands> list, Rule rule, const IndexError* errors) {
  using T = typename Rule::T;
  if (errors->isSet) return;  // a step that has failed updates nothing
  int tensor = 0;
  while (blockIdx.x >= list.firstChunk[tensor + 1]) ++tensor;
  const int64_t size = list.size[tensor];
  const int64_t begin = static_cast<int64_t>(blockIdx.x - list.firstChunk[tensor]) * kUpdateChunk;
  const int64_t end = begin + kUpdateChunk < size ? begin + kUpdateChunk : size;
  const bool vectorized = list.vectorized[tensor];
  const T* const grad = static_cast<const T*>(list.grad[tensor]);
  for (int64_t i = begin + threadIdx.x * kLanes; i < end; i += kBlockThreads * kLanes) {
    const uint32_t count = static_cast<uint32_t>(end - i < kLanes ? end - i : kLanes);
    T g[kLanes], x[Rule::operands][kLanes];
    loadLanes(grad, i, false, count, vectorized, g);
#pragma unroll
    for (int k = 0; k < Rule::operands; ++k) {
      if (list.reads >> k & 1) {
        loadLanes(list.operands[tensor][k], i, false, count, vectorized, x[k]);
      } else {
#pragma unroll
        for (int lane = 0; lane < kLanes; ++lane) x[k][lane] = 0;
      }
    }
#pragma unroll
    for (int lane = 0; lane < kLanes; ++lane) {
      T element[Rule::operands];
#pragma unroll
      for (int k = 0; k < Rule::operands; ++k) element[k] = x[k][lane];
      rule.apply(g[lane], element);
#pragma unroll
      for (int k = 0; k < Rule::operands; ++k) x[k][lane] = element[k];
    }
#pragma unroll
    for (int k = 0; k < Rule::operands; ++k) {
      if (list.writes >> k & 1) {
        storeLanes(static_cast<T*>(list.operands[tensor][k]) + i, x[k], count, vectorized);
      }
    }
  }
}

namespace {

/// Ops that count their steps from 1.
Status checkStep(const OpCall& call) {
  switch (call.op) {
    case Op::adamStep:
      if (call.ints[0] >= 1) return Status::ok;
      return fail(Status::badArgument, "adamStep: step %d is not positive", call.ints[0]);
    case Op::amsgradStep:
    case Op::nadamStep:
    case Op::radamStep:
    case Op::adamaxStep:
    case Op::lambDirection:
      if (call.ints[0] >= 1) return Status::ok;
      return fail(Status::badArgument, "step %d is not positive", call.ints[0]);
    default:
      return Status::ok;
  }
}

/// Adds a step to a list; false if its parameter is in the list already.
template <class Rule>
bool addTensor(UpdateList<Rule::operands>* list, const OpCall& call, const TensorView& grad) {
  using T = typename Rule::T;
  const int at = list->count;
  for (int i = 0; i < at; ++i) {
    if (list->operands[i][0] == call.inputs[0].data) return false;
  }
  bool vectorized = isAlignedForFour<T>(grad.data);
  for (int k = 0; k < Rule::operands; ++k) {
    void* const data = call.inputs[k == 0 ? 0 : k + 1].data;  // input 1 is the gradient
    list->operands[at][k] = data;
    vectorized = vectorized && isAlignedForFour<T>(data);
  }
  list->grad[at] = grad.data;
  list->size[at] = call.inputs[0].size;
  list->vectorized[at] = vectorized;
  list->firstChunk[at + 1] =
      list->firstChunk[at] + static_cast<uint32_t>(ceilDivide(call.inputs[0].size, kUpdateChunk));
  ++list->count;
  return true;
}

template <class Rule>
Status update(const OpCall* const* calls, int count) {
  const Rule rule(*calls[0]);
  int next = 0;
  while (next < count) {
    UpdateList<Rule::operands> list;
    list.reads = rule.reads();
    list.writes = rule.writes();
    DeviceScratch scratch[kUpdateTensors];
    for (; next < count && list.count < kUpdateTensors; ++next) {
      TensorView grad;
      const Status copied = makeContiguous(calls[next]->inputs[1], scratch[list.count], &grad);
      if (copied != Status::ok) return copied;
      if (!addTensor<Rule>(&list, *calls[next], grad)) break;
    }
    const Status status =
        launch(updateKernel<Rule>, dim3(list.firstChunk[list.count]), dim3(kBlockThreads), 0, list,
               rule, static_cast<const IndexError*>(gpu::errorSlot()));
    if (status != Status::ok) return status;
  }
  return Status::ok;
}

template <template <typename> class Rule>
Status updateByDtype(const OpCall* const* calls, int count) {
  return calls[0]->inputs[0].dtype == DType::float32 ? update<Rule<float>>(calls, count)
                                                     : update<Rule<double>>(calls, count);
}

using Update = Status (*)(const OpCall* const* calls, int count);

Update updateOf(Op op) {
  switch (op) {
    case Op::sgdStep:
      return updateByDtype<rules::Sgd>;
    case Op::adamStep:
      return updateByDtype<rules::Adam>;
    case Op::rmspropStep:
      return updateByDtype<rules::Rmsprop>;
    case Op::amsgradStep:
      return updateByDtype<rules::Amsgrad>;
    case Op::nadamStep:
      return updateByDtype<rules::Nadam>;
    case Op::radamStep:
      return updateByDtype<rules::Radam>;
    case Op::adamaxStep:
      return updateByDtype<rules::Adamax>;
    case Op::lambDirection:
      return updateByDtype<rules::Lamb>;
    case Op::adagradStep:
      return updateByDtype<rules::Adagrad>;
    case Op::adadeltaStep:
      return updateByDtype<rules::Adadelta>;
    case Op::lionStep:
      return updateByDtype<rules::Lion>;
    case Op::rmspropCenteredStep:
      return updateByDtype<rules::RmspropCentered>;
    case Op::averageStep:
      return updateByDtype<rules::Average>;
    default:
      return nullptr;
  }
}

Status step(const OpCall& call) {
  const OpCall* const calls[1] = {&call};
  return stepTogether(calls, 1);
}

}  // namespace

bool stepsJoin(const OpCall& a, const OpCall& b) {
  if (a.op != b.op || !updateOf(a.op) || a.inputs[0].dtype != b.inputs[0].dtype) return false;
  const OpInfo& info = opInfo(a.op);
  for (int i = 0; i < info.ints; ++i) {
    if (a.ints[i] != b.ints[i]) return false;
  }
  for (int i = 0; i < info.floats; ++i) {
    if (a.floats[i] != b.floats[i]) return false;
  }
  return true;
}

Status stepTogether(const OpCall* const* calls, int count) {
  if (count == 0) return Status::ok;
  const Status valid = checkStep(*calls[0]);
  if (valid != Status::ok) return valid;
  const Update update = updateOf(calls[0]->op);
  return update ? update(calls, count) : fail(Status::unsupported, "not a step of an optimizer");
}

void registerOptimizers(Kernel* kernels) {
  for (int op = 0; op < kOpCount; ++op) {
    if (updateOf(static_cast<Op>(op))) kernels[op] = step;
  }
}

}  // namespace cuda
}  // namespace kindling
