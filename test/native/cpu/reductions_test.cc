#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "doctest/doctest.h"
#include "op_testing.h"

namespace kindling {
namespace testing {
namespace {

const double kNan = std::nan("");
const double kInfinity = std::numeric_limits<double>::infinity();

/// The elements behind each output, in order.
std::vector<std::vector<double>> groupsOf(const TestTensor& x, uint32_t mask) {
  const Shape shape = x.shape();
  int64_t outputs = 1;
  for (size_t axis = 0; axis < shape.size(); ++axis) {
    if (!(mask >> axis & 1)) outputs *= shape[axis];
  }
  std::vector<std::vector<double>> groups(static_cast<size_t>(outputs));
  for (int64_t i = 0; i < x.size(); ++i) {
    int64_t rest = i, output = 0, scale = 1;
    for (size_t axis = shape.size(); axis-- > 0;) {
      const int64_t index = rest % shape[axis];
      rest /= shape[axis];
      if (mask >> axis & 1) continue;
      output += index * scale;
      scale *= shape[axis];
    }
    groups[static_cast<size_t>(output)].push_back(x.at(i));
  }
  return groups;
}

double referenceOf(Op op, const std::vector<double>& group) {
  if (op == Op::sum || op == Op::mean) {
    double total = 0;
    for (double value : group) total += value;
    return op == Op::sum ? total : total / static_cast<double>(group.size());
  }
  double best = group[0];
  for (double value : group) best = op == Op::max ? std::fmax(best, value) : std::fmin(best, value);
  return best;
}

Shape outputShape(const Shape& shape, uint32_t mask, bool keep) {
  Shape result;
  for (size_t axis = 0; axis < shape.size(); ++axis) {
    if (!(mask >> axis & 1)) {
      result.push_back(shape[axis]);
    } else if (keep) {
      result.push_back(1);
    }
  }
  return result;
}

/// Values without ties whose sums are not exact in float32.
double valueAt(int64_t i) { return static_cast<double>((i * 7919 + 13) % 10007) / 1000.0 - 5.0; }

void checkReduction(const IsaLevel& level, Op op, const TestTensor& x, uint32_t mask) {
  const TestTensor out = runOp(level, op, {x}, x.dtype(), outputShape(x.shape(), mask, mask & 1),
                               {static_cast<int32_t>(mask)});
  const auto groups = groupsOf(x, mask);
  REQUIRE(static_cast<size_t>(out.size()) == groups.size());
  for (size_t i = 0; i < groups.size(); ++i) {
    const double expected = referenceOf(op, groups[i]);
    double tolerance = 0;
    if (x.dtype() == DType::float32 && (op == Op::sum || op == Op::mean)) {
      for (double value : groups[i]) tolerance += std::fabs(value) * 5e-7;
      if (op == Op::mean) tolerance /= static_cast<double>(groups[i].size());
    }
    const double actual = out.at(static_cast<int64_t>(i));
    if (std::fabs(actual - expected) <= tolerance) continue;
    FAIL_CHECK(nameOf(op), " output ", i, " is ", actual, ", not ", expected);
  }
}

constexpr Op kReductions[] = {Op::sum, Op::mean, Op::max, Op::min};

TEST_CASE("reductions over every set of axes, in every layout") {
  const std::vector<Shape> shapes = {
      {},       {1},       {3},       {70},        {5, 7},     {8, 5},       {33, 10},
      {4, 129}, {1, 6, 1}, {3, 4, 5}, {2, 19, 33}, {17, 1, 9}, {2, 3, 4, 5}, {3, 2, 1, 7, 2}};
  for (const IsaLevel& level : isaLevels()) {
    for (const Shape& shape : shapes) {
      for (const DType dtype : {DType::float32, DType::int32}) {
        const auto source = TestTensor::generate(dtype, shape, valueAt);
        for (const NamedTensor& x : inEveryLayout(source)) {
          for (uint32_t mask = 0; mask < 1u << shape.size(); ++mask) {
            CAPTURE(nameOf(level));
            CAPTURE(x.layout);
            CAPTURE(mask);
            for (const Op op : kReductions) {
              if (op == Op::mean && dtype == DType::int32) continue;
              checkReduction(level, op, x.tensor, mask);
            }
          }
        }
      }
    }
  }
}

/// The product modulo 2^32 or in double: integers wrap.
double productOf(const TestTensor& x, int64_t begin, int64_t end) {
  double plain = 1;
  uint32_t wrapped = 1;
  for (int64_t i = begin; i < end; ++i) {
    plain *= x.at(i);
    wrapped *= static_cast<uint32_t>(static_cast<int64_t>(x.at(i)));
  }
  return x.dtype() == DType::int32 ? static_cast<int32_t>(wrapped) : plain;
}

TEST_CASE("products of rows and columns of every length") {
  for (const IsaLevel& level : isaLevels()) {
    for (const DType dtype : {DType::int32, DType::float32, DType::float64}) {
      for (int64_t length = 1; length <= 70; ++length) {
        CAPTURE(nameOf(level));
        CAPTURE(static_cast<int>(dtype));
        CAPTURE(length);
        // Integers of all signs, 0 among them; other numbers near 1, so that nothing overflows.
        const auto value = [&](int64_t i) {
          const double whole = static_cast<double>(i * 37 % 23 - 11);
          return dtype == DType::int32 ? whole : 1 + whole / 100;
        };
        const TestTensor rows = TestTensor::generate(dtype, {5, length}, value);
        const TestTensor byRow = runOp(level, Op::prod, {rows}, dtype, {5}, {2});
        const TestTensor byColumn =
            runOp(level, Op::prod, {rows.transposed(0, 1)}, dtype, {5}, {1});
        for (int64_t i = 0; i < 5; ++i) {
          const double expected = productOf(rows, i * length, (i + 1) * length);
          const double tolerance = dtype == DType::float32   ? 1e-5 * std::fabs(expected)
                                   : dtype == DType::float64 ? 1e-13 * std::fabs(expected)
                                                             : 0;
          CHECK(std::fabs(byRow.at(i) - expected) <= tolerance);
          CHECK(std::fabs(byColumn.at(i) - expected) <= tolerance);
        }
      }
    }
  }
}

TEST_CASE("reductions of broadcast views") {
  const auto row = TestTensor::generate(DType::float32, {1, 9}, valueAt);
  const auto column = TestTensor::generate(DType::float32, {6, 1}, valueAt);
  const auto one = TestTensor::generate(DType::float32, {1, 1}, valueAt);
  for (const IsaLevel& level : isaLevels()) {
    for (const TestTensor& x : {row, column, one}) {
      for (uint32_t mask = 0; mask < 4; ++mask) {
        for (const Op op : kReductions) checkReduction(level, op, x.expanded({6, 9}), mask);
      }
    }
  }
}

TEST_CASE("large reductions: every way to cut the work") {
  struct Case {
    Shape shape;
    uint32_t mask;
  };
  const std::vector<Case> cases = {
      {{150001}, 1},                          // one long row
      {{3, 50000}, 2},                        // few long rows
      {{40, 3, 900}, 5},                      // few outputs behind many short rows
      {{500, 300}, 2},                        // many rows
      {{70000, 3}, 1},                        // tall, narrow columns
      {{1000, 520}, 1},                       // tall columns of several tiles
      {{2, 9000, 10}, 2},                     // groups of tall columns
      {{70, 100, 50}, 2},                     // many groups
      {{100, 600}, 1},      {{20, 9000}, 1},  // wide columns
      {{300, 7, 11, 9}, 9},                   // reduced axes around kept ones, the last reduced
      {{300, 7, 11, 9}, 5}};                  // the last kept
  for (const IsaLevel& level : isaLevels()) {
    for (const Case& c : cases) {
      const auto x = TestTensor::generate(DType::float32, c.shape, valueAt);
      CAPTURE(nameOf(level));
      CAPTURE(c.shape[0]);
      for (const Op op : kReductions) checkReduction(level, op, x, c.mask);
      const int last = static_cast<int>(c.shape.size()) - 1;
      checkReduction(level, Op::sum, x.transposed(0, last), c.mask);
    }
  }
}

/// Such rows are read side by side.
TEST_CASE("rows of more memory than the caches near a core hold") {
  const int64_t rows = 4099, columns = 1030;
  // Whole numbers, whose sums are exact, and a largest that differs from row to row.
  const auto x = TestTensor::generate(DType::float32, {rows, columns}, [=](int64_t i) {
    return static_cast<double>(i % columns == i / columns % columns ? i / columns : i % 7);
  });
  std::vector<double> sums(rows), largest(rows);
  for (int64_t i = 0; i < x.size(); ++i) {
    const size_t row = static_cast<size_t>(i / columns);
    sums[row] += x.at(i);
    largest[row] = std::max(largest[row], x.at(i));
  }
  for (const IsaLevel& level : isaLevels()) {
    CAPTURE(nameOf(level));
    CHECK(runOp(level, Op::sum, {x}, DType::float32, {rows}, {2}).values() == sums);
    CHECK(runOp(level, Op::max, {x}, DType::float32, {rows}, {2}).values() == largest);
  }
}

TEST_CASE("reductions do not depend on the number of threads") {
  const int threads = numThreads();
  const auto run = [](const IsaLevel& level, const TestTensor& x, int32_t mask) {
    return runOp(level, Op::sum, {x}, x.dtype(),
                 outputShape(x.shape(), static_cast<uint32_t>(mask), false), {mask})
        .values();
  };
  const auto flat = TestTensor::generate(DType::float32, {300001}, valueAt);
  const auto matrix = TestTensor::generate(DType::float32, {3000, 100}, valueAt);
  for (const IsaLevel& level : isaLevels()) {
    setNumThreads(1);
    const auto all = run(level, flat, 1), columns = run(level, matrix, 1);
    const auto rows = run(level, matrix, 2), both = run(level, matrix.transposed(0, 1), 3);
    for (const int count : {2, 3, 5}) {
      setNumThreads(count);
      CHECK(run(level, flat, 1) == all);
      CHECK(run(level, matrix, 1) == columns);
      CHECK(run(level, matrix, 2) == rows);
      CHECK(run(level, matrix.transposed(0, 1), 3) == both);
    }
    setNumThreads(threads);
  }
}

TEST_CASE("float sums stay accurate") {
  // Each of 4 million times 0.1f: one accumulator would end far away.
  const int64_t n = 4000000;
  const auto x = TestTensor::generate(DType::float32, {n}, [](int64_t) { return 0.1; });
  const double exact = static_cast<double>(n) * static_cast<double>(0.1f);
  for (const IsaLevel& level : isaLevels()) {
    const double sum = runOp(level, Op::sum, {x}, DType::float32, {}, {1}).at(0);
    CHECK(std::fabs(sum / exact - 1) < 1e-6);
    const TestTensor wide = TestTensor(x).sliced(0, 0, n);
    const auto column = runOp(level, Op::mean, {wide}, DType::float32, {}, {1});
    CHECK(std::fabs(column.at(0) / static_cast<double>(0.1f) - 1) < 1e-6);
  }
}

TEST_CASE("column sums stay accurate") {
  const auto x = TestTensor::generate(DType::float32, {500000, 8}, [](int64_t) { return 0.1; });
  for (const IsaLevel& level : isaLevels()) {
    const auto sums = runOp(level, Op::sum, {x}, DType::float32, {8}, {1});
    for (const double sum : sums.values()) {
      CHECK(std::fabs(sum / (500000 * static_cast<double>(0.1f)) - 1) < 1e-6);
    }
  }
}

TEST_CASE("int32 sums wrap") {
  const auto x = TestTensor::ints({3}, {2147483647, 1, 5});
  for (const IsaLevel& level : isaLevels()) {
    CHECK(runOp(level, Op::sum, {x}, DType::int32, {}, {1}).at(0) == -2147483643.0);
  }
}

TEST_CASE("max and min pass NaN on from any place") {
  for (const IsaLevel& level : isaLevels()) {
    for (const int64_t n : {1, 2, 7, 16, 70, 200}) {
      for (int64_t at = 0; at < n; ++at) {
        const auto x = TestTensor::generate(DType::float32, {n},
                                            [&](int64_t i) { return i == at ? kNan : valueAt(i); });
        for (const Op op : {Op::max, Op::min}) {
          CHECK(std::isnan(runOp(level, op, {x}, DType::float32, {}, {1}).at(0)));
        }
        const Op arg = at % 2 ? Op::argmax : Op::argmin;
        CHECK(runOp(level, arg, {x}, DType::int32, {}, {-1}).at(0) == static_cast<double>(at));
        // As a column, too.
        const auto pair = TestTensor::generate(
            DType::float32, {n, 2}, [&](int64_t i) { return i == 2 * at ? kNan : valueAt(i); });
        const auto best = runOp(level, Op::max, {pair}, DType::float32, {2}, {1});
        CHECK(std::isnan(best.at(0)));
        CHECK(!std::isnan(best.at(1)));
        CHECK(runOp(level, arg, {pair}, DType::int32, {2}, {0}).at(0) == static_cast<double>(at));
      }
    }
  }
}

TEST_CASE("max and min pass NaN on across blocks and chunks") {
  for (const IsaLevel& level : isaLevels()) {
    for (const int64_t n : {9000, 100000}) {
      for (const int64_t at : {int64_t{0}, n / 2, n - 1}) {
        const auto x = TestTensor::generate(
            DType::float32, {2, n}, [&](int64_t i) { return i % n == at ? kNan : valueAt(i); });
        for (const Op op : {Op::max, Op::min}) {
          const auto best = runOp(level, op, {x}, DType::float32, {2}, {2});
          CHECK(std::isnan(best.at(0)));
          CHECK(std::isnan(best.at(1)));
          const auto column = runOp(level, op, {x}, DType::float32, {n}, {1});
          CHECK(std::isnan(column.at(at)));
          CHECK(!std::isnan(column.at(n / 3)));
        }
      }
    }
  }
}

TEST_CASE("max and min of infinities") {
  const auto x = TestTensor::floats({2, 2}, {-kInfinity, -kInfinity, kInfinity, 3});
  for (const IsaLevel& level : isaLevels()) {
    const auto largest = runOp(level, Op::max, {x}, DType::float32, {2}, {2});
    CHECK(largest.values() == std::vector<double>{-kInfinity, kInfinity});
    const auto smallest = runOp(level, Op::min, {x}, DType::float32, {2}, {2});
    CHECK(smallest.values() == std::vector<double>{-kInfinity, 3});
  }
}

TEST_CASE("reductions of nothing") {
  const TestTensor empty(DType::float32, {2, 0});
  const TestTensor noOutputs(DType::float32, {0, 3});
  for (const IsaLevel& level : isaLevels()) {
    CHECK(runOp(level, Op::sum, {empty}, DType::float32, {2}, {2}).values() ==
          std::vector<double>{0, 0});
    const auto means = runOp(level, Op::mean, {empty}, DType::float32, {2}, {2});
    CHECK(std::isnan(means.at(0)));
    CHECK(std::isnan(means.at(1)));
    CHECK(runOp(level, Op::max, {noOutputs}, DType::float32, {0}, {2}).size() == 0);
    CHECK(runOp(level, Op::argmax, {noOutputs}, DType::int32, {0}, {1}).size() == 0);
    const TestTensor one(DType::float32, {2});
    CHECK(run(level, Op::max, {empty}, {one}, {2}) == Status::badShape);
    const TestTensor index(DType::int32, {2});
    CHECK(run(level, Op::argmax, {empty}, {index}, {1}) == Status::badShape);
  }
}

/// The first best element, NaN counted as best.
double argReference(Op op, const std::vector<double>& group) {
  size_t best = 0;
  for (size_t i = 1; i < group.size(); ++i) {
    if (std::isnan(group[best])) break;
    const bool better = op == Op::argmax ? group[i] > group[best] : group[i] < group[best];
    if (better || std::isnan(group[i])) best = i;
  }
  return static_cast<double>(best);
}

TEST_CASE("argmax and argmin along every axis, in every layout") {
  // Many ties: the first one counts.
  const auto tied = [](int64_t i) { return static_cast<double>((i * 3 + 1) % 5) - 2; };
  const std::vector<Shape> shapes = {{},      {1},       {70},        {32, 10},  {10, 33},
                                     {3, 65}, {5, 4, 3}, {2, 19, 33}, {1, 5, 1}, {9, 300}};
  for (const IsaLevel& level : isaLevels()) {
    for (const Shape& shape : shapes) {
      for (const DType dtype : {DType::float32, DType::int32}) {
        const auto source = TestTensor::generate(dtype, shape, tied);
        for (const NamedTensor& x : inEveryLayout(source)) {
          for (int axis = -1; axis < static_cast<int>(shape.size()); ++axis) {
            const uint32_t mask = axis < 0 ? (1u << shape.size()) - 1 : 1u << axis;
            const auto groups = groupsOf(source, mask);
            CAPTURE(nameOf(level));
            CAPTURE(x.layout);
            CAPTURE(axis);
            for (const Op op : {Op::argmax, Op::argmin}) {
              const auto out = runOp(level, op, {x.tensor}, DType::int32,
                                     outputShape(shape, mask, false), {axis});
              for (size_t i = 0; i < groups.size(); ++i) {
                CHECK(out.at(static_cast<int64_t>(i)) == argReference(op, groups[i]));
              }
            }
          }
        }
      }
    }
  }
}

TEST_CASE("argmax of long rows and many rows") {
  for (const IsaLevel& level : isaLevels()) {
    const auto x = TestTensor::generate(DType::float32, {3, 50000}, [](int64_t i) {
      return i % 50000 == 49990 ? 7 : std::sin(static_cast<double>(i));
    });
    const auto rows = runOp(level, Op::argmax, {x}, DType::int32, {3}, {1});
    CHECK(rows.values() == std::vector<double>{49990, 49990, 49990});
    const auto many = TestTensor::generate(
        DType::float32, {20000, 10}, [](int64_t i) { return i % 10 == i / 10 % 10 ? 1.0 : 0.0; });
    const auto labels = runOp(level, Op::argmax, {many}, DType::int32, {20000}, {1});
    bool right = true;
    for (int64_t i = 0; i < labels.size(); ++i) right = right && labels.at(i) == i % 10;
    CHECK(right);
  }
}

}  // namespace

TEST_CASE("prod: integers wrap, along rows and columns") {
  for (const IsaLevel& level : isaLevels()) {
    CAPTURE(nameOf(level));
    for (const DType dtype : {DType::int32, DType::int64}) {
      for (const int32_t axis : {0, 1}) {
        // Rows hold every one of 23 numbers and a 0 among them, or only odd ones.
        for (const bool hasZero : {true, false}) {
          const TestTensor x = TestTensor::generate(dtype, {24, 24}, [=](int64_t i) {
            const int64_t n = (i % 24 * 37 + i / 24 * 37) % 23 - 11;
            return static_cast<double>(hasZero ? n : 2 * n + 1);
          });
          const TestTensor products = runOp(level, Op::prod, {x}, dtype, {24}, {1 << axis});
          for (int64_t i = 0; i < 24; ++i) {
            uint64_t expected = 1;
            for (int64_t k = 0; k < 24; ++k) {
              expected *= static_cast<uint64_t>(
                  static_cast<int64_t>(x.at(axis == 1 ? i * 24 + k : k * 24 + i)));
            }
            const double wanted = dtype == DType::int32
                                      ? static_cast<double>(static_cast<int32_t>(expected))
                                      : static_cast<double>(static_cast<int64_t>(expected));
            CHECK(products.at(i) == wanted);
          }
        }
      }
    }
  }
}

}  // namespace testing
}  // namespace kindling
