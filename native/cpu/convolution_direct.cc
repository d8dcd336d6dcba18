// Convolution with very few channels per group (depthwise): the source is copied into a plane with
// its padding, split by the phases of the stride, so that a tap is a shift of the whole plane and
// every load is contiguous. The sums run along the padded plane's rows without stopping at their
// ends; the columns that this computes in vain are left behind when the result is copied out.

#include "cpu/convolution.h"
#include "cpu/convolution_pieces.h"
#include "cpu/gemm_vec.h"
#include "cpu/parallel.h"
#include "cpu/scratch.h"

namespace kindling {
namespace KINDLING_ISA {
namespace {

constexpr int kWidth = GemmVec::width;
constexpr int kUnroll = 4;                           // vectors at a time: independent chains
constexpr int64_t kSlack = kUnroll * kWidth;         // room behind a plane
constexpr int64_t kMostProducts = 4;                 // rows times channels of a group
constexpr int64_t kMostElements = int64_t{1} << 22;  // of a padded plane
constexpr int64_t kThreadWork = 1 << 17;             // multiply-adds

/// The layout of a padded plane: for each phase of the stride, the elements whose position, counted
/// from that of the first tap, leaves that remainder.
struct Padded {
  int64_t first[kSpatial], stride[kSpatial];
  int64_t phases[kSpatial], extents[kSpatial];  // extents: of one phase
  int64_t phase, size;                          // elements of one phase, of all
  int64_t run;  // elements of a phase from the first result to the last

