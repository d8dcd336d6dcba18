// Convolution as a matrix product that never holds its column matrix: panels of a few vectors of
// columns are gathered into the L2 cache, block of k by block of k, and multiplied with the packed
// weights by the tile kernels of the matrix product. The bias is one more step of k, whose column
// entries are ones.

#include "core/cpu_features.h"
#include "cpu/convolution.h"
#include "cpu/convolution_fetch.h"
#include "cpu/convolution_pieces.h"
#include "cpu/gemm_first_tile.h"
#include "cpu/gemm_microkernel.h"
#include "cpu/gemm_pack.h"
#include "cpu/parallel.h"
#include "cpu/scratch.h"

namespace kindling {
namespace KINDLING_ISA {
namespace {

template <typename T>
constexpr int kWidth = GemmVecOf<T>::width;
constexpr int64_t kMostSteps = KINDLING_ISA_LEVEL == 2 ? 384 : 256;  // of k in one block
constexpr int64_t kMostPanels = 16;                                  // gathered at a time
constexpr int64_t kThreadWork = 1 << 18;  // multiply-adds; less is not worth a thread

int64_t roundUp(int64_t x, int64_t y) { return (x + y - 1) / y * y; }
int64_t lesser(int64_t x, int64_t y) { return x < y ? x : y; }

/// How a problem is cut: everything but the number of units depends on shapes only, and no element
/// of the result on the cut.
struct Plan {
  int64_t columns, taps, steps;       // steps of k, the bias's included
  int64_t panelVectors, panelWidth;   // of a panel
  int64_t panels, groupPanels;        // in all; gathered at a time
  int64_t rowTiles, tileRows, extra;  // the first `extra` tiles have one row more
  int64_t blocks, block;              // of k
  int64_t columnUnits, rowUnits;      // one unit: groupPanels panels, a share of the tiles
  int64_t rowPieces;                  // room for the pieces of one tap of one panel

