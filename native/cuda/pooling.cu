// Max pooling with the position of each maximum, and what its gradients are made of: adding
// elements to the positions they came from, and picking the elements at positions. Planes fit 32-bit
// positions (core/validate_spatial.cc).

#include "cuda/pooling.h"

#include "core/status.h"
#include "cuda/copies.h"
#include "cuda/indexing.cuh"
#include "cuda/kernel_table.h"
#include "cuda/runtime.h"

namespace kindling {
namespace cuda {
namespace pooling {

// ---- the maximum of each window

struct MaxPlan {
  int in[3], kernel[3], stride[3], padding[3], dilation[3];
  FastDivisor<uint32_t> out[3];  // divides by the result's extents
  FastDivisor<uint32_t> plane;   // by the elements of a plane of the result
  int inPlane;
  int64_t planes;
  unsigned blocks;  // of a plane
};

/// The taps [first, end) of a window that begins at `origin` which lie in the plane.
__device__ __forceinline__ void tapsInside(int origin, int dilation, int kernel, int extent,
                                           int* first, int* end) {
  *first = origin < 0 ? (-origin + dilation - 1) / dilation : 0;
  const int room = extent - origin;
  const int last = room <= 0 ? 0 : (room - 1) / dilation + 1;
  *end = last < kernel ? last : kernel;
  if (*first > *end) *first = *end;
}

/// Earlier taps win ties; NaN wins over all. Grid: planes, in `blocks` blocks each.
template <typename T>
__global__ void __launch_bounds__(kBlockThreads)
    maxOfWindows(MaxPlan plan, const T* __restrict__ source, T* __restrict__ best,
                 int32_t* __restrict__ where) {
  const int64_t plane = blockIdx.x / plan.blocks;
  const uint32_t item = (blockIdx.x % plan.blocks) * kBlockThreads + threadIdx.x;
  if (item >= plan.plane.divisor) return;
  const uint32_t line = plan.out[2].divide(item);
  const uint32_t d = plan.out[1].divide(line);
  const int at[3] = {static_cast<int>(d), static_cast<int>(line - d * plan.out[1].divisor),
                     static_cast<int>(item - line * plan.out[2].divisor)};
  int origin[3], first[3], end[3];
#pragma unroll
  for (int axis = 0; axis < 3; ++axis) {
    origin[axis] = at[axis] * plan.stride[axis] - plan.padding[axis];
    tapsInside(origin[axis], plan.dilation[axis], plan.kernel[axis], plan.in[axis], &first[axis],
               &end[axis]);
  }
  const T* const from = source + plane * plan.inPlane;
  T largest = static_cast<T>(-INFINITY);
  int position = -1;
  for (int i = first[0]; i < end[0]; ++i) {
    for (int j = first[1]; j < end[1]; ++j) {
      const int row = ((origin[0] + i * plan.dilation[0]) * plan.in[1] + origin[1] +
                       j * plan.dilation[1]) *
                      plan.in[2];
      for (int k = first[2]; k < end[2]; ++k) {
        const int here = row + origin[2] + k * plan.dilation[2];
        const T value = from[here];
        if (position >= 0 && !(value > largest) && value == value) continue;
        largest = value;
        position = here;
      }
    }
  }
  best[plane * plan.plane.divisor + item] = largest;
  where[plane * plan.plane.divisor + item] = position;
}

/// The same for adaptive windows: every lane of a warp takes a share of one window.
template <typename T>
__global__ void __launch_bounds__(kBlockThreads)
    maxOfAdaptive(Planes in, Planes out, const T* __restrict__ source, T* __restrict__ best,
                  int32_t* __restrict__ where) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int64_t warps = static_cast<int64_t>(gridDim.x) * (kBlockThreads / 32);
  const int64_t first = (static_cast<int64_t>(blockIdx.x) * kBlockThreads + threadIdx.x) / 32;
  for (int64_t i = first; i < out.count * out.size; i += warps) {
    const int64_t item = i % out.size;
    const int64_t index[3] = {item / out.extents[2] / out.extents[1],
                              item / out.extents[2] % out.extents[1], item % out.extents[2]};
    int begin[3], width[3];
    for (int axis = 0; axis < 3; ++axis) {
      begin[axis] =
          static_cast<int>(adaptiveBegin(index[axis], in.extents[axis], out.extents[axis]));
      width[axis] =
          static_cast<int>(adaptiveEnd(index[axis], in.extents[axis], out.extents[axis])) -
          begin[axis];
    }
    const T* const from = source + i / out.size * in.size;
    T largest = static_cast<T>(-INFINITY);
    int position = INT32_MAX;
    for (int tap = lane; tap < width[0] * width[1] * width[2]; tap += 32) {
      const int64_t here = ((begin[0] + tap / width[2] / width[1]) * in.extents[1] + begin[1] +
                            tap / width[2] % width[1]) *
                               in.extents[2] +
                           begin[2] + tap % width[2];
      const T value = from[here];
      if (position != INT32_MAX && !(value > largest) && value == value) continue;
      largest = value;
      position = static_cast<int>(here);
    }
    // Of equals the first wins; of NaNs, as on the CPU, the last.
    for (int step = 16; step > 0; step /= 2) {
      const T other = __shfl_xor_sync(0xffffffffu, largest, step);
      const int place = __shfl_xor_sync(0xffffffffu, position, step);
      if (place == INT32_MAX) continue;
      const bool isNaN = largest != largest, otherIsNaN = other != other;
      const bool takes = position == INT32_MAX                ? true
                         : isNaN || otherIsNaN                ? otherIsNaN && (!isNaN || place > position)
                         : other > largest || largest > other ? other > largest
                                                              : place < position;
      if (takes) {
        largest = other;
        position = place;
      }
    }
    if (lane == 0) {
      best[i] = largest;
      where[i] = position;
    }
  }
}

// ---- by position

/// Whether a position is to be used; a bad one is reported.
__device__ __forceinline__ bool isPlace(IndexError* errors, Op op, int position, int64_t size) {
  if (position >= 0 && position < size) return true;
  if (position != -1) {
    gpu::reportIndex(errors, op, position, size, 0, IndexKind::planePosition);
  }
  return false;
}

/// sums[where[i]] += grad[i] by atomics; sums is zero.
template <typename T>
__global__ void __launch_bounds__(kBlockThreads)
    addAtPositions(const T* __restrict__ grad, const int32_t* __restrict__ where, int64_t count,
                   int64_t fromSize, int64_t toSize, T* __restrict__ sums, IndexError* errors) {
  const int64_t grid = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count;
       i += grid) {
    const int position = where[i];
    if (!isPlace(errors, Op::maxPoolBackward, position, toSize)) continue;
    atomicAdd(sums + i / fromSize * toSize + position, grad[i]);
  }
}

/// Chains the elements that came from one position: heads[position] is one of them, next[i] the
/// following. An element is its place in its plane plus one, 0 ends a chain.
__global__ void __launch_bounds__(kBlockThreads)
    chainElements(const int32_t* __restrict__ where, int64_t count, int64_t fromSize,
                  int64_t toSize, unsigned* __restrict__ heads, unsigned* __restrict__ next,
                  IndexError* errors) {
  const int64_t grid = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count;
       i += grid) {
    const int position = where[i];
    if (!isPlace(errors, Op::maxPoolBackward, position, toSize)) continue;
    next[i] = atomicExch(heads + i / fromSize * toSize + position,
                         static_cast<unsigned>(i % fromSize) + 1);
  }
}

