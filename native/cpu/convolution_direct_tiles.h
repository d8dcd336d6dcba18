#pragma once
// The tiles of convolution_direct.cc, whose sums stay in registers: of several filters, or of
// several rows of one filter's result.

#include <cstdint>

#include "cpu/gemm_vec.h"

namespace kindling {
namespace KINDLING_ISA {
namespace {

constexpr int kWidth = GemmVec::width;
constexpr int kMostFilters = KINDLING_ISA_LEVEL == 2 ? 8 : 4;  // of a tile
constexpr int kMostKernelRows = 4;                             // of a column term

// ---- several filters at once

/// A vector of the grid.
struct Position {
  int64_t source, out;  // offsets in the plane and in the result
  int64_t lanes;
};

struct FilterCall {
  const int64_t* offsets;  // of the terms, in the planes
  const float* weights;    // [term][filter]
  int64_t count;
  const float* bias;  // of the filters, or nullptr
  const float* planes;
  const Position* positions;
  float* out;
  int64_t outPlane;  // from filter to filter
};

using FilterKernel = void (*)(const FilterCall&);

template <int kFilters, int kPositions>
void filterTile(const FilterCall& call) {
  GemmVec acc[kFilters][kPositions];
#pragma GCC unroll 8
  for (int m = 0; m < kFilters; ++m) {
    const GemmVec start = call.bias ? GemmVec::set1(call.bias[m]) : GemmVec::zero();
#pragma GCC unroll 8
    for (int p = 0; p < kPositions; ++p) acc[m][p] = start;
  }
  const float* from[kPositions];
#pragma GCC unroll 8
  for (int p = 0; p < kPositions; ++p) from[p] = call.planes + call.positions[p].source;
  const float* weights = call.weights;
  for (int64_t term = 0; term < call.count; ++term, weights += kFilters) {
    const int64_t offset = call.offsets[term];
    if (kFilters < kPositions) {
      GemmVec weight[kFilters];
#pragma GCC unroll 8
      for (int m = 0; m < kFilters; ++m) weight[m] = GemmVec::set1(weights[m]);
#pragma GCC unroll 8
      for (int p = 0; p < kPositions; ++p) {
        const GemmVec x = GemmVec::load(from[p] + offset);
#pragma GCC unroll 8
        for (int m = 0; m < kFilters; ++m) acc[m][p] = fma(weight[m], x, acc[m][p]);
      }
    } else {
      GemmVec x[kPositions];
#pragma GCC unroll 8
      for (int p = 0; p < kPositions; ++p) x[p] = GemmVec::load(from[p] + offset);
#pragma GCC unroll 8
      for (int m = 0; m < kFilters; ++m) {
        const GemmVec weight = GemmVec::set1(weights[m]);
#pragma GCC unroll 8
        for (int p = 0; p < kPositions; ++p) acc[m][p] = fma(weight, x[p], acc[m][p]);
      }
    }
  }
#pragma GCC unroll 8
  for (int p = 0; p < kPositions; ++p) {
    const Position& position = call.positions[p];
    float* const to = call.out + position.out;
    if (position.lanes == kWidth) {
#pragma GCC unroll 8
      for (int m = 0; m < kFilters; ++m) acc[m][p].store(to + m * call.outPlane);
    } else {
#pragma GCC unroll 8
      for (int m = 0; m < kFilters; ++m) {
        storeFirst(acc[m][p], to + m * call.outPlane, static_cast<int>(position.lanes));
      }
    }
  }
}

struct FilterChoice {
  int64_t positions;  // of a tile
  FilterKernel tile, single;
};

/// For 1 to kMostFilters filters: as many positions as the registers hold.
const FilterChoice& filterChoiceFor(int64_t filters) {
#if KINDLING_ISA_LEVEL == 2
  static constexpr FilterChoice choices[] = {
      {8, filterTile<1, 8>, filterTile<1, 1>}, {8, filterTile<2, 8>, filterTile<2, 1>},
      {8, filterTile<3, 8>, filterTile<3, 1>}, {6, filterTile<4, 6>, filterTile<4, 1>},
      {5, filterTile<5, 5>, filterTile<5, 1>}, {4, filterTile<6, 4>, filterTile<6, 1>},
      {3, filterTile<7, 3>, filterTile<7, 1>}, {3, filterTile<8, 3>, filterTile<8, 1>}};
#else
  static constexpr FilterChoice choices[] = {{8, filterTile<1, 8>, filterTile<1, 1>},
                                             {5, filterTile<2, 5>, filterTile<2, 1>},
                                             {4, filterTile<3, 4>, filterTile<3, 1>},
                                             {3, filterTile<4, 3>, filterTile<4, 1>}};
#endif
  return choices[filters - 1];
}

// ---- several rows at once

/// The products of one column of a kernel: taps in up to kMostKernelRows successive rows.
struct ColumnTerm {
  int64_t offset;  // of the first row
  int64_t rows;
  float weights[kMostKernelRows];
};

struct ColumnCall {
  const ColumnTerm* terms;
  int64_t count;
  float bias;
  const float* planes;
  int64_t step;  // from row to row of the planes
  float* out;
  int64_t outStep;  // from row to row of the result
  int64_t lanes;    // of the last vector
};

using ColumnKernel = void (*)(const ColumnCall&);

/// Every row that is loaded counts for all rows of the result that it reaches.
template <int kRows, int kVectors, int kTaps>
KINDLING_INLINE void addColumn(const ColumnTerm& term, const float* planes, int64_t step,
                               GemmVec (&acc)[kRows][kVectors]) {
  GemmVec weights[kTaps];
#pragma GCC unroll 8
  for (int i = 0; i < kTaps; ++i) weights[i] = GemmVec::set1(term.weights[i]);
  const float* from = planes + term.offset;
#pragma GCC unroll 16
  for (int y = 0; y < kRows + kTaps - 1; ++y, from += step) {
#pragma GCC unroll 2
    for (int u = 0; u < kVectors; ++u) {
      const GemmVec x = GemmVec::load(from + u * kWidth);
#pragma GCC unroll 8
      for (int i = 0; i < kTaps; ++i) {
        if (y - i < 0 || y - i >= kRows) continue;
        acc[y - i][u] = fma(weights[i], x, acc[y - i][u]);
      }
    }
  }
}

template <int kRows, int kVectors>
void columnTile(const ColumnCall& call) {
  GemmVec acc[kRows][kVectors];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 2
    for (int u = 0; u < kVectors; ++u) acc[r][u] = GemmVec::set1(call.bias);
  }
  for (int64_t i = 0; i < call.count; ++i) {
    const ColumnTerm& term = call.terms[i];
    switch (term.rows) {
      case 1:
        addColumn<kRows, kVectors, 1>(term, call.planes, call.step, acc);
        break;
      case 2:
        addColumn<kRows, kVectors, 2>(term, call.planes, call.step, acc);
        break;
      case 3:
        addColumn<kRows, kVectors, 3>(term, call.planes, call.step, acc);
        break;
      default:
        addColumn<kRows, kVectors, kMostKernelRows>(term, call.planes, call.step, acc);
    }
  }
  float* to = call.out;
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r, to += call.outStep) {
    if (kVectors == 2) acc[r][0].store(to);
    float* const last = to + (kVectors - 1) * kWidth;
    if (call.lanes == kWidth) {
      acc[r][kVectors - 1].store(last);
    } else {
      storeFirst(acc[r][kVectors - 1], last, static_cast<int>(call.lanes));
    }
  }
}

/// The most rows whose sums the registers hold.
constexpr int64_t mostRows(int vectors) {
  return KINDLING_ISA_LEVEL == 2 ? 8 : KINDLING_ISA_LEVEL > 0 && vectors == 1 ? 8 : 4;
}

ColumnKernel columnKernelFor(int64_t rows, int vectors) {
  static constexpr ColumnKernel single[] = {
    columnTile<1, 1>,
    columnTile<2, 1>,
    columnTile<3, 1>,
    columnTile<4, 1>,
#if KINDLING_ISA_LEVEL > 0
    columnTile<5, 1>,
    columnTile<6, 1>,
    columnTile<7, 1>,
    columnTile<8, 1>,
#endif
  };
  static constexpr ColumnKernel pair[] = {
    columnTile<1, 2>,
    columnTile<2, 2>,
    columnTile<3, 2>,
    columnTile<4, 2>,
#if KINDLING_ISA_LEVEL == 2
    columnTile<5, 2>,
    columnTile<6, 2>,
    columnTile<7, 2>,
    columnTile<8, 2>,
#endif
  };
  return (vectors == 2 ? pair : single)[rows - 1];
}

}  // namespace
}  // namespace KINDLING_ISA
}  // namespace kindling
