// Normalization of groups to mean 0 and variance 1, forward: batch, layer, group and instance
// normalization, and with no centre RMS normalization. Where there are enough groups, each belongs
// to a warp or a block, which reads it from the cache after the first time. Few large groups are
// split into parts, whose moments are joined, and then a pass over all elements.

#include "cuda/normalization.cuh"

#include "cuda/normalization_host.h"

namespace kindling {
namespace cuda {

// --- A group at a time ---

/// Mean and sum of squared differences from it. `count`, `sum` and `squares` are over the
/// differences from a first `mean`: what they still sum up to corrects it (Chan et al., 1983), so
/// that large means cost no digits. With an infinity there is nothing to correct.
template <typename T>
struct MeanAndSquares {
  T mean, squares;
  __device__ __forceinline__ MeanAndSquares(T first, T count, T sum, T squared, bool isCentred)
      : mean(first), squares(squared) {
    const T more = sum / count;
    if (!isCentred || more != more) return;
    mean += more;
    squares -= sum * more;
  }
};

template <typename T>
__device__ __forceinline__ MeanAndSquares<T> groupMoments(const GroupPlan& plan, const T* x,
                                                          int64_t group, int64_t begin, int64_t end,
                                                          bool isCentred,
                                                          TwoSums<T>* __restrict__ shared) {
  const T count = static_cast<T>((end - begin) * plan.width());
  T mean = 0;
  if (isCentred) {
    TwoSums<T> sum = {0, 0};
    plan.forPieces(group, begin, end, [&](int64_t at, int64_t) {
      T value[kLanes];
      loadOwn(x + at, plan.width(), value);
#pragma unroll
      for (int l = 0; l < kLanes; ++l) {
        if (l < plan.width()) sum.first += value[l];
      }
    });
    mean = joinThreads(sum, shared).first / count;
  }
  TwoSums<T> sums = {0, 0};
  plan.forPieces(group, begin, end, [&](int64_t at, int64_t) {
    T value[kLanes];
    loadOwn(x + at, plan.width(), value);
#pragma unroll
    for (int l = 0; l < kLanes; ++l) {
      if (l >= plan.width()) continue;
      const T difference = value[l] - mean;
      sums.first += difference;
      sums.second += difference * difference;
    }
  });
  sums = joinThreads(sums, shared);
  return {mean, count, sums.first, sums.second, isCentred};
}

template <typename T>
__global__ void __launch_bounds__(kMostRowThreads)
    normalizeKernel(GroupPlan plan, const T* __restrict__ x, NormParameters<T> parameters,
                    bool isCentred, T eps, NormOutputs<T> out) {
  GPU_SHARED(TwoSums<T>, shared, [kMostRowThreads / 32]);
  const T count = static_cast<T>(plan.elements());
  const int64_t pieces = plan.piecesOfGroup();
  for (RowWalk group(plan.groups); group.isThere(); group.next()) {
    const int64_t g = group.index();
    const MeanAndSquares<T> moments = groupMoments(plan, x, g, 0, pieces, isCentred, shared);
    const T mean = moments.mean, variance = moments.squares / count;
    if (threadIdx.x == 0) {
      out.mean[g] = mean;
      out.variance[g] = variance;
    }
    const NormLine<T> line = {mean, inverseRoot(variance + eps) * parameters.weightOf(g), 0,
                              parameters.biasOf(g)};
    plan.forPieces(g, 0, pieces, [&](int64_t at, int64_t i) {
      T value[kLanes];
      loadOwn(x + at, plan.width(), value);
#pragma unroll
      for (int l = 0; l < kLanes; ++l) {
        if (l >= plan.width()) continue;
        value[l] = line.forward(value[l]);
        if (parameters.byPosition) {
          value[l] = value[l] * parameters.weight[(i + l) * parameters.weightStride] +
                     parameters.bias[(i + l) * parameters.biasStride];
        }
      }
      storeOwn(out.y + at, plan.width(), value);
    });
  }
}

// --- Groups in parts ---

/// Moments of one part of a group: blockIdx.x counts groups, blockIdx.y parts.
template <typename T>
__global__ void __launch_bounds__(kMostRowThreads)
    momentsKernel(GroupPlan plan, const T* __restrict__ x, bool isCentred,
                  Moments* __restrict__ moments) {
  GPU_SHARED(TwoSums<T>, shared, [kMostRowThreads / 32]);
  const int64_t group = blockIdx.x, begin = blockIdx.y * plan.partPieces;
  const int64_t all = plan.piecesOfGroup();
  const int64_t end = begin + plan.partPieces < all ? begin + plan.partPieces : all;
  const T count = static_cast<T>((end - begin) * plan.width());
  const MeanAndSquares<T> own = groupMoments(plan, x, group, begin, end, isCentred, shared);
  if (threadIdx.x == 0) moments[group * plan.parts + blockIdx.y] = {count, own.mean, own.squares};
}

/// The same of parts of columns.
template <typename T>
__global__ void __launch_bounds__(kColumnLanes* kColumnRows)
    columnMomentsKernel(ColumnPlan plan, const T* __restrict__ x, bool isCentred,
                        Moments* __restrict__ moments) {
  GPU_SHARED(T, shared, [kColumnRows][kColumnLanes]);
  const T* const column = x + plan.column();
  const T count = static_cast<T>(plan.end() - plan.begin());
  T sum = 0, squares = 0;
  if (isCentred) plan.forRows([&](int64_t row) { sum += column[row * plan.columns]; });
  const T first = sumColumn(sum, shared) / count;
  sum = 0;
  plan.forRows([&](int64_t row) {
    const T difference = column[row * plan.columns] - first;
    sum += difference;
    squares += difference * difference;
  });
  sum = sumColumn(sum, shared);
  squares = sumColumn(squares, shared);
  const MeanAndSquares<T> own(first, count, sum, squares, isCentred);
  if (threadIdx.y == 0 && plan.column() < plan.columns) {
    moments[plan.column() * gridDim.y + blockIdx.y] = {count, own.mean, own.squares};
  }
}

/// Joins the parts of each group, a warp for each.
template <typename T>
__global__ void __launch_bounds__(kMostRowThreads)
    joinMomentsKernel(int64_t groups, int64_t parts, const Moments* __restrict__ moments,
                      NormParameters<T> parameters, T eps, NormOutputs<T> out,
                      NormLine<T>* __restrict__ lines) {
  for (RowWalk group(groups); group.isThere(); group.next()) {
    const int64_t g = group.index();
    Moments own = {0, 0, 0};
    for (int64_t part = threadIdx.x; part < parts; part += blockDim.x) {
      own.join(moments[g * parts + part]);
    }
    const Moments all = joinWarp(own);
    if (threadIdx.x != 0) continue;
    const T mean = static_cast<T>(all.mean), variance = static_cast<T>(all.squares / all.count);
    out.mean[g] = mean;
    out.variance[g] = variance;
    lines[g] = {mean, inverseRoot(variance + eps) * parameters.weightOf(g), 0,
                parameters.biasOf(g)};
  }
}

template <typename T>
__global__ void __launch_bounds__(kBlockThreads)
    applyForwardKernel(GroupElements of, const T* __restrict__ x,
                       const NormLine<T>* __restrict__ lines, T* __restrict__ y) {
  for (int64_t i = firstOfThread(); i < of.pieces; i += strideOfGrid()) {
    const NormLine<T> line = lines[of.group(i)];
    T value[kLanes];
    loadOwn(x + i * of.width, of.width, value);
#pragma unroll
    for (int l = 0; l < kLanes; ++l) {
      if (l < of.width) value[l] = line.forward(value[l]);
    }
    storeOwn(y + i * of.width, of.width, value);
  }
}

// --- Host ---

namespace {

template <typename T>
Status split(const OpCall& call, const GroupPlan& plan, const T* x,
             const NormParameters<T>& parameters, bool isCentred, const NormOutputs<T>& out) {
  const bool columns = plan.inner == 1;
  const ColumnPlan columnPlan = columnsOf(plan.outer, plan.groups);
  const int64_t parts = columns ? partsOf(columnPlan) : plan.parts;
  const DeviceScratch moments(static_cast<size_t>(plan.groups * parts) * sizeof(Moments));
  const DeviceScratch lines(static_cast<size_t>(plan.groups) * sizeof(NormLine<T>));
  if (!moments || !lines) return noScratch(call);
  Status status =
      columns ? launch(columnMomentsKernel<T>, gridOf(columnPlan), dim3(kColumnLanes, kColumnRows),
                       0, columnPlan, x, isCentred, moments.as<Moments>())
              : launch(momentsKernel<T>,
                       dim3(static_cast<unsigned>(plan.groups), static_cast<unsigned>(parts)),
                       dim3(kMostRowThreads), 0, plan, x, isCentred, moments.as<Moments>());
  if (status != Status::ok) return status;
  const RowLaunch join(plan.groups, 32);
  status = launch(joinMomentsKernel<T>, join.grid, join.block, 0, plan.groups, parts,
                  moments.as<Moments>(), parameters, static_cast<T>(call.floats[0]), out,
                  lines.as<NormLine<T>>());
  if (status != Status::ok) return status;
  const GroupElements elements(plan);
  return launch(applyForwardKernel<T>, gridFor(elements.pieces, kBlockThreads), dim3(kBlockThreads),
                0, elements, x, lines.as<NormLine<T>>(), out.y);
}

template <typename T>
Status forward(const OpCall& call) {
  const bool isAffine = call.op == Op::normalizeAffine;
  DeviceScratch scratch;
  TensorView x;
  const Status status = makeContiguous(call.inputs[0], scratch, &x);
  if (status != Status::ok) return status;
  const NormOutputs<T> out = {outputOf<T>(call, 0), outputOf<T>(call, 1), outputOf<T>(call, 2)};
  NormParameters<T> parameters = {};
  if (isAffine) {
    parameters = {inputOf<T>(call.inputs[1]), inputOf<T>(call.inputs[2]), call.inputs[1].strides[0],
                  call.inputs[2].strides[0], call.ints[1] != 0};
  }
  const bool isCentred = call.ints[0] != 0;
  const GroupPlan plan = groupsOf<T>(call.outputs[0], {x.data, out.y});
  if (isSplit(plan, parameters.byPosition)) {
    return split(call, plan, inputOf<T>(x), parameters, isCentred, out);
  }
  const RowLaunch size(plan.groups, plan.outer * plan.inner);
  return launch(normalizeKernel<T>, size.grid, size.block, 0, plan, inputOf<T>(x), parameters,
                isCentred, static_cast<T>(call.floats[0]), out);
}

Status normalize(const OpCall& call) {
  return call.inputs[0].dtype == DType::float64 ? forward<double>(call) : forward<float>(call);
}

}  // namespace

void registerNormalization(Kernel* kernels) {
  kernels[static_cast<int>(Op::normalize)] = normalize;
  kernels[static_cast<int>(Op::normalizeAffine)] = normalize;
}

}  // namespace cuda
}  // namespace kindling
