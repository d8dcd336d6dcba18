#pragma once
// How rows of a column matrix ("im2col") are gathered: the grid's positions fall into segments that
// lie in one row of the source, and what a tap reads for a segment is a piece: zeros, a run of
// elements, zeros.

#include <cstdint>

#include "cpu/convolution.h"
#include "cpu/gemm_vec.h"
#include "cpu/scratch.h"

namespace kindling {
namespace KINDLING_ISA {

struct Piece {
  int32_t lane, length;  // in the gathered row
  int32_t first, count;  // the part of it that is not padding
  int64_t offset;        // of its first element in a channel's plane (and the image's, see below)
};

/// Some lanes of every stride-th element from p, zeros beyond n of them.
KINDLING_INLINE GemmVec loadEvery(const float* p, int64_t stride, int n) {
#if KINDLING_ISA_LEVEL == 2
  if (stride == 2) {
    const int last = 2 * n - 1;
    const __m512 low = _mm512_maskz_loadu_ps(firstLanes(last > 16 ? 16 : last < 0 ? 0 : last), p);
    const __m512 high = _mm512_maskz_loadu_ps(firstLanes(last > 16 ? last - 16 : 0), p + 16);
    const __m512i even =
        _mm512_set_epi32(30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
    return {_mm512_permutex2var_ps(low, even, high)};
  }
#elif KINDLING_ISA_LEVEL == 1
  if (stride == 2) {
    const int last = 2 * n - 1;
    const __m256 low = _mm256_maskload_ps(p, firstLanes(last));
    const __m256 high = _mm256_maskload_ps(p + 8, firstLanes(last - 8));
    const __m256 even = _mm256_shuffle_ps(low, high, 0x88);
    return {_mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(even), 0xd8))};
  }
#endif
  float lanes[GemmVec::width] = {};
  for (int i = 0; i < n; ++i) lanes[i] = p[i * stride];
  return GemmVec::load(lanes);
}

/// Writes one row of the column matrix from its pieces, in order of their lanes. Up to a vector
/// beyond the last piece is overwritten.
KINDLING_INLINE void gatherRow(float* to, const Piece* pieces, int64_t count, const float* channel,
                               int64_t stride) {
  constexpr int kWidth = GemmVec::width;
  for (int64_t i = 0; i < count; ++i) {
    const Piece& piece = pieces[i];
    float* const row = to + piece.lane;
    int lane = 0;
    for (; lane < piece.first; lane += kWidth) GemmVec::zero().store(row + lane);
    lane = piece.first;
    const float* const from = channel + piece.offset;
    const int end = piece.first + piece.count;
    if (stride == 1) {
      for (; lane + kWidth <= end; lane += kWidth) {
        GemmVec::load(from + (lane - piece.first)).store(row + lane);
      }
      if (lane < end) {
        GemmVec::loadPartial(from + (lane - piece.first), end - lane).store(row + lane);
        lane += kWidth;
      }
    } else {
      for (; lane < end; lane += kWidth) {
        const int lanes = end - lane < kWidth ? end - lane : kWidth;
        loadEvery(from + (lane - piece.first) * stride, stride, lanes).store(row + lane);
      }
    }
    for (; lane < piece.length; lane += kWidth) GemmVec::zero().store(row + lane);
  }
}

/// Calls visit(lane, length, n, d, h, w) for the segments of columns [column, column + count): runs
/// of positions of the grid, over all images, that lie in one row.
template <typename Visit>
KINDLING_INLINE void forSegments(const int64_t* grid, int64_t column, int64_t count,
                                 const Visit& visit) {
  int64_t w = column % grid[2];
  int64_t rest = column / grid[2];
  int64_t h = rest % grid[1];
  rest /= grid[1];
  int64_t d = rest % grid[0];
  int64_t n = rest / grid[0];
  for (int64_t lane = 0; lane < count;) {
    const int64_t length = count - lane < grid[2] - w ? count - lane : grid[2] - w;
    visit(lane, length, n, d, h, w);
    lane += length;
    w = 0;
    if (++h < grid[1]) continue;
    h = 0;
    if (++d < grid[0]) continue;
    d = 0;
    ++n;
  }
}

/// The most segments that `count` columns can have.
KINDLING_INLINE int64_t mostSegments(int64_t gridWidth, int64_t count) {
  const int64_t rows = (count + gridWidth - 2) / gridWidth + 1;
  return rows < count ? rows : count;
}

/// What the pieces of a column matrix depend on.
struct Taps {
  const int64_t *extents, *grid, *stride;
  const TapAxis* axes;
  int64_t imageStride;  // from image to image of the source
};

KINDLING_INLINE int64_t ceilQuotient(int64_t a, int64_t b) {
  return a >= 0 ? (a + b - 1) / b : -(-a / b);
}

/// The i in [0, length) for which x + i * stride lies in [0, extent).
KINDLING_INLINE void validRange(int64_t x, int64_t stride, int64_t extent, int64_t length,
                                int64_t* begin, int64_t* end) {
  *begin = x >= 0 ? 0 : stride == 1 ? -x : ceilQuotient(-x, stride);
  *end = stride == 1 ? extent - x : ceilQuotient(extent - x, stride);
  if (*begin > length) *begin = length;
  if (*end > length) *end = length;
  if (*end < *begin) *end = *begin;
}

/// Fills pieces[tap * rowPieces + segment] for columns [column, column + count) and pads the row
/// with zeros up to `width` lanes. Returns the number of pieces of a row: at most
/// mostSegments(grid[2], count) + 1.
inline int64_t makePieces(const Taps& taps, int64_t column, int64_t count, int64_t width,
                          Piece* pieces, int64_t rowPieces) {
  int64_t segment = 0;
  const int64_t depths = taps.axes[0].count, heights = taps.axes[1].count,
                widths = taps.axes[2].count;
  forSegments(
      taps.grid, column, count,
      [&](int64_t lane, int64_t length, int64_t n, int64_t d, int64_t h, int64_t w) {
        Piece* piece = pieces + segment;
        for (int64_t i = 0; i < depths; ++i) {
          const int64_t z = d * taps.stride[0] + taps.axes[0].offsets[i];
          for (int64_t j = 0; j < heights; ++j) {
            const int64_t y = h * taps.stride[1] + taps.axes[1].offsets[j];
            const bool inside = z >= 0 && z < taps.extents[0] && y >= 0 && y < taps.extents[1];
            const int64_t row = n * taps.imageStride + (z * taps.extents[1] + y) * taps.extents[2];
            for (int64_t k = 0; k < widths; ++k, piece += rowPieces) {
              const int64_t x = w * taps.stride[2] + taps.axes[2].offsets[k];
              int64_t begin = 0, end = 0;
              if (inside) {
                validRange(x, taps.stride[2], taps.extents[2], length, &begin, &end);
              }
              piece->lane = static_cast<int32_t>(lane);
              piece->length = static_cast<int32_t>(length);
              piece->first = static_cast<int32_t>(begin);
              piece->count = static_cast<int32_t>(end - begin);
              piece->offset = end > begin ? row + x + begin * taps.stride[2] : 0;
            }
          }
        }
        ++segment;
      });
  if (count < width) {
    for (int64_t tap = 0; tap < depths * heights * widths; ++tap) {
      pieces[tap * rowPieces + segment] = {static_cast<int32_t>(count),
                                           static_cast<int32_t>(width - count), 0, 0, 0};
    }
    ++segment;
  }
  return segment;
}

namespace {

/// The taps of the forward pass: kernel position i reads at i * dilation - padding.
class ForwardTaps {
 public:
  explicit ForwardTaps(const ConvShape& shape)
      : memory_(static_cast<size_t>(shape.kernel[0] + shape.kernel[1] + shape.kernel[2]) * 2 *
                sizeof(int64_t)) {
    if (!memory_.ok()) return;
    int64_t* next = memory_.as<int64_t>();
    for (int axis = 0; axis < kSpatial; ++axis) {
      const int64_t count = shape.kernel[axis];
      int64_t* const offsets = next;
      int64_t* const positions = next + count;
      for (int64_t i = 0; i < count; ++i) {
        offsets[i] = i * shape.dilation[axis] - shape.padding[axis];
        positions[i] = i;
      }
      axes_[axis] = {count, offsets, positions};
      next += 2 * count;
    }
  }
  bool ok() const { return memory_.ok(); }
  const TapAxis* axes() const { return axes_; }

 private:
  Scratch memory_;
  TapAxis axes_[kSpatial] = {};
};

}  // namespace
}  // namespace KINDLING_ISA
}  // namespace kindling
