#pragma once
// How rows of a column matrix ("im2col") are gathered: the grid's positions fall into segments that
// lie in one row of the source, and what a tap reads for a segment falls into pieces of at most one
// vector, of which some lanes are padding.

#include <cstdint>

#include "cpu/convolution.h"
#include "cpu/gemm_vec.h"
#include "cpu/scratch.h"

namespace kindling {
namespace KINDLING_ISA {

struct Piece {
  int32_t lane;        // of the gathered row that it begins at
  int16_t first, end;  // the lanes of it that are not padding
  int64_t offset;  // where its lane 0 would be in a channel's plane (and the image's, see below)
};

/// The lanes [first, end) of a vector, made once and used for many loads.
struct LaneRange {
#if KINDLING_ISA_LEVEL == 2
  __mmask16 mask;
  static KINDLING_INLINE LaneRange of(int first, int end) {
    return {static_cast<__mmask16>(((1u << end) - 1u) & ~((1u << first) - 1u))};
  }
  /// Zeros in the other lanes, whose memory is not read.
  KINDLING_INLINE GemmVec load(const float* p) const { return {_mm512_maskz_loadu_ps(mask, p)}; }
#elif KINDLING_ISA_LEVEL == 1
  __m256i mask;
  static KINDLING_INLINE LaneRange of(int first, int end) {
    return {_mm256_andnot_si256(firstLanes(first), firstLanes(end))};
  }
  KINDLING_INLINE GemmVec load(const float* p) const { return {_mm256_maskload_ps(p, mask)}; }
#else
  int first, end;
  static KINDLING_INLINE LaneRange of(int first, int end) { return {first, end}; }
  KINDLING_INLINE GemmVec load(const float* p) const {
    float lanes[GemmVec::width] = {};
    for (int i = first; i < end; ++i) lanes[i] = p[i];
    return GemmVec::load(lanes);
  }
#endif
};

/// Lanes [first, end) of every stride-th element, lane 0 at p; zeros elsewhere. Reads nothing else.
KINDLING_INLINE GemmVec loadLanes(const float* p, int64_t stride, int first, int end) {
#if KINDLING_ISA_LEVEL == 2
  if (stride == 1) {
    const uint32_t lanes = ((1u << end) - 1u) & ~((1u << first) - 1u);
    return {_mm512_maskz_loadu_ps(static_cast<__mmask16>(lanes), p)};
  }
  if (stride == 2) {
    const uint64_t all = ((uint64_t{1} << 2 * end) - 1) & ~((uint64_t{1} << 2 * first) - 1);
    const uint32_t even = static_cast<uint32_t>(all) & 0x55555555u;
    const __m512 low = _mm512_maskz_loadu_ps(static_cast<__mmask16>(even), p);
    const __m512 high = _mm512_maskz_loadu_ps(static_cast<__mmask16>(even >> 16), p + 16);
    const __m512i picked =
        _mm512_set_epi32(30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
    return {_mm512_permutex2var_ps(low, picked, high)};
  }
#elif KINDLING_ISA_LEVEL == 1
  if (stride == 1) {
    return {_mm256_maskload_ps(p, _mm256_andnot_si256(firstLanes(first), firstLanes(end)))};
  }
  if (stride == 2 && first == 0 && end == 8) {
    // Nothing behind the last lane is read.
    const __m256 low = _mm256_loadu_ps(p), high = _mm256_loadu_ps(p + 7);
    const __m256 picked = _mm256_shuffle_ps(low, high, 0xd8);
    return {_mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(picked), 0xd8))};
  }
  if (stride == 2) {
    const __m256i even = _mm256_setr_epi32(-1, 0, -1, 0, -1, 0, -1, 0);
    const auto half = [&](const float* from, int begin, int stop) {
      const __m256i lanes = _mm256_andnot_si256(firstLanes(begin), firstLanes(stop));
      return _mm256_maskload_ps(from, _mm256_and_si256(lanes, even));
    };
    const __m256 low = half(p, 2 * first, 2 * end);
    const __m256 high = half(p + 8, 2 * first - 8, 2 * end - 8);
    const __m256 picked = _mm256_shuffle_ps(low, high, 0x88);
    return {_mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(picked), 0xd8))};
  }
#elif KINDLING_ISA_LEVEL == 3
  if (stride == 1 && first == 0 && end == GemmVec::width) return GemmVec::load(p);
#endif
  float lanes[GemmVec::width] = {};
  for (int i = first; i < end; ++i) lanes[i] = p[i * stride];
  return GemmVec::load(lanes);
}

KINDLING_INLINE GemmVecD loadLanes(const double* p, int64_t stride, int first, int end) {
#if KINDLING_ISA_LEVEL > 0
  if (stride == 1 && first == 0) return GemmVecD::loadPartial(p, end);
#endif
  double lanes[GemmVecD::width] = {};
  for (int i = first; i < end; ++i) lanes[i] = p[i * stride];
  return GemmVecD::load(lanes);
}

/// The pieces of all taps: `count` of each, in order of their lanes, `rowPieces` apart.
struct PieceTable {
  const Piece* pieces;
  int64_t count, rowPieces, taps;
};

