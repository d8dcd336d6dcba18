// Copies, conversions, indexing and creation against element-by-element references, at every ISA
// level.

#include <cmath>
#include <limits>

#include "op_testing.h"

using namespace kindling;
using namespace kindling::testing;

namespace {

constexpr DType kDTypes[] = {DType::float32, DType::int32, DType::boolean};

TestTensor numbered(DType dtype, const Shape& shape) {
  return TestTensor::generate(dtype, shape, [&](int64_t i) {
    return dtype == DType::boolean ? static_cast<double>(i * 7 % 3 == 0)
                                   : static_cast<double>(i + 1);
  });
}

void checkEqual(const TestTensor& result, const std::vector<double>& expected,
                const std::string& where) {
  REQUIRE(result.size() == static_cast<int64_t>(expected.size()));
  for (int64_t i = 0; i < result.size(); ++i) {
    if (result.at(i) != expected[static_cast<size_t>(i)]) {
      FAIL_CHECK(where << ": element " << i << " is " << result.at(i) << ", not "
                       << expected[static_cast<size_t>(i)]);
      return;
    }
  }
}

const Shape kShapes[] = {{},
                         {0},
                         {1},
                         {33},
                         {3, 0, 2},
                         {5, 7},
                         {8, 8},
                         {16, 24},
                         {64, 64},
                         {100, 77},
                         {3, 1000},
                         {1000, 3},
                         {9, 130},
                         {7, 5, 3},
                         {4, 17, 9},
                         {2, 3, 4, 5},
                         {2, 2, 2, 2, 2, 2, 2, 2}};

}  // namespace

TEST_CASE("copy: every dtype, shape and layout") {
  for (const IsaLevel& level : isaLevels()) {
    for (DType dtype : kDTypes) {
      for (const Shape& shape : kShapes) {
        const TestTensor x = numbered(dtype, shape);
        for (const NamedTensor& in : inEveryLayout(x)) {
          const TestTensor y = runOp(level, Op::copy, {in.tensor}, dtype, shape);
          checkEqual(y, x.values(), "copy at " + nameOf(level) + ", " + in.layout);
        }
      }
    }
  }
}

TEST_CASE("copy: every permutation of the axes, and broadcast views") {
  int orders[24][4], count = 0;
  for (int n = 0; n < 256; ++n) {
    const int order[] = {n >> 6, n >> 4 & 3, n >> 2 & 3, n & 3};
    if ((1 << order[0] | 1 << order[1] | 1 << order[2] | 1 << order[3]) != 15) continue;
    std::copy(order, order + 4, orders[count++]);
  }
  REQUIRE(count == 24);
  for (const IsaLevel& level : isaLevels()) {
    for (const auto& order : orders) {
      TestTensor x = numbered(DType::float32, {3, 20, 18, 5});
      for (int axis = 0; axis < 4; ++axis) x = x.transposed(axis, order[axis]);
      checkEqual(runOp(level, Op::copy, {x}, DType::float32, x.shape()), x.values(), "permuted");
    }
    const TestTensor row = numbered(DType::float32, {40}).expanded({6, 40});
    checkEqual(runOp(level, Op::copy, {row}, DType::float32, {6, 40}), row.values(), "rows");
    const TestTensor column = numbered(DType::boolean, {40, 1}).expanded({40, 70});
    checkEqual(runOp(level, Op::copy, {column}, DType::boolean, {40, 70}), column.values(),
               "columns");
  }
}

TEST_CASE("copy: large, in parallel") {
  for (const IsaLevel& level : isaLevels()) {
    for (const Shape& shape : {Shape{400003}, Shape{517, 803}, Shape{3, 300, 401}}) {
      const TestTensor x = numbered(DType::int32, shape);
      for (const NamedTensor& in : inEveryLayout(x)) {
        const TestTensor y = runOp(level, Op::copy, {in.tensor}, DType::int32, shape);
        checkEqual(y, x.values(), "large copy at " + nameOf(level) + ", " + in.layout);
      }
    }
  }
}

