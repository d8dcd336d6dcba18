// Convolution with few channels per group, on padded planes (convolution_plane.h), without a column
// matrix. Several filters share what they load of the plane, or, where there is only one
// (depthwise), several rows of the result do; 3x3 taps of one channel run down the plane.

#include "core/cpu_features.h"
#include "cpu/convolution_direct_tiles.h"
#include "cpu/convolution_down.h"
#include "cpu/convolution_plane.h"
#include "cpu/parallel.h"
#include "cpu/scratch.h"
#include "cpu/vec_shuffle.h"

namespace kindling {
namespace KINDLING_ISA {
namespace {

constexpr int64_t kSlack = 2 * kWidth;           // readable behind the planes
constexpr int64_t kMostProducts = 4;             // rows times channels, for planes of any size
constexpr int64_t kFewChannels = 8;              // of a group, worth it where planes fit the cache
constexpr int64_t kLeastWidth = kWidth / 2 + 1;  // of the grid, likewise
constexpr int64_t kStrip = 48;                   // positions whose source stays in the L1 cache
constexpr int64_t kThreadWork = 1 << 17;         // multiply-adds

using Problem = GatherProblem<float>;

int64_t lesser(int64_t x, int64_t y) { return x < y ? x : y; }
int64_t ceilOf(int64_t x, int64_t y) { return (x + y - 1) / y; }

// ---- plans

/// One problem on its padded planes.
struct Solver {
  const Problem* problem;
  const Padded* plane;
  bool byRows;      // columnTile
  bool goesDown;    // convolveDown, if not byRows; else filterTile
  int64_t rowStep;  // of the kernel's rows in the plane: blocks of the result are cut in these
  int64_t terms;    // of one filter
  int64_t outStep[2], outStart;  // of the depths and rows of the result

