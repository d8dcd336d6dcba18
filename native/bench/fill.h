#pragma once
// Operands that every contestant makes alike. Operand number i of a kind of work has salt i, in the
// order in which its arguments are named where the kind is defined (kindling_*.cc, peer.py).

#include <cstdint>

#include "bench/contestant.h"

namespace kindling::bench {

/// A number in [-0.5, 0.5) for element `i`: the same in peer.py.
inline double valueAt(int64_t i, uint32_t salt) {
  const uint32_t mixed = static_cast<uint32_t>(i) * 2654435761u + salt * 40503u;
  const uint32_t folded = (mixed ^ mixed >> 15) * 2246822519u;
  return static_cast<double>(folded >> 8 & 0xffff) / 65536 - 0.5;
}

inline int32_t indexAt(int64_t i, uint32_t salt, int64_t below) {
  return static_cast<int32_t>((valueAt(i, salt) + 0.5) * static_cast<double>(below));
}

template <typename Float>
void fill(Float* data, int64_t size, uint32_t salt, double scale) {
  for (int64_t i = 0; i < size; ++i) data[i] = static_cast<Float>(scale * valueAt(i, salt));
}

template <typename Float>
Checksum checksumOf(const std::string& name, const Float* data, int64_t size) {
  Checksum c = {name, 0, 0};
  for (int64_t i = 0; i < size; ++i) {
    c.sum += data[i];
    c.sumOfMagnitudes += data[i] < 0 ? -data[i] : data[i];
  }
  return c;
}

}  // namespace kindling::bench
