// Convolution and its two gradients as ops: reads the record, lays the tensors out contiguously and
// chooses the solution. See convolution.h.

#include "cuda/convolution.h"

#include "core/status.h"
#include "cuda/copies.h"
#include "cuda/kernel_table.h"
#include "cuda/runtime.h"

namespace kindling {
namespace cuda {

namespace {

using namespace convolution;

void spatialExtents(const TensorView& view, int64_t* extents) {
  for (int axis = 0; axis < kSpatial; ++axis) {
    const int at = view.rank - kSpatial + axis;
    extents[axis] = at >= 2 ? view.shape[at] : 1;
  }
}

ConvShape shapeOf(const TensorView& input, const TensorView& weight, const TensorView& output,
                  const int32_t* ints) {
  ConvShape shape;
  shape.batch = input.shape[0];
  shape.groups = ints[12];
  shape.channels = weight.shape[1];
  shape.filters = weight.shape[0] / shape.groups;
  spatialExtents(input, shape.input);
  spatialExtents(weight, shape.kernel);
  spatialExtents(output, shape.output);
  shape.inputPlane = shape.outputPlane = shape.taps = 1;
  for (int axis = 0; axis < kSpatial; ++axis) {
    shape.stride[axis] = ints[axis];
    shape.padding[axis] = ints[3 + axis];
    shape.dilation[axis] = ints[9 + axis];
    shape.inputPlane *= shape.input[axis];
    shape.outputPlane *= shape.output[axis];
    shape.taps *= shape.kernel[axis];
  }
  return shape;
}

/// Whether 32-bit positions count everything that the tiled kernels count with them, with room for
/// what lies outside of the planes.
bool isCountable(const ConvShape& shape) {
  constexpr double kMost = 1 << 29;
  double padded = 1;
  for (int axis = 0; axis < kSpatial; ++axis) {
    const double reach = static_cast<double>(shape.padding[axis]) +
                         static_cast<double>(shape.kernel[axis] * shape.dilation[axis]);
    const double extent = static_cast<double>(shape.input[axis]) + 2 * reach;
    if (extent > kMost || static_cast<double>(shape.stride[axis]) > kMost) return false;
    padded *= extent;
  }
  const double channels = static_cast<double>(shape.groups * shape.channels);
  const double filters = static_cast<double>(shape.groups * shape.filters);
  const double batch = static_cast<double>(shape.batch);
  const double outputs = static_cast<double>(shape.outputPlane);
  return padded * channels < kMost && outputs * filters < kMost && padded * batch < kMost &&
         batch * outputs < kMost && channels * filters * static_cast<double>(shape.taps) < kMost &&
         batch * (channels + filters) < kMost;
}

/// Groups of so few channels that a matrix product would compute mostly nothing.
bool hasFewChannels(const ConvShape& shape) {
  return shape.groups > 1 && shape.channels * shape.filters <= 16;
}

Status gather(const ConvShape& shape, bool backward, const GatherOperands<float>& operands) {
  if (!isCountable(shape)) return gatherPlainly(shape, backward, operands);
  return hasFewChannels(shape) ? gatherDepthwise(shape, backward, operands)
                               : gatherByProduct(shape, backward, operands);
}
Status gather(const ConvShape& shape, bool backward, const GatherOperands<double>& operands) {
  return gatherPlainly(shape, backward, operands);
}
Status weightOf(const ConvShape& shape, const WeightOperands<float>& operands) {
  if (!isCountable(shape)) return weightPlainly(shape, operands);
  return hasFewChannels(shape) ? weightDepthwise(shape, operands) : weightByProduct(shape, operands);
}
Status weightOf(const ConvShape& shape, const WeightOperands<double>& operands) {
  return weightPlainly(shape, operands);
}

template <typename T>
Status solve(const OpCall& call) {
  const TensorView& out = call.outputs[0];
  if (out.size == 0) return Status::ok;
  DeviceScratch rooms[3];
  TensorView inputs[3];
  const int count = call.op == Op::convBias ? 3 : 2;
  for (int i = 0; i < count; ++i) {
    const Status status = makeContiguous(call.inputs[i], rooms[i], &inputs[i]);
    if (status != Status::ok) return status;
  }
  const T* const first = static_cast<const T*>(inputs[0].data);
  const T* const second = static_cast<const T*>(inputs[1].data);
  T* const to = static_cast<T*>(out.data);
  switch (call.op) {
    case Op::convBackwardInput:
      return gather(shapeOf(out, inputs[1], inputs[0], call.ints), true,
                    GatherOperands<T>{first, second, nullptr, to});
    case Op::convBackwardWeight:
      return weightOf(shapeOf(inputs[1], out, inputs[0], call.ints),
                      WeightOperands<T>{second, first, to});
    default: {
      const T* const bias = count == 3 ? static_cast<const T*>(inputs[2].data) : nullptr;
      return gather(shapeOf(inputs[0], inputs[1], out, call.ints), false,
                    GatherOperands<T>{first, second, bias, to});
    }
  }
}

Status convolutionOp(const OpCall& call) {
  return call.inputs[0].dtype == DType::float64 ? solve<double>(call) : solve<float>(call);
}

}  // namespace

void registerConvolution(Kernel* kernels) {
  for (const Op op : {Op::conv, Op::convBias, Op::convBackwardInput, Op::convBackwardWeight}) {
    kernels[static_cast<int>(op)] = convolutionOp;
  }
}

}  // namespace cuda
}  // namespace kindling
