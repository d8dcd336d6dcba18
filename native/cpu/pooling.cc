// Max pooling with the position of each maximum, and what its gradients are made of: adding
// elements to the positions they came from, and picking the elements at positions.

#include "cpu/pooling.h"

#include <cinttypes>

#include "core/status.h"
#include "cpu/convolution_pieces.h"
#include "cpu/kernel_table.h"
#include "cpu/parallel.h"
#include "cpu/scratch.h"
#include "cpu/vec_shuffle.h"

namespace kindling {
namespace KINDLING_ISA {
namespace {

constexpr int64_t kThreadWork = 1 << 14;  // elements

Status noMemory(const char* op) { return fail(Status::outOfMemory, "%s: no scratch memory", op); }

const char* nameOf(Op op) {
  switch (op) {
    case Op::maxPoolBackward:
      return "maxPoolBackward";
    case Op::maxPoolGather:
      return "maxPoolGather";
    default:
      return "maxPool";
  }
}

// ---- the maximum of each window

/// Positions of an index vector, one for each lane of V.
template <class V>
struct PositionsOf {
  using Type = Lane<int32_t>;
};
template <>
struct PositionsOf<VecF> {
  using Type = VecI;
};

/// The windows of maxPool along the axes.
struct Windows {
  int64_t kernel[3], stride[3], padding[3], dilation[3];
};

/// Lanes [0, n) of every stride-th element.
KINDLING_INLINE VecD loadEvery(const double* p, int64_t, int) { return VecD::load(p); }
#if KINDLING_ISA_LEVEL == 0
KINDLING_INLINE VecF loadEvery(const float* p, int64_t, int) { return VecF::load(p); }
#else
KINDLING_INLINE VecF loadEvery(const float* p, int64_t stride, int n) {
  if (stride == 1 && n == VecF::width) return VecF::load(p);
  return loadLanes(p, stride, 0, n);
}
#endif

/// What tap k of a row's windows reads, of a whole vector of them; p is where tap 0 does.
template <int kStride>
KINDLING_INLINE VecD loadTap(const double* p, const Windows&, int64_t k, int64_t dilation) {
  return VecD::load(p + k * dilation);
}
template <int kStride>
KINDLING_INLINE VecF loadTap(const float* p, const Windows& windows, int64_t k, int64_t dilation) {
  const float* const from = p + k * dilation;
  if (kStride == 1) return VecF::load(from);
#if KINDLING_ISA_LEVEL > 0
  if (kStride == 2 && (k > 0 || windows.kernel[2] > 1)) {
    // Neighbours that other taps read are there too: whole loads stay inside the row.
    const float* const pairs = k > 0 ? from - 1 : from;
    const VecF low = VecF::load(pairs), high = VecF::load(pairs + VecF::width);
    return k > 0 ? oddLanes(low, high) : evenLanes(low, high);
  }
#endif
  return loadEvery(from, windows.stride[2], VecF::width);
}

/// The rows of taps of one row of windows that lie in the plane: `count[0]` times `count[1]` rows
/// of the source, the first at `start` and the others these steps from each other.
struct TapRows {
  int64_t count[2], step[2];
  int64_t start;
  int64_t readable;  // elements from the plane's begin to the end of the tensor
  int64_t writable;  // elements of the result from this row's begin to the end of the plane

