// Convolutions in float64, and those in float32 whose extents 32-bit positions cannot count: plain
// sums, one thread or block for each element of the result.

#include "core/status.h"
#include "cuda/convolution.h"
#include "cuda/indexing.cuh"
#include "cuda/runtime.h"

namespace kindling {
namespace cuda {
namespace convolution {

constexpr int kPlainThreads = 128;

template <typename T>
__global__ void __launch_bounds__(kPlainThreads)
    gatherPlain(ConvShape shape, bool backward, GatherOperands<T> operands) {
  const int64_t* const from = backward ? shape.output : shape.input;
  const int64_t* const to = backward ? shape.input : shape.output;
  const int64_t fromPlane = backward ? shape.outputPlane : shape.inputPlane;
  const int64_t toPlane = backward ? shape.inputPlane : shape.outputPlane;
  const int64_t rows = backward ? shape.channels : shape.filters;
  const int64_t channels = backward ? shape.filters : shape.channels;
  const int64_t rowStep = backward ? shape.taps : shape.channels * shape.taps;
  const int64_t channelStep = backward ? shape.channels * shape.taps : shape.taps;
  const int64_t total = shape.batch * shape.groups * rows * toPlane;
  const int64_t grid = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < total;
       i += grid) {
    const int64_t position = i % toPlane, line = i / toPlane % (shape.groups * rows);
    const int64_t sample = i / toPlane / (shape.groups * rows), group = line / rows;
    const int64_t at[kSpatial] = {position / to[2] / to[1], position / to[2] % to[1],
                                  position % to[2]};
    const T* const weight = operands.weight +
                            group * shape.filters * shape.channels * shape.taps +
                            line % rows * rowStep;
    const T* const source = operands.source + (sample * shape.groups + group) * channels * fromPlane;
    T sum = operands.bias != nullptr ? operands.bias[line] : T(0);
    for (int64_t tap = 0; tap < shape.taps; ++tap) {
      const int64_t taps[kSpatial] = {tap / shape.kernel[2] / shape.kernel[1],
                                      tap / shape.kernel[2] % shape.kernel[1],
                                      tap % shape.kernel[2]};
      int64_t offset = 0;
      bool inside = true;
      for (int axis = 0; axis < kSpatial; ++axis) {
        const int64_t reach = taps[axis] * shape.dilation[axis] - shape.padding[axis];
        int64_t place = backward ? at[axis] - reach : at[axis] * shape.stride[axis] + reach;
        if (backward) {
          inside = inside && place >= 0 && place % shape.stride[axis] == 0;
          place /= shape.stride[axis];
        }
        inside = inside && place >= 0 && place < from[axis];
        offset = offset * from[axis] + place;
      }
      if (!inside) continue;
      for (int64_t q = 0; q < channels; ++q) {
        sum += weight[q * channelStep + tap] * source[q * fromPlane + offset];
      }
    }
    operands.out[i] = sum;
  }
}

/// One block for each element of the weight: [filters of all groups][channels][taps].
template <typename T>
__global__ void __launch_bounds__(kPlainThreads)
    weightPlain(ConvShape shape, WeightOperands<T> operands) {
  GPU_SHARED(T, room, [kPlainThreads]);
  const int64_t element = blockIdx.x;
  const int64_t tap = element % shape.taps, channel = element / shape.taps % shape.channels;
  const int64_t filter = element / shape.taps / shape.channels;
  const int64_t source = filter / shape.filters * shape.channels + channel;
  const int64_t taps[kSpatial] = {tap / shape.kernel[2] / shape.kernel[1],
                                  tap / shape.kernel[2] % shape.kernel[1], tap % shape.kernel[2]};
  T sum = T(0);
  for (int64_t i = threadIdx.x; i < shape.batch * shape.outputPlane; i += kPlainThreads) {
    const int64_t sample = i / shape.outputPlane, position = i % shape.outputPlane;
    const int64_t at[kSpatial] = {position / shape.output[2] / shape.output[1],
                                  position / shape.output[2] % shape.output[1],
                                  position % shape.output[2]};
    int64_t offset = 0;
    bool inside = true;
    for (int axis = 0; axis < kSpatial; ++axis) {
      const int64_t place = at[axis] * shape.stride[axis] + taps[axis] * shape.dilation[axis] -
                            shape.padding[axis];
      inside = inside && place >= 0 && place < shape.input[axis];
      offset = offset * shape.input[axis] + place;
    }
    if (!inside) continue;
    sum += operands.grad[(sample * shape.groups * shape.filters + filter) * shape.outputPlane +
                         position] *
           operands.source[(sample * shape.groups * shape.channels + source) * shape.inputPlane +
                           offset];
  }
  room[threadIdx.x] = sum;
  for (int half = kPlainThreads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (static_cast<int>(threadIdx.x) < half) room[threadIdx.x] += room[threadIdx.x + half];
  }
  if (threadIdx.x == 0) operands.out[element] = room[0];
}

template <typename T>
Status gatherPlainly(const ConvShape& shape, bool backward, const GatherOperands<T>& operands) {
  const int64_t size = shape.batch * shape.groups *
                       (backward ? shape.channels * shape.inputPlane
                                 : shape.filters * shape.outputPlane);
  return launch(gatherPlain<T>, dim3(gridFor(size, kPlainThreads)), dim3(kPlainThreads), 0, shape,
                backward, operands);
}

template <typename T>
Status weightPlainly(const ConvShape& shape, const WeightOperands<T>& operands) {
  const int64_t size = shape.groups * shape.filters * shape.channels * shape.taps;
  if (size > INT32_MAX) return fail(Status::unsupported, "convolution: the weight is too large");
  return launch(weightPlain<T>, dim3(static_cast<unsigned>(size)), dim3(kPlainThreads), 0, shape,
                operands);
}

template Status gatherPlainly<float>(const ConvShape&, bool, const GatherOperands<float>&);
template Status gatherPlainly<double>(const ConvShape&, bool, const GatherOperands<double>&);
template Status weightPlainly<float>(const ConvShape&, const WeightOperands<float>&);
template Status weightPlainly<double>(const ConvShape&, const WeightOperands<double>&);

}  // namespace convolution
}  // namespace cuda
}  // namespace kindling
