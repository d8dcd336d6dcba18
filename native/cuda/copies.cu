// Copies: copy, concat, sliceBackward, assign. A copy is one run of memory, or wide elements by
// their strides, or a transposition through shared memory, whichever memory allows.

#include "cuda/copies.h"

#include "cuda/indexing.cuh"
#include "cuda/kernel_table.h"
#include "cuda/wide.h"

namespace kindling {
namespace cuda {

// --- Kernels ---

// `guard` is the error slot where a tensor of the user's is overwritten: after a failure it stays.

/// Elements of a loop over two operands: to[...] = from[...]. Each thread has four loads under way.
template <typename W>
__global__ void __launch_bounds__(kBlockThreads)
    copyStridedKernel(StridedPlan<2> plan, W* __restrict__ to, const W* __restrict__ from,
                      const IndexError* guard) {
  if (guard && guard->isSet) return;
  const uint32_t n = plan.size, step = gridDim.x * blockDim.x * kLanes;
  uint32_t first = blockIdx.x * blockDim.x * kLanes + threadIdx.x;
  for (; first < n; first += step) {
    W value[kLanes];
    int32_t target[kLanes];
#pragma unroll
    for (int lane = 0; lane < kLanes; ++lane) {
      const uint32_t position = first + static_cast<uint32_t>(lane) * blockDim.x;
      if (position >= n) continue;
      int32_t at[2];
      plan.offsets(position, at);
      target[lane] = at[0];
      value[lane] = from[at[1]];
    }
#pragma unroll
    for (int lane = 0; lane < kLanes; ++lane) {
      if (first + static_cast<uint32_t>(lane) * blockDim.x < n) to[target[lane]] = value[lane];
    }
  }
}

constexpr int kTile = 32;     // elements on a side of a transposed tile
constexpr int kTileRows = 8;  // rows of it that a block's threads cover at once

/// The two axes that a tile spans, and all others. The target is contiguous along columns, the
/// source along rows.
struct TransposePlan {
  StridedPlan<2> others;
  FastDivisor<uint32_t> rowTiles, columnTiles;
  uint32_t tiles, rows, columns;
  int32_t targetRow, targetColumn, sourceRow, sourceColumn;
};

template <typename W>
__global__ void __launch_bounds__(kTile* kTileRows)
    transposeKernel(TransposePlan plan, W* __restrict__ to, const W* __restrict__ from,
                    const IndexError* guard) {
  GPU_SHARED(W, tile, [kTile][kTile + 1]);
  if (guard && guard->isSet) return;
  const uint32_t x = threadIdx.x % kTile, y = threadIdx.x / kTile;
  for (uint32_t index = blockIdx.x; index < plan.tiles; index += gridDim.x) {
    const uint32_t strip = plan.columnTiles.divide(index);
    const uint32_t other = plan.rowTiles.divide(strip);
    const uint32_t column = (index - strip * plan.columnTiles.divisor) * kTile;
    const uint32_t row = (strip - other * plan.rowTiles.divisor) * kTile;
    int32_t at[2];
    plan.others.offsets(other, at);
    for (uint32_t i = y; i < kTile; i += kTileRows) {
      if (row + x < plan.rows && column + i < plan.columns) {
        tile[i][x] = from[at[1] + static_cast<int32_t>(row + x) * plan.sourceRow +
                          static_cast<int32_t>(column + i) * plan.sourceColumn];
      }
    }
    __syncthreads();
    for (uint32_t i = y; i < kTile; i += kTileRows) {
      if (row + i < plan.rows && column + x < plan.columns) {
        to[at[0] + static_cast<int32_t>(row + i) * plan.targetRow +
           static_cast<int32_t>(column + x) * plan.targetColumn] = tile[x][i];
      }
    }
    __syncthreads();
  }
}

// --- Their choice ---

namespace {

/// The axis along which the source is contiguous where that is not the target's; -1 if no tile
/// pays.
int transposedAxis(const LoopAxes<2>& axes) {
  constexpr int64_t kLeast = 8;
  const int last = axes.rank - 1;
  if (axes.rank < 2 || axes.innerStride(0) != 1 || axes.inner() < kLeast) return -1;
  const int64_t inner = axes.innerStride(1);
  if (inner == 0 || inner == 1) return -1;
  for (int axis = 0; axis < last; ++axis) {
    if (axes.strides[1][axis] == 1 && axes.shape[axis] >= kLeast) return axis;
  }
  return -1;
}

Status transpose(const LoopAxes<2>& piece, int axis, char* target, const char* source,
                 int64_t bytes, const IndexError* guard) {
  TransposePlan plan;
  LoopAxes<2> others;
  const int last = piece.rank - 1;
  for (int i = 0; i < last; ++i) {
    if (i != axis) others.add(piece.shape[i], {piece.strides[0][i], piece.strides[1][i]});
  }
  const auto narrow = [](int64_t x) { return static_cast<uint32_t>(x); };
  plan.others = StridedPlan<2>(others);
  plan.rows = narrow(piece.shape[axis]);
  plan.columns = narrow(piece.shape[last]);
  plan.rowTiles = FastDivisor<uint32_t>(narrow(ceilDivide(plan.rows, kTile)));
  plan.columnTiles = FastDivisor<uint32_t>(narrow(ceilDivide(plan.columns, kTile)));
  plan.tiles = narrow(others.size) * plan.rowTiles.divisor * plan.columnTiles.divisor;
  plan.targetRow = static_cast<int32_t>(piece.strides[0][axis]);
  plan.targetColumn = static_cast<int32_t>(piece.strides[0][last]);
  plan.sourceRow = static_cast<int32_t>(piece.strides[1][axis]);
  plan.sourceColumn = static_cast<int32_t>(piece.strides[1][last]);
  return byWidth(bytes, [&](auto element) {
    using W = decltype(element);
    if constexpr (sizeof(W) <= 8) {
      return launch(transposeKernel<W>, gridFor(plan.tiles, 1), dim3(kTile * kTileRows), 0, plan,
                    reinterpret_cast<W*>(target), reinterpret_cast<const W*>(source), guard);
    } else {
      return Status::unsupported;
    }
  });
}

Status copyPiece(const LoopAxes<2>& piece, const TensorView& target, const TensorView& source,
                 const IndexError* guard) {
  const int64_t bytes = elementBytes(target.dtype);
  char* const to = static_cast<char*>(target.data) + piece.start[0] * bytes;
  const char* const from = static_cast<const char*>(source.data) + piece.start[1] * bytes;
  if (!guard && piece.isDense(0) && piece.isDense(1)) {
    return gpu::copyOnDevice(to, from, static_cast<size_t>(piece.size * bytes));
  }
  const int axis = transposedAxis(piece);
  if (axis >= 0) return transpose(piece, axis, to, from, bytes, guard);
  LoopAxes<2> axes = piece;
  const int64_t width = widen(&axes, to, from, bytes);
  return byWidth(width, [&](auto element) {
    using W = decltype(element);
    return launch(copyStridedKernel<W>, gridFor(axes.size, kBlockThreads * kLanes),
                  dim3(kBlockThreads), 0, StridedPlan<2>(axes), reinterpret_cast<W*>(to),
                  reinterpret_cast<const W*>(from), guard);
  });
}

}  // namespace

Status copyView(const TensorView& target, const TensorView& source, const IndexError* guard) {
  const TensorView* const views[2] = {&target, &source};
  return forPieces(loopOver(views), [&](const LoopAxes<2>& piece) {
    return copyPiece(piece, target, source, guard);
  });
}

Status copyToScratch(const TensorView& view, DeviceScratch& scratch, TensorView* result) {
  const int64_t bytes = view.size * elementBytes(view.dtype);
  scratch = DeviceScratch(static_cast<size_t>(bytes > 0 ? bytes : 1));
  if (!scratch) return fail(Status::outOfMemory, "no device memory for a contiguous copy");
  *result = view;
  result->data = scratch.data();
  result->contiguous = true;
  int64_t stride = 1;
  for (int axis = view.rank - 1; axis >= 0; --axis) {
    result->strides[axis] = stride;
    stride *= view.shape[axis];
  }
  return copyView(*result, view);
}

Status makeContiguous(const TensorView& view, DeviceScratch& scratch, TensorView* result) {
  if (!view.contiguous) return copyToScratch(view, scratch, result);
  *result = view;
  return Status::ok;
}

Status fillZero(const TensorView& view) {
  if (view.size == 0) return Status::ok;
  return gpu::fillBytes(view.data, 0, static_cast<size_t>(view.size * elementBytes(view.dtype)));
}

// --- Ops ---

namespace {

Status copy(const OpCall& call) { return copyView(call.outputs[0], call.inputs[0]); }

/// The addresses that a view's elements lie between.
struct Extent {
  uintptr_t first, last;

