// The matrix product after Goto and BLIS: blocks of k, operands packed where that pays, a tile of
// the result in registers. gemm_plan.h decides, gemm_pack.h copies, gemm_microkernel.h computes;
// gemm_dot.h serves the products of a few rows, which need neither packing nor tiles.

#include "cpu/gemm.h"

#include "core/allocator.h"
#include "cpu/gemm_dot.h"
#include "cpu/gemm_microkernel.h"
#include "cpu/gemm_pack.h"
#include "cpu/gemm_plan.h"
#include "cpu/parallel.h"

namespace kindling {
namespace KINDLING_ISA {
namespace {

constexpr int kWidth = GemmVec::width;
// What one packed operand may take, in floats: beyond it the product is done piece by piece.
constexpr int64_t kMostPacked = 2 << 20;
constexpr int64_t kSmallScratch = 8192;  // floats that the stack can hold

/// Memory of one call: a little on the stack, more from the cache of the allocator.
class Scratch {
 public:
  Scratch() = default;
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() {
    if (data_) deallocate(data_, bytes_);
  }

  /// nullptr where memory ran out. One call per object.
  float* take(int64_t floats) {
    if (floats <= kSmallScratch) return small_;
    bytes_ = static_cast<size_t>(floats) * sizeof(float);
    data_ = allocate(bytes_);
    return static_cast<float*>(data_);
  }

