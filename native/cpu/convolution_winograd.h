#pragma once
// Winograd's algorithms F(4x4, 3x3) and F(3x3, 4x4), by the points 0, ±a, ±b and infinity: a tile
// of 6x6 positions takes 36 products for each pair of channels, where plain sums take 144. Tiles
// are transformed by vectors along the channels, so that what is left is 36 matrix products.
//
// Differences of sums lose digits: with these points the error stays within what the tests allow
// plain sums, 2e-6 of the sum of magnitudes. A value that is not finite makes its whole tile NaN,
// so where a result is not finite, the caller computes it again by plain sums: infinities and NaN
// end where they belong.

#include <cstdint>

#include "cpu/convolution.h"
#include "cpu/gemm_microkernel.h"
#include "cpu/gemm_pack.h"

namespace kindling {
namespace KINDLING_ISA {

constexpr int kTile = 6;     // positions of a transformed tile along one axis
constexpr int kOutputs = 4;  // of the result
constexpr int kPoints = kTile * kTile;
constexpr int kLanes = GemmVec::width;

// a * b = 1 saves a product, and these lose fewest digits.
constexpr float kA = 0.70710678118654752f, kB = 1.41421356237309505f;
constexpr float kA2 = 0.5f, kB2 = 2.0f, kA3 = kA * kA2, kB3 = kB * kB2;
constexpr float kScaleA = 1.0f / (2 * kA2 * (kA2 - kB2)), kScaleB = 1.0f / (2 * kB2 * (kB2 - kA2));

KINDLING_INLINE GemmVec addScaled(GemmVec x, float scale, GemmVec y) {
  return fma(GemmVec::set1(scale), y, x);
}
KINDLING_INLINE GemmVec scaled(float scale, GemmVec x) {
  return fma(GemmVec::set1(scale), x, GemmVec::zero());
}

// One axis of a transform each: kIn vectors to kOut.

struct SourceLine {
  static constexpr int kIn = kTile, kOut = kTile;
  static KINDLING_INLINE void apply(const GemmVec* d, GemmVec* r) {
    const GemmVec evenA = addScaled(d[4], -kB2, d[2]), oddA = addScaled(d[3], -kB2, d[1]);
    const GemmVec evenB = addScaled(d[4], -kA2, d[2]), oddB = addScaled(d[3], -kA2, d[1]);
    r[0] = addScaled(d[0] + d[4], -(kA2 + kB2), d[2]);
    r[1] = addScaled(evenA, kA, oddA);
    r[2] = addScaled(evenA, -kA, oddA);
    r[3] = addScaled(evenB, kB, oddB);
    r[4] = addScaled(evenB, -kB, oddB);
    r[5] = addScaled(d[1] + d[5], -(kA2 + kB2), d[3]);
  }
};

struct WeightLine {
  static constexpr int kIn = 3, kOut = kTile;
  static KINDLING_INLINE void apply(const GemmVec* g, GemmVec* r) {
    const GemmVec evenA = addScaled(scaled(kScaleA, g[0]), kScaleA * kA2, g[2]);
    const GemmVec evenB = addScaled(scaled(kScaleB, g[0]), kScaleB * kB2, g[2]);
    r[0] = g[0];
    r[1] = addScaled(evenA, kScaleA * kA, g[1]);
    r[2] = addScaled(evenA, -kScaleA * kA, g[1]);
    r[3] = addScaled(evenB, kScaleB * kB, g[1]);
    r[4] = addScaled(evenB, -kScaleB * kB, g[1]);
    r[5] = g[2];
  }
};

struct GradLine {
  static constexpr int kIn = kOutputs, kOut = kTile;
  static KINDLING_INLINE void apply(const GemmVec* g, GemmVec* r) {
    const GemmVec evenA = addScaled(scaled(kScaleA, g[0]), kScaleA * kA2, g[2]);
    const GemmVec evenB = addScaled(scaled(kScaleB, g[0]), kScaleB * kB2, g[2]);
    const GemmVec oddA = addScaled(g[1], kA2, g[3]), oddB = addScaled(g[1], kB2, g[3]);
    r[0] = g[0];
    r[1] = addScaled(evenA, kScaleA * kA, oddA);
    r[2] = addScaled(evenA, -kScaleA * kA, oddA);
    r[3] = addScaled(evenB, kScaleB * kB, oddB);
    r[4] = addScaled(evenB, -kScaleB * kB, oddB);
    r[5] = g[3];
  }
};

/// Back from the points: to 4 positions of a result, or 3 taps of a weight.
template <int kCount>
struct ResultLine {
  static constexpr int kIn = kTile, kOut = kCount;
  static KINDLING_INLINE void apply(const GemmVec* m, GemmVec* y) {
    const GemmVec sumA = m[1] + m[2], differenceA = addScaled(m[1], -1.0f, m[2]);
    const GemmVec sumB = m[3] + m[4], differenceB = addScaled(m[3], -1.0f, m[4]);
    y[0] = m[0] + sumA + sumB;
    y[1] = addScaled(scaled(kA, differenceA), kB, differenceB);
    y[2] = addScaled(scaled(kA2, sumA), kB2, sumB);
    if (kCount == 4) y[3] = addScaled(scaled(kA3, differenceA), kB3, differenceB);
    y[kCount - 1] = y[kCount - 1] + m[5];
  }
};

/// Transforms a square along both axes: load(i, j) gives row i and column j, store(i, j, vector)
/// takes them.
template <typename Line, typename Load, typename Store>
KINDLING_INLINE void transformSquare(const Load& load, const Store& store) {
  constexpr int kIn = Line::kIn, kOut = Line::kOut;
  GemmVec half[kOut][kIn];
#pragma GCC unroll 6
  for (int j = 0; j < kIn; ++j) {
    GemmVec from[kIn], to[kOut];
#pragma GCC unroll 6
    for (int i = 0; i < kIn; ++i) from[i] = load(i, j);
    Line::apply(from, to);
#pragma GCC unroll 6
    for (int i = 0; i < kOut; ++i) half[i][j] = to[i];
  }
#pragma GCC unroll 6
  for (int i = 0; i < kOut; ++i) {
    GemmVec to[kOut];
    Line::apply(half[i], to);
#pragma GCC unroll 6
    for (int j = 0; j < kOut; ++j) store(i, j, to[j]);
  }
}

/// The tiles of a batch of planes: row by row, image by image. Work is cut between rows of tiles.
struct TileGrid {
  int64_t batch, height, width;  // of the result, which tiles cover in steps of kOutputs
  int64_t rows, columns;         // of tiles; of one image