  // filterTile, and of these the first and the weights for convolveDown
  int64_t* offsets;
  Position* positions;
  int64_t positionCount;
  float* weights;
  // columnTile
  ColumnTerm* columns;  // [group][row][term]
};

int64_t blocksOf(int64_t filters) { return ceilOf(filters, kMostFilters); }
int64_t firstOf(int64_t filters, int64_t block) { return block * filters / blocksOf(filters); }

/// Whether rows of the result shall share their loads: with one filter, and with enough rows.
bool sharesRows(const Problem& p) { return p.rows == 1 && p.grid[1] > 3; }

/// Whether the taps along an axis are three neighbours.
bool areNeighbours(const TapAxis& taps) {
  if (taps.count != kDownTaps) return false;
  const int64_t step = taps.offsets[1] - taps.offsets[0];
  return (step == 1 || step == -1) && taps.offsets[2] - taps.offsets[1] == step;
}

/// At AVX-512 tiles of filters are twice as high.
bool canGoDown(const Problem& p) {
  if (KINDLING_ISA_LEVEL == 2 || p.channels != 1 || p.outStep[2] != 1) return false;
  if (p.grid[0] != 1 || p.grid[2] <= kWidth || p.taps[0].count != 1) return false;
  for (int axis = 0; axis < kSpatial; ++axis) {
    if (p.stride[axis] != 1) return false;
  }
  return areNeighbours(p.taps[1]) && areNeighbours(p.taps[2]);
}

int64_t columnTermCount(const Problem& p) {
  int64_t runs = 0;
  forRuns(p.taps[1], p.stride[1], kMostKernelRows, [&](int64_t, int64_t, int64_t) { ++runs; });
  return p.channels * p.taps[0].count * p.taps[2].count * runs;
}

void fillColumns(const Solver& solver, int64_t group, ColumnTerm* next) {
  const Problem& p = *solver.problem;
  const float* const weight = p.weight + group * p.weightGroup;
  for (int64_t q = 0; q < p.channels; ++q) {
    for (int64_t d = 0; d < p.taps[0].count; ++d) {
      forRuns(
          p.taps[1], p.stride[1], kMostKernelRows, [&](int64_t first, int64_t step, int64_t count) {
            for (int64_t w = 0; w < p.taps[2].count; ++w, ++next) {
              next->offset = q * solver.plane->size +
                             solver.plane->offsetOf(p.taps[0].offsets[d], p.taps[1].offsets[first],
                                                    p.taps[2].offsets[w]);
              next->rows = count;
              for (int64_t i = 0; i < count; ++i) {
                const int64_t h = first + i * step;
                next->weights[i] = weight[q * p.weightChannel + p.weightOffset(d, h, w)];
              }
            }
          });
    }
  }
}

/// The offsets of the terms, and the weights of every block of filters as its kernel reads them.
void fillTerms(const Solver& solver) {
  const Problem& p = *solver.problem;
  int64_t term = 0;
  for (int64_t q = 0; q < p.channels; ++q) {
    for (int64_t d = 0; d < p.taps[0].count; ++d) {
      for (int64_t h = 0; h < p.taps[1].count; ++h) {
        for (int64_t w = 0; w < p.taps[2].count; ++w, ++term) {
          solver.offsets[term] = q * solver.plane->size +
                                 solver.plane->offsetOf(p.taps[0].offsets[d], p.taps[1].offsets[h],
                                                        p.taps[2].offsets[w]);
          const int64_t at = q * p.weightChannel + p.weightOffset(d, h, w);
          for (int64_t group = 0; group < p.groups; ++group) {
            for (int64_t block = 0; block < blocksOf(p.rows); ++block) {
              const int64_t first = firstOf(p.rows, block), end = firstOf(p.rows, block + 1);
              float* const to = solver.weights + (group * p.rows + first) * solver.terms;
              const float* const from = p.weight + group * p.weightGroup + at;
              for (int64_t m = first; m < end; ++m) {
                to[term * (end - first) + m - first] = from[m * p.weightRow];
              }
            }
          }
        }
      }
    }
  }
}

/// The offset of the first of the neighbours, and the weights [group][filter][row][column].
void fillDown(const Solver& solver) {
  const Problem& p = *solver.problem;
  const int64_t last = kDownTaps - 1;
  const bool falls[2] = {p.taps[1].offsets[0] > p.taps[1].offsets[1],
                         p.taps[2].offsets[0] > p.taps[2].offsets[1]};
  solver.offsets[0] =
      solver.plane->offsetOf(p.taps[0].offsets[0], p.taps[1].offsets[falls[0] ? last : 0],
                             p.taps[2].offsets[falls[1] ? last : 0]);
  float* to = solver.weights;
  for (int64_t row = 0; row < p.groups * p.rows; ++row) {
    const float* const from = p.weight + row / p.rows * p.weightGroup + row % p.rows * p.weightRow;
    for (int64_t h = 0; h < kDownTaps; ++h) {
      for (int64_t w = 0; w < kDownTaps; ++w) {
        *to++ = from[p.weightOffset(0, falls[0] ? last - h : h, falls[1] ? last - w : w)];
      }
    }
  }
}

int64_t positionCountOf(const Problem& p) {
  return p.grid[0] * p.grid[1] * ceilOf(p.grid[2], kWidth);
}

void fillPositions(const Solver& solver) {
  const Problem& p = *solver.problem;
  Position* next = solver.positions;
  for (int64_t d = 0; d < p.grid[0]; ++d) {
    for (int64_t h = 0; h < p.grid[1]; ++h) {
      for (int64_t w = 0; w < p.grid[2]; w += kWidth) {
        *next++ = {solver.plane->rowOf(d, h) + w, d * solver.outStep[0] + h * solver.outStep[1] + w,
                   lesser(kWidth, p.grid[2] - w)};
      }
    }
  }
}

// ---- one group of one image

void solveByFilters(const Solver& solver, int64_t group, const float* planes, float* out,
                    int64_t outPlane) {
  const Problem& p = *solver.problem;
  FilterCall call;
  call.offsets = solver.offsets;
  call.count = solver.terms;
  call.planes = planes;
  call.outPlane = outPlane;
  for (int64_t strip = 0; strip < solver.positionCount; strip += kStrip) {
    const int64_t end = lesser(strip + kStrip, solver.positionCount);
    for (int64_t block = 0; block < blocksOf(p.rows); ++block) {
      const int64_t first = firstOf(p.rows, block), filters = firstOf(p.rows, block + 1) - first;
      const FilterChoice& choice = filterChoiceFor(filters);
      call.weights = solver.weights + (group * p.rows + first) * solver.terms;
      call.bias = p.bias ? p.bias + group * p.rows + first : nullptr;
      call.out = out + first * outPlane + solver.outStart;
      const bool fits = solver.positionCount >= choice.positions;
      for (int64_t at = strip; at < end; at += fits ? choice.positions : 1) {
        // The last tile does some positions again rather than being smaller.
        const int64_t last = solver.positionCount - choice.positions;
        call.positions = solver.positions + (fits ? lesser(at, last) : at);
        (fits ? choice.tile : choice.single)(call);
      }
    }
  }
}

void solveByRows(const Solver& solver, int64_t group, const float* planes, float* out) {
  const Problem& p = *solver.problem;
  ColumnCall call;
  call.terms = solver.columns + group * solver.terms;
  call.count = solver.terms;
  call.bias = p.bias ? p.bias[group] : 0.0f;
  call.step = solver.rowStep * solver.plane->pitch;
  call.outStep = solver.rowStep * solver.outStep[1];
  for (int64_t d = 0; d < p.grid[0]; ++d) {
    for (int64_t first = 0; first < solver.rowStep && first < p.grid[1]; ++first) {
      const int64_t rows = ceilOf(p.grid[1] - first, solver.rowStep);
      for (int64_t w = 0; w < p.grid[2];) {
        const int vectors = p.grid[2] - w > kWidth ? 2 : 1;
        const int64_t blocks = ceilOf(rows, mostRows(vectors));
        call.lanes = lesser(kWidth, p.grid[2] - w - (vectors - 1) * kWidth);
        for (int64_t block = 0; block < blocks; ++block) {
          const int64_t begin = block * rows / blocks, end = (block + 1) * rows / blocks;
          const int64_t h = first + begin * solver.rowStep;
          call.planes = planes + solver.plane->rowOf(d, h) + w;
          call.out = out + solver.outStart + d * solver.outStep[0] + h * solver.outStep[1] + w;
          columnKernelFor(end - begin, vectors)(call);
        }
        w += vectors * kWidth;
      }
    }
  }
}

void solveDown(const Solver& solver, int64_t group, const float* planes, float* out,
               int64_t outPlane) {
  const Problem& p = *solver.problem;
  DownCall call;
  call.step = solver.plane->pitch;
  call.outStep = solver.outStep[1];
  call.rows = p.grid[1];
  // The last vectors do some columns again rather than being a part of one.
  const int64_t pair = lesser(2 * kWidth, p.grid[2]);
  call.across = pair - kWidth;
  for (int64_t m = 0; m < p.rows; ++m) {
    const int64_t row = group * p.rows + m;
    call.weights = solver.weights + row * solver.terms;
    call.bias = p.bias ? p.bias[row] : 0.0f;
    for (int64_t w = 0; w < p.grid[2]; w += pair) {
      const int64_t at = lesser(w, p.grid[2] - pair);
      call.planes = planes + solver.offsets[0] + at;
      call.out = out + m * outPlane + solver.outStart + at;
      convolveDown(call);
    }
  }
}

// ---- results that lie apart

/// to[2 i] = even[i], to[2 i + 1] = odd[i]
void interleave(const float* even, int64_t evens, const float* odd, int64_t odds, float* to) {
  int64_t i = 0;
#if KINDLING_ISA_LEVEL == 2
  const int64_t count = evens + odds;
  for (; i < evens; i += kWidth) {
    const Halves pairs = interleaved(VecF::load(even + i), VecF::load(odd + i));
    const int64_t rest = count - 2 * i;
    pairs.low.storePartial(to + 2 * i, static_cast<int>(lesser(rest, kWidth)));
    if (rest > kWidth) {
      pairs.high.storePartial(to + 2 * i + kWidth, static_cast<int>(lesser(rest - kWidth, kWidth)));
    }
  }
  return;
#elif KINDLING_ISA_LEVEL > 0
  for (; i + kWidth <= odds; i += kWidth) {
    const Halves pairs = interleaved(VecF::load(even + i), VecF::load(odd + i));
    pairs.low.store(to + 2 * i);
    pairs.high.store(to + 2 * i + kWidth);
  }
#endif
  for (; i < evens; ++i) {
    to[2 * i] = even[i];
    if (i < odds) to[2 * i + 1] = odd[i];
  }
}

/// Brings what the solvers left in `results` to the places of one channel of the result.
void spread(const Solver* solvers, int64_t count, const float* results, float* out) {
  for (int64_t i = 0; i < count; ++i) {
    const Solver& solver = solvers[i];
    const Problem& p = *solver.problem;
    const int64_t step = p.outStep[2];
    // The problems of a step of two along the rows follow each other.
    const Problem* const next = step == 2 && i + 1 < count ? solvers[i + 1].problem : nullptr;
    const bool pair = next && next->outStart == p.outStart + 1 && next->grid[2] <= p.grid[2];
    for (int64_t d = 0; d < p.grid[0]; ++d) {
      for (int64_t h = 0; h < p.grid[1]; ++h) {
        const int64_t row = d * solver.outStep[0] + h * solver.outStep[1];
        const float* const from = results + solver.outStart + row;
        float* const to = out + p.outStart + d * p.outStep[0] + h * p.outStep[1];
        if (pair) {
          interleave(from, p.grid[2], results + solvers[i + 1].outStart + row, next->grid[2], to);
        } else {
          for (int64_t w = 0; w < p.grid[2]; ++w) to[w * step] = from[w];
        }
      }
    }
    if (pair) ++i;
  }
}

/// What a call needs beyond the planes: one block of memory.
struct Sizes {
  int64_t solvers, offsets, positions, weights, columns;  // bytes
  int64_t total() const { return solvers + offsets + positions + weights + columns; }
};

Sizes sizesOf(const Problem* problems, int64_t count) {
  Sizes sizes = {count * static_cast<int64_t>(sizeof(Solver)), 0, 0, 0, 0};
  for (int64_t i = 0; i < count; ++i) {
    const Problem& p = problems[i];
    const int64_t terms = p.channels * p.tapCount();
    if (sharesRows(p)) {
      sizes.columns += p.groups * columnTermCount(p) * static_cast<int64_t>(sizeof(ColumnTerm));
    } else {
      sizes.offsets += terms * static_cast<int64_t>(sizeof(int64_t));
      sizes.positions += positionCountOf(p) * static_cast<int64_t>(sizeof(Position));
      sizes.weights +=
          (p.groups * p.rows * terms + 1) / 2 * 2 * static_cast<int64_t>(sizeof(float));
    }
  }
  return sizes;
}

/// Lays out solvers, terms and positions in `base`; returns the floats that one channel's results
/// take where they have to be spread.
int64_t prepare(const Problem* problems, int64_t count, const Padded& plane, char* base) {
  const Sizes sizes = sizesOf(problems, count);
  Solver* const solvers = reinterpret_cast<Solver*>(base);
  base += sizes.solvers;
  int64_t* offsets = reinterpret_cast<int64_t*>(base);
  base += sizes.offsets;
  Position* positions = reinterpret_cast<Position*>(base);
  base += sizes.positions;
  ColumnTerm* columns = reinterpret_cast<ColumnTerm*>(base);
  base += sizes.columns;
  float* weights = reinterpret_cast<float*>(base);
  const bool apart = problems[0].outStep[2] != 1;
  int64_t floats = 0;
  for (int64_t i = 0; i < count; ++i) {
    const Problem& p = problems[i];
    Solver& solver = solvers[i];
    solver.problem = &p;
    solver.plane = &plane;
    solver.byRows = sharesRows(p);
    solver.rowStep = rowStepOf(p.taps[1], p.stride[1]);
    solver.outStart = apart ? floats : p.outStart;
    solver.outStep[1] = apart ? problems[0].grid[2] : p.outStep[1];
    solver.outStep[0] = apart ? solver.outStep[1] * p.grid[1] : p.outStep[0];
    if (apart) floats += solver.outStep[0] * p.grid[0];
    if (solver.byRows) {
      solver.terms = columnTermCount(p);
      solver.columns = columns;
      for (int64_t group = 0; group < p.groups; ++group, columns += solver.terms) {
        fillColumns(solver, group, columns);
      }
      continue;
    }
    solver.terms = p.channels * p.tapCount();
    solver.offsets = offsets;
    solver.weights = weights;
    solver.positions = positions;
    solver.positionCount = positionCountOf(p);
    offsets += solver.terms;
    weights += p.groups * p.rows * solver.terms;
    positions += solver.positionCount;
    solver.goesDown = canGoDown(p);
    if (solver.goesDown) {
      fillDown(solver);
    } else {
      fillTerms(solver);
      fillPositions(solver);
    }
  }
  return floats;
}

}  // namespace

bool gatherFits(const Problem* problems, int64_t count) {
  const Problem& p = problems[0];
  Padded plane;
  if (!layOut(problems, count, &plane)) return false;
  if (p.rows * p.channels <= kMostProducts) return true;
  // With few rows a product would spend its time on the column matrix; the planes may then come
  // from further away, as all taps of a channel follow each other.
  const bool fewRows = p.rows <= 3;
  const int64_t room = cacheSizes().l3;
  if (p.channels * plane.size * 4 > room) return false;
  return p.grid[2] >= kLeastWidth && (p.channels <= kFewChannels || fewRows);
}

bool gatherDirectly(const Problem* problems, int64_t count) {
  const Problem& p = problems[0];
  Padded plane;
  if (!layOut(problems, count, &plane)) return false;
  const Scratch shared(static_cast<size_t>(sizesOf(problems, count).total()));
  if (!shared.ok()) return false;
  const int64_t resultFloats = prepare(problems, count, plane, shared.as<char>());
  const Solver* const solvers = shared.as<Solver>();
  const int64_t planeFloats = ceilOf(p.channels * plane.size + kSlack, kWidth) * kWidth;
  const int64_t resultPlane = ceilOf(resultFloats, kWidth) * kWidth;
  const int64_t floats = planeFloats + (resultFloats ? p.rows * resultPlane + kSlack : 0);
  int64_t work = 1;
  for (int64_t i = 0; i < count; ++i) {
    work += p.rows * p.channels * (problems[i].tapCount() + 4) * problems[i].gridSize();
  }
  bool ok = true;
  parallelFor(p.batch * p.groups, kThreadWork / work + 1, 1, [&](int64_t begin, int64_t end) {
    const Scratch memory(static_cast<size_t>(floats) * sizeof(float));
    if (!memory.ok()) {
      __atomic_store_n(&ok, false, __ATOMIC_RELAXED);
      return;
    }
    float* const planes = memory.as<float>();
    float* const results = planes + planeFloats;
    __builtin_memset(planes, 0, static_cast<size_t>(floats) * sizeof(float));
    for (int64_t i = begin; i < end; ++i) {
      const int64_t n = i / p.groups, group = i % p.groups;
      for (int64_t q = 0; q < p.channels; ++q) {
        fillPlane(plane, p.sourceAt(n, group * p.channels + q), p.extents, planes + q * plane.size);
      }
      float* const out = p.out + i * p.rows * p.outPlane;
      float* const to = resultFloats ? results : out;
      const int64_t outPlane = resultFloats ? resultPlane : p.outPlane;
      for (int64_t j = 0; j < count; ++j) {
        if (solvers[j].byRows) {
          solveByRows(solvers[j], group, planes, to);
        } else if (solvers[j].goesDown) {
          solveDown(solvers[j], group, planes, to, outPlane);
        } else {
          solveByFilters(solvers[j], group, planes, to, outPlane);
        }
      }
      for (int64_t row = 0; resultFloats && row < p.rows; ++row) {
        spread(solvers, count, results + row * resultPlane, out + row * p.outPlane);
      }
    }
  });
  return ok;
}

}  // namespace KINDLING_ISA
}  // namespace kindling
