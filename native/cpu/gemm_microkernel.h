#pragma once
// The register tile: kRows x kVectors accumulators, one rank-one update per step of k. One operand
// is read by vectors along the columns, the other element by element and broadcast, so that only
// the first must have unit stride; the second may have any strides. Every element is one chain of
// multiply-adds in the order of k, whatever the tile: results depend neither on the split into
// tiles nor on the number of threads.

#include <cstdint>

#include "cpu/gemm_vec.h"

namespace kindling {
namespace KINDLING_ISA {

template <typename T>
struct TileCallOf {
  int64_t k;
  const T* rows;               // the broadcast operand
  int64_t rowStride, rowStep;  // from row to row, from k to k + 1
  const T* columns;            // the vector operand
  int64_t columnStep;          // from k to k + 1
  T* c;
  int64_t ldc;
  const T* bias;  // one value per column, or nullptr
  bool accumulate;
  const T* residual = nullptr;  // added after that
  int64_t ldr = 0;
  bool relu = false;
  int lastLanes;  // columns in use of the last vector
};

using TileCall = TileCallOf<float>;

template <typename T>
using TileKernelOf = void (*)(const TileCallOf<T>& call);
using TileKernel = TileKernelOf<float>;

template <bool kPartial, typename T>
KINDLING_INLINE GemmVecOf<T> loadColumns(const T* p, int lanes) {
  return kPartial ? GemmVecOf<T>::loadPartial(p, lanes) : GemmVecOf<T>::load(p);
}

template <int kVectors, bool kPartial, typename V>
KINDLING_INLINE void loadTileRow(V (&x)[kVectors], const typename V::Scalar* p, int lastLanes) {
#pragma GCC unroll 16
  for (int j = 0; j < kVectors - 1; ++j) x[j] = V::load(p + j * V::width);
  x[kVectors - 1] = loadColumns<kPartial>(p + (kVectors - 1) * V::width, lastLanes);
}

template <int kRows, int kVectors, bool kPartial, typename V>
KINDLING_INLINE void storeTile(const TileCallOf<typename V::Scalar>& call,
                               V (&acc)[kRows][kVectors]) {
  using T = typename V::Scalar;
  constexpr int kWidth = V::width;
  T* const c = call.c;
  const int64_t ldc = call.ldc;
  const int lastLanes = call.lastLanes;
  V more[kVectors];
  if (call.bias) {
    loadTileRow<kVectors, kPartial>(more, call.bias, lastLanes);
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 16
      for (int j = 0; j < kVectors; ++j) acc[i][j] = acc[i][j] + more[j];
    }
  }
  if (call.accumulate) {
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) {
      loadTileRow<kVectors, kPartial>(more, c + i * ldc, lastLanes);
#pragma GCC unroll 16
      for (int j = 0; j < kVectors; ++j) acc[i][j] = acc[i][j] + more[j];
    }
  }
  if (call.residual) {
    const T* const residual = call.residual;
    const int64_t ldr = call.ldr;
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) {
      loadTileRow<kVectors, kPartial>(more, residual + i * ldr, lastLanes);
#pragma GCC unroll 16
      for (int j = 0; j < kVectors; ++j) acc[i][j] = acc[i][j] + more[j];
    }
  }
  if (call.relu) {
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 16
      for (int j = 0; j < kVectors; ++j) acc[i][j] = relu(acc[i][j]);
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < kRows; ++i) {
    T* row = c + i * ldc;
#pragma GCC unroll 16
    for (int j = 0; j < kVectors - 1; ++j) acc[i][j].store(row + j * kWidth);
    if (kPartial) {
      storeFirst(acc[i][kVectors - 1], row + (kVectors - 1) * kWidth, lastLanes);
    } else {
      acc[i][kVectors - 1].store(row + (kVectors - 1) * kWidth);
    }
  }
}

/// Brings the tile of the result to the L2 cache while the products are summed. Not to L1, where
/// rows a power of two apart would push each other out.
template <int kRows, int kVectors, typename T>
KINDLING_INLINE void prefetchTile(const TileCallOf<T>& call) {
#pragma GCC unroll 16
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 16
    for (int j = 0; j < kVectors; ++j) {
      __builtin_prefetch(call.c + i * call.ldc + j * GemmVecOf<T>::width, 1, 2);
    }
  }
}

/// The address of row i: a base and at most one scaled stride, as the CPU's addressing has it.
template <typename T>
struct RowAddress {
  const char *first, *eighth;
  int64_t stride, stride3, stride5;
  KINDLING_INLINE const T* at(int i) const {
    const char* base = i < 7 ? first : eighth;
    switch (i % 7) {
      case 0:
        break;
      case 1:
        base += stride;
        break;
      case 2:
        base += stride * 2;
        break;
      case 3:
        base += stride3;
        break;
      case 4:
        base += stride * 4;
        break;
      case 5:
        base += stride5;
        break;
      default:
        base += stride3 * 2;
    }
    return reinterpret_cast<const T*>(base);
  }
};