  int64_t allRows() const { return batch * rows; }
};

inline TileGrid tileGrid(int64_t batch, int64_t height, int64_t width) {
  return {batch, height, width, (height + kOutputs - 1) / kOutputs,
          (width + kOutputs - 1) / kOutputs};
}

/// Whether the transforms cost less than they save, for a result of this height and width.
inline bool winogradPays(int64_t batch, int64_t channels, int64_t filters, int64_t height,
                         int64_t width) {
  constexpr int64_t kLeastChannels = 32, kLeastTiles = 16;
  if (channels < kLeastChannels || filters < kLeastChannels) return false;
  const TileGrid grid = tileGrid(batch, height, width);
  if (grid.allRows() * grid.columns < kLeastTiles) return false;
  // Tiles that hang far over the edge do more than they are worth.
  return grid.rows * grid.columns * kPoints * 3 < height * width * 9 * 2;
}

/// Calls visit(image, first row, end row, first tile) for the rows [begin, end) of tiles.
template <typename Visit>
KINDLING_INLINE void forImages(const TileGrid& grid, int64_t begin, int64_t end,
                               const Visit& visit) {
  for (int64_t row = begin; row < end;) {
    const int64_t n = row / grid.rows, first = row % grid.rows;
    const int64_t count = end - row < grid.rows - first ? end - row : grid.rows - first;
    visit(n, first, first + count, (row - begin) * grid.columns);
    row += count;
  }
}

/// Planes whose tiles are transformed, and where a tile begins: at kOutputs * its index + offset.
struct TileSource {
  const float* data;
  int64_t channels, height, width, offsetY, offsetX;
};

/// Transformed tiles of kLanes channels: those of a point and a tile are at point * pointStep +
/// tile * tileStep.
struct TileValues {
  float* data;
  int64_t pointStep, tileStep;
};

/// Transforms one tile at (y, x) of a plane in the order [position][lane], of which rows from
/// `firstRow` on are in `staged`; positions outside are zeros.
template <typename Line>
KINDLING_INLINE void transformTile(const TileSource& source, const float* staged, int64_t firstRow,
                                   int64_t y, int64_t x, float* to, int64_t step) {
  constexpr int kIn = Line::kIn;
  const float* const base = staged + ((y - firstRow) * source.width + x) * kLanes;
  const int64_t pitch = source.width * kLanes;
  const auto store = [&](int i, int j, GemmVec v) { v.store(to + (i * kTile + j) * step); };
  if (y >= 0 && x >= 0 && y + kIn <= source.height && x + kIn <= source.width) {
    transformSquare<Line>(
        [&](int i, int j) { return GemmVec::load(base + i * pitch + j * kLanes); }, store);
    return;
  }
  transformSquare<Line>(
      [&](int i, int j) {
        const bool inside =
            y + i >= 0 && y + i < source.height && x + j >= 0 && x + j < source.width;
        return inside ? GemmVec::load(base + i * pitch + j * kLanes) : GemmVec::zero();
      },
      store);
}

/// The floats that transformTiles and storeTiles need for `rows` rows of tiles.
inline int64_t stagedFloats(const TileGrid& grid, int64_t rows, int64_t width) {
  const int64_t most = rows < grid.rows ? rows : grid.rows;
  return (most * kOutputs + kTile) * (width + kOutputs) * kLanes;
}

/// Transforms channels [channel, channel + kLanes) of the rows [begin, end) of tiles.
template <typename Line>
inline void transformTiles(const TileGrid& grid, const TileSource& source, int64_t begin,
                           int64_t end, int64_t channel, float* staged, const TileValues& to) {
  const int64_t plane = source.height * source.width, left = source.channels - channel;
  const int count = left < kLanes ? static_cast<int>(left) : kLanes;
  forImages(grid, begin, end, [&](int64_t n, int64_t firstRow, int64_t endRow, int64_t tile) {
    int64_t low = firstRow * kOutputs + source.offsetY;
    int64_t high = (endRow - 1) * kOutputs + source.offsetY + Line::kIn;
    if (low < 0) low = 0;
    if (high > source.height) high = source.height;
    if (low < high) {
      packLanes(staged, kLanes,
                source.data + (n * source.channels + channel) * plane + low * source.width, plane,
                1, count, kLanes, (high - low) * source.width);
    }
    float* next = to.data + tile * to.tileStep;
    for (int64_t row = firstRow; row < endRow; ++row) {
      for (int64_t column = 0; column < grid.columns; ++column, next += to.tileStep) {
        transformTile<Line>(source, staged, low, row * kOutputs + source.offsetY,
                            column * kOutputs + source.offsetX, next, to.pointStep);
      }
    }
  });
}

}  // namespace KINDLING_ISA
}  // namespace kindling