  int64_t firstRow(int64_t tile) const { return tile * tileRows + lesser(tile, extra); }
};

template <typename T>
Plan makePlan(const GatherProblem<T>& p) {
  Plan plan;
  plan.columns = p.batch * p.gridSize();
  plan.taps = p.tapCount();
  plan.steps = p.channels * plan.taps + (p.bias ? 1 : 0);
  const bool wide = p.rows <= kWideTileRows;
  const int64_t most = wide ? kWideVectors : kTileVectors;
  plan.panelVectors = lesser(most, (plan.columns + kWidth<T> - 1) / kWidth<T>);
  plan.panelWidth = plan.panelVectors * kWidth<T>;
  plan.panels = (plan.columns + plan.panelWidth - 1) / plan.panelWidth;
  const int64_t tallest = wide ? kWideTileRows : kTileRows;
  plan.rowTiles = (p.rows + tallest - 1) / tallest;
  plan.tileRows = p.rows / plan.rowTiles;
  plan.extra = p.rows % plan.rowTiles;
  plan.blocks = (plan.steps + kMostSteps / 2) / kMostSteps;
  if (plan.blocks < 1) plan.blocks = 1;
  plan.block = (plan.steps + plan.blocks - 1) / plan.blocks;
  plan.rowPieces = mostPieces<T>(p.grid[2], plan.panelWidth, plan.panelWidth);
  const int64_t panelBytes =
      plan.panelWidth * (plan.block > 0 ? plan.block : 1) * int64_t{sizeof(T)};
  int64_t fitting = cacheSizes().l2 / 3 / panelBytes;
  if (fitting > kMostPanels) fitting = kMostPanels;
  // Several units for each thread, so that none waits long for the last.
  const int64_t even = plan.panels * p.groups / (4 * int64_t{numThreads()});
  if (fitting > even) fitting = even;
  plan.groupPanels = fitting > 1 ? fitting : 1;
  plan.columnUnits = (plan.panels + plan.groupPanels - 1) / plan.groupPanels;
  const int64_t units = plan.columnUnits * p.groups;
  plan.rowUnits =
      units >= numThreads() ? 1 : lesser(plan.rowTiles, (numThreads() + units - 1) / units);
  return plan;
}

/// Whether the steps of k of one row lie side by side in the weight.
template <typename T>
bool tapsInOrder(const GatherProblem<T>& p) {
  int64_t stride = 1;
  for (int axis = kSpatial - 1; axis >= 0; --axis) {
    const TapAxis& taps = p.taps[axis];
    if (taps.count == 0 || taps.positions[0] != 0) return false;
    if (taps.positions[taps.count - 1] != taps.count - 1) return false;
    if (taps.count > 1 && p.weightAxis[axis] != stride) return false;
    stride *= taps.count;
  }
  return p.weightChannel == stride;
}

/// The weights of every tile in the order in which the kernel reads them: packed[step][row].
template <typename T>
void packTile(const GatherProblem<T>& p, const Plan& plan, int64_t group, int64_t tile, T* to) {
  const int64_t row = plan.firstRow(tile), rows = plan.firstRow(tile + 1) - row;
  const T* from = p.weight + group * p.weightGroup + row * p.weightRow;
  const int64_t products = p.channels * plan.taps;
  const bool inOrder = tapsInOrder(p);
  if (inOrder) {
    packRows(to, from, p.weightRow, 1, static_cast<int>(rows), products);
  } else {
    T* next = to;
    for (int64_t q = 0; q < p.channels; ++q) {
      for (int64_t d = 0; d < p.taps[0].count; ++d) {
        for (int64_t h = 0; h < p.taps[1].count; ++h) {
          for (int64_t w = 0; w < p.taps[2].count; ++w, next += rows) {
            const T* at = from + q * p.weightChannel + p.weightOffset(d, h, w);
            for (int64_t i = 0; i < rows; ++i) next[i] = at[i * p.weightRow];
          }
        }
      }
    }
  }
  if (!p.bias) return;
  for (int64_t i = 0; i < rows; ++i) {
    to[products * rows + i] = p.bias[group * p.rows + row + i];
  }
}

/// What one thread works with.
template <typename T>
struct Room {
  T* panels;
  Piece* pieces;
};

/// Gathers steps [begin, end) of one panel.
template <typename T>
void gatherPanel(const GatherProblem<T>& p, const Plan& plan, int64_t group, const Piece* pieces,
                 int64_t pieceCount, int64_t begin, int64_t end, T* to) {
  const int64_t products = p.channels * plan.taps;
  const int64_t stop = lesser(end, products);
  if (begin < stop) {
    gatherRows({pieces, pieceCount, plan.rowPieces, plan.taps}, begin, stop,
               p.sourceAt(0, group * p.channels), p.plane, p.stride[2], to, plan.panelWidth);
    to += (stop - begin) * plan.panelWidth;
  }
  if (end <= products) return;
  for (int64_t lane = 0; lane < plan.panelWidth; lane += kWidth<T>) {
    GemmVecOf<T>::set1(T(1)).store(to + lane);
  }
}

/// Whether the column matrix of an image is a part of the source as it stands: one tap, no stride,
/// no padding.
template <typename T>
bool isPlain(const GatherProblem<T>& p) {
  if (p.tapCount() != 1) return false;
  for (int axis = 0; axis < kSpatial; ++axis) {
    if (p.stride[axis] != 1 || p.taps[axis].offsets[0] != 0) return false;
    if (p.grid[axis] != p.extents[axis]) return false;
  }
  return true;
}

/// Copies steps [begin, end) of successive whole panels, so that memory is read in long runs.
template <typename T>
void copyPanels(const Plan& plan, const T* from, int64_t fromStep, int64_t panels, int64_t steps,
                T* to) {
  constexpr int64_t kAhead = 8;  // steps; the hardware does not foresee runs this short
  const int64_t width = plan.panelWidth, panelStep = width * plan.block;
  for (int64_t step = 0; step < steps; ++step, from += fromStep, to += width) {
    const T* const ahead = from + (step + kAhead < steps ? kAhead * fromStep : 0);
    for (int64_t panel = 0; panel < panels; ++panel) {
      __builtin_prefetch(ahead + panel * width, 0, 3);
      for (int64_t lane = 0; lane < width; lane += kWidth<T>) {
        GemmVecOf<T>::load(from + panel * width + lane).store(to + panel * panelStep + lane);
      }
    }
  }
}

/// Copies a tile to where its segments belong.
template <typename T>
void scatterTile(const GatherProblem<T>& p, const T* tile, int64_t tileStride, int64_t firstChannel,
                 int64_t rows, int64_t column, int64_t count, bool accumulate) {
  forSegments(p.grid, column, count,
              [&](int64_t lane, int64_t length, int64_t n, int64_t d, int64_t h, int64_t w) {
                const int64_t step = p.outStep[2];
                const int64_t offset = d * p.outStep[0] + h * p.outStep[1] + w * step;
                for (int64_t i = 0; i < rows; ++i) {
                  const T* from = tile + i * tileStride + lane;
                  T* to = p.outAt(n, firstChannel + i) + offset;
                  if (accumulate) {
                    for (int64_t j = 0; j < length; ++j) to[j * step] += from[j];
                  } else {
                    for (int64_t j = 0; j < length; ++j) to[j * step] = from[j];
                  }
                }
              });
}

/// Whether the grid is the whole of the result, so that columns of one image lie side by side.
template <typename T>
bool isDense(const GatherProblem<T>& p) {
  return p.outPlane == p.gridSize() && p.outStart == 0 && p.outStep[2] == 1;
}

template <typename T>
class Unit {
 public:
  Unit(const GatherProblem<T>& problem, const Plan& plan, const T* weights, const Room<T>& room)
      : p_(problem),
        plan_(plan),
        weights_(weights),
        room_(room),
        dense_(isDense(problem)),
        plain_(isPlain(problem)),
        firstTilePacks_(kFirstTilePacks && plain_ && dense_ && plan.panelVectors == kTileVectors) {}

