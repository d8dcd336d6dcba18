// Reductions on the emulated device: every mask of axes over layouts that take rows, columns,
// vectors, groups of every size and chunks.

#include <limits>

#include "cuda/compare.h"

using namespace kindling;
using namespace kindling::testing;

namespace {

const Op kReductions[] = {Op::sum, Op::mean, Op::prod, Op::max, Op::min};

double wave(int64_t i) { return std::sin(0.7 * static_cast<double>(i)) + 0.3; }
double integers(int64_t i) { return static_cast<double>(i * 37 % 23 - 11); }
double nearOne(int64_t i) { return 1 + 0.01 * std::sin(0.7 * static_cast<double>(i)); }
double flags(int64_t i) { return static_cast<double>(i % 3 != 0); }

TestTensor input(Op op, DType dtype, const Shape& shape) {
  const bool isFloat = dtype == DType::float32 || dtype == DType::float64;
  return TestTensor::generate(dtype, shape,
                              dtype == DType::boolean ? flags
                              : !isFloat              ? integers
                              : op == Op::prod        ? nearOne
                                                      : wave);
}

std::vector<DType> dtypesOf(Op op) {
  std::vector<DType> found;
  for (const DType dtype :
       {DType::float32, DType::int32, DType::boolean, DType::float64, DType::int64, DType::uint8}) {
    if (opInfo(op).dtypes >> static_cast<int>(dtype) & 1) found.push_back(dtype);
  }
  return found;
}

TestTensor outputOf(const TestTensor& x, int32_t mask, DType dtype) {
  Shape shape;
  for (size_t axis = 0; axis < x.shape().size(); ++axis) {
    if (!(mask >> axis & 1)) shape.push_back(x.shape()[axis]);
  }
  return TestTensor(dtype, shape);
}

void reduceAll(Op op, const TestTensor& x, int32_t mask) {
  const bool sums = op == Op::sum || op == Op::mean || op == Op::prod;
  compare(op, {x}, {outputOf(x, mask, x.dtype())}, {mask}, {},
          !sums                         ? kExact
          : x.dtype() == DType::float64 ? Tolerance{1e-12, 1e-12}
          : x.dtype() == DType::float32 ? kFloatTolerance
                                        : kExact);
}

}  // namespace

TEST_CASE("cuda reductions: every mask, dtype and layout") {
  for (const Op op : kReductions) {
    for (const DType dtype : dtypesOf(op)) {
      const TestTensor x = input(op, dtype, {5, 7, 24});
      for (int32_t mask = 0; mask < 8; ++mask) {
        for (const NamedTensor& layout : inEveryLayout(x)) {
          CAPTURE(layout.layout);
          CAPTURE(mask);
          reduceAll(op, layout.tensor, mask);
        }
      }
      reduceAll(op, input(op, dtype, {}), 0);
      const TestTensor row = input(op, dtype, {1, 40});
      reduceAll(op, row.expanded({30, 40}), 1);
      reduceAll(op, row.expanded({30, 40}), 3);
    }
  }
}

TEST_CASE("cuda reductions: lengths around groups, blocks and chunks") {
  for (const Op op : {Op::sum, Op::max}) {
    for (const DType dtype : {DType::float32, DType::int32}) {
      for (const int64_t length :
           {1, 2, 5, 8, 31, 32, 33, 127, 128, 129, 1000, 1024, 1025, 1028, 4097, 20000}) {
        for (const int64_t others : {1, 3, 33}) {
          reduceAll(op, input(op, dtype, {others, length}), 2);
          reduceAll(op, input(op, dtype, {length, others}), 1);
          reduceAll(op, input(op, dtype, {length, 4 * others + 16}), 1);
        }
      }
    }
  }
  // Chunks of rows and of columns, over several reduced axes, some of which are not neighbours.
  const TestTensor image = input(Op::sum, DType::float32, {16, 20, 30, 24});
  for (const int32_t mask : {1, 2, 5, 8, 12, 13, 14, 15, 9}) reduceAll(Op::sum, image, mask);
  reduceAll(Op::sum, image.transposed(0, 3), 7);
  reduceAll(Op::mean, input(Op::mean, DType::float32, {1000003}), 1);
  reduceAll(Op::sum, input(Op::sum, DType::int64, {3, 100000}), 2);
  reduceAll(Op::mean, input(Op::mean, DType::float64, {60000, 20}), 1);
  reduceAll(Op::min, input(Op::min, DType::uint8, {60001, 3}), 1);
}

TEST_CASE("cuda reductions: every op and dtype in chunks") {
  for (const Op op : kReductions) {
    for (const DType dtype : dtypesOf(op)) {
      reduceAll(op, input(op, dtype, {2, 20011}), 2);
      TestTensor x = input(op, dtype, {20011, 2});
      x.set(2 * 15000 + 1, 0);  // in a chunk that is not the first
      reduceAll(op, x, 1);
    }
  }
}

TEST_CASE("cuda reductions of nothing") {
  for (const Op op : kReductions) {
    for (const DType dtype : dtypesOf(op)) {
      const TestTensor x(dtype, {3, 0, 4});
      for (int32_t mask = 0; mask < 8; ++mask) reduceAll(op, x, mask);
    }
  }
}

TEST_CASE("cuda reductions and positions: NaN and infinity") {
  const double kNaN = std::nan(""), kInf = std::numeric_limits<double>::infinity();
  for (const DType dtype : {DType::float32, DType::float64}) {
    for (const int64_t at : {0, 1, 17, 299}) {
      for (const double value : {kNaN, kInf, -kInf}) {
        const auto withSpecial = [&](Op op) {
          TestTensor x = input(op, dtype, {2, 300});
          x.set(at, value);
          x.set(299 - at, value);
          return x;
        };
        for (const Op op : kReductions) {
          for (int32_t mask = 1; mask < 4; ++mask) reduceAll(op, withSpecial(op), mask);
        }
        const TestTensor x = withSpecial(Op::max);
        for (const Op op : {Op::argmax, Op::argmin}) {
          for (int32_t axis = -1; axis < 2; ++axis) {
            compare(op, {x}, {outputOf(x, axis < 0 ? 3 : 1 << axis, DType::int32)}, {axis}, {},
                    kExact);
          }
        }
      }
    }
  }
}

TEST_CASE("cuda argmax and argmin: the first of equals, in every layout") {
  for (const Op op : {Op::argmax, Op::argmin}) {
    for (const DType dtype : dtypesOf(op)) {
      for (const Shape& shape :
           {Shape{1}, Shape{6}, Shape{5, 7, 24}, Shape{3, 1000}, Shape{1000, 3}, Shape{2, 5000}}) {
        // Few different values, so that there are many equals.
        const TestTensor x = TestTensor::generate(
            dtype, shape, [](int64_t i) { return static_cast<double>(i * 37 % 11); });
        for (const NamedTensor& layout : inEveryLayout(x)) {
          CAPTURE(layout.layout);
          for (int32_t axis = -1; axis < static_cast<int32_t>(shape.size()); ++axis) {
            const int32_t mask = axis < 0 ? (1 << shape.size()) - 1 : 1 << axis;
            compare(op, {layout.tensor}, {outputOf(x, mask, DType::int32)}, {axis}, {}, kExact);
          }
        }
      }
      const TestTensor many = TestTensor::generate(
          dtype, {300001}, [](int64_t i) { return static_cast<double>(i * 37 % 101); });
      compare(op, {many}, {TestTensor(DType::int32, {})}, {0}, {}, kExact);
    }
  }
}
