// The gradient of a convolution's weight as a matrix product: (channel, tap) rows times filters,
// summed over the positions of all images. The rows are shifts of padded planes, or, where those
// would not fit the cache, gathered block by block of positions; the gradient is transposed, so
// that the tile kernels read it by vectors along the filters. The positions are cut into chunks by
// the shapes alone, and their sums are added in order, so that the result does not depend on the
// number of threads.

#include <type_traits>

#include "core/cpu_features.h"
#include "cpu/convolution.h"
#include "cpu/convolution_pieces.h"
#include "cpu/convolution_plane.h"
#include "cpu/convolution_shift_tile.h"
#include "cpu/gemm_microkernel.h"
#include "cpu/gemm_pack.h"
#include "cpu/parallel.h"
#include "cpu/scratch.h"

namespace kindling {
namespace KINDLING_ISA {
namespace {

template <typename T>
constexpr int kWidth = GemmVecOf<T>::width;
template <typename T>
constexpr int64_t kLine = 64 / sizeof(T);  // elements of a cache line
constexpr int64_t kMostBlock = 512;        // positions at a time
constexpr int64_t kMostRows = 16;          // tiles of rows in one unit
constexpr int64_t kUnits = 32;             // worth having, for many threads
constexpr int64_t kLeastChunk = 2048;      // positions
constexpr int64_t kMostSums = 1 << 22;     // elements of all chunks
constexpr int64_t kThreadWork = 1 << 18;   // multiply-adds

int64_t lesser(int64_t x, int64_t y) { return x < y ? x : y; }
int64_t ceilOf(int64_t x, int64_t y) { return (x + y - 1) / y; }

struct Plan {
  int64_t positions, rows;        // summed over; channels times taps
  int64_t lanes;                  // filters, in whole vectors
  int64_t panelVectors, tallest;  // of a tile
  int64_t block, stride;          // positions gathered at a time; from row to row of them
  int64_t unitRows, rowUnits;     // rows of one unit
  int64_t chunks;                 // of positions
  int64_t rowPieces;
  bool shifted;  // rows are shifts of `plane`, blocks are whole rows of the gradient
  Padded plane;
  int64_t planeChannels;  // that the rows of one unit reach

  int64_t sums() const { return rows * lanes; }  // floats of one chunk of one group
  int64_t firstPosition(const ConvShape& shape, int64_t chunk) const {
    const int64_t grain = shifted ? shape.output[2] : 1;
    return chunk * (positions / grain) / chunks * grain;
  }
};

/// Padded planes instead of gathered rows: with several taps, whose rows repeat what they read.
void planPlanes(const ConvShape& shape, const TapAxis* taps, Plan* plan) {
  GatherProblem<float> grid = {};
  for (int axis = 0; axis < kSpatial; ++axis) {
    grid.grid[axis] = shape.output[axis];
    grid.stride[axis] = shape.stride[axis];
    grid.taps[axis] = taps[axis];
  }
  plan->shifted =
      shape.taps > 1 && plan->panelVectors <= kTileVectors && layOut(&grid, 1, &plan->plane);
  if (!plan->shifted) return;
  plan->planeChannels = lesser((plan->unitRows - 2) / shape.taps + 2, shape.channels);
  plan->shifted = plan->planeChannels * plan->plane.size * 4 <= cacheSizes().l3;
  if (!plan->shifted) return;
  const int64_t height = plan->block / shape.output[2];
  plan->block = (height > 1 ? height : 1) * shape.output[2];
}

template <typename T>
Plan makePlan(const ConvShape& shape, const TapAxis* taps) {
  Plan plan;
  plan.positions = shape.batch * shape.outputPlane;
  plan.rows = shape.channels * shape.taps;
  plan.lanes = ceilOf(shape.filters, kWidth<T>) * kWidth<T>;
  const bool wide = plan.rows <= kWideTileRows;
  plan.panelVectors = wide ? kWideVectors : kTileVectors;
  plan.tallest = wide ? kWideTileRows : kTileRows;
  plan.block = lesser(kMostBlock, lesser(plan.positions, 65536 / plan.lanes / 16 * 16));
  if (plan.block < 64) plan.block = lesser(64, plan.positions);
  // Not a multiple of a large power of two, which would put all rows into the same cache sets.
  plan.stride = ceilOf(plan.block, 16) * 16 + 16;
  plan.unitRows = lesser(plan.rows, kMostRows * plan.tallest);
  plan.rowUnits = ceilOf(plan.rows, plan.unitRows);
  plan.unitRows = ceilOf(plan.rows, plan.rowUnits);
  plan.chunks = ceilOf(kUnits, shape.groups * plan.rowUnits);
  plan.chunks = lesser(plan.chunks, plan.positions / kLeastChunk);
  plan.chunks = lesser(plan.chunks, kMostSums / (shape.groups * plan.sums()));
  if (plan.chunks < 1) plan.chunks = 1;
  plan.rowPieces = mostPieces<T>(shape.output[2], plan.block, plan.block);
  plan.shifted = false;
  if (std::is_same<T, float>::value) planPlanes(shape, taps, &plan);
  return plan;
}

/// What one thread works with.
template <typename T>
struct Room {
  T *rows, *grads;   // rows: or planes, which hold zeros where the padding is
  Piece* pieces;     // or, for planes, nullptr
  int64_t* offsets;  // of the rows in the planes, or nullptr