  void compute(int64_t index, bool isLast) {
    rowUnit_ = index % plan_.rowUnits;
    index /= plan_.rowUnits;
    group_ = index / plan_.columnUnits;
    firstPanel_ = index % plan_.columnUnits * plan_.groupPanels;
    endPanel_ = lesser(firstPanel_ + plan_.groupPanels, plan_.panels);
    for (int64_t block = 0; block < plan_.blocks; ++block) {
      begin_ = block * plan_.steps / plan_.blocks;
      end_ = (block + 1) * plan_.steps / plan_.blocks;
      gather();
      fetch_ = fetchAfter(block, isLast);
      multiply();
    }
  }

 private:
  int64_t columnsOf(int64_t panel) const {
    return lesser(plan_.panelWidth, plan_.columns - panel * plan_.panelWidth);
  }
  T* panelAt(int64_t panel) const {
    return room_.panels + (panel - firstPanel_) * plan_.panelWidth * plan_.block;
  }

  void gather() const {
    const Taps taps = {p_.extents, p_.grid, p_.stride, p_.taps, p_.groups * p_.channels * p_.plane};
    for (int64_t panel = firstPanel_; panel < endPanel_; ++panel) {
      const int64_t whole = wholePanels(panel);
      if (whole > 0) {
        copyWhole(panel, whole);
        panel += whole - 1;
        continue;
      }
      const int64_t pieces = makePieces<T>(taps, panel * plan_.panelWidth, columnsOf(panel),
                                           plan_.panelWidth, room_.pieces, plan_.rowPieces);
      gatherPanel(p_, plan_, group_, room_.pieces, pieces, begin_, end_, panelAt(panel));
    }
  }

  /// How many panels from this one on lie in one image and can be copied as they are.
  int64_t wholePanels(int64_t panel) const {
    if (!plain_) return 0;
    const int64_t left = p_.plane - panel * plan_.panelWidth % p_.plane;
    return lesser(left / plan_.panelWidth, endPanel_ - panel);
  }

  /// The columns of a whole panel where they stand.
  const T* plainAt(int64_t panel) const {
    const int64_t column = panel * plan_.panelWidth;
    return p_.sourceAt(column / p_.plane, group_ * p_.channels + begin_) + column % p_.plane;
  }

