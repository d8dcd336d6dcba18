#pragma once
// What a group of panels will read is brought to the L2 cache while the group before it is
// multiplied: planes are too far apart for the CPU to foresee.

#include <cstdint>

#include "core/cpu_features.h"
#include "cpu/convolution.h"

namespace kindling {
namespace KINDLING_ISA {

/// The lines that some columns of a problem read in some planes, handed out a few at a time.
class Fetch {
 public:
  Fetch() = default;

  /// Columns [begin, end), all of one image; `first` is the first plane of `channels`. All is
  /// fetched by `calls` calls of some().
  template <typename T>
  Fetch(const GatherProblem<T>& p, const T* first, int64_t channels, int64_t begin, int64_t end,
        int64_t calls) {
    if (p.grid[0] != 1 || p.taps[0].count != 1 || begin >= end) return;
    const TapAxis& taps = p.taps[1];
    const int64_t width = p.extents[2];
    int64_t row = begin / p.grid[2] * p.stride[1] + least(taps);
    int64_t last = (end - 1) / p.grid[2] * p.stride[1] + most(taps);
    if (row < 0) row = 0;
    if (last >= p.extents[1]) last = p.extents[1] - 1;
    if (row > last) return;
    int64_t start = row * width, size = (last - row + 1) * width;
    if (taps.count == 1 && p.stride[1] > 1) {  // not all rows are read
      runs_ = (last - row) / p.stride[1] + 1;
      size = width;
    } else if (p.tapCount() == 1 && p.grid[2] == width) {  // and not all of the outer rows
      start = begin;
      size = end - begin;
    }
    runStep_ = p.stride[1] * width * int64_t{sizeof(T)};
    lines_ = (size * int64_t{sizeof(T)} + kLine - 1) / kLine;
    plane_ = reinterpret_cast<const char*>(first + start);
    planeStep_ = p.plane * int64_t{sizeof(T)};
    const int64_t total = channels * runs_ * lines_;
    if (total * kLine > cacheSizes().l2 / 2) return;  // would push out what is in use
    channels_ = channels;
    each_ = (total + calls - 1) / calls;
  }

  KINDLING_INLINE void some() {
    for (int64_t i = 0; i < each_ && channels_ > 0; ++i) {
      __builtin_prefetch(plane_ + run_ * runStep_ + line_ * kLine, 0, 2);
      if (++line_ < lines_) continue;
      line_ = 0;
      if (++run_ < runs_) continue;
      run_ = 0;
      plane_ += planeStep_;
      --channels_;
    }
  }

 private:
  static constexpr int64_t kLine = 64;  // bytes

  static int64_t least(const TapAxis& taps) {
    int64_t x = taps.offsets[0];
    for (int64_t i = 1; i < taps.count; ++i) x = taps.offsets[i] < x ? taps.offsets[i] : x;
    return x;
  }
  static int64_t most(const TapAxis& taps) {
    int64_t x = taps.offsets[0];
    for (int64_t i = 1; i < taps.count; ++i) x = taps.offsets[i] > x ? taps.offsets[i] : x;
    return x;
  }

  const char* plane_ = nullptr;
  int64_t planeStep_ = 0, runStep_ = 0, lines_ = 0, runs_ = 1, each_ = 0;
  int64_t channels_ = 0, run_ = 0, line_ = 0;  // what is left, and where it goes on
};

}  // namespace KINDLING_ISA
}  // namespace kindling
