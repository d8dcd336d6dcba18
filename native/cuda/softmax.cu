// Softmax over the last axis and the losses built on it. A row belongs to a warp or, where it is
// long, to a block; it comes from memory once, and the second time from the cache.

#include <initializer_list>

#include "cuda/copies.h"
#include "cuda/kernel_table.h"
#include "cuda/row_kernels.cuh"

namespace kindling {
namespace cuda {

// --- Exponentials and logarithms of both types ---

__device__ __forceinline__ float powerOf(float x) { return expf(x); }
__device__ __forceinline__ double powerOf(double x) { return exp(x); }
__device__ __forceinline__ float logOf(float x) { return logf(x); }
__device__ __forceinline__ double logOf(double x) { return log(x); }

// --- What a row's threads know together ---

/// The largest element seen and the sum of exp(x - largest). NaN is passed over by the maximum and
/// comes back in the sum.
template <typename T>
struct PowerSum {
  T top, sum;

  static __device__ __forceinline__ PowerSum none() { return {static_cast<T>(-INFINITY), 0}; }

  /// `largest` of some elements joins; returns what to subtract from them.
  __device__ __forceinline__ T raise(T largest) {
    const T next = largest > top ? largest : top;
    // Before anything finite was seen there is nothing to scale, and no difference of infinities.
    if (next == static_cast<T>(-INFINITY)) return 0;
    sum *= powerOf(top - next);
    top = next;
    return next;
  }
  __device__ __forceinline__ void join(const PowerSum& other) {
    const T shift = raise(other.top);
    sum += other.top == shift ? other.sum : other.sum * powerOf(other.top - shift);
  }
};

template <typename T>
__device__ __forceinline__ PowerSum<T> shuffled(PowerSum<T> value, int lanes) {
  value.top = __shfl_xor_sync(~0u, value.top, lanes);
  value.sum = __shfl_xor_sync(~0u, value.sum, lanes);
  return value;
}

// --- The kernels: rows of `width` elements, blockDim.x threads for each ---

struct RowPlan {
  int64_t rows, width;
  bool vector;  // rows are runs of four, aligned
};

/// Calls body(first, count) for the elements that this thread has of a row.
template <typename Body>
__device__ __forceinline__ void forOwn(const RowPlan& plan, const Body& body) {
  if (plan.vector) {
    for (int64_t i = int64_t{threadIdx.x} * kLanes; i < plan.width;
         i += int64_t{blockDim.x} * kLanes) {
      body(i, kLanes);
    }
  } else {
    for (int64_t i = threadIdx.x; i < plan.width; i += blockDim.x) body(i, 1);
  }
}

template <typename T>
__device__ __forceinline__ PowerSum<T> powersOfRow(const RowPlan& plan, const T* x,
                                                   PowerSum<T>* shared) {
  PowerSum<T> own = PowerSum<T>::none();
  forOwn(plan, [&](int64_t at, int count) {
    T value[kLanes];
    loadOwn(x + at, count, value);
    T largest = static_cast<T>(-INFINITY);
#pragma unroll
    for (int l = 0; l < kLanes; ++l) {
      if (l < count) largest = value[l] > largest ? value[l] : largest;
    }
    const T shift = own.raise(largest);
#pragma unroll
    for (int l = 0; l < kLanes; ++l) {
      if (l < count) own.sum += powerOf(value[l] - shift);
    }
  });
  return joinThreads(own, shared);
}

enum class SoftmaxOf { powers, logs };

template <typename T, SoftmaxOf kind>
__global__ void __launch_bounds__(kMostRowThreads)
    softmaxKernel(RowPlan plan, const T* __restrict__ x, T* __restrict__ y) {
  GPU_SHARED(PowerSum<T>, shared, [kMostRowThreads / 32]);
  for (RowWalk row(plan.rows); row.isThere(); row.next()) {
    const T* const from = x + row.index() * plan.width;
    T* const to = y + row.index() * plan.width;
    const PowerSum<T> all = powersOfRow(plan, from, shared);
    const T scale = kind == SoftmaxOf::powers ? T(1) / all.sum : logOf(all.sum);
    forOwn(plan, [&](int64_t at, int count) {
      T value[kLanes];
      loadOwn(from + at, count, value);
#pragma unroll
      for (int l = 0; l < kLanes; ++l) {
        if (l >= count) continue;
        value[l] = kind == SoftmaxOf::powers ? powerOf(value[l] - all.top) * scale
                                             : value[l] - all.top - scale;
      }
      storeOwn(to + at, count, value);
    });
  }
}

template <typename T, SoftmaxOf kind>
__global__ void __launch_bounds__(kMostRowThreads)
    softmaxBackwardKernel(RowPlan plan, const T* __restrict__ grad, const T* __restrict__ y,
                          T* __restrict__ out) {
  GPU_SHARED(RowSum<T>, shared, [kMostRowThreads / 32]);
  for (RowWalk row(plan.rows); row.isThere(); row.next()) {
    const int64_t start = row.index() * plan.width;
    RowSum<T> own = {0};
    forOwn(plan, [&](int64_t at, int count) {
      T g[kLanes], p[kLanes];
      loadOwn(grad + start + at, count, g);
      if (kind == SoftmaxOf::powers) loadOwn(y + start + at, count, p);
#pragma unroll
      for (int l = 0; l < kLanes; ++l) {
        if (l < count) own.sum += kind == SoftmaxOf::powers ? g[l] * p[l] : g[l];
      }
    });
    const T total = joinThreads(own, shared).sum;
    forOwn(plan, [&](int64_t at, int count) {
      T g[kLanes], p[kLanes];
      loadOwn(grad + start + at, count, g);
      loadOwn(y + start + at, count, p);
#pragma unroll
      for (int l = 0; l < kLanes; ++l) {
        if (l >= count) continue;
        g[l] = kind == SoftmaxOf::powers ? p[l] * (g[l] - total) : g[l] - powerOf(p[l]) * total;
      }
      storeOwn(out + start + at, count, g);
    });
  }
}

struct Labels {
  const int32_t* data;
  int64_t stride;
  IndexError* slot;
};

/// The label of a row, or -1 where it is out of range, which the first thread reports.
__device__ __forceinline__ int64_t labelOf(const Labels& labels, Op op, int64_t row,
                                           int64_t classes) {
  const int64_t label = labels.data[row * labels.stride];
  if (label >= 0 && label < classes) return label;
  if (threadIdx.x == 0) {
    gpu::reportIndex(labels.slot, op, label, classes, row, IndexKind::label);
  }
  return -1;
}

template <typename T>
__global__ void __launch_bounds__(kMostRowThreads)
    crossEntropyKernel(RowPlan plan, const T* __restrict__ logits, Labels labels,
                       T* __restrict__ loss) {
  GPU_SHARED(PowerSum<T>, shared, [kMostRowThreads / 32]);
  for (RowWalk row(plan.rows); row.isThere(); row.next()) {
    const T* const x = logits + row.index() * plan.width;
    const int64_t label = labelOf(labels, Op::crossEntropy, row.index(), plan.width);
    const PowerSum<T> all = powersOfRow(plan, x, shared);
    if (threadIdx.x == 0 && label >= 0) {
      loss[row.index()] = logOf(all.sum) - (x[label] - all.top);
    }
  }
}

template <typename T>
__global__ void __launch_bounds__(kMostRowThreads)
    crossEntropyBackwardKernel(RowPlan plan, const T* __restrict__ logits, Labels labels,
                               const T* __restrict__ grad, int64_t gradStride,
                               T* __restrict__ out) {
  GPU_SHARED(PowerSum<T>, shared, [kMostRowThreads / 32]);
  for (RowWalk row(plan.rows); row.isThere(); row.next()) {
    const T* const x = logits + row.index() * plan.width;
    T* const y = out + row.index() * plan.width;
    const int64_t label = labelOf(labels, Op::crossEntropyBackward, row.index(), plan.width);
    const PowerSum<T> all = powersOfRow(plan, x, shared);
    const T seed = grad[row.index() * gradStride], scale = seed / all.sum;
    forOwn(plan, [&](int64_t at, int count) {
      T value[kLanes];
      loadOwn(x + at, count, value);
#pragma unroll
      for (int l = 0; l < kLanes; ++l) {
        if (l >= count) continue;
        value[l] = powerOf(value[l] - all.top) * scale;
        if (at + l == label) value[l] -= seed;
      }
      storeOwn(y + at, count, value);
    });
  }
}

// --- Host ---

namespace {

template <typename T>
const T* in(const TensorView& view) {
  return static_cast<const T*>(view.data);
}
template <typename T>
T* out(const TensorView& view) {
  return static_cast<T*>(view.data);
}

/// Rows of the result, and whether all of `views` can be read in fours.
template <typename T>
RowPlan rowsOf(const TensorView& of, std::initializer_list<const TensorView*> views) {
  const int64_t width = of.rank > 0 ? of.shape[of.rank - 1] : 1;
  RowPlan plan = {width > 0 ? of.size / width : 0, width, width % kLanes == 0};
  for (const TensorView* view : views) {
    plan.vector = plan.vector && isAlignedForFour<T>(view->data);
  }
  return plan;
}

template <typename T, SoftmaxOf kind>
Status forward(const OpCall& call) {
  DeviceScratch scratch;
  TensorView x;
  const Status status = makeContiguous(call.inputs[0], scratch, &x);
  if (status != Status::ok) return status;
  const RowPlan plan = rowsOf<T>(call.outputs[0], {&x, &call.outputs[0]});
  const RowLaunch size(plan.rows, plan.width);
  return launch(softmaxKernel<T, kind>, size.grid, size.block, 0, plan, in<T>(x),
                out<T>(call.outputs[0]));
}

template <typename T, SoftmaxOf kind>
Status backward(const OpCall& call) {
  DeviceScratch scratch[2];
  TensorView grad, y;
  Status status = makeContiguous(call.inputs[0], scratch[0], &grad);
  if (status == Status::ok) status = makeContiguous(call.inputs[1], scratch[1], &y);
  if (status != Status::ok) return status;
  const RowPlan plan = rowsOf<T>(call.outputs[0], {&grad, &y, &call.outputs[0]});
  const RowLaunch size(plan.rows, plan.width);
  return launch(softmaxBackwardKernel<T, kind>, size.grid, size.block, 0, plan, in<T>(grad),
                in<T>(y), out<T>(call.outputs[0]));
}

Labels labelsOf(const OpCall& call) {
  return {in<int32_t>(call.inputs[1]), call.inputs[1].strides[0], gpu::errorSlot()};
}

template <typename T>
Status crossEntropy(const OpCall& call) {
  DeviceScratch scratch;
  TensorView x;
  const Status status = makeContiguous(call.inputs[0], scratch, &x);
  if (status != Status::ok) return status;
  const RowPlan plan = rowsOf<T>(x, {&x});
  const RowLaunch size(plan.rows, plan.width);
  return launch(crossEntropyKernel<T>, size.grid, size.block, 0, plan, in<T>(x), labelsOf(call),
                out<T>(call.outputs[0]));
}

template <typename T>
Status crossEntropyBackward(const OpCall& call) {
  DeviceScratch scratch;
  TensorView x;
  const Status status = makeContiguous(call.inputs[0], scratch, &x);
  if (status != Status::ok) return status;
  const RowPlan plan = rowsOf<T>(x, {&x, &call.outputs[0]});
  const RowLaunch size(plan.rows, plan.width);
  return launch(crossEntropyBackwardKernel<T>, size.grid, size.block, 0, plan, in<T>(x),
                labelsOf(call), in<T>(call.inputs[2]), call.inputs[2].strides[0],
                out<T>(call.outputs[0]));
}

template <Kernel float32, Kernel float64>
Status either(const OpCall& call) {
  return call.inputs[0].dtype == DType::float64 ? float64(call) : float32(call);
}

}  // namespace

void registerSoftmax(Kernel* kernels) {
  const auto set = [&](Op op, Kernel kernel) { kernels[static_cast<int>(op)] = kernel; };
  using Of = SoftmaxOf;
  set(Op::softmax, either<forward<float, Of::powers>, forward<double, Of::powers>>);
  set(Op::logSoftmax, either<forward<float, Of::logs>, forward<double, Of::logs>>);
  set(Op::softmaxBackward, either<backward<float, Of::powers>, backward<double, Of::powers>>);
  set(Op::logSoftmaxBackward, either<backward<float, Of::logs>, backward<double, Of::logs>>);
  set(Op::crossEntropy, either<crossEntropy<float>, crossEntropy<double>>);
  set(Op::crossEntropyBackward, either<crossEntropyBackward<float>, crossEntropyBackward<double>>);
}

}  // namespace cuda
}  // namespace kindling