/// sums[position] = the elements of its chain in ascending order, whatever the chain's own order.
template <typename T>
__global__ void __launch_bounds__(kBlockThreads)
    sumChains(const T* __restrict__ grad, const unsigned* __restrict__ heads,
              const unsigned* __restrict__ next, int64_t count, int64_t fromSize, int64_t toSize,
              T* __restrict__ sums) {
  const int64_t grid = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count;
       i += grid) {
    const unsigned head = heads[i];
    const int64_t base = i / toSize * fromSize - 1;
    T sum = T(0);
    if (head != 0 && next[base + head] == 0) {
      sum = grad[base + head];
    } else {
      for (unsigned done = 0;;) {
        unsigned least = 0;
        for (unsigned at = head; at != 0; at = next[base + at]) {
          if (at > done && (least == 0 || at < least)) least = at;
        }
        if (least == 0) break;
        sum += grad[base + least];
        done = least;
      }
    }
    sums[i] = sum;
  }
}

template <typename T>
__global__ void __launch_bounds__(kBlockThreads)
    pickAtPositions(const T* __restrict__ source, const int32_t* __restrict__ where, int64_t count,
                    int64_t fromSize, int64_t toSize, T* __restrict__ picked, IndexError* errors) {
  const int64_t grid = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count;
       i += grid) {
    const int position = where[i];
    picked[i] = isPlace(errors, Op::maxPoolGather, position, fromSize)
                    ? source[i / toSize * fromSize + position]
                    : T(0);
  }
}

}  // namespace pooling

