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
KINDLING_INLINE VecD loadTap(const double* p, const Windows& windows, int64_t k) {
  return VecD::load(p + k * windows.dilation[2]);
}
template <int kStride>
KINDLING_INLINE VecF loadTap(const float* p, const Windows& windows, int64_t k) {
  const float* const from = p + k * windows.dilation[2];
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

/// The taps of one row of windows that lie in the plane along the leading axes.
struct TapRows {
  int64_t first[2], end[2];  // of the kernel's positions
  int64_t origin[2];         // where position 0 is
  int64_t readable;          // elements from the plane's begin to the end of the tensor

  int64_t rowAt(const int64_t* in, const Windows& windows, int64_t i, int64_t j) const {
    return ((origin[0] + i * windows.dilation[0]) * in[1] + origin[1] + j * windows.dilation[1]) *
           in[2];
  }
};

alignas(kAlignment) constexpr int32_t kLaneNumbers[] = {0, 1, 2,  3,  4,  5,  6,  7,
                                                        8, 9, 10, 11, 12, 13, 14, 15};

/// Windows [w, w + lanes) of one row, all of whose taps along the row lie inside it. Earlier taps
/// win ties; NaN wins over all.
template <class V, int kStride, bool kWhole>
KINDLING_INLINE void maxOfWindows(const Windows& windows, const TapRows& rows, const int64_t* in,
                                  const typename V::Scalar* source, int64_t w, int lanes,
                                  typename V::Scalar* best, int32_t* where) {
  using T = typename V::Scalar;
  using P = typename PositionsOf<V>::Type;
  const int64_t stride = kStride ? kStride : windows.stride[2];
  const int64_t x = w * stride - windows.padding[2];
  const P offsets = P::load(kLaneNumbers) * P::set1(static_cast<int32_t>(stride));
  V largest = V::set1(static_cast<T>(-__builtin_inf()));
  P at = offsets +
         P::set1(static_cast<int32_t>(rows.rowAt(in, windows, rows.first[0], rows.first[1]) + x));
  for (int64_t i = rows.first[0]; i < rows.end[0]; ++i) {
    for (int64_t j = rows.first[1]; j < rows.end[1]; ++j) {
      const int64_t position = rows.rowAt(in, windows, i, j) + x;
      for (int64_t k = 0; k < windows.kernel[2]; ++k) {
        const int64_t tap = position + k * windows.dilation[2];
        const V value = kWhole ? loadTap<kStride>(source + position, windows, k)
                               : loadEvery(source + tap, stride, lanes);
        const auto better = (largest < value) | value.isNaN();
        largest = select(better, value, largest);
        at = select(better, offsets + P::set1(static_cast<int32_t>(tap)), at);
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

template <class V, int kStride>
void maxOfInterior(const Windows& windows, const TapRows& rows, const int64_t* in,
                   const typename V::Scalar* source, int64_t w, int64_t end,
                   typename V::Scalar* best, int32_t* where) {
  for (; w + V::width <= end; w += V::width) {
    maxOfWindows<V, kStride, true>(windows, rows, in, source, w, V::width, best, where);
  }
  if (w == end) return;
  const int lanes = static_cast<int>(end - w);
  // What lies behind the row may be read, but not what lies behind the tensor.
  const int64_t last = rows.rowAt(in, windows, rows.end[0] - 1, rows.end[1] - 1) +
                       w * windows.stride[2] - windows.padding[2] +
                       (windows.kernel[2] - 1) * windows.dilation[2];
  if (kStride && last + 2 * V::width <= rows.readable) {
    maxOfWindows<V, kStride, true>(windows, rows, in, source, w, lanes, best, where);
  } else {
    maxOfWindows<V, kStride, false>(windows, rows, in, source, w, lanes, best, where);
  }
}

/// One window that the padding may cut.
template <typename T>
void maxOfCutWindow(const Windows& windows, const TapRows& rows, const int64_t* in, const T* source,
                    int64_t w, T* best, int32_t* where) {
  const int64_t x = w * windows.stride[2] - windows.padding[2];
  T largest = static_cast<T>(-__builtin_inf());
  int64_t at = -1;
  for (int64_t i = rows.first[0]; i < rows.end[0]; ++i) {
    for (int64_t j = rows.first[1]; j < rows.end[1]; ++j) {
      const int64_t row = rows.rowAt(in, windows, i, j);
      for (int64_t k = 0; k < windows.kernel[2]; ++k) {
        const int64_t column = x + k * windows.dilation[2];
        if (column < 0 || column >= in[2]) continue;
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
  for (int64_t row = 0; row < out[0] * out[1]; ++row, best += out[2], where += out[2]) {
    const int64_t index[2] = {row / out[1], row % out[1]};
    TapRows rows;
    rows.readable = readable;
    for (int axis = 0; axis < 2; ++axis) {
      rows.origin[axis] = index[axis] * windows.stride[axis] - windows.padding[axis];
      validRange(rows.origin[axis], windows.dilation[axis], in[axis], windows.kernel[axis],
                 &rows.first[axis], &rows.end[axis]);
    }
    const bool empty = rows.first[0] == rows.end[0] || rows.first[1] == rows.end[1];
    const int64_t from = empty ? out[2] : begin, to = empty ? out[2] : end;
    for (int64_t w = 0; w < from; ++w) {
      maxOfCutWindow(windows, rows, in, source, w, best, where);
    }
    switch (windows.stride[2]) {
      case 1:
        maxOfInterior<V, 1>(windows, rows, in, source, from, to, best, where);
        break;
      case 2:
        maxOfInterior<V, 2>(windows, rows, in, source, from, to, best, where);
        break;
      default:
        maxOfInterior<V, 0>(windows, rows, in, source, from, to, best, where);
    }
    for (int64_t w = to; w < out[2]; ++w) {
      maxOfCutWindow(windows, rows, in, source, w, best, where);
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
  for (int64_t row = 0; row < from.extents[0] * from.extents[1]; ++row) {
    for (int64_t w = 0; w < columns; w += VecF::width) {
      const int lanes = columns - w < VecF::width ? static_cast<int>(columns - w) : VecF::width;
      const int64_t corner = 2 * row * width + 2 * w;
      const VecF value = VecF::loadPartial(grad, lanes);
      const VecI at =
          VecI::loadPartial(where, lanes) - VecI::set1(static_cast<int32_t>(corner)) - offsets;
      const auto a = at == VecI::set1(0), b = at == VecI::set1(1);
      const auto c = at == VecI::set1(across), d = at == VecI::set1(across + 1);
      const uint32_t wanted = (1u << lanes) - 1;
      if (((a | b | c | d).bits() & wanted) != wanted) return false;
      storeInterleavedFirst(select(a, value, none), select(b, value, none), lanes, sums + corner);
      storeInterleavedFirst(select(c, value, none), select(d, value, none), lanes,
                            sums + corner + width);
      where += lanes;
      grad += lanes;
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