TEST_CASE("assign: from every layout to every layout, touching nothing else") {
  for (const IsaLevel& level : isaLevels()) {
    for (DType dtype : kDTypes) {
      for (const Shape& shape : {Shape{}, Shape{0}, Shape{37}, Shape{20, 35}, Shape{4, 9, 6}}) {
        const TestTensor source = numbered(dtype, shape);
        const TestTensor blank = TestTensor::generate(dtype, shape, [](int64_t) { return 0; });
        for (const NamedTensor& from : inEveryLayout(source)) {
          for (const NamedTensor& to : inEveryLayout(blank)) {
            REQUIRE(run(level, Op::assign, {to.tensor, from.tensor}, {}) == Status::ok);
            checkEqual(to.tensor, source.values(), "to " + to.layout + " from " + from.layout);
          }
        }
      }
    }
    TestTensor base = numbered(DType::float32, {30, 40});
    std::vector<double> expected = base.values();
    for (int64_t r = 0; r < 9; ++r) {
      for (int64_t c = 0; c < 12; ++c)
        expected[static_cast<size_t>((28 - 3 * r) * 40 + 2 + 3 * c)] = -1;
    }
    const TestTensor part = base.sliced(0, 28, 9, -3).sliced(1, 2, 12, 3);
    const TestTensor minusOne = TestTensor::floats({}, {-1}).expanded({9, 12});
    REQUIRE(run(level, Op::assign, {part, minusOne}, {}) == Status::ok);
    checkEqual(base, expected, "assign to a part");
  }
}

TEST_CASE("cast: every pair of dtypes and layout") {
  const double inf = std::numeric_limits<double>::infinity();
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const TestTensor floats = TestTensor::floats({5, 4}, {0,
                                                        -0.0,
                                                        1,
                                                        -1,
                                                        0.9,
                                                        -0.9,
                                                        1.5,
                                                        -2.5,
                                                        2147483520.0,
                                                        2147483648.0,
                                                        -2147483648.0,
                                                        -2147483904.0,
                                                        1e30,
                                                        -1e30,
                                                        inf,
                                                        -inf,
                                                        nan,
                                                        1e-40,
                                                        16777217,
                                                        3});
  const TestTensor asInts = TestTensor::ints({5, 4}, {0,
                                                      0,
                                                      1,
                                                      -1,
                                                      0,
                                                      0,
                                                      1,
                                                      -2,
                                                      2147483520.0,
                                                      2147483647,
                                                      -2147483648.0,
                                                      -2147483648.0,
                                                      2147483647,
                                                      -2147483648.0,
                                                      2147483647,
                                                      -2147483648.0,
                                                      0,
                                                      0,
                                                      16777216,
                                                      3});
  const TestTensor ints =
      TestTensor::ints({5, 4}, {0,  1, -1, 2147483647, -2147483648.0, 16777217, 5,  6,  7, 8, 9,
                                10, 0, 0,  -3,         256,           65536,    12, 13, 14});
  const auto isTrue = [](const TestTensor& x) {
    return TestTensor::generate(DType::boolean, {5, 4}, [&](int64_t i) { return x.at(i) != 0; });
  };
  const TestTensor bools = isTrue(ints);
  struct Row {
    TestTensor in, out;
  };
  const Row rows[] = {
      {floats, asInts},
      {floats, isTrue(floats)},
      {ints, TestTensor::generate(DType::float32, {5, 4}, [&](int64_t i) { return ints.at(i); })},
      {ints, isTrue(ints)},
      {bools, TestTensor::generate(DType::float32, {5, 4}, [&](int64_t i) { return bools.at(i); })},
      {bools, TestTensor::generate(DType::int32, {5, 4}, [&](int64_t i) { return bools.at(i); })},
      {ints, ints},
      {bools, bools}};
  for (const IsaLevel& level : isaLevels()) {
    for (const Row& row : rows) {
      for (const NamedTensor& in : inEveryLayout(row.in)) {
        const TestTensor y = runOp(level, Op::cast, {in.tensor}, row.out.dtype(), {5, 4});
        checkEqual(y, row.out.values(), "cast at " + nameOf(level) + ", " + in.layout);
      }
    }
  }
}

