// Depthwise convolution with 3x3 taps and stride 1, and both of its gradients, on the planes as
// they stand: nothing is copied. A vector of columns runs down a plane; every row is loaded once,
// shifted three times, and adds to the three rows of the result that it reaches, whose sums are in
// registers.

#include "cpu/convolution.h"
#include "cpu/convolution_pieces.h"
#include "cpu/parallel.h"
#include "cpu/scratch.h"

namespace kindling {
namespace KINDLING_ISA {
namespace {

constexpr int kWidth = GemmVec::width;
constexpr int kTaps = 3;                  // along either axis
constexpr int64_t kUnits = 32;            // of a weight's gradient, worth having for many threads
constexpr int64_t kThreadWork = 1 << 17;  // multiply-adds

int64_t lesser(int64_t x, int64_t y) { return x < y ? x : y; }
int64_t ceilOf(int64_t x, int64_t y) { return (x + y - 1) / y; }

/// What is read for a row of a result: `rows` by `width` elements, the first tap `top` rows and
/// `left` columns from the result's own place.
struct Plane {
  int64_t rows, width, top, left;
};

/// A vector of columns of the result.
struct Column {
  int64_t at;
  int lanes;                 // that are the result's
  LaneRange shifted[kTaps];  // of them, those that lie inside the source for each tap
  bool inside;               // all lanes do, for all taps
};

Column columnAt(const Plane& source, int64_t at, int64_t count) {
  Column column;
  column.at = at;
  column.lanes = static_cast<int>(lesser(kWidth, count - at));
  column.inside = column.lanes == kWidth;
  for (int i = 0; i < kTaps; ++i) {
    int64_t begin, end;
    validRange(at + source.left + i, 1, source.width, column.lanes, &begin, &end);
    column.shifted[i] = LaneRange::of(static_cast<int>(begin), static_cast<int>(end));
    column.inside &= begin == 0 && end == kWidth;
  }
  return column;
}

/// From a place in the planes at hand to the same place in those that come next. A plane is a few
/// KiB, too short for what a CPU foresees by itself, and all of it would come while its first
/// column waits.
struct Ahead {
  int64_t first, second;
};

template <bool kInside>
KINDLING_INLINE void loadShifts(const float* p, const LaneRange (&lanes)[kTaps],
                                GemmVec (&x)[kTaps]) {
#pragma GCC unroll 4
  for (int i = 0; i < kTaps; ++i) x[i] = kInside ? GemmVec::load(p + i) : lanes[i].load(p + i);
}

// ---- the result, or the gradient of the input

/// Sums the columns of a plane of the result that has `rows` rows.
template <bool kInside>
void sumColumn(const Plane& source, const float* from, const GemmVec* weights, GemmVec bias,
               const Column& column, int64_t rows, float* to, int64_t toStep, Ahead ahead) {
  GemmVec w[kTaps][kTaps];
#pragma GCC unroll 4
  for (int i = 0; i < kTaps; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < kTaps; ++j) w[i][j] = weights[i * kTaps + j];
  }
  // The sums of the row that ends with this row of the source, and of the two that go on.
  GemmVec last = bias, middle = bias;
  const float* p = from + source.top * source.width + column.at + source.left;
  to += column.at - (kTaps - 1) * toStep;
  const auto row = [&](bool isRead, bool isWritten) {
    __builtin_prefetch(p + ahead.first);
    __builtin_prefetch(to + ahead.second);
    GemmVec next = bias;
    if (isRead) {
      GemmVec x[kTaps];
      loadShifts<kInside>(p, column.shifted, x);
#pragma GCC unroll 4
      for (int j = 0; j < kTaps; ++j) {
        last = fma(w[2][j], x[j], last);
        middle = fma(w[1][j], x[j], middle);
        next = fma(w[0][j], x[j], next);
      }
    }
    if (isWritten) {
      if (kInside) {
        last.store(to);
      } else {
        storeFirst(last, to, column.lanes);
      }
    }
    last = middle;
    middle = next;
    p += source.width;
    to += toStep;
  };
  const int64_t readBegin = -source.top, readEnd = source.rows - source.top;
  const int64_t total = rows + kTaps - 1;
  int64_t i = 0;
  for (; i < total && (i < kTaps - 1 || i < readBegin); ++i) {
    row(i >= readBegin && i < readEnd, i >= kTaps - 1);
  }
  for (; i < total && i < readEnd; ++i) row(true, true);
  for (; i < total; ++i) row(false, true);
}

/// Where the last column would be a part of a vector it does some lanes of the one before again.
int64_t columnStart(int64_t index, int64_t width) {
  const int64_t at = index * kWidth;
  return at + kWidth > width && width >= kWidth ? width - kWidth : at;
}

/// Whether the taps along an axis are three neighbours; the least offset goes to `first`, and
/// whether they rise to `rises`.
bool areNeighbours(const TapAxis& taps, int64_t* first, bool* rises) {
  if (taps.count != kTaps) return false;
  const int64_t step = taps.offsets[1] - taps.offsets[0];
  *rises = step == 1;
  *first = taps.offsets[*rises ? 0 : kTaps - 1];
  return (step == 1 || step == -1) && taps.offsets[2] - taps.offsets[1] == step;
}

struct Layout {
  Plane source;
  bool rises[2];
};

bool layOut(const GatherProblem<float>& p, Layout* layout) {
  if (p.rows != 1 || p.channels != 1 || p.tapCount() != kTaps * kTaps) return false;
  if (p.extents[0] != 1 || p.grid[0] != 1 || p.taps[0].offsets[0] != 0) return false;
  if (p.stride[1] != 1 || p.stride[2] != 1 || p.outStep[2] != 1 || p.outStep[1] != p.grid[2]) {
    return false;
  }
  layout->source.rows = p.extents[1];
  layout->source.width = p.extents[2];
  return areNeighbours(p.taps[1], &layout->source.top, &layout->rises[0]) &&
         areNeighbours(p.taps[2], &layout->source.left, &layout->rises[1]);
}

/// The weights of one channel in the order in which rising offsets meet them.
void loadWeights(const GatherProblem<float>& p, const Layout& layout, const float* weight,
                 GemmVec* to) {
  for (int i = 0; i < kTaps; ++i) {
    for (int j = 0; j < kTaps; ++j) {
      const int row = layout.rises[0] ? i : kTaps - 1 - i;
      const int column = layout.rises[1] ? j : kTaps - 1 - j;
      to[i * kTaps + j] = GemmVec::set1(weight[p.weightOffset(0, row, column)]);
    }
  }
}

// ---- the gradient of the weight

KINDLING_INLINE void addRow(GemmVec grad, const GemmVec (&x)[kTaps], GemmVec (&acc)[kTaps]) {
#pragma GCC unroll 4
  for (int j = 0; j < kTaps; ++j) acc[j] = fma(grad, x[j], acc[j]);
}

/// sums[tap] += the gradient's column times what each tap reads.
template <bool kInside>
void dotColumn(const Plane& source, const float* from, const Column& column, const float* grad,
               int64_t gradRows, int64_t gradWidth, Ahead ahead, GemmVec* sums) {
  GemmVec acc[kTaps][kTaps];
#pragma GCC unroll 4
  for (int i = 0; i < kTaps; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < kTaps; ++j) acc[i][j] = sums[i * kTaps + j];
  }
  // The rows of the gradient that a row of the source meets with its last tap, its middle one and
  // its first one.
  GemmVec last = GemmVec::zero(), middle = GemmVec::zero();
  const float* p = from + source.top * source.width + column.at + source.left;
  const float* g = grad + column.at;
  const auto row = [&](bool isRead, bool hasLast, bool hasMiddle, bool hasNext) {
    __builtin_prefetch(p + ahead.first);
    __builtin_prefetch(g + ahead.second);
    GemmVec next = GemmVec::zero();
    if (hasNext) next = kInside ? GemmVec::load(g) : GemmVec::loadPartial(g, column.lanes);
    if (isRead) {
      GemmVec x[kTaps];
      loadShifts<kInside>(p, column.shifted, x);
      // Where a tap meets no row of the gradient, a product with zeros would make NaN of an
      // infinity.
      if (hasLast) addRow(last, x, acc[2]);
      if (hasMiddle) addRow(middle, x, acc[1]);
      if (hasNext) addRow(next, x, acc[0]);
    }
    last = middle;
    middle = next;
    p += source.width;
    g += gradWidth;
  };
  const int64_t readBegin = -source.top, readEnd = source.rows - source.top;
  const int64_t total = gradRows + kTaps - 1;
  const auto edge = [&](int64_t i) {
    row(i >= readBegin && i < readEnd, i >= 2, i >= 1 && i <= gradRows, i < gradRows);
  };
  int64_t i = 0;
  for (; i < total && (i < 2 || i < readBegin); ++i) edge(i);
  for (; i < gradRows && i < readEnd; ++i) row(true, true, true, true);
  for (; i < total; ++i) edge(i);
#pragma GCC unroll 4
  for (int i = 0; i < kTaps; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < kTaps; ++j) sums[i * kTaps + j] = acc[i][j];
  }
}