/// What a piece reads in `count` channels, into rows that have `lanes` lanes behind where it
/// begins.
template <typename T>
KINDLING_INLINE void copyPiece(const Piece& piece, int64_t lanes, int64_t count, const T* from,
                               int64_t fromStep, int64_t stride, T* to, int64_t toStep) {
  using Vec = GemmVecOf<T>;
  constexpr int64_t kAhead = 8;  // channels; the hardware does not foresee reads this far apart
  const auto copy = [&](const auto& load, const auto& store) {
    for (int64_t i = 0; i < count; ++i, from += fromStep, to += toStep) {
      __builtin_prefetch(from + kAhead * fromStep);
      store(load(from), to);
    }
  };
  const auto storeWhole = [](Vec x, T* p) { x.store(p); };
  const int first = piece.first, end = piece.end;
  if (lanes < Vec::width) {
    const int n = static_cast<int>(lanes);
    return copy([&](const T* p) { return loadLanes(p, stride, first, end); },
                [n](Vec x, T* p) { storeFirst(x, p, n); });
  }
  if (end - first < Vec::width) {
    copy([&](const T* p) { return loadLanes(p, stride, first, end); }, storeWhole);
  } else if (stride == 1) {
    copy([](const T* p) { return Vec::load(p); }, storeWhole);
  } else if (stride == 2) {
    copy([](const T* p) { return loadLanes(p, 2, 0, Vec::width); }, storeWhole);
  } else {
    copy([&](const T* p) { return loadLanes(p, stride, 0, Vec::width); }, storeWhole);
  }
}

/// Writes rows [begin, end) of the column matrix, `width` lanes each; a row is a tap of a channel,
/// taps first. Piece by piece and not row by row: all channels' rows have the same pieces.
template <typename T>
KINDLING_INLINE void gatherRows(const PieceTable& table, int64_t begin, int64_t end,
                                const T* channels, int64_t plane, int64_t stride, T* to,
                                int64_t width) {
  for (int64_t tap = 0; tap < table.taps; ++tap) {
    const int64_t first = begin > tap ? (begin - tap + table.taps - 1) / table.taps : 0;
    const int64_t row = first * table.taps + tap;
    if (row >= end) continue;
    const int64_t count = (end - row + table.taps - 1) / table.taps;
    for (int64_t i = 0; i < table.count; ++i) {
      const Piece& piece = table.pieces[tap * table.rowPieces + i];
      copyPiece(piece, width - piece.lane, count, channels + first * plane + piece.offset, plane,
                stride, to + (row - begin) * width + piece.lane, table.taps * width);
    }
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

/// The most pieces of one row: `count` columns, padded to `width` lanes.
template <typename T = float>
KINDLING_INLINE int64_t mostPieces(int64_t gridWidth, int64_t count, int64_t width) {
  return mostSegments(gridWidth, count) + 1 + width / GemmVecOf<T>::width;
}

/// The pieces of one tap's part of a segment: `length` lanes from `lane`, of which [begin, end) are
/// not padding and lane 0 is at `offset`; `extent` elements are there to be read. Returns their
/// number.
template <typename T>
KINDLING_INLINE int64_t cutSegment(int64_t lane, int64_t length, int64_t begin, int64_t end,
                                   int64_t offset, int64_t stride, int64_t extent, Piece* pieces) {
  constexpr int64_t kWidth = GemmVecOf<T>::width;
  int64_t count = 0;
  for (int64_t at = 0; at < length; at += kWidth) {
    const int64_t first = begin > at ? begin - at : 0;
    int64_t last = end - at < kWidth ? end - at : kWidth;
    const bool empty = first >= last;
    // What comes behind a segment is overwritten by the next, so a whole vector may be read where
    // it is there.
    if (end == length && offset + (at + kWidth - 1) * stride < extent) last = kWidth;
    pieces[count++] = {static_cast<int32_t>(lane + at), static_cast<int16_t>(empty ? 0 : first),
                       static_cast<int16_t>(empty ? 0 : last), empty ? 0 : offset + at * stride};
  }
  return count;
}

/// Fills pieces[tap * rowPieces + …] for columns [column, column + count) and pads the row with
/// zeros up to `width` lanes. Returns the number of pieces of a row, at most mostPieces().
template <typename T = float>
inline int64_t makePieces(const Taps& taps, int64_t column, int64_t count, int64_t width,
                          Piece* pieces, int64_t rowPieces) {
  int64_t made = 0;
  const int64_t depths = taps.axes[0].count, heights = taps.axes[1].count,
                widths = taps.axes[2].count;
  const int64_t stride = taps.stride[2];
  const int64_t plane = taps.extents[0] * taps.extents[1] * taps.extents[2];
  forSegments(
      taps.grid, column, count,
      [&](int64_t lane, int64_t length, int64_t n, int64_t d, int64_t h, int64_t w) {
        Piece* next = pieces + made;
        const int64_t extent = n * taps.imageStride + plane;
        for (int64_t i = 0; i < depths; ++i) {
          const int64_t z = d * taps.stride[0] + taps.axes[0].offsets[i];
          for (int64_t j = 0; j < heights; ++j) {
            const int64_t y = h * taps.stride[1] + taps.axes[1].offsets[j];
            const bool inside = z >= 0 && z < taps.extents[0] && y >= 0 && y < taps.extents[1];
            const int64_t row = n * taps.imageStride + (z * taps.extents[1] + y) * taps.extents[2];
            for (int64_t k = 0; k < widths; ++k, next += rowPieces) {
              const int64_t x = w * stride + taps.axes[2].offsets[k];
              int64_t begin = 0, end = 0;
              if (inside) validRange(x, stride, taps.extents[2], length, &begin, &end);
              cutSegment<T>(lane, length, begin, end, row + x, stride, extent, next);
            }
          }
        }
        made += (length + GemmVecOf<T>::width - 1) / GemmVecOf<T>::width;
      });
  if (count == width) return made;
  int64_t padding = 0;
  for (int64_t tap = 0; tap < depths * heights * widths; ++tap) {
    padding = cutSegment<T>(count, width - count, 0, 0, 0, 1, 0, pieces + tap * rowPieces + made);
  }
  return made + padding;
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
