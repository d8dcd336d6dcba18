// 3x3 convolutions of stride 1, and the gradient of their input, by Winograd's algorithm. The cut
// depends on the shapes alone, or leaves every element's sum as it is: results do not depend on the
// number of threads.

#include "cpu/convolution_winograd.h"

#include "core/cpu_features.h"
#include "cpu/parallel.h"
#include "cpu/scratch.h"

namespace kindling {
namespace KINDLING_ISA {
namespace {

constexpr int64_t kPanel = 2 * kLanes;    // filters of one panel
constexpr int64_t kMostSteps = 256;       // channels of one product
constexpr int64_t kThreadWork = 1 << 17;  // multiply-adds

using Problem = GatherProblem<float>;

int64_t lesser(int64_t x, int64_t y) { return x < y ? x : y; }
int64_t greater(int64_t x, int64_t y) { return x > y ? x : y; }
int64_t ceilOf(int64_t x, int64_t y) { return (x + y - 1) / y; }
/// A distance that puts neighbours into different sets of the caches.
int64_t spread(int64_t x) { return ceilOf(x, 32) * 32 + 16; }

struct Plan {
  TileGrid grid;
  TileSource source;
  int64_t panels;         // of filters
  int64_t blocks, block;  // of channels
  int64_t tileStep;       // of transformed sources
  int64_t unitRows;       // rows of tiles at a time
  bool reversed[2];       // whether taps go down: y, x
};

/// The least offset of three neighbouring taps.
int64_t leastOffset(const TapAxis& taps) {
  return taps.offsets[0] < taps.offsets[2] ? taps.offsets[0] : taps.offsets[2];
}

Plan makePlan(const Problem& p) {
  Plan plan;
  plan.grid = tileGrid(p.batch, p.grid[1], p.grid[2]);
  plan.source = {p.source,
                 p.channels,
                 p.extents[1],
                 p.extents[2],
                 leastOffset(p.taps[1]),
                 leastOffset(p.taps[2])};
  for (int axis = 0; axis < 2; ++axis) {
    plan.reversed[axis] = p.taps[axis + 1].offsets[0] > p.taps[axis + 1].offsets[2];
  }
  plan.panels = ceilOf(p.rows, kPanel);
  plan.blocks = ceilOf(p.channels, kMostSteps);
  plan.block = ceilOf(p.channels, plan.blocks);
  plan.tileStep = ceilOf(p.channels, kLanes) * kLanes + kLanes;
  const int64_t fitting = cacheSizes().l2 / 2 / (kPoints * plan.tileStep * int64_t{sizeof(float)});
  const int64_t tiles = greater(lesser(fitting, 6 * kTileRows), 3 * kTileRows);
  plan.unitRows = greater(tiles / plan.grid.columns, 1);
  return plan;
}

// ---- weights

/// Floats of the transformed weights of one panel: [point][channel][filter].
int64_t panelFloats(const Problem& p) { return kPoints * p.channels * kPanel; }

/// Transforms the weights of kLanes filters for channels [begin, end).
void transformWeights(const Problem& p, const Plan& plan, int64_t filter, int64_t begin,
                      int64_t end, float* to) {
  constexpr int kTaps = 9;
  alignas(kAlignment) float taps[kTaps * kLanes];
  const int count = static_cast<int>(lesser(kLanes, p.rows - filter));
  for (int64_t q = begin; q < end; ++q) {
    packLanes(taps, kLanes, p.weight + filter * p.weightRow + q * p.weightChannel, p.weightRow, 1,
              count, kLanes, kTaps);
    float* const next = to + q * kPanel;
    transformSquare<WeightLine>(
        [&](int i, int j) {
          const int y = plan.reversed[0] ? 2 - i : i, x = plan.reversed[1] ? 2 - j : j;
          return GemmVec::load(taps + (3 * y + x) * kLanes);
        },
        [&](int i, int j, GemmVec v) { v.store(next + (i * kTile + j) * p.channels * kPanel); });
  }
}

void transformPanel(const Problem& p, const Plan& plan, int64_t panel, float* to) {
  for (int64_t lane = 0; lane < kPanel; lane += kLanes) {
    const int64_t filter = panel * kPanel + lane;
    if (filter < p.rows) transformWeights(p, plan, filter, 0, p.channels, to + lane);
  }
}

// ---- products and results

/// What one thread works with.
struct Room {
  float *staged, *products;
  TileValues values;
};

class Unit {
 public:
  Unit(const Problem& problem, const Plan& plan, const Room& room)
      : p_(problem), plan_(plan), room_(room), finite_(GemmVec::zero()) {}

  /// Rows [begin, end) of tiles, whose sources are transformed: the filters of one panel.
  void compute(int64_t begin, int64_t end, int64_t panel, const float* weights) {
    const int64_t tiles = (end - begin) * plan_.grid.columns;
    const int64_t lanes = lesser(kPanel, ceilOf(p_.rows - panel * kPanel, kLanes) * kLanes);
    const int64_t step = spread(tiles * kPanel);
    multiply(tiles, lanes, step, weights);
    for (int64_t lane = 0; lane < lanes; lane += kLanes) {
      store(begin, end, panel * kPanel + lane, room_.products + lane, step);
    }
  }

