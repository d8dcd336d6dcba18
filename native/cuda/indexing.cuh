#pragma once
// How kernels find elements. The host merges the axes of all operands of a loop (LoopAxes), cuts
// loops that 32 bits cannot count into pieces, and hands the kernel a StridedPlan, in which
// divisions are multiplications. Elements are read and written four at a time where memory allows
// (Four).

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "core/tensor_view.h"
#include "cuda/gpu.h"
#include "cuda/runtime.h"

namespace kindling {
namespace cuda {

constexpr int kBlockThreads = 256;
constexpr int kLanes = 4;  // elements that a thread handles at once

inline int64_t ceilDivide(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// Enough blocks to fill the device, and no more than there is work for: kernels go over the rest
/// in strides of the grid.
inline dim3 gridFor(int64_t work, int64_t workPerBlock, int blocksPerProcessor = 8) {
  const int64_t most = int64_t{gpu::deviceInfo().multiProcessors} * blocksPerProcessor;
  const int64_t blocks = ceilDivide(work, workPerBlock);
  return dim3(static_cast<unsigned>(blocks < 1 ? 1 : blocks < most ? blocks : most));
}

/// The first number of this thread in a grid that goes over work in strides, and the stride.
__device__ __forceinline__ int64_t firstOfThread() {
  return static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}
__device__ __forceinline__ int64_t strideOfGrid() {
  return static_cast<int64_t>(gridDim.x) * blockDim.x;
}

// --- Division by what the host knows ---

__device__ __forceinline__ uint32_t highProduct(uint32_t a, uint32_t b) { return __umulhi(a, b); }
__device__ __forceinline__ uint64_t highProduct(uint64_t a, uint64_t b) { return __umul64hi(a, b); }

/// n / divisor for n below half the range of Index (uint32_t or uint64_t), as Granlund and
/// Montgomery ("Division by invariant integers using multiplication", 1994): the quotient is
/// (high(n * multiplier) + n) >> shift with 2^shift the power of two from the divisor up.
template <typename Index>
struct FastDivisor {
  Index divisor = 1, multiplier = 1;
  uint32_t shift = 0;

  FastDivisor() = default;
  /// An empty axis is never divided by, and counts as 1.
  explicit FastDivisor(Index d) : divisor(d ? d : 1) {
    __extension__ typedef unsigned __int128 Wide;
    constexpr int kBits = 8 * sizeof(Index);
    while (shift < kBits - 1 && (Index(1) << shift) < divisor) ++shift;
    const Wide above = (Wide(1) << shift) - divisor;
    multiplier = static_cast<Index>(((Wide(1) << kBits) * above) / divisor + 1);
  }
  __device__ __forceinline__ Index divide(Index n) const {
    return static_cast<Index>(highProduct(n, multiplier) + n) >> shift;
  }
};

// --- Loops over operands of any strides ---

/// The axes of a loop over several operands: those of extent 1 dropped, neighbours merged where the
/// memory of all operands allows, in row-major order.
template <int kOperands>
struct LoopAxes {
  int rank = 0;
  int64_t size = 1;
  int64_t shape[kMaxRank] = {};
  int64_t strides[kOperands][kMaxRank] = {};
  int64_t start[kOperands] = {};  // in elements, from the data of each operand

  void add(int64_t extent, const int64_t (&steps)[kOperands]) {
    size *= extent;
    if (extent == 1) return;
    if (rank > 0 && continues(extent, steps)) {
      shape[rank - 1] *= extent;
    } else {
      shape[rank++] = extent;
    }
    for (int k = 0; k < kOperands; ++k) strides[k][rank - 1] = steps[k];
  }

  /// The step of the last axis, 1 for a single element.
  int64_t innerStride(int k) const { return rank > 0 ? strides[k][rank - 1] : 1; }
  int64_t inner() const { return rank > 0 ? shape[rank - 1] : 1; }
  /// Whether operand k is one run of memory in the order of the loop.
  bool isDense(int k) const { return rank == 0 || (rank == 1 && strides[k][0] == 1); }
  /// Whether operand k is one element throughout.
  bool isSingle(int k) const {
    for (int axis = 0; axis < rank; ++axis) {
      if (strides[k][axis] != 0) return false;
    }
    return true;
  }

 private:
  bool continues(int64_t extent, const int64_t (&steps)[kOperands]) const {
    for (int k = 0; k < kOperands; ++k) {
      if (strides[k][rank - 1] != steps[k] * extent) return false;
    }
    return true;
  }
};

/// The loop over the shape of views[0], to which the others broadcast, aligned at the last axis.
template <int kOperands>
LoopAxes<kOperands> loopOver(const TensorView* const (&views)[kOperands]) {
  LoopAxes<kOperands> axes;
  const TensorView& first = *views[0];
  for (int axis = 0; axis < first.rank; ++axis) {
    int64_t steps[kOperands];
    for (int k = 0; k < kOperands; ++k) {
      const int at = axis - (first.rank - views[k]->rank);
      steps[k] = at < 0 || views[k]->shape[at] == 1 ? 0 : views[k]->strides[at];
    }
    axes.add(first.shape[axis], steps);
  }
  return axes;
}

constexpr int64_t kMostOf32Bits = INT32_MAX;

/// Whether positions and offsets of the loop stay within `most`.
template <int kOperands>
bool fitsWithin(const LoopAxes<kOperands>& axes, int64_t most) {
  if (axes.size > most) return false;
  for (int k = 0; k < kOperands; ++k) {
    int64_t reach = 0;
    for (int axis = 0; axis < axes.rank; ++axis) {
      const int64_t step = axes.strides[k][axis];
      reach += (axes.shape[axis] - 1) * (step < 0 ? -step : step);
    }
    if (reach > most) return false;
  }
  return true;
}

/// Calls body(piece) for pieces of a loop that 32-bit positions and offsets can count: all but
/// always one, the loop itself. Cut across the outermost axis, so that what is dense stays dense.
template <int kOperands, typename Body>
Status forPieces(const LoopAxes<kOperands>& axes, const Body& body, int64_t most = kMostOf32Bits) {
  if (axes.size == 0) return Status::ok;
  if (fitsWithin(axes, most)) return body(axes);
  LoopAxes<kOperands> front = axes, back = axes;
  const int64_t half = axes.shape[0] / 2;
  front.shape[0] = half;
  front.size = axes.size / axes.shape[0] * half;
  back.shape[0] = axes.shape[0] - half;
  back.size = axes.size - front.size;
  for (int k = 0; k < kOperands; ++k) back.start[k] += half * axes.strides[k][0];
  for (LoopAxes<kOperands>* part : {&front, &back}) {
    if (part->shape[0] == 1) {
      // The axis is gone.
      for (int axis = 1; axis < part->rank; ++axis) {
        part->shape[axis - 1] = part->shape[axis];
        for (int k = 0; k < kOperands; ++k) {
          part->strides[k][axis - 1] = part->strides[k][axis];
        }
      }
      --part->rank;
    }
    const Status status = forPieces(*part, body, most);
    if (status != Status::ok) return status;
  }
  return Status::ok;
}

/// What a kernel gets of LoopAxes. Index is uint32_t for a piece of forPieces, or uint64_t.
template <int kOperands, typename Index = uint32_t>
struct StridedPlan {
  using Offset = typename std::conditional<sizeof(Index) == 4, int32_t, int64_t>::type;
  int rank = 0;
  Index size = 0;
  FastDivisor<Index> shape[kMaxRank];
  Offset strides[kOperands][kMaxRank] = {};

  StridedPlan() = default;
  explicit StridedPlan(const LoopAxes<kOperands>& axes)
      : rank(axes.rank), size(static_cast<Index>(axes.size)) {
    for (int axis = 0; axis < rank; ++axis) {
      shape[axis] = FastDivisor<Index>(static_cast<Index>(axes.shape[axis]));
      for (int k = 0; k < kOperands; ++k) {
        strides[k][axis] = static_cast<Offset>(axes.strides[k][axis]);
      }
    }
  }

  /// The offsets of all operands at a position of the loop.
  __device__ __forceinline__ void offsets(Index position, Offset (&at)[kOperands]) const {
#pragma unroll
    for (int k = 0; k < kOperands; ++k) at[k] = 0;
    for (int axis = rank - 1; axis > 0; --axis) {
      const Index next = shape[axis].divide(position);
      const Offset step = static_cast<Offset>(position - next * shape[axis].divisor);
#pragma unroll
      for (int k = 0; k < kOperands; ++k) at[k] += step * strides[k][axis];
      position = next;
    }
    if (rank > 0) {
#pragma unroll
      for (int k = 0; k < kOperands; ++k) {
        at[k] += static_cast<Offset>(position) * strides[k][0];
      }
    }
  }
};

// --- Four elements at once ---

/// Four neighbours in memory: one access of up to 16 bytes (8-byte elements take two).
template <typename T>
struct alignas(sizeof(T) * kLanes < 16 ? sizeof(T) * kLanes : 16) Four {
  T lane[kLanes];
};

template <typename T>
bool isAlignedForFour(const void* data) {
  return reinterpret_cast<uintptr_t>(data) % alignof(Four<T>) == 0;
}
inline bool isAlignedForFour(const void* data, int64_t bytes) {
  const uintptr_t alignment = static_cast<uintptr_t>(bytes * kLanes < 16 ? bytes * kLanes : 16);
  return reinterpret_cast<uintptr_t>(data) % alignment == 0;
}

template <typename T>
__device__ __forceinline__ void loadFour(const T* from, T (&to)[kLanes]) {
  const Four<T> four = *reinterpret_cast<const Four<T>*>(from);
#pragma unroll
  for (int lane = 0; lane < kLanes; ++lane) to[lane] = four.lane[lane];
}
template <typename T>
__device__ __forceinline__ void storeFour(T* to, const T (&from)[kLanes]) {
  Four<T> four;
#pragma unroll
  for (int lane = 0; lane < kLanes; ++lane) four.lane[lane] = from[lane];
  *reinterpret_cast<Four<T>*>(to) = four;
}

/// Writes the first `count` lanes, at once where `vectorized` and all of them count.
template <typename T>
__device__ __forceinline__ void storeLanes(T* to, const T (&from)[kLanes], uint32_t count,
                                           bool vectorized) {
  if (vectorized && count >= kLanes) {
    storeFour(to, from);
    return;
  }
#pragma unroll
  for (uint32_t lane = 0; lane < kLanes; ++lane) {
    if (lane < count) to[lane] = from[lane];
  }
}

// --- The elementwise loop: any inputs, a dense output ---

/// How the inputs of a loop are read.
enum class Access : int32_t {
  dense,    // each is dense or a single element
  rows,     // along the last axis each is aligned in fours, or one element
  strided,  // anything else, element by element
};

template <int kInputs>
struct ElementwisePlan {
  StridedPlan<kInputs> index;
  const void* inputs[kInputs];
  void* output;
  Access access;
  uint32_t repeated;  // inputs that are a single element (dense) or one along the last axis (rows)
  bool inputsVectorized, outputVectorized;
};

/// The plan of one piece whose operand 0 is the output.
template <int kInputs>
ElementwisePlan<kInputs> planElementwise(const LoopAxes<kInputs + 1>& piece, void* output,
                                         int64_t outputBytes, const void* const (&inputs)[kInputs],
                                         const int64_t (&inputBytes)[kInputs]) {
  ElementwisePlan<kInputs> plan;
  LoopAxes<kInputs> axes;
  for (int axis = 0; axis < piece.rank; ++axis) {
    int64_t steps[kInputs];
    for (int k = 0; k < kInputs; ++k) steps[k] = piece.strides[k + 1][axis];
    axes.add(piece.shape[axis], steps);
  }
  plan.index = StridedPlan<kInputs>(axes);
  plan.output = static_cast<char*>(output) + piece.start[0] * outputBytes;
  plan.outputVectorized = isAlignedForFour(plan.output, outputBytes);
  plan.inputsVectorized = true;
  plan.repeated = 0;
  bool dense = true, rows = axes.inner() % kLanes == 0;
  for (int k = 0; k < kInputs; ++k) {
    plan.inputs[k] = static_cast<const char*>(inputs[k]) + piece.start[k + 1] * inputBytes[k];
    const bool single = axes.isSingle(k), aligned = isAlignedForFour(plan.inputs[k], inputBytes[k]);
    dense = dense && (single || axes.isDense(k));
    const int64_t inner = axes.innerStride(k);
    if (single || (axes.rank > 0 && inner == 0)) {
      plan.repeated |= 1u << k;
      continue;
    }
    plan.inputsVectorized = plan.inputsVectorized && aligned;
    rows = rows && inner == 1 && aligned;
    for (int axis = 0; axis + 1 < axes.rank; ++axis) {
      rows = rows && axes.strides[k][axis] % kLanes == 0;
    }
  }
  plan.access = dense ? Access::dense : rows ? Access::rows : Access::strided;
  return plan;
}

/// Lanes of input k at `offset`: neighbours, or one element four times.
template <typename T>
__device__ __forceinline__ void loadLanes(const void* data, int64_t offset, bool repeated,
                                          uint32_t count, bool vectorized, T (&to)[kLanes]) {
  const T* const from = static_cast<const T*>(data) + offset;
  if (repeated) {
    const T value = *from;
#pragma unroll
    for (int lane = 0; lane < kLanes; ++lane) to[lane] = value;
  } else if (vectorized && count >= kLanes) {
    loadFour(from, to);
  } else {
    // What is beyond the end repeats the first, so that every lane holds a value.
#pragma unroll
    for (uint32_t lane = 0; lane < kLanes; ++lane) to[lane] = from[lane < count ? lane : 0];
  }
}

/// Reads all inputs for the positions first to first + 3, of which `count` exist. Input 0 may have
/// another type than the rest.
template <int kInputs, typename First, typename Rest>
__device__ __forceinline__ void loadInputs(const ElementwisePlan<kInputs>& plan, uint32_t first,
                                           uint32_t count, First (&a)[kLanes],
                                           Rest (&rest)[kInputs][kLanes]) {
  int32_t at[kInputs];
  if (plan.access == Access::strided) {
#pragma unroll
    for (uint32_t lane = 0; lane < kLanes; ++lane) {
      plan.index.offsets(first + (lane < count ? lane : 0), at);
      a[lane] = static_cast<const First*>(plan.inputs[0])[at[0]];
#pragma unroll
      for (int k = 1; k < kInputs; ++k) {
        rest[k][lane] = static_cast<const Rest*>(plan.inputs[k])[at[k]];
      }
    }
    return;
  }
  const bool isDense = plan.access == Access::dense;
  if (!isDense) plan.index.offsets(first, at);
#pragma unroll
  for (int k = 0; k < kInputs; ++k) {
    const bool repeated = plan.repeated >> k & 1;
    const int64_t offset = !isDense ? at[k] : repeated ? 0 : static_cast<int64_t>(first);
    if (k == 0) {
      loadLanes(plan.inputs[k], offset, repeated, count, plan.inputsVectorized, a);
    } else {
      loadLanes(plan.inputs[k], offset, repeated, count, plan.inputsVectorized, rest[k]);
    }
  }
}

}  // namespace cuda
}  // namespace kindling
