// The gradient of a convolution's weight as a matrix product: (channel, tap) rows times filters,
// summed over the positions of all images. Blocks of positions are gathered as rows; the gradient
// is transposed, so that the tile kernels read it by vectors along the filters. The positions are
// cut into chunks by the shapes alone, and their sums are added in order, so that the result does
// not depend on the number of threads.

#include "cpu/convolution.h"
#include "cpu/convolution_pieces.h"
#include "cpu/gemm.h"
#include "cpu/gemm_microkernel.h"
#include "cpu/gemm_pack.h"
#include "cpu/parallel.h"
#include "cpu/scratch.h"

namespace kindling {
namespace KINDLING_ISA {
namespace {

template <typename T>
constexpr int kWidth = GemmVecOf<T>::width;
constexpr int64_t kMostBlock = 256;       // positions at a time
constexpr int64_t kMostRows = 16;         // tiles of rows in one unit
constexpr int64_t kUnits = 32;            // worth having, for many threads
constexpr int64_t kLeastChunk = 2048;     // positions
constexpr int64_t kMostSums = 1 << 22;    // floats of all chunks
constexpr int64_t kThreadWork = 1 << 18;  // multiply-adds

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

  int64_t sums() const { return rows * lanes; }  // floats of one chunk of one group
};

template <typename T>
Plan makePlan(const ConvShape& shape) {
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
  return plan;
}

/// What one thread works with.
template <typename T>
struct Room {
  T *rows, *grads;
  Piece* pieces;
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
    const int64_t begin = chunk * plan_.positions / plan_.chunks;
    const int64_t end = (chunk + 1) * plan_.positions / plan_.chunks;
    for (int64_t at = begin; at < end; at += plan_.block) {
      const int64_t count = lesser(plan_.block, end - at);
      gatherRows(at, count);
      transposeGrads(at, count);
      multiply(count, at > begin, sums);
    }
  }

 private:
  void gatherRows(int64_t at, int64_t count) const {
    const int64_t plane = shape_.inputPlane;
    const Taps taps = {shape_.input, shape_.output, shape_.stride, taps_,
                       shape_.groups * shape_.channels * plane};
    const int64_t pieces = makePieces<T>(taps, at, count, count, room_.pieces, plan_.rowPieces);
    T* to = room_.rows;
    for (int64_t row = firstRow_; row < endRow_; ++row, to += plan_.stride) {
      const int64_t channel = group_ * shape_.channels + row / shape_.taps;
      gatherRow(to, room_.pieces + row % shape_.taps * plan_.rowPieces, pieces,
                problem_.source + channel * plane, shape_.stride[2]);
    }
  }

  /// grads[position][filter], padded with zeros to whole vectors.
  void transposeGrads(int64_t at, int64_t count) const {
    const int64_t plane = shape_.outputPlane;
    for (int64_t lane = 0; lane < count;) {
      const int64_t n = (at + lane) / plane, p = (at + lane) % plane;
      const int64_t length = lesser(count - lane, plane - p);
      const T* from = problem_.grad + (n * shape_.groups + group_) * shape_.filters * plane + p;
      for (int64_t filter = 0; filter < shape_.filters; filter += kWidth<T>) {
        packLanes(room_.grads + lane * plan_.lanes + filter, plan_.lanes, from + filter * plane,
                  plane, 1, static_cast<int>(lesser(kWidth<T>, shape_.filters - filter)), kWidth<T>,
                  length);
      }
      lane += length;
    }
  }