Plane sourceOf(const ConvShape& shape) {
  return {shape.input[1], shape.input[2], -shape.padding[1], -shape.padding[2]};
}

/// The sums of one channel over the images [begin, end).
void sumWeight(const WeightProblem<float>& problem, const Column* columns, int64_t count,
               int64_t group, int64_t begin, int64_t end, float* to) {
  const ConvShape& shape = *problem.shape;
  const Plane source = sourceOf(shape);
  GemmVec sums[kTaps * kTaps];
  for (GemmVec& sum : sums) sum = GemmVec::zero();
  for (int64_t n = begin; n < end; ++n) {
    const float* from = problem.source + (n * shape.groups + group) * shape.inputPlane;
    const float* grad = problem.grad + (n * shape.groups + group) * shape.outputPlane;
    const int64_t next = n + 1 < end ? shape.groups : 0;
    const Ahead ahead = {next * shape.inputPlane, next * shape.outputPlane};
    for (int64_t c = 0; c < count; ++c) {
      const Column& column = columns[c];
      const auto kernel = column.inside ? dotColumn<true> : dotColumn<false>;
      kernel(source, from, column, grad, shape.output[1], shape.output[2], ahead, sums);
    }
  }
  for (int i = 0; i < kTaps * kTaps; ++i) to[i] = reduceAdd(sums[i]);
}

}  // namespace

