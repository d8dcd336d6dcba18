#pragma once
// Padded planes: a channel is copied into a plane with its padding, split by the phases of the
// stride, so that a tap is a shift of the whole plane and every load is contiguous.

#include <cstdint>

#include "cpu/convolution.h"
#include "cpu/convolution_pieces.h"
#include "cpu/gemm_vec.h"

namespace kindling {
namespace KINDLING_ISA {
namespace {

/// For each phase of the stride, the elements whose position, counted from that of the first tap,
/// leaves that remainder.
struct Padded {
  int64_t first[kSpatial], stride[kSpatial];
  int64_t phases[kSpatial], extents[kSpatial];  // extents: of one phase
  int64_t lead;                                 // unused elements in front of a phase
  int64_t pitch;                                // from row to row
  int64_t phase, size;                          // elements of one phase, of all

  /// Where a tap with these offsets finds what it reads for position 0 of the grid.
  int64_t offsetOf(int64_t d, int64_t h, int64_t w) const {
    const int64_t at[kSpatial] = {d - first[0], h - first[1], w - first[2]};
    int64_t which = 0;
    for (int axis = 0; axis < kSpatial; ++axis) {
      which = which * phases[axis] + at[axis] % stride[axis];
    }
    const int64_t row = at[0] / stride[0] * extents[1] + at[1] / stride[1];
    return which * phase + lead + row * pitch + at[2] / stride[2];
  }
  int64_t rowOf(int64_t d, int64_t h) const { return (d * extents[1] + h) * pitch; }
};

constexpr int64_t kMostPlaneElements = int64_t{1} << 22;
constexpr int64_t kPhasesTogether = 4;  // along a row, that are copied from it at once

/// One plane for `count` problems that differ in their grids and taps alone. False where it would
/// be too large, as with a stride far beyond the kernel, or none has a tap.
inline bool layOut(const GatherProblem<float>* problems, int64_t count, Padded* plane) {
  const GatherProblem<float>& any = problems[0];
  int64_t phases = 1;
  for (int axis = 0; axis < kSpatial; ++axis) {
    int64_t least = INT64_MAX, most = INT64_MIN, last = INT64_MIN;
    for (int64_t p = 0; p < count; ++p) {
      if (problems[p].tapCount() == 0) continue;
      const TapAxis& taps = problems[p].taps[axis];
      for (int64_t i = 0; i < taps.count; ++i) {
        const int64_t offset = taps.offsets[i];
        if (offset < least) least = offset;
        if (offset > most) most = offset;
        const int64_t reach = offset + (problems[p].grid[axis] - 1) * any.stride[axis];
        if (reach > last) last = reach;
      }
    }
    if (least > most) return false;
    const int64_t stride = any.stride[axis];
    plane->first[axis] = least;
    plane->stride[axis] = stride;
    plane->phases[axis] = stride <= most - least ? stride : most - least + 1;
    plane->extents[axis] = (last - least) / stride + 1;
    if (plane->phases[axis] > kMostPlaneElements) return false;
    if (plane->extents[axis] > kMostPlaneElements) return false;
    phases *= plane->phases[axis];
  }
  // The channel's first column stands at a whole vector, behind the padding, so that it is copied
  // by whole vectors: the padding of a row is what they leave behind the row and in front of the
  // next.
  const int64_t padding = plane->first[2] < 0 ? -plane->first[2] : 0;
  plane->lead = (GemmVec::width - padding % GemmVec::width) % GemmVec::width;
  plane->pitch = (plane->extents[2] + GemmVec::width - 1) / GemmVec::width * GemmVec::width;
  const int64_t rows = plane->extents[0] * plane->extents[1];
  if (phases > kMostPlaneElements || rows > kMostPlaneElements) return false;
  if (phases * rows > kMostPlaneElements / plane->pitch) return false;
  plane->phase = rows * plane->pitch + (plane->lead > 0 ? GemmVec::width : 0);
  plane->size = phases * plane->phase;
  return true;
}

/// The kernel's rows, phase of the stride by phase, cut into runs of at most `most`. Calls
/// visit(first tap, distance to the next tap, count); in the plane, a run's taps are rowStepOf()
/// rows apart.
template <typename Visit>
KINDLING_INLINE void forRuns(const TapAxis& taps, int64_t stride, int64_t most,
                             const Visit& visit) {
  // Offsets rise or fall in equal steps, so that each phase has every `period`-th tap.
  int64_t period = 1;
  while (period < taps.count && (taps.offsets[period] - taps.offsets[0]) % stride != 0) ++period;
  const bool falls = taps.count > 1 && taps.offsets[1] < taps.offsets[0];
  for (int64_t phase = 0; phase < period && phase < taps.count; ++phase) {
    const int64_t count = (taps.count - phase + period - 1) / period;
    const int64_t runs = (count + most - 1) / most;
    for (int64_t run = 0; run < runs; ++run) {
      const int64_t begin = run * count / runs, end = (run + 1) * count / runs;
      const int64_t first = falls ? count - 1 - begin : begin;
      visit(phase + first * period, falls ? -period : period, end - begin);
    }
  }
}

/// The distance in the plane of the taps of a run, in rows.
inline int64_t rowStepOf(const TapAxis& taps, int64_t stride) {
  const int64_t spacing = taps.count < 2 ? 1 : taps.offsets[1] - taps.offsets[0];
  int64_t step = spacing < 0 ? -spacing : spacing;
  while (step % stride != 0) step += spacing < 0 ? -spacing : spacing;
  return step / stride;
}

/// Goes along an axis of a channel: where the index lies in the plane.
struct PlanePlace {
  int64_t index, phase, at;
  const int64_t stride, phases, end;

