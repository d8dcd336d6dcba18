// Convolutions whose groups have few channels, depthwise ones above all: a matrix product would
// waste most of its tile. Memory bounds them, so the sums go over global memory, where neighbours
// find what they share in the first cache, and threads hold several results in registers.

#include "core/status.h"
#include "cuda/convolution.h"
#include "cuda/indexing.cuh"
#include "cuda/runtime.h"

namespace kindling {
namespace cuda {
namespace convolution {

constexpr int kDepthwiseThreads = 128;
constexpr int kStrip = 4;  // neighbours along a row that a thread computes

struct DepthwisePlan {
  int source[kSpatial], result[kSpatial], kernel[kSpatial];
  // Tap k of result position p reads the source at (p * scale + base + k * step) / divisor, where
  // that is whole.
  int scale[kSpatial], base[kSpatial], step[kSpatial], divisor[kSpatial];
  bool flipped;  // taps in reverse order
  int rows, channels, groups, taps;
  FastDivisor<uint32_t> strips, heights;  // of a row, of a plane
  int items;                              // strips of a plane of the result
  unsigned blocks;                        // of a plane
  int sourcePlane;
  int64_t resultPlane;
  int64_t weightGroup, weightRow, weightChannel;
};

__device__ __forceinline__ float elementAt(const float* __restrict__ row, int at, int extent) {
  return static_cast<unsigned>(at) < static_cast<unsigned>(extent) ? row[at] : 0.0f;
}

/// The position in the source along one axis, or -1.
template <bool kDivides>
__device__ __forceinline__ int sourceAt(const DepthwisePlan& plan, int axis, int result, int tap) {
  int at = result * plan.scale[axis] + plan.base[axis] + tap * plan.step[axis];
  if (kDivides) {
    if (at < 0 || at % plan.divisor[axis] != 0) return -1;
    at /= plan.divisor[axis];
  }
  return static_cast<unsigned>(at) < static_cast<unsigned>(plan.source[axis]) ? at : -1;
}

/// Adds the taps of one row of the kernel to a strip that begins at w. `weight` steps by `turn`.
template <bool kDivides>
__device__ __forceinline__ void addRow(const DepthwisePlan& plan, const float* __restrict__ row,
                                       const float* __restrict__ weight, int turn, int w,
                                       float (&sum)[kStrip]) {
  const int extent = plan.source[2];
  if (!kDivides && plan.scale[2] == 1 && plan.step[2] == 1) {
    // The window of the strip moves by one with every tap.
    const int first = w + plan.base[2];
    float a = elementAt(row, first, extent), b = elementAt(row, first + 1, extent);
    float c = elementAt(row, first + 2, extent);
    for (int k = 0; k < plan.kernel[2]; ++k) {
      const float d = elementAt(row, first + k + 3, extent), factor = weight[k * turn];
      sum[0] = fmaf(factor, a, sum[0]);
      sum[1] = fmaf(factor, b, sum[1]);
      sum[2] = fmaf(factor, c, sum[2]);
      sum[3] = fmaf(factor, d, sum[3]);
      a = b;
      b = c;
      c = d;
    }
    return;
  }
  for (int k = 0; k < plan.kernel[2]; ++k) {
    const float factor = weight[k * turn];
#pragma unroll
    for (int j = 0; j < kStrip; ++j) {
      const int at = sourceAt<kDivides>(plan, 2, w + j, k);
      if (at >= 0) sum[j] = fmaf(factor, row[at], sum[j]);
    }
  }
}

/// Grid: planes of the result, in `blocks` blocks each.
template <bool kDivides>
__global__ void __launch_bounds__(kDepthwiseThreads, 6)
    gatherFew(DepthwisePlan plan, const float* __restrict__ source,
              const float* __restrict__ weight, const float* __restrict__ bias,
              float* __restrict__ out) {
  const uint32_t plane = blockIdx.x / plan.blocks;
  const uint32_t item = (blockIdx.x - plane * plan.blocks) * kDepthwiseThreads + threadIdx.x;
  if (item >= static_cast<uint32_t>(plan.items)) return;
  const int channel = static_cast<int>(plane % static_cast<uint32_t>(plan.groups * plan.rows));
  const int64_t sample = plane / static_cast<uint32_t>(plan.groups * plan.rows);
  const int group = channel / plan.rows, row = channel - group * plan.rows;
  const uint32_t line = plan.strips.divide(item);
  const int w = static_cast<int>(item - line * plan.strips.divisor) * kStrip;
  const int d = static_cast<int>(plan.heights.divide(line));
  const int h = static_cast<int>(line) - d * static_cast<int>(plan.heights.divisor);

  const float first = bias != nullptr ? bias[channel] : 0.0f;
  float sum[kStrip] = {first, first, first, first};
  const int turn = plan.flipped ? -1 : 1;
  for (int q = 0; q < plan.channels; ++q) {
    const float* const from =
        source + ((sample * plan.groups + group) * plan.channels + q) * plan.sourcePlane;
    const float* const factors = weight + group * plan.weightGroup + row * plan.weightRow +
                                 q * plan.weightChannel + (plan.flipped ? plan.taps - 1 : 0);
    for (int i = 0; i < plan.kernel[0]; ++i) {
      const int atD = sourceAt<kDivides>(plan, 0, d, i);
      if (atD < 0) continue;
      for (int j = 0; j < plan.kernel[1]; ++j) {
        const int atH = sourceAt<kDivides>(plan, 1, h, j);
        if (atH < 0) continue;
        addRow<kDivides>(plan, from + (atD * plan.source[1] + atH) * plan.source[2],
                         factors + (i * plan.kernel[1] + j) * plan.kernel[2] * turn, turn, w, sum);
      }
    }
  }
  float* const to = out + plane * plan.resultPlane +
                    static_cast<int64_t>(line) * plan.result[2] + w;
  if (plan.result[2] % kStrip == 0) {
    *reinterpret_cast<float4*>(to) = make_float4(sum[0], sum[1], sum[2], sum[3]);
    return;
  }
#pragma unroll
  for (int j = 0; j < kStrip; ++j) {
    if (w + j < plan.result[2]) to[j] = sum[j];
  }
}

struct DepthwiseWeightPlan {
  int source[kSpatial], kernel[kSpatial], stride[kSpatial], padding[kSpatial], dilation[kSpatial];
  FastDivisor<uint32_t> plane, area, width;  // of the output
  int filters, channels, groups, taps;       // of one group
  uint32_t depth;                            // positions of all samples
  int parts;
  int sourcePlane;
};

constexpr int kTapsAtOnce = 9;

/// The sums over all threads of the block, in thread 0.
__device__ __forceinline__ void sumOverBlock(float (&sum)[kTapsAtOnce],
                                             float (*room)[kTapsAtOnce]) {
#pragma unroll
  for (int i = 0; i < kTapsAtOnce; ++i) {
#pragma unroll
    for (int step = 16; step > 0; step /= 2) {
      sum[i] += __shfl_xor_sync(0xffffffffu, sum[i], step);
    }
  }
  const int warp = static_cast<int>(threadIdx.x) / 32;
  __syncthreads();
  if (threadIdx.x % 32 == 0) {
#pragma unroll
    for (int i = 0; i < kTapsAtOnce; ++i) room[warp][i] = sum[i];
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    for (int other = 1; other < kDepthwiseThreads / 32; ++other) {
#pragma unroll
      for (int i = 0; i < kTapsAtOnce; ++i) sum[i] += room[other][i];
    }
  }
}

/// Grid: part * (filters * channels) + (filter of all groups) * channels + channel. Each block sums
/// over its part of the positions, nine taps at a time. Writes [part][filter][channel][tap].
__global__ void __launch_bounds__(kDepthwiseThreads)
    weightFew(DepthwiseWeightPlan plan, const float* __restrict__ source,
              const float* __restrict__ grad, float* __restrict__ out) {
  GPU_SHARED(float, room, [kDepthwiseThreads / 32][kTapsAtOnce]);
  const int pairs = plan.groups * plan.filters * plan.channels;
  const int part = static_cast<int>(blockIdx.x) / pairs;
  const int pair = static_cast<int>(blockIdx.x) - part * pairs;
  const int filter = pair / plan.channels, channel = pair - filter * plan.channels;
  const int group = filter / plan.filters;
  const int64_t gradSample = static_cast<int64_t>(plan.groups) * plan.filters;
  const int64_t sourceSample = static_cast<int64_t>(plan.groups) * plan.channels;
  const float* const from =
      source + (static_cast<int64_t>(group) * plan.channels + channel) * plan.sourcePlane;
  const float* const gradFrom = grad + static_cast<int64_t>(filter) * plan.plane.divisor;
  const uint32_t each = (plan.depth + plan.parts - 1) / plan.parts;
  const uint32_t begin = part * each;
  const uint32_t end = plan.depth - begin < each ? plan.depth : begin + each;
  for (int base = 0; base < plan.taps; base += kTapsAtOnce) {
    float sum[kTapsAtOnce] = {};
    int reach[kTapsAtOnce][kSpatial];
#pragma unroll
    for (int i = 0; i < kTapsAtOnce; ++i) {
      int rest = base + i < plan.taps ? base + i : 0;
#pragma unroll
      for (int axis = kSpatial - 1; axis >= 0; --axis) {
        reach[i][axis] = rest % plan.kernel[axis] * plan.dilation[axis] - plan.padding[axis];
        rest /= plan.kernel[axis];
      }
    }
    for (uint32_t at = begin + threadIdx.x; at < end; at += kDepthwiseThreads) {
      const uint32_t sample = plan.plane.divide(at);
      const uint32_t position = at - sample * plan.plane.divisor;
      const uint32_t z = plan.area.divide(position);
      const uint32_t inArea = position - z * plan.area.divisor;
      const uint32_t y = plan.width.divide(inArea);
      const int d = static_cast<int>(z) * plan.stride[0], h = static_cast<int>(y) * plan.stride[1];
      const int w = static_cast<int>(inArea - y * plan.width.divisor) * plan.stride[2];
      const float factor = gradFrom[sample * gradSample * plan.plane.divisor + position];
      const float* const plane = from + sample * sourceSample * plan.sourcePlane;
#pragma unroll
      for (int i = 0; i < kTapsAtOnce; ++i) {
        const int atD = d + reach[i][0], atH = h + reach[i][1], atW = w + reach[i][2];
        const bool inside = static_cast<unsigned>(atD) < static_cast<unsigned>(plan.source[0]) &&
                            static_cast<unsigned>(atH) < static_cast<unsigned>(plan.source[1]) &&
                            static_cast<unsigned>(atW) < static_cast<unsigned>(plan.source[2]);
        const float value =
            inside ? plane[(atD * plan.source[1] + atH) * plan.source[2] + atW] : 0.0f;
        sum[i] = fmaf(factor, value, sum[i]);
      }
    }
    sumOverBlock(sum, room);
    if (threadIdx.x == 0) {
#pragma unroll
      for (int i = 0; i < kTapsAtOnce; ++i) {
        if (base + i < plan.taps) {
          out[static_cast<int64_t>(blockIdx.x) * plan.taps + base + i] = sum[i];
        }
      }
    }
  }
}

Status gatherDepthwise(const ConvShape& shape, bool backward,
                       const GatherOperands<float>& operands) {
  DepthwisePlan plan = {};
  bool divides = false;
  for (int axis = 0; axis < kSpatial; ++axis) divides = divides || shape.stride[axis] > 1;
  divides = divides && backward;
  int64_t sourcePlane = 1, resultPlane = 1;
  for (int axis = 0; axis < kSpatial; ++axis) {
    const int stride = static_cast<int>(shape.stride[axis]);
    const int padding = static_cast<int>(shape.padding[axis]);
    const int dilation = static_cast<int>(shape.dilation[axis]);
    plan.source[axis] = static_cast<int>(backward ? shape.output[axis] : shape.input[axis]);
    plan.result[axis] = static_cast<int>(backward ? shape.input[axis] : shape.output[axis]);
    plan.kernel[axis] = static_cast<int>(shape.kernel[axis]);
    plan.scale[axis] = backward ? 1 : stride;
    plan.divisor[axis] = divides ? stride : 1;
    // With stride 1 the gradient is a convolution with the kernel reversed.
    plan.step[axis] = divides ? -dilation : dilation;
    plan.base[axis] = !backward ? -padding
                      : divides ? padding
                                : padding - (plan.kernel[axis] - 1) * dilation;
    sourcePlane *= plan.source[axis];
    resultPlane *= plan.result[axis];
  }
  plan.flipped = backward && !divides;
  plan.rows = static_cast<int>(backward ? shape.channels : shape.filters);
  plan.channels = static_cast<int>(backward ? shape.filters : shape.channels);
  plan.groups = static_cast<int>(shape.groups);
  plan.taps = static_cast<int>(shape.taps);
  const int64_t strips = ceilDivide(plan.result[2], kStrip);
  plan.strips = FastDivisor<uint32_t>(static_cast<uint32_t>(strips));
  plan.heights = FastDivisor<uint32_t>(static_cast<uint32_t>(plan.result[1]));
  plan.items = static_cast<int>(strips * plan.result[0] * plan.result[1]);
  plan.blocks = static_cast<unsigned>(ceilDivide(plan.items, kDepthwiseThreads));
  plan.sourcePlane = static_cast<int>(sourcePlane);
  plan.resultPlane = resultPlane;
  plan.weightGroup = shape.filters * shape.channels * shape.taps;
  plan.weightRow = backward ? shape.taps : shape.channels * shape.taps;
  plan.weightChannel = backward ? shape.channels * shape.taps : shape.taps;
  const int64_t planes = shape.batch * shape.groups * plan.rows;
  return launch(divides ? gatherFew<true> : gatherFew<false>,
                dim3(static_cast<unsigned>(planes * plan.blocks)), dim3(kDepthwiseThreads), 0, plan,
                operands.source, operands.weight, operands.bias, operands.out);
}

Status weightDepthwise(const ConvShape& shape, const WeightOperands<float>& operands) {
  DepthwiseWeightPlan plan = {};
  plan.sourcePlane = 1;
  for (int axis = 0; axis < kSpatial; ++axis) {
    plan.source[axis] = static_cast<int>(shape.input[axis]);
    plan.kernel[axis] = static_cast<int>(shape.kernel[axis]);
    plan.stride[axis] = static_cast<int>(shape.stride[axis]);
    plan.padding[axis] = static_cast<int>(shape.padding[axis]);
    plan.dilation[axis] = static_cast<int>(shape.dilation[axis]);
    plan.sourcePlane *= plan.source[axis];
  }
  plan.plane = FastDivisor<uint32_t>(static_cast<uint32_t>(shape.outputPlane));
  plan.area = FastDivisor<uint32_t>(static_cast<uint32_t>(shape.output[1] * shape.output[2]));
  plan.width = FastDivisor<uint32_t>(static_cast<uint32_t>(shape.output[2]));
  plan.filters = static_cast<int>(shape.filters);
  plan.channels = static_cast<int>(shape.channels);
  plan.groups = static_cast<int>(shape.groups);
  plan.taps = static_cast<int>(shape.taps);
  plan.depth = static_cast<uint32_t>(shape.batch * shape.outputPlane);
  const int64_t pairs = shape.groups * shape.filters * shape.channels;
  plan.parts = static_cast<int>(
      partsFor(pairs, ceilDivide(plan.depth, kDepthwiseThreads), 8, 64));
  const int64_t size = pairs * shape.taps;
  DeviceScratch partial;
  if (plan.parts > 1) {
    partial = DeviceScratch(static_cast<size_t>(plan.parts * size) * sizeof(float));
    if (!partial) return fail(Status::outOfMemory, "convolution: no scratch memory");
  }
  const Status status =
      launch(weightFew, dim3(static_cast<unsigned>(pairs * plan.parts)), dim3(kDepthwiseThreads), 0,
             plan, operands.source, operands.grad,
             plan.parts > 1 ? partial.as<float>() : operands.out);
  if (status != Status::ok || plan.parts == 1) return status;
  return sumParts(partial.as<float>(), plan.parts, size, operands.out);
}

}  // namespace convolution
}  // namespace cuda
}  // namespace kindling
