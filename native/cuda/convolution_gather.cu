// The forward pass and the gradient of the input by matrix product. For each group and each phase
// of the stride
//   rows: the channels of the result   columns: its positions   depth: source channels x taps.
// A first kernel packs the weights as [depth][rows], padded to whole tiles, and writes a table that
// says where each step of the depth reads. The product then gathers the panels of the source as it
// goes: nothing the size of an unfolded input is ever stored.

#include "core/status.h"
#include "cuda/async_copy.cuh"
#include "cuda/convolution.h"
#include "cuda/convolution_tile.cuh"
#include "cuda/indexing.cuh"
#include "cuda/runtime.h"

namespace kindling {
namespace cuda {
namespace convolution {

/// One axis. Phase p of the gradient of the input has the positions p + t * period of the result,
/// which the kernel positions first(p) + i * tapPeriod reach; the forward pass has one phase.
struct GatherAxis {
  int source, result, kernel;  // extents
  int stride, padding, dilation;
  int phases;
  int tapPeriod;
  int step;  // between the source positions of neighbours in the result

  __device__ __forceinline__ int count(int phase) const { return (result - 1 - phase) / phases + 1; }
};

/// The kernel positions of a phase along one axis.
struct TapRange {
  int first, count;
};

struct GatherPlan {
  GatherAxis axes[kSpatial];
  bool backward;
  int phases;
  int groups, rows, channels;  // of one group
  int paddedRows;              // to whole tiles
  int mostDepth;               // of all phases, padded to whole tiles
  int parts;                   // of the depth
  int sourcePlane;
  int64_t sourceSample, resultSample, resultPlane;
  int64_t weightGroup, weightRow, weightChannel;
  int batch, columns;  // columns: the most of all phases
  unsigned across;         // tiles of those columns
};

/// Where a step of the depth reads, relative to the position that a column starts from.
struct alignas(16) Reach {
  int offset, d, h, w;
};

constexpr int kNowhere = -(1 << 30);  // as a position: outside of every source

__device__ __forceinline__ TapRange tapsOf(const GatherPlan& plan, int axis, int phase) {
  const GatherAxis& a = plan.axes[axis];
  if (!plan.backward) return {0, a.kernel};
  for (int i = 0; i < a.tapPeriod && i < a.kernel; ++i) {
    if ((phase + a.padding - i * a.dilation) % a.stride == 0) {
      return {i, (a.kernel - 1 - i) / a.tapPeriod + 1};
    }
  }
  return {0, 0};
}

__device__ __forceinline__ int reachOf(const GatherPlan& plan, int axis, int phase, int tap) {
  const GatherAxis& a = plan.axes[axis];
  return plan.backward ? (phase + a.padding - tap * a.dilation) / a.stride
                       : tap * a.dilation - a.padding;
}

/// packed: [phase][group][mostDepth][paddedRows]; reaches: [phase][mostDepth].
template <bool kTf32>
__global__ void packWeights(GatherPlan plan, const float* __restrict__ weight,
                            float* __restrict__ packed, Reach* __restrict__ reaches) {
  const int64_t perGroup = static_cast<int64_t>(plan.mostDepth) * plan.paddedRows;
  const int64_t total = perGroup * plan.groups * plan.phases;
  const int64_t grid = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < total;
       i += grid) {
    const int row = static_cast<int>(i % plan.paddedRows);
    const int64_t above = i / plan.paddedRows;
    const int depth = static_cast<int>(above % plan.mostDepth);
    const int group = static_cast<int>(above / plan.mostDepth % plan.groups);
    int phase = static_cast<int>(above / plan.mostDepth / plan.groups);
    const int64_t reachAt = static_cast<int64_t>(phase) * plan.mostDepth + depth;
    int at[kSpatial];
    for (int axis = kSpatial - 1; axis >= 0; --axis) {
      at[axis] = phase % plan.axes[axis].phases;
      phase /= plan.axes[axis].phases;
    }
    TapRange range[kSpatial];
    int taps = 1;
    for (int axis = 0; axis < kSpatial; ++axis) {
      range[axis] = tapsOf(plan, axis, at[axis]);
      taps *= range[axis].count;
    }
    float value = 0.0f;
    Reach reach = {0, kNowhere, kNowhere, kNowhere};
    if (depth < plan.channels * taps) {
      const int channel = depth / taps;
      int rest = depth % taps, tap[kSpatial], reached[kSpatial];
      for (int axis = kSpatial - 1; axis >= 0; --axis) {
        tap[axis] = range[axis].first + rest % range[axis].count * plan.axes[axis].tapPeriod;
        rest /= range[axis].count;
        reached[axis] = reachOf(plan, axis, at[axis], tap[axis]);
      }
      const GatherAxis* const axes = plan.axes;
      reach.d = reached[0];
      reach.h = reached[1];
      reach.w = reached[2];
      reach.offset = channel * plan.sourcePlane +
                     (reached[0] * axes[1].source + reached[1]) * axes[2].source + reached[2];
      if (row < plan.rows) {
        value = weight[group * plan.weightGroup + row * plan.weightRow +
                       channel * plan.weightChannel +
                       (tap[0] * axes[1].kernel + tap[1]) * axes[2].kernel + tap[2]];
      }
    }
    packed[i] = kTf32 ? __uint_as_float(gpu::toTf32(value)) : value;
    if (row == 0 && group == 0) reaches[reachAt] = reach;
  }
}

/// The columns of one phase: its share of the result's positions, sample by sample.
struct PhaseGrid {
  int first[kSpatial], count[kSpatial];
  int depth;

