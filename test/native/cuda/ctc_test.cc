#include <limits>
#include <vector>

#include "cuda/compare.h"
#include "cuda/numbers.h"
#include "doctest/doctest.h"

namespace kindling {
namespace testing {
namespace {

/// log p of class c at step t, each row normalized.
TestTensor logProbs(Numbers& random, DType dtype, const Shape& shape, double spread) {
  const TestTensor x = random.tensor(dtype, shape);
  const int64_t classes = shape[2];
  for (int64_t row = 0; row < shape[0] * shape[1]; ++row) {
    double total = 0;
    for (int64_t c = 0; c < classes; ++c) {
      x.set(row * classes + c, spread * x.at(row * classes + c));
      total += std::exp(x.at(row * classes + c));
    }
    for (int64_t c = 0; c < classes; ++c) {
      x.set(row * classes + c, x.at(row * classes + c) - std::log(total));
    }
  }
  return x;
}

struct Batch {
  TestTensor logs, targets, inputLengths, targetLengths;
};

/// Targets of any length that may or may not fit, with repeated labels; the blank is class `blank`.
Batch someBatch(Numbers& random, DType dtype, int64_t steps, int64_t samples, int64_t classes,
                int64_t longest, int64_t blank) {
  return {logProbs(random, dtype, {steps, samples, classes}, 3),
          TestTensor::generate(DType::int32, {samples, longest},
                               [&](int64_t) {
                                 const int64_t label = random.between(0, classes - 2);
                                 return static_cast<double>(label < blank ? label : label + 1);
                               }),
          TestTensor::generate(
              DType::int32, {samples},
              [&](int64_t i) { return static_cast<double>(i ? random.between(0, steps) : steps); }),
          TestTensor::generate(DType::int32, {samples}, [&](int64_t i) {
            return static_cast<double>(i ? random.between(0, longest) : longest);
          })};
}

/// In float32 both sides round the recursion's logarithms.
Tolerance toleranceOf(DType dtype, int64_t steps) {
  const double unit = dtype == DType::float64 ? 1e-13 : 4e-6;
  return {unit, unit * (1 + static_cast<double>(steps) / 20)};
}

void check(Numbers& random, const Batch& b, int64_t blank, DType dtype, int64_t steps) {
  const Shape shape = b.logs.shape();
  const std::vector<TestTensor> inputs = {random.inSomeLayout(b.logs),
                                          random.inSomeLayout(b.targets), b.inputLengths,
                                          random.inSomeLayout(b.targetLengths)};
  const int32_t blankClass = static_cast<int32_t>(blank);
  for (int32_t zeroInfinity : {0, 1}) {
    compare(Op::ctcLoss, inputs, {TestTensor(dtype, {shape[1]}), TestTensor(dtype, shape)},
            {blankClass, zeroInfinity}, {}, toleranceOf(dtype, steps));
    compare(Op::ctcLoss, inputs, {TestTensor(dtype, {shape[1]}), TestTensor(dtype, {0})},
            {blankClass, zeroInfinity}, {}, toleranceOf(dtype, steps));
  }
}

TEST_CASE("cuda: ctcLoss and its gradient") {
  Numbers random(1);
  for (DType dtype : {DType::float32, DType::float64}) {
    for (int i = 0; i < 12; ++i) {
      const int64_t steps = random.between(0, 30), classes = random.between(2, 9);
      const int64_t blank = random.between(0, classes - 1), longest = random.between(0, 12);
      CAPTURE(steps);
      CAPTURE(classes);
      CAPTURE(longest);
      const Batch b =
          someBatch(random, dtype, steps, random.between(0, 4), classes, longest, blank);
      check(random, b, blank, dtype, steps);
    }
    // More states than threads.
    check(random, someBatch(random, dtype, 300, 2, 40, 140, 0), 0, dtype, 300);
  }
}

TEST_CASE("cuda: ctcLoss of logarithms that are infinite or NaN") {
  Numbers random(2);
  for (double value :
       {-std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}) {
    const Batch b = someBatch(random, DType::float32, 9, 3, 5, 3, 0);
    for (int64_t i = 0; i < b.logs.size(); i += 7) b.logs.set(i, value);
    check(random, b, 0, DType::float32, 9);
  }
}

TEST_CASE("cuda: ctcLoss refuses labels and lengths that point outside, the first of them") {
  Numbers random(3);
  for (int wrong = 0; wrong < 6; ++wrong) {
    const Batch b = someBatch(random, DType::float32, 6, 4, 5, 3, 2);
    for (int64_t i = 0; i < 4; ++i) b.targetLengths.set(i, 3);
    if (wrong == 0) b.inputLengths.set(2, 7);
    if (wrong == 1) b.inputLengths.set(1, -1);
    if (wrong == 2) b.targetLengths.set(3, 4);
    if (wrong == 3) b.targetLengths.set(0, -5);
    if (wrong == 4) b.targets.set(7, 2);
    if (wrong == 5) b.targets.set(4, 5);
    if (wrong >= 4) b.targets.set(10, -1);
    CAPTURE(wrong);
    compare(Op::ctcLoss, {b.logs, b.targets, b.inputLengths, b.targetLengths},
            {TestTensor(DType::float32, {4}), TestTensor(DType::float32, {6, 4, 5})}, {2, 0});
  }
}

}  // namespace
}  // namespace testing
}  // namespace kindling