  /// Whether everything stored was finite.
  bool finite() const { return reduceAdd(finite_) == 0.0f; }

 private:
  void multiply(int64_t tiles, int64_t lanes, int64_t step, const float* weights) const {
    TileCall call;
    call.rowStride = plan_.tileStep;
    call.rowStep = 1;
    call.columnStep = kPanel;
    call.ldc = kPanel;
    call.bias = nullptr;
    call.lastLanes = kLanes;
    const int64_t rowTiles = ceilOf(tiles, kTileRows);
    for (int64_t point = 0; point < kPoints; ++point) {
      for (int64_t first = 0; first < p_.channels; first += plan_.block) {
        call.k = lesser(plan_.block, p_.channels - first);
        call.accumulate = first > 0;
        call.columns = weights + (point * p_.channels + first) * kPanel;
        for (int64_t i = 0; i < rowTiles; ++i) {
          const int64_t tile = i * tiles / rowTiles, end = (i + 1) * tiles / rowTiles;
          call.rows =
              room_.values.data + point * room_.values.pointStep + tile * plan_.tileStep + first;
          call.c = room_.products + point * step + tile * kPanel;
          tileKernelFor(static_cast<int>(end - tile), static_cast<int>(lanes / kLanes), false,
                        false)(call);
        }
      }
    }
  }

  /// Transforms the products of kLanes filters back and stores them.
  void store(int64_t begin, int64_t end, int64_t filter, const float* products, int64_t step) {
    const TileGrid& grid = plan_.grid;
    const int count = static_cast<int>(lesser(kLanes, p_.rows - filter));
    const GemmVec bias = p_.bias ? GemmVec::loadPartial(p_.bias + filter, count) : GemmVec::zero();
    forImages(grid, begin, end, [&](int64_t n, int64_t firstRow, int64_t endRow, int64_t tile) {
      const float* from = products + tile * kPanel;
      for (int64_t row = firstRow; row < endRow; ++row) {
        for (int64_t column = 0; column < grid.columns; ++column, from += kPanel) {
          storeTile(from, step, bias, (row - firstRow) * kOutputs, grid.height - row * kOutputs,
                    column * kOutputs);
        }
      }
      const int64_t first = firstRow * kOutputs * grid.width;
      const int64_t size = lesser(endRow * kOutputs, grid.height) * grid.width - first;
      float* const to = p_.outAt(n, filter) + first;
      for (int64_t at = 0; at < size; at += kLanes) {
        const int lanes = static_cast<int>(lesser(kLanes, size - at));
        packLanes(to + at, p_.outPlane, room_.staged + at * kLanes, kLanes, 1, lanes, lanes, count);
      }
    });
  }

  /// One tile to (y, x) of the staged rows; `height` rows of it are within the plane.
  void storeTile(const float* from, int64_t step, GemmVec bias, int64_t y, int64_t height,
                 int64_t x) {
    const int64_t width = plan_.grid.width - x;
    float* const to = room_.staged + (y * plan_.grid.width + x) * kLanes;
    const GemmVec zero = GemmVec::zero();
    GemmVec finite = finite_;
    transformResult([&](int i, int j) { return GemmVec::load(from + (i * kTile + j) * step); },
                    [&](int i, int j, GemmVec v) {
                      if (i >= height || j >= width) return;
                      v = v + bias;
                      finite = fma(zero, v, finite);
                      v.store(to + (i * plan_.grid.width + j) * kLanes);
                    });
    finite_ = finite;
  }

  template <typename Load, typename Store>
  static KINDLING_INLINE void transformResult(const Load& load, const Store& store) {
    transformSquare<ResultLine<kOutputs>>(load, store);
  }