  PlanePlace(const Padded& plane, int axis)
      : index(plane.first[axis] < 0 ? 0 : plane.first[axis]),
        phase((index - plane.first[axis]) % plane.stride[axis]),
        at((index - plane.first[axis]) / plane.stride[axis]),
        stride(plane.stride[axis]),
        phases(plane.phases[axis]),
        end(plane.extents[axis]) {}
  bool inside() const { return phase < phases && at < end; }
  void advance() {
    ++index;
    if (++phase < stride) return;
    phase = 0;
    ++at;
  }
};

/// Copies every stride-th element of a row, [begin, end) of them.
KINDLING_INLINE void fillRow(const float* from, int64_t stride, int64_t begin, int64_t end,
                             bool aligned, float* row) {
  constexpr int kWidth = GemmVec::width;
  int64_t at = begin;
  if (stride == 1) {
    for (; at + kWidth <= end; at += kWidth) GemmVec::load(from + at).store(row + at);
    if (at < end && aligned) {
      return GemmVec::loadPartial(from + at, static_cast<int>(end - at)).store(row + at);
    }
  }
  if (stride == 2) {
    for (; at + kWidth <= end; at += kWidth) loadLanes(from + 2 * at, 2, 0, kWidth).store(row + at);
  }
  for (; at < end; at += kWidth) {
    const int lanes = end - at < kWidth ? static_cast<int>(end - at) : kWidth;
    storeFirst(loadLanes(from + at * stride, stride, 0, lanes), row + at, lanes);
  }
}

/// Copies a channel into its plane, which must hold zeros where the padding is: they stay. Row by
/// row of the channel, whatever their phases, as memory is read best.
inline void fillPlane(const Padded& plane, const float* source, const int64_t* extents, float* to) {
  constexpr int kWidth = GemmVec::width;
  const int64_t stride = plane.stride[2];
  // Then whole vectors end before the next row's elements.
  const bool aligned = (plane.lead - plane.first[2]) % kWidth == 0 && plane.first[2] <= 0;
  for (int64_t phase = 0; phase < plane.phases[2]; phase += kPhasesTogether) {
    const int64_t count =
        plane.phases[2] - phase < kPhasesTogether ? plane.phases[2] - phase : kPhasesTogether;
    int64_t begin[kPhasesTogether], end[kPhasesTogether];
    const int64_t x = plane.first[2] + phase;
    for (int64_t i = 0; i < count; ++i) {
      validRange(x + i, stride, extents[2], plane.extents[2], &begin[i], &end[i]);
    }
    for (PlanePlace z(plane, 0); z.index < extents[0]; z.advance()) {
      if (!z.inside()) continue;
      for (PlanePlace y(plane, 1); y.index < extents[1]; y.advance()) {
        if (!y.inside()) continue;
        const float* const from = source + (z.index * extents[1] + y.index) * extents[2] + x;
        const int64_t which = (z.phase * y.phases + y.phase) * plane.phases[2] + phase;
        float* row = to + which * plane.phase + plane.lead + plane.rowOf(z.at, y.at);
        for (int64_t i = 0; i < count; ++i, row += plane.phase) {
          fillRow(from + i, stride, begin[i], end[i], aligned, row);
        }
      }
    }
  }
}

}  // namespace
}  // namespace KINDLING_ISA
}  // namespace kindling
