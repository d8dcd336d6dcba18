// The gradient of a 3x3 weight by Winograd's algorithm: for each of the 36 points a product of
// transformed sources and transformed gradients, summed over all tiles. Tiles are taken in batches
// that the L3 cache holds; the shapes alone decide on them, and the rest of the cut leaves every
// element's sum as it is, so that results do not depend on the number of threads.

#include "core/cpu_features.h"
#include "cpu/convolution_winograd.h"
#include "cpu/parallel.h"
#include "cpu/scratch.h"

namespace kindling {
namespace KINDLING_ISA {
namespace {

constexpr int64_t kPanel = 2 * kLanes;                       // filters of a unit
constexpr int64_t kChannels = 4 * kLanes;                    // of a unit, at most
constexpr int64_t kMostSteps = 256;                          // tiles of one product
constexpr int64_t kBatchBytes = 10 << 20;                    // of transformed tiles
constexpr int64_t kThreadWork = 1 << 17;                     // multiply-adds
constexpr int64_t kPointSums = kChannels * kPanel + kLanes;  // of one point of a unit
constexpr int kTaps = 9;

using Problem = WeightProblem<float>;

int64_t lesser(int64_t x, int64_t y) { return x < y ? x : y; }
int64_t greater(int64_t x, int64_t y) { return x > y ? x : y; }
int64_t ceilOf(int64_t x, int64_t y) { return (x + y - 1) / y; }

struct Plan {
  TileGrid grid;
  TileSource source, grad;
  int64_t channelBlocks, panels;
  int64_t batches, batchTiles;   // the most tiles of a batch
  int64_t sourceStep, gradStep;  // from point to point of transformed tiles
  int64_t shares, units;         // of a block's channels; in all

  int64_t batchRow(int64_t batch) const { return batch * grid.allRows() / batches; }
};

Plan makePlan(const Problem& p) {
  const ConvShape& s = *p.shape;
  Plan plan;
  plan.grid = tileGrid(s.batch, s.output[1], s.output[2]);
  plan.source = {p.source, s.channels, s.input[1], s.input[2], -s.padding[1], -s.padding[2]};
  plan.grad = {p.grad, s.filters, s.output[1], s.output[2], 0, 0};
  plan.channelBlocks = ceilOf(s.channels, kChannels);
  plan.panels = ceilOf(s.filters, kPanel);
  const int64_t tileBytes =
      kPoints * (plan.channelBlocks * kChannels + plan.panels * kPanel) * int64_t{sizeof(float)};
  const int64_t rows = greater(kBatchBytes / tileBytes / plan.grid.columns, 1);
  plan.batches = ceilOf(plan.grid.allRows(), rows);
  plan.batchTiles = ceilOf(plan.grid.allRows(), plan.batches) * plan.grid.columns;
  // Odd numbers of vectors put the points into different sets of the caches.
  plan.sourceStep = plan.batchTiles * kChannels + kLanes;
  plan.gradStep = plan.batchTiles * kPanel + kLanes;
  const int64_t whole = plan.channelBlocks * plan.panels;
  plan.shares = whole >= numThreads() ? 1 : lesser(ceilOf(numThreads(), whole), 4);
  plan.units = whole * plan.shares;
  return plan;
}

/// Transformed tiles of one batch, [block of channels or panel of filters][point][tile][channel],
/// and the sums, [unit][point][channel][filter].
struct Room {
  float *sources, *grads, *sums;
};

/// Transforms some rows of tiles of a batch that starts at row `first`.
void transformRows(const Plan& plan, const Room& room, int64_t first, int64_t begin, int64_t end,
                   float* staged) {
  const int64_t tile = (begin - first) * plan.grid.columns;
  for (int64_t channel = 0; channel < plan.source.channels; channel += kLanes) {
    float* const to = room.sources + channel / kChannels * kPoints * plan.sourceStep +
                      tile * kChannels + channel % kChannels;
    transformTiles<SourceLine>(plan.grid, plan.source, begin, end, channel, staged,
                               {to, plan.sourceStep, kChannels});
  }
  for (int64_t filter = 0; filter < plan.grad.channels; filter += kLanes) {
    float* const to =
        room.grads + filter / kPanel * kPoints * plan.gradStep + tile * kPanel + filter % kPanel;
    transformTiles<GradLine>(plan.grid, plan.grad, begin, end, filter, staged,
                             {to, plan.gradStep, kPanel});
  }
}

/// A block's share of channels and a panel of filters.
class Unit {
 public:
  Unit(const Problem& problem, const Plan& plan, const Room& room, int64_t index)
      : p_(problem), plan_(plan), room_(room) {
    const int64_t share = index % plan.shares;
    index /= plan.shares;
    panel_ = index % plan.panels;
    block_ = index / plan.panels;
    const int64_t count = lesser(kChannels, plan.source.channels - block_ * kChannels);
    begin_ = share * count / plan.shares;
    end_ = (share + 1) * count / plan.shares;
    filters_ = lesser(kPanel, plan.grad.channels - panel_ * kPanel);
    sums_ = room.sums + (block_ * plan.panels + panel_) * kPoints * kPointSums;
  }

