#pragma once
// Decides how a product is computed: which operand is read by vectors, tile sizes, what is packed,
// and how the result is split into parts. Depends on shapes, strides and the number of threads
// only.

#include <cstdint>
#include <type_traits>

#include "core/cpu_features.h"
#include "core/thread_pool.h"
#include "cpu/gemm_microkernel.h"
#include "cpu/gemm_pack.h"
#include "cpu/gemm_pairs.h"

namespace kindling {
namespace KINDLING_ISA {

/// S: what the operands hold; T: what is computed with.
/// c[i][j] = sum over p of rows(i, p) * columns(j, p): vectors run along j. Where `transposed`, c
/// is stored with unit stride along i, else along j; bias runs along the axis of unit stride.
template <typename T, typename S>
struct GemmProblem {
  int64_t rowCount, columnCount, k;
  GemmOperand<S> rows, columns;
  T* c;
  int64_t ldc;
  bool transposed;
  const T* bias;
  bool accumulate;
  const T* residual;  // laid out as c, with ldr for ldc; or nullptr
  int64_t ldr;
  bool relu;
};

struct GemmPlan {
  int64_t rowTiles;  // the first `largerTiles` have one row more than tileRows
  int64_t tileRows, largerTiles;
  int64_t vectors;       // of one step of k over all columns
  int64_t panelVectors;  // of one tile
  int64_t panels;
  int64_t unit, steps;      // a step is one value of k, or a pair
  int64_t kBlocks, kBlock;  // kBlock: the most steps done at once
  bool packRows, packColumns;
  int64_t rowParts, columnParts;  // the grid of parts
  int64_t groupPanels;            // that one part has in the L2 cache at a time
  bool packInParts;               // a part packs its own panels, group by group
  bool panelsOutside;             // the order within a part: panel by panel, or tile by tile
};

// Costs are counted in multiply-adds of one vector, as the CPU does one after another.
#if KINDLING_ISA_LEVEL == 2
constexpr double kTransposeCost = 0.35;   // of one element that is packed
constexpr double kTurnCost = 0.35;        // of one element of a tile that is stored transposed
constexpr int64_t kBlockSteps = 384;      // of k, so that a tile's rows stay in the L1 cache
constexpr int kLatency = 4;               // independent chains that keep the units busy
constexpr int64_t kParallelCost = 16000;  // less is not worth waking a thread
#elif KINDLING_ISA_LEVEL > 0
constexpr double kTransposeCost = 0.6;
constexpr double kTurnCost = 1.0;
constexpr int64_t kBlockSteps = KINDLING_ISA_LEVEL == 1 ? 512 : 256;
constexpr int kLatency = 8;
constexpr int64_t kParallelCost = 32000;
#else
constexpr double kTransposeCost = 1.0;
constexpr double kTurnCost = 1.0;
constexpr int64_t kBlockSteps = 256;
constexpr int kLatency = 4;
constexpr int64_t kParallelCost = 16000;
#endif
constexpr int64_t kPromptCost = kParallelCost / 3;  // nor handing to one that is awake
constexpr int64_t kStreamSteps = 64;                // of k, where every vector is used just once
constexpr int64_t kPartCost = 400000;  // more parts than threads where each has at least this

/// The rows of a tile take twice the memory in float64.
template <typename T>
constexpr int64_t blockSteps() {
  return KINDLING_ISA_LEVEL == 1 && sizeof(T) > sizeof(float) ? kBlockSteps / 2 : kBlockSteps;
}

KINDLING_INLINE int64_t ceilDivide(int64_t x, int64_t y) { return (x + y - 1) / y; }
KINDLING_INLINE int64_t least(int64_t x, int64_t y) { return x < y ? x : y; }

template <typename T>
KINDLING_INLINE int64_t vectorsOf(int64_t columns) {
  return ceilDivide(columns, GemmVecOf<T>::width);
}

template <typename T>
KINDLING_INLINE double updateCost(int64_t rowCount, int64_t columnCount, int64_t k) {
  const int64_t vectors = vectorsOf<T>(columnCount);
  int64_t rows = rowCount;
  // With few rows there are too few chains, or the loads of the vectors take longer than their use.
  const int64_t chains = rowCount * least(vectors, rowCount <= kWideTileRows ? 4 : 2);
  if (chains < kLatency) rows = ceilDivide(rowCount * kLatency, chains);
  return static_cast<double>(rows) * static_cast<double>(vectors) * static_cast<double>(k);
}

template <typename T, typename S>
inline double problemCost(const GemmProblem<T, S>& p) {
  const double rows = static_cast<double>(p.rowCount), columns = static_cast<double>(p.columnCount);
  double cost = updateCost<T>(p.rowCount, p.columnCount, p.k);
  if (p.columns.across != 1) cost += kTransposeCost * columns * static_cast<double>(p.k);
  // Once for every block of k.
  if (p.transposed) {
    cost += kTurnCost * rows * columns * static_cast<double>(1 + p.k / (blockSteps<T>() * 3 / 2));
  }
  return cost;
}

template <typename T>
inline double dotCost(int64_t few, int64_t many, int64_t k) {
  // Two loads an update at worst, and the sum over the lanes in the end.
  constexpr double kUpdateCost = 1.4, kReduceCost = 6;
  const double products = static_cast<double>(few) * static_cast<double>(many);
  return products * (kUpdateCost * static_cast<double>(vectorsOf<T>(k)) + kReduceCost);
}

/// Rows whose distance is a multiple of this fall on the same few sets of the L1 cache.
template <typename T>
KINDLING_INLINE bool collides(int64_t stride) {
  return stride != 0 && stride * int64_t{sizeof(T)} % 4096 == 0;
}

KINDLING_INLINE int64_t rowOfTile(const GemmPlan& plan, int64_t tile) {
  return tile * plan.tileRows + least(tile, plan.largerTiles);
}

/// The first panel of a part, of plan.columnParts.
KINDLING_INLINE int64_t panelOfPart(const GemmPlan& plan, int64_t part) {
  return part * plan.panels / plan.columnParts;
}

/// Below what cost work is left whole, given how much there is of it.
KINDLING_INLINE int64_t costWorthSplitting(double cost) {
  const bool prompt = cost >= kPromptCost && cost < kParallelCost && promptThreads() > 1;
  return prompt ? kPromptCost : kParallelCost;
}

/// Chooses the grid of that many parts in which the largest part is smallest, or the mean where
/// parts are so many that the threads' shares are `evenedOut`; false if there is none.
template <typename T, typename S>
inline bool splitInto(const GemmProblem<T, S>& problem, int64_t parts, bool evenedOut,
                      GemmPlan* plan) {
  const int64_t leastTiles = plan->rowTiles;
  double best = 0;
  for (int64_t rowParts = 1; rowParts <= parts; ++rowParts) {
    if (parts % rowParts != 0) continue;
    const int64_t columnParts = parts / rowParts;
    if (rowParts > problem.rowCount || columnParts > plan->panels) continue;
    const double rows = static_cast<double>(ceilDivide(problem.rowCount, rowParts));
    const double vectors =
        static_cast<double>(plan->panelVectors) *
        (evenedOut ? static_cast<double>(plan->panels) / static_cast<double>(columnParts)
                   : static_cast<double>(ceilDivide(plan->panels, columnParts)));
    // The second term: what a part reads for every step of k.
    double cost = rows * vectors + 0.75 * (rows / GemmVecOf<T>::width + vectors);
    if (plan->packColumns && problem.columns.across != 1) {
      cost += kTransposeCost * GemmVecOf<T>::width * vectors;
    }
    if (best != 0 && cost >= best) continue;
    best = cost;
    plan->rowParts = rowParts;
    plan->columnParts = columnParts;
    plan->rowTiles = least(problem.rowCount, ceilDivide(leastTiles, rowParts) * rowParts);
  }
  return best != 0;
}

template <typename T, typename S>
inline void splitPlan(const GemmProblem<T, S>& problem, int threads, GemmPlan* plan) {
  plan->rowParts = plan->columnParts = 1;
  const double cost = updateCost<T>(problem.rowCount, problem.columnCount, problem.k);
  if (threads == 1) return;
  const double worthwhile = static_cast<double>(costWorthSplitting(cost));
  if (cost < worthwhile) return;
  const int64_t most = static_cast<int64_t>(2 * cost / worthwhile);
  const bool finer = cost / threads >= 4.0 * kPartCost;
  int64_t parts = least(most, finer ? 4 * threads : threads);
  while (!splitInto(problem, parts, parts > threads, plan)) --parts;
}

/// Packing pays where an operand is read often from beyond the L1 cache, or is badly laid out.
template <typename T, typename S>
inline void decidePacking(const GemmProblem<T, S>& problem, GemmPlan* plan) {
  const GemmOperand<S>&rows = problem.rows, &columns = problem.columns;
  const int64_t half = cacheSizes().l1 / 2 / int64_t{sizeof(T)};
  const bool longRun = problem.k >= 64;
  // With short runs the result is most of the traffic: it is then written row by row.
  const bool rowsStay = longRun && problem.rowCount * problem.k <= half;
  const bool panelStays = plan->panelVectors * GemmVecOf<T>::width * problem.k <= half;
  plan->panelsOutside = rowsStay;
  if (!std::is_same<T, S>::value) {  // packing is where they are widened
    plan->packRows = plan->packColumns = true;
    return;
  }
  // The few rows of a small tile are read as well where they stand.
  const bool asTheyStand = kTileRows <= 8 && rows.along == 1 && !collides<T>(rows.across);
  plan->packRows = plan->panels >= 8 && longRun && !rowsStay && !asTheyStand;
  if (!plan->packRows && plan->panels > 1 && longRun && rows.along != 1) {
    plan->packRows = rows.across != 1 || collides<T>(rows.along);
  }
  plan->packColumns = columns.across != 1;
  if (!plan->packColumns && plan->rowTiles > 1) {
    const bool staysInOrder = rowsStay && panelStays;
    plan->packColumns =
        collides<T>(columns.along) || (plan->rowTiles >= 5 && longRun && !staysInOrder);
  }
}

/// What one group of panels takes when packed.
template <typename T>
KINDLING_INLINE int64_t groupElements(const GemmPlan& plan) {
  return plan.groupPanels * plan.panelVectors * GemmVecOf<T>::width * plan.kBlock;
}

template <typename T, typename S>
inline void chooseBlocks(const GemmProblem<T, S>& problem, bool isOneTile, GemmPlan* plan) {
  int64_t most = blockSteps<T>();
  const int64_t bytesOfStep = plan->vectors * GemmVecOf<T>::width * int64_t{sizeof(T)};
  if (!plan->packRows && !plan->packColumns && isOneTile) {
    // Short runs along k, so that the vectors are read in about the order of memory.
    if (plan->panels > 1) most = kStreamSteps;
  } else if (!plan->packRows && bytesOfStep * plan->steps <= cacheSizes().l2 / 2) {
    most = plan->steps;
  }
  plan->kBlocks = most > 0 ? (plan->steps + most / 2) / most : 1;
  if (plan->kBlocks < 1) plan->kBlocks = 1;
  plan->kBlock = ceilDivide(plan->steps, plan->kBlocks);
  const int64_t panelBytes =
      plan->panelVectors * GemmVecOf<T>::width * plan->kBlock * int64_t{sizeof(T)};
  const int64_t fitting = panelBytes > 0 ? cacheSizes().l2 / 2 / panelBytes : plan->panels;
  plan->groupPanels = least(fitting > 1 ? fitting : 1, ceilDivide(plan->panels, plan->columnParts));
  // To pack a panel anew in every part costs less than to fetch it from another core's cache.
  constexpr int64_t kRowsWorthPacking = 24, kMostElements = 8 << 20;
  const int64_t elements = plan->rowParts * plan->columnParts * groupElements<T>(*plan);
  const bool worth = problem.rowCount / plan->rowParts >= kRowsWorthPacking;
  plan->packInParts =
      plan->packColumns && (plan->rowParts == 1 || (worth && elements <= kMostElements));
}

template <typename T, typename S>
inline GemmPlan makePlan(const GemmProblem<T, S>& problem, int threads) {
  GemmPlan plan;
  const bool wide = problem.rowCount <= kWideTileRows;
  plan.unit = multipliesPairs<S>() ? 2 : 1;
  plan.steps = ceilDivide(problem.k, plan.unit);
  plan.vectors = vectorsOf<T>(problem.columnCount);
  plan.panelVectors = least(plan.vectors, wide ? kWideVectors : kTileVectors);
  plan.panels = ceilDivide(plan.vectors, plan.panelVectors);
  plan.rowTiles = ceilDivide(problem.rowCount, kTileRows);
  decidePacking(problem, &plan);
  if (!plan.packRows && problem.rows.along == 1 && collides<T>(problem.rows.across)) {
    // Each row takes a way of the same few sets of the L1 cache: no more rows than ways.
    plan.rowTiles = ceilDivide(problem.rowCount, least(kTileRows, 7));
  }
  // Before the split: how sums are cut along k must not depend on the number of threads.
  const bool isOneTile = plan.rowTiles == 1;
  splitPlan(problem, threads, &plan);
  plan.tileRows = problem.rowCount / plan.rowTiles;
  plan.largerTiles = problem.rowCount % plan.rowTiles;
  chooseBlocks(problem, isOneTile, &plan);
  return plan;
}

}  // namespace KINDLING_ISA
}  // namespace kindling