  static size_t rowElements(const Plan& plan) {
    return static_cast<size_t>(plan.shifted ? plan.planeChannels * plan.plane.size + 2 * kWidth<T>
                                            : plan.unitRows * plan.stride);
  }
};

template <typename T>
class Unit {
 public:
  Unit(const WeightProblem<T>& problem, const Plan& plan, const TapAxis* taps, const Room<T>& room)
      : problem_(problem), shape_(*problem.shape), plan_(plan), taps_(taps), room_(room) {}

  /// The sums of some rows over one chunk.
  void compute(int64_t group, int64_t firstRow, int64_t endRow, int64_t chunk, T* sums) {
    group_ = group;
    firstRow_ = firstRow;
    endRow_ = endRow;
    const int64_t begin = plan_.firstPosition(shape_, chunk);
    const int64_t end = plan_.firstPosition(shape_, chunk + 1);
    if constexpr (std::is_same<T, float>::value) {
      if (plan_.shifted) return computeShifted(begin, end, sums);
    }
    for (int64_t at = begin; at < end; at += plan_.block) {
      const int64_t count = lesser(plan_.block, end - at);
      gatherRows(at, count);
      transposeGrads(at, count);
      multiply(count, at > begin, sums);
    }
  }

 private:
  void computeShifted(int64_t begin, int64_t end, T* sums) const {
    setOffsets();
    const int64_t width = shape_.output[2], slice = shape_.output[1] * width;
    int64_t image = -1;
    for (int64_t at = begin, count; at < end; at += count) {
      // A block lies in one slice of one image, so that its rows are equally far apart.
      count = lesser(lesser(plan_.block, end - at), slice - at % slice);
      const int64_t n = at / shape_.outputPlane, inside = at % shape_.outputPlane;
      if (n != image) fillPlanes(n);
      image = n;
      transposeGrads(at, count);
      const int64_t row = plan_.plane.rowOf(inside / slice, inside % slice / width);
      multiplyShifted(room_.rows + row, count / width, at > begin, sums);
    }
  }

  void setOffsets() const {
    const int64_t first = firstRow_ / shape_.taps;
    for (int64_t row = firstRow_; row < endRow_; ++row) {
      const int64_t tap = row % shape_.taps, w = tap % shape_.kernel[2];
      const int64_t h = tap / shape_.kernel[2] % shape_.kernel[1];
      const int64_t d = tap / shape_.kernel[2] / shape_.kernel[1];
      room_.offsets[row - firstRow_] =
          (row / shape_.taps - first) * plan_.plane.size +
          plan_.plane.offsetOf(taps_[0].offsets[d], taps_[1].offsets[h], taps_[2].offsets[w]);
    }
  }

  void fillPlanes(int64_t n) const {
    const int64_t first = firstRow_ / shape_.taps, last = (endRow_ - 1) / shape_.taps;
    for (int64_t q = first; q <= last; ++q) {
      const int64_t channel = (n * shape_.groups + group_) * shape_.channels + q;
      fillPlane(plan_.plane, problem_.source + channel * shape_.inputPlane, shape_.input,
                room_.rows + (q - first) * plan_.plane.size);
    }
  }

