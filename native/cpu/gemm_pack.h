#pragma once
// Packing: copies a part of an operand of any strides to the order in which a tile kernel reads it,
// and stores tiles of a transposed result.

#include <cstdint>

#include "cpu/gemm_vec.h"

namespace kindling {
namespace KINDLING_ISA {

/// One operand as the tile kernels see it: `across` is the stride along the rows or columns of the
/// result, `along` the stride along k.
struct GemmOperand {
  const float* data;
  int64_t across, along;
  KINDLING_INLINE const float* at(int64_t i, int64_t p) const {
    return data + i * across + p * along;
  }
};

/// An incomplete square of packLanes.
inline void packEdge(float* to, int64_t toStep, const float* from, int64_t across, int count,
                     int stored, int steps) {
  constexpr int kWidth = GemmVec::width;
  GemmVec block[kWidth];
  for (int i = 0; i < kWidth; ++i) {
    block[i] = i < count ? GemmVec::loadPartial(from + i * across, steps) : GemmVec::zero();
  }
  transposeSquare(block);
  for (int j = 0; j < steps; ++j) storeFirst(block[j], to + j * toStep, stored);
}

/// to[p * toStep + i] = from[i * across + p * along] for `count` (at most the vector's width)
/// values of i and k of p. `stored` (at least count) lanes are written; those beyond count are
/// zero.
inline void packLanes(float* to, int64_t toStep, const float* from, int64_t across, int64_t along,
                      int count, int stored, int64_t k) {
  constexpr int kWidth = GemmVec::width;
  if (along == 1) {
    int64_t p = 0;
    if (count == kWidth) {
      for (; p + kWidth <= k; p += kWidth) {
        transposeSquareOf(to + p * toStep, toStep, from + p, across);
      }
    }
    for (; p < k; p += kWidth) {
      const int steps = k - p < kWidth ? static_cast<int>(k - p) : kWidth;
      packEdge(to + p * toStep, toStep, from + p, across, count, stored, steps);
    }
  } else if (across == 1 && count == kWidth) {
    for (int64_t p = 0; p < k; ++p) GemmVec::load(from + p * along).store(to + p * toStep);
  } else if (across == 1) {
    for (int64_t p = 0; p < k; ++p) {
      storeFirst(GemmVec::loadPartial(from + p * along, count), to + p * toStep, stored);
    }
  } else {
    for (int64_t p = 0; p < k; ++p) {
      for (int i = 0; i < count; ++i) to[p * toStep + i] = from[i * across + p * along];
      for (int i = count; i < stored; ++i) to[p * toStep + i] = 0.0f;
    }
  }
}

/// Packs `columns` columns, padded with zeros to whole vectors: toStep floats for every step of k.
inline void packPanel(float* to, int64_t toStep, const GemmOperand& from, int64_t columns,
                      int64_t k) {
  constexpr int kWidth = GemmVec::width;
  for (int64_t j = 0; j < columns; j += kWidth) {
    const int count = columns - j < kWidth ? static_cast<int>(columns - j) : kWidth;
    packLanes(to + j, toStep, from.data + j * from.across, from.across, from.along, count, kWidth,
              k);
  }
}

/// Packs `panels` whole panels of two vectors whose columns lie side by side. A few panels at a
/// time share a row, so that memory is read in longer runs.
inline void packPlainPanels(float* to, const GemmOperand& from, int64_t panels, int64_t k) {
  constexpr int64_t kWidth = GemmVec::width, kPanel = 2 * kWidth;
  constexpr int64_t kGroup = 512 / kPanel;
  for (int64_t first = 0; first < panels; first += kGroup) {
    const int64_t group = panels - first < kGroup ? panels - first : kGroup;
    for (int64_t p = 0; p < k; ++p) {
      const float* row = from.data + first * kPanel + p * from.along;
      float* packed = to + first * kPanel * k + p * kPanel;
      for (int64_t q = 0; q < group; ++q) {
        const GemmVec x = GemmVec::load(row), y = GemmVec::load(row + kWidth);
        x.store(packed);
        y.store(packed + kWidth);
        row += kPanel;
        packed += kPanel * k;
      }
    }
  }
}

/// What is done with a tile of a transposed result before it is stored, in this order.
struct TransposedEpilogue {
  const float* bias;  // one value for each i, or nullptr
  bool accumulate;
  const float* residual;  // laid out as c with ldr for ldc, or nullptr
  int64_t ldr;
  bool relu;
};

/// c[j * ldc + i] = tile[i * tileStride + j] and the epilogue, rows <= the width.
inline void storeTransposed(const float* tile, int64_t tileStride, int rows, int64_t columns,
                            float* c, int64_t ldc, const TransposedEpilogue& epilogue) {
  const float* bias = epilogue.bias;
  constexpr int kWidth = GemmVec::width;
  const GemmVec biases = bias ? GemmVec::loadPartial(bias, rows) : GemmVec::zero();
  GemmVec block[kWidth];
  for (int64_t j = 0; j < columns; j += kWidth) {
    const int count = columns - j < kWidth ? static_cast<int>(columns - j) : kWidth;
    for (int i = 0; i < kWidth; ++i) {
      block[i] = i < rows ? GemmVec::load(tile + i * tileStride + j) : GemmVec::zero();
    }
    transposeSquare(block);
    for (int q = 0; q < count; ++q) {
      float* to = c + (j + q) * ldc;
      GemmVec sum = block[q];
      if (bias) sum = sum + biases;
      if (epilogue.accumulate) sum = sum + GemmVec::loadPartial(to, rows);
      if (epilogue.residual) {
        sum = sum + GemmVec::loadPartial(epilogue.residual + (j + q) * epilogue.ldr, rows);
      }
      if (epilogue.relu) sum = relu(sum);
      storeFirst(sum, to, rows);
    }
  }
}

}  // namespace KINDLING_ISA
}  // namespace kindling
