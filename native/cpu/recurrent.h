#pragma once
// What the recurrent layers share: who is active at a step, and the walk over a sequence.

#include <cstdint>

#include "core/op_call.h"
#include "cpu/scratch.h"
#include "cpu/vec_math.h"

namespace kindling {
namespace KINDLING_ISA {
namespace {

/// The dimensions of a layer's run over a padded batch. A row takes part in the steps below its
/// length; elsewhere its state stays and its output is 0.
struct Sequence {
  int64_t steps, rows, width;
  bool reverse;
  const int32_t* lengths;
  int64_t lengthStride;

  Sequence(const TensorView& y, const TensorView& lengthView, bool isReverse)
      : steps(y.shape[0]),
        rows(y.shape[1]),
        width(y.shape[2]),
        reverse(isReverse),
        lengths(static_cast<const int32_t*>(lengthView.data)),
        lengthStride(lengthView.strides[0]) {}

  int64_t length(int64_t row) const { return lengths[row * lengthStride]; }
  bool active(int64_t step, int64_t row) const { return step < length(row); }
  /// The time of the s-th step.
  int64_t time(int64_t s) const { return reverse ? steps - 1 - s : s; }
  /// The time at which a row starts: where its previous state is the initial one.
  int64_t firstTime(int64_t row) const { return reverse ? length(row) - 1 : 0; }
  int64_t timeBefore(int64_t t) const { return reverse ? t + 1 : t - 1; }
  /// Rows [begin, begin + result) hold all rows of [begin, end) that are active at t.
  int64_t activeRows(int64_t t, int64_t begin, int64_t end, bool* all) const {
    int64_t count = 0, active = 0;
    for (int64_t row = begin; row < end; ++row) {
      if (t >= length(row)) continue;
      count = row - begin + 1;
      ++active;
    }
    *all = active == count;
    return count;
  }
  /// Splitting the rows needs no step to wait for another thread; fewer rows each than this make
  /// the matrix products inefficient.
  int64_t grain() const { return 8; }
};

/// Calls body(i, lanes) over `width` elements, full vectors first.
template <typename Body>
KINDLING_INLINE void forLanes(int64_t width, const Body& body) {
  int64_t i = 0;
  for (; i + VecF::width <= width; i += VecF::width) body(i, VecF::width);
  if (i < width) body(i, static_cast<int>(width - i));
}

KINDLING_INLINE VecF get(const float* p, int lanes) {
  return lanes == VecF::width ? VecF::load(p) : VecF::loadPartial(p, lanes);
}
KINDLING_INLINE void put(VecF x, float* p, int lanes) {
  if (lanes == VecF::width) {
    x.store(p);
  } else {
    x.storePartial(p, lanes);
  }
}

KINDLING_INLINE float* floatsAt(const TensorView& view, int64_t offset = 0) {
  return static_cast<float*>(view.data) + offset;
}

/// W[gates, width] as [width, gates], so that the steps' products read it along memory.
inline void transposeWeight(const TensorView& weight, float* to) {
  TensorView target = {};
  target.data = to;
  target.dtype = DType::float32;
  target.rank = 2;
  target.size = weight.size;
  target.shape[0] = weight.shape[1];
  target.shape[1] = weight.shape[0];
  target.strides[0] = weight.shape[0];
  target.strides[1] = 1;
  target.contiguous = true;
  TensorView source = weight;
  source.shape[0] = weight.shape[1];
  source.shape[1] = weight.shape[0];
  source.strides[0] = weight.strides[1];
  source.strides[1] = weight.strides[0];
  source.contiguous = false;
  copyStrided(target, source);
}

}  // namespace
}  // namespace KINDLING_ISA
}  // namespace kindling