  explicit Extent(const TensorView& view) {
    const int64_t bytes = elementBytes(view.dtype);
    int64_t low = 0, high = bytes - 1;
    for (int axis = 0; axis < view.rank; ++axis) {
      const int64_t reach = (view.shape[axis] - 1) * view.strides[axis] * bytes;
      (reach < 0 ? low : high) += reach;
    }
    const uintptr_t data = reinterpret_cast<uintptr_t>(view.data);
    first = data + static_cast<uintptr_t>(low);
    last = data + static_cast<uintptr_t>(high);
  }
  bool overlaps(const Extent& other) const { return first <= other.last && other.first <= last; }
};

Status assign(const OpCall& call) {
  const TensorView& target = call.inputs[0];
  const TensorView& source = call.inputs[1];
  if (target.size == 0) return Status::ok;
  if (!Extent(target).overlaps(Extent(source))) {
    return copyView(target, source, gpu::errorSlot());
  }
  // A transposed view of the target itself, say: read all before anything is written.
  DeviceScratch scratch;
  TensorView copied;
  const Status status = copyToScratch(source, scratch, &copied);
  return status == Status::ok ? copyView(target, copied, gpu::errorSlot()) : status;
}

Status concat(const OpCall& call) {
  const int axis = call.ints[0];
  const TensorView& out = call.outputs[0];
  int64_t start = 0;
  for (int k = 0; k < 2; ++k) {
    const TensorView& in = call.inputs[k];
    TensorView part = out;
    part.data = static_cast<char*>(out.data) + start * out.strides[axis] * elementBytes(out.dtype);
    part.shape[axis] = in.shape[axis];
    part.size = in.size;
    part.contiguous = false;
    const Status status = copyView(part, in);
    if (status != Status::ok) return status;
    start += in.shape[axis];
  }
  return Status::ok;
}

Status sliceBackward(const OpCall& call) {
  const TensorView& grad = call.inputs[0];
  const TensorView& out = call.outputs[0];
  TensorView slice = out;
  slice.contiguous = false;
  slice.size = grad.size;
  int64_t offset = 0;
  for (int axis = 0; axis < out.rank; ++axis) {
    const int64_t start = call.ints[1 + 2 * axis], step = call.ints[2 + 2 * axis];
    if (step == 0) {
      return fail(Status::badArgument, "sliceBackward: the step of axis %d is 0", axis);
    }
    offset += start * out.strides[axis];
    slice.shape[axis] = grad.shape[axis];
    slice.strides[axis] = step * out.strides[axis];
  }
  if (grad.size != out.size) {
    const Status cleared = fillZero(out);
    if (cleared != Status::ok) return cleared;
  }
  if (grad.size == 0) return Status::ok;
  slice.data = static_cast<char*>(out.data) + offset * elementBytes(out.dtype);
  return copyView(slice, grad);
}

}  // namespace

void registerCopies(Kernel* kernels) {
  kernels[static_cast<int>(Op::copy)] = copy;
  kernels[static_cast<int>(Op::concat)] = concat;
  kernels[static_cast<int>(Op::sliceBackward)] = sliceBackward;
  kernels[static_cast<int>(Op::assign)] = assign;
}

}  // namespace cuda
}  // namespace kindling