  const Problem& p_;
  const Plan& plan_;
  Room room_;
  GemmVec finite_;  // zeros, or NaN
};

// ---- the two ways to cut the work

struct Outcome {
  bool memory = true, finite = true;
  void noMemory() { __atomic_store_n(&memory, false, __ATOMIC_RELAXED); }
  void notFinite() { __atomic_store_n(&finite, false, __ATOMIC_RELAXED); }
};

void transformSources(const Plan& plan, int64_t begin, int64_t end, const Room& room) {
  for (int64_t channel = 0; channel < plan.source.channels; channel += kLanes) {
    transformTiles<SourceLine>(
        plan.grid, plan.source, begin, end, channel, room.staged,
        {room.values.data + channel, room.values.pointStep, room.values.tileStep});
  }
}

/// Units of a few rows of tiles, each for all filters: all weights are transformed first.
void solveByTiles(const Problem& p, const Plan& plan, Outcome* outcome) {
  const Scratch memory(static_cast<size_t>(plan.panels * panelFloats(p)) * sizeof(float));
  if (!memory.ok()) return outcome->noMemory();
  float* const weights = memory.as<float>();
  parallelFor(plan.panels, 1, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) transformPanel(p, plan, i, weights + i * panelFloats(p));
  });
  const int64_t tiles = plan.unitRows * plan.grid.columns;
  const int64_t pointStep = spread(tiles * plan.tileStep), productStep = spread(tiles * kPanel);
  const int64_t staged =
      stagedFloats(plan.grid, plan.unitRows, greater(plan.source.width, plan.grid.width));
  const int64_t rowWork = kPoints * plan.grid.columns * p.channels * p.rows;
  parallelFor(plan.grid.allRows(), kThreadWork / rowWork + 1, 1, [&](int64_t begin, int64_t end) {
    const Scratch own(static_cast<size_t>(staged + kPoints * (pointStep + productStep)) *
                      sizeof(float));
    if (!own.ok()) return outcome->noMemory();
    float* const base = own.as<float>();
    float* const values = base + kPoints * productStep;
    const Room room = {values + kPoints * pointStep, base, {values, pointStep, plan.tileStep}};
    Unit unit(p, plan, room);
    const int64_t units = ceilOf(end - begin, plan.unitRows);
    for (int64_t i = 0; i < units; ++i) {
      const int64_t first = begin + i * (end - begin) / units;
      const int64_t last = begin + (i + 1) * (end - begin) / units;
      transformSources(plan, first, last, room);
      for (int64_t panel = 0; panel < plan.panels; ++panel) {
        unit.compute(first, last, panel, weights + panel * panelFloats(p));
      }
    }
    if (!unit.finite()) outcome->notFinite();
  });
}

/// Units of one panel of filters, each for all tiles, which are transformed first: for weights that
/// outweigh the tiles.
void solveByPanels(const Problem& p, const Plan& plan, Outcome* outcome) {
  const int64_t rows = plan.grid.allRows(), tiles = rows * plan.grid.columns;
  const int64_t pointStep = spread(tiles * plan.tileStep), productStep = spread(tiles * kPanel);
  const int64_t staged = stagedFloats(plan.grid, rows, greater(plan.source.width, plan.grid.width));
  const Scratch memory(static_cast<size_t>(kPoints * pointStep) * sizeof(float));
  if (!memory.ok()) return outcome->noMemory();
  const TileValues values = {memory.as<float>(), pointStep, plan.tileStep};
  parallelFor(ceilOf(p.channels, kLanes), 1, 1, [&](int64_t begin, int64_t end) {
    const Scratch own(static_cast<size_t>(staged) * sizeof(float));
    if (!own.ok()) return outcome->noMemory();
    for (int64_t i = begin; i < end; ++i) {
      transformTiles<SourceLine>(plan.grid, plan.source, 0, rows, i * kLanes, own.as<float>(),
                                 {values.data + i * kLanes, pointStep, plan.tileStep});
    }
  });
  if (!outcome->memory) return;
  parallelFor(plan.panels, 1, 1, [&](int64_t begin, int64_t end) {
    const int64_t floats = panelFloats(p) + kPoints * productStep + staged;
    const Scratch own(static_cast<size_t>(floats) * sizeof(float));
    if (!own.ok()) return outcome->noMemory();
    float* const weights = own.as<float>();
    float* const products = weights + panelFloats(p);
    Unit unit(p, plan, {products + kPoints * productStep, products, values});
    for (int64_t panel = begin; panel < end; ++panel) {
      transformPanel(p, plan, panel, weights);
      unit.compute(0, rows, panel, weights);
    }
    if (!unit.finite()) outcome->notFinite();
  });
}

bool isThreeInARow(const TapAxis& taps) {
  if (taps.count != 3 || taps.positions[0] != 0 || taps.positions[2] != 2) return false;
  const int64_t step = taps.offsets[1] - taps.offsets[0];
  return (step == 1 || step == -1) && taps.offsets[2] - taps.offsets[1] == step;
}

}  // namespace

bool gatherFitsWinograd(const Problem& p) {
  const bool flat = p.taps[0].count == 1 && p.taps[0].offsets[0] == 0 && p.grid[0] == 1;
  if (p.groups != 1 || !flat || p.extents[0] != 1) return false;
  if (p.stride[1] != 1 || p.stride[2] != 1) return false;
  if (p.outStep[2] != 1 || p.outStep[1] != p.grid[2] || p.outPlane != p.gridSize()) return false;
  if (!isThreeInARow(p.taps[1]) || !isThreeInARow(p.taps[2])) return false;
  if (p.weightAxis[1] != 3 || p.weightAxis[2] != 1) return false;
  return winogradPays(p.batch, p.channels, p.rows, p.grid[1], p.grid[2]);
}

bool gatherByWinograd(const Problem& p) {
  const Plan plan = makePlan(p);
  Outcome outcome;
  if (plan.grid.allRows() * plan.grid.columns < p.rows) {
    solveByPanels(p, plan, &outcome);
  } else {
    solveByTiles(p, plan, &outcome);
  }
  if (!outcome.memory) return false;
  return outcome.finite || gatherByProduct(p);
}

}  // namespace KINDLING_ISA
}  // namespace kindling
