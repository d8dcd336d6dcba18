// Convolution and its two gradients as ops. See convolution.h for the problems they become.

#include "cpu/convolution.h"

#include "core/status.h"
#include "cpu/convolution_pieces.h"
#include "cpu/kernel_table.h"
#include "cpu/parallel.h"
#include "cpu/scratch.h"

namespace kindling {
namespace KINDLING_ISA {
namespace {

Status noMemory() { return fail(Status::outOfMemory, "convolution: no scratch memory"); }

/// The extents along the spatial axes, which stand last; 1 for those that the tensor lacks.
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

bool solve(const GatherProblem<float>& problem) {
  if (gatherFitsDepthwise(problem)) return gatherDepthwise(problem);
  if (gatherFits(&problem, 1)) return gatherDirectly(&problem, 1);
  return gatherFitsWinograd(problem) ? gatherByWinograd(problem) : gatherByProduct(problem);
}
bool solve(const GatherProblem<double>& problem) { return gatherByProduct(problem); }
bool solve(const WeightProblem<float>& problem) {
  if (weightFitsDepthwise(problem)) return weightDepthwise(problem);
  if (weightFits(problem)) return weightDirectly(problem);
  return weightFitsWinograd(problem) ? weightByWinograd(problem) : weightByProduct(problem);
}
bool solve(const WeightProblem<double>& problem) { return weightByProduct(problem); }

template <typename T>
void setWeightAxes(const ConvShape& shape, GatherProblem<T>* problem) {
  problem->weightAxis[2] = 1;
  problem->weightAxis[1] = shape.kernel[2];
  problem->weightAxis[0] = shape.kernel[1] * shape.kernel[2];
  problem->weightGroup = shape.filters * shape.channels * shape.taps;
}

template <typename T>
Status conv(const OpCall& call) {
  const TensorView& out = call.outputs[0];
  if (out.size == 0) return Status::ok;
  const ConvShape shape = shapeOf(call.inputs[0], call.inputs[1], out, call.ints);
  const Contiguous source(call.inputs[0]), weight(call.inputs[1]);
  const bool biased = call.op == Op::convBias;
  const Contiguous bias(call.inputs[biased ? 2 : 1]);
  const ForwardTaps taps(shape);
  if (!source.ok() || !weight.ok() || !bias.ok() || !taps.ok()) return noMemory();
  GatherProblem<T> problem;
  problem.batch = shape.batch;
  problem.groups = shape.groups;
  problem.rows = shape.filters;
  problem.channels = shape.channels;
  problem.plane = shape.inputPlane;
  for (int axis = 0; axis < kSpatial; ++axis) {
    problem.extents[axis] = shape.input[axis];
    problem.grid[axis] = shape.output[axis];
    problem.stride[axis] = shape.stride[axis];
    problem.taps[axis] = taps.axes()[axis];
  }
  problem.source = source.as<T>();
  problem.weight = weight.as<T>();
  setWeightAxes(shape, &problem);
  problem.weightRow = shape.channels * shape.taps;
  problem.weightChannel = shape.taps;
  problem.bias = biased ? bias.as<T>() : nullptr;
  problem.out = static_cast<T*>(out.data);
  problem.outPlane = shape.outputPlane;
  problem.outStart = 0;
  problem.outStep[2] = 1;
  problem.outStep[1] = shape.output[2];
  problem.outStep[0] = shape.output[1] * shape.output[2];
  return solve(problem) ? Status::ok : noMemory();
}

/// One axis of the gradient of the input: the positions `first + t * stride`, which the same kernel
/// positions reach.
struct Phase {
  int64_t first, count;
  TapAxis taps;
};

/// `offsets` and `positions` have room for every kernel position.
Phase phaseOf(const ConvShape& shape, int axis, int64_t first, int64_t* offsets,
              int64_t* positions) {
  const int64_t stride = shape.stride[axis];
  Phase phase = {first, (shape.input[axis] - 1 - first) / stride + 1, {0, offsets, positions}};
  for (int64_t i = 0; i < shape.kernel[axis]; ++i) {
    const int64_t distance = first + shape.padding[axis] - i * shape.dilation[axis];
    if (distance % stride != 0) continue;
    offsets[phase.taps.count] = distance / stride;
    positions[phase.taps.count++] = i;
  }
  return phase;
}

constexpr int64_t kMostDirectPhases = 16;

/// Solves all phases at once where few channels allow it; sets `done` where they do.
bool solveTogether(const ConvShape& shape, const GatherProblem<float>& problem,
                   const int64_t* phases, bool* done) {
  int64_t taps = 0;
  for (int axis = 0; axis < kSpatial; ++axis) {
    if (phases[axis] > kMostDirectPhases) return true;
    taps += phases[axis] * shape.kernel[axis];
  }
  const int64_t count = phases[0] * phases[1] * phases[2];
  if (count < 2 || count > kMostDirectPhases) return true;
  const Scratch memory(static_cast<size_t>(2 * taps) * sizeof(int64_t));
  if (!memory.ok()) return false;
  Phase each[kSpatial][kMostDirectPhases];
  int64_t* next = memory.as<int64_t>();
  for (int axis = 0; axis < kSpatial; ++axis) {
    for (int64_t i = 0; i < phases[axis]; ++i, next += 2 * shape.kernel[axis]) {
      each[axis][i] = phaseOf(shape, axis, i, next, next + shape.kernel[axis]);
    }
  }
  GatherProblem<float> problems[kMostDirectPhases];
  for (int64_t i = 0; i < count; ++i) {
    const int64_t at[kSpatial] = {i / phases[2] / phases[1], i / phases[2] % phases[1],
                                  i % phases[2]};
    problems[i] = problem;
    problems[i].outStart = 0;
    for (int axis = 0; axis < kSpatial; ++axis) {
      const Phase& phase = each[axis][at[axis]];
      problems[i].grid[axis] = phase.count;
      problems[i].taps[axis] = phase.taps;
      problems[i].outStart = problems[i].outStart * shape.input[axis] + phase.first;
    }
  }
  *done = gatherFits(problems, count);
  return !*done || gatherDirectly(problems, count);
}
bool solveTogether(const ConvShape&, const GatherProblem<double>&, const int64_t*, bool*) {
  return true;
}

/// Whether no tap reaches some phase of the axis, as where the stride is greater than the kernel.
bool skipsPhases(const ConvShape& shape, int axis, int64_t phases, int64_t* offsets,
                 int64_t* positions) {
  for (int64_t i = 0; i < phases; ++i) {
    if (phaseOf(shape, axis, i, offsets, positions).taps.count == 0) return true;
  }
  return false;
}

template <typename T>
void clear(T* to, int64_t count) {
  parallelFor(count, 65536, 64, [&](int64_t begin, int64_t end) {
    __builtin_memset(to + begin, 0, static_cast<size_t>(end - begin) * sizeof(T));
  });
}

/// Runs over the phases of all three axes. Each is a gather from the output's gradient with stride
/// 1.
template <typename T>
bool solvePhases(const ConvShape& shape, GatherProblem<T>* problem) {
  int64_t phases[kSpatial], most = 0;
  for (int axis = 0; axis < kSpatial; ++axis) {
    const int64_t stride = shape.stride[axis], extent = shape.input[axis];
    phases[axis] = stride < extent ? stride : extent;
    most += 2 * shape.kernel[axis];
  }
  bool done = false;
  if (!solveTogether(shape, *problem, phases, &done)) return false;
  if (done) return true;
  const Scratch memory(static_cast<size_t>(most) * sizeof(int64_t));
  if (!memory.ok()) return false;
  int64_t* offsets[kSpatial];
  offsets[0] = memory.as<int64_t>();
  offsets[1] = offsets[0] + 2 * shape.kernel[0];
  offsets[2] = offsets[1] + 2 * shape.kernel[1];
  bool skips = false;
  for (int axis = 0; axis < kSpatial; ++axis) {
    skips |=
        skipsPhases(shape, axis, phases[axis], offsets[axis], offsets[axis] + shape.kernel[axis]);
  }
  // In one sweep, rather than phase by phase at a stride.
  if (skips)
    clear(problem->out, problem->batch * problem->groups * problem->rows * problem->outPlane);
  for (int64_t i = 0; i < phases[0] * phases[1] * phases[2]; ++i) {
    const int64_t at[kSpatial] = {i / phases[2] / phases[1], i / phases[2] % phases[1],
                                  i % phases[2]};
    problem->outStart = 0;
    for (int axis = 0; axis < kSpatial; ++axis) {
      const Phase phase =
          phaseOf(shape, axis, at[axis], offsets[axis], offsets[axis] + shape.kernel[axis]);
      problem->grid[axis] = phase.count;
      problem->taps[axis] = phase.taps;
      problem->outStart = problem->outStart * shape.input[axis] + phase.first;
    }
    if (problem->tapCount() > 0 && !solve(*problem)) return false;
  }
  return true;
}

template <typename T>
Status convBackwardInput(const OpCall& call) {
  const TensorView& out = call.outputs[0];
  if (out.size == 0) return Status::ok;
  const ConvShape shape = shapeOf(out, call.inputs[1], call.inputs[0], call.ints);
  const Contiguous grad(call.inputs[0]), weight(call.inputs[1]);
  if (!grad.ok() || !weight.ok()) return noMemory();
  GatherProblem<T> problem;
  problem.batch = shape.batch;
  problem.groups = shape.groups;
  problem.rows = shape.channels;
  problem.channels = shape.filters;
  problem.plane = shape.outputPlane;
  for (int axis = 0; axis < kSpatial; ++axis) {
    problem.extents[axis] = shape.output[axis];
    problem.stride[axis] = 1;
  }
  problem.source = grad.as<T>();
  problem.weight = weight.as<T>();
  setWeightAxes(shape, &problem);
  problem.weightRow = shape.taps;
  problem.weightChannel = shape.channels * shape.taps;
  problem.bias = nullptr;
  problem.out = static_cast<T*>(out.data);
  problem.outPlane = shape.inputPlane;
  problem.outStep[2] = shape.stride[2];
  problem.outStep[1] = shape.stride[1] * shape.input[2];
  problem.outStep[0] = shape.stride[0] * shape.input[1] * shape.input[2];
  return solvePhases(shape, &problem) ? Status::ok : noMemory();
}

template <typename T>
Status convBackwardWeight(const OpCall& call) {
  const TensorView& out = call.outputs[0];
  if (out.size == 0) return Status::ok;
  const ConvShape shape = shapeOf(call.inputs[1], out, call.inputs[0], call.ints);
  const Contiguous grad(call.inputs[0]), source(call.inputs[1]);
  if (!grad.ok() || !source.ok()) return noMemory();
  const WeightProblem<T> problem = {&shape, source.as<T>(), grad.as<T>(),
                                    static_cast<T*>(out.data)};
  return solve(problem) ? Status::ok : noMemory();
}

Status convOfAny(const OpCall& call) { return byFloat(call, conv<float>, conv<double>); }
Status backwardInputOfAny(const OpCall& call) {
  return byFloat(call, convBackwardInput<float>, convBackwardInput<double>);
}
Status backwardWeightOfAny(const OpCall& call) {
  return byFloat(call, convBackwardWeight<float>, convBackwardWeight<double>);
}

}  // namespace

void registerConvolution(Kernel* kernels) {
  kernels[static_cast<int>(Op::conv)] = convOfAny;
  kernels[static_cast<int>(Op::convBias)] = convOfAny;
  kernels[static_cast<int>(Op::convBackwardInput)] = backwardInputOfAny;
  kernels[static_cast<int>(Op::convBackwardWeight)] = backwardWeightOfAny;
}

}  // namespace KINDLING_ISA
}  // namespace kindling