  /// Adds the products of `tiles` tiles.
  void add(int64_t tiles, bool accumulate) const {
    TileCall call;
    call.rowStride = 1;
    call.rowStep = kChannels;
    call.columnStep = kPanel;
    call.ldc = kPanel;
    call.bias = nullptr;
    call.lastLanes = kLanes;
    const int vectors = static_cast<int>(ceilOf(filters_, kLanes));
    const int64_t count = end_ - begin_, rowTiles = ceilOf(count, kTileRows);
    for (int64_t point = 0; point < kPoints; ++point) {
      const float* const sources =
          room_.sources + (block_ * kPoints + point) * plan_.sourceStep + begin_;
      const float* const grads = room_.grads + (panel_ * kPoints + point) * plan_.gradStep;
      float* const sums = sums_ + point * kPointSums + begin_ * kPanel;
      const int64_t steps = ceilOf(tiles, ceilOf(tiles, kMostSteps));
      for (int64_t tile = 0; tile < tiles; tile += steps) {
        call.k = lesser(steps, tiles - tile);
        call.accumulate = accumulate || tile > 0;
        call.columns = grads + tile * kPanel;
        for (int64_t i = 0; i < rowTiles; ++i) {
          const int64_t row = i * count / rowTiles, rows = (i + 1) * count / rowTiles - row;
          call.rows = sources + tile * kChannels + row;
          call.c = sums + row * kPanel;
          tileKernelFor(static_cast<int>(rows), vectors, true, false)(call);
        }
      }
    }
  }

  /// Transforms the sums back and stores them. Returns whether they are finite.
  bool store() const {
    alignas(kAlignment) float staged[kChannels * kTaps * kLanes];
    const GemmVec zero = GemmVec::zero();
    GemmVec finite = zero;
    const int64_t channels = plan_.source.channels, first = block_ * kChannels + begin_;
    for (int64_t lane = 0; lane < filters_; lane += kLanes) {
      for (int64_t q = begin_; q < end_; ++q) {
        const float* const from = sums_ + q * kPanel + lane;
        float* const to = staged + (q - begin_) * kTaps * kLanes;
        transformSquare<ResultLine<3>>(
            [&](int i, int j) { return GemmVec::load(from + (i * kTile + j) * kPointSums); },
            [&](int i, int j, GemmVec v) {
              finite = fma(zero, v, finite);
              v.store(to + (3 * i + j) * kLanes);
            });
      }
      const int64_t filter = panel_ * kPanel + lane, size = (end_ - begin_) * kTaps;
      const int64_t count = lesser(kLanes, filters_ - lane);
      float* const to = p_.out + (filter * channels + first) * kTaps;
      for (int64_t at = 0; at < size; at += kLanes) {
        const int lanes = static_cast<int>(lesser(kLanes, size - at));
        packLanes(to + at, channels * kTaps, staged + at * kLanes, kLanes, 1, lanes, lanes, count);
      }
    }
    // The lanes beyond the last filter are sums of zeros, or NaN where a source is not finite.
    return reduceAdd(finite) == 0.0f;
  }

 private:
  const Problem& p_;
  const Plan& plan_;
  Room room_;
  int64_t block_, panel_, begin_, end_, filters_;  // begin_, end_: channels of the block
  float* sums_;
};

}  // namespace

bool weightFitsWinograd(const Problem& p) {
  const ConvShape& s = *p.shape;
  if (s.groups != 1 || s.kernel[0] != 1 || s.kernel[1] != 3 || s.kernel[2] != 3) return false;
  if (s.input[0] != 1 || s.output[0] != 1 || s.padding[0] != 0) return false;
  if (s.stride[1] != 1 || s.stride[2] != 1 || s.dilation[1] != 1 || s.dilation[2] != 1)
    return false;
  return winogradPays(s.batch, s.channels, s.filters, s.output[1], s.output[2]);
}

bool weightByWinograd(const Problem& p) {
  const Plan plan = makePlan(p);
  const int64_t sources = plan.channelBlocks * kPoints * plan.sourceStep;
  const int64_t grads = plan.panels * kPoints * plan.gradStep;
  const int64_t sums = plan.channelBlocks * plan.panels * kPoints * kPointSums;
  const Scratch memory(static_cast<size_t>(sources + grads + sums) * sizeof(float));
  if (!memory.ok()) return false;
  float* const base = memory.as<float>();
  const Room room = {base, base + sources, base + sources + grads};
  bool ok = true, finite = true;
  for (int64_t batch = 0; batch < plan.batches && ok; ++batch) {
    const int64_t first = plan.batchRow(batch), rows = plan.batchRow(batch + 1) - first;
    const int64_t tiles = rows * plan.grid.columns;
    const int64_t staged =
        stagedFloats(plan.grid, rows, greater(plan.source.width, plan.grad.width));
    parallelFor(rows, 1, 1, [&](int64_t begin, int64_t end) {
      const Scratch own(static_cast<size_t>(staged) * sizeof(float));
      if (!own.ok()) return __atomic_store_n(&ok, false, __ATOMIC_RELAXED);
      transformRows(plan, room, first, first + begin, first + end, own.as<float>());
    });
    if (!ok) break;
    const int64_t unitWork = kPoints * tiles * kChannels * kPanel / plan.shares;
    parallelFor(plan.units, kThreadWork / unitWork + 1, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const Unit unit(p, plan, room, i);
        unit.add(tiles, batch > 0);
        if (batch + 1 < plan.batches || unit.store()) continue;
        __atomic_store_n(&finite, false, __ATOMIC_RELAXED);
      }
    });
  }
  if (!ok) return false;
  return finite || weightByProduct(p);
}

}  // namespace KINDLING_ISA
}  // namespace kindling
