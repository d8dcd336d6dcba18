#pragma once
// Copies a rectangle between any two strided layouts, along whichever axis memory runs.

#include <cstdint>
#include <cstring>

#include "core/tensor_view.h"
#include "cpu/vec.h"

namespace kindling {
namespace KINDLING_ISA {

// Elements are moved as plain bits of their size, whatever their dtype.
typedef int32_t Word __attribute__((may_alias));
typedef uint8_t Byte;
typedef uint16_t Short __attribute__((may_alias));
typedef int64_t Long __attribute__((may_alias));

constexpr int kMaxElementBytes = 8;

KINDLING_INLINE int64_t elementBytes(DType dtype) { return kDTypeBytes[static_cast<int>(dtype)]; }

/// Calls body with a value of the type that has the dtype's size.
template <typename Body>
KINDLING_INLINE void withElement(DType dtype, const Body& body) {
  switch (elementBytes(dtype)) {
    case 1:
      return body(Byte());
    case 2:
      return body(Short());
    case 4:
      return body(Word());
    default:
      return body(Long());
  }
}

KINDLING_INLINE void copyRun(Word* to, const Word* from, int64_t n) {
  if (n >= 512) {
    memcpy(to, from, static_cast<size_t>(n) * sizeof(Word));
    return;
  }
  int64_t i = 0;
  for (; i + VecI::width <= n; i += VecI::width) VecI::load(from + i).store(to + i);
  if (i == n) return;
  if (n >= VecI::width) {
    // Some elements twice: AVX2 stores a part of a vector ten times slower than a whole one.
    VecI::load(from + n - VecI::width).store(to + n - VecI::width);
  } else {
    VecI::loadPartial(from, static_cast<int>(n)).storePartial(to, static_cast<int>(n));
  }
}

KINDLING_INLINE void copyRun(Byte* to, const Byte* from, int64_t n) {
  memcpy(to, from, static_cast<size_t>(n));
}

KINDLING_INLINE void copyRun(Short* to, const Short* from, int64_t n) {
  memcpy(to, from, static_cast<size_t>(n) * sizeof(Short));
}

KINDLING_INLINE void copyRun(Long* to, const Long* from, int64_t n) {
  memcpy(to, from, static_cast<size_t>(n) * sizeof(Long));
}

template <typename T>
KINDLING_INLINE void fillRun(T* to, T value, int64_t n) {
  for (int64_t i = 0; i < n; ++i) to[i] = value;
}

KINDLING_INLINE void fillRun(Word* to, Word value, int64_t n) {
  const VecI values = VecI::set1(value);
  int64_t i = 0;
  for (; i + VecI::width <= n; i += VecI::width) values.store(to + i);
  if (i < n) values.storePartial(to + i, static_cast<int>(n - i));
}

KINDLING_INLINE void fillRun(Byte* to, Byte value, int64_t n) {
  memset(to, value, static_cast<size_t>(n));
}

/// A block whose rows are contiguous in `to` and whose columns are contiguous in `from`.
template <typename T>
KINDLING_INLINE void transposePlain(T* to, int64_t toRow, const T* from, int64_t fromColumn,
                                    int64_t rows, int64_t columns) {
  if (rows < columns) {
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = 0; c < columns; ++c) to[r * toRow + c] = from[r + c * fromColumn];
    }
  } else {
    for (int64_t c = 0; c < columns; ++c) {
      for (int64_t r = 0; r < rows; ++r) to[r * toRow + c] = from[r + c * fromColumn];
    }
  }
}

#if KINDLING_ISA_LEVEL == 1 || KINDLING_ISA_LEVEL == 2

