// The gradient of the weight with few channels per group, on padded planes (convolution_plane.h):
// dot products along the rows, which need no transposed gradient. Two kernels, as in
// convolution_direct.cc: several filters share what they load of the plane, or, where there is only
// one (depthwise), several rows of the gradient do.

#include "core/cpu_features.h"
#include "cpu/convolution_plane.h"
#include "cpu/parallel.h"
#include "cpu/scratch.h"

namespace kindling {
namespace KINDLING_ISA {
namespace {

constexpr int kWidth = GemmVec::width;
constexpr int64_t kSlack = 2 * kWidth;           // readable behind the planes
constexpr int64_t kMostProducts = 4;             // filters times channels, for planes of any size
constexpr int64_t kFewChannels = 8;              // of a group, worth it where planes fit the cache
constexpr int64_t kLeastWidth = kWidth / 2 + 1;  // of the grid, likewise
constexpr int64_t kStripVectors = 64;            // of the gradient, whose source stays in L1
constexpr int64_t kUnits = 32;                   // worth having, for many threads
constexpr int64_t kMostSums = 1 << 22;           // floats of all chunks
constexpr int64_t kMostSumBytes = 1 << 14;       // of the groups that are summed together
constexpr int64_t kThreadWork = 1 << 17;         // multiply-adds
constexpr int kMostFilters = KINDLING_ISA_LEVEL == 2 ? 4 : 3;  // of a tile
constexpr int kMostTaps = 9;
constexpr int kKernelRows = 3;  // of a block of a single filter's taps
constexpr int kKernelColumns = KINDLING_ISA_LEVEL == 2 ? 7 : 4;

using Problem = WeightProblem<float>;

int64_t lesser(int64_t x, int64_t y) { return x < y ? x : y; }
int64_t ceilOf(int64_t x, int64_t y) { return (x + y - 1) / y; }

/// What stands behind a row may be infinite, so that zeros of the gradient would not hide it.
KINDLING_INLINE GemmVec loadFirst(const float* p, int lanes) {
#if KINDLING_ISA_LEVEL == 0
  if (lanes == kWidth) return GemmVec::load(p);
#endif
  return GemmVec::loadPartial(p, lanes);
}

struct DotCall {
  const float *planes, *grad;
  int64_t step, gradStep;  // from row to row
  int64_t rows, width;     // of the gradient
  int64_t gradPlane;       // from filter to filter
  const int64_t* offsets;  // of the taps, or of the columns of the first row of taps
  int64_t tapStep;         // single filter: from row to row of taps, in the sums
  GemmVec* sums;
  int64_t sumsFilter;  // from filter to filter
};

using DotKernel = void (*)(const DotCall&);

/// sums[filter][tap]
template <int kFilters, int kTaps>
void filterDots(const DotCall& call) {
  GemmVec acc[kFilters][kTaps];
  const float* from[kTaps];
#pragma GCC unroll 16
  for (int t = 0; t < kTaps; ++t) {
    from[t] = call.planes + call.offsets[t];
#pragma GCC unroll 8
    for (int m = 0; m < kFilters; ++m) acc[m][t] = call.sums[m * call.sumsFilter + t];
  }
  for (int64_t h = 0; h < call.rows; ++h) {
    const float* const grad = call.grad + h * call.gradStep;
    for (int64_t w = 0; w < call.width; w += kWidth) {
      const int lanes = static_cast<int>(lesser(kWidth, call.width - w));
      const int64_t at = h * call.step + w;
      GemmVec g[kFilters];
#pragma GCC unroll 8
      for (int m = 0; m < kFilters; ++m) g[m] = loadFirst(grad + m * call.gradPlane + w, lanes);
#pragma GCC unroll 16
      for (int t = 0; t < kTaps; ++t) {
        const GemmVec x = loadFirst(from[t] + at, lanes);
#pragma GCC unroll 8
        for (int m = 0; m < kFilters; ++m) acc[m][t] = fma(g[m], x, acc[m][t]);
      }
    }
  }
#pragma GCC unroll 16
  for (int t = 0; t < kTaps; ++t) {
#pragma GCC unroll 8
    for (int m = 0; m < kFilters; ++m) call.sums[m * call.sumsFilter + t] = acc[m][t];
  }
}

/// kRows rows of the gradient with the rows of the plane that their taps reach.
template <int kRows, int kHeight, int kColumns>
KINDLING_INLINE void addRows(const DotCall& call, const float* planes, const float* grad,
                             GemmVec (&acc)[kHeight][kColumns]) {
  for (int64_t w = 0; w < call.width; w += kWidth) {
    const int lanes = static_cast<int>(lesser(kWidth, call.width - w));
    GemmVec g[kRows];
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) g[r] = loadFirst(grad + r * call.gradStep + w, lanes);
    const float* from = planes + w;
#pragma GCC unroll 16
    for (int y = 0; y < kRows + kHeight - 1; ++y, from += call.step) {
#pragma GCC unroll 8
      for (int j = 0; j < kColumns; ++j) {
        const GemmVec x = loadFirst(from + call.offsets[j], lanes);
#pragma GCC unroll 4
        for (int i = 0; i < kHeight; ++i) {
          if (y - i >= 0 && y - i < kRows) acc[i][j] = fma(g[y - i], x, acc[i][j]);
        }
      }
    }
  }
}

/// sums[row of taps][column]
template <int kHeight, int kColumns>
void rowDots(const DotCall& call) {
  constexpr int kRows = 4;
  GemmVec acc[kHeight][kColumns];
#pragma GCC unroll 4
  for (int i = 0; i < kHeight; ++i) {
#pragma GCC unroll 8
    for (int j = 0; j < kColumns; ++j) acc[i][j] = call.sums[i * call.tapStep + j];
  }
  int64_t h = 0;
  for (; h + kRows <= call.rows; h += kRows) {
    addRows<kRows>(call, call.planes + h * call.step, call.grad + h * call.gradStep, acc);
  }
  for (; h < call.rows; ++h) {
    addRows<1>(call, call.planes + h * call.step, call.grad + h * call.gradStep, acc);
  }
#pragma GCC unroll 4
  for (int i = 0; i < kHeight; ++i) {
#pragma GCC unroll 8
    for (int j = 0; j < kColumns; ++j) call.sums[i * call.tapStep + j] = acc[i][j];
  }
}

/// The most taps whose sums the registers hold beside those of `filters` filters.
int64_t mostTaps(int64_t filters) {
#if KINDLING_ISA_LEVEL == 2
  static constexpr int64_t most[] = {9, 9, 9, 6};
#else
  static constexpr int64_t most[] = {9, 5, 4};
#endif
  return most[filters - 1];
}

DotKernel filterDotsFor(int64_t filters, int64_t taps) {
#define KINDLING_TAPS(m, most)                                                                     \
  {                                                                                                \
    filterDots<m, 1>, filterDots<m, 2>, filterDots<m, 3>, filterDots<m, 4>,                        \
        most < 5 ? nullptr : filterDots < m, most<5 ? 1 : 5>, most < 6 ? nullptr : filterDots < m, \
        most<6 ? 1 : 6>, most < 7 ? nullptr : filterDots < m, most<7 ? 1 : 7>,                     \
        most < 8 ? nullptr : filterDots < m, most<8 ? 1 : 8>, most < 9 ? nullptr : filterDots < m, \
        most<9 ? 1 : 9>                                                                            \
  }
  static constexpr DotKernel kernels[][kMostTaps] = {
#if KINDLING_ISA_LEVEL == 2
    KINDLING_TAPS(1, 9),
    KINDLING_TAPS(2, 9),
    KINDLING_TAPS(3, 9),
    KINDLING_TAPS(4, 6)
#else
    KINDLING_TAPS(1, 9),
    KINDLING_TAPS(2, 5),
    KINDLING_TAPS(3, 4)
#endif
  };
#undef KINDLING_TAPS
  return kernels[filters - 1][taps - 1];
}

DotKernel rowDotsFor(int64_t rows, int64_t columns) {
#if KINDLING_ISA_LEVEL == 2
#define KINDLING_COLUMNS(n)                                                                   \
  {                                                                                           \
    rowDots<n, 1>, rowDots<n, 2>, rowDots<n, 3>, rowDots<n, 4>, rowDots<n, 5>, rowDots<n, 6>, \
        rowDots<n, 7>                                                                         \
  }
#else
#define KINDLING_COLUMNS(n) \
  { rowDots<n, 1>, rowDots<n, 2>, rowDots<n, 3>, rowDots<n, 4> }
#endif
  static constexpr DotKernel kernels[kKernelRows][kKernelColumns] = {
      KINDLING_COLUMNS(1), KINDLING_COLUMNS(2), KINDLING_COLUMNS(3)};
#undef KINDLING_COLUMNS
  return kernels[rows - 1][columns - 1];
}

struct Plan {
  const ConvShape* shape;
  const TapAxis* taps;
  Padded plane;
  int64_t terms;                                           // of one filter
  int64_t rowStep;                                         // of the kernel's rows in the plane
  int64_t chunks;                                          // of the batch
  int64_t strip;                                           // rows
  int64_t sums() const { return shape->filters * terms; }  // of one group
};

bool makePlan(const ConvShape& shape, const TapAxis* taps, Plan* plan) {
  GatherProblem<float> grid = {};
  for (int axis = 0; axis < kSpatial; ++axis) {
    grid.grid[axis] = shape.output[axis];
    grid.stride[axis] = shape.stride[axis];
    grid.taps[axis] = taps[axis];
  }
  if (!layOut(&grid, 1, &plan->plane)) return false;
  plan->shape = &shape;
  plan->taps = taps;
  plan->terms = shape.channels * shape.taps;
  plan->rowStep = rowStepOf(taps[1], shape.stride[1]);
  plan->strip = kStripVectors / ceilOf(shape.output[2], kWidth);
  if (plan->strip < 1) plan->strip = 1;
  plan->chunks = lesser(ceilOf(kUnits, shape.groups), shape.batch);
  plan->chunks = lesser(plan->chunks, kMostSums / (shape.groups * plan->sums() + 1));
  if (plan->chunks < 1) plan->chunks = 1;
  return true;
}

void setOffsets(const Plan& plan, int64_t* offsets) {
  const ConvShape& shape = *plan.shape;
  for (int64_t term = 0; term < plan.terms; ++term) {
    const int64_t tap = term % shape.taps;
    const int64_t w = tap % shape.kernel[2], h = tap / shape.kernel[2] % shape.kernel[1];
    const int64_t d = tap / shape.kernel[2] / shape.kernel[1];
    offsets[term] = term / shape.taps * plan.plane.size +
                    plan.plane.offsetOf(plan.taps[0].offsets[d], plan.taps[1].offsets[h],
                                        plan.taps[2].offsets[w]);
  }
}

/// Adds one image's products of one group: several filters at a time.
void addByFilters(const Plan& plan, const int64_t* offsets, const float* planes, const float* grad,
                  GemmVec* sums) {
  const ConvShape& shape = *plan.shape;
  const int64_t blocks = ceilOf(shape.filters, kMostFilters);
  DotCall call;
  call.step = plan.plane.pitch;
  call.gradStep = call.width = shape.output[2];
  call.gradPlane = shape.outputPlane;
  call.sumsFilter = plan.terms;
  for (int64_t d = 0; d < shape.output[0]; ++d) {
    for (int64_t h = 0; h < shape.output[1]; h += plan.strip) {
      call.rows = lesser(plan.strip, shape.output[1] - h);
      call.planes = planes + plan.plane.rowOf(d, h);
      for (int64_t block = 0; block < blocks; ++block) {
        const int64_t first = block * shape.filters / blocks;
        const int64_t filters = (block + 1) * shape.filters / blocks - first;
        const int64_t cuts = ceilOf(plan.terms, mostTaps(filters));
        call.grad = grad + first * shape.outputPlane + (d * shape.output[1] + h) * shape.output[2];
        for (int64_t cut = 0; cut < cuts; ++cut) {
          const int64_t begin = cut * plan.terms / cuts, end = (cut + 1) * plan.terms / cuts;
          call.offsets = offsets + begin;
          call.sums = sums + first * plan.terms + begin;
          filterDotsFor(filters, end - begin)(call);
        }
      }
    }
  }
}

/// The same for one filter, channel by channel.
void addByRows(const Plan& plan, const int64_t* offsets, const float* planes, const float* grad,
               GemmVec* sums) {
  const ConvShape& shape = *plan.shape;
  const int64_t width = shape.kernel[2];
  const int64_t cuts = ceilOf(width, kKernelColumns);
  DotCall call;
  call.step = plan.rowStep * plan.plane.pitch;
  call.gradStep = plan.rowStep * shape.output[2];
  call.width = shape.output[2];
  for (int64_t i = 0; i < shape.channels * shape.kernel[0]; ++i) {
    const int64_t base = i * shape.kernel[1] * width;
    for (int64_t d = 0; d < shape.output[0]; ++d) {
      for (int64_t h = 0; h < plan.rowStep && h < shape.output[1]; ++h) {
        call.rows = ceilOf(shape.output[1] - h, plan.rowStep);
        call.planes = planes + plan.plane.rowOf(d, h);
        call.grad = grad + (d * shape.output[1] + h) * shape.output[2];
        forRuns(plan.taps[1], shape.stride[1], kKernelRows,
                [&](int64_t first, int64_t step, int64_t count) {
                  call.tapStep = step * width;
                  for (int64_t cut = 0; cut < cuts; ++cut) {
                    const int64_t begin = cut * width / cuts, end = (cut + 1) * width / cuts;
                    const int64_t at = base + first * width + begin;
                    call.offsets = offsets + at;
                    call.sums = sums + at;
                    rowDotsFor(count, end - begin)(call);
                  }
                });
      }
    }
  }
}

/// The sums over one chunk of the batch of `count` groups, image by image: their channels lie side
/// by side, so that memory is read in long runs.
void addChunk(const Problem& problem, const Plan& plan, const int64_t* offsets, int64_t firstGroup,
              int64_t count, int64_t chunk, float* planes, GemmVec* sums, float* to) {
  const ConvShape& shape = *plan.shape;
  for (int64_t i = 0; i < count * plan.sums(); ++i) sums[i] = GemmVec::zero();
  const int64_t begin = chunk * shape.batch / plan.chunks;
  const int64_t end = (chunk + 1) * shape.batch / plan.chunks;
  for (int64_t n = begin; n < end; ++n) {
    for (int64_t group = 0; group < count; ++group) {
      const int64_t at = n * shape.groups + firstGroup + group;
      for (int64_t q = 0; q < shape.channels; ++q) {
        fillPlane(plan.plane, problem.source + (at * shape.channels + q) * shape.inputPlane,
                  shape.input, planes + q * plan.plane.size);
      }
      const float* const grad = problem.grad + at * shape.filters * shape.outputPlane;
      GemmVec* const own = sums + group * plan.sums();
      if (shape.filters == 1) {
        addByRows(plan, offsets, planes, grad, own);
      } else {
        addByFilters(plan, offsets, planes, grad, own);
      }
    }
  }
  for (int64_t i = 0; i < count * plan.sums(); ++i) to[i] = reduceAdd(sums[i]);
}

}  // namespace

bool weightFits(const Problem& problem) {
  const ConvShape& shape = *problem.shape;
  const ForwardTaps taps(shape);
  Plan plan;
  if (shape.channels == 0 || shape.batch * shape.outputPlane == 0 || !taps.ok() ||
      !makePlan(shape, taps.axes(), &plan)) {
    return false;
  }
  if (shape.filters * shape.channels <= kMostProducts) return true;
  if (shape.channels * plan.plane.size * 4 > cacheSizes().l2 * 3 / 4) return false;
  return shape.output[2] >= kLeastWidth && shape.channels <= kFewChannels;
}

bool weightDirectly(const Problem& problem) {
  const ConvShape& shape = *problem.shape;
  const ForwardTaps taps(shape);
  Plan plan;
  if (!taps.ok() || !makePlan(shape, taps.axes(), &plan)) return false;
  const int64_t total = shape.groups * plan.sums();
  const Scratch offsetMemory(static_cast<size_t>(plan.terms) * sizeof(int64_t));
  const Scratch chunkMemory(
      plan.chunks > 1 ? static_cast<size_t>(plan.chunks * total) * sizeof(float) : 0);
  if (!offsetMemory.ok() || !chunkMemory.ok()) return false;
  int64_t* const offsets = offsetMemory.as<int64_t>();
  setOffsets(plan, offsets);
  float* const chunkSums = plan.chunks > 1 ? chunkMemory.as<float>() : problem.out;
  const size_t planeFloats =
      static_cast<size_t>(ceilOf(shape.channels * plan.plane.size + kSlack, kWidth) * kWidth);
  const size_t planeBytes = planeFloats * sizeof(float);
  const int64_t unitWork =
      ceilOf(shape.batch, plan.chunks) * shape.outputPlane * shape.filters * (plan.terms + 4);
  int64_t together = plan.chunks == 1 ? kMostSumBytes / (plan.sums() * 4 * kWidth) : 1;
  together = lesser(together > 1 ? together : 1, shape.groups);
  const size_t sumBytes = static_cast<size_t>(together * plan.sums()) * sizeof(GemmVec);
  bool ok = true;
  parallelFor(shape.groups * plan.chunks, kThreadWork / unitWork + 1, 1,
              [&](int64_t begin, int64_t end) {
                const Scratch memory(planeBytes + sumBytes);
                if (!memory.ok()) {
                  __atomic_store_n(&ok, false, __ATOMIC_RELAXED);
                  return;
                }
                float* const planes = memory.as<float>();
                GemmVec* const sums = reinterpret_cast<GemmVec*>(memory.as<char>() + planeBytes);
                __builtin_memset(planes, 0, planeBytes);
                for (int64_t i = begin; i < end;) {
                  const int64_t group = i / plan.chunks, chunk = i % plan.chunks;
                  const int64_t count = lesser(together, end - i);
                  addChunk(problem, plan, offsets, group, count, chunk, planes, sums,
                           chunkSums + chunk * total + group * plan.sums());
                  i += count;
                }
              });
  if (!ok || plan.chunks == 1) return ok;
  // In order, whatever thread has computed them.
  for (int64_t i = 0; i < total; ++i) {
    float sum = chunkSums[i];
    for (int64_t chunk = 1; chunk < plan.chunks; ++chunk) sum += chunkSums[chunk * total + i];
    problem.out[i] = sum;
  }
  return true;
}

}  // namespace KINDLING_ISA
}  // namespace kindling
