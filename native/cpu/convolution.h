#pragma once
// Convolutions as one problem: a gather. The forward pass, and each phase of the stride of the
// gradient of the input, compute
//   out[n, m, start + t * step] = sum over q, tap of weight(m, q, tap) * source[n, q, t * stride +
//   offset(tap)]
// where positions outside the source count as zero. convolution.cc makes such problems of the ops;
// convolution_gather.cc and convolution_direct.cc solve them.

#include <cstdint>

#include "core/op_call.h"
#include "cpu/vec.h"

namespace kindling {
namespace KINDLING_ISA {

constexpr int kSpatial = 3;

/// The extents of a convolution; an axis that the tensors lack has extent 1.
struct ConvShape {
  int64_t batch, groups;
  int64_t channels, filters;  // of one group
  int64_t input[kSpatial], output[kSpatial], kernel[kSpatial];
  int64_t stride[kSpatial], padding[kSpatial], dilation[kSpatial];  // padding: in front
  int64_t inputPlane, outputPlane, taps;
};

/// The taps along one axis: where each reads, and its position in the kernel.
struct TapAxis {
  int64_t count;
  const int64_t *offsets, *positions;
};

template <typename T>
struct GatherProblem {
  int64_t batch, groups, rows, channels;  // rows (m) and channels (q) of one group
  int64_t plane, extents[kSpatial];       // of one channel of the source
  int64_t grid[kSpatial], stride[kSpatial];
  TapAxis taps[kSpatial];
  const T* source;  // [batch, groups * channels, extents]
  const T* weight;
  int64_t weightGroup, weightRow, weightChannel, weightAxis[kSpatial];  // strides
  const T* bias;                                                        // of every row, or nullptr
  T* out;  // [batch, groups * rows, …]
  int64_t outPlane, outStart, outStep[kSpatial];

  int64_t tapCount() const { return taps[0].count * taps[1].count * taps[2].count; }
  int64_t gridSize() const { return grid[0] * grid[1] * grid[2]; }
  int64_t weightOffset(int64_t d, int64_t h, int64_t w) const {
    return taps[0].positions[d] * weightAxis[0] + taps[1].positions[h] * weightAxis[1] +
           taps[2].positions[w] * weightAxis[2];
  }
  T* outAt(int64_t n, int64_t channel) const {
    return out + (n * groups * rows + channel) * outPlane + outStart;
  }
  const T* sourceAt(int64_t n, int64_t channel) const {
    return source + (n * groups * channels + channel) * plane;
  }
};

/// The gradient of the weight, in row-major order: [groups * filters, channels, kernel].
template <typename T>
struct WeightProblem {
  const ConvShape* shape;
  const T *source, *grad;  // [batch, groups * channels, input], [batch, groups * filters, output]
  T* out;
};

// Each returns false where scratch memory ran out, and splits its work over the thread pool in such
// a way that results do not depend on the number of threads.

/// By a matrix product whose panels are gathered as they are needed.
template <typename T>
bool gatherByProduct(const GatherProblem<T>& problem);
/// By Winograd's algorithm: 3x3 taps of stride 1, with many channels on both sides.
bool gatherByWinograd(const GatherProblem<float>& problem);
bool gatherFitsWinograd(const GatherProblem<float>& problem);
/// Depthwise with 3x3 taps and stride 1, on the planes as they stand.
bool gatherDepthwise(const GatherProblem<float>& problem);
bool gatherFitsDepthwise(const GatherProblem<float>& problem);
/// By shifted sums over padded planes: for few channels per group, as in depthwise convolution.
/// Solves `count` problems that differ in grid, taps and outStart alone, such as the phases of a
/// gradient; these are in order of outStart's last axis.
bool gatherDirectly(const GatherProblem<float>* problems, int64_t count);
bool gatherFits(const GatherProblem<float>* problems, int64_t count);

template <typename T>
bool weightByProduct(const WeightProblem<T>& problem);
bool weightByWinograd(const WeightProblem<float>& problem);
bool weightFitsWinograd(const WeightProblem<float>& problem);
/// 1x1 with stride 1: by products of the images.
template <typename T>
bool weightPointwise(const WeightProblem<T>& problem);
bool weightIsPointwise(const ConvShape& shape);
bool weightDepthwise(const WeightProblem<float>& problem);
bool weightFitsDepthwise(const WeightProblem<float>& problem);
bool weightDirectly(const WeightProblem<float>& problem);
bool weightFits(const WeightProblem<float>& problem);

}  // namespace KINDLING_ISA
}  // namespace kindling