  bool empty() const { return count[0] <= 0 || count[1] <= 0; }
  int64_t last() const { return start + (count[0] - 1) * step[0] + (count[1] - 1) * step[1]; }
};

alignas(kAlignment) constexpr int32_t kLaneNumbers[] = {0, 1, 2,  3,  4,  5,  6,  7,
                                                        8, 9, 10, 11, 12, 13, 14, 15};

/// Windows [w, w + lanes) of one row, all of whose taps along the row lie inside it. Earlier taps
/// win ties; NaN wins over all. kKernel: the taps along the row where they are neighbours, so that
/// what they share is loaded once; or 0.
template <class V, int kStride, int kKernel, bool kWhole>
KINDLING_INLINE void maxOfWindows(const Windows& windows, const TapRows& rows,
                                  const typename V::Scalar* source, int64_t w, int lanes,
                                  typename V::Scalar* best, int32_t* where) {
  using T = typename V::Scalar;
  using P = typename PositionsOf<V>::Type;
  const int64_t stride = kStride ? kStride : windows.stride[2];
  const int64_t kernel = kKernel ? kKernel : windows.kernel[2];
  const int64_t dilation = kKernel ? 1 : windows.dilation[2];
  const int64_t x = w * stride - windows.padding[2];
  const P offsets = P::load(kLaneNumbers) * P::set1(static_cast<int32_t>(stride));
  V largest = V::set1(static_cast<T>(-__builtin_inf()));
  P slice = offsets + P::set1(static_cast<int32_t>(rows.start + x)), at = slice;
  const P down[2] = {P::set1(static_cast<int32_t>(rows.step[0])),
                     P::set1(static_cast<int32_t>(rows.step[1]))};
  const P along = P::set1(static_cast<int32_t>(dilation));
  const T* front = source + rows.start + x;
  for (int64_t i = rows.count[0]; i > 0; --i, front += rows.step[0], slice = slice + down[0]) {
    const T* row = front;
    P first = slice;
    for (int64_t j = rows.count[1]; j > 0; --j, row += rows.step[1], first = first + down[1]) {
      P here = first;
#pragma GCC unroll 4
      for (int64_t k = 0; k < kernel; ++k, here = here + along) {
        const V value = kWhole ? loadTap<kStride>(row, windows, k, dilation)
                               : loadEvery(row + k * dilation, stride, lanes);
        const auto better = (largest < value) | value.isNaN();
        largest = select(better, value, largest);
        at = select(better, here, at);
      }
    }
  }
  if (lanes == V::width) {
    largest.store(best + w);
    at.store(where + w);
  } else {
    largest.storePartial(best + w, lanes);
    at.storePartial(where + w, lanes);
  }
}

template <class V, int kStride, int kKernel>
void maxOfInterior(const Windows& windows, const TapRows& rows, const typename V::Scalar* source,
                   int64_t begin, int64_t end, typename V::Scalar* best, int32_t* where) {
  const auto whole = [&](int64_t w) {
    maxOfWindows<V, kStride, kKernel, true>(windows, rows, source, w, V::width, best, where);
  };
  int64_t w = begin;
  for (; w + V::width <= end; w += V::width) whole(w);
  if (w == end) return;
  // Some windows again rather than a part of a vector, whose store is dear.
  if (w > begin) return whole(end - V::width);
  const int lanes = static_cast<int>(end - w);
  // What lies behind the row may be read, but not what lies behind the tensor.
  const int64_t last = rows.last() + w * windows.stride[2] - windows.padding[2] +
                       (windows.kernel[2] - 1) * windows.dilation[2];
  if (kStride && last + 2 * V::width <= rows.readable) {
    // A whole vector reaches into the next row, which is written after this one.
    const int stored = w + V::width <= rows.writable ? V::width : lanes;
    maxOfWindows<V, kStride, kKernel, true>(windows, rows, source, w, stored, best, where);
  } else {
    maxOfWindows<V, kStride, kKernel, false>(windows, rows, source, w, lanes, best, where);
  }
}

template <class V>
auto interiorKernelFor(const Windows& windows) -> decltype(&maxOfInterior<V, 0, 0>) {
  if (windows.stride[2] == 1) return maxOfInterior<V, 1, 0>;
  if (windows.stride[2] != 2) return maxOfInterior<V, 0, 0>;
  const int64_t neighbours = windows.dilation[2] == 1 ? windows.kernel[2] : 0;
  if (neighbours == 2) return maxOfInterior<V, 2, 2>;
  return neighbours == 3 ? maxOfInterior<V, 2, 3> : maxOfInterior<V, 2, 0>;
}

/// One window that the padding may cut.
template <typename T>
void maxOfCutWindow(const Windows& windows, const TapRows& rows, int64_t width, const T* source,
                    int64_t w, T* best, int32_t* where) {
  const int64_t x = w * windows.stride[2] - windows.padding[2];
  T largest = static_cast<T>(-__builtin_inf());
  int64_t at = -1;
  for (int64_t i = 0; i < rows.count[0]; ++i) {
    for (int64_t j = 0; j < rows.count[1]; ++j) {
      const int64_t row = rows.start + i * rows.step[0] + j * rows.step[1];
      for (int64_t k = 0; k < windows.kernel[2]; ++k) {
        const int64_t column = x + k * windows.dilation[2];
        if (column < 0 || column >= width) continue;
        const T value = source[row + column];
        if (at >= 0 && !(value > largest) && value == value) continue;
        largest = value;
        at = row + column;
      }
    }
  }
  best[w] = largest;
  where[w] = static_cast<int32_t>(at);
}

/// The windows of a row that the padding does not cut: [*begin, *end).
void interiorOf(const Windows& windows, int64_t in, int64_t out, int64_t* begin, int64_t* end) {
  *begin = 0;
  *end = out;
  for (int tap = 0; tap < 2; ++tap) {  // the first, the last
    const int64_t k = tap * (windows.kernel[2] - 1);
    int64_t first, last;
    validRange(k * windows.dilation[2] - windows.padding[2], windows.stride[2], in, out, &first,
               &last);
    if (first > *begin) *begin = first;
    if (last < *end) *end = last;
  }
  if (*end < *begin) *end = *begin;
}

template <class V>
void maxPlane(const Windows& windows, const int64_t* in, const int64_t* out,
              const typename V::Scalar* source, int64_t readable, typename V::Scalar* best,
              int32_t* where) {
  int64_t begin, end;
  interiorOf(windows, in[2], out[2], &begin, &end);
  const auto interior = interiorKernelFor<V>(windows);
  TapRows rows;
  rows.readable = readable;
  rows.step[0] = windows.dilation[0] * in[1] * in[2];
  rows.step[1] = windows.dilation[1] * in[2];
  int64_t starts[2] = {0, 0};
  const auto place = [&](int axis, int64_t index) {
    const int64_t origin = index * windows.stride[axis] - windows.padding[axis];
    int64_t first, last;
    validRange(origin, windows.dilation[axis], in[axis], windows.kernel[axis], &first, &last);
    rows.count[axis] = last - first;
    starts[axis] = origin + first * windows.dilation[axis];
  };
  int64_t d = -1, h = out[1] - 1;
  for (int64_t row = 0; row < out[0] * out[1]; ++row, best += out[2], where += out[2]) {
    if (++h == out[1]) {
      h = 0;
      place(0, ++d);
    }
    place(1, h);
    rows.writable = (out[0] * out[1] - row) * out[2];
    rows.start = (starts[0] * in[1] + starts[1]) * in[2];
    const bool empty = rows.empty();
    const int64_t from = empty ? out[2] : begin, to = empty ? out[2] : end;
    for (int64_t w = 0; w < from; ++w) {
      maxOfCutWindow(windows, rows, in[2], source, w, best, where);
    }
    interior(windows, rows, source, from, to, best, where);
    for (int64_t w = to; w < out[2]; ++w) {
      maxOfCutWindow(windows, rows, in[2], source, w, best, where);
    }
  }
}

template <class V>
Status maxPool(const OpCall& call) {
  using T = typename V::Scalar;
  const Planes out = planesOf(call.outputs[0]);
  if (call.outputs[0].size == 0) return Status::ok;
  const Contiguous source(call.inputs[0]);
  if (!source.ok()) return noMemory("maxPool");
  const Planes in = planesOf(call.inputs[0]);
  Windows windows;
  int64_t taps = 1;
  for (int axis = 0; axis < 3; ++axis) {
    windows.kernel[axis] = call.ints[axis];
    windows.stride[axis] = call.ints[3 + axis];
    windows.padding[axis] = call.ints[6 + axis];
    windows.dilation[axis] = call.ints[9 + axis];
    taps *= windows.kernel[axis];
  }
  T* const values = static_cast<T*>(call.outputs[0].data);
  int32_t* const positions = static_cast<int32_t*>(call.outputs[1].data);
  parallelFor(in.count, kThreadWork / (taps * out.size) + 1, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      maxPlane<V>(windows, in.extents, out.extents, source.as<T>() + i * in.size,
                  (in.count - i) * in.size, values + i * out.size, positions + i * out.size);
    }
  });
  return Status::ok;
}

/// The maximum of the box [begin, end) of a plane, and its position.
template <typename T>
void maxOfBox(const T* source, const int64_t* in, const int64_t* begin, const int64_t* end, T* best,
              int32_t* where) {
  int64_t at = (begin[0] * in[1] + begin[1]) * in[2] + begin[2];
  T value = source[at];
  for (int64_t z = begin[0]; z < end[0]; ++z) {
    for (int64_t y = begin[1]; y < end[1]; ++y) {
      for (int64_t x = begin[2]; x < end[2]; ++x) {
        const int64_t here = (z * in[1] + y) * in[2] + x;
        if (!(source[here] > value) && source[here] == source[here]) continue;
        value = source[here];
        at = here;
      }
    }
  }
  *best = value;
  *where = static_cast<int32_t>(at);
}

template <typename T>
Status adaptiveMaxPool(const OpCall& call) {
  const Planes out = planesOf(call.outputs[0]);
  if (call.outputs[0].size == 0) return Status::ok;
  const Contiguous source(call.inputs[0]);
  if (!source.ok()) return noMemory("adaptiveMaxPool");
  const Planes in = planesOf(call.inputs[0]);
  T* const values = static_cast<T*>(call.outputs[0].data);
  int32_t* const positions = static_cast<int32_t*>(call.outputs[1].data);
  parallelFor(in.count, kThreadWork / (in.size + out.size) + 1, 1, [&](int64_t from, int64_t to) {
    for (int64_t i = from * out.size; i < to * out.size; ++i) {
      const int64_t at = i % out.size;
      const int64_t index[3] = {at / out.extents[2] / out.extents[1],
                                at / out.extents[2] % out.extents[1], at % out.extents[2]};
      int64_t begin[3], end[3];
      for (int axis = 0; axis < 3; ++axis) {
        begin[axis] = adaptiveBegin(index[axis], in.extents[axis], out.extents[axis]);
        end[axis] = adaptiveEnd(index[axis], in.extents[axis], out.extents[axis]);
      }
      maxOfBox(source.as<T>() + i / out.size * in.size, in.extents, begin, end, values + i,
               positions + i);
    }
  });
  return Status::ok;
}

// ---- by position

/// Whether every position is in a plane, or -1 for none.
bool positionsFit(const int32_t* positions, int64_t count, int64_t planeSize) {
  int32_t least = 0, most = -1;
  for (int64_t i = 0; i < count; ++i) {
    least = positions[i] < least ? positions[i] : least;
    most = positions[i] > most ? positions[i] : most;
  }
  return least >= -1 && most < planeSize;
}

/// Adds a plane's elements to the positions they came from, which lie in the plane.
template <typename T>
void addAtPositions(const T* grad, const int32_t* where, int64_t count, T* sums) {
  for (int64_t i = 0; i < count; ++i) {
    if (where[i] >= 0) sums[where[i]] += grad[i];
  }
}

#if KINDLING_ISA_LEVEL > 0
/// to[2 i] = even[i], to[2 i + 1] = odd[i]
KINDLING_INLINE void storeInterleaved(VecF even, VecF odd, float* to) {
  const Halves pairs = interleaved(even, odd);
  pairs.low.store(to);
  pairs.high.store(to + VecF::width);
}

KINDLING_INLINE void storeInterleavedFirst(VecF even, VecF odd, int pairs, float* to) {
  if (pairs == VecF::width) return storeInterleaved(even, odd, to);
#if KINDLING_ISA_LEVEL == 2
  const Halves both = interleaved(even, odd);
  const int lanes = 2 * pairs;
  both.low.storePartial(to, lanes < VecF::width ? lanes : VecF::width);
  if (lanes > VecF::width) both.high.storePartial(to + VecF::width, lanes - VecF::width);
#else
  alignas(kAlignment) float both[2 * VecF::width];
  storeInterleaved(even, odd, both);
  for (int i = 0; i < 2 * pairs; ++i) to[i] = both[i];
#endif
}
#endif

/// The same where every element came from its own 2 by 2 block, as those of the common pooling do:
/// the blocks are written in passing. False, with anything in `sums`, where they did not.
bool addFromBlocks(const double*, const int32_t*, const Planes&, const Planes&, double*) {
  return false;
}
bool addFromBlocks(const float* grad, const int32_t* where, const Planes& from, const Planes& to,
                   float* sums) {
#if KINDLING_ISA_LEVEL == 0
  (void)grad, (void)where, (void)from, (void)to, (void)sums;
  return false;
#else
  const int64_t width = to.extents[2], columns = from.extents[2];
  if (to.extents[0] * to.extents[1] != 2 * from.extents[0] * from.extents[1]) return false;
  if (width != 2 * columns) return false;
  int32_t steps[VecI::width];
  for (int i = 0; i < VecI::width; ++i) steps[i] = 2 * i;
  const VecI offsets = VecI::load(steps);
  const int32_t across = static_cast<int32_t>(width);
  const VecF none = VecF::zero();
  // `lanes` blocks from column w of a row on; whether all came from their block.
  const auto blocks = [&](int64_t row, int64_t w, int lanes) {
    const int64_t at = row * columns + w, corner = 2 * row * width + 2 * w;
    const bool whole = lanes == VecF::width;
    const VecF value = whole ? VecF::load(grad + at) : VecF::loadPartial(grad + at, lanes);
    const VecI position = whole ? VecI::load(where + at) : VecI::loadPartial(where + at, lanes);
    const VecI tap = position - VecI::set1(static_cast<int32_t>(corner)) - offsets;
    const auto a = tap == VecI::set1(0), b = tap == VecI::set1(1);
    const auto c = tap == VecI::set1(across), d = tap == VecI::set1(across + 1);
    const uint32_t wanted = (1u << lanes) - 1;
    if (((a | b | c | d).bits() & wanted) != wanted) return false;
    // Whole vectors where they stay in the plane: what they reach of the next rows is written
    // later.
    const bool fits = corner + width + 2 * VecF::width <= to.size;
    const int stored = fits ? VecF::width : lanes;
    storeInterleavedFirst(select(a, value, none), select(b, value, none), stored, sums + corner);
    storeInterleavedFirst(select(c, value, none), select(d, value, none), stored,
                          sums + corner + width);
    return true;
  };
  for (int64_t row = 0; row < from.extents[0] * from.extents[1]; ++row) {
    int64_t w = 0;
    for (; w + VecF::width <= columns; w += VecF::width) {
      if (!blocks(row, w, VecF::width)) return false;
    }
    if (w == columns) continue;
    // Some blocks again rather than a part of a vector, whose store is dear.
    const bool again = w > 0;
    if (!blocks(row, again ? columns - VecF::width : w,
                again ? VecF::width : static_cast<int>(columns - w))) {
      return false;
    }
  }
  return true;
#endif
}

/// inputs: elements, their positions; output: what the positions count. Where a position is outside
/// its plane, nothing is written outside the planes, and the result is not to be used.
template <typename T>
Status maxPoolBackward(const OpCall& call) {
  const TensorView& out = call.outputs[0];
  const Contiguous grad(call.inputs[0]), positions(call.inputs[1]);
  if (!grad.ok() || !positions.ok()) return noMemory(nameOf(call.op));
  const Planes from = planesOf(call.inputs[0]), to = planesOf(out);
  bool fit = true;
  parallelFor(to.count, kThreadWork / (from.size + to.size + 1) + 1, 1,
              [&](int64_t begin, int64_t end) {
                for (int64_t i = begin; i < end; ++i) {
                  const int32_t* const where = positions.as<int32_t>() + i * from.size;
                  const T* const values = grad.as<T>() + i * from.size;
                  T* const sums = static_cast<T*>(out.data) + i * to.size;
                  if (addFromBlocks(values, where, from, to, sums)) continue;
                  if (!positionsFit(where, from.size, to.size)) {
                    __atomic_store_n(&fit, false, __ATOMIC_RELAXED);
                    return;
                  }
                  for (int64_t j = 0; j < to.size; ++j) sums[j] = T(0);
                  addAtPositions(values, where, from.size, sums);
                }
              });
  if (fit) return Status::ok;
  return fail(Status::indexOutOfRange, "%s: a position is outside its plane", nameOf(call.op));
}

/// inputs: what the positions count, the positions; output: the elements at them, 0 for none.
template <typename T>
Status maxPoolGather(const OpCall& call) {
  const TensorView& out = call.outputs[0];
  const Contiguous source(call.inputs[0]), positions(call.inputs[1]);
  if (!source.ok() || !positions.ok()) return noMemory(nameOf(call.op));
  const Planes from = planesOf(call.inputs[0]), to = planesOf(out);
  const int32_t* const where = positions.as<int32_t>();
  if (!positionsFit(where, out.size, from.size)) {
    return fail(Status::indexOutOfRange, "%s: a position is outside its plane", nameOf(call.op));
  }
  T* const picked = static_cast<T*>(out.data);
  parallelFor(to.count, kThreadWork / (to.size + 1) + 1, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const T* const plane = source.as<T>() + i * from.size;
      for (int64_t j = i * to.size; j < (i + 1) * to.size; ++j) {
        picked[j] = where[j] < 0 ? T(0) : plane[where[j]];
      }
    }
  });
  return Status::ok;
}

}  // namespace

void registerPooling(Kernel* kernels) {
  kernels[static_cast<int>(Op::maxPool)] = [](const OpCall& call) {
    return byFloat(call, maxPool<VecF>, maxPool<VecD>);
  };
  kernels[static_cast<int>(Op::adaptiveMaxPool)] = [](const OpCall& call) {
    return byFloat(call, adaptiveMaxPool<float>, adaptiveMaxPool<double>);
  };
  kernels[static_cast<int>(Op::maxPoolBackward)] = [](const OpCall& call) {
    return byFloat(call, maxPoolBackward<float>, maxPoolBackward<double>);
  };
  kernels[static_cast<int>(Op::maxPoolGather)] = [](const OpCall& call) {
    return byFloat(call, maxPoolGather<float>, maxPoolGather<double>);
  };
}

}  // namespace KINDLING_ISA
}  // namespace kindling