  void multiplyShifted(const T* planes, int64_t height, bool accumulate, T* sums) const {
    const int64_t width = plan_.panelVectors * kWidth<T>;
    const ShiftCall block = {
        height, shape_.output[2], plan_.plane.pitch, planes,    nullptr, room_.grads,
        width,  nullptr,          plan_.lanes,       accumulate};
    forTiles([&](int64_t row, int64_t rows, int64_t lane, int64_t vectors) {
      ShiftCall call = block;
      call.offsets = room_.offsets + row;
      call.columns = room_.grads + lane * plan_.block;
      call.c = sums + (firstRow_ + row) * plan_.lanes + lane;
      shiftKernelFor(rows, vectors)(call);
    });
  }

  /// Calls visit(first row, rows, first lane, vectors) for every tile of the unit.
  template <typename Visit>
  void forTiles(const Visit& visit) const {
    const int64_t rows = endRow_ - firstRow_, tiles = ceilOf(rows, plan_.tallest);
    const int64_t width = plan_.panelVectors * kWidth<T>;
    for (int64_t tile = 0; tile < tiles; ++tile) {
      const int64_t row = tile * rows / tiles, height = (tile + 1) * rows / tiles - row;
      for (int64_t lane = 0; lane < plan_.lanes; lane += width) {
        visit(row, height, lane, lesser(width, plan_.lanes - lane) / kWidth<T>);
      }
    }
  }

  void gatherRows(int64_t at, int64_t count) const {
    const int64_t plane = shape_.inputPlane;
    const Taps taps = {shape_.input, shape_.output, shape_.stride, taps_,
                       shape_.groups * shape_.channels * plane};
    const int64_t pieces = makePieces<T>(taps, at, count, count, room_.pieces, plan_.rowPieces);
    const PieceTable table = {room_.pieces, pieces, plan_.rowPieces, shape_.taps};
    kindling::KINDLING_ISA::gatherRows(table, firstRow_, endRow_,
                                       problem_.source + group_ * shape_.channels * plane, plane,
                                       shape_.stride[2], room_.rows, plan_.stride);
  }

  /// grads[panel][position][filter], padded with zeros to whole vectors: what a tile reads lies
  /// side by side and does not collide in the cache.
  void transposeGrads(int64_t at, int64_t count) const {
    const int64_t plane = shape_.outputPlane, width = plan_.panelVectors * kWidth<T>;
    for (int64_t lane = 0; lane < count;) {
      const int64_t n = (at + lane) / plane, p = (at + lane) % plane;
      const int64_t length = lesser(count - lane, plane - p);
      const T* from = problem_.grad + (n * shape_.groups + group_) * shape_.filters * plane + p;
      for (int64_t filter = 0; filter < shape_.filters; filter += kWidth<T>) {
        prefetchGrads(from + (filter + kWidth<T>)*plane, shape_.filters - filter - kWidth<T>,
                      length);
        T* const panel = room_.grads + filter / width * width * plan_.block;
        packLanes(panel + lane * width + filter % width, width, from + filter * plane, plane, 1,
                  static_cast<int>(lesser(kWidth<T>, shape_.filters - filter)), kWidth<T>, length);
      }
      lane += length;
    }
  }

  /// The next filters' rows, which lie too far apart for the hardware to foresee.
  void prefetchGrads(const T* from, int64_t filters, int64_t length) const {
    for (int64_t i = 0; i < lesser(filters, kWidth<T>); ++i) {
      for (int64_t p = 0; p < length; p += kLine<T>) {
        __builtin_prefetch(from + i * shape_.outputPlane + p, 0, 2);
      }
    }
  }

  void multiply(int64_t count, bool accumulate, T* sums) const {
    TileCallOf<T> call;
    call.k = count;
    call.rowStride = plan_.stride;
    call.rowStep = 1;
    call.ldc = plan_.lanes;
    call.bias = nullptr;
    call.accumulate = accumulate;
    call.lastLanes = kWidth<T>;
    call.columnStep = plan_.panelVectors * kWidth<T>;
    forTiles([&](int64_t row, int64_t rows, int64_t lane, int64_t vectors) {
      call.rows = room_.rows + row * plan_.stride;
      call.columns = room_.grads + lane * plan_.block;
      call.c = sums + (firstRow_ + row) * plan_.lanes + lane;
      tileKernelFor<T>(static_cast<int>(rows), static_cast<int>(vectors), false, false)(call);
    });
  }