TEST_CASE("concat: every axis, dtype and layout, with empty parts") {
  struct Row {
    Shape a, b;
    int axis;
  };
  const Row rows[] = {{{3}, {4}, 0},
                      {{0}, {4}, 0},
                      {{2, 3}, {5, 3}, 0},
                      {{2, 3}, {2, 40}, 1},
                      {{2, 0}, {2, 4}, 1},
                      {{1, 3}, {1, 5}, 1},
                      {{4, 5, 6}, {4, 2, 6}, 1},
                      {{4, 5, 6}, {4, 5, 1}, 2},
                      {{300, 200}, {300, 150}, 1}};
  for (const IsaLevel& level : isaLevels()) {
    for (DType dtype : kDTypes) {
      for (const Row& row : rows) {
        const TestTensor a = numbered(dtype, row.a), b = numbered(dtype, row.b);
        Shape shape = row.a;
        const size_t axis = static_cast<size_t>(row.axis);
        shape[axis] += row.b[axis];
        // Runs: what lies below one step of the leading axes.
        int64_t runA = 1, runB = 1, runs = 1;
        for (size_t i = 0; i < shape.size(); ++i) {
          if (i < axis) runs *= shape[i];
          if (i >= axis) runA *= row.a[i], runB *= row.b[i];
        }
        std::vector<double> expected;
        for (int64_t r = 0; r < runs; ++r) {
          for (int64_t i = 0; i < runA; ++i) expected.push_back(a.at(r * runA + i));
          for (int64_t i = 0; i < runB; ++i) expected.push_back(b.at(r * runB + i));
        }
        const auto layoutsB = inEveryLayout(b);
        for (const NamedTensor& x : inEveryLayout(a)) {
          for (const NamedTensor& y : layoutsB) {
            if (x.layout != y.layout && x.layout != "contiguous") continue;
            const TestTensor out =
                runOp(level, Op::concat, {x.tensor, y.tensor}, dtype, shape, {row.axis});
            checkEqual(out, expected, "concat at " + nameOf(level) + ", " + x.layout);
          }
        }
      }
    }
  }
}

TEST_CASE("indexSelect: every dtype and layout") {
  for (const IsaLevel& level : isaLevels()) {
    for (DType dtype : kDTypes) {
      for (const Shape& shape :
           {Shape{9}, Shape{9, 1}, Shape{9, 70}, Shape{9, 4, 5}, Shape{9, 0}, Shape{9, 3000}}) {
        const TestTensor x = numbered(dtype, shape);
        const TestTensor index = TestTensor::ints({12}, {8, 0, 3, 3, 1, 7, 2, 8, 5, 4, 6, 0});
        const int64_t rowSize = x.size() / 9;
        std::vector<double> expected;
        for (double row : index.values()) {
          for (int64_t i = 0; i < rowSize; ++i)
            expected.push_back(x.at(static_cast<int64_t>(row) * rowSize + i));
        }
        Shape out = shape;
        out[0] = 12;
        for (const NamedTensor& in : inEveryLayout(x)) {
          for (const NamedTensor& rows : inEveryLayout(index)) {
            const TestTensor y =
                runOp(level, Op::indexSelect, {in.tensor, rows.tensor}, dtype, out);
            checkEqual(y, expected, "indexSelect at " + nameOf(level) + ", " + in.layout);
          }
        }
      }
    }
    const TestTensor none =
        runOp(level, Op::indexSelect, {numbered(DType::float32, {3, 2}), TestTensor::ints({0}, {})},
              DType::float32, {0, 2});
    CHECK(none.size() == 0);
  }
}

