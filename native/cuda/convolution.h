#pragma once
// What the files of the convolution share. The forward pass and each phase of the stride of the
// gradient of the input are one problem, a gather, as on the CPU (cpu/convolution.h):
//   out[n, m, start + t * step] = sum over q, tap of weight(m, q, tap) * source[n, q, t * stride +
//   offset(tap)]
// where positions outside the source count as zero.

#include <cstdint>

#include "core/op_call.h"

namespace kindling {
namespace cuda {
namespace convolution {

constexpr int kSpatial = 3;

/// The extents of a convolution; an axis that the tensors lack has extent 1.
struct ConvShape {
  int64_t batch, groups;
  int64_t channels, filters;  // of one group
  int64_t input[kSpatial], output[kSpatial], kernel[kSpatial];
  int64_t stride[kSpatial], padding[kSpatial], dilation[kSpatial];  // padding: in front
  int64_t inputPlane, outputPlane, taps;
};

template <typename T>
struct GatherOperands {
  const T* source;  // x, or the output's gradient
  const T* weight;
  const T* bias;  // nullptr: none
  T* out;         // y, or the input's gradient
};

template <typename T>
struct WeightOperands {
  const T *source, *grad;
  T* out;
};

// Each kind of solution has three entries: forward, gradient of the input, gradient of the weight.
// All tensors are contiguous and no result is empty.

/// By matrix product whose panels are gathered as they are needed: convolution_gather.cu and
/// convolution_weight.cu.
Status gatherByProduct(const ConvShape& shape, bool backward,
                       const GatherOperands<float>& operands);
Status weightByProduct(const ConvShape& shape, const WeightOperands<float>& operands);

/// By sums over a group's few channels: convolution_depthwise.cu.
Status gatherDepthwise(const ConvShape& shape, bool backward,
                       const GatherOperands<float>& operands);
Status weightDepthwise(const ConvShape& shape, const WeightOperands<float>& operands);

/// By plain loops with 64-bit positions: convolution_plain.cu.
template <typename T>
Status gatherPlainly(const ConvShape& shape, bool backward, const GatherOperands<T>& operands);
template <typename T>
Status weightPlainly(const ConvShape& shape, const WeightOperands<T>& operands);

/// out[i] = sum of partial[part][i] over the parts, in their order.
Status sumParts(const float* partial, int64_t parts, int64_t size, float* out);

/// Into how many parts a sum of `steps` steps is split so that `blocks` blocks a part fill the
/// device.
int64_t partsFor(int64_t blocks, int64_t steps, int64_t fewestSteps, int64_t most);

}  // namespace convolution
}  // namespace cuda
}  // namespace kindling
