#pragma once
// Stable sorting of long rows by unsigned keys, for sort and for the ops that bring equal positions
// together.

#include <cstdint>

#include "cuda/runtime.h"

namespace kindling {
namespace cuda {

/// Keys of rows of `count` items each, and where each item came from: sorted together. Two buffers,
/// the first of which holds the input.
template <typename Key>
struct SortBuffers {
  Key* keys[2];
  uint32_t* positions[2];
};

/// The memory of buffers for rows * count items.
template <typename Key>
constexpr size_t sortBytes(int64_t rows, int64_t count) {
  return 2 * (sizeof(Key) + sizeof(uint32_t)) * static_cast<size_t>(rows * count);
}
/// The buffers within that memory.
template <typename Key>
SortBuffers<Key> sortBuffers(void* memory, int64_t rows, int64_t count) {
  const int64_t items = rows * count;
  Key* const keys = static_cast<Key*>(memory);
  uint32_t* const positions = reinterpret_cast<uint32_t*>(keys + 2 * items);
  return {{keys, keys + items}, {positions, positions + items}};
}

/// Sorts each row by the lowest `bits` bits of its keys (uint32_t or uint64_t), in passes over
/// eight bits; `*result` says which buffer holds the order.
template <typename Key>
Status radixSort(const SortBuffers<Key>& buffers, int64_t rows, int64_t count, int bits,
                 int* result);

}  // namespace cuda
}  // namespace kindling
