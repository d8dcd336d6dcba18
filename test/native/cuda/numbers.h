#pragma once
// Numbers for the tests that compare kernels on the emulated device with the CPU's.

#include <cmath>
#include <cstdint>
#include <cstring>

#include "op_testing.h"

namespace kindling {
namespace testing {

/// Reproducible numbers without visible order.
class Numbers {
 public:
  explicit Numbers(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15u + 1) {}

  uint64_t next() {
    state_ += 0x9e3779b97f4a7c15u;
    uint64_t mixed = (state_ ^ state_ >> 30) * 0xbf58476d1ce4e5b9u;
    mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111ebu;
    return mixed ^ mixed >> 31;
  }
  /// In [low, high].
  int64_t between(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(next() % static_cast<uint64_t>(high - low + 1));
  }
  template <typename T>
  T oneOf(std::initializer_list<T> values) {
    return values.begin()[between(0, static_cast<int64_t>(values.size()) - 1)];
  }
  /// In [-1, 1).
  double unit() { return static_cast<double>(next() >> 11) / 4503599627370496.0 - 1; }

  TestTensor tensor(DType dtype, const Shape& shape) {
    return TestTensor::generate(dtype, shape, [this](int64_t) { return unit(); });
  }
  /// The same numbers in a memory layout of this generator's choice.
  TestTensor inSomeLayout(const TestTensor& source) {
    const std::vector<NamedTensor> all = inEveryLayout(source);
    return all[static_cast<size_t>(between(0, static_cast<int64_t>(all.size()) - 1))].tensor;
  }

 private:
  uint64_t state_;
};

/// The nearest number with TF32's ten bits of mantissa, ties away from zero.
inline double roundedToTf32(double value) {
  const float single = static_cast<float>(value);
  uint32_t bits;
  std::memcpy(&bits, &single, sizeof bits);
  bits = (bits + 0x1000u) & ~0x1fffu;
  float rounded;
  std::memcpy(&rounded, &bits, sizeof rounded);
  return rounded;
}

}  // namespace testing
}  // namespace kindling