template <int kRows, typename T>
KINDLING_INLINE RowAddress<T> rowAddress(const TileCallOf<T>& call) {
  const int64_t stride = call.rowStride * int64_t{sizeof(T)};
  const char* const first = reinterpret_cast<const char*>(call.rows);
  return {first, kRows > 7 ? first + 7 * stride : first, stride, 3 * stride, 5 * stride};
}

/// What a step of k adds to a sum.
struct MultiplyAdd {
  template <typename V>
  static KINDLING_INLINE V add(V a, V b, V sum) {
    return fma(a, b, sum);
  }
};

/// kUnitStride: rows lie side by side (packed, or a transposed matrix).
template <int kRows, int kVectors, bool kUnitStride, bool kPartial, typename T,
          class Step = MultiplyAdd>
void tileKernel(const TileCallOf<T>& call) {
  using V = GemmVecOf<T>;
  constexpr int kBytes = sizeof(T);
  V acc[kRows][kVectors];
#pragma GCC unroll 16
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 16
    for (int j = 0; j < kVectors; ++j) acc[i][j] = V::zero();
  }
  RowAddress<T> rows = rowAddress<kRows>(call);
  const T* unit = call.rows;
  const T* columns = call.columns;
  const int64_t rowStep = call.rowStep, columnStep = call.columnStep;
  const int lanes = call.lastLanes;
  prefetchTile<kRows, kVectors>(call);
  for (int64_t p = call.k; p > 0; --p) {
    V b[kVectors];
    loadTileRow<kVectors, kPartial>(b, columns, lanes);
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) {
      const V a = V::set1(kUnitStride ? unit[i] : *rows.at(i));
#pragma GCC unroll 16
      for (int j = 0; j < kVectors; ++j) acc[i][j] = Step::add(a, b[j], acc[i][j]);
    }
    columns += columnStep;
    if (kUnitStride) {
      unit += rowStep;
    } else {
      rows.first += rowStep * kBytes;
      rows.eighth += rowStep * kBytes;
    }
  }
  storeTile<kRows, kVectors, kPartial>(call, acc);
}

#if KINDLING_ISA_LEVEL == 2
constexpr int kTileRows = 14;     // with at most kTileVectors
constexpr int kWideTileRows = 6;  // with at most kWideVectors
#elif KINDLING_ISA_LEVEL == 1
constexpr int kTileRows = 6;
constexpr int kWideTileRows = 2;
#elif KINDLING_ISA_LEVEL == 3
constexpr int kTileRows = 8;  // 16 sums of 32 registers
constexpr int kWideTileRows = 4;
#else
constexpr int kTileRows = 4;
constexpr int kWideTileRows = 1;
#endif
constexpr int kTileVectors = 2;
constexpr int kWideVectors = 4;

template <int kRows, int kVectors, typename T, class Step>
KINDLING_INLINE TileKernelOf<T> tileKernelOf(bool unitStride, bool partial) {
#if KINDLING_ISA_LEVEL == 2
  // A masked load costs what a plain one does: one kernel serves both cases.
  (void)partial;
  return unitStride ? tileKernel<kRows, kVectors, true, true, T, Step>
                    : tileKernel<kRows, kVectors, false, true, T, Step>;
#else
  if (partial) {
    return unitStride ? tileKernel<kRows, kVectors, true, true, T, Step>
                      : tileKernel<kRows, kVectors, false, true, T, Step>;
  }
  return unitStride ? tileKernel<kRows, kVectors, true, false, T, Step>
                    : tileKernel<kRows, kVectors, false, false, T, Step>;
#endif
}

/// Finds the instance of the largest number of rows that is asked for, from kRows down.
template <int kRows, int kVectors, typename T, class Step>
inline TileKernelOf<T> findTileKernel(int rows, bool unitStride, bool partial) {
  if constexpr (kRows > 1) {
    if (rows < kRows) {
      return findTileKernel<kRows - 1, kVectors, T, Step>(rows, unitStride, partial);
    }
  }
  return tileKernelOf<kRows, kVectors, T, Step>(unitStride, partial);
}

/// The kernel for a tile of `rows`: 1 to kTileRows, or to kWideTileRows where `vectors` is greater
/// than kTileVectors.
template <typename T = float, class Step = MultiplyAdd>
inline TileKernelOf<T> tileKernelFor(int rows, int vectors, bool unitStride, bool partial) {
  switch (vectors) {
    case 1:
      return findTileKernel<kTileRows, 1, T, Step>(rows, unitStride, partial);
    case 2:
      return findTileKernel<kTileRows, 2, T, Step>(rows, unitStride, partial);
    case 3:
      return findTileKernel<kWideTileRows, 3, T, Step>(rows, unitStride, partial);
    default:
      return findTileKernel<kWideTileRows, 4, T, Step>(rows, unitStride, partial);
  }
}

}  // namespace KINDLING_ISA
}  // namespace kindling
