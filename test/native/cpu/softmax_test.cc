#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "doctest/doctest.h"
#include "op_testing.h"

namespace kindling {
namespace testing {
namespace {

const double kInfinity = std::numeric_limits<double>::infinity();
const double kNan = std::nan("");

double valueAt(int64_t i) { return static_cast<double>((i * 7919 + 13) % 1009) / 50.0 - 10.0; }

TestTensor generate(const Shape& shape) {
  return TestTensor::generate(DType::float32, shape, valueAt);
}

int64_t widthOf(const TestTensor& x) { return x.shape().empty() ? 1 : x.shape().back(); }

/// log(sum(exp(row))) in double.
std::vector<double> logSums(const TestTensor& x) {
  const int64_t width = widthOf(x);
  std::vector<double> result;
  for (int64_t row = 0; row < x.size() / width; ++row) {
    double top = -kInfinity, total = 0;
    for (int64_t j = 0; j < width; ++j) top = std::fmax(top, x.at(row * width + j));
    for (int64_t j = 0; j < width; ++j) total += std::exp(x.at(row * width + j) - top);
    result.push_back(top + std::log(total));
  }
  return result;
}

void checkClose(const TestTensor& actual, const std::vector<double>& expected, double relative,
                double absolute) {
  REQUIRE(static_cast<size_t>(actual.size()) == expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    const double value = actual.at(static_cast<int64_t>(i));
    if (std::fabs(value - expected[i]) <= relative * std::fabs(expected[i]) + absolute) continue;
    FAIL_CHECK("element ", i, " is ", value, ", not ", expected[i]);
  }
}

// Widths around every vector width, a row longer than a block of sums, and enough rows for threads.
const std::vector<Shape>& shapes() {
  static const std::vector<Shape> all = {
      {}, {1}, {5}, {3, 10}, {4, 16}, {2, 17}, {7, 33}, {2, 130}, {2, 3, 8}, {2, 9001}, {3000, 10}};
  return all;
}

TEST_CASE("softmax and logSoftmax in every layout") {
  for (const IsaLevel& level : isaLevels()) {
    for (const Shape& shape : shapes()) {
      const TestTensor source = generate(shape);
      const std::vector<double> sums = logSums(source);
      std::vector<double> logs, powers;
      for (int64_t i = 0; i < source.size(); ++i) {
        logs.push_back(source.at(i) - sums[static_cast<size_t>(i / widthOf(source))]);
        powers.push_back(std::exp(logs.back()));
      }
      for (const NamedTensor& x : inEveryLayout(source)) {
        CAPTURE(nameOf(level));
        CAPTURE(x.layout);
        CAPTURE(widthOf(source));
        checkClose(runOp(level, Op::softmax, {x.tensor}, DType::float32, shape), powers, 2e-6, 0);
        checkClose(runOp(level, Op::logSoftmax, {x.tensor}, DType::float32, shape), logs, 5e-7,
                   1e-6);
      }
    }
  }
}

TEST_CASE("softmax of extreme rows") {
  for (const IsaLevel& level : isaLevels()) {
    for (const int64_t width : {3, 40}) {
      const auto row = [&](double first, double rest) {
        return TestTensor::generate(DType::float32, {1, width},
                                    [&](int64_t i) { return i == 0 ? first : rest; });
      };
      const auto softmax = [&](const TestTensor& x) {
        return runOp(level, Op::softmax, {x}, DType::float32, {1, width});
      };
      CAPTURE(nameOf(level));
      const TestTensor huge = softmax(row(1e30, -1e30));
      CHECK(huge.at(0) == 1);
      CHECK(huge.at(width - 1) == 0);
      const TestTensor low = softmax(row(-1000, -2000));
      CHECK(low.at(0) == 1);
      CHECK(low.at(width - 1) == 0);
      // A masked row: -infinity takes no part.
      const TestTensor masked = softmax(row(2, -kInfinity));
      CHECK(masked.at(0) == 1);
      CHECK(masked.at(width - 1) == 0);
      const TestTensor logs =
          runOp(level, Op::logSoftmax, {row(2, -kInfinity)}, DType::float32, {1, width});
      CHECK(logs.at(0) == 0);
      CHECK(logs.at(width - 1) == -kInfinity);
      for (const TestTensor& bad :
           {row(-kInfinity, -kInfinity), row(kNan, 1), row(1, kNan), row(kInfinity, 1)}) {
        const TestTensor y = softmax(bad);
        CHECK(std::isnan(y.at(0)));
      }
      CHECK(std::isnan(softmax(row(kNan, 1)).at(width - 1)));
    }
  }
}

TEST_CASE("softmax of nothing") {
  for (const IsaLevel& level : isaLevels()) {
    for (const Shape& shape : {Shape{0, 5}, Shape{5, 0}}) {
      const TestTensor x(DType::float32, shape);
      CHECK(runOp(level, Op::softmax, {x}, DType::float32, shape).size() == 0);
      CHECK(runOp(level, Op::softmaxBackward, {x, x}, DType::float32, shape).size() == 0);
    }
  }
}

TEST_CASE("softmaxBackward and logSoftmaxBackward in every layout") {
  for (const IsaLevel& level : isaLevels()) {
    for (const Shape& shape : shapes()) {
      const TestTensor g = TestTensor::generate(
          DType::float32, shape, [](int64_t i) { return std::cos(static_cast<double>(i)); });
      const TestTensor y = runOp(level, Op::softmax, {generate(shape)}, DType::float32, shape);
      const TestTensor logs =
          TestTensor::generate(DType::float32, shape, [&](int64_t i) { return std::log(y.at(i)); });
      const int64_t width = widthOf(g);
      std::vector<double> expected, logExpected;
      for (int64_t row = 0; row < g.size() / width; ++row) {
        double dot = 0, total = 0;
        for (int64_t i = row * width; i < (row + 1) * width; ++i) {
          dot += g.at(i) * y.at(i);
          total += g.at(i);
        }
        for (int64_t i = row * width; i < (row + 1) * width; ++i) {
          expected.push_back(y.at(i) * (g.at(i) - dot));
          logExpected.push_back(g.at(i) - std::exp(logs.at(i)) * total);
        }
      }
      const auto gradients = inEveryLayout(g), outputs = inEveryLayout(y);
      const auto logOutputs = inEveryLayout(logs);
      for (size_t k = 0; k < gradients.size(); ++k) {
        CAPTURE(nameOf(level));
        CAPTURE(gradients[k].layout);
        const size_t other = (k + 1) % gradients.size();
        const auto direct =
            runOp(level, Op::softmaxBackward, {gradients[k].tensor, outputs[other].tensor},
                  DType::float32, shape);
        const auto ofLogs =
            runOp(level, Op::logSoftmaxBackward, {gradients[k].tensor, logOutputs[other].tensor},
                  DType::float32, shape);
        checkClose(direct, expected, 0, 5e-7);
        checkClose(ofLogs, logExpected, 0, 3e-6);
      }
    }
  }
}

struct Losses {
  TestTensor logits, labels, grad;
  std::vector<double> expected, backward;
};

Losses makeLosses(int64_t rows, int64_t classes) {
  Losses c = {generate({rows, classes}),
              TestTensor::generate(DType::int32, {rows},
                                   [&](int64_t i) { return static_cast<double>(i * 5 % classes); }),
              TestTensor::generate(DType::float32, {rows},
                                   [](int64_t i) { return 0.25 * static_cast<double>(i % 7) - 1; }),
              {},
              {}};
  const std::vector<double> sums = logSums(c.logits);
  for (int64_t i = 0; i < rows; ++i) {
    const double sum = sums[static_cast<size_t>(i)];
    const int64_t label = static_cast<int64_t>(c.labels.at(i));
    c.expected.push_back(sum - c.logits.at(i * classes + label));
    for (int64_t j = 0; j < classes; ++j) {
      const double probability = std::exp(c.logits.at(i * classes + j) - sum);
      c.backward.push_back((probability - (j == label)) * c.grad.at(i));
    }
  }
  return c;
}

TEST_CASE("crossEntropy and its gradient in every layout") {
  for (const IsaLevel& level : isaLevels()) {
    for (const auto& [rows, classes] : std::vector<std::pair<int64_t, int64_t>>{
             {1, 1}, {3, 2}, {32, 10}, {5, 16}, {4, 70}, {2, 9001}, {3000, 10}}) {
      const Losses c = makeLosses(rows, classes);
      const auto logits = inEveryLayout(c.logits), labels = inEveryLayout(c.labels);
      const auto grads = inEveryLayout(c.grad);
      for (size_t k = 0; k < logits.size(); ++k) {
        CAPTURE(nameOf(level));
        CAPTURE(logits[k].layout);
        const TestTensor& label = labels[k % labels.size()].tensor;
        const TestTensor& grad = grads[(k + 1) % grads.size()].tensor;
        checkClose(
            runOp(level, Op::crossEntropy, {logits[k].tensor, label}, DType::float32, {rows}),
            c.expected, 5e-7, 1e-6);
        checkClose(runOp(level, Op::crossEntropyBackward, {logits[k].tensor, label, grad},
                         DType::float32, {rows, classes}),
                   c.backward, 0, 5e-7);
      }
    }
  }
}

TEST_CASE("a label out of range is reported before anything is written") {
  const TestTensor logits = generate({4, 10});
  const TestTensor grad = generate({4});
  for (const IsaLevel& level : isaLevels()) {
    for (const double bad : {10.0, -1.0, 12.0}) {
      const auto labels = TestTensor::ints({4}, {0, 9, 3, bad});
      const TestTensor loss(DType::float32, {4}), untouched(DType::float32, {4});
      CHECK(run(level, Op::crossEntropy, {logits, labels}, {loss}) == Status::indexOutOfRange);
      CHECK(std::string(lastErrorMessage()) == "crossEntropy: label " +
                                                   std::to_string(static_cast<int>(bad)) +
                                                   " at position 3 is outside [0, 10)");
      CHECK(std::memcmp(loss.floatData(), untouched.floatData(), 16) == 0);
      const TestTensor back(DType::float32, {4, 10}), same(DType::float32, {4, 10});
      CHECK(run(level, Op::crossEntropyBackward, {logits, labels, grad}, {back}) ==
            Status::indexOutOfRange);
      CHECK(std::memcmp(back.floatData(), same.floatData(), 160) == 0);
    }
  }
}

TEST_CASE("crossEntropy of no rows") {
  const TestTensor logits(DType::float32, {0, 10}), labels(DType::int32, {0});
  for (const IsaLevel& level : isaLevels()) {
    CHECK(runOp(level, Op::crossEntropy, {logits, labels}, DType::float32, {0}).size() == 0);
  }
}

}  // namespace
}  // namespace testing
}  // namespace kindling
