#pragma once
// The tile that comes to a panel first packs it: it reads the vector operand where that stands,
// multiplies, and leaves the panel behind for the tiles below. The multiply-adds are as many as in
// any tile, and the loads and stores of packing go through units that they leave idle.

#include <cstdint>
#include <type_traits>

#include "cpu/gemm_microkernel.h"
#include "cpu/gemm_pack.h"

namespace kindling {
namespace KINDLING_ISA {

/// Tall tiles have no registers to spare.
constexpr bool kFirstTilePacks = kTileRows <= 8;

/// As TileCallOf, but `columns` stands as in the operand: `across` from column to column, and
/// columnStep along k. `packed` receives the panel.
template <typename T>
struct FirstTileCallOf {
  TileCallOf<T> tile;
  int64_t across;
  T* packed;
};

template <typename T>
using FirstTileKernelOf = void (*)(const FirstTileCallOf<T>& call);

/// Packs `steps` steps of k, at most a vector's width, of a panel that lies along k.
template <typename T>
KINDLING_INLINE void packSteps(T* packed, const T* columns, int64_t across, int64_t steps) {
  constexpr int kWidth = GemmVecOf<T>::width, kPanel = kTileVectors * kWidth;
#pragma GCC unroll 16
  for (int j = 0; j < kTileVectors; ++j) {
    const T* const from = columns + j * kWidth * across;
    if (steps >= kWidth) {
      transposeSquareOf(packed + j * kWidth, kPanel, from, across);
    } else {
      packEdge(packed + j * kWidth, kPanel, from, across, kWidth, kWidth, static_cast<int>(steps));
    }
  }
}

/// kPlain: columns lie side by side; else each lies along k.
template <int kRows, bool kPlain, typename T>
void firstTileKernel(const FirstTileCallOf<T>& call) {
  using V = GemmVecOf<T>;
  constexpr int kWidth = V::width, kPanel = kTileVectors * kWidth;
  constexpr int kAhead =
      24;  // steps of k: rows of an operand are too far apart for the CPU to guess
  const TileCallOf<T>& tile = call.tile;
  V acc[kRows][kTileVectors];
#pragma GCC unroll 16
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 16
    for (int j = 0; j < kTileVectors; ++j) acc[i][j] = V::zero();
  }
  RowAddress<T> rows = rowAddress<kRows>(tile);
  const int64_t rowStep = tile.rowStep * int64_t{sizeof(T)};
  const T* columns = tile.columns;
  T* packed = call.packed;
  prefetchTile<kRows, kTileVectors>(tile);
  V b[kTileVectors];
  for (int64_t p = 0; p < tile.k; p += kPlain ? 1 : kWidth) {
    int64_t steps = 1;
    if constexpr (kPlain) {
      __builtin_prefetch(columns + kAhead * tile.columnStep, 0, 2);
      loadTileRow<kTileVectors, false>(b, columns, kWidth);
#pragma GCC unroll 16
      for (int j = 0; j < kTileVectors; ++j) b[j].store(packed + j * kWidth);
      columns += tile.columnStep;
    } else {
      steps = tile.k - p < kWidth ? tile.k - p : kWidth;
      packSteps(packed, columns, call.across, steps);
      columns += kWidth;
    }
    for (int64_t q = 0; q < steps; ++q) {
      if (!kPlain) loadTileRow<kTileVectors, false>(b, packed, kWidth);
#pragma GCC unroll 16
      for (int i = 0; i < kRows; ++i) {
        const V a = V::set1(*rows.at(i));
#pragma GCC unroll 16
        for (int j = 0; j < kTileVectors; ++j) acc[i][j] = fma(a, b[j], acc[i][j]);
      }
      packed += kPanel;
      rows.first += rowStep;
      rows.eighth += rowStep;
    }
  }
  storeTile<kRows, kTileVectors, false>(tile, acc);
}

/// The kernel for a tile of `rows`, at most kRows.
template <int kRows, typename T>
inline FirstTileKernelOf<T> findFirstTileKernel(int rows, bool plain) {
  if constexpr (kRows > 1) {
    if (rows < kRows) return findFirstTileKernel<kRows - 1, T>(rows, plain);
  }
  return plain ? firstTileKernel<kRows, true, T> : firstTileKernel<kRows, false, T>;
}

/// nullptr where the panels of such an operand are packed before the tiles: across and along are
/// its strides.
template <typename T>
inline FirstTileKernelOf<T> firstTileKernelFor(int rows, int64_t across, int64_t along) {
  if constexpr (kFirstTilePacks) {
    if (across == 1 || along == 1) return findFirstTileKernel<kTileRows, T>(rows, across == 1);
  }
  return nullptr;
}

}  // namespace KINDLING_ISA
}  // namespace kindling