  void copyWhole(int64_t panel, int64_t count) const {
    const int64_t stop = lesser(end_, p_.channels);
    if (!firstTilePacks_) {
      copyPanels(plan_, plainAt(panel), p_.plane, count, stop - begin_, panelAt(panel));
    }
    if (end_ == stop) return;
    for (int64_t i = 0; i < count; ++i) {
      T* const ones = panelAt(panel + i) + (stop - begin_) * plan_.panelWidth;
      for (int64_t lane = 0; lane < plan_.panelWidth; lane += kWidth<T>) {
        GemmVecOf<T>::set1(T(1)).store(ones + lane);
      }
    }
  }

  /// What is gathered after this block: the next block of k, or the next group of panels.
  Fetch fetchAfter(int64_t block, bool isLast) const {
    int64_t panel = firstPanel_, next = block + 1;
    if (next == plan_.blocks) {
      if (isLast || endPanel_ == plan_.panels || plan_.rowUnits > 1) return {};
      panel = endPanel_;
      next = 0;
    }
    const int64_t size = p_.gridSize(), taps = plan_.taps;
    const int64_t column = panel * plan_.panelWidth, image = column / size;
    const int64_t begin = column - image * size;
    const int64_t end = lesser(begin + plan_.groupPanels * plan_.panelWidth, size);
    const int64_t firstChannel = next * plan_.steps / plan_.blocks / taps;
    const int64_t endChannel =
        lesser(((next + 1) * plan_.steps / plan_.blocks + taps - 1) / taps, p_.channels);
    return Fetch(p_, p_.sourceAt(image, group_ * p_.channels + firstChannel),
                 endChannel - firstChannel, begin, end, plan_.rowTiles * (endPanel_ - firstPanel_));
  }

  void multiply() {
    const int64_t firstTile = rowUnit_ * plan_.rowTiles / plan_.rowUnits;
    const int64_t endTile = (rowUnit_ + 1) * plan_.rowTiles / plan_.rowUnits;
    TileCallOf<T> call;
    call.k = end_ - begin_;
    call.rowStride = 1;
    call.columnStep = plan_.panelWidth;
    call.bias = nullptr;
    call.lastLanes = kWidth<T>;
    T* whole[kMostPanels];
    for (int64_t panel = firstPanel_; panel < endPanel_; ++panel) {
      whole[panel - firstPanel_] = wholeAt(panel);
    }
    call.ldc = p_.outPlane;
    call.accumulate = begin_ > 0;
    for (int64_t tile = firstTile; tile < endTile; ++tile) {
      const int64_t row = plan_.firstRow(tile), rows = plan_.firstRow(tile + 1) - row;
      const TileKernelOf<T> kernel = tileKernelFor<T>(
          static_cast<int>(rows), static_cast<int>(plan_.panelVectors), true, false);
      call.rows = weights_ + (group_ * p_.rows + row) * plan_.steps + begin_ * rows;
      call.rowStep = rows;
      call.columns = room_.panels;
      for (int64_t panel = firstPanel_; panel < endPanel_; ++panel) {
        fetch_.some();
        T* const to = whole[panel - firstPanel_];
        if (to) {
          call.c = to + row * p_.outPlane;
          if (tile == firstTile && firstTilePacks_) {
            multiplyFirst(call, kernel, panel, rows);
          } else {
            kernel(call);
          }
        } else {
          multiplyApart(kernel, call, panel, group_ * p_.rows + row, rows);
        }
        call.columns += plan_.panelWidth * plan_.block;
      }
    }
  }

  /// Where the result of a panel begins, of row 0, if a tile can be stored there as it is.
  T* wholeAt(int64_t panel) const {
    const int64_t column = panel * plan_.panelWidth, size = p_.gridSize();
    const int64_t n = column / size, at = column % size;
    if (!dense_ || at + plan_.panelWidth > size) return nullptr;
    return p_.outAt(n, group_ * p_.rows) + at;
  }