  static __device__ __forceinline__ PhaseGrid of(const GatherPlan& plan, int phase) {
    PhaseGrid grid;
    grid.depth = plan.channels;
#pragma unroll
    for (int axis = kSpatial - 1; axis >= 0; --axis) {
      grid.first[axis] = phase % plan.axes[axis].phases;
      phase /= plan.axes[axis].phases;
      grid.count[axis] = plan.axes[axis].count(grid.first[axis]);
      grid.depth *= tapsOf(plan, axis, grid.first[axis]).count;
    }
    return grid;
  }
  __device__ __forceinline__ int size() const { return count[0] * count[1] * count[2]; }
};

/// What a column is: a sample and a position in the phase's grid.
struct Column {
  int sample;
  int at[kSpatial];

  __device__ __forceinline__ Column(const PhaseGrid& grid, int column) {
    const int size = grid.size();
    sample = column / size;
    int rest = column - sample * size;
    at[2] = rest % grid.count[2];
    rest /= grid.count[2];
    at[1] = rest % grid.count[1];
    at[0] = rest / grid.count[1];
  }
  /// In the result, from its first channel of the group on.
  __device__ __forceinline__ int64_t offset(const GatherPlan& plan, const PhaseGrid& grid) const {
    int64_t position = 0;
#pragma unroll
    for (int axis = 0; axis < kSpatial; ++axis) {
      position = position * plan.axes[axis].result + grid.first[axis] +
                 at[axis] * plan.axes[axis].phases;
    }
    return sample * plan.resultSample + position;
  }
};

/// Adds the bias of the group's rows.
template <typename TileOf>
__device__ __forceinline__ void addBias(const float* __restrict__ bias, int firstRow, int rows,
                                        TileOf& tile) {
#pragma unroll
  for (int i = 0; i < TileOf::kRows; ++i) {
    const int row = firstRow + TileOf::row(i);
    const float shift = row < rows ? bias[row] : 0.0f;
#pragma unroll
    for (int j = 0; j < TileOf::kColumns; ++j) tile.sum[i][j] += shift;
  }
}

/// Writes a thread's part of the tile to the result, or to `partial`.
template <typename TileOf>
__device__ __forceinline__ void storeTile(const GatherPlan& plan, const PhaseGrid& grid,
                                          const TileOf& tile, int group, int firstRow,
                                          int firstColumn, int columns,
                                          float* __restrict__ out, float* __restrict__ partial) {
  constexpr int kNeighbours = TileOf::kNeighbours;
  const bool dense = plan.phases == 1 && plan.resultPlane % kNeighbours == 0;
#pragma unroll
  for (int j = 0; j < TileOf::kColumns; ++j) {
    const int column = firstColumn + TileOf::column(j);
    if (column >= columns) continue;
    const bool together = dense && partial == nullptr;
    if (together && j % kNeighbours != 0) continue;
    float* to;
    int64_t rowStep;
    if (partial != nullptr) {
      to = partial + static_cast<int64_t>(firstRow) * plan.columns + column;
      rowStep = plan.columns;
    } else {
      to = out + Column(grid, column).offset(plan, grid) +
           (static_cast<int64_t>(group) * plan.rows + firstRow) * plan.resultPlane;
      rowStep = plan.resultPlane;
    }
#pragma unroll
    for (int i = 0; i < TileOf::kRows; ++i) {
      const int row = TileOf::row(i);
      if (firstRow + row >= plan.rows) continue;
      float* const at = to + row * rowStep;
      if (!together) {
        *at = tile.sum[i][j];
      } else if constexpr (kNeighbours == 4) {
        *reinterpret_cast<float4*>(at) =
            make_float4(tile.sum[i][j / 4 * 4], tile.sum[i][j / 4 * 4 + 1],
                        tile.sum[i][j / 4 * 4 + 2], tile.sum[i][j / 4 * 4 + 3]);
      } else {
        *reinterpret_cast<float2*>(at) =
            make_float2(tile.sum[i][j / 2 * 2], tile.sum[i][j / 2 * 2 + 1]);
      }
    }
  }
}

/// Grid: (((part * phases + phase) * groups + group) * across + columns), rows.
template <int kTileRows, int kTileColumns, bool kTf32>
__global__ void __launch_bounds__(Tile<kTileRows, kTileColumns, kTf32, true>::kThreads,
                                  kTileRows == 128 ? 2 : 3)
    gatherProduct(GatherPlan plan, const float* __restrict__ source,
                  const float* __restrict__ packed, const Reach* __restrict__ reaches,
                  const float* __restrict__ bias, float* __restrict__ out,
                  float* __restrict__ partial) {
  using TileOf = Tile<kTileRows, kTileColumns, kTf32, true>;
  constexpr int kThreads = TileOf::kThreads, kDepth = TileOf::kDepth, kStages = TileOf::kStages;
  static_assert(kThreads % kTileColumns == 0, "a thread gathers for one column");
  GPU_DYNAMIC_SHARED(bytes);
  float* const shared = reinterpret_cast<float*>(bytes);

  const int thread = static_cast<int>(threadIdx.x);
  const int problem = static_cast<int>(blockIdx.x / plan.across);
  const int group = problem % plan.groups, above = problem / plan.groups;
  const int phase = above % plan.phases, part = above / plan.phases;
  const PhaseGrid grid = PhaseGrid::of(plan, phase);
  // Kept for the end, so that no registers hold it meanwhile.
  GPU_SHARED(PhaseGrid, kept, [1]);
  if (thread == 0) kept[0] = grid;
  const int columns = plan.batch * grid.size();
  const int firstColumn = static_cast<int>(blockIdx.x % plan.across) * kTileColumns;
  const int firstRow = static_cast<int>(blockIdx.y) * kTileRows;
  if (firstColumn >= columns) return;  // the whole block: a phase with fewer columns than others

  // The steps of this part.
  const int allSteps = (grid.depth + kDepth - 1) / kDepth;
  const int partSteps = (allSteps + plan.parts - 1) / plan.parts;
  const int begin = part * partSteps;
  const int steps = (begin + partSteps < allSteps ? begin + partSteps : allSteps) - begin;

  // The column that this thread gathers for.
  const int ownColumn = thread % kTileColumns;
  int d = kNowhere, h = kNowhere, w = kNowhere;
  const float* from = source;
  if (firstColumn + ownColumn < columns) {
    const Column column(grid, firstColumn + ownColumn);
    d = column.at[0] * plan.axes[0].step;
    h = column.at[1] * plan.axes[1].step;
    w = column.at[2] * plan.axes[2].step;
    from = source + column.sample * plan.sourceSample +
           static_cast<int64_t>(group) * plan.channels * plan.sourcePlane +
           (d * plan.axes[1].source + h) * plan.axes[2].source + w;
  }
  const float* const panel =
      packed +
      (static_cast<int64_t>(phase) * plan.groups + group) * plan.mostDepth * plan.paddedRows +
      firstRow;
  const Reach* const reach = reaches + static_cast<int64_t>(phase) * plan.mostDepth;

  const auto fetch = [&](int step) {
    float* const a = shared + step % kStages * TileOf::kPanel;
    float* const b = a + kDepth * TileOf::kRowPitch;
    const int depth = (begin + step) * kDepth;
    constexpr int kFours = kDepth * kTileRows / 4;
#pragma unroll
    for (int i = 0; i < (kFours + kThreads - 1) / kThreads; ++i) {
      const int four = thread + i * kThreads;
      if (kFours % kThreads == 0 || four < kFours) {
        const int k = four / (kTileRows / 4), row = four % (kTileRows / 4) * 4;
        gpu::cpAsync16(a + k * TileOf::kRowPitch + row,
                       panel + static_cast<int64_t>(depth + k) * plan.paddedRows + row);
      }
    }
    // Four reaches at a time: more would push sums out of the registers (sm_120).
#pragma unroll 4
    for (int i = 0; i < kDepth * kTileColumns / kThreads; ++i) {
      const int k = thread / kTileColumns + i * (kThreads / kTileColumns);
      const Reach to = reach[depth + k];
      // One condition, not branches: all lanes copy, some of them zeros.
      const bool inside =
          (static_cast<unsigned>(d + to.d) < static_cast<unsigned>(plan.axes[0].source)) &
          (static_cast<unsigned>(h + to.h) < static_cast<unsigned>(plan.axes[1].source)) &
          (static_cast<unsigned>(w + to.w) < static_cast<unsigned>(plan.axes[2].source));
      gpu::cpAsync4(b + k * TileOf::kColumnPitch + ownColumn, from + to.offset, inside);
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
  __syncthreads();
  if (partial != nullptr) {
    partial += static_cast<int64_t>(problem) * plan.rows * plan.columns;
  } else if (bias != nullptr) {
    addBias(bias + group * plan.rows, firstRow, plan.rows, tile);
  }
  storeTile(plan, kept[0], tile, group, firstRow, firstColumn, plan.batch * kept[0].size(), out,
            partial);
}

/// out = the sum of the parts, which lie as [part][phase][group][rows][columns], and the bias. Grid:
/// lines (all but the last of those axes), in `blocks` blocks each.
__global__ void __launch_bounds__(kBlockThreads)
    sumGathered(GatherPlan plan, unsigned blocks, const float* __restrict__ partial,
                const float* __restrict__ bias, float* __restrict__ out) {
  const int line = static_cast<int>(blockIdx.x / blocks), lines = plan.rows * plan.groups;
  const int row = line % lines;  // of all groups
  const PhaseGrid phase = PhaseGrid::of(plan, line / lines);
  const int column = static_cast<int>(blockIdx.x % blocks) * kBlockThreads +
                     static_cast<int>(threadIdx.x);
  if (column >= plan.batch * phase.size()) return;
  const int64_t at = static_cast<int64_t>(line) * plan.columns + column;
  const int64_t size = static_cast<int64_t>(lines) * plan.phases * plan.columns;
  float sum = bias != nullptr ? bias[row] : 0.0f;
  for (int part = 0; part < plan.parts; ++part) sum += partial[part * size + at];
  out[Column(phase, column).offset(plan, phase) + row * plan.resultPlane] = sum;
}

namespace {

int64_t divisor(int64_t a, int64_t b) { return b == 0 ? a : divisor(b, a % b); }

GatherPlan planOf(const ConvShape& shape, bool backward, int tileRows, int depthStep) {
  GatherPlan plan = {};
  plan.backward = backward;
  plan.phases = 1;
  int64_t taps = 1, grid = 1, sourcePlane = 1;
  for (int axis = 0; axis < kSpatial; ++axis) {
    GatherAxis& a = plan.axes[axis];
    const int64_t stride = shape.stride[axis];
    a.source = static_cast<int>(backward ? shape.output[axis] : shape.input[axis]);
    a.result = static_cast<int>(backward ? shape.input[axis] : shape.output[axis]);
    a.kernel = static_cast<int>(shape.kernel[axis]);
    a.stride = static_cast<int>(stride);
    a.padding = static_cast<int>(shape.padding[axis]);
    a.dilation = static_cast<int>(shape.dilation[axis]);
    a.phases = backward ? static_cast<int>(stride < a.result ? stride : a.result) : 1;
    a.tapPeriod = backward ? static_cast<int>(stride / divisor(stride, shape.dilation[axis])) : 1;
    a.step = backward ? 1 : a.stride;
    plan.phases *= a.phases;
    taps *= (a.kernel - 1) / a.tapPeriod + 1;
    grid *= (a.result - 1) / a.phases + 1;
    sourcePlane *= a.source;
  }
  plan.groups = static_cast<int>(shape.groups);
  plan.rows = static_cast<int>(backward ? shape.channels : shape.filters);
  plan.channels = static_cast<int>(backward ? shape.filters : shape.channels);
  plan.paddedRows = static_cast<int>(ceilDivide(plan.rows, tileRows) * tileRows);
  const int64_t depth = plan.channels * taps;
  plan.mostDepth = static_cast<int>(ceilDivide(depth > 0 ? depth : 1, depthStep) * depthStep);
  plan.sourcePlane = static_cast<int>(sourcePlane);
  plan.resultPlane = backward ? shape.inputPlane : shape.outputPlane;
  plan.sourceSample = shape.groups * plan.channels * sourcePlane;
  plan.resultSample = shape.groups * plan.rows * plan.resultPlane;
  plan.weightGroup = shape.filters * shape.channels * shape.taps;
  plan.weightRow = backward ? shape.taps : shape.channels * shape.taps;
  plan.weightChannel = backward ? shape.channels * shape.taps : shape.taps;
  plan.batch = static_cast<int>(shape.batch);
  plan.columns = static_cast<int>(shape.batch * grid);
  return plan;
}

Status noMemory() { return fail(Status::outOfMemory, "convolution: no scratch memory"); }

template <int kTileRows, int kTileColumns, bool kTf32>
Status runProduct(const ConvShape& shape, bool backward, const GatherOperands<float>& operands) {
  using TileOf = Tile<kTileRows, kTileColumns, kTf32, true>;
  GatherPlan plan = planOf(shape, backward, kTileRows, TileOf::kDepth);
  const int64_t steps = plan.mostDepth / TileOf::kDepth;
  const int64_t across = ceilDivide(plan.columns, kTileColumns);
  const int64_t down = ceilDivide(plan.rows, kTileRows);
  const int64_t problems = static_cast<int64_t>(plan.phases) * plan.groups;
  plan.across = static_cast<unsigned>(across);
  plan.parts = static_cast<int>(partsFor(across * down * problems, steps, 8, 32));
  const int64_t weights = problems * plan.mostDepth * plan.paddedRows;
  const DeviceScratch packed(static_cast<size_t>(weights) * sizeof(float));
  const DeviceScratch reaches(static_cast<size_t>(plan.phases) *
                              static_cast<size_t>(plan.mostDepth) * sizeof(Reach));
  DeviceScratch partial;
  const int64_t size = problems * plan.rows * plan.columns;
  if (plan.parts > 1) {
    partial = DeviceScratch(static_cast<size_t>(plan.parts * size) * sizeof(float));
    if (!partial) return noMemory();
  }
  if (!packed || !reaches) return noMemory();
  Status status =
      launch(packWeights<kTf32>, dim3(gridFor(weights, kBlockThreads)), dim3(kBlockThreads), 0, plan,
             operands.weight, packed.as<float>(), reaches.as<Reach>());
  if (status != Status::ok) return status;
  const auto kernel = gatherProduct<kTileRows, kTileColumns, kTf32>;
  status = gpu::allowSharedBytes(reinterpret_cast<const void*>(kernel), TileOf::kSharedBytes);
  if (status != Status::ok) return status;
  const dim3 grid(static_cast<unsigned>(across * problems * plan.parts),
                  static_cast<unsigned>(down));
  status = launch(kernel, grid, dim3(TileOf::kThreads), TileOf::kSharedBytes, plan,
                  operands.source, packed.as<float>(), reaches.as<Reach>(), operands.bias,
                  operands.out, partial.as<float>());
  if (status != Status::ok || plan.parts == 1) return status;
  const int64_t blocks = ceilDivide(plan.columns, kBlockThreads);
  return launch(sumGathered, dim3(static_cast<unsigned>(problems * plan.rows * blocks)),
                dim3(kBlockThreads), 0, plan, static_cast<unsigned>(blocks), partial.as<float>(),
                operands.bias, operands.out);
}

template <bool kTf32>
Status runProduct(const ConvShape& shape, bool backward, const GatherOperands<float>& operands) {
  const int64_t rows = backward ? shape.channels : shape.filters;
  if (rows <= 32) return runProduct<32, 128, kTf32>(shape, backward, operands);
  // Large tiles where they fill the device and few of their rows are wasted.
  const int64_t columns = shape.batch * (backward ? shape.inputPlane : shape.outputPlane);
  const int64_t large = ceilDivide(rows, 128) * ceilDivide(columns, 128) * shape.groups;
  const bool wastes = (rows - 1) % 128 < 64;
  if (!wastes && large >= gpu::deviceInfo().multiProcessors) {
    return runProduct<128, 128, kTf32>(shape, backward, operands);
  }
  return runProduct<64, 64, kTf32>(shape, backward, operands);
}

}  // namespace

Status gatherByProduct(const ConvShape& shape, bool backward,
                       const GatherOperands<float>& operands) {
  return gpu::allowTf32() && gpu::deviceInfo().major >= 8
             ? runProduct<true>(shape, backward, operands)
             : runProduct<false>(shape, backward, operands);
}

}  // namespace convolution
}  // namespace cuda
}  // namespace kindling
