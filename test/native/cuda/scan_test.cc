// Scans on the emulated device: rows and columns, one tile and many, chunks, both directions.

#include "cuda/compare.h"

using namespace kindling;
using namespace kindling::testing;

namespace {

double wave(int64_t i) { return std::sin(0.7 * static_cast<double>(i)) + 0.1; }
double nearOne(int64_t i) { return 1 + 0.02 * std::sin(0.7 * static_cast<double>(i)); }
double integers(int64_t i) { return static_cast<double>(i * 37 % 23 - 11); }

const Shape kShapes[] = {{},         {1},        {5},       {127},     {129},     {1025},
                         {4, 33},    {33, 4},    {3, 5, 7}, {40, 600}, {600, 40}, {2, 20000},
                         {20000, 2}, {9000, 40}, {100000},  {0, 3},    {3, 0},    {300, 3, 20}};

Tolerance toleranceOf(DType dtype) {
  return dtype == DType::float32   ? Tolerance{2e-5, 2e-5}
         : dtype == DType::float64 ? Tolerance{1e-11, 1e-11}
                                   : kExact;
}

}  // namespace

TEST_CASE("cuda cumsum and cumprod") {
  for (const Op op : {Op::cumsum, Op::cumprod}) {
    for (const DType dtype : {DType::float32, DType::int32, DType::float64, DType::int64}) {
      const bool isFloat = dtype == DType::float32 || dtype == DType::float64;
      for (const Shape& shape : kShapes) {
        if (elementCount(shape) > 100000 && dtype != DType::float32) continue;
        const TestTensor x = TestTensor::generate(dtype, shape,
                                                  !isFloat            ? integers
                                                  : op == Op::cumprod ? nearOne
                                                                      : wave);
        const int axes = shape.empty() ? 1 : static_cast<int>(shape.size());
        for (int axis = 0; axis < axes; ++axis) {
          for (const int reverse : {0, 1}) {
            compare(op, {x}, {x}, {axis, reverse}, {}, toleranceOf(dtype));
          }
        }
        if (elementCount(shape) > 5000) continue;
        for (const NamedTensor& layout : inEveryLayout(x)) {
          CAPTURE(layout.layout);
          for (int axis = 0; axis < axes; ++axis) {
            compare(op, {layout.tensor}, {x}, {axis, axis % 2}, {}, toleranceOf(dtype));
          }
        }
      }
    }
  }
}

TEST_CASE("cuda linearScan") {
  for (const DType dtype : {DType::float32, DType::float64}) {
    for (const Shape& shape : kShapes) {
      const TestTensor a = TestTensor::generate(
          dtype, shape, [](int64_t i) { return 0.95 * std::cos(0.3 * static_cast<double>(i)); });
      const TestTensor b = TestTensor::generate(dtype, shape, wave);
      const int axes = shape.empty() ? 1 : static_cast<int>(shape.size());
      for (int axis = 0; axis < axes; ++axis) {
        for (const int reverse : {0, 1}) {
          compare(Op::linearScan, {a, b}, {b}, {axis, reverse}, {}, toleranceOf(dtype));
        }
      }
      if (elementCount(shape) > 5000) continue;
      for (const NamedTensor& layout : inEveryLayout(b)) {
        CAPTURE(layout.layout);
        for (int axis = 0; axis < axes; ++axis) {
          compare(Op::linearScan, {layout.tensor, b}, {b}, {axis, axis % 2}, {}, kFloatTolerance);
          compare(Op::linearScan, {a, layout.tensor}, {b}, {axis, 0}, {}, toleranceOf(dtype));
        }
      }
    }
  }
}

TEST_CASE("cuda linearScan: from zero, many large factors give no NaN") {
  const TestTensor a = TestTensor::generate(DType::float32, {3000}, [](int64_t) { return 4.0; });
  const TestTensor b =
      TestTensor::generate(DType::float32, {3000}, [](int64_t i) { return i == 2990 ? 1.0 : 0.0; });
  compare(Op::linearScan, {a, b}, {b}, {0, 0}, {}, kExact);
}
