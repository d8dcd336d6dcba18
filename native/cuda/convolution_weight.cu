// The gradient of the weight by matrix product. For each group
//   rows: filters   columns: channels x taps   depth: the output's positions of all samples.
// Both panels lie along the depth in memory. The depth is long and the result small, so it is split
// into parts that are added in their order afterwards: no atomics.

#include "core/status.h"
#include "cuda/async_copy.cuh"
#include "cuda/convolution.h"
#include "cuda/convolution_tile.cuh"
#include "cuda/indexing.cuh"
#include "cuda/runtime.h"

namespace kindling {
namespace cuda {
namespace convolution {

struct WeightPlan {
  int source[kSpatial], kernel[kSpatial], stride[kSpatial], padding[kSpatial], dilation[kSpatial];
  FastDivisor<uint32_t> plane, area, width;  // of the output: all, the last two axes, the last axis
  int groups, rows, channels;                // of one group
  int columns, taps;
  int depth, parts;
  int sourcePlane;
  unsigned across;  // tiles of columns
  int64_t sourceSample, gradSample;
};

/// What a column reads relative to the position of a step: kNowhere as `d` where there is none.
struct alignas(16) ColumnReach {
  int offset, d, h, w;
};

constexpr int kNoColumn = -(1 << 30);

__device__ __forceinline__ ColumnReach reachOfColumn(const WeightPlan& plan, int column) {
  if (column >= plan.columns) return {0, kNoColumn, kNoColumn, kNoColumn};
  const int channel = column / plan.taps;
  int rest = column % plan.taps, at[kSpatial];
#pragma unroll
  for (int axis = kSpatial - 1; axis >= 0; --axis) {
    at[axis] = rest % plan.kernel[axis] * plan.dilation[axis] - plan.padding[axis];
    rest /= plan.kernel[axis];
  }
  return {channel * plan.sourcePlane + (at[0] * plan.source[1] + at[1]) * plan.source[2] + at[2],
          at[0], at[1], at[2]};
}

/// Grid: ((part * groups + group) * across + columns), rows. Writes [part][group][rows][columns].
template <int kTileRows, int kTileColumns, bool kTf32>
__global__ void __launch_bounds__(Tile<kTileRows, kTileColumns, kTf32, false>::kThreads,
                                  kTileRows == 128 ? 2 : 3)
    weightProduct(WeightPlan plan, const float* __restrict__ source,
                  const float* __restrict__ grad, float* __restrict__ out) {
  using TileOf = Tile<kTileRows, kTileColumns, kTf32, false>;
  constexpr int kThreads = TileOf::kThreads, kDepth = TileOf::kDepth, kStages = TileOf::kStages;
  constexpr int kApart = kThreads / kDepth;  // rows or columns between two of a thread
  GPU_DYNAMIC_SHARED(bytes);
  float* const shared = reinterpret_cast<float*>(bytes);
  GPU_SHARED(ColumnReach, reaches, [kTileColumns]);

  const int thread = static_cast<int>(threadIdx.x);
  const int problem = static_cast<int>(blockIdx.x / plan.across);
  const int group = problem % plan.groups, part = problem / plan.groups;
  const int firstColumn = static_cast<int>(blockIdx.x % plan.across) * kTileColumns;
  const int firstRow = static_cast<int>(blockIdx.y) * kTileRows;
  for (int i = thread; i < kTileColumns; i += kThreads) {
    reaches[i] = reachOfColumn(plan, firstColumn + i);
  }
  __syncthreads();

  const int allSteps = (plan.depth + kDepth - 1) / kDepth;
  const int partSteps = (allSteps + plan.parts - 1) / plan.parts;
  const int begin = part * partSteps;
  const int steps = (begin + partSteps < allSteps ? begin + partSteps : allSteps) - begin;

  // Every thread gathers one step of the depth, for every kApart-th row and column.
  const int ownStep = thread % kDepth, ownLine = thread / kDepth;
  const int gradPlane = static_cast<int>(plan.plane.divisor);
  const float* const ownGrad =
      grad + (static_cast<int64_t>(group) * plan.rows + firstRow) * gradPlane;
  const float* const ownSource =
      source + static_cast<int64_t>(group) * plan.channels * plan.sourcePlane;

  const auto fetch = [&](int step) {
    float* const a = shared + step % kStages * TileOf::kPanel + ownStep * TileOf::kRowPitch;
    float* const b = shared + step % kStages * TileOf::kPanel + kDepth * TileOf::kRowPitch +
                     ownStep * TileOf::kColumnPitch;
    const uint32_t depth = static_cast<uint32_t>((begin + step) * kDepth + ownStep);
    const bool exists = depth < static_cast<uint32_t>(plan.depth);
    const uint32_t sample = plan.plane.divide(depth);
    const uint32_t position = depth - sample * plan.plane.divisor;
    const uint32_t d = plan.area.divide(position);
    const uint32_t inArea = position - d * plan.area.divisor;
    const uint32_t h = plan.width.divide(inArea);
    const uint32_t w = inArea - h * plan.width.divisor;
    const float* const gradAt = ownGrad + sample * plan.gradSample + position;
#pragma unroll
    for (int i = 0; i < kTileRows / kApart; ++i) {
      const int row = ownLine + i * kApart;
      const bool inside = exists && firstRow + row < plan.rows;
      gpu::cpAsync4(a + row, gradAt + static_cast<int64_t>(row) * gradPlane, inside);
    }
    const int atD = exists ? static_cast<int>(d) * plan.stride[0] : kNoColumn;
    const int atH = static_cast<int>(h) * plan.stride[1];
    const int atW = static_cast<int>(w) * plan.stride[2];
    const float* const sourceAt =
        ownSource + sample * plan.sourceSample +
        (static_cast<int>(d) * plan.stride[0] * plan.source[1] + atH) * plan.source[2] + atW;
#pragma unroll
    for (int i = 0; i < kTileColumns / kApart; ++i) {
      const int column = ownLine + i * kApart;
      const ColumnReach to = reaches[column];
      // One condition, not branches: all lanes copy, some of them zeros.
      const bool inside =
          (static_cast<unsigned>(atD + to.d) < static_cast<unsigned>(plan.source[0])) &
          (static_cast<unsigned>(atH + to.h) < static_cast<unsigned>(plan.source[1])) &
          (static_cast<unsigned>(atW + to.w) < static_cast<unsigned>(plan.source[2]));
      gpu::cpAsync4(b + column, sourceAt + to.offset, inside);
    }
  };

  TileOf tile;
  tile.clear();
#pragma unroll
  for (int step = 0; step < kStages - 1; ++step) {
    if (step < steps) fetch(step);
    gpu::cpAsyncCommit();
  }
  for (int step = 0; step < steps; ++step) {
    gpu::cpAsyncWait<kStages - 2>();
    __syncthreads();
    if (step + kStages - 1 < steps) fetch(step + kStages - 1);
    gpu::cpAsyncCommit();
    const float* const a = shared + step % kStages * TileOf::kPanel;
    tile.add(a, a + kDepth * TileOf::kRowPitch);
  }
  gpu::cpAsyncWait<0>();

  float* const to = out + static_cast<int64_t>(problem) * plan.rows * plan.columns;
#pragma unroll
  for (int i = 0; i < TileOf::kRows; ++i) {
    const int row = firstRow + TileOf::row(i);
    if (row >= plan.rows) continue;
#pragma unroll
    for (int j = 0; j < TileOf::kColumns; ++j) {
      const int column = firstColumn + TileOf::column(j);
      if (column < plan.columns) {
        to[static_cast<int64_t>(row) * plan.columns + column] = tile.sum[i][j];
      }
    }
  }
}

__global__ void __launch_bounds__(kBlockThreads)
    addParts(const float* __restrict__ partial, int64_t parts, int64_t size,
             float* __restrict__ out) {
  const int64_t grid = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < size;
       i += grid) {
    float sum = 0.0f;
    for (int64_t part = 0; part < parts; ++part) sum += partial[part * size + i];
    out[i] = sum;
  }
}

namespace {

WeightPlan planOf(const ConvShape& shape) {
  WeightPlan plan = {};
  int64_t sourcePlane = 1;
  for (int axis = 0; axis < kSpatial; ++axis) {
    plan.source[axis] = static_cast<int>(shape.input[axis]);
    plan.kernel[axis] = static_cast<int>(shape.kernel[axis]);
    plan.stride[axis] = static_cast<int>(shape.stride[axis]);
    plan.padding[axis] = static_cast<int>(shape.padding[axis]);
    plan.dilation[axis] = static_cast<int>(shape.dilation[axis]);
    sourcePlane *= shape.input[axis];
  }
  plan.plane = FastDivisor<uint32_t>(static_cast<uint32_t>(shape.outputPlane));
  plan.area = FastDivisor<uint32_t>(static_cast<uint32_t>(shape.output[1] * shape.output[2]));
  plan.width = FastDivisor<uint32_t>(static_cast<uint32_t>(shape.output[2]));
  plan.groups = static_cast<int>(shape.groups);
  plan.rows = static_cast<int>(shape.filters);
  plan.channels = static_cast<int>(shape.channels);
  plan.columns = static_cast<int>(shape.channels * shape.taps);
  plan.taps = static_cast<int>(shape.taps);
  plan.depth = static_cast<int>(shape.batch * shape.outputPlane);
  plan.sourcePlane = static_cast<int>(sourcePlane);
  plan.sourceSample = shape.groups * shape.channels * sourcePlane;
  plan.gradSample = shape.groups * shape.filters * shape.outputPlane;
  return plan;
}

template <int kTileRows, int kTileColumns, bool kTf32>
Status runProduct(WeightPlan plan, const WeightOperands<float>& operands) {
  using TileOf = Tile<kTileRows, kTileColumns, kTf32, false>;
  const int64_t across = ceilDivide(plan.columns, kTileColumns);
  const int64_t down = ceilDivide(plan.rows, kTileRows);
  const int64_t steps = ceilDivide(plan.depth, TileOf::kDepth);
  plan.across = static_cast<unsigned>(across);
  plan.parts = static_cast<int>(partsFor(across * down * plan.groups, steps, 16, 256));
  const int64_t size = static_cast<int64_t>(plan.groups) * plan.rows * plan.columns;
  DeviceScratch partial;
  if (plan.parts > 1) {
    partial = DeviceScratch(static_cast<size_t>(plan.parts * size) * sizeof(float));
    if (!partial) return fail(Status::outOfMemory, "convolution: no scratch memory");
  }
  float* const to = plan.parts > 1 ? partial.as<float>() : operands.out;
  const auto kernel = weightProduct<kTileRows, kTileColumns, kTf32>;
  Status status = gpu::allowSharedBytes(reinterpret_cast<const void*>(kernel), TileOf::kSharedBytes);
  if (status != Status::ok) return status;
  const dim3 grid(static_cast<unsigned>(across * plan.groups * plan.parts),
                  static_cast<unsigned>(down));
  status = launch(kernel, grid, dim3(TileOf::kThreads), TileOf::kSharedBytes, plan,
                  operands.source, operands.grad, to);
  if (status != Status::ok || plan.parts == 1) return status;
  return sumParts(partial.as<float>(), plan.parts, size, operands.out);
}

template <bool kTf32>
Status runProduct(const ConvShape& shape, const WeightOperands<float>& operands) {
  const WeightPlan plan = planOf(shape);
  if (plan.rows <= 32) return runProduct<32, 128, kTf32>(plan, operands);
  const bool wastes = (plan.rows - 1) % 128 < 64 || (plan.columns - 1) % 128 < 64;
  if (!wastes) return runProduct<128, 128, kTf32>(plan, operands);
  return runProduct<64, 64, kTf32>(plan, operands);
}

}  // namespace

int64_t partsFor(int64_t blocks, int64_t steps, int64_t fewestSteps, int64_t most) {
  const int64_t wanted = 2 * gpu::deviceInfo().multiProcessors;
  if (blocks >= wanted || steps < 2 * fewestSteps) return 1;
  int64_t parts = ceilDivide(wanted, blocks);
  if (parts > steps / fewestSteps) parts = steps / fewestSteps;
  if (parts > most) parts = most;
  // No part without steps.
  return ceilDivide(steps, ceilDivide(steps, parts));
}

Status sumParts(const float* partial, int64_t parts, int64_t size, float* out) {
  return launch(addParts, dim3(gridFor(size, kBlockThreads)), dim3(kBlockThreads), 0, partial,
                parts, size, out);
}

Status weightByProduct(const ConvShape& shape, const WeightOperands<float>& operands) {
  return gpu::allowTf32() && gpu::deviceInfo().major >= 8 ? runProduct<true>(shape, operands)
                                                          : runProduct<false>(shape, operands);
}

}  // namespace convolution
}  // namespace cuda
}  // namespace kindling