  void multiply(int64_t count, bool accumulate, T* sums) const {
    TileCallOf<T> call;
    call.k = count;
    call.rowStride = plan_.stride;
    call.rowStep = 1;
    call.columnStep = plan_.lanes;
    call.ldc = plan_.lanes;
    call.bias = nullptr;
    call.accumulate = accumulate;
    call.lastLanes = kWidth<T>;
    const int64_t rows = endRow_ - firstRow_, tiles = ceilOf(rows, plan_.tallest);
    const int64_t width = plan_.panelVectors * kWidth<T>;
    for (int64_t tile = 0; tile < tiles; ++tile) {
      const int64_t row = tile * rows / tiles, height = (tile + 1) * rows / tiles - row;
      call.rows = room_.rows + row * plan_.stride;
      for (int64_t lane = 0; lane < plan_.lanes; lane += width) {
        const int64_t vectors = lesser(width, plan_.lanes - lane) / kWidth<T>;
        call.columns = room_.grads + lane;
        call.c = sums + (firstRow_ + row) * plan_.lanes + lane;
        tileKernelFor<T>(static_cast<int>(height), static_cast<int>(vectors), false, false)(call);
      }
    }
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

/// Whether the column matrix of an image is the image: one tap, no stride, no padding. A short
/// plane would be all loads and stores of the sums.
bool isPointwise(const ConvShape& shape) {
  constexpr int64_t kLeastPlane = 96;
  if (shape.taps != 1 || shape.outputPlane < kLeastPlane) return false;
  for (int axis = 0; axis < kSpatial; ++axis) {
    if (shape.stride[axis] != 1 || shape.padding[axis] != 0) return false;
    if (shape.input[axis] != shape.output[axis]) return false;
  }
  return true;
}

/// The sum over images of gradient times source transposed, as products of the matrices where they
/// stand. Images are shared out in chunks whose number depends on the shape alone.
template <typename T>
bool weightPointwise(const WeightProblem<T>& problem) {
  const ConvShape& shape = *problem.shape;
  const int64_t m = shape.filters, n = shape.channels, k = shape.outputPlane;
  const int64_t total = shape.groups * m * n;
  int64_t chunks = lesser(shape.batch, ceilOf(kUnits, shape.groups));
  chunks = lesser(chunks, kMostSums / total);
  if (chunks < 1) chunks = 1;
  const Scratch memory(chunks > 1 ? static_cast<size_t>(chunks * total) * sizeof(T) : 0);
  if (!memory.ok()) return false;
  T* const sums = chunks > 1 ? memory.as<T>() : problem.out;
  const int64_t work = ceilOf(shape.batch, chunks) * m * n * k + 1;
  bool ok = true;
  parallelFor(shape.groups * chunks, kThreadWork / work + 1, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t group = i / chunks, chunk = i % chunks;
      const int64_t first = chunk * shape.batch / chunks;
      T* const to = sums + chunk * total + group * m * n;
      for (int64_t image = first; image < (chunk + 1) * shape.batch / chunks; ++image) {
        const int64_t at = image * shape.groups + group;
        GemmEpilogueOf<T> epilogue;
        epilogue.accumulate = image > first;
        const bool done = gemm(m, n, k, problem.grad + at * m * k, k, 1,
                               problem.source + at * n * k, 1, k, to, n, epilogue);
        if (!done) __atomic_store_n(&ok, false, __ATOMIC_RELAXED);
      }
    }
  });
  if (!ok || chunks == 1) return ok;
  parallelFor(total, 16384, 16, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      T sum = sums[i];
      for (int64_t chunk = 1; chunk < chunks; ++chunk) sum += sums[chunk * total + i];
      problem.out[i] = sum;
    }
  });
  return true;
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
  if (isPointwise(shape)) return weightPointwise(problem);
  const Plan plan = makePlan<T>(shape);
  const ForwardTaps taps(shape);
  const Scratch sums(static_cast<size_t>(shape.groups * plan.chunks * plan.sums()) * sizeof(T));
  if (!taps.ok() || !sums.ok()) return false;
  const size_t rowBytes = static_cast<size_t>(plan.unitRows * plan.stride) * sizeof(T);
  const size_t gradBytes = static_cast<size_t>(plan.block * plan.lanes) * sizeof(T);
  const size_t pieceBytes = static_cast<size_t>(shape.taps * plan.rowPieces) * sizeof(Piece);
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
    const Room<T> room = {reinterpret_cast<T*>(base), reinterpret_cast<T*>(base + rowBytes),
                          reinterpret_cast<Piece*>(base + rowBytes + gradBytes)};
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
