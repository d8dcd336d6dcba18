#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "doctest/doctest.h"
#include "op_testing.h"

namespace kindling {
namespace testing {
namespace {

double valueAt(int64_t i) { return static_cast<double>((i * 7919 + 13) % 1009) / 504.0 - 1.0; }
double otherAt(int64_t i) { return static_cast<double>((i * 6007 + 101) % 887) / 600.0 - 0.7; }

/// One convolution; extents and options of the spatial axes that there are.
struct Case {
  int64_t batch, channels, filters, groups;
  Shape input, kernel, stride, padding, dilation;
  int64_t behind = 0;  // more padding behind than in front

  Shape output() const {
    Shape result;
    for (size_t i = 0; i < input.size(); ++i) {
      const int64_t padded = input[i] + 2 * padding[i] + behind;
      result.push_back((padded - dilation[i] * (kernel[i] - 1) - 1) / stride[i] + 1);
    }
    return result;
  }
  Shape shapeOf(int64_t first, int64_t second, const Shape& spatial) const {
    Shape result = {first, second};
    result.insert(result.end(), spatial.begin(), spatial.end());
    return result;
  }
  Shape x() const { return shapeOf(batch, channels, input); }
  Shape weight() const { return shapeOf(filters, channels / groups, kernel); }
  Shape y() const { return shapeOf(batch, filters, output()); }
  std::vector<int32_t> ints() const {
    std::vector<int32_t> result;
    const auto add = [&](const Shape& values, int64_t missing, int64_t more) {
      for (size_t i = values.size(); i < 3; ++i) result.push_back(static_cast<int32_t>(missing));
      for (int64_t value : values) result.push_back(static_cast<int32_t>(value + more));
    };
    add(stride, 1, 0);
    add(padding, 0, 0);
    add(padding, 0, behind);
    add(dilation, 1, 0);
    result.push_back(static_cast<int32_t>(groups));
    return result;
  }
};

/// Around the tiles of every instruction set, blocks of k, several images in a panel, all options.
const std::vector<Case>& cases() {
  static const std::vector<Case> all = {
      {2, 3, 5, 1, {7}, {3}, {1}, {1}, {1}},
      {1, 1, 1, 1, {1, 1}, {1, 1}, {1, 1}, {0, 0}, {1, 1}},
      {2, 5, 15, 1, {9, 33}, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
      {3, 4, 29, 1, {5, 5}, {3, 2}, {1, 1}, {1, 0}, {1, 1}},
      {7, 3, 6, 1, {3, 3}, {2, 2}, {1, 1}, {0, 0}, {1, 1}},
      {1, 50, 17, 1, {6, 8}, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
      {1, 100, 3, 1, {4, 40}, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
      {2, 3, 8, 1, {17, 35}, {7, 7}, {2, 2}, {3, 3}, {1, 1}},
      {2, 6, 4, 1, {11, 50}, {3, 3}, {3, 3}, {1, 1}, {1, 1}},
      {1, 6, 6, 1, {13, 40}, {3, 2}, {1, 2}, {4, 3}, {3, 5}},
      {2, 33, 20, 1, {6, 7}, {1, 1}, {1, 1}, {0, 0}, {1, 1}},
      {1, 8, 40, 1, {6, 70}, {1, 1}, {2, 2}, {0, 0}, {1, 1}},
      {3, 600, 8, 1, {9, 29}, {1, 1}, {1, 1}, {0, 0}, {1, 1}},
      {2, 24, 400, 2, {16, 16}, {1, 1}, {1, 1}, {0, 0}, {1, 1}},
      {1, 3, 40, 1, {150, 150}, {3, 3}, {2, 2}, {1, 1}, {1, 1}},
      {2, 6, 9, 3, {8, 9}, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
      {2, 20, 10, 2, {5, 6}, {3, 3}, {2, 1}, {1, 1}, {1, 1}},
      {2, 5, 5, 5, {14, 37}, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
      {2, 5, 15, 5, {9, 70}, {5, 3}, {2, 2}, {2, 1}, {1, 2}},
      {1, 2, 2, 2, {3, 3}, {3, 3}, {4, 4}, {0, 0}, {1, 1}},
      {1, 3, 3, 3, {9, 9}, {2, 2}, {9, 5}, {1, 1}, {1, 1}},
      {2, 2, 3, 1, {4, 5, 6}, {2, 3, 2}, {1, 2, 1}, {1, 1, 0}, {1, 1, 2}},
      {1, 4, 4, 4, {3, 7, 20}, {3, 3, 3}, {1, 1, 2}, {1, 1, 1}, {1, 1, 1}},
      {2, 3, 5, 1, {6, 10}, {2, 4}, {1, 1}, {0, 1}, {1, 1}, 1},
      {1, 2, 3, 1, {1, 4}, {1, 2}, {1, 1}, {0, 6}, {1, 3}},
      {0, 3, 5, 1, {6, 6}, {3, 3}, {1, 1}, {0, 0}, {1, 1}},
      {2, 0, 5, 1, {6, 6}, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
      {20, 3, 7, 1, {30, 31}, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
  };
  return all;
}

/// Visits every product: positions in x, weight and y as offsets.
template <typename Visit>
void forProducts(const Case& c, const Visit& visit) {
  const size_t axes = c.input.size();
  const Shape output = c.output();
  const int64_t inputSize = elementCount(c.input), outputSize = elementCount(output);
  const int64_t taps = elementCount(c.kernel);
  const int64_t perGroup = c.channels / c.groups, filtersPerGroup = c.filters / c.groups;
  for (int64_t at = 0; at < outputSize; ++at) {
    for (int64_t tap = 0; tap < taps; ++tap) {
      int64_t position = 0, restOut = at, restTap = tap, scale = 1;
      bool inside = true;
      for (size_t axis = axes; axis-- > 0;) {
        const int64_t p = restOut % output[axis] * c.stride[axis] +
                          restTap % c.kernel[axis] * c.dilation[axis] - c.padding[axis];
        restOut /= output[axis];
        restTap /= c.kernel[axis];
        inside = inside && p >= 0 && p < c.input[axis];
        position += p * scale;
        scale *= c.input[axis];
      }
      if (!inside) continue;
      for (int64_t n = 0; n < c.batch; ++n) {
        for (int64_t f = 0; f < c.filters; ++f) {
          for (int64_t q = 0; q < perGroup; ++q) {
            const int64_t channel = f / filtersPerGroup * perGroup + q;
            visit((n * c.channels + channel) * inputSize + position,
                  (f * perGroup + q) * taps + tap, (n * c.filters + f) * outputSize + at);
          }
        }
      }
    }
  }
}

struct Reference {
  explicit Reference(int64_t size)
      : values(static_cast<size_t>(size)), magnitudes(static_cast<size_t>(size)) {}
  void add(int64_t at, double term) {
    values[static_cast<size_t>(at)] += term;
    magnitudes[static_cast<size_t>(at)] += std::fabs(term);
  }
  std::vector<double> values, magnitudes;
};

void check(const TestTensor& actual, const Reference& expected) {
  REQUIRE(static_cast<size_t>(actual.size()) == expected.values.size());
  const double relative = actual.dtype() == DType::float64 ? 1e-13 : 2e-6;
  for (size_t i = 0; i < expected.values.size(); ++i) {
    const double value = actual.at(static_cast<int64_t>(i));
    if (std::fabs(value - expected.values[i]) <= relative * expected.magnitudes[i]) continue;
    FAIL_CHECK("element ", i, " is ", value, ", not ", expected.values[i]);
    return;
  }
}

std::string describe(const Case& c) {
  std::string name;
  for (int64_t extent : c.x()) name += std::to_string(extent) + " ";
  name += "*";
  for (int64_t extent : c.weight()) name += " " + std::to_string(extent);
  return name;
}

void checkForward(const IsaLevel& level, const Case& c, DType dtype) {
  const TestTensor x = TestTensor::generate(dtype, c.x(), valueAt);
  const TestTensor weight = TestTensor::generate(dtype, c.weight(), otherAt);
  const TestTensor bias = TestTensor::generate(dtype, {c.filters}, valueAt);
  Reference expected(elementCount(c.y()));
  forProducts(c, [&](int64_t a, int64_t b, int64_t y) { expected.add(y, x.at(a) * weight.at(b)); });
  check(runOp(level, Op::conv, {x, weight}, dtype, c.y(), c.ints()), expected);
  const int64_t plane = elementCount(c.output());
  for (int64_t i = 0; i < elementCount(c.y()); ++i) expected.add(i, bias.at(i / plane % c.filters));
  check(runOp(level, Op::convBias, {x, weight, bias}, dtype, c.y(), c.ints()), expected);
}

void checkGradients(const IsaLevel& level, const Case& c, DType dtype) {
  const TestTensor x = TestTensor::generate(dtype, c.x(), valueAt);
  const TestTensor weight = TestTensor::generate(dtype, c.weight(), otherAt);
  const TestTensor grad =
      TestTensor::generate(dtype, c.y(), [](int64_t i) { return valueAt(i + 77); });
  Reference toX(elementCount(c.x())), toWeight(elementCount(c.weight()));
  forProducts(c, [&](int64_t a, int64_t b, int64_t y) {
    toX.add(a, weight.at(b) * grad.at(y));
    toWeight.add(b, x.at(a) * grad.at(y));
  });
  check(runOp(level, Op::convBackwardInput, {grad, weight}, dtype, c.x(), c.ints()), toX);
  check(runOp(level, Op::convBackwardWeight, {grad, x}, dtype, c.weight(), c.ints()), toWeight);
}

TEST_CASE("convolution and its gradients against plain sums") {
  for (const IsaLevel& level : isaLevels()) {
    for (const Case& c : cases()) {
      CAPTURE(nameOf(level));
      CAPTURE(describe(c));
      for (DType dtype : {DType::float32, DType::float64}) {
        checkForward(level, c, dtype);
        checkGradients(level, c, dtype);
      }
    }
  }
}

/// Depthwise planes of every width around the vectors, with and without padding.
TEST_CASE("depthwise 3x3 convolution of every width against plain sums") {
  for (const IsaLevel& level : isaLevels()) {
    for (int64_t width = 1; width <= 35; ++width) {
      for (const int64_t padding : {0, 1, 2}) {
        const int64_t height = 1 + width % 5;
        if (width + 2 * padding < 3 || height + 2 * padding < 3) continue;
        const Case c = {2, 3, 3, 3, {height, width}, {3, 3}, {1, 1}, {padding, padding}, {1, 1}};
        CAPTURE(nameOf(level));
        CAPTURE(describe(c));
        checkForward(level, c, DType::float32);
        checkGradients(level, c, DType::float32);
      }
    }
    // Fewer channels than units of work: images are shared out, and rows padded unlike columns.
    checkGradients(level, {40, 2, 2, 2, {6, 17}, {3, 3}, {1, 1}, {1, 0}, {1, 1}}, DType::float32);
    checkGradients(level, {3, 2, 2, 2, {5, 18}, {3, 3}, {1, 1}, {0, 1}, {1, 1}, 1}, DType::float32);
  }
}

/// One channel of the input, or of its gradient where there is one filter; and groups of one.
TEST_CASE("3x3 convolution of one channel, of every width, against plain sums") {
  for (const IsaLevel& level : isaLevels()) {
    for (int64_t width = 1; width <= 35; ++width) {
      for (const int64_t padding : {0, 1}) {
        const int64_t height = 1 + width % 7;
        if (width + 2 * padding < 3 || height + 2 * padding < 3) continue;
        for (const int64_t groups : {1, 2}) {
          const Case one = {2,      groups, 5 * groups,         groups, {height, width},
                            {3, 3}, {1, 1}, {padding, padding}, {1, 1}};
          const Case many = {2,      5 * groups,         groups, groups, {height, width}, {3, 3},
                             {1, 1}, {padding, padding}, {1, 1}};
          for (const Case& c : {one, many}) {
            CAPTURE(nameOf(level));
            CAPTURE(describe(c));
            checkForward(level, c, DType::float32);
            checkGradients(level, c, DType::float32);
          }
        }
      }
    }
  }
}

TEST_CASE("1x1 convolutions over large planes, and strides beyond the kernel, against plain sums") {
  const std::vector<Case> all = {
      {3, 5, 7, 1, {10, 11}, {1, 1}, {1, 1}, {0, 0}, {1, 1}},
      {5, 20, 33, 1, {12, 9}, {1, 1}, {1, 1}, {0, 0}, {1, 1}},
      {2, 8, 12, 4, {16, 7}, {1, 1}, {1, 1}, {0, 0}, {1, 1}},
      {2, 40, 9, 1, {200}, {1}, {1}, {0}, {1}},
      {2, 9, 11, 1, {13, 14}, {1, 1}, {2, 2}, {0, 0}, {1, 1}},
      {2, 9, 11, 1, {13, 14}, {1, 1}, {3, 2}, {1, 0}, {1, 1}},
      {2, 6, 5, 1, {11, 17}, {2, 2}, {3, 4}, {0, 1}, {1, 1}},
      {2, 3, 3, 3, {11, 17}, {1, 2}, {2, 3}, {0, 0}, {1, 1}},
  };
  for (const IsaLevel& level : isaLevels()) {
    for (const Case& c : all) {
      CAPTURE(nameOf(level));
      CAPTURE(describe(c));
      for (DType dtype : {DType::float32, DType::float64}) {
        checkForward(level, c, dtype);
        checkGradients(level, c, dtype);
      }
    }
  }
}

/// 3x3 with enough channels and positions for Winograd's algorithm, of which some edges of a tile
/// hang over: tiles by rows and by panels of filters, blocks of channels, several images in a unit.
const std::vector<Case>& winogradCases() {
  static const std::vector<Case> all = {
      {1, 32, 32, 1, {16, 16}, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
      {2, 33, 40, 1, {12, 19}, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
      {3, 47, 32, 1, {17, 15}, {3, 3}, {1, 1}, {0, 0}, {1, 1}},
      {2, 32, 49, 1, {14, 14}, {3, 3}, {1, 1}, {2, 2}, {1, 1}},
      {17, 64, 65, 1, {4, 4}, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
      {6, 80, 33, 1, {7, 8}, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
      {1, 40, 36, 1, {13, 16}, {3, 3}, {1, 1}, {0, 1}, {1, 1}, 1},
      {16, 300, 32, 1, {4, 3}, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
      {1, 32, 300, 1, {15, 20}, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
  };
  return all;
}

TEST_CASE("convolution by Winograd's algorithm against plain sums") {
  for (const IsaLevel& level : isaLevels()) {
    for (const Case& c : winogradCases()) {
      CAPTURE(nameOf(level));
      CAPTURE(describe(c));
      checkForward(level, c, DType::float32);
      checkGradients(level, c, DType::float32);
    }
  }
}

TEST_CASE("gradient of a 3x3 weight summed over more tiles than the cache holds") {
  const Case c = {3, 32, 40, 1, {80, 84}, {3, 3}, {1, 1}, {1, 1}, {1, 1}};
  const TestTensor x = TestTensor::generate(DType::float32, c.x(), valueAt);
  const TestTensor grad = TestTensor::generate(DType::float32, c.y(), otherAt);
  for (const IsaLevel& level : isaLevels()) {
    CAPTURE(nameOf(level));
    const TestTensor actual =
        runOp(level, Op::convBackwardWeight, {grad, x}, DType::float32, c.weight(), c.ints());
    for (int64_t f : {0, 17, 39}) {
      for (int64_t q : {0, 31}) {
        for (int64_t tap = 0; tap < 9; ++tap) {
          double sum = 0, magnitude = 0;
          for (int64_t i = 0; i < 3 * 80 * 84; ++i) {
            const int64_t n = i / (80 * 84), row = i / 84 % 80, column = i % 84;
            const int64_t y = row + tap / 3 - 1, z = column + tap % 3 - 1;
            if (y < 0 || y >= 80 || z < 0 || z >= 84) continue;
            const double term = grad.at(((n * 40 + f) * 80 + row) * 84 + column) *
                                x.at(((n * 32 + q) * 80 + y) * 84 + z);
            sum += term;
            magnitude += std::fabs(term);
          }
          CHECK(std::fabs(actual.at((f * 32 + q) * 9 + tap) - sum) <= 2e-6 * magnitude);
        }
      }
    }
  }
}

TEST_CASE("what is not finite stays where it belongs in a 3x3 convolution") {
  const Case c = {2, 32, 33, 1, {12, 12}, {3, 3}, {1, 1}, {1, 1}, {1, 1}};
  const double infinity = std::numeric_limits<double>::infinity();
  const int64_t at = 32 * 144 + 5 * 144 + 3 * 12 + 4;  // image 1, channel 5, row 3, column 4
  for (double value : {infinity, -infinity, std::nan("")}) {
    TestTensor x = TestTensor::generate(DType::float32, c.x(), valueAt);
    x.set(at, value);
    const TestTensor weight =
        TestTensor::generate(DType::float32, c.weight(), [](int64_t) { return 1.0; });
    for (const IsaLevel& level : isaLevels()) {
      CAPTURE(nameOf(level));
      const TestTensor y = runOp(level, Op::conv, {x, weight}, DType::float32, c.y(), c.ints());
      const TestTensor toX =
          runOp(level, Op::convBackwardInput,
                {x, TestTensor::generate(DType::float32, {32, 33, 3, 3}, otherAt)}, DType::float32,
                {2, 33, 12, 12}, c.ints());
      const TestTensor grad =
          TestTensor::generate(DType::float32, c.y(), [](int64_t i) { return i % 5 + 1.0; });
      TestTensor corner = TestTensor::generate(DType::float32, c.x(), valueAt);
      corner.set(5 * 144, value);
      const TestTensor toWeight = runOp(level, Op::convBackwardWeight, {grad, corner},
                                        DType::float32, c.weight(), c.ints());
      for (int64_t i = 0; i < toWeight.size(); ++i) {
        const bool reached = i / 9 % 32 == 5 && i % 9 / 3 < 2 && i % 3 < 2;
        CHECK(std::isfinite(toWeight.at(i)) == !reached);
      }
      for (int64_t i = 0; i < y.size(); ++i) {
        const int64_t n = i / 144 / 33, row = i % 144 / 12, column = i % 12;
        const bool reached = n == 1 && row >= 2 && row <= 4 && column >= 3 && column <= 5;
        CHECK(std::isfinite(y.at(i)) == !reached);
        CHECK(std::isfinite(toX.at(i)) == !reached);
        if (reached) CHECK((std::isnan(value) ? std::isnan(y.at(i)) : y.at(i) == value));
      }
    }
  }
}

TEST_CASE("convolution of every layout") {
  const Case c = {2, 4, 6, 2, {5, 9}, {3, 2}, {1, 2}, {1, 1}, {1, 1}};
  const TestTensor x = TestTensor::generate(DType::float32, c.x(), valueAt);
  const TestTensor weight = TestTensor::generate(DType::float32, c.weight(), otherAt);
  for (const IsaLevel& level : isaLevels()) {
    const std::vector<double> expected =
        runOp(level, Op::conv, {x, weight}, DType::float32, c.y(), c.ints()).values();
    for (const NamedTensor& a : inEveryLayout(x)) {
      for (const NamedTensor& b : inEveryLayout(weight)) {
        CAPTURE(nameOf(level));
        CAPTURE(a.layout);
        CAPTURE(b.layout);
        const TestTensor y =
            runOp(level, Op::conv, {a.tensor, b.tensor}, DType::float32, c.y(), c.ints());
        CHECK(y.values() == expected);
      }
    }
  }
}

TEST_CASE("results of convolution do not depend on the number of threads") {
  const std::vector<Case> some = {
      {6, 16, 40, 1, {30, 30}, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
      {6, 1, 8, 1, {40, 40}, {3, 3}, {1, 1}, {0, 0}, {1, 1}},
      {6, 16, 16, 16, {30, 30}, {3, 3}, {2, 2}, {1, 1}, {1, 1}},
      {1, 64, 64, 1, {7, 7}, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
      {9, 40, 70, 1, {15, 15}, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
      {20, 40, 270, 1, {4, 4}, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
  };
  const int threads = numThreads();
  for (const IsaLevel& level : isaLevels()) {
    for (const Case& c : some) {
      CAPTURE(nameOf(level));
      CAPTURE(describe(c));
      const TestTensor x = TestTensor::generate(DType::float32, c.x(), valueAt);
      const TestTensor weight = TestTensor::generate(DType::float32, c.weight(), otherAt);
      const TestTensor grad = TestTensor::generate(DType::float32, c.y(), otherAt);
      std::vector<std::vector<double>> first;
      for (int count : {1, 2, 5}) {
        setNumThreads(count);
        std::vector<std::vector<double>> results = {
            runOp(level, Op::conv, {x, weight}, DType::float32, c.y(), c.ints()).values(),
            runOp(level, Op::convBackwardInput, {grad, weight}, DType::float32, c.x(), c.ints())
                .values(),
            runOp(level, Op::convBackwardWeight, {grad, x}, DType::float32, c.weight(), c.ints())
                .values()};
        if (first.empty()) first = results;
        CHECK(results == first);
      }
      setNumThreads(threads);
    }
  }
}

TEST_CASE("infinities stay where they belong in a depthwise convolution") {
  const Case c = {1, 1, 1, 1, {4, 4}, {2, 2}, {1, 1}, {0, 0}, {1, 1}};
  TestTensor x = TestTensor::generate(DType::float32, c.x(), [](int64_t) { return 1.0; });
  x.set(15, std::numeric_limits<double>::infinity());
  const TestTensor weight =
      TestTensor::generate(DType::float32, c.weight(), [](int64_t) { return 1.0; });
  const TestTensor grad = TestTensor::generate(DType::float32, c.y(), [](int64_t) { return 1.0; });
  for (const IsaLevel& level : isaLevels()) {
    const TestTensor y = runOp(level, Op::conv, {x, weight}, DType::float32, c.y(), c.ints());
    for (int64_t i = 0; i < 8; ++i) CHECK(y.at(i) == 4.0);
    CHECK(std::isinf(y.at(8)));
    const TestTensor gradient =
        runOp(level, Op::convBackwardWeight, {grad, x}, DType::float32, c.weight(), c.ints());
    for (int64_t i = 0; i < 3; ++i) CHECK(gradient.at(i) == 9.0);
    CHECK(std::isinf(gradient.at(3)));
  }
}

TEST_CASE("convolution refuses what does not fit") {
  const Case c = {2, 4, 6, 2, {5, 9}, {3, 2}, {1, 2}, {1, 1}, {1, 1}};
  const IsaLevel& level = isaLevels().front();
  const auto attempt = [&](Op op, const Shape& a, const Shape& b, const Shape& out,
                           std::vector<int32_t> ints) {
    return run(level, op, {TestTensor(DType::float32, a), TestTensor(DType::float32, b)},
               {TestTensor(DType::float32, out)}, ints);
  };
  const auto with = [&](size_t at, int32_t value) {
    std::vector<int32_t> ints = c.ints();
    ints[at] = value;
    return ints;
  };
  REQUIRE(attempt(Op::conv, c.x(), c.weight(), c.y(), c.ints()) == Status::ok);
  // Every integer out of range, and every extent of every tensor one larger.
  for (size_t i = 0; i < 13; ++i) {
    for (int32_t value : {INT32_MIN, -100, INT32_MAX}) {
      CAPTURE(i);
      CAPTURE(value);
      // Along the axis that the tensors lack there is one window, whatever the stride and dilation.
      const bool fits = value == INT32_MAX && (i == 0 || i == 9);
      CHECK(attempt(Op::conv, c.x(), c.weight(), c.y(), with(i, value)) ==
            (fits ? Status::ok : Status::badShape));
    }
  }
  for (size_t i : {0, 9, 12}) {
    CHECK(attempt(Op::conv, c.x(), c.weight(), c.y(), with(i, 0)) == Status::badShape);
  }
  struct Roles {
    Op op;
    Shape a, b, out;
  };
  const std::vector<Roles> roles = {{Op::conv, c.x(), c.weight(), c.y()},
                                    {Op::convBackwardInput, c.y(), c.weight(), c.x()},
                                    {Op::convBackwardWeight, c.y(), c.x(), c.weight()}};
  for (const Roles& role : roles) {
    CAPTURE(nameOf(role.op));
    REQUIRE(attempt(role.op, role.a, role.b, role.out, c.ints()) == Status::ok);
    for (size_t axis = 0; axis < 4; ++axis) {
      // Only x's width may vary: with stride 2 the last position is read by no window.
      const auto larger = [&](Shape shape) {
        shape[axis] += 2;
        return shape;
      };
      CAPTURE(axis);
      CHECK(attempt(role.op, larger(role.a), role.b, role.out, c.ints()) == Status::badShape);
      CHECK(attempt(role.op, role.a, larger(role.b), role.out, c.ints()) == Status::badShape);
      CHECK(attempt(role.op, role.a, role.b, larger(role.out), c.ints()) == Status::badShape);
    }
    CHECK(attempt(role.op, {2, 4}, role.b, role.out, c.ints()) == Status::badShape);
    CHECK(attempt(role.op, role.a, {1}, role.out, c.ints()) == Status::badShape);
    CHECK(attempt(role.op, role.a, role.b, {2, 6, 5, 5, 1, 1}, c.ints()) == Status::badShape);
  }
  const Status mixed = run(
      level, Op::conv, {TestTensor(DType::float32, c.x()), TestTensor(DType::float64, c.weight())},
      {TestTensor(DType::float32, c.y())}, c.ints());
  CHECK(mixed == Status::badShape);
  const Status bias = run(level, Op::convBias,
                          {TestTensor(DType::float32, c.x()),
                           TestTensor(DType::float32, c.weight()), TestTensor(DType::float32, {5})},
                          {TestTensor(DType::float32, c.y())}, c.ints());
  CHECK(bias == Status::badShape);
}

}  // namespace
}  // namespace testing
}  // namespace kindling
