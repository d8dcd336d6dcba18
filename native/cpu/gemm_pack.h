#pragma once
// Packing: copies a part of an operand of any strides to the order in which a tile kernel reads it,
// widening halves on the way, and stores tiles of a transposed result. T is what is computed with,
// S what the operand holds.

#include <cstdint>

#include "cpu/gemm_widen.h"

namespace kindling {
namespace KINDLING_ISA {

/// One operand as the tile kernels see it: `across` is the stride along the rows or columns of the
/// result, `along` the stride along k.
template <typename T>
struct GemmOperand {
  const T* data;
  int64_t across, along;
  KINDLING_INLINE const T* at(int64_t i, int64_t p) const { return data + i * across + p * along; }
};

/// An incomplete square of packLanes.
template <typename T, typename S>
inline void packEdge(T* to, int64_t toStep, const S* from, int64_t across, int count, int stored,
                     int steps) {
  using V = GemmVecOf<T>;
  constexpr int kWidth = V::width;
  V block[kWidth];
  for (int i = 0; i < kWidth; ++i) {
    block[i] = i < count ? loadWidePart<V>(from + i * across, steps) : V::zero();
  }
  transposeSquare(block);
  for (int j = 0; j < steps; ++j) storeFirst(block[j], to + j * toStep, stored);
}

/// to[p * toStep + i] = from[i * across + p * along] for `count` (at most the vector's width)
/// values of i and k of p. `stored` (at least count) lanes are written; those beyond count are
/// zero.
template <typename T, typename S>
inline void packLanes(T* to, int64_t toStep, const S* from, int64_t across, int64_t along,
                      int count, int stored, int64_t k) {
  using V = GemmVecOf<T>;
  constexpr int kWidth = V::width;
  if (along == 1) {
    int64_t p = 0;
    if (count == kWidth) {
      for (; p + kWidth <= k; p += kWidth) {
        transposeWide(to + p * toStep, toStep, from + p, across);
      }
    }
    for (; p < k; p += kWidth) {
      const int steps = k - p < kWidth ? static_cast<int>(k - p) : kWidth;
      packEdge(to + p * toStep, toStep, from + p, across, count, stored, steps);
    }
  } else if (across == 1 && count == kWidth) {
    for (int64_t p = 0; p < k; ++p) loadWide<V>(from + p * along).store(to + p * toStep);
  } else if (across == 1) {
    for (int64_t p = 0; p < k; ++p) {
      storeFirst(loadWidePart<V>(from + p * along, count), to + p * toStep, stored);
    }
  } else {
    for (int64_t p = 0; p < k; ++p) {
      for (int i = 0; i < count; ++i) to[p * toStep + i] = widen(from[i * across + p * along]);
      for (int i = count; i < stored; ++i) to[p * toStep + i] = T(0);
    }
  }
}

/// The same for the rows of a tile, which may be more than a vector has lanes.
template <typename T, typename S>
inline void packRows(T* to, const S* from, int64_t across, int64_t along, int rows, int64_t k) {
  constexpr int kWidth = GemmVecOf<T>::width;
  for (int i = 0; i < rows; i += kWidth) {
    const int count = rows - i < kWidth ? rows - i : kWidth;
    packLanes(to + i, rows, from + i * across, across, along, count, count, k);
  }
}

/// Packs `columns` columns, padded with zeros to whole vectors: toStep floats for every step of k.
template <typename T, typename S>
inline void packPanel(T* to, int64_t toStep, const GemmOperand<S>& from, int64_t columns,
                      int64_t k) {
  using V = GemmVecOf<T>;
  constexpr int kWidth = V::width;
  for (int64_t j = 0; j < columns; j += kWidth) {
    const int count = columns - j < kWidth ? static_cast<int>(columns - j) : kWidth;
    packLanes(to + j, toStep, from.data + j * from.across, from.across, from.along, count, kWidth,
              k);
  }
}

/// Packs `panels` whole panels of two vectors whose columns lie side by side. A few panels at a
/// time share a row, so that memory is read in longer runs.
template <typename T, typename S>
inline void packPlainPanels(T* to, const GemmOperand<S>& from, int64_t panels, int64_t k) {
  using V = GemmVecOf<T>;
  constexpr int64_t kWidth = V::width, kPanel = 2 * kWidth;
  constexpr int64_t kGroup = 512 / kPanel;
  for (int64_t first = 0; first < panels; first += kGroup) {
    const int64_t group = panels - first < kGroup ? panels - first : kGroup;
    for (int64_t p = 0; p < k; ++p) {
      const S* row = from.data + first * kPanel + p * from.along;
      T* packed = to + first * kPanel * k + p * kPanel;
      for (int64_t q = 0; q < group; ++q) {
        const V x = loadWide<V>(row), y = loadWide<V>(row + kWidth);
        x.store(packed);
        y.store(packed + kWidth);
        row += kPanel;
        packed += kPanel * k;
      }
    }
  }
}

/// What is done with a tile of a transposed result before it is stored, in this order.
template <typename T>
struct TransposedEpilogue {
  const T* bias;  // one value for each i, or nullptr
  bool accumulate;
  const T* residual;  // laid out as c with ldr for ldc, or nullptr
  int64_t ldr;
  bool relu;
};

/// c[j * ldc + i] = tile[i * tileStride + j] and the epilogue; rows <= the width.
template <typename T>
inline void storeTransposedLanes(const T* tile, int64_t tileStride, int rows, int64_t columns, T* c,
                                 int64_t ldc, const TransposedEpilogue<T>& epilogue) {
  using V = GemmVecOf<T>;
  const T* bias = epilogue.bias;
  constexpr int kWidth = V::width;
  const V biases = bias ? V::loadPartial(bias, rows) : V::zero();
  V block[kWidth];
  for (int64_t j = 0; j < columns; j += kWidth) {
    const int count = columns - j < kWidth ? static_cast<int>(columns - j) : kWidth;
    for (int i = 0; i < kWidth; ++i) {
      block[i] = i < rows ? V::load(tile + i * tileStride + j) : V::zero();
    }
    transposeSquare(block);
    for (int q = 0; q < count; ++q) {
      T* to = c + (j + q) * ldc;
      V sum = block[q];
      if (bias) sum = sum + biases;
      if (epilogue.accumulate) sum = sum + V::loadPartial(to, rows);
      if (epilogue.residual) {
        sum = sum + V::loadPartial(epilogue.residual + (j + q) * epilogue.ldr, rows);
      }
      if (epilogue.relu) sum = relu(sum);
      storeFirst(sum, to, rows);
    }
  }
}

/// The same for any number of rows.
template <typename T>
inline void storeTransposed(const T* tile, int64_t tileStride, int rows, int64_t columns, T* c,
                            int64_t ldc, TransposedEpilogue<T> epilogue) {
  constexpr int kWidth = GemmVecOf<T>::width;
  for (int i = 0; i < rows; i += kWidth) {
    storeTransposedLanes(tile + i * tileStride, tileStride, rows - i < kWidth ? rows - i : kWidth,
                         columns, c + i, ldc, epilogue);
    if (epilogue.bias) epilogue.bias += kWidth;
    if (epilogue.residual) epilogue.residual += kWidth;
  }
}

}  // namespace KINDLING_ISA
}  // namespace kindling
