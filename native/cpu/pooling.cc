// Max pooling with the position of each maximum, and what its gradients are made of: adding
// elements to the positions they came from, and picking the elements at positions.

#include "cpu/pooling.h"

#include <cinttypes>

#include "core/status.h"
#include "cpu/convolution_pieces.h"
#include "cpu/kernel_table.h"
#include "cpu/parallel.h"
#include "cpu/scratch.h"

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

#if KINDLING_ISA_LEVEL == 0
KINDLING_INLINE VecF loadEvery(const float* p, int64_t, int) { return VecF::load(p); }
#else
KINDLING_INLINE VecF loadEvery(const float* p, int64_t stride, int n) {
  if (stride == 1 && n == VecF::width) return VecF::load(p);
  return loadLanes(p, stride, 0, n);
}
#endif
KINDLING_INLINE VecD loadEvery(const double* p, int64_t, int) { return VecD::load(p); }

/// The windows of maxPool along the axes.
struct Windows {
  int64_t kernel[3], stride[3], padding[3], dilation[3];
};

/// Takes one tap of every window of a row into account: `row` is the source's row, `x` where the
/// first window's tap is in it. Earlier taps win ties; NaN wins over all.
template <class V>
void takeTap(const typename V::Scalar* row, int64_t x, int64_t stride, int64_t extent,
             int64_t position, int64_t width, typename V::Scalar* best, int32_t* where) {
  using P = typename PositionsOf<V>::Type;
  int64_t begin, end;
  validRange(x, stride, extent, width, &begin, &end);
  int32_t steps[V::width];
  for (int i = 0; i < V::width; ++i) steps[i] = static_cast<int32_t>(i * stride);
  const P offsets = P::load(steps), none = P::set1(-1);
  for (int64_t w = begin; w < end; w += V::width) {
    const int lanes = end - w < V::width ? static_cast<int>(end - w) : V::width;
    const V value = loadEvery(row + x + w * stride, stride, lanes);
    const V before = V::loadPartial(best + w, lanes);
    const P at = P::loadPartial(where + w, lanes);
    const auto better = (before < value) | value.isNaN() | (at == none);
    const P here = offsets + P::set1(static_cast<int32_t>(position + x + w * stride));
    if (lanes == V::width) {
      select(better, value, before).store(best + w);
      select(better, here, at).store(where + w);
    } else {
      select(better, value, before).storePartial(best + w, lanes);
      select(better, here, at).storePartial(where + w, lanes);
    }
  }
}

template <class V>
void maxPlane(const Windows& windows, const int64_t* in, const int64_t* out,
              const typename V::Scalar* source, typename V::Scalar* best, int32_t* where) {
  using T = typename V::Scalar;
  const T least = static_cast<T>(-__builtin_inf());
  for (int64_t row = 0; row < out[0] * out[1]; ++row, best += out[2], where += out[2]) {
    for (int64_t w = 0; w < out[2]; ++w) {
      best[w] = least;
      where[w] = -1;
    }
    const int64_t d = row / out[1] * windows.stride[0] - windows.padding[0];
    const int64_t h = row % out[1] * windows.stride[1] - windows.padding[1];
    for (int64_t i = 0; i < windows.kernel[0]; ++i) {
      const int64_t z = d + i * windows.dilation[0];
      if (z < 0 || z >= in[0]) continue;
      for (int64_t j = 0; j < windows.kernel[1]; ++j) {
        const int64_t y = h + j * windows.dilation[1];
        if (y < 0 || y >= in[1]) continue;
        const int64_t position = (z * in[1] + y) * in[2];
        for (int64_t k = 0; k < windows.kernel[2]; ++k) {
          takeTap<V>(source + position, k * windows.dilation[2] - windows.padding[2],
                     windows.stride[2], in[2], position, out[2], best, where);
        }
      }
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
                  values + i * out.size, positions + i * out.size);
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
  bool fit = true;
  for (int64_t i = 0; i < count; ++i) fit &= positions[i] >= -1 && positions[i] < planeSize;
  return fit;
}

/// inputs: elements, their positions; output: what the positions count.
template <typename T>
Status maxPoolBackward(const OpCall& call) {
  const TensorView& out = call.outputs[0];
  const Contiguous grad(call.inputs[0]), positions(call.inputs[1]);
  if (!grad.ok() || !positions.ok()) return noMemory(nameOf(call.op));
  const Planes from = planesOf(call.inputs[0]), to = planesOf(out);
  const int32_t* const where = positions.as<int32_t>();
  if (!positionsFit(where, call.inputs[1].size, to.size)) {
    return fail(Status::indexOutOfRange, "%s: a position is outside its plane", nameOf(call.op));
  }
  T* const sums = static_cast<T*>(out.data);
  parallelFor(to.count, kThreadWork / (from.size + to.size + 1) + 1, 1,
              [&](int64_t begin, int64_t end) {
                for (int64_t i = begin * to.size; i < end * to.size; ++i) sums[i] = T(0);
                for (int64_t i = begin * from.size; i < end * from.size; ++i) {
                  if (where[i] < 0) continue;
                  sums[i / from.size * to.size + where[i]] += grad.as<T>()[i];
                }
              });
  return Status::ok;
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
    for (int64_t i = begin * to.size; i < end * to.size; ++i) {
      const T* const plane = source.as<T>() + i / to.size * from.size;
      picked[i] = where[i] < 0 ? T(0) : plane[where[i]];
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
