#include <vector>

#include "cuda/compare.h"
#include "cuda/numbers.h"
#include "doctest/doctest.h"

namespace kindling {
namespace testing {
namespace {

/// One convolution; extents and options of the spatial axes that there are.
struct Case {
  int64_t batch, channels, filters, groups;
  Shape input, kernel, stride, padding, dilation;
  int64_t behind = 0;  // more padding behind than in front

  Shape output() const {
    Shape result;
    for (size_t i = 0; i < input.size(); ++i) {
      const int64_t padded = input[i] + 2 * padding[i] + behind - dilation[i] * (kernel[i] - 1) - 1;
      result.push_back(padded < 0 ? 0 : padded / stride[i] + 1);
    }
    return result;
  }
  static Shape shapeOf(int64_t first, int64_t second, const Shape& spatial) {
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
  std::string text() const {
    std::string result = "batch " + std::to_string(batch) + ", channels " +
                         std::to_string(channels) + ", filters " + std::to_string(filters) +
                         ", groups " + std::to_string(groups);
    const auto add = [&](const char* name, const Shape& values) {
      result += std::string(", ") + name;
      for (int64_t value : values) result += " " + std::to_string(value);
    };
    add("input", input);
    add("kernel", kernel);
    add("stride", stride);
    add("padding", padding);
    add("dilation", dilation);
    return result + ", behind " + std::to_string(behind);
  }
};

/// Numbers of a tensor; with `tf32` such as TF32 holds.
TestTensor numbers(Numbers& random, DType dtype, const Shape& shape, bool tf32) {
  return TestTensor::generate(dtype, shape, [&](int64_t) {
    const double value = random.unit();
    return tf32 ? roundedToTf32(value) : value;
  });
}

/// Sums of up to `terms` products of numbers in [-1, 1] in another order. Such a partial sum of k
/// products is about √k / 3, so that rounding every one of them adds up to some terms · unit / 15
/// (one standard deviation). One product more or less is three orders of magnitude beyond this.
Tolerance toleranceOf(DType dtype, int64_t terms) {
  const double unit = dtype == DType::float64 ? 1e-15 : 1.2e-7, count = static_cast<double>(terms);
  return {4 * unit, unit * (8 + 6 * std::sqrt(count) + count / 5)};
}

void check(const Case& c, Numbers& random, DType dtype = DType::float32, bool tf32 = false) {
  CAPTURE(c.text());
  const TestTensor x = random.inSomeLayout(numbers(random, dtype, c.x(), tf32));
  const TestTensor weight = random.inSomeLayout(numbers(random, dtype, c.weight(), tf32));
  const TestTensor grad = random.inSomeLayout(numbers(random, dtype, c.y(), tf32));
  const TestTensor bias = random.tensor(dtype, {c.filters});
  const std::vector<int32_t> ints = c.ints();
  const int64_t taps = elementCount(c.kernel);
  const Tolerance forward = toleranceOf(dtype, c.channels / c.groups * taps);
  compare(Op::conv, {x, weight}, {TestTensor(dtype, c.y())}, ints, {}, forward);
  compare(Op::convBias, {x, weight, bias}, {TestTensor(dtype, c.y())}, ints, {}, forward);
  compare(Op::convBackwardInput, {grad, weight}, {TestTensor(dtype, c.x())}, ints, {},
          toleranceOf(dtype, c.filters / c.groups * taps));
  compare(Op::convBackwardWeight, {grad, x}, {TestTensor(dtype, c.weight())}, ints, {},
          toleranceOf(dtype, c.batch * elementCount(c.output())));
}

/// Tiles of 32x128, 64x64 and 128x128 and their edges; a depth of many and of few steps; strides
/// with more and fewer phases than taps; groups of many and of few channels; all ranks.
const std::vector<Case>& cases() {
  static const std::vector<Case> all = {
      {2, 3, 5, 1, {7}, {3}, {1}, {1}, {1}},
      {1, 1, 1, 1, {1, 1}, {1, 1}, {1, 1}, {0, 0}, {1, 1}},
      {2, 5, 33, 1, {9, 13}, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
      {1, 12, 64, 1, {8, 8}, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
      {2, 9, 65, 1, {8, 9}, {3, 2}, {1, 1}, {1, 0}, {1, 1}},
      {2, 70, 70, 1, {8, 8}, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
      {1, 130, 128, 1, {12, 16}, {1, 1}, {1, 1}, {0, 0}, {1, 1}},
      {2, 3, 8, 1, {17, 21}, {7, 7}, {2, 2}, {3, 3}, {1, 1}},
      {2, 6, 4, 1, {11, 20}, {3, 3}, {3, 3}, {1, 1}, {1, 1}},
      {1, 6, 6, 1, {13, 20}, {3, 2}, {1, 2}, {4, 3}, {3, 5}},
      {1, 4, 6, 1, {12, 12}, {3, 3}, {2, 2}, {2, 2}, {2, 2}},
      {1, 4, 6, 1, {13, 12}, {4, 3}, {4, 6}, {2, 2}, {2, 3}},
      {1, 8, 40, 1, {6, 30}, {1, 1}, {2, 2}, {0, 0}, {1, 1}},
      {1, 3, 16, 1, {16, 16}, {8, 8}, {8, 8}, {0, 0}, {1, 1}},
      {2, 24, 48, 2, {8, 8}, {1, 1}, {1, 1}, {0, 0}, {1, 1}},
      {2, 6, 9, 3, {8, 9}, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
      {2, 20, 10, 2, {5, 6}, {3, 3}, {2, 1}, {1, 1}, {1, 1}},
      {2, 5, 5, 5, {14, 37}, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
      {2, 5, 5, 5, {14, 16}, {3, 3}, {2, 2}, {1, 1}, {1, 1}},
      {2, 5, 15, 5, {9, 20}, {5, 3}, {2, 2}, {2, 1}, {1, 2}},
      {1, 2, 2, 2, {3, 3}, {3, 3}, {4, 4}, {0, 0}, {1, 1}},
      {1, 3, 3, 3, {9, 9}, {2, 2}, {9, 5}, {1, 1}, {1, 1}},
      {2, 2, 3, 1, {4, 5, 6}, {2, 3, 2}, {1, 2, 1}, {1, 1, 0}, {1, 1, 2}},
      {1, 4, 4, 4, {3, 7, 12}, {3, 3, 3}, {1, 1, 2}, {1, 1, 1}, {1, 1, 1}},
      {1, 4, 4, 4, {3, 7, 12}, {3, 3, 3}, {1, 1, 1}, {1, 2, 0}, {1, 1, 2}},
      {2, 3, 5, 1, {6, 10}, {2, 4}, {1, 1}, {0, 1}, {1, 1}, 1},
      {1, 2, 3, 1, {1, 4}, {1, 2}, {1, 1}, {0, 6}, {1, 3}},
      {0, 3, 5, 1, {6, 6}, {3, 3}, {1, 1}, {0, 0}, {1, 1}},
      {2, 0, 5, 1, {6, 6}, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
      {8, 3, 7, 1, {30, 31}, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
  };
  return all;
}

Case someCase(Numbers& random) {
  const size_t axes = static_cast<size_t>(random.between(1, 3));
  Case c = {
      random.between(1, 3), 0, 0, random.oneOf<int64_t>({1, 1, 1, 2, 3, 8}), {}, {}, {}, {}, {}};
  c.channels = c.groups * random.oneOf<int64_t>({1, 1, 2, 5, 16, 17});
  c.filters = c.groups * random.oneOf<int64_t>({1, 2, 3, 9, 31, 33});
  for (size_t axis = 0; axis < axes; ++axis) {
    const int64_t kernel = random.between(1, axes == 1 ? 9 : 4);
    c.kernel.push_back(kernel);
    c.stride.push_back(random.between(1, 3));
    c.dilation.push_back(random.between(1, 2));
    c.padding.push_back(random.between(0, kernel));
    const int64_t reach = c.dilation.back() * (kernel - 1) + 1;
    c.input.push_back(random.between(reach, reach + (axes == 1 ? 150 : axes == 2 ? 12 : 5)));
  }
  c.behind = random.oneOf<int64_t>({0, 0, 1});
  return c;
}

TEST_CASE("cuda: convolutions of all kinds") {
  Numbers random(1);
  for (const Case& c : cases()) check(c, random);
}

TEST_CASE("cuda: random convolutions") {
  Numbers random(2);
  for (int i = 0; i < 40; ++i) check(someCase(random), random);
}

TEST_CASE("cuda: convolutions in float64") {
  Numbers random(3);
  for (const Case& c : cases()) check(c, random, DType::float64);
}

TEST_CASE("cuda: large tiles of a convolution, whole and cut") {
  Numbers random(4);
  // More tiles of 128x128 than the device has processors, in the input's gradient too.
  check({1, 128, 126, 1, {44, 256}, {1, 1}, {1, 1}, {0, 0}, {1, 1}}, random);
  check({1, 126, 128, 1, {130, 130}, {1, 2}, {1, 1}, {0, 0}, {1, 1}}, random);
}

TEST_CASE("cuda: convolutions by tensor cores") {
  Numbers random(5);
  cudaApi().setAllowTf32(1);
  for (const Case& c : cases()) check(c, random, DType::float32, true);
  for (int i = 0; i < 20; ++i) check(someCase(random), random, DType::float32, true);
  check({1, 128, 126, 1, {44, 256}, {1, 1}, {1, 1}, {0, 0}, {1, 1}}, random, DType::float32, true);
  cudaApi().setAllowTf32(0);
}

TEST_CASE("cuda: tensor cores round the operands of a convolution, and only when allowed") {
  // 1 + 2^-12 is 1 in TF32.
  const double close = 1 + std::ldexp(1.0, -12);
  const TestTensor x =
      TestTensor::generate(DType::float32, {1, 64, 8, 8}, [&](int64_t) { return close; });
  const TestTensor weight =
      TestTensor::generate(DType::float32, {64, 64, 1, 1}, [](int64_t) { return 1.0; });
  const std::vector<int32_t> ints = {1, 1, 1, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1};
  for (int32_t allowed : {1, 0}) {
    cudaApi().setAllowTf32(allowed);
    const TestTensor y(DType::float32, {1, 64, 8, 8});
    REQUIRE(runOnDevice(Op::conv, {x, weight}, {y}, ints) == Status::ok);
    const double operand = allowed && hasTensorCores() ? 1.0 : close;
    for (int64_t i = 0; i < y.size(); ++i) CHECK(y.at(i) == 64 * operand);
  }
}

}  // namespace
}  // namespace testing
}  // namespace kindling