bool gatherFitsDepthwise(const GatherProblem<float>& problem) {
  Layout layout;
  return layOut(problem, &layout);
}

bool gatherDepthwise(const GatherProblem<float>& p) {
  Layout layout;
  if (!layOut(p, &layout)) return false;
  const int64_t count = ceilOf(p.grid[2], kWidth);
  const Scratch memory(static_cast<size_t>(count) * sizeof(Column));
  if (!memory.ok()) return false;
  Column* const columns = memory.as<Column>();
  for (int64_t c = 0; c < count; ++c) {
    columns[c] = columnAt(layout.source, columnStart(c, p.grid[2]), p.grid[2]);
  }
  const int64_t work = p.gridSize() * kTaps * kTaps + 1;
  parallelFor(p.batch * p.groups, kThreadWork / work + 1, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t n = i / p.groups, group = i % p.groups;
      GemmVec weights[kTaps * kTaps];
      loadWeights(p, layout, p.weight + group * p.weightGroup, weights);
      const float* const from = p.sourceAt(n, group);
      float* const to = p.outAt(n, group);
      const int64_t next = i + 1 < end ? i + 1 : i;
      const Ahead ahead = {p.sourceAt(next / p.groups, next % p.groups) - from,
                           p.outAt(next / p.groups, next % p.groups) - to};
      const GemmVec bias = p.bias ? GemmVec::set1(p.bias[group]) : GemmVec::zero();
      for (int64_t c = 0; c < count; ++c) {
        const Column& column = columns[c];
        const auto kernel = column.inside ? sumColumn<true> : sumColumn<false>;
        kernel(layout.source, from, weights, bias, column, p.grid[1], to, p.outStep[1], ahead);
      }
    }
  });
  return true;
}

bool weightFitsDepthwise(const WeightProblem<float>& problem) {
  const ConvShape& shape = *problem.shape;
  if (shape.filters != 1 || shape.channels != 1 || shape.input[0] != 1) return false;
  if (shape.kernel[0] != 1 || shape.padding[0] != 0 || shape.output[0] != 1) return false;
  for (int axis = 1; axis < kSpatial; ++axis) {
    if (shape.kernel[axis] != kTaps || shape.stride[axis] != 1 || shape.dilation[axis] != 1) {
      return false;
    }
  }
  return true;
}

bool weightDepthwise(const WeightProblem<float>& problem) {
  const ConvShape& shape = *problem.shape;
  constexpr int64_t kSums = kTaps * kTaps;
  const int64_t total = shape.groups * kSums;
  int64_t chunks = lesser(ceilOf(kUnits, shape.groups), shape.batch);
  if (chunks < 1) chunks = 1;
  const Scratch memory(chunks > 1 ? static_cast<size_t>(chunks * total) * sizeof(float) : 0);
  const int64_t count = ceilOf(shape.output[2], kWidth);
  const Scratch columnMemory(static_cast<size_t>(count) * sizeof(Column));
  if (!memory.ok() || !columnMemory.ok()) return false;
  Column* const columns = columnMemory.as<Column>();
  for (int64_t c = 0; c < count; ++c) {
    columns[c] = columnAt(sourceOf(shape), c * kWidth, shape.output[2]);
  }
  float* const sums = chunks > 1 ? memory.as<float>() : problem.out;
  const int64_t work = ceilOf(shape.batch, chunks) * shape.outputPlane * kSums + 1;
  parallelFor(shape.groups * chunks, kThreadWork / work + 1, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t group = i / chunks, chunk = i % chunks;
      const int64_t first = chunk * shape.batch / chunks;
      sumWeight(problem, columns, count, group, first, (chunk + 1) * shape.batch / chunks,
                sums + chunk * total + group * kSums);
    }
  });
  if (chunks == 1) return true;
  // In order, whatever thread has computed them.
  for (int64_t i = 0; i < total; ++i) {
    float sum = sums[i];
    for (int64_t chunk = 1; chunk < chunks; ++chunk) sum += sums[chunk * total + i];
    problem.out[i] = sum;
  }
  return true;
}

}  // namespace KINDLING_ISA
}  // namespace kindling
