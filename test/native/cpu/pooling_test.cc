#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "doctest/doctest.h"
#include "op_testing.h"

namespace kindling {
namespace testing {
namespace {

double valueAt(int64_t i) { return static_cast<double>((i * 7919 + 13) % 1009) / 504.0 - 1.0; }

/// One pooling over two axes.
struct Case {
  Shape input, kernel, stride, padding, dilation;
  bool ceils = false;

  Shape output() const {
    Shape result;
    for (size_t i = 0; i < 2; ++i) {
      const int64_t rest = input[i] + 2 * padding[i] - dilation[i] * (kernel[i] - 1) - 1;
      int64_t count = rest / stride[i] + 1;
      if (ceils && rest % stride[i] != 0 && count * stride[i] < input[i] + padding[i]) ++count;
      result.push_back(count);
    }
    return result;
  }
  Shape x() const { return {2, 3, input[0], input[1]}; }
  Shape y() const { return {2, 3, output()[0], output()[1]}; }
  std::vector<int32_t> ints(bool dilates) const {
    std::vector<int32_t> result;
    const auto add = [&](const Shape& values, int32_t missing) {
      result.push_back(missing);
      for (int64_t value : values) result.push_back(static_cast<int32_t>(value));
    };
    add(kernel, 1);
    add(stride, 1);
    add(padding, 0);
    if (dilates) add(dilation, 1);
    return result;
  }
};

const std::vector<Case>& cases() {
  static const std::vector<Case> all = {
      {{4, 4}, {2, 2}, {2, 2}, {0, 0}, {1, 1}},
      {{7, 70}, {2, 2}, {2, 2}, {0, 0}, {1, 1}},
      {{9, 67}, {3, 3}, {2, 2}, {1, 1}, {1, 1}},
      {{5, 40}, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
      {{6, 50}, {2, 3}, {3, 3}, {1, 1}, {1, 1}, true},
      {{11, 45}, {3, 4}, {2, 5}, {1, 2}, {1, 1}, true},
      {{7, 40}, {2, 3}, {3, 2}, {0, 1}, {1, 1}, true},
      {{1, 1}, {1, 1}, {1, 1}, {0, 0}, {1, 1}},
      {{6, 66}, {2, 2}, {2, 2}, {0, 0}, {1, 1}},
      {{2, 32}, {2, 2}, {2, 2}, {0, 0}, {1, 1}},
      {{5, 35}, {3, 5}, {1, 2}, {1, 2}, {1, 1}},
      {{5, 71}, {1, 4}, {1, 2}, {0, 2}, {1, 1}},
      {{7, 49}, {1, 1}, {2, 2}, {0, 0}, {1, 1}},
      {{8, 33}, {8, 33}, {1, 1}, {0, 0}, {1, 1}},
  };
  return all;
}

/// Calls visit(position in the plane) for the elements of one window.
void forWindow(const Case& c, int64_t row, int64_t column,
               const std::function<void(int64_t)>& visit) {
  for (int64_t i = 0; i < c.kernel[0]; ++i) {
    for (int64_t j = 0; j < c.kernel[1]; ++j) {
      const int64_t y = row * c.stride[0] - c.padding[0] + i * c.dilation[0];
      const int64_t x = column * c.stride[1] - c.padding[1] + j * c.dilation[1];
      if (y < 0 || x < 0 || y >= c.input[0] || x >= c.input[1]) continue;
      visit(y * c.input[1] + x);
    }
  }
}

TEST_CASE(
    "maxPool finds the first of the largest, and NaN before all, and its gradient goes there") {
  std::vector<Case> all = cases();
  all.push_back({{9, 60}, {3, 2}, {1, 2}, {1, 0}, {2, 3}});
  all.push_back({{1, 3}, {1, 2}, {1, 1}, {0, 1}, {1, 2}});
  // Rows of the result shorter, as long and longer than a vector, by taps that share their loads.
  for (const int64_t width : {14, 16, 18, 28, 30, 32, 34, 36}) {
    all.push_back({{6, width}, {2, 2}, {2, 2}, {0, 0}, {1, 1}});
    all.push_back({{7, width + 1}, {3, 3}, {2, 2}, {1, 1}, {1, 1}});
    all.push_back({{5, width}, {2, 3}, {1, 2}, {1, 0}, {1, 1}});
  }
  for (const IsaLevel& level : isaLevels()) {
    for (const Case& c : all) {
      for (DType dtype : {DType::float32, DType::float64}) {
        // Few distinct values, so that there are ties; here and there NaN and -∞.
        const TestTensor x = TestTensor::generate(dtype, c.x(), [](int64_t i) {
          if (i % 97 == 5) return std::numeric_limits<double>::quiet_NaN();
          return i % 5 == 3 ? -std::numeric_limits<double>::infinity()
                            : static_cast<double>(i * 7 % 11);
        });
        const TestTensor values(dtype, c.y()), positions(DType::int32, c.y());
        REQUIRE(run(level, Op::maxPool, {x}, {values, positions}, c.ints(true)) == Status::ok);
        const int64_t plane = c.input[0] * c.input[1], size = c.y()[2] * c.y()[3];
        for (int64_t i = 0; i < values.size(); ++i) {
          double best = -std::numeric_limits<double>::infinity();
          int64_t where = -1;
          forWindow(c, i % size / c.y()[3], i % c.y()[3], [&](int64_t at) {
            const double value = x.at(i / size * plane + at);
            if (where >= 0 && !(value > best) && value == value) return;
            best = value;
            where = at;
          });
          CAPTURE(nameOf(level));
          CAPTURE(i);
          CHECK((values.at(i) == best || (best != best && values.at(i) != values.at(i))));
          REQUIRE(positions.at(i) == where);
        }
        // Whole numbers, whose sums are exact.
        const TestTensor grad = TestTensor::generate(
            dtype, c.y(), [](int64_t i) { return static_cast<double>(i % 13 + 1); });
        std::vector<double> expected(static_cast<size_t>(x.size()));
        for (int64_t i = 0; i < values.size(); ++i) {
          const int64_t where = static_cast<int64_t>(positions.at(i));
          if (where >= 0) expected[static_cast<size_t>(i / size * plane + where)] += grad.at(i);
        }
        CAPTURE(c.input[1]);
        CHECK(runOp(level, Op::maxPoolBackward, {grad, positions}, dtype, c.x()).values() ==
              expected);
      }
    }
  }
}

void checkAverages(const IsaLevel& level, const Case& c, int mode, DType dtype) {
  const double relative = dtype == DType::float64 ? 1e-12 : 1e-5;
  const TestTensor x = TestTensor::generate(dtype, c.x(), valueAt);
  const TestTensor grad = TestTensor::generate(dtype, c.y(), valueAt);
  std::vector<int32_t> ints = c.ints(false);
  ints.push_back(mode == 1);
  const std::vector<double> floats = {mode == 2 ? 7.0 : 0.0};
  const TestTensor y = runOp(level, Op::avgPool, {x}, dtype, c.y(), ints, floats);
  const TestTensor back = runOp(level, Op::avgPoolBackward, {grad}, dtype, c.x(), ints, floats);
  const int64_t plane = c.input[0] * c.input[1], size = c.y()[2] * c.y()[3];
  std::vector<double> expected(static_cast<size_t>(x.size()));
  for (int64_t i = 0; i < y.size(); ++i) {
    const int64_t row = i % size / c.y()[3], column = i % c.y()[3];
    double total = 0, count = 0;
    forWindow(c, row, column, [&](int64_t at) {
      total += x.at(i / size * plane + at);
      ++count;
    });
    if (mode == 1) {
      const auto padded = [&](size_t axis, int64_t at) {
        const int64_t begin = at * c.stride[axis] - c.padding[axis];
        return std::min(begin + c.kernel[axis], c.input[axis] + c.padding[axis]) - begin;
      };
      count = static_cast<double>(padded(0, row) * padded(1, column));
    }
    if (mode == 2) count = 7;
    REQUIRE(y.at(i) == doctest::Approx(total / count).epsilon(relative));
    forWindow(c, row, column, [&](int64_t at) {
      expected[static_cast<size_t>(i / size * plane + at)] += grad.at(i) / count;
    });
  }
  for (int64_t i = 0; i < x.size(); ++i) {
    REQUIRE(back.at(i) == doctest::Approx(expected[static_cast<size_t>(i)]).epsilon(relative));
  }
}

TEST_CASE("avgPool with and without its padding, and its adjoint") {
  for (const IsaLevel& level : isaLevels()) {
    for (const Case& c : cases()) {
      for (int mode = 0; mode < 3; ++mode) {
        CAPTURE(nameOf(level));
        CAPTURE(mode);
        checkAverages(level, c, mode, DType::float32);
        checkAverages(level, c, mode, DType::float64);
      }
    }
  }
}

/// <map(x), g> and <x, adjoint(g)>.
void checkAdjoint(const IsaLevel& level, Op map, Op adjoint, DType dtype, const Shape& in,
                  const Shape& out, const std::vector<int32_t>& ints,
                  const std::vector<double>& floats) {
  const TestTensor x = TestTensor::generate(dtype, in, valueAt);
  const TestTensor g = TestTensor::generate(dtype, out, [](int64_t i) { return valueAt(i + 50); });
  const TestTensor y = runOp(level, map, {x}, dtype, out, ints, floats);
  const TestTensor back = runOp(level, adjoint, {g}, dtype, in, ints, floats);
  // Sums may cancel: their errors are measured by the sums of what they add up.
  const TestTensor sizes =
      TestTensor::generate(dtype, in, [](int64_t i) { return std::fabs(valueAt(i)); });
  const TestTensor magnitudes = runOp(level, map, {sizes}, dtype, out, ints, floats);
  double left = 0, right = 0, magnitude = 0;
  for (int64_t i = 0; i < y.size(); ++i) {
    left += y.at(i) * g.at(i);
    magnitude += magnitudes.at(i) * std::fabs(g.at(i));
  }
  for (int64_t i = 0; i < x.size(); ++i) right += x.at(i) * back.at(i);
  CHECK(std::fabs(left - right) <= (dtype == DType::float64 ? 1e-13 : 1e-6) * magnitude + 1e-12);
}

TEST_CASE("adaptive pooling and resampling have their adjoints") {
  const std::vector<std::pair<Shape, Shape>> shapes = {
      {{2, 3, 7}, {2, 3, 3}},         {{1, 2, 5, 40}, {1, 2, 9, 71}},
      {{1, 2, 30, 33}, {1, 2, 7, 5}}, {{1, 1, 4, 5, 6}, {1, 1, 3, 9, 2}},
      {{3, 1, 1, 1}, {3, 1, 4, 20}},  {{0, 2, 3, 3}, {0, 2, 5, 5}},
      {{1, 3, 17, 64}, {1, 3, 1, 1}},
  };
  for (const IsaLevel& level : isaLevels()) {
    for (const auto& [in, out] : shapes) {
      for (DType dtype : {DType::float32, DType::float64}) {
        CAPTURE(nameOf(level));
        checkAdjoint(level, Op::adaptiveAvgPool, Op::adaptiveAvgPoolBackward, dtype, in, out, {},
                     {});
        for (int32_t mode : {0, 1, 2}) {
          for (double scale : {0.0, 0.37, 3.0}) {
            CAPTURE(mode);
            checkAdjoint(level, Op::resample, Op::resampleBackward, dtype, in, out, {mode},
                         {scale, scale, scale});
          }
        }
      }
    }
  }
}

TEST_CASE("positions outside their plane are refused before anything is written") {
  for (const IsaLevel& level : isaLevels()) {
    for (double wrong : {4.0, -2.0, 2147483647.0, -2147483648.0}) {
      const TestTensor grad = TestTensor::floats({1, 1, 2}, {1, 2});
      const TestTensor positions = TestTensor::ints({1, 1, 2}, {0, wrong});
      const TestTensor x = TestTensor::floats({1, 1, 4}, {5, 6, 7, 8});
      CHECK(run(level, Op::maxPoolBackward, {grad, positions}, {x}) == Status::indexOutOfRange);
      CHECK(x.values() == std::vector<double>{5, 6, 7, 8});
      CHECK(run(level, Op::maxPoolGather, {x, positions}, {grad}) == Status::indexOutOfRange);
      CHECK(grad.values() == std::vector<double>{1, 2});
    }
    const TestTensor none = TestTensor::ints({1, 1, 2}, {-1, 3});
    const TestTensor grad = TestTensor::floats({1, 1, 2}, {1, 2});
    const TestTensor x = runOp(level, Op::maxPoolBackward, {grad, none}, DType::float32, {1, 1, 4});
    CHECK(x.values() == std::vector<double>{0, 0, 0, 2});
    const TestTensor picked = runOp(level, Op::maxPoolGather, {x, none}, DType::float32, {1, 1, 2});
    CHECK(picked.values() == std::vector<double>{0, 2});
  }
}

TEST_CASE("pooling refuses what does not fit") {
  const Case c = {{6, 9}, {2, 3}, {2, 2}, {1, 1}, {1, 1}};
  const IsaLevel& level = isaLevels().front();
  const auto attempt = [&](Op op, const Shape& in, const Shape& out,
                           const std::vector<int32_t>& ints, const std::vector<double>& floats) {
    std::vector<TestTensor> outputs = {TestTensor(DType::float32, out)};
    if (op == Op::maxPool || op == Op::adaptiveMaxPool) {
      outputs.push_back(TestTensor(DType::int32, out));
    }
    const TestTensor x = TestTensor::generate(DType::float32, in, valueAt);
    return run(level, op, {x}, outputs, ints, floats);
  };
  std::vector<int32_t> average = c.ints(false);
  average.push_back(1);
  REQUIRE(attempt(Op::maxPool, c.x(), c.y(), c.ints(true), {}) == Status::ok);
  REQUIRE(attempt(Op::avgPool, c.x(), c.y(), average, {0}) == Status::ok);
  for (size_t i = 0; i < 12; ++i) {
    for (int32_t value : {INT32_MIN, -1, INT32_MAX}) {
      std::vector<int32_t> ints = c.ints(true);
      ints[i] = value;
      CAPTURE(i);
      // Along the axis that the tensors lack there is one window, whatever the stride and dilation.
      const bool fits = value == INT32_MAX && (i == 3 || i == 9);
      const Status wanted = fits ? Status::ok : Status::badShape;
      CHECK(attempt(Op::maxPool, c.x(), c.y(), ints, {}) == wanted);
      if (i >= 9) continue;
      ints = average;
      ints[i] = value;
      CHECK(attempt(Op::avgPool, c.x(), c.y(), ints, {0}) == wanted);
      CHECK(attempt(Op::avgPoolBackward, c.y(), c.x(), ints, {0}) == wanted);
    }
  }
  for (size_t axis = 0; axis < 4; ++axis) {
    Shape larger = c.y();
    larger[axis] += 2;
    CHECK(attempt(Op::maxPool, c.x(), larger, c.ints(true), {}) == Status::badShape);
    CHECK(attempt(Op::avgPool, c.x(), larger, average, {0}) == Status::badShape);
  }
  CHECK(attempt(Op::adaptiveAvgPool, {1, 2, 0}, {1, 2, 3}, {}, {}) == Status::badShape);
  CHECK(attempt(Op::adaptiveAvgPool, {1, 2, 3}, {1, 2, 0}, {}, {}) == Status::badShape);
  CHECK(attempt(Op::adaptiveAvgPool, {1, 2, 3}, {1, 3, 3}, {}, {}) == Status::badShape);
  CHECK(attempt(Op::adaptiveMaxPool, {1, 2, 3}, {1, 2, 3, 1}, {}, {}) == Status::badShape);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (double scale : {nan, -1.0, std::numeric_limits<double>::infinity()}) {
    CHECK(attempt(Op::resample, {1, 2, 3}, {1, 2, 6}, {0}, {0, 0, scale}) == Status::badShape);
  }
  CHECK(attempt(Op::resample, {1, 2, 3}, {1, 2, 6}, {3}, {0, 0, 0}) == Status::badShape);
  CHECK(attempt(Op::resample, {1, 2, 3}, {1, 2, 6}, {-1}, {0, 0, 0}) == Status::badShape);
}

}  // namespace
}  // namespace testing
}  // namespace kindling