  int64_t offsetOf(int64_t d, int64_t h, int64_t w) const {
    const int64_t at[kSpatial] = {d - first[0], h - first[1], w - first[2]};
    int64_t which = 0, shift = 0;
    for (int axis = 0; axis < kSpatial; ++axis) {
      which = which * phases[axis] + at[axis] % stride[axis];
      shift = shift * extents[axis] + at[axis] / stride[axis];
    }
    return which * phase + shift;
  }
};

/// False where the plane would be too large, as with a stride far beyond the kernel.
bool layOut(const int64_t* grid, const int64_t* stride, const TapAxis* taps, Padded* plane) {
  plane->phase = 1;
  int64_t phases = 1;
  for (int axis = 0; axis < kSpatial; ++axis) {
    if (taps[axis].count == 0) return false;
    int64_t least = taps[axis].offsets[0], most = least;
    for (int64_t i = 1; i < taps[axis].count; ++i) {
      const int64_t offset = taps[axis].offsets[i];
      if (offset < least) least = offset;
      if (offset > most) most = offset;
    }
    plane->first[axis] = least;
    plane->stride[axis] = stride[axis];
    plane->phases[axis] = stride[axis] <= most - least ? stride[axis] : most - least + 1;
    plane->extents[axis] = grid[axis] + (most - least) / stride[axis];
    if (plane->phases[axis] > kMostElements || plane->extents[axis] > kMostElements) return false;
    phases *= plane->phases[axis];
    plane->phase *= plane->extents[axis];
    if (phases * plane->phase > kMostElements) return false;
  }
  plane->size = phases * plane->phase;
  const int64_t* extents = plane->extents;
  plane->run = ((grid[0] - 1) * extents[1] + grid[1] - 1) * extents[2] + grid[2];
  return true;
}

/// Writes `length` elements: zeros, but for [begin, end), which are every stride-th element,
/// element 0 at `from`. Up to a vector behind them is overwritten.
void fillRow(float* to, int64_t length, int64_t begin, int64_t end, const float* from,
             int64_t stride) {
  for (int64_t at = 0; at < length; at += kWidth) {
    const int64_t first = begin > at ? begin - at : 0;
    const int64_t last = end - at < kWidth ? end - at : kWidth;
    if (first >= last) {
      GemmVec::zero().store(to + at);
    } else {
      loadLanes(from + at * stride, stride, static_cast<int>(first), static_cast<int>(last))
          .store(to + at);
    }
  }
}

/// Copies a channel into its padded plane. Up to a vector behind it is overwritten.
void fillPlane(const Padded& plane, const float* source, const int64_t* extents, float* to) {
  const int64_t rows = plane.extents[0] * plane.extents[1], width = plane.extents[2];
  const int64_t phases = plane.size / plane.phase;
  for (int64_t phase = 0; phase < phases; ++phase) {
    const int64_t rw = phase % plane.phases[2];
    const int64_t rh = phase / plane.phases[2] % plane.phases[1];
    const int64_t rd = phase / plane.phases[2] / plane.phases[1];
    const int64_t x = plane.first[2] + rw;
    int64_t begin, end;
    validRange(x, plane.stride[2], extents[2], width, &begin, &end);
    for (int64_t row = 0; row < rows; ++row, to += width) {
      const int64_t z = plane.first[0] + rd + row / plane.extents[1] * plane.stride[0];
      const int64_t y = plane.first[1] + rh + row % plane.extents[1] * plane.stride[1];
      const bool inside = z >= 0 && z < extents[0] && y >= 0 && y < extents[1];
      const int64_t offset = (z * extents[1] + y) * extents[2] + x;
      fillRow(to, width, inside ? begin : 0, inside ? end : 0, source + (inside ? offset : 0),
              plane.stride[2]);
    }
  }
}

/// One product of a sum: where its factors stand.
struct Term {
  int64_t offset;  // in the padded planes
  float weight;
};

template <int kVectors>
KINDLING_INLINE void sumTerms(const Term* terms, int64_t count, float bias, const float* planes,
                              float* to) {
  GemmVec acc[kVectors];
  for (int j = 0; j < kVectors; ++j) acc[j] = GemmVec::set1(bias);
  for (int64_t i = 0; i < count; ++i) {
    const GemmVec weight = GemmVec::set1(terms[i].weight);
    const float* from = planes + terms[i].offset;
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) {
      acc[j] = fma(weight, GemmVec::load(from + j * kWidth), acc[j]);
    }
  }
  for (int j = 0; j < kVectors; ++j) acc[j].store(to + j * kWidth);
}

void sumPlane(const Term* terms, int64_t count, float bias, const float* planes, int64_t run,
              float* to) {
  int64_t at = 0;
  for (; at + kSlack - 2 * kWidth < run; at += kSlack) {
    sumTerms<kUnroll>(terms, count, bias, planes + at, to + at);
  }
  for (; at < run; at += kWidth) sumTerms<1>(terms, count, bias, planes + at, to + at);
}

using Problem = GatherProblem<float>;

/// The terms of one row of a group.
void makeTerms(const Problem& p, const Padded& plane, int64_t group, int64_t row, Term* terms) {
  const float* weight = p.weight + group * p.weightGroup + row * p.weightRow;
  for (int64_t q = 0; q < p.channels; ++q) {
    for (int64_t d = 0; d < p.taps[0].count; ++d) {
      for (int64_t h = 0; h < p.taps[1].count; ++h) {
        for (int64_t w = 0; w < p.taps[2].count; ++w) {
          const int64_t offset =
              plane.offsetOf(p.taps[0].offsets[d], p.taps[1].offsets[h], p.taps[2].offsets[w]);
          *terms++ = {q * plane.size + offset,
                      weight[q * p.weightChannel + p.weightOffset(d, h, w)]};
        }
      }
    }
  }
}

void copyOut(const Problem& p, const Padded& plane, const float* sums, float* out) {
  for (int64_t d = 0; d < p.grid[0]; ++d) {
    for (int64_t h = 0; h < p.grid[1]; ++h) {
      const float* from = sums + (d * plane.extents[1] + h) * plane.extents[2];
      float* to = out + d * p.outStep[0] + h * p.outStep[1];
      const int64_t step = p.outStep[2];
      if (step == 1) {
        for (int64_t w = 0; w < p.grid[2]; ++w) to[w] = from[w];
      } else {
        for (int64_t w = 0; w < p.grid[2]; ++w) to[w * step] = from[w];
      }
    }
  }
}

/// The dot products of one channel's gradient with its padded plane, one for each tap, added to
/// `sums`. Row by row, because what stands between the rows of the plane may be NaN.
void addDots(const ConvShape& shape, const Padded& plane, const int64_t* offsets,
             const float* padded, const float* grad, float* sums) {
  const int64_t width = shape.output[2];
  for (int64_t tap = 0; tap < shape.taps; ++tap) {
    GemmVec acc[2] = {GemmVec::zero(), GemmVec::zero()};
    int64_t turn = 0;
    const float* from = grad;
    for (int64_t d = 0; d < shape.output[0]; ++d) {
      for (int64_t h = 0; h < shape.output[1]; ++h, from += width) {
        const float* row = padded + offsets[tap] + (d * plane.extents[1] + h) * plane.extents[2];
        for (int64_t w = 0; w < width; w += kWidth, turn ^= 1) {
          const int lanes = width - w < kWidth ? static_cast<int>(width - w) : kWidth;
          acc[turn] = fma(GemmVec::loadPartial(from + w, lanes),
                          GemmVec::loadPartial(row + w, lanes), acc[turn]);
        }
      }
    }
    sums[tap] += reduceAdd(acc[0] + acc[1]);
  }
}

}  // namespace

bool gatherFits(const Problem& p) {
  Padded plane;
  return p.rows * p.channels <= kMostProducts && layOut(p.grid, p.stride, p.taps, &plane);
}

bool gatherDirectly(const Problem& p) {
  Padded plane;
  if (!layOut(p.grid, p.stride, p.taps, &plane)) return false;
  const int64_t terms = p.channels * p.tapCount();
  const int64_t planeFloats = p.channels * plane.size + kSlack;
  const int64_t floats = planeFloats + plane.run + kSlack;
  const int64_t work = (p.rows * terms + 4) * plane.run + 1;
  bool ok = true;
  parallelFor(p.batch * p.groups, kThreadWork / work + 1, 1, [&](int64_t begin, int64_t end) {
    const Scratch memory(static_cast<size_t>(terms) * sizeof(Term) +
                         static_cast<size_t>(floats) * sizeof(float));
    if (!memory.ok()) {
      __atomic_store_n(&ok, false, __ATOMIC_RELAXED);
      return;
    }
    Term* const list = memory.as<Term>();
    float* const planes = reinterpret_cast<float*>(list + terms);
    float* const sums = planes + planeFloats;
    for (int64_t i = 0; i < kSlack; ++i) planes[planeFloats - kSlack + i] = 0.0f;
    for (int64_t i = begin; i < end; ++i) {
      const int64_t n = i / p.groups, group = i % p.groups;
      for (int64_t q = 0; q < p.channels; ++q) {
        fillPlane(plane, p.sourceAt(n, group * p.channels + q), p.extents, planes + q * plane.size);
      }
      for (int64_t row = 0; row < p.rows; ++row) {
        const int64_t channel = group * p.rows + row;
        makeTerms(p, plane, group, row, list);
        sumPlane(list, terms, p.bias ? p.bias[channel] : 0.0f, planes, plane.run, sums);
        copyOut(p, plane, sums, p.outAt(n, channel));
      }
    }
  });
  return ok;
}

bool weightFits(const WeightProblem<float>& problem) {
  const ConvShape& shape = *problem.shape;
  if (shape.filters * shape.channels > kMostProducts) return false;
  const ForwardTaps taps(shape);
  Padded plane;
  return taps.ok() && layOut(shape.output, shape.stride, taps.axes(), &plane);
}

bool weightDirectly(const WeightProblem<float>& problem) {
  const ConvShape& shape = *problem.shape;
  const ForwardTaps taps(shape);
  Padded plane;
  if (!taps.ok() || !layOut(shape.output, shape.stride, taps.axes(), &plane)) return false;
  const Scratch offsetMemory(static_cast<size_t>(shape.taps) * sizeof(int64_t));
  if (!offsetMemory.ok()) return false;
  int64_t* const offsets = offsetMemory.as<int64_t>();
  for (int64_t tap = 0; tap < shape.taps; ++tap) {
    const int64_t w = tap % shape.kernel[2], h = tap / shape.kernel[2] % shape.kernel[1];
    const int64_t d = tap / shape.kernel[2] / shape.kernel[1];
    offsets[tap] = plane.offsetOf(taps.axes()[0].offsets[d], taps.axes()[1].offsets[h],
                                  taps.axes()[2].offsets[w]);
  }
  const int64_t work = shape.batch * shape.filters * (shape.taps + 4) * plane.run + 1;
  bool ok = true;
  // A thread has whole channels, and goes through the batch in order.
  const int64_t channels = shape.groups * shape.channels;
  parallelFor(channels, kThreadWork / work + 1, 1, [&](int64_t begin, int64_t end) {
    const Scratch memory(static_cast<size_t>(plane.size + kSlack) * sizeof(float));
    if (!memory.ok()) {
      __atomic_store_n(&ok, false, __ATOMIC_RELAXED);
      return;
    }
    float* const padded = memory.as<float>();
    for (int64_t i = begin; i < end; ++i) {
      const int64_t group = i / shape.channels, c = i % shape.channels;
      const auto weightOf = [&](int64_t filter) {
        return problem.out + ((group * shape.filters + filter) * shape.channels + c) * shape.taps;
      };
      for (int64_t filter = 0; filter < shape.filters; ++filter) {
        float* const sums = weightOf(filter);
        for (int64_t tap = 0; tap < shape.taps; ++tap) sums[tap] = 0.0f;
      }
      for (int64_t n = 0; n < shape.batch; ++n) {
        fillPlane(plane, problem.source + (n * channels + i) * shape.inputPlane, shape.input,
                  padded);
        for (int64_t filter = 0; filter < shape.filters; ++filter) {
          const int64_t row = (n * shape.groups + group) * shape.filters + filter;
          addDots(shape, plane, offsets, padded, problem.grad + row * shape.outputPlane,
                  weightOf(filter));
        }
      }
    }
  });
  return ok;
}

}  // namespace KINDLING_ISA
}  // namespace kindling
