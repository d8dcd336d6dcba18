#include <limits>
#include <vector>

#include "cuda/compare.h"
#include "cuda/numbers.h"
#include "doctest/doctest.h"

namespace kindling {
namespace testing {
namespace {

/// Pooling along up to three axes.
struct Case {
  Shape input, kernel, stride, padding, dilation;
  bool ceils = false;

  Shape planes(const Shape& spatial) const {
    Shape result = {2, 3};
    result.insert(result.end(), spatial.begin(), spatial.end());
    return result;
  }
  Shape x() const { return planes(input); }
  Shape y() const {
    Shape result;
    for (size_t i = 0; i < input.size(); ++i) {
      const int64_t room = input[i] + 2 * padding[i] - dilation[i] * (kernel[i] - 1) - 1;
      int64_t count = room / stride[i] + 1;
      if (ceils && room % stride[i] != 0 && count * stride[i] < input[i] + padding[i]) ++count;
      result.push_back(count);
    }
    return planes(result);
  }
  std::vector<int32_t> ints(bool dilates) const {
    std::vector<int32_t> result;
    const auto add = [&](const Shape& values, int32_t missing) {
      for (size_t i = values.size(); i < 3; ++i) result.push_back(missing);
      for (int64_t value : values) result.push_back(static_cast<int32_t>(value));
    };
    add(kernel, 1);
    add(stride, 1);
    add(padding, 0);
    if (dilates) add(dilation, 1);
    return result;
  }
};

std::vector<Case> cases() {
  std::vector<Case> all = {
      {{9}, {2}, {2}, {0}, {1}},
      {{1}, {1}, {1}, {0}, {1}},
      {{6, 8}, {2, 2}, {2, 2}, {0, 0}, {1, 1}},
      {{7, 9}, {3, 3}, {2, 2}, {1, 1}, {1, 1}},
      {{7, 9}, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
      {{7, 9}, {3, 2}, {2, 3}, {1, 1}, {1, 1}, true},
      {{5, 6, 7}, {2, 3, 2}, {1, 2, 2}, {1, 1, 0}, {1, 1, 1}},
      {{12, 12}, {12, 12}, {1, 1}, {0, 0}, {1, 1}},
      {{40, 37}, {6, 5}, {3, 4}, {2, 2}, {1, 1}, true},
  };
  return all;
}

const std::vector<DType>& floatTypes() {
  static const std::vector<DType> types = {DType::float32, DType::float64};
  return types;
}

TEST_CASE("cuda: maxPool, its positions and what its gradients are made of") {
  Numbers random(1);
  std::vector<Case> all = cases();
  all.push_back({{9, 60}, {3, 2}, {1, 2}, {1, 0}, {2, 3}});
  all.push_back({{1, 3}, {1, 2}, {1, 1}, {0, 1}, {1, 2}});
  for (const Case& c : all) {
    for (DType dtype : floatTypes()) {
      // Few distinct values, so that there are ties; here and there NaN and -∞.
      const TestTensor x = TestTensor::generate(dtype, c.x(), [](int64_t i) {
        if (i % 97 == 5) return std::numeric_limits<double>::quiet_NaN();
        return i % 5 == 3 ? -std::numeric_limits<double>::infinity()
                          : static_cast<double>(i * 7 % 11);
      });
      const TestTensor positions(DType::int32, c.y());
      compare(Op::maxPool, {random.inSomeLayout(x)}, {TestTensor(dtype, c.y()), positions},
              c.ints(true), {}, kExact);
      REQUIRE(runOnDevice(Op::maxPool, {x}, {TestTensor(dtype, c.y()), positions}, c.ints(true)) ==
              Status::ok);
      const TestTensor grad = random.tensor(dtype, c.y());
      const TestTensor source = random.tensor(dtype, c.x());
      compare(Op::maxPoolGather, {random.inSomeLayout(source), random.inSomeLayout(positions)},
              {TestTensor(dtype, c.y())}, {}, {}, kExact);
      for (int32_t deterministic : {0, 1}) {
        CAPTURE(deterministic);
        cudaApi().setDeterministic(deterministic);
        // In the same order as the CPU's, hence the same bits.
        const Tolerance tolerance = deterministic ? kExact : kFloatTolerance;
        compare(Op::maxPoolBackward, {random.inSomeLayout(grad), random.inSomeLayout(positions)},
                {TestTensor(dtype, c.x())}, {}, {}, tolerance);
      }
      cudaApi().setDeterministic(0);
    }
  }
}

TEST_CASE("cuda: many elements that came from one position") {
  Numbers random(2);
  const Shape from = {2, 2, 40, 10}, to = {2, 2, 3, 5};
  const TestTensor positions = TestTensor::generate(DType::int32, from, [&](int64_t i) {
    return static_cast<double>(i % 3 == 0 ? -1 : i % 2 ? 7 : random.between(0, 14));
  });
  for (int32_t deterministic : {0, 1}) {
    cudaApi().setDeterministic(deterministic);
    compare(Op::maxPoolBackward, {random.tensor(DType::float32, from), positions},
            {TestTensor(DType::float32, to)}, {}, {}, deterministic ? kExact : kFloatTolerance);
  }
  cudaApi().setDeterministic(0);
}

TEST_CASE("cuda: positions outside their plane are refused") {
  for (double wrong : {4.0, -2.0, 2147483647.0, -2147483648.0}) {
    const TestTensor grad = TestTensor::floats({1, 1, 2}, {1, 2});
    const TestTensor positions = TestTensor::ints({1, 1, 2}, {0, wrong});
    const TestTensor x = TestTensor::floats({1, 1, 4}, {5, 6, 7, 8});
    for (int32_t deterministic : {0, 1}) {
      cudaApi().setDeterministic(deterministic);
      compare(Op::maxPoolBackward, {grad, positions}, {x});
    }
    cudaApi().setDeterministic(0);
    compare(Op::maxPoolGather, {x, positions}, {grad});
  }
}

TEST_CASE("cuda: adaptiveMaxPool") {
  Numbers random(3);
  const std::vector<std::pair<Shape, Shape>> shapes = {
      {{2, 3, 7}, {2, 3, 3}},         {{1, 2, 5, 40}, {1, 2, 9, 71}},
      {{1, 2, 30, 33}, {1, 2, 7, 5}}, {{1, 1, 4, 5, 6}, {1, 1, 3, 9, 2}},
      {{0, 2, 3, 3}, {0, 2, 5, 5}},   {{1, 3, 17, 64}, {1, 3, 1, 1}},
  };
  for (const auto& [in, out] : shapes) {
    for (DType dtype : floatTypes()) {
      const TestTensor x = TestTensor::generate(dtype, in, [](int64_t i) {
        if (i % 97 == 5) return std::numeric_limits<double>::quiet_NaN();
        return i % 7 < 3 ? -std::numeric_limits<double>::infinity()
                         : static_cast<double>(i * 7 % 11);
      });
      compare(Op::adaptiveMaxPool, {random.inSomeLayout(x)},
              {TestTensor(dtype, out), TestTensor(DType::int32, out)}, {}, {}, kExact);
    }
  }
}

Tolerance toleranceOf(DType dtype) {
  const double unit = dtype == DType::float64 ? 1e-14 : 2e-6;
  return {unit, unit};
}

TEST_CASE("cuda: avgPool with and without its padding, and its adjoint") {
  Numbers random(4);
  for (const Case& c : cases()) {
    for (DType dtype : floatTypes()) {
      for (int mode = 0; mode < 3; ++mode) {
        CAPTURE(mode);
        std::vector<int32_t> ints = c.ints(false);
        ints.push_back(mode == 1 ? 1 : 0);
        const double divisor = mode == 2 ? 2.5 : 0;
        compare(Op::avgPool, {random.inSomeLayout(random.tensor(dtype, c.x()))},
                {TestTensor(dtype, c.y())}, ints, {divisor}, toleranceOf(dtype));
        compare(Op::avgPoolBackward, {random.inSomeLayout(random.tensor(dtype, c.y()))},
                {TestTensor(dtype, c.x())}, ints, {divisor}, toleranceOf(dtype));
      }
    }
  }
}

TEST_CASE("cuda: adaptive means and resampling, and their adjoints") {
  Numbers random(5);
  const std::vector<std::pair<Shape, Shape>> shapes = {
      {{2, 3, 7}, {2, 3, 3}},         {{1, 2, 5, 40}, {1, 2, 9, 71}},
      {{1, 2, 30, 33}, {1, 2, 7, 5}}, {{1, 1, 4, 5, 6}, {1, 1, 3, 9, 2}},
      {{3, 1, 1, 1}, {3, 1, 4, 20}},  {{0, 2, 3, 3}, {0, 2, 5, 5}},
      {{1, 3, 17, 64}, {1, 3, 1, 1}},
  };
  for (const auto& [in, out] : shapes) {
    for (DType dtype : floatTypes()) {
      const auto both = [&](Op map, Op adjoint, const std::vector<int32_t>& ints,
                            const std::vector<double>& floats) {
        compare(map, {random.inSomeLayout(random.tensor(dtype, in))}, {TestTensor(dtype, out)},
                ints, floats, toleranceOf(dtype));
        compare(adjoint, {random.inSomeLayout(random.tensor(dtype, out))}, {TestTensor(dtype, in)},
                ints, floats, toleranceOf(dtype));
      };
      both(Op::adaptiveAvgPool, Op::adaptiveAvgPoolBackward, {}, {});
      for (int32_t mode : {0, 1, 2}) {
        for (double scale : {0.0, 0.37, 3.0}) {
          CAPTURE(mode);
          CAPTURE(scale);
          both(Op::resample, Op::resampleBackward, {mode}, {scale, scale, scale});
        }
      }
    }
  }
}

}  // namespace
}  // namespace testing
}  // namespace kindling