 private:
  alignas(kAlignment) float small_[kSmallScratch];
  void* data_ = nullptr;
  size_t bytes_ = 0;
};

/// One block of k of a product.
struct Block {
  const GemmProblem* problem;
  const GemmPlan* plan;
  int64_t begin, steps;  // of k
  float *packedRows, *packedColumns;
  bool accumulate;
  const float* bias;
};

int64_t packedRowFloats(const GemmProblem& problem, const GemmPlan& plan) {
  return plan.packRows ? problem.rowCount * plan.kBlock : 0;
}

int64_t packedColumnFloats(const GemmPlan& plan) {
  return plan.packColumns ? plan.vectors * kWidth * plan.kBlock : 0;
}

void packRowTiles(const Block& block, int64_t begin, int64_t end) {
  const GemmOperand& from = block.problem->rows;
  for (int64_t tile = begin; tile < end; ++tile) {
    const int64_t row = rowOfTile(*block.plan, tile);
    const int rows = static_cast<int>(rowOfTile(*block.plan, tile + 1) - row);
    packLanes(block.packedRows + row * block.steps, rows, from.at(row, block.begin), from.across,
              from.along, rows, rows, block.steps);
  }
}

void packPanels(const Block& block, int64_t begin, int64_t end) {
  const int64_t width = block.plan->panelVectors * kWidth;
  const int64_t allColumns = block.plan->vectors * kWidth;
  for (int64_t panel = begin; panel < end; ++panel) {
    const int64_t column = panel * width;
    GemmOperand from = block.problem->columns;
    from.data = from.at(column, block.begin);
    packPanel(block.packedColumns + column * block.steps, least(width, allColumns - column), from,
              least(width, block.problem->columnCount - column), block.steps);
  }
}

/// The kernels of a product: by whether a tile has the larger number of rows, and by whether it is
/// of the last panel.
struct TileKernels {
  int64_t smallRows;
  TileKernel kernels[2][2];
};

TileKernels chooseKernels(const Block& block) {
  const GemmProblem& problem = *block.problem;
  const GemmPlan& plan = *block.plan;
  const bool unit = plan.packRows || problem.rows.across == 1;
  const int lastVectors = static_cast<int>(plan.vectors - (plan.panels - 1) * plan.panelVectors);
  const bool partial = problem.columnCount % kWidth != 0;
  TileKernels chosen;
  chosen.smallRows = plan.tileRows;
  for (int more = 0; more < 2; ++more) {
    const int rows = static_cast<int>(chosen.smallRows) + more;
    chosen.kernels[more][0] = tileKernelFor(rows, static_cast<int>(plan.panelVectors), unit, false);
    chosen.kernels[more][1] = tileKernelFor(rows, lastVectors, unit, partial);
  }
  return chosen;
}

void computeTile(const Block& block, const TileKernel kernel, TileCall* call, int64_t row,
                 int64_t rows, int64_t column) {
  const GemmProblem& problem = *block.problem;
  if (!problem.transposed) {
    call->c = problem.c + row * problem.ldc + column;
    call->ldc = problem.ldc;
    call->bias = block.bias ? block.bias + column : nullptr;
    call->accumulate = block.accumulate;
    return kernel(*call);
  }
  alignas(kAlignment) float tile[kTileRows * kTileVectors * kWidth];
  static_assert(kWideTileRows * kWideVectors <= kTileRows * kTileVectors, "the tile must fit");
  const int64_t width = block.plan->panelVectors * kWidth;
  call->c = tile;
  call->ldc = width;
  call->bias = nullptr;
  call->accumulate = false;
  kernel(*call);
  storeTransposed(tile, width, static_cast<int>(rows), least(width, problem.columnCount - column),
                  problem.c + column * problem.ldc + row, problem.ldc,
                  block.bias ? block.bias + row : nullptr, block.accumulate);
}

void setRows(const Block& block, int64_t row, int64_t rows, TileCall* call) {
  if (block.plan->packRows) {
    call->rows = block.packedRows + row * block.steps;
    call->rowStride = 1;
    call->rowStep = rows;
  } else {
    const GemmOperand& from = block.problem->rows;
    call->rows = from.at(row, block.begin);
    call->rowStride = from.across;
    call->rowStep = from.along;
  }
}

void setColumns(const Block& block, int64_t column, bool last, TileCall* call) {
  const GemmPlan& plan = *block.plan;
  if (plan.packColumns) {
    call->columns = block.packedColumns + column * block.steps;
    call->columnStep = last ? plan.vectors * kWidth - column : plan.panelVectors * kWidth;
  } else {
    const GemmOperand& from = block.problem->columns;
    call->columns = from.data + column + block.begin * from.along;
    call->columnStep = from.along;
  }
  call->lastLanes =
      last ? static_cast<int>(block.problem->columnCount - (plan.vectors - 1) * kWidth) : kWidth;
}

struct TileRange {
  int64_t firstTile, endTile, firstPanel, endPanel;
};

/// Tile by tile, so that the rows of one stay in the L1 cache while the panels go by.
void computeTiles(const Block& block, const TileKernels& kernels, const TileRange& range) {
  const GemmPlan& plan = *block.plan;
  TileCall call;
  call.k = block.steps;
  for (int64_t tile = range.firstTile; tile < range.endTile; ++tile) {
    const int64_t row = rowOfTile(plan, tile), rows = rowOfTile(plan, tile + 1) - row;
    const TileKernel* choice = kernels.kernels[rows - kernels.smallRows];
    setRows(block, row, rows, &call);
    for (int64_t panel = range.firstPanel; panel < range.endPanel; ++panel) {
      const int64_t column = panel * plan.panelVectors * kWidth;
      const bool last = panel == plan.panels - 1;
      setColumns(block, column, last, &call);
      computeTile(block, choice[last], &call, row, rows, column);
    }
  }
}

void computePart(const Block& block, const TileKernels& kernels, int64_t part) {
  const GemmPlan& plan = *block.plan;
  const int64_t rowPart = part / plan.columnParts, columnPart = part % plan.columnParts;
  TileRange range = {rowPart * plan.rowTiles / plan.rowParts,
                     (rowPart + 1) * plan.rowTiles / plan.rowParts, 0, 0};
  // As many panels at a time as fill half the L2 cache.
  const int64_t panelBytes = plan.panelVectors * kWidth * block.steps * int64_t{sizeof(float)};
  const int64_t fitting = panelBytes > 0 ? cacheSizes().l2 / 2 / panelBytes : plan.panels;
  const int64_t group = fitting > 1 ? fitting : 1;
  const int64_t endPanel = panelOfPart(plan, columnPart + 1);
  for (int64_t panel = panelOfPart(plan, columnPart); panel < endPanel; panel = range.endPanel) {
    range.firstPanel = panel;
    range.endPanel = least(panel + group, endPanel);
    computeTiles(block, kernels, range);
  }
}

void packBlock(const Block& block) {
  const GemmPlan& plan = *block.plan;
  const int64_t tiles = plan.packRows ? plan.rowTiles : 0;
  const int64_t panels = plan.packColumns ? plan.panels : 0;
  if (tiles + panels == 0) return;
  const int64_t floats = packedRowFloats(*block.problem, plan) + packedColumnFloats(plan);
  const int64_t parts = plan.rowParts * plan.columnParts;
  constexpr int64_t kWorthwhile = 32768;  // floats; below it one thread is done sooner
  if (parts == 1 || floats < kWorthwhile) {
    packRowTiles(block, 0, tiles);
    packPanels(block, 0, panels);
    return;
  }
  parallelFor(parts, 1, 1, [&](int64_t begin, int64_t end) {
    packRowTiles(block, begin * tiles / parts, end * tiles / parts);
    packPanels(block, begin * panels / parts, end * panels / parts);
  });
}

void computeBlock(const Block& block) {
  const TileKernels kernels = chooseKernels(block);
  const int64_t parts = block.plan->rowParts * block.plan->columnParts;
  if (parts == 1) return computePart(block, kernels, 0);
  struct Context {
    const Block* block;
    const TileKernels* kernels;
  } context = {&block, &kernels};
  parallelParts(
      static_cast<int>(parts),
      [](void* opaque, int part) {
        const Context& c = *static_cast<const Context*>(opaque);
        computePart(*c.block, *c.kernels, part);
      },
      &context);
}

bool multiplyPiece(const GemmProblem& problem, int threads) {
  const GemmPlan plan = makePlan(problem, threads);
  const int64_t rowFloats = ceilDivide(packedRowFloats(problem, plan), 16) * 16;
  Scratch scratch;
  float* packed = scratch.take(rowFloats + packedColumnFloats(plan));
  if (!packed) return false;
  for (int64_t part = 0; part < plan.kBlocks; ++part) {
    const int64_t begin = part * problem.k / plan.kBlocks;
    const int64_t steps = (part + 1) * problem.k / plan.kBlocks - begin;
    Block block = {&problem, &plan, begin, steps, packed, packed + rowFloats, true, nullptr};
    if (part == 0) {
      block.accumulate = problem.accumulate;
      block.bias = problem.bias;
    }
    packBlock(block);
    computeBlock(block);
  }
  return true;
}

/// Cuts what is too large to be packed whole.
bool multiply(const GemmProblem& problem, int threads) {
  constexpr int64_t kMost = kMostPacked / kBlockSteps;
  for (int64_t column = 0; column < problem.columnCount; column += kMost) {
    for (int64_t row = 0; row < problem.rowCount; row += kMost) {
      GemmProblem piece = problem;
      piece.rowCount = least(kMost, problem.rowCount - row);
      piece.columnCount = least(kMost, problem.columnCount - column);
      piece.rows.data = problem.rows.at(row, 0);
      piece.columns.data = problem.columns.at(column, 0);
      piece.c += problem.transposed ? column * problem.ldc + row : row * problem.ldc + column;
      if (piece.bias) piece.bias += problem.transposed ? row : column;
      if (!multiplyPiece(piece, threads)) return false;
    }
  }
  return true;
}

void multiplyDots(const DotProblem& problem) {
  const int64_t costOfOne = problem.few * vectorsOf(problem.k) + 1;
  const int64_t grain = ceilDivide(kParallelCost / 3, costOfOne);
  parallelFor(problem.many, grain, 8,
              [&](int64_t begin, int64_t end) { dotRange(problem, begin, end); });
}

DotProblem makeDots(const GemmProblem& p, int64_t biasStride) {
  const int64_t a = p.rows.across, b = p.columns.across;
  if (p.rowCount <= p.columnCount) {
    return {p.rowCount, p.columnCount, p.k, p.rows.data, a, p.columns.data, b,
            p.c,        p.ldc,         1,   p.bias,      0, biasStride,     p.accumulate};
  }
  return {p.columnCount, p.rowCount, p.k,   p.columns.data, b,          p.rows.data, a,
          p.c,           1,          p.ldc, p.bias,         biasStride, 0,           p.accumulate};
}

bool multiplyWithStridedBias(const GemmProblem& problem, int64_t count, int64_t stride) {
  Scratch scratch;
  float* bias = scratch.take(count);
  if (!bias) return false;
  for (int64_t i = 0; i < count; ++i) bias[i] = problem.bias[i * stride];
  GemmProblem same = problem;
  same.bias = bias;
  return multiply(same, numThreads());
}

}  // namespace

bool gemm(int64_t m, int64_t n, int64_t k, const float* a, int64_t aRow, int64_t aCol,
          const float* b, int64_t bRow, int64_t bCol, float* c, int64_t ldc,
          const GemmEpilogue& epilogue) {
  if (m <= 0 || n <= 0) return true;
  // An axis of one element may have any stride: give it the one that is read best.
  if (m == 1) aRow = 1;
  if (n == 1) bCol = 1;
  if (k <= 0) {
    // Nothing is read, and there may be no memory to point at.
    k = 0;
    a = b = c;
    aRow = bCol = 0;
  }
  const GemmOperand left = {a, aRow, aCol}, right = {b, bCol, bRow};
  const GemmProblem straight = {m, n,   k,     left,          right,
                                c, ldc, false, epilogue.bias, epilogue.accumulate};
  const GemmProblem swapped = {n, m,   k,    right,         left,
                               c, ldc, true, epilogue.bias, epilogue.accumulate};
  const double straightCost = problemCost(straight), swappedCost = problemCost(swapped);
  const bool swap = swappedCost < straightCost;
  if (aCol == 1 && bRow == 1) {
    const DotProblem dots = makeDots(straight, epilogue.biasStride);
    if (dotCost(dots.few, dots.many, k) < (swap ? swappedCost : straightCost)) {
      multiplyDots(dots);
      return true;
    }
  }
  const GemmProblem& chosen = swap ? swapped : straight;
  if (epilogue.bias && epilogue.biasStride != 1) {
    return multiplyWithStridedBias(chosen, n, epilogue.biasStride);
  }
  return multiply(chosen, numThreads());
}

}  // namespace KINDLING_ISA
}  // namespace kindling