  const WeightProblem<T>& problem_;
  const ConvShape& shape_;
  const Plan& plan_;
  const TapAxis* taps_;
  Room<T> room_;
  int64_t group_ = 0, firstRow_ = 0, endRow_ = 0;
};

/// Adds the chunks up in order, and brings the rows to the weight's layout.
template <typename T>
void finish(const WeightProblem<T>& problem, const Plan& plan, const T* sums) {
  const ConvShape& shape = *problem.shape;
  const int64_t filters = shape.groups * shape.filters;
  parallelFor(filters, 16384 / (plan.rows * plan.chunks) + 1, 1, [&](int64_t begin, int64_t end) {
    for (int64_t filter = begin; filter < end; ++filter) {
      const T* from =
          sums + filter / shape.filters * plan.chunks * plan.sums() + filter % shape.filters;
      T* to = problem.out + filter * plan.rows;
      for (int64_t row = 0; row < plan.rows; ++row) {
        T total = from[row * plan.lanes];
        for (int64_t chunk = 1; chunk < plan.chunks; ++chunk) {
          total += from[chunk * plan.sums() + row * plan.lanes];
        }
        to[row] = total;
      }
    }
  });
}

}  // namespace

template <typename T>
bool weightByProduct(const WeightProblem<T>& problem) {
  const ConvShape& shape = *problem.shape;
  const int64_t elements = shape.groups * shape.filters * shape.channels * shape.taps;
  if (elements == 0) return true;
  if (shape.batch * shape.outputPlane == 0) {
    for (int64_t i = 0; i < elements; ++i) problem.out[i] = T(0);
    return true;
  }
  if (weightIsPointwise(shape)) return weightPointwise(problem);
  const ForwardTaps taps(shape);
  if (!taps.ok()) return false;
  const Plan plan = makePlan<T>(shape, taps.axes());
  const Scratch sums(static_cast<size_t>(shape.groups * plan.chunks * plan.sums()) * sizeof(T));
  if (!sums.ok()) return false;
  const size_t rowBytes =
      (Room<T>::rowElements(plan) + kWidth<T> - 1) / kWidth<T> * kWidth<T> * sizeof(T);
  const int64_t panels = ceilOf(plan.lanes, plan.panelVectors * kWidth<T>);
  const size_t gradBytes =
      static_cast<size_t>(plan.block * panels * plan.panelVectors * kWidth<T>) * sizeof(T);
  const size_t pieceBytes = plan.shifted
                                ? static_cast<size_t>(plan.unitRows) * sizeof(int64_t)
                                : static_cast<size_t>(shape.taps * plan.rowPieces) * sizeof(Piece);
  const int64_t units = shape.groups * plan.chunks * plan.rowUnits;
  const int64_t unitWork = plan.unitRows * plan.lanes * (plan.positions / plan.chunks) + 1;
  bool ok = true;
  parallelFor(units, kThreadWork / unitWork + 1, 1, [&](int64_t begin, int64_t end) {
    const Scratch memory(rowBytes + gradBytes + pieceBytes);
    if (!memory.ok()) {
      __atomic_store_n(&ok, false, __ATOMIC_RELAXED);
      return;
    }
    char* const base = memory.as<char>();
    char* const rest = base + rowBytes + gradBytes;
    const Room<T> room = {reinterpret_cast<T*>(base), reinterpret_cast<T*>(base + rowBytes),
                          plan.shifted ? nullptr : reinterpret_cast<Piece*>(rest),
                          plan.shifted ? reinterpret_cast<int64_t*>(rest) : nullptr};
    if (plan.shifted) __builtin_memset(room.rows, 0, rowBytes);
    Unit<T> unit(problem, plan, taps.axes(), room);
    for (int64_t i = begin; i < end; ++i) {
      const int64_t rowUnit = i % plan.rowUnits, chunk = i / plan.rowUnits % plan.chunks;
      const int64_t group = i / plan.rowUnits / plan.chunks;
      const int64_t first = rowUnit * plan.unitRows;
      unit.compute(group, first, lesser(first + plan.unitRows, plan.rows), chunk,
                   sums.as<T>() + (group * plan.chunks + chunk) * plan.sums());
    }
  });
  if (ok) finish(problem, plan, sums.as<T>());
  return ok;
}

template bool weightByProduct(const WeightProblem<float>& problem);
template bool weightByProduct(const WeightProblem<double>& problem);

}  // namespace KINDLING_ISA
}  // namespace kindling