TEST_CASE("indexAdd: repeated rows add up in order, in every layout") {
  for (const IsaLevel& level : isaLevels()) {
    for (const Shape& shape :
         {Shape{12}, Shape{12, 1}, Shape{12, 70}, Shape{12, 4, 5}, Shape{12, 0}, Shape{12, 9000}}) {
      const TestTensor grad = TestTensor::generate(DType::float32, shape, [](int64_t i) {
        return std::sin(static_cast<double>(i)) * 1e3 + 1e-3;
      });
      const TestTensor index = TestTensor::ints({12}, {8, 0, 3, 3, 1, 7, 2, 8, 3, 4, 6, 0});
      const int64_t rowSize = grad.size() / 12;
      std::vector<double> expected(static_cast<size_t>(9 * rowSize), 0.0);
      for (int64_t r = 0; r < 12; ++r) {
        for (int64_t i = 0; i < rowSize; ++i) {
          double& sum =
              expected[static_cast<size_t>(static_cast<int64_t>(index.at(r)) * rowSize + i)];
          sum = static_cast<float>(sum + grad.at(r * rowSize + i));
        }
      }
      Shape out = shape;
      out[0] = 9;
      for (const NamedTensor& in : inEveryLayout(grad)) {
        for (const NamedTensor& rows : inEveryLayout(index)) {
          const TestTensor y =
              runOp(level, Op::indexAdd, {in.tensor, rows.tensor}, DType::float32, out);
          checkEqual(y, expected, "indexAdd at " + nameOf(level) + ", " + in.layout);
        }
      }
    }
    const TestTensor ones = TestTensor::floats({}, {1}).expanded({4, 3});
    const TestTensor y = runOp(level, Op::indexAdd, {ones, TestTensor::ints({4}, {1, 1, 0, 1})},
                               DType::float32, {2, 3});
    checkEqual(y, {1, 1, 1, 3, 3, 3}, "broadcast gradient");
    const TestTensor none =
        runOp(level, Op::indexAdd, {TestTensor(DType::float32, {0, 3}), TestTensor::ints({0}, {})},
              DType::float32, {2, 3});
    checkEqual(none, {0, 0, 0, 0, 0, 0}, "no rows");
  }
}

TEST_CASE("indexing: an index outside is refused with its place, and nothing is read") {
  for (const IsaLevel& level : isaLevels()) {
    const TestTensor x = numbered(DType::float32, {5, 3});
    for (double bad : {5.0, -1.0, 2147483647.0, -2147483648.0}) {
      const TestTensor index = TestTensor::ints({4}, {0, 4, bad, 9});
      const TestTensor out(DType::float32, {4, 3});
      CHECK(run(level, Op::indexSelect, {x, index}, {out}) == Status::indexOutOfRange);
      const std::string expected = "indexSelect: index " + std::to_string(static_cast<int>(bad)) +
                                   " at position 2 is outside [0, 5)";
      CHECK(std::string(lastErrorMessage()) == expected);
      const TestTensor grad = numbered(DType::float32, {4, 3});
      CHECK(run(level, Op::indexAdd, {grad, index}, {x}) == Status::indexOutOfRange);
    }
    const TestTensor empty(DType::float32, {0, 3}), out(DType::float32, {1, 3});
    CHECK(run(level, Op::indexSelect, {empty, TestTensor::ints({1}, {0})}, {out}) ==
          Status::indexOutOfRange);
  }
}

