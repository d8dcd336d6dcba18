#pragma once
// A register tile whose broadcast rows are shifts of padded planes (convolution_plane.h): row i at
// position (h, w) is planes[offsets[i] + h * pitch + w], so that no row of a column matrix is ever
// written. The vector operand is packed, position after position.

#include "cpu/gemm_microkernel.h"

namespace kindling {
namespace KINDLING_ISA {

struct ShiftCall {
  int64_t height, width, pitch;  // of the grid's rows; from row to row of the planes
  const float* planes;
  const int64_t* offsets;  // of the tile's rows
  const float* columns;
  int64_t columnStep;  // from position to position
  float* c;
  int64_t ldc;
  bool accumulate;
};

using ShiftKernel = void (*)(const ShiftCall&);

template <int kRows, int kVectors, int kPositions>
KINDLING_INLINE void addPositions(const float* const (&from)[kRows], int64_t w,
                                  const float* columns, int64_t columnStep,
                                  GemmVec (&acc)[kRows][kVectors]) {
  GemmVec b[kPositions][kVectors];
#pragma GCC unroll 2
  for (int u = 0; u < kPositions; ++u) {
#pragma GCC unroll 2
    for (int j = 0; j < kVectors; ++j) {
      b[u][j] = GemmVec::load(columns + u * columnStep + j * GemmVec::width);
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 2
    for (int u = 0; u < kPositions; ++u) {
      const GemmVec a = GemmVec::set1(from[i][w + u]);
#pragma GCC unroll 2
      for (int j = 0; j < kVectors; ++j) acc[i][j] = fma(a, b[u][j], acc[i][j]);
    }
  }
}

template <int kRows, int kVectors>
void shiftTile(const ShiftCall& call) {
  // Many rows' addresses do not fit the registers: two positions share what is loaded of them.
  constexpr int kPositions = kRows > 7 ? 2 : 1;
  GemmVec acc[kRows][kVectors];
#pragma GCC unroll 16
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 2
    for (int j = 0; j < kVectors; ++j) {
      acc[i][j] = call.accumulate ? GemmVec::load(call.c + i * call.ldc + j * GemmVec::width)
                                  : GemmVec::zero();
    }
  }
  const float* columns = call.columns;
  const int64_t step = call.columnStep, width = call.width;
  for (int64_t h = 0; h < call.height; ++h) {
    const float* from[kRows];
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) from[i] = call.planes + call.offsets[i] + h * call.pitch;
    int64_t w = 0;
    for (; w + kPositions <= width; w += kPositions, columns += kPositions * step) {
      addPositions<kRows, kVectors, kPositions>(from, w, columns, step, acc);
    }
    for (; w < width; ++w, columns += step) {
      addPositions<kRows, kVectors, 1>(from, w, columns, step, acc);
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 2
    for (int j = 0; j < kVectors; ++j) {
      acc[i][j].store(call.c + i * call.ldc + j * GemmVec::width);
    }
  }
}

template <int kRows>
inline ShiftKernel findShiftKernel(int rows, int vectors) {
  if constexpr (kRows > 1) {
    if (rows < kRows) return findShiftKernel<kRows - 1>(rows, vectors);
  }
  return vectors == 1 ? shiftTile<kRows, 1> : shiftTile<kRows, 2>;
}

/// For 1 to kTileRows rows and 1 to kTileVectors vectors.
inline ShiftKernel shiftKernelFor(int64_t rows, int64_t vectors) {
  return findShiftKernel<kTileRows>(static_cast<int>(rows), static_cast<int>(vectors));
}

}  // namespace KINDLING_ISA
}  // namespace kindling