  /// The first tile copies its panel; the ones of the bias are there already.
  void multiplyFirst(TileCallOf<T> call, TileKernelOf<T> kernel, int64_t panel,
                     int64_t rows) const {
    const int64_t products = lesser(end_, p_.channels) - begin_;
    T* const packed = panelAt(panel);
    call.columns = plainAt(panel);
    call.columnStep = p_.plane;
    call.k = products;
    call.rowStride = 1;
    firstTileKernelFor<T>(static_cast<int>(rows), 1, p_.plane)({call, 1, packed});
    if (products == end_ - begin_) return;
    call.columns = packed + products * plan_.panelWidth;
    call.columnStep = plan_.panelWidth;
    call.rows += products * rows;
    call.k = 1;
    call.accumulate = true;
    kernel(call);
  }

  void multiplyApart(TileKernelOf<T> kernel, TileCallOf<T> call, int64_t panel, int64_t channel,
                     int64_t rows) const {
    alignas(kAlignment) T tile[kTileRows * kTileVectors * kWidth<T>];
    static_assert(kWideTileRows * kWideVectors <= kTileRows * kTileVectors, "the tile must fit");
    call.c = tile;
    call.ldc = plan_.panelWidth;
    call.accumulate = false;
    kernel(call);
    scatterTile(p_, tile, plan_.panelWidth, channel, rows, panel * plan_.panelWidth,
                columnsOf(panel), begin_ > 0);
  }

  const GatherProblem<T>& p_;
  const Plan& plan_;
  const T* weights_;
  Room<T> room_;
  bool dense_, plain_, firstTilePacks_;
  Fetch fetch_;
  int64_t group_ = 0, rowUnit_ = 0, firstPanel_ = 0, endPanel_ = 0, begin_ = 0, end_ = 0;
};

}  // namespace

template <typename T>
bool gatherByProduct(const GatherProblem<T>& p) {
  if (p.batch * p.groups * p.rows * p.gridSize() == 0) return true;
  const Plan plan = makePlan(p);
  const Scratch weights(static_cast<size_t>(p.groups * p.rows * plan.steps) * sizeof(T));
  if (!weights.ok()) return false;
  T* const packed = weights.as<T>();
  const int64_t tileWork = plan.tileRows * plan.steps + 1;
  parallelFor(p.groups * plan.rowTiles, kThreadWork / 4 / tileWork + 1, 1,
              [&](int64_t begin, int64_t end) {
                for (int64_t i = begin; i < end; ++i) {
                  const int64_t group = i / plan.rowTiles, tile = i % plan.rowTiles;
                  packTile(p, plan, group, tile,
                           packed + (group * p.rows + plan.firstRow(tile)) * plan.steps);
                }
              });
  const size_t panelBytes = static_cast<size_t>(roundUp(
                                plan.groupPanels * plan.panelWidth * plan.block + kWidth<T>, 16)) *
                            sizeof(T);
  const size_t pieceBytes = static_cast<size_t>(plan.taps * plan.rowPieces) * sizeof(Piece);
  const int64_t units = p.groups * plan.columnUnits * plan.rowUnits;
  const int64_t unitWork = p.batch * p.groups * p.rows * p.gridSize() / units * (plan.steps + 1);
  bool ok = true;
  parallelFor(units, kThreadWork / (unitWork + 1) + 1, 1, [&](int64_t begin, int64_t end) {
    const Scratch memory(panelBytes + pieceBytes);
    if (!memory.ok()) {
      __atomic_store_n(&ok, false, __ATOMIC_RELAXED);
      return;
    }
    const Room<T> room = {memory.as<T>(), reinterpret_cast<Piece*>(memory.as<char>() + panelBytes)};
    Unit<T> unit(p, plan, packed, room);
    for (int64_t i = begin; i < end; ++i) unit.compute(i, i + 1 == end);
  });
  return ok;
}

template bool gatherByProduct(const GatherProblem<float>& problem);
template bool gatherByProduct(const GatherProblem<double>& problem);

}  // namespace KINDLING_ISA
}  // namespace kindling