TEST_CASE("sliceBackward: forward, backward and empty slices, in every layout") {
  struct Row {
    Shape full, part;
    std::vector<int32_t> startsAndSteps;
  };
  const Row rows[] = {{{10}, {4}, {1, 2}},
                      {{10}, {10}, {9, -1}},
                      {{10}, {3}, {8, -3}},
                      {{10}, {0}, {4, 1}},
                      {{6, 50}, {6, 20}, {0, 1, 13, 1}},
                      {{6, 50}, {2, 50}, {3, 1, 0, 1}},
                      {{6, 50}, {3, 17}, {5, -2, 49, -3}},
                      {{6, 50}, {6, 50}, {0, 1, 0, 1}},
                      {{4, 5, 6}, {2, 5, 3}, {3, -2, 4, -1, 0, 2}},
                      {{300, 400}, {200, 399}, {50, 1, 1, 1}}};
  for (const IsaLevel& level : isaLevels()) {
    for (const Row& row : rows) {
      const int rank = static_cast<int>(row.full.size());
      const TestTensor grad = numbered(DType::float32, row.part);
      const TestTensor expected =
          TestTensor::generate(DType::float32, row.full, [](int64_t) { return 0; });
      TestTensor slice = expected;
      std::vector<int32_t> ints = {rank};
      for (int axis = 0; axis < rank; ++axis) {
        const size_t at = static_cast<size_t>(2 * axis);
        const int32_t start = row.startsAndSteps[at], step = row.startsAndSteps[at + 1];
        ints.push_back(start);
        ints.push_back(step);
        slice = slice.sliced(axis, start, row.part[static_cast<size_t>(axis)], step);
      }
      for (int64_t i = 0; i < grad.size(); ++i) slice.set(i, grad.at(i));
      for (const NamedTensor& in : inEveryLayout(grad)) {
        const TestTensor y =
            runOp(level, Op::sliceBackward, {in.tensor}, DType::float32, row.full, ints);
        checkEqual(y, expected.values(), "sliceBackward at " + nameOf(level) + ", " + in.layout);
      }
    }
    const TestTensor scalar = TestTensor::floats({}, {7});
    checkEqual(runOp(level, Op::sliceBackward, {scalar}, DType::float32, {}, {0}), {7}, "rank 0");
    const TestTensor out(DType::float32, {4});
    CHECK(run(level, Op::sliceBackward, {numbered(DType::float32, {2})}, {out}, {1, 0, 0}) ==
          Status::badArgument);
  }
}

TEST_CASE("full, arange and eye: every dtype") {
  for (const IsaLevel& level : isaLevels()) {
    for (const Shape& shape : {Shape{}, Shape{0}, Shape{19}, Shape{300, 700}}) {
      const auto count = static_cast<size_t>(elementCount(shape));
      const auto full = [&](DType dtype, double value) {
        return runOp(level, Op::full, {}, dtype, shape, {}, {value});
      };
      checkEqual(full(DType::float32, 0.1), std::vector<double>(count, 0.1f), "full float32");
      checkEqual(full(DType::int32, -7.9), std::vector<double>(count, -7), "full int32");
      checkEqual(full(DType::int32, 1e20), std::vector<double>(count, 2147483647),
                 "full saturates");
      checkEqual(full(DType::boolean, 0.5), std::vector<double>(count, 1), "full bool");
      checkEqual(full(DType::boolean, 0), std::vector<double>(count, 0), "full bool");
    }
    std::vector<double> floats, ints;
    for (int i = 0; i < 70001; ++i) {
      floats.push_back(static_cast<float>(0.1 + i * 0.3));
      ints.push_back(5 - 3 * i);
    }
    checkEqual(runOp(level, Op::arange, {}, DType::float32, {70001}, {}, {0.1, 0.3}), floats,
               "arange");
    checkEqual(runOp(level, Op::arange, {}, DType::int32, {70001}, {}, {5, -3}), ints, "arange");
    for (DType dtype : kDTypes) {
      for (const Shape& shape : {Shape{4, 4}, Shape{3, 5}, Shape{5, 3}, Shape{0, 3}, Shape{1, 1}}) {
        std::vector<double> expected;
        for (int64_t i = 0; i < elementCount(shape); ++i)
          expected.push_back(i / shape[1] == i % shape[1]);
        checkEqual(runOp(level, Op::eye, {}, dtype, shape), expected, "eye");
      }
    }
  }
}
