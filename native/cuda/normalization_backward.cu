// The way back through normalization. Two sums for each group, then every element's gradient.

#include "cuda/normalization.cuh"

#include "cuda/normalization_host.h"

namespace kindling {
namespace cuda {

/// Inputs of the way back: without parameters `x` is the output y, which is centred and scaled.
template <typename T>
struct NormBack {
  const T* grad;
  const T* x;
  const T* mean;  // nullptr without parameters
  const T* variance;
  int64_t meanStride, varianceStride;
  NormParameters<T> parameters;
  T* dx;
  T* dWeight;  // of groups; nullptr elsewhere
  T* dBias;
  bool isCentred;
  T eps;

  __device__ __forceinline__ T centre(int64_t group) const {
    return mean == nullptr ? T(0) : mean[group * meanStride];
  }
  __device__ __forceinline__ T scale(int64_t group) const {
    return inverseRoot(variance[group * varianceStride] + eps);
  }
  /// From the sums over a group, whose gradients have no weight of the group in them.
  __device__ __forceinline__ NormLine<T> line(int64_t group, TwoSums<T> sums, T elements) const {
    const T s = scale(group), scaled = s * parameters.weightOf(group);
    return {centre(group), scaled,
            (mean == nullptr ? T(1) : s * s) * scaled * (sums.second / elements),
            isCentred ? scaled * (sums.first / elements) : T(0)};
  }
  __device__ __forceinline__ void writeParameters(int64_t group, TwoSums<T> sums) const {
    if (dWeight == nullptr) return;
    dWeight[group] = sums.second * scale(group);
    dBias[group] = sums.first;
  }
  /// Gradients beside each other, with the weights of their positions.
  __device__ __forceinline__ void load(int64_t at, int64_t i, int width, T (&g)[kLanes],
                                       T (&value)[kLanes]) const {
    loadOwn(grad + at, width, g);
    loadOwn(x + at, width, value);
    if (!parameters.byPosition) return;
#pragma unroll
    for (int l = 0; l < kLanes; ++l) {
      if (l < width) g[l] *= parameters.weight[(i + l) * parameters.weightStride];
    }
  }
};

template <typename T>
__device__ __forceinline__ TwoSums<T> groupSlopes(const GroupPlan& plan, const NormBack<T>& of,
                                                  int64_t group, int64_t begin, int64_t end,
                                                  TwoSums<T>* shared) {
  TwoSums<T> own = {0, 0};
  const T centre = of.centre(group);
  plan.forPieces(group, begin, end, [&](int64_t at, int64_t i) {
    T g[kLanes], x[kLanes];
    of.load(at, i, plan.width(), g, x);
#pragma unroll
    for (int l = 0; l < kLanes; ++l) {
      if (l >= plan.width()) continue;
      own.first += g[l];
      own.second += g[l] * (x[l] - centre);
    }
  });
  return joinThreads(own, shared);
}

// --- A group at a time ---

template <typename T>
__global__ void __launch_bounds__(kMostRowThreads)
    normalizeBackwardKernel(GroupPlan plan, NormBack<T> of) {
  GPU_SHARED(TwoSums<T>, shared, [kMostRowThreads / 32]);
  const int64_t pieces = plan.piecesOfGroup();
  for (RowWalk group(plan.groups); group.isThere(); group.next()) {
    const int64_t index = group.index();
    const TwoSums<T> sums = groupSlopes(plan, of, index, 0, pieces, shared);
    if (threadIdx.x == 0) of.writeParameters(index, sums);
    const NormLine<T> line = of.line(index, sums, static_cast<T>(plan.elements()));
    plan.forPieces(index, 0, pieces, [&](int64_t at, int64_t i) {
      T g[kLanes], x[kLanes];
      of.load(at, i, plan.width(), g, x);
#pragma unroll
      for (int l = 0; l < kLanes; ++l) {
        if (l < plan.width()) g[l] = line.back(g[l], x[l]);
      }
      storeOwn(of.dx + at, plan.width(), g);
    });
  }
}

// --- Groups in parts ---

template <typename T>
__global__ void __launch_bounds__(kMostRowThreads)
    slopesKernel(GroupPlan plan, NormBack<T> of, TwoSums<T>* __restrict__ sums) {
  GPU_SHARED(TwoSums<T>, shared, [kMostRowThreads / 32]);
  const int64_t begin = blockIdx.y * plan.partPieces, all = plan.piecesOfGroup();
  const int64_t end = begin + plan.partPieces < all ? begin + plan.partPieces : all;
  const TwoSums<T> own = groupSlopes(plan, of, blockIdx.x, begin, end, shared);
  if (threadIdx.x == 0) sums[blockIdx.x * plan.parts + blockIdx.y] = own;
}

template <typename T>
__global__ void __launch_bounds__(kColumnLanes* kColumnRows)
    columnSlopesKernel(ColumnPlan plan, NormBack<T> of, TwoSums<T>* __restrict__ sums) {
  GPU_SHARED(T, shared, [kColumnRows][kColumnLanes]);
  const int64_t column = plan.column();
  T grads = 0, products = 0;
  if (column < plan.columns) {
    const T centre = of.centre(column);
    plan.forRows([&](int64_t row) {
      const int64_t at = row * plan.columns + column;
      grads += of.grad[at];
      products += of.grad[at] * (of.x[at] - centre);
    });
  }
  grads = sumColumn(grads, shared);
  products = sumColumn(products, shared);
  if (threadIdx.y == 0 && column < plan.columns) {
    sums[column * gridDim.y + blockIdx.y] = {grads, products};
  }
}

template <typename T>
__global__ void __launch_bounds__(kMostRowThreads)
    joinSlopesKernel(int64_t groups, int64_t parts, T elements, const TwoSums<T>* __restrict__ sums,
                     NormBack<T> of, NormLine<T>* __restrict__ lines) {
  for (RowWalk group(groups); group.isThere(); group.next()) {
    const int64_t g = group.index();
    TwoSums<double> own = {0, 0};
    for (int64_t part = threadIdx.x; part < parts; part += blockDim.x) {
      const TwoSums<T> more = sums[g * parts + part];
      own.join({static_cast<double>(more.first), static_cast<double>(more.second)});
    }
    own = joinWarp(own);
    if (threadIdx.x != 0) continue;
    const TwoSums<T> all = {static_cast<T>(own.first), static_cast<T>(own.second)};
    of.writeParameters(g, all);
    lines[g] = of.line(g, all, elements);
  }
}

template <typename T>
__global__ void __launch_bounds__(kBlockThreads)
    applyBackwardKernel(GroupElements elements, NormBack<T> of,
                        const NormLine<T>* __restrict__ lines) {
  for (int64_t i = firstOfThread(); i < elements.pieces; i += strideOfGrid()) {
    const NormLine<T> line = lines[elements.group(i)];
    T g[kLanes], x[kLanes];
    of.load(i * elements.width, 0, elements.width, g, x);
#pragma unroll
    for (int l = 0; l < kLanes; ++l) {
      if (l < elements.width) g[l] = line.back(g[l], x[l]);
    }
    storeOwn(of.dx + i * elements.width, elements.width, g);
  }
}

// --- Gradients of parameters along the rows ---

/// Sums of a part of the rows for each position.
template <typename T>
__global__ void __launch_bounds__(kColumnLanes* kColumnRows)
    positionSumsKernel(ColumnPlan plan, NormBack<T> of, TwoSums<T>* __restrict__ sums) {
  GPU_SHARED(T, shared, [kColumnRows][kColumnLanes]);
  const int64_t column = plan.column();
  T grads = 0, products = 0;
  plan.forRows([&](int64_t row) {
    const int64_t at = row * plan.columns + column;
    grads += of.grad[at];
    products += of.grad[at] * ((of.x[at] - of.centre(row)) * of.scale(row));
  });
  grads = sumColumn(grads, shared);
  products = sumColumn(products, shared);
  if (threadIdx.y == 0 && column < plan.columns) {
    sums[blockIdx.y * plan.columns + column] = {grads, products};
  }
}

template <typename T>
__global__ void __launch_bounds__(kBlockThreads)
    joinPositionsKernel(int64_t columns, int64_t parts, const TwoSums<T>* __restrict__ sums,
                        T* __restrict__ dWeight, T* __restrict__ dBias) {
  for (int64_t i = firstOfThread(); i < columns; i += strideOfGrid()) {
    double grads = 0, products = 0;
    for (int64_t part = 0; part < parts; ++part) {
      const TwoSums<T> more = sums[part * columns + i];
      grads += static_cast<double>(more.first);
      products += static_cast<double>(more.second);
    }
    dWeight[i] = static_cast<T>(products);
    dBias[i] = static_cast<T>(grads);
  }
}

// --- Host ---

namespace {

template <typename T>
Status split(const OpCall& call, const GroupPlan& plan, const NormBack<T>& of) {
  const bool columns = plan.inner == 1;
  const ColumnPlan columnPlan = columnsOf(plan.outer, plan.groups);
  const int64_t parts = columns ? partsOf(columnPlan) : plan.parts;
  const DeviceScratch sums(static_cast<size_t>(plan.groups * parts) * sizeof(TwoSums<T>));
  const DeviceScratch lines(static_cast<size_t>(plan.groups) * sizeof(NormLine<T>));
  if (!sums || !lines) return noScratch(call);
  Status status =
      columns ? launch(columnSlopesKernel<T>, gridOf(columnPlan), dim3(kColumnLanes, kColumnRows),
                       0, columnPlan, of, sums.as<TwoSums<T>>())
              : launch(slopesKernel<T>,
                       dim3(static_cast<unsigned>(plan.groups), static_cast<unsigned>(parts)),
                       dim3(kMostRowThreads), 0, plan, of, sums.as<TwoSums<T>>());
  if (status != Status::ok) return status;
  const RowLaunch join(plan.groups, 32);
  status = launch(joinSlopesKernel<T>, join.grid, join.block, 0, plan.groups, parts,
                  static_cast<T>(plan.outer * plan.inner), sums.as<TwoSums<T>>(), of,
                  lines.as<NormLine<T>>());
  if (status != Status::ok) return status;
  const GroupElements elements(plan);
  return launch(applyBackwardKernel<T>, gridFor(elements.pieces, kBlockThreads),
                dim3(kBlockThreads), 0, elements, of, lines.as<NormLine<T>>());
}

/// The sums over the rows, for each position.
template <typename T>
Status positionGradients(const OpCall& call, const GroupPlan& plan, const NormBack<T>& of) {
  const ColumnPlan columns = columnsOf(plan.groups, plan.inner);
  const int64_t parts = partsOf(columns);
  const DeviceScratch sums(static_cast<size_t>(plan.inner * parts) * sizeof(TwoSums<T>));
  if (!sums) return noScratch(call);
  const Status status =
      launch(positionSumsKernel<T>, gridOf(columns), dim3(kColumnLanes, kColumnRows), 0, columns,
             of, sums.as<TwoSums<T>>());
  if (status != Status::ok) return status;
  return launch(joinPositionsKernel<T>, gridFor(plan.inner, kBlockThreads), dim3(kBlockThreads), 0,
                plan.inner, parts, sums.as<TwoSums<T>>(), outputOf<T>(call, 1),
                outputOf<T>(call, 2));
}

template <typename T>
Status backward(const OpCall& call) {
  const bool isAffine = call.op == Op::normalizeAffineBackward;
  const bool byPosition = isAffine && call.ints[1] != 0;
  DeviceScratch scratch[2];
  TensorView grad, x;
  Status status = makeContiguous(call.inputs[0], scratch[0], &grad);
  if (status == Status::ok) status = makeContiguous(call.inputs[1], scratch[1], &x);
  if (status != Status::ok) return status;
  const TensorView& variance = call.inputs[isAffine ? 4 : 2];
  NormBack<T> of = {};
  of.grad = inputOf<T>(grad);
  of.x = inputOf<T>(x);
  of.variance = inputOf<T>(variance);
  of.varianceStride = variance.strides[0];
  of.dx = outputOf<T>(call, 0);
  of.isCentred = call.ints[0] != 0;
  of.eps = static_cast<T>(call.floats[0]);
  if (isAffine) {
    of.parameters = {inputOf<T>(call.inputs[2]), nullptr, call.inputs[2].strides[0], 0, byPosition};
    of.mean = inputOf<T>(call.inputs[3]);
    of.meanStride = call.inputs[3].strides[0];
  }
  if (isAffine && !byPosition) {
    of.dWeight = outputOf<T>(call, 1);
    of.dBias = outputOf<T>(call, 2);
  }
  const GroupPlan plan = groupsOf<T>(call.outputs[0], {of.grad, of.x, of.dx});
  if (isSplit(plan, byPosition)) return split(call, plan, of);
  if (byPosition) {
    status = positionGradients(call, plan, of);
    if (status != Status::ok) return status;
  }
  const RowLaunch size(plan.groups, plan.outer * plan.inner);
  return launch(normalizeBackwardKernel<T>, size.grid, size.block, 0, plan, of);
}

Status normalizeBackward(const OpCall& call) {
  return call.inputs[0].dtype == DType::float64 ? backward<double>(call) : backward<float>(call);
}

}  // namespace

void registerNormalizationBackward(Kernel* kernels) {
  kernels[static_cast<int>(Op::normalizeBackward)] = normalizeBackward;
  kernels[static_cast<int>(Op::normalizeAffineBackward)] = normalizeBackward;
}

}  // namespace cuda
}  // namespace kindling
