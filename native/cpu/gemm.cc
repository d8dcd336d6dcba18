// The matrix product after Goto and BLIS: blocks of k, operands packed where that pays, a tile of
// the result in registers. gemm_plan.h decides, gemm_pack.h copies, gemm_microkernel.h computes,
// gemm_first_tile.h does both at once; gemm_few.h serves products with very few rows, where only
// memory counts.

#include "cpu/gemm.h"

#include "cpu/gemm_few.h"
#include "cpu/gemm_first_tile.h"
#include "cpu/gemm_microkernel.h"
#include "cpu/gemm_pack.h"
#include "cpu/gemm_plan.h"
#include "cpu/gemm_scratch.h"
#include "cpu/parallel.h"

namespace kindling {
namespace KINDLING_ISA {
namespace {

template <typename T>
constexpr int kWidth = GemmVecOf<T>::width;
// What one packed operand may take, in elements: beyond it the product is done piece by piece.
constexpr int64_t kMostPacked = 2 << 20;

/// A product in work, and its memory.
template <typename T, typename S>
struct Work {
  const GemmProblem<T, S>* problem;
  const GemmPlan* plan;
  T *packedRows, *packedColumns;
};

/// One block of k of a product.
template <typename T, typename S>
struct Block {
  const GemmProblem<T, S>* problem;
  const GemmPlan* plan;
  int64_t begin;  // the first value of k
  int64_t steps;
  T *packedRows, *packedColumns;
  int64_t firstPacked;  // the column that packedColumns begins with
  bool accumulate;
  const T* bias;
  bool last;  // of k: what is left of the epilogue is its
};

template <typename T, typename S>
Block<T, S> blockOf(const Work<T, S>& work, int64_t index) {
  const int64_t steps = work.plan->steps, blocks = work.plan->kBlocks;
  const int64_t first = index * steps / blocks;
  Block<T, S> block = {work.problem,
                       work.plan,
                       first * work.plan->unit,
                       (index + 1) * steps / blocks - first,
                       work.packedRows,
                       work.packedColumns,
                       0,
                       true,
                       nullptr,
                       index == blocks - 1};
  if (index == 0) {
    block.accumulate = work.problem->accumulate;
    block.bias = work.problem->bias;
  }
  return block;
}

template <typename T, typename S>
int64_t packedRowElements(const GemmProblem<T, S>& problem, const GemmPlan& plan) {
  return plan.packRows ? problem.rowCount * plan.kBlock : 0;
}

template <typename T>
int64_t packedColumnElements(const GemmPlan& plan) {
  if (plan.packInParts) return plan.rowParts * plan.columnParts * groupElements<T>(plan);
  return plan.packColumns ? plan.vectors * kWidth<T> * plan.kBlock : 0;
}

/// How many values of k a block has.
template <typename T, typename S>
int64_t valuesOf(const Block<T, S>& block) {
  return least(block.steps * block.plan->unit, block.problem->k - block.begin);
}

template <typename T, typename S>
void packRowTiles(const Block<T, S>& block, int64_t begin, int64_t end) {
  const GemmOperand<S>& from = block.problem->rows;
  for (int64_t tile = begin; tile < end; ++tile) {
    const int64_t row = rowOfTile(*block.plan, tile);
    const int rows = static_cast<int>(rowOfTile(*block.plan, tile + 1) - row);
    T* const to = block.packedRows + row * block.steps;
    const S* const at = from.at(row, block.begin);
    if constexpr (kHasPairs<S>) {
      if (block.plan->unit == 2) {
        packPairs(to, rows, at, from.across, from.along, rows, rows, valuesOf(block));
        continue;
      }
    }
    packRows(to, at, from.across, from.along, rows, block.steps);
  }
}

template <typename T, typename S>
void packPanels(const Block<T, S>& block, int64_t begin, int64_t end) {
  const GemmProblem<T, S>& problem = *block.problem;
  const int64_t width = block.plan->panelVectors * kWidth<T>;
  const int64_t allColumns = block.plan->vectors * kWidth<T>;
  GemmOperand<S> from = problem.columns;
  if constexpr (kHasPairs<S>) {
    if (block.plan->unit == 2) {
      for (int64_t panel = begin; panel < end; ++panel) {
        const int64_t column = panel * width, lanes = least(width, allColumns - column);
        packPairs(block.packedColumns + (column - block.firstPacked) * block.steps, lanes,
                  from.at(column, block.begin), from.across, from.along,
                  least(width, problem.columnCount - column), lanes, valuesOf(block));
      }
      return;
    }
  }
  if (from.across == 1 && block.plan->panelVectors == 2) {
    const int64_t whole = least(end, problem.columnCount / width) - begin;
    if (whole > 0) {
      from.data = problem.columns.at(begin * width, block.begin);
      packPlainPanels(block.packedColumns + (begin * width - block.firstPacked) * block.steps, from,
                      whole, block.steps);
      begin += whole;
    }
  }
  for (int64_t panel = begin; panel < end; ++panel) {
    const int64_t column = panel * width;
    from.data = problem.columns.at(column, block.begin);
    packPanel(block.packedColumns + (column - block.firstPacked) * block.steps,
              least(width, allColumns - column), from, least(width, problem.columnCount - column),
              block.steps);
  }
}

/// The kernels of a product: by whether a tile has the larger number of rows, and by whether it is
/// of the last panel. `first` are those that pack their panel, or null.
template <typename T>
struct TileKernels {
  int64_t smallRows;
  TileKernelOf<T> kernels[2][2];
  FirstTileKernelOf<T> first[2] = {};
};

template <typename T, typename S>
TileKernels<T> chooseKernels(const GemmProblem<T, S>& problem, const GemmPlan& plan) {
  const bool unit = plan.packRows || problem.rows.across == 1;
  const int lastVectors = static_cast<int>(plan.vectors - (plan.panels - 1) * plan.panelVectors);
  const bool partial = problem.columnCount % kWidth<T> != 0;
  TileKernels<T> chosen;
  chosen.smallRows = plan.tileRows;
  for (int more = 0; more < 2; ++more) {
    const int rows = static_cast<int>(chosen.smallRows) + more;
    const int vectors = static_cast<int>(plan.panelVectors);
    if constexpr (kHasPairs<S>) {
      if (plan.unit == 2) {
        chosen.kernels[more][0] = tileKernelFor<T, DotPairs>(rows, vectors, unit, false);
        chosen.kernels[more][1] = tileKernelFor<T, DotPairs>(rows, lastVectors, unit, partial);
        continue;
      }
    }
    chosen.kernels[more][0] = tileKernelFor<T>(rows, vectors, unit, false);
    chosen.kernels[more][1] = tileKernelFor<T>(rows, lastVectors, unit, partial);
    if (std::is_same<T, S>::value && plan.packInParts && plan.panelVectors == kTileVectors) {
      chosen.first[more] =
          firstTileKernelFor<T>(rows, problem.columns.across, problem.columns.along);
    }
  }
  return chosen;
}

/// `run` is called with the kernel's call.
template <typename T, typename S, typename Run>
KINDLING_INLINE void computeTile(const Block<T, S>& block, TileCallOf<T>* call, int64_t row,
                                 int64_t rows, int64_t column, const Run& run) {
  const GemmProblem<T, S>& problem = *block.problem;
  if (!problem.transposed) {
    call->c = problem.c + row * problem.ldc + column;
    call->ldc = problem.ldc;
    call->bias = block.bias ? block.bias + column : nullptr;
    call->accumulate = block.accumulate;
    call->residual =
        block.last && problem.residual ? problem.residual + row * problem.ldr + column : nullptr;
    call->ldr = problem.ldr;
    call->relu = block.last && problem.relu;
    return run(*call);
  }
  alignas(kAlignment) T tile[kTileRows * kTileVectors * kWidth<T>];
  static_assert(kWideTileRows * kWideVectors <= kTileRows * kTileVectors, "the tile must fit");
  const int64_t width = block.plan->panelVectors * kWidth<T>;
  call->c = tile;
  call->ldc = width;
  call->bias = nullptr;
  call->accumulate = false;
  call->residual = nullptr;
  call->relu = false;
  run(*call);
  TransposedEpilogue<T> epilogue = {block.bias ? block.bias + row : nullptr, block.accumulate,
                                    nullptr, problem.ldr, block.last && problem.relu};
  if (block.last && problem.residual) {
    epilogue.residual = problem.residual + column * problem.ldr + row;
  }
  storeTransposed(tile, width, static_cast<int>(rows), least(width, problem.columnCount - column),
                  problem.c + column * problem.ldc + row, problem.ldc, epilogue);
}

template <typename T, typename S>
void setRows(const Block<T, S>& block, int64_t row, int64_t rows, TileCallOf<T>* call) {
  if (block.plan->packRows) {
    call->rows = block.packedRows + row * block.steps;
    call->rowStride = 1;
    call->rowStep = rows;
  } else if constexpr (std::is_same<T, S>::value) {
    const GemmOperand<S>& from = block.problem->rows;
    call->rows = from.at(row, block.begin);
    call->rowStride = from.across;
    call->rowStep = from.along;
  }
}

template <typename T, typename S>
void setColumns(const Block<T, S>& block, int64_t column, bool last, TileCallOf<T>* call) {
  const GemmPlan& plan = *block.plan;
  if (plan.packColumns) {
    call->columns = block.packedColumns + (column - block.firstPacked) * block.steps;
    call->columnStep = last ? plan.vectors * kWidth<T> - column : plan.panelVectors * kWidth<T>;
  } else if constexpr (std::is_same<T, S>::value) {
    const GemmOperand<S>& from = block.problem->columns;
    call->columns = from.data + column + block.begin * from.along;
    call->columnStep = from.along;
  }
  call->lastLanes =
      last ? static_cast<int>(block.problem->columnCount - (plan.vectors - 1) * kWidth<T>)
           : kWidth<T>;
}

/// Only whole panels are.
template <typename T, typename S>
bool packsWithFirstTile(const Block<T, S>& block, const TileKernels<T>& kernels, int64_t panel) {
  const int64_t width = block.plan->panelVectors * kWidth<T>;
  return kernels.first[0] && (panel + 1) * width <= block.problem->columnCount;
}

template <typename T, typename S>
void computeFirstTile(const Block<T, S>& block, FirstTileKernelOf<T> kernel, TileCallOf<T>* call,
                      int64_t row, int64_t rows, int64_t column) {
  if constexpr (std::is_same<T, S>::value) {
    const GemmOperand<S>& from = block.problem->columns;
    T* const packed = block.packedColumns + (column - block.firstPacked) * block.steps;
    call->columns = from.at(column, block.begin);
    call->columnStep = from.along;
    call->rowStride = block.plan->packRows ? 1 : block.problem->rows.across;
    computeTile(block, call, row, rows, column, [&](const TileCallOf<T>& tile) {
      kernel({tile, from.across, packed});
    });
  }
}

struct TileRange {
  int64_t firstTile, endTile, firstPanel, endPanel;
};

/// Tile by tile, so that the rows of one stay in the L1 cache while the panels go by; or panel by
/// panel, where all rows stay.
template <typename T, typename S>
void computeTiles(const Block<T, S>& block, const TileKernels<T>& kernels, const TileRange& range) {
  const GemmPlan& plan = *block.plan;
  const int64_t tiles = range.endTile - range.firstTile;
  const int64_t panels = range.endPanel - range.firstPanel;
  const int64_t outer = plan.panelsOutside ? panels : tiles;
  const int64_t inner = plan.panelsOutside ? tiles : panels;
  TileCallOf<T> call;
  call.k = block.steps;
  for (int64_t i = 0; i < outer; ++i) {
    for (int64_t j = 0; j < inner; ++j) {
      const int64_t tile = range.firstTile + (plan.panelsOutside ? j : i);
      const int64_t panel = range.firstPanel + (plan.panelsOutside ? i : j);
      const int64_t row = rowOfTile(plan, tile), rows = rowOfTile(plan, tile + 1) - row;
      const int64_t column = panel * plan.panelVectors * kWidth<T>;
      const bool last = panel == plan.panels - 1;
      setRows(block, row, rows, &call);
      setColumns(block, column, last, &call);
      const int64_t more = rows - kernels.smallRows;
      if (tile == range.firstTile && packsWithFirstTile(block, kernels, panel)) {
        computeFirstTile(block, kernels.first[more], &call, row, rows, column);
      } else {
        const TileKernelOf<T> kernel = kernels.kernels[more][last];
        computeTile(block, &call, row, rows, column, kernel);
      }
    }
  }
}

template <typename T, typename S>
void computePart(Block<T, S> block, const TileKernels<T>& kernels, int64_t part) {
  const GemmPlan& plan = *block.plan;
  const int64_t rowPart = part / plan.columnParts, columnPart = part % plan.columnParts;
  TileRange range = {rowPart * plan.rowTiles / plan.rowParts,
                     (rowPart + 1) * plan.rowTiles / plan.rowParts, 0, 0};
  const int64_t endPanel = panelOfPart(plan, columnPart + 1);
  if (plan.packInParts) block.packedColumns += part * groupElements<T>(plan);
  for (int64_t panel = panelOfPart(plan, columnPart); panel < endPanel; panel = range.endPanel) {
    range.firstPanel = panel;
    range.endPanel = least(panel + plan.groupPanels, endPanel);
    if (plan.packInParts) {
      block.firstPacked = panel * plan.panelVectors * kWidth<T>;
      int64_t first = panel;
      while (first < range.endPanel && packsWithFirstTile(block, kernels, first)) ++first;
      packPanels(block, first, range.endPanel);
    }
    computeTiles(block, kernels, range);
  }
}

template <typename T, typename S>
void packBlock(const Block<T, S>& block) {
  const GemmPlan& plan = *block.plan;
  const int64_t tiles = plan.packRows ? plan.rowTiles : 0;
  const int64_t panels = plan.packColumns && !plan.packInParts ? plan.panels : 0;
  if (tiles + panels == 0) return;
  const int64_t elements = packedRowElements(*block.problem, plan) + packedColumnElements<T>(plan);
  const int64_t parts = plan.rowParts * plan.columnParts;
  constexpr int64_t kWorthwhile = 32768;  // elements; below it one thread is done sooner
  if (parts == 1 || elements < kWorthwhile) {
    packRowTiles(block, 0, tiles);
    packPanels(block, 0, panels);
    return;
  }
  parallelFor(parts, 1, 1, [&](int64_t begin, int64_t end) {
    packRowTiles(block, begin * tiles / parts, end * tiles / parts);
    packPanels(block, begin * panels / parts, end * panels / parts);
  });
}

/// Computes the blocks [begin, end) of k: all parts of the result, each through all blocks.
template <typename T, typename S>
void computeBlocks(const Work<T, S>& work, const TileKernels<T>& kernels, int64_t begin,
                   int64_t end) {
  const auto computeAll = [&](int64_t part) {
    for (int64_t i = begin; i < end; ++i) computePart(blockOf(work, i), kernels, part);
  };
  const int64_t parts = work.plan->rowParts * work.plan->columnParts;
  if (parts == 1) return computeAll(0);
  parallelParts(
      static_cast<int>(parts),
      [](void* opaque, int part) { (*static_cast<decltype(computeAll)*>(opaque))(part); },
      const_cast<void*>(static_cast<const void*>(&computeAll)));
}

template <typename T, typename S>
bool multiplyPiece(const GemmProblem<T, S>& problem, int threads) {
  const GemmPlan plan = makePlan(problem, threads);
  const int64_t rowFloats = ceilDivide(packedRowElements(problem, plan), 16) * 16;
  Scratch scratch;
  T* packed = scratch.take<T>(rowFloats + packedColumnElements<T>(plan));
  if (!packed) return false;
  const Work<T, S> work = {&problem, &plan, packed, packed + rowFloats};
  const TileKernels<T> kernels = chooseKernels(problem, plan);
  // Blocks whose parts share packed memory are done one after the other.
  const bool shared = plan.packRows || (plan.packColumns && !plan.packInParts);
  const int64_t together = shared ? 1 : plan.kBlocks;
  for (int64_t i = 0; i < plan.kBlocks; i += together) {
    packBlock(blockOf(work, i));
    computeBlocks(work, kernels, i, i + together);
  }
  return true;
}

/// Cuts what is too large to be packed whole.
template <typename T, typename S>
bool multiplyInPieces(const GemmProblem<T, S>& problem, int threads) {
  constexpr int64_t kMost = kMostPacked / kBlockSteps;
  for (int64_t column = 0; column < problem.columnCount; column += kMost) {
    for (int64_t row = 0; row < problem.rowCount; row += kMost) {
      GemmProblem<T, S> piece = problem;
      piece.rowCount = least(kMost, problem.rowCount - row);
      piece.columnCount = least(kMost, problem.columnCount - column);
      piece.rows.data = problem.rows.at(row, 0);
      piece.columns.data = problem.columns.at(column, 0);
      piece.c += problem.transposed ? column * problem.ldc + row : row * problem.ldc + column;
      if (piece.bias) piece.bias += problem.transposed ? row : column;
      if (piece.residual) {
        piece.residual +=
            problem.transposed ? column * problem.ldr + row : row * problem.ldr + column;
      }
      if (!multiplyPiece(piece, threads)) return false;
    }
  }
  return true;
}

template <typename T, typename S>
bool multiply(const GemmProblem<T, S>& problem) {
  if (!streams(problem)) return multiplyInPieces(problem, numThreads());
  multiplyStream(problem);
  return true;
}

template <typename T, typename S>
bool multiplyWithStridedBias(const GemmProblem<T, S>& problem, int64_t count, int64_t stride) {
  Scratch scratch;
  T* bias = scratch.take<T>(count);
  if (!bias) return false;
  for (int64_t i = 0; i < count; ++i) bias[i] = problem.bias[i * stride];
  GemmProblem<T, S> same = problem;
  same.bias = bias;
  return multiply(same);
}

template <typename T, typename S>
bool product(int64_t m, int64_t n, int64_t k, const S* a, int64_t aRow, int64_t aCol, const S* b,
             int64_t bRow, int64_t bCol, T* c, int64_t ldc, const GemmEpilogueOf<T>& epilogue) {
  if (m <= 0 || n <= 0) return true;
  const S nothing = S();
  // An axis of one element may have any stride: give it the one that is read best.
  if (m == 1) aRow = 1;
  if (n == 1) bCol = 1;
  if (k <= 0) {
    // Nothing is read, and there may be no memory to point at.
    k = 0;
    a = b = &nothing;
    aRow = bCol = 0;
  }
  const GemmOperand<S> left = {a, aRow, aCol}, right = {b, bCol, bRow};
  const GemmProblem<T, S> straight = {m,
                                      n,
                                      k,
                                      left,
                                      right,
                                      c,
                                      ldc,
                                      false,
                                      epilogue.bias,
                                      epilogue.accumulate,
                                      epilogue.residual,
                                      epilogue.residualRow,
                                      epilogue.relu};
  GemmProblem<T, S> swapped = straight;
  swapped.rowCount = n;
  swapped.columnCount = m;
  swapped.rows = right;
  swapped.columns = left;
  swapped.transposed = true;
  const double straightCost = problemCost(straight), swappedCost = problemCost(swapped);
  const bool swap = swappedCost < straightCost;
  if (aCol == 1 && bRow == 1) {
    const DotProblemOf<T, S> dots = makeDots(straight, epilogue.biasStride);
    if (dotCost<T>(dots.few, dots.many, k) < (swap ? swappedCost : straightCost)) {
      multiplyDots(dots);
      return true;
    }
  }
  const GemmProblem<T, S>& chosen = swap ? swapped : straight;
  if (epilogue.bias && epilogue.biasStride != 1) {
    return multiplyWithStridedBias(chosen, n, epilogue.biasStride);
  }
  return multiply(chosen);
}

}  // namespace

bool gemm(int64_t m, int64_t n, int64_t k, const float* a, int64_t aRow, int64_t aCol,
          const float* b, int64_t bRow, int64_t bCol, float* c, int64_t ldc,
          const GemmEpilogue& epilogue) {
  return product(m, n, k, a, aRow, aCol, b, bRow, bCol, c, ldc, epilogue);
}

bool gemm(int64_t m, int64_t n, int64_t k, const Brain* a, int64_t aRow, int64_t aCol,
          const Brain* b, int64_t bRow, int64_t bCol, float* c, int64_t ldc,
          const GemmEpilogue& epilogue) {
  return product(m, n, k, a, aRow, aCol, b, bRow, bCol, c, ldc, epilogue);
}

bool gemm(int64_t m, int64_t n, int64_t k, const Half* a, int64_t aRow, int64_t aCol, const Half* b,
          int64_t bRow, int64_t bCol, float* c, int64_t ldc, const GemmEpilogue& epilogue) {
  return product(m, n, k, a, aRow, aCol, b, bRow, bCol, c, ldc, epilogue);
}

bool gemm(int64_t m, int64_t n, int64_t k, const double* a, int64_t aRow, int64_t aCol,
          const double* b, int64_t bRow, int64_t bCol, double* c, int64_t ldc,
          const GemmEpilogueOf<double>& epilogue) {
  return product(m, n, k, a, aRow, aCol, b, bRow, bCol, c, ldc, epilogue);
}

}  // namespace KINDLING_ISA
}  // namespace kindling
