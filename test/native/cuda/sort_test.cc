// Sorting and searching on the emulated device: stable in both directions, NaN above all, rows in
// shared memory and by radix.

#include <limits>

#include "cuda/compare.h"

using namespace kindling;
using namespace kindling::testing;

namespace {

const DType kTypes[] = {DType::float32, DType::int32, DType::boolean,
                        DType::float64, DType::int64, DType::uint8};

/// Few different values, so that ties are common; for floats with NaN, infinities and both zeros.
double value(DType dtype, int64_t i) {
  const int64_t n = i * 7919 % 101;
  if (dtype == DType::uint8) return static_cast<double>(n * 2);
  if (dtype == DType::boolean) return static_cast<double>(n % 2);
  if (dtype == DType::float32 || dtype == DType::float64) {
    if (n == 3) return std::nan("");
    if (n == 5) return std::numeric_limits<double>::infinity();
    if (n == 6) return -std::numeric_limits<double>::infinity();
    if (n == 7) return -0.0;
    if (n == 8) return 0.0;
    return 0.37 * static_cast<double>(n - 50);
  }
  return static_cast<double>((n - 50) * 40000000);
}

TestTensor input(DType dtype, const Shape& shape) {
  return TestTensor::generate(dtype, shape, [=](int64_t i) { return value(dtype, i); });
}

}  // namespace

TEST_CASE("cuda sort: rows of every length, all or the first") {
  for (const DType dtype : kTypes) {
    for (const int64_t length : {1, 2, 3, 4, 31, 33, 100, 128, 1000, 2048, 2049, 5000}) {
      for (const int64_t rows : {1, 3, 40}) {
        if (rows * length > 40000) continue;
        const TestTensor x = input(dtype, {rows, length});
        for (const int descending : {0, 1}) {
          for (const int64_t kept : {length, (length + 1) / 2, int64_t{1}}) {
            compare(Op::sort, {x},
                    {TestTensor(dtype, {rows, kept}), TestTensor(DType::int32, {rows, kept})},
                    {descending}, {}, kExact);
          }
        }
      }
    }
  }
}

TEST_CASE("cuda sort: layouts and edges") {
  for (const DType dtype : kTypes) {
    for (const Shape& shape : {Shape{}, Shape{0}, Shape{3, 0}, Shape{0, 3}, Shape{3, 4, 50}}) {
      const TestTensor x = input(dtype, shape);
      for (const NamedTensor& layout : inEveryLayout(x)) {
        CAPTURE(layout.layout);
        compare(Op::sort, {layout.tensor}, {x, TestTensor(DType::int32, shape)}, {1}, {}, kExact);
      }
    }
    const TestTensor turned = input(dtype, {3000, 3}).transposed(0, 1);
    compare(Op::sort, {turned}, {TestTensor(dtype, {3, 3000}), TestTensor(DType::int32, {3, 3000})},
            {0}, {}, kExact);
  }
  const TestTensor many = TestTensor::generate(
      DType::float32, {100003}, [](int64_t i) { return std::sin(static_cast<double>(i)); });
  compare(Op::sort, {many}, {many, TestTensor(DType::int32, many.shape())}, {0}, {}, kExact);
}

TEST_CASE("cuda searchSorted") {
  for (const DType dtype :
       {DType::float32, DType::int32, DType::float64, DType::int64, DType::uint8}) {
    const auto sorted = [&](const Shape& shape) {
      const int64_t n = shape.back();
      return TestTensor::generate(
          dtype, shape, [=](int64_t i) { return static_cast<double>(i % n / 3 * 2 + i / n); });
    };
    for (const int right : {0, 1}) {
      const TestTensor values = TestTensor::generate(
          dtype, {4, 300}, [](int64_t i) { return static_cast<double>(i * 37 % 97); });
      const TestTensor out(DType::int32, {4, 300});
      compare(Op::searchSorted, {sorted({90}), values}, {out}, {right}, {}, kExact);
      compare(Op::searchSorted, {sorted({4, 90}), values}, {out}, {right}, {}, kExact);
      compare(Op::searchSorted, {sorted({180}).sliced(0, 0, 90, 2), values.flipped(1)}, {out},
              {right}, {}, kExact);
      compare(Op::searchSorted, {TestTensor(dtype, {0}), values}, {out}, {right}, {}, kExact);
      compare(Op::searchSorted, {sorted({9}), TestTensor(dtype, {0})},
              {TestTensor(DType::int32, {0})}, {right}, {}, kExact);
    }
  }
}