KINDLING_INLINE void transpose8x8(Word* to, int64_t toRow, const Word* from, int64_t fromColumn) {
  __m256i c[8], t[8];
  for (int i = 0; i < 8; ++i) {
    c[i] = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + i * fromColumn));
  }
  for (int i = 0; i < 8; i += 2) {
    t[i] = _mm256_unpacklo_epi32(c[i], c[i + 1]);
    t[i + 1] = _mm256_unpackhi_epi32(c[i], c[i + 1]);
  }
  for (int i = 0; i < 8; i += 4) {
    c[i] = _mm256_unpacklo_epi64(t[i], t[i + 2]);
    c[i + 1] = _mm256_unpackhi_epi64(t[i], t[i + 2]);
    c[i + 2] = _mm256_unpacklo_epi64(t[i + 1], t[i + 3]);
    c[i + 3] = _mm256_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  for (int i = 0; i < 4; ++i) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + i * toRow),
                        _mm256_permute2x128_si256(c[i], c[i + 4], 0x20));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + (i + 4) * toRow),
                        _mm256_permute2x128_si256(c[i], c[i + 4], 0x31));
  }
}

/// Blocks of 16 by 16, so that every cache line touched is used whole at once.
inline void transposeTile(Word* to, int64_t toRow, const Word* from, int64_t fromColumn,
                          int64_t rows, int64_t columns) {
  const int64_t wholeRows = rows - rows % 8;
  const int64_t wholeColumns = columns - columns % 8;
  for (int64_t r = 0; r < wholeRows; r += 16) {
    for (int64_t c = 0; c < wholeColumns; c += 8) {
      transpose8x8(to + r * toRow + c, toRow, from + r + c * fromColumn, fromColumn);
      if (r + 8 < wholeRows) {
        transpose8x8(to + (r + 8) * toRow + c, toRow, from + r + 8 + c * fromColumn, fromColumn);
      }
    }
  }
  transposePlain(to + wholeColumns, toRow, from + wholeColumns * fromColumn, fromColumn, wholeRows,
                 columns - wholeColumns);
  transposePlain(to + wholeRows * toRow, toRow, from + wholeRows, fromColumn, rows - wholeRows,
                 columns);
}

#endif

/// By way of a small block, so that every cache line touched is used whole at once.
template <typename T>
inline void transposeTile(T* to, int64_t toRow, const T* from, int64_t fromColumn, int64_t rows,
                          int64_t columns) {
  constexpr int64_t kBlock = 64 / sizeof(T) < 32 ? 64 / sizeof(T) : 32;
  if (rows < kBlock / 2 || columns < kBlock / 2) {
    return transposePlain(to, toRow, from, fromColumn, rows, columns);
  }
  T block[kBlock][kBlock];
  for (int64_t r = 0; r < rows; r += kBlock) {
    const int64_t high = rows - r < kBlock ? rows - r : kBlock;
    for (int64_t c = 0; c < columns; c += kBlock) {
      const int64_t wide = columns - c < kBlock ? columns - c : kBlock;
      for (int64_t j = 0; j < wide; ++j) {
        for (int64_t i = 0; i < high; ++i) block[i][j] = from[r + i + (c + j) * fromColumn];
      }
      for (int64_t i = 0; i < high; ++i) copyRun(to + (r + i) * toRow + c, block[i], wide);
    }
  }
}

/// to[r * toRow + c * toColumn] = from[r * fromRow + c * fromColumn]
template <typename T>
inline void copyTile(T* to, int64_t toRow, int64_t toColumn, const T* from, int64_t fromRow,
                     int64_t fromColumn, int64_t rows, int64_t columns) {
  if (toColumn == 1 && fromColumn == 1) {
    for (int64_t r = 0; r < rows; ++r) copyRun(to + r * toRow, from + r * fromRow, columns);
  } else if (toColumn == 1 && fromColumn == 0) {
    for (int64_t r = 0; r < rows; ++r) fillRun(to + r * toRow, from[r * fromRow], columns);
  } else if (toColumn == 1 && fromRow == 1) {
    transposeTile(to, toRow, from, fromColumn, rows, columns);
  } else {
    for (int64_t r = 0; r < rows; ++r) {
      T* row = to + r * toRow;
      const T* source = from + r * fromRow;
      for (int64_t c = 0; c < columns; ++c) row[c * toColumn] = source[c * fromColumn];
    }
  }
}

}  // namespace KINDLING_ISA
}  // namespace kindling