namespace {

using namespace pooling;

Status noMemory(const char* op) { return fail(Status::outOfMemory, "%s: no scratch memory", op); }

template <typename T>
Status maxPool(const OpCall& call) {
  if (call.outputs[0].size == 0) return Status::ok;
  DeviceScratch room;
  TensorView source;
  const Status status = makeContiguous(call.inputs[0], room, &source);
  if (status != Status::ok) return status;
  const Planes in = planesOf(source), out = planesOf(call.outputs[0]);
  MaxPlan plan = {};
  for (int axis = 0; axis < 3; ++axis) {
    plan.in[axis] = static_cast<int>(in.extents[axis]);
    plan.kernel[axis] = call.ints[axis];
    plan.stride[axis] = call.ints[3 + axis];
    plan.padding[axis] = call.ints[6 + axis];
    plan.dilation[axis] = call.ints[9 + axis];
    plan.out[axis] = FastDivisor<uint32_t>(static_cast<uint32_t>(out.extents[axis]));
  }
  plan.plane = FastDivisor<uint32_t>(static_cast<uint32_t>(out.size));
  plan.inPlane = static_cast<int>(in.size);
  plan.planes = in.count;
  plan.blocks = static_cast<unsigned>(ceilDivide(out.size, kBlockThreads));
  return launch(maxOfWindows<T>, dim3(static_cast<unsigned>(in.count * plan.blocks)),
                dim3(kBlockThreads), 0, plan, static_cast<const T*>(source.data),
                static_cast<T*>(call.outputs[0].data),
                static_cast<int32_t*>(call.outputs[1].data));
}

template <typename T>
Status adaptiveMaxPool(const OpCall& call) {
  if (call.outputs[0].size == 0) return Status::ok;
  DeviceScratch room;
  TensorView source;
  const Status status = makeContiguous(call.inputs[0], room, &source);
  if (status != Status::ok) return status;
  const Planes in = planesOf(source), out = planesOf(call.outputs[0]);
  return launch(maxOfAdaptive<T>, dim3(gridFor(out.count * out.size, kBlockThreads / 32)),
                dim3(kBlockThreads), 0, in, out, static_cast<const T*>(source.data),
                static_cast<T*>(call.outputs[0].data),
                static_cast<int32_t*>(call.outputs[1].data));
}

/// inputs: elements, their positions; output: what the positions count.
template <typename T>
Status maxPoolBackward(const OpCall& call) {
  const TensorView& out = call.outputs[0];
  if (out.size == 0 && call.inputs[0].size == 0) return Status::ok;
  DeviceScratch rooms[2];
  TensorView grad, positions;
  Status status = makeContiguous(call.inputs[0], rooms[0], &grad);
  if (status != Status::ok) return status;
  status = makeContiguous(call.inputs[1], rooms[1], &positions);
  if (status != Status::ok) return status;
  const Planes from = planesOf(grad), to = planesOf(out);
  const T* const values = static_cast<const T*>(grad.data);
  const int32_t* const where = static_cast<const int32_t*>(positions.data);
  T* const sums = static_cast<T*>(out.data);
  const dim3 block(kBlockThreads), overFrom(gridFor(grad.size, kBlockThreads));
  if (!gpu::deterministic()) {
    status = fillZero(out);
    if (status != Status::ok) return status;
    return launch(addAtPositions<T>, overFrom, block, 0, values, where, grad.size, from.size,
                  to.size, sums, gpu::errorSlot());
  }
  const size_t headBytes = static_cast<size_t>(out.size) * sizeof(unsigned);
  const DeviceScratch heads(headBytes + sizeof(unsigned));
  const DeviceScratch next(static_cast<size_t>(grad.size + 1) * sizeof(unsigned));
  if (!heads || !next) return noMemory("maxPoolBackward");
  status = gpu::fillBytes(heads.data(), 0, headBytes);
  if (status != Status::ok) return status;
  status = launch(chainElements, overFrom, block, 0, where, grad.size, from.size, to.size,
                  heads.as<unsigned>(), next.as<unsigned>(), gpu::errorSlot());
  if (status != Status::ok) return status;
  return launch(sumChains<T>, dim3(gridFor(out.size, kBlockThreads)), block, 0, values,
                heads.as<unsigned>(), next.as<unsigned>(), out.size, from.size, to.size, sums);
}

/// inputs: what the positions count, the positions; output: the elements at them, 0 for none.
template <typename T>
Status maxPoolGather(const OpCall& call) {
  const TensorView& out = call.outputs[0];
  if (out.size == 0) return Status::ok;
  DeviceScratch rooms[2];
  TensorView source, positions;
  Status status = makeContiguous(call.inputs[0], rooms[0], &source);
  if (status != Status::ok) return status;
  status = makeContiguous(call.inputs[1], rooms[1], &positions);
  if (status != Status::ok) return status;
  return launch(pickAtPositions<T>, dim3(gridFor(out.size, kBlockThreads)), dim3(kBlockThreads), 0,
                static_cast<const T*>(source.data), static_cast<const int32_t*>(positions.data),
                out.size, planesOf(source).size, planesOf(out).size, static_cast<T*>(out.data),
                gpu::errorSlot());
}

/// The variant for the dtype of input 0.
template <Status (*kFloat)(const OpCall&), Status (*kDouble)(const OpCall&)>
Status byFloat(const OpCall& call) {
  return call.inputs[0].dtype == DType::float64 ? kDouble(call) : kFloat(call);
}

}  // namespace

void registerPooling(Kernel* kernels) {
  kernels[static_cast<int>(Op::maxPool)] = byFloat<maxPool<float>, maxPool<double>>;
  kernels[static_cast<int>(Op::adaptiveMaxPool)] =
      byFloat<adaptiveMaxPool<float>, adaptiveMaxPool<double>>;
  kernels[static_cast<int>(Op::maxPoolBackward)] =
      byFloat<maxPoolBackward<float>, maxPoolBackward<double>>;
  kernels[static_cast<int>(Op::maxPoolGather)] =
      byFloat<maxPoolGather<float>, maxPoolGather<double>>;
}

}  // namespace cuda
}  // namespace kindling
