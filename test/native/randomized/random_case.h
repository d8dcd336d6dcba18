#pragma once
// A call of an op with random shapes and values, and what it must give. Every op of ops.def has a
// function that makes such cases (makers.h); driver.h runs them.

#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "op_testing.h"

namespace kindling {
namespace testing {

/// Half a unit in the last place of 1: what one rounding of a result near 1 may be off.
inline double roundingOf(DType dtype) {
  switch (dtype) {
    case DType::float32:
      return 0x1p-24;
    case DType::float64:
      return 0x1p-53;
    case DType::float16:
      return 0x1p-11;
    case DType::bfloat16:
      return 0x1p-8;
    default:
      return 0;
  }
}

inline bool isFloating(DType dtype) { return roundingOf(dtype) > 0; }

/// What a case draws its sizes and values from.
class Random {
 public:
  /// `most`: about how many elements a tensor has at most. `specials`: among the values are NaN,
  /// infinities and zeros of both signs.
  Random(uint64_t seed, int64_t most, bool specials)
      : most(most), specials(specials), engine_(seed) {}

  const int64_t most;
  const bool specials;

  /// From `low` to `high`, both included.
  int64_t pick(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(engine_() % static_cast<uint64_t>(high - low + 1));
  }
  bool oneIn(int64_t n) { return pick(1, n) == 1; }
  double uniform(double low, double high) {
    return low + (high - low) * static_cast<double>(engine_() >> 11) * 0x1p-53;
  }

  /// Often 0, 1 or one around the width of a vector or the size of a tile.
  int64_t extent(int64_t high, int64_t low = 0) {
    static const int64_t edges[] = {0,   1,   2,   3,   4,   5,   6,   7,   8,   9,   13,  14,  15,
                                    16,  17,  28,  31,  32,  33,  63,  64,  65,  127, 128, 129, 191,
                                    192, 193, 255, 256, 257, 383, 384, 385, 511, 512, 513};
    constexpr int64_t count = sizeof(edges) / sizeof(edges[0]);
    if (high < low) return low;
    const int64_t edge = edges[pick(0, count - 1)];
    const bool fits = edge >= low && edge <= high && (edge > 0 || oneIn(3));
    return fits ? edge : pick(low, high);
  }
  Shape shape(int leastRank, int mostRank) {
    const int64_t rank = pick(leastRank, mostRank);
    Shape result(static_cast<size_t>(rank), 1);
    int64_t left = most;
    // The axes in any order, so that it is not always the first that is long.
    for (int64_t i = 0, at = rank > 0 ? pick(0, rank - 1) : 0; i < rank; ++i) {
      int64_t& extent = result[static_cast<size_t>((at + i) % rank)];
      extent = this->extent(i == rank - 1 || oneIn(3) ? left : std::min<int64_t>(left, 20));
      if (extent > 1) left /= extent;
      if (left < 1) left = 1;
    }
    return result;
  }

  double value(double low = -1, double high = 1) {
    if (specials && oneIn(12)) {
      static const double all[] = {NAN, INFINITY, -INFINITY, 0.0, -0.0};
      return all[pick(0, 4)];
    }
    return uniform(low, high);
  }

  /// A tensor of such values; along some axes all elements may be one element of memory.
  TestTensor tensor(DType dtype, const Shape& shape, double low = -1, double high = 1) {
    Shape own = shape;
    for (int64_t& extent : own) {
      if (extent > 1 && oneIn(10)) extent = 1;
    }
    const bool whole = !isFloating(dtype);
    const TestTensor result = TestTensor::generate(dtype, own, [&](int64_t) {
      if (dtype == DType::boolean) return static_cast<double>(pick(0, 1));
      return whole ? static_cast<double>(pick(static_cast<int64_t>(std::ceil(low)),
                                              static_cast<int64_t>(std::floor(high))))
                   : value(low, high);
    });
    return own == shape ? result : result.expanded(shape);
  }
  TestTensor dense(DType dtype, const Shape& shape, double low = -1, double high = 1) {
    return TestTensor::generate(dtype, shape, [&](int64_t) { return value(low, high); });
  }

  /// One of the dtypes that the op takes for its first input.
  DType dtypeOf(Op op) {
    for (;;) {
      const int64_t code = pick(0, kDTypeCount - 1);
      if (opInfo(op).dtypes >> code & 1) return static_cast<DType>(code);
    }
  }
  template <typename T>
  const T& oneOf(const std::vector<T>& all) {
    return all[static_cast<size_t>(pick(0, static_cast<int64_t>(all.size()) - 1))];
  }

 private:
  std::mt19937_64 engine_;
};

/// A result in double, and by how much each element may differ beyond the rounding of its dtype.
struct Expected {
  DType dtype;
  Shape shape;
  std::vector<double> values, bounds;
  /// Where the order of operations is the kernel's choice, an infinity may meet another and become
  /// NaN: what is not finite must stay so, no more.
  bool ordersFreely = false;

  Expected(DType dtype, const Shape& shape)
      : dtype(dtype),
        shape(shape),
        values(static_cast<size_t>(elementCount(shape))),
        bounds(values.size()) {}
  int64_t size() const { return static_cast<int64_t>(values.size()); }

  void set(int64_t i, double value, double bound = 0) {
    values[static_cast<size_t>(i)] = value;
    bounds[static_cast<size_t>(i)] = bound;
  }
  /// Within `ulps` units in the last place of the dtype.
  void setWithin(int64_t i, double value, double ulps) {
    set(i, value, ulps * 2 * roundingOf(dtype) * std::fabs(value));
  }
  /// A sum of `terms` numbers whose magnitudes sum to `magnitude`.
  void setSum(int64_t i, double value, double magnitude, double terms) {
    set(i, value, (terms + 4) * roundingOf(dtype) * magnitude);
  }

  /// `got` is right for element i.
  bool accepts(int64_t i, double got) const {
    const double value = values[static_cast<size_t>(i)], bound = bounds[static_cast<size_t>(i)];
    if (ordersFreely && !std::isfinite(static_cast<float>(value))) return !std::isfinite(got);
    if (value != value) return got != got;
    const bool overflows = dtype == DType::float32 && std::fabs(value) >= 0x1.ffffffp127;
    if (std::isinf(value) || overflows) return got == (value > 0 ? INFINITY : -INFINITY);
    // 1e-44 is about the smallest float32: what underflows is off by that.
    const double own = roundingOf(dtype) * std::fabs(value) + (dtype == DType::float32 ? 2e-45 : 0);
    return std::fabs(got - value) <= (std::isfinite(bound) ? bound : 0) + own;
  }
};

struct RandomCase {
  Op op;
  std::vector<TestTensor> inputs;
  std::vector<int32_t> ints = {};
  std::vector<double> floats = {};
  std::vector<Expected> outputs = {};
  /// Inputs that the op writes and their new values, by number.
  std::vector<std::pair<size_t, Expected>> updated = {};
  /// Bit i: input i must be contiguous.
  uint32_t dense = 0;
  void letOrderFree() {
    for (Expected& output : outputs) output.ordersFreely = true;
    for (auto& [number, value] : updated) value.ordersFreely = true;
  }
  /// Where results are right by a property rather than by value: fails the test by itself.
  std::function<void(const std::vector<TestTensor>& outputs)> check = nullptr;
};

using CaseMaker = RandomCase (*)(Op op, Random& random);

/// Sums of products with the sum of their magnitudes and their number.
struct Sum {
  double value = 0, magnitude = 0, terms = 0;
  void add(double term) {
    value += term;
    magnitude += std::fabs(term);
    ++terms;
  }
};

}  // namespace testing
}  // namespace kindling
