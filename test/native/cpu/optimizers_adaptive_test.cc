// The updates of optimizers_adaptive.cc beside their formulas in double, at every level and in both
// precisions, over sizes with and without tails.

#include <cmath>
#include <cstdint>
#include <functional>
#include <vector>

#include "cpu/optimizer_formulas.h"
#include "doctest/doctest.h"
#include "op_testing.h"

namespace kindling {
namespace testing {
namespace {

using namespace optimizers;

const std::vector<int64_t> kSizes = {0, 1, 7, 16, 37, 100, 40001};
constexpr int kSteps = 4;

double paramAt(int64_t i) { return std::sin(static_cast<double>(i)) * 2; }
/// Away from zero: where a gradient and the weight decay cancel, any formula magnifies roundings.
double gradAt(int64_t i, int step) {
  const double wave = std::cos(static_cast<double>(i * 3 + step)) * 0.4;
  return wave < 0 ? wave - 0.5 : wave + 0.5;
}

TestTensor filled(DType dtype, int64_t n, double value) {
  return TestTensor::generate(dtype, {n}, [=](int64_t) { return value; });
}

/// The values of `actual` are `reference` but for a few roundings.
void checkValues(const TestTensor& actual, const std::vector<double>& reference) {
  const double unit = actual.dtype() == DType::float64 ? 1e-13 : 4e-6;
  for (int64_t i = 0; i < actual.size(); ++i) {
    const double expected = reference[static_cast<size_t>(i)];
    if (std::fabs(actual.at(i) - expected) <= unit * (1 + std::fabs(expected))) continue;
    FAIL_CHECK("element ", i, " is ", actual.at(i), ", not ", expected);
  }
}

void checkUpdate(const IsaLevel& level, const Update& update, DType dtype, int64_t n) {
  const auto param = TestTensor::generate(dtype, {n}, paramAt);
  std::vector<TestTensor> states;
  for (int s = 0; s < update.states; ++s) states.push_back(filled(dtype, n, 0));
  std::vector<double> p = param.values();
  std::vector<std::vector<double>> expected(3, std::vector<double>(p.size()));
  for (int step = 1; step <= kSteps; ++step) {
    const auto grad = TestTensor::generate(dtype, {n}, [&](int64_t i) { return gradAt(i, step); });
    std::vector<int32_t> ints = update.moreInts;
    if (update.counts) ints.insert(ints.begin(), step);
    std::vector<double> floats = update.floats;
    if (update.atStep) update.atStep(step, &floats);
    std::vector<TestTensor> inputs = {param, grad};
    inputs.insert(inputs.end(), states.begin(), states.end());
    REQUIRE(run(level, update.op, inputs, {}, ints, floats) == Status::ok);
    for (size_t i = 0; i < p.size(); ++i) {
      double s[3] = {expected[0][i], expected[1][i], expected[2][i]};
      Element e = {p[i], grad.at(static_cast<int64_t>(i)), s, step};
      update.formula(e);
      p[i] = e.p;
      for (size_t k = 0; k < 3; ++k) expected[k][i] = s[k];
    }
  }
  checkValues(param, p);
  for (size_t s = 0; s < states.size(); ++s) checkValues(states[s], expected[s]);
}

TEST_CASE("adaptive optimizer steps follow their formulas") {
  for (const Update& update : updates()) {
    for (const IsaLevel& level : isaLevels()) {
      for (const DType dtype : {DType::float32, DType::float64}) {
        for (const int64_t n : kSizes) {
          CAPTURE(opInfo(update.op).name);
          CAPTURE(nameOf(level));
          CAPTURE(n);
          checkUpdate(level, update, dtype, n);
        }
      }
    }
  }
}

TEST_CASE("adaptive optimizer steps refuse a step that is not positive") {
  for (const Update& update : updates()) {
    if (!update.counts) continue;
    std::vector<TestTensor> inputs;
    for (int i = 0; i < update.states + 2; ++i) inputs.push_back(filled(DType::float32, 3, 1));
    std::vector<int32_t> ints = update.moreInts;
    ints.insert(ints.begin(), 0);
    for (const IsaLevel& level : isaLevels()) {
      CHECK(run(level, update.op, inputs, {}, ints, update.floats) == Status::badArgument);
    }
    CHECK(inputs[0].at(0) == 1);
  }
}

TEST_CASE("lionStep moves by nothing where the blend is nothing, and keeps NaN") {
  for (const IsaLevel& level : isaLevels()) {
    const TestTensor param = TestTensor::floats({3}, {1, 2, 3});
    const TestTensor grad = TestTensor::floats({3}, {0, NAN, -1});
    const TestTensor m = filled(DType::float32, 3, 0);
    REQUIRE(run(level, Op::lionStep, {param, grad, m}, {}, {}, {0.5, 0.9, 0.99, 0}) == Status::ok);
    CHECK(param.at(0) == 1);
    CHECK(std::isnan(param.at(1)));
    CHECK(param.at(2) == 3.5);
  }
}

TEST_CASE("rmspropCenteredStep survives a variance that rounding makes negative") {
  for (const IsaLevel& level : isaLevels()) {
    const TestTensor param = filled(DType::float32, 40, 1), squares = filled(DType::float32, 40, 1);
    const TestTensor velocity = filled(DType::float32, 40, 0);
    const TestTensor mean = filled(DType::float32, 40, 1.0000001);
    const TestTensor grad = filled(DType::float32, 40, 1);
    REQUIRE(run(level, Op::rmspropCenteredStep, {param, grad, squares, velocity, mean}, {}, {},
                {0.1, 0.99, 0.5, 0, 0}) == Status::ok);
    for (int64_t i = 0; i < 40; ++i) CHECK(std::isfinite(param.at(i)));
  }
}

TEST_CASE("averageStep moves toward the parameter and stays where it has arrived") {
  for (const IsaLevel& level : isaLevels()) {
    for (const DType dtype : {DType::float32, DType::float64}) {
      for (const int64_t n : kSizes) {
        const auto average = TestTensor::generate(dtype, {n}, paramAt);
        const auto param = TestTensor::generate(dtype, {n}, [](int64_t i) { return gradAt(i, 1); });
        std::vector<double> expected = average.values();
        for (size_t i = 0; i < expected.size(); ++i) {
          expected[i] = 0.7 * expected[i] + 0.3 * param.at(static_cast<int64_t>(i));
        }
        REQUIRE(run(level, Op::averageStep, {average, param}, {}, {}, {0.7}) == Status::ok);
        checkValues(average, expected);
        const std::vector<double> before = param.values();
        const auto arrived =
            TestTensor::generate(dtype, {n}, [](int64_t i) { return gradAt(i, 1); });
        REQUIRE(run(level, Op::averageStep, {arrived, param}, {}, {}, {0.7}) == Status::ok);
        CHECK(arrived.values() == before);
      }
    }
  }
}

TEST_CASE("assignRows writes the rows that the index names") {
  const auto value = [](int64_t i) { return static_cast<double>(i); };
  const TestTensor index = TestTensor::ints({3}, {4, 0, 2});
  for (const IsaLevel& level : isaLevels()) {
    for (const DType dtype : {DType::float32, DType::float64}) {
      const auto source = TestTensor::generate(dtype, {3, 4, 2}, value);
      for (const NamedTensor& rows : inEveryLayout(source)) {
        const auto target = TestTensor::generate(dtype, {5, 4, 2}, [](int64_t) { return -1.0; });
        REQUIRE(run(level, Op::assignRows, {target, index, rows.tensor}, {}) == Status::ok);
        CAPTURE(rows.layout);
        for (int64_t i = 0; i < target.size(); ++i) {
          const int64_t row = i / 8, from = row == 4 ? 0 : row == 0 ? 1 : row == 2 ? 2 : -1;
          CHECK(target.at(i) == (from < 0 ? -1.0 : value(from * 8 + i % 8)));
        }
      }
    }
  }
}

TEST_CASE("assignRows refuses what does not fit and writes nothing") {
  const auto fresh = [] { return TestTensor(DType::float32, {5, 4}); };
  const TestTensor index = TestTensor::ints({2}, {0, 1});
  const TestTensor rows = TestTensor::generate(DType::float32, {2, 4}, paramAt);
  for (const IsaLevel& level : isaLevels()) {
    const TestTensor target = fresh();
    const auto check = [&](const std::vector<TestTensor>& inputs, Status expected) {
      CHECK(run(level, Op::assignRows, inputs, {}) == expected);
    };
    check({target, TestTensor::ints({2}, {0, 5}), rows}, Status::indexOutOfRange);
    check({target, TestTensor::ints({2}, {0, -1}), rows}, Status::indexOutOfRange);
    check({target, TestTensor::ints({3}, {0, 1, 2}), rows}, Status::badShape);
    check({target, TestTensor::floats({2}, {0, 1}), rows}, Status::badShape);
    check({target, index, TestTensor(DType::float32, {2, 3})}, Status::badShape);
    check({target, index, TestTensor(DType::float32, {2, 2, 2})}, Status::badShape);
    check({target, index, TestTensor(DType::float64, {2, 4})}, Status::badShape);
    check({fresh().transposed(0, 1), index, TestTensor(DType::float32, {2, 5})}, Status::badShape);
    CHECK(target.values() == fresh().values());
  }
}

}  // namespace
}  // namespace testing
}  // namespace kindling
