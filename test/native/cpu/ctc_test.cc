#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "cpu/ctc_reference.h"
#include "doctest/doctest.h"
#include "op_testing.h"

namespace kindling {
namespace testing {
namespace {

using namespace ctc;

const double kInfinity = std::numeric_limits<double>::infinity();

/// log p of class c at step t, each row normalized.
TestTensor logProbs(int64_t steps, int64_t samples, int64_t classes, double spread,
                    DType dtype = DType::float32) {
  const TestTensor x = TestTensor::generate(dtype, {steps, samples, classes}, [&](int64_t i) {
    return spread * std::sin(1.7 * static_cast<double>(i));
  });
  for (int64_t row = 0; row < steps * samples; ++row) {
    double total = 0;
    for (int64_t c = 0; c < classes; ++c) total += std::exp(x.at(row * classes + c));
    for (int64_t c = 0; c < classes; ++c) {
      x.set(row * classes + c, x.at(row * classes + c) - std::log(total));
    }
  }
  return x;
}

struct Inputs {
  TestTensor targets, inputLengths, targetLengths;
};

/// Padding is out of range on purpose: it must not be looked at.
Inputs inputsOf(const std::vector<Sample>& samples) {
  size_t longest = 0;
  for (const Sample& sample : samples) longest = std::max(longest, sample.labels.size());
  const int64_t n = static_cast<int64_t>(samples.size());
  const int64_t width = static_cast<int64_t>(longest);
  const auto at = [&](int64_t i) -> const Sample& { return samples[static_cast<size_t>(i)]; };
  return {TestTensor::generate(DType::int32, {n, width},
                               [&](int64_t i) {
                                 const std::vector<int>& labels = at(i / width).labels;
                                 const size_t j = static_cast<size_t>(i % width);
                                 return j < labels.size() ? labels[j] : -7;
                               }),
          TestTensor::generate(DType::int32, {n},
                               [&](int64_t i) { return static_cast<double>(at(i).steps); }),
          TestTensor::generate(DType::int32, {n}, [&](int64_t i) {
            return static_cast<double>(at(i).labels.size());
          })};
}

std::vector<Sample> manySamples(int64_t count, int64_t steps, int classes) {
  std::vector<Sample> samples;
  for (int64_t n = 0; n < count; ++n) {
    Sample sample = {{}, steps - n % 3};
    for (int64_t i = 0; i < steps / 3 - n % 4; ++i) {
      sample.labels.push_back(1 + static_cast<int>((i * i + n) % (classes - 1)));
    }
    samples.push_back(sample);
  }
  return samples;
}

void check(const IsaLevel& level, const TestTensor& x, const Inputs& inputs,
           const std::vector<Sample>& samples, int blank) {
  const int64_t steps = x.shape()[0], count = x.shape()[1], classes = x.shape()[2];
  const bool isDouble = x.dtype() == DType::float64;
  const TestTensor loss(x.dtype(), {count}), gradient(x.dtype(), x.shape());
  const std::vector<TestTensor> all = {x, inputs.targets, inputs.inputLengths,
                                       inputs.targetLengths};
  REQUIRE(run(level, Op::ctcLoss, all, {loss, gradient}, {blank, 0}) == Status::ok);
  for (int64_t n = 0; n < count; ++n) {
    const Reference expected = reference(x, n, samples[static_cast<size_t>(n)], blank);
    REQUIRE(loss.at(n) == doctest::Approx(expected.loss).epsilon(isDouble ? 1e-12 : 2e-6));
    for (int64_t t = 0; t < steps; ++t) {
      for (int64_t c = 0; c < classes; ++c) {
        const bool counts = t < samples[static_cast<size_t>(n)].steps;
        const double want =
            counts ? expected.gradient[static_cast<size_t>(t)][static_cast<size_t>(c)] : 0.0;
        REQUIRE(std::fabs(gradient.at((t * count + n) * classes + c) - want) <
                (isDouble ? 1e-11 : 1e-5));
      }
    }
  }
  // Without a gradient only two rows of states are kept: the losses are the same.
  const TestTensor again(x.dtype(), {count}), none(x.dtype(), {0});
  REQUIRE(run(level, Op::ctcLoss, all, {again, none}, {blank, 0}) == Status::ok);
  CHECK(again.values() == loss.values());
}

}  // namespace

TEST_CASE("ctcLoss agrees with the recursion on probabilities") {
  for (const IsaLevel& level : isaLevels()) {
    CAPTURE(nameOf(level));
    // Widths around every vector's: 2L + 1 states.
    for (int64_t steps : {1, 2, 7, 24, 51, 100}) {
      for (int64_t count : {1, 5}) {
        const std::vector<Sample> samples = manySamples(count, steps + 2, 6);
        for (DType dtype : {DType::float32, DType::float64}) {
          check(level, logProbs(steps + 2, count, 6, 2.0, dtype), inputsOf(samples), samples, 0);
        }
      }
    }
    const std::vector<Sample> other = {{{0, 1, 1, 3}, 9}, {{}, 4}, {{3, 0}, 8}};
    check(level, logProbs(9, 3, 4, 3.0), inputsOf(other), other, 2);
  }
}

TEST_CASE("ctcLoss takes every layout") {
  const std::vector<Sample> samples = {{{1, 2, 2}, 7}, {{3}, 5}};
  const Inputs dense = inputsOf(samples);
  for (const IsaLevel& level : isaLevels()) {
    for (const NamedTensor& x : inEveryLayout(logProbs(7, 2, 4, 1.0))) {
      CAPTURE(x.layout);
      check(level, x.tensor, dense, samples, 0);
    }
    for (const NamedTensor& targets : inEveryLayout(dense.targets)) {
      CAPTURE(targets.layout);
      const Inputs inputs = {targets.tensor, inEveryLayout(dense.inputLengths).back().tensor,
                             inEveryLayout(dense.targetLengths).back().tensor};
      check(level, logProbs(7, 2, 4, 1.0), inputs, samples, 0);
    }
  }
}

TEST_CASE("ctcLoss of a target that does not fit") {
  const std::vector<Sample> samples = {{{1, 1}, 2}, {{1, 2}, 2}, {{1}, 0}, {{}, 0}};
  const Inputs inputs = inputsOf(samples);
  const TestTensor x = logProbs(2, 4, 3, 1.0);
  for (const IsaLevel& level : isaLevels()) {
    for (int zeroInfinity : {0, 1}) {
      const TestTensor loss(DType::float32, {4}), gradient(DType::float32, x.shape());
      REQUIRE(run(level, Op::ctcLoss,
                  {x, inputs.targets, inputs.inputLengths, inputs.targetLengths}, {loss, gradient},
                  {0, zeroInfinity}) == Status::ok);
      CHECK(loss.at(0) == (zeroInfinity ? 0.0 : kInfinity));
      CHECK(loss.at(1) > 0);
      CHECK(loss.at(2) == (zeroInfinity ? 0.0 : kInfinity));
      CHECK(loss.at(3) == 0);
      for (int64_t i = 0; i < gradient.size(); ++i) {
        const int64_t n = i / 3 % 4;
        if (n == 0) {
          CHECK(std::isnan(gradient.at(i)) == (zeroInfinity == 0));
        } else {
          CHECK(std::isfinite(gradient.at(i)));
        }
      }
    }
  }
}

TEST_CASE("ctcLoss refuses labels and lengths that point outside") {
  const TestTensor x = logProbs(3, 1, 4, 1.0);
  const auto status = [&](std::vector<double> targets, double steps, double length) {
    const TestTensor loss(DType::float32, {1}), gradient(DType::float32, x.shape());
    return run(isaLevels().back(), Op::ctcLoss,
               {x, TestTensor::ints({1, static_cast<int64_t>(targets.size())}, targets),
                TestTensor::ints({1}, {steps}), TestTensor::ints({1}, {length})},
               {loss, gradient}, {0, 0});
  };
  CHECK(status({1, 3}, 3, 2) == Status::ok);
  CHECK(status({1, 4}, 3, 1) == Status::ok);
  CHECK(status({1, 4}, 3, 2) == Status::indexOutOfRange);
  CHECK(status({1, -1}, 3, 2) == Status::indexOutOfRange);
  CHECK(status({1, 0}, 3, 2) == Status::indexOutOfRange);
  CHECK(status({1, 2}, 4, 2) == Status::indexOutOfRange);
  CHECK(status({1, 2}, -1, 2) == Status::indexOutOfRange);
  CHECK(status({1, 2}, 3, 3) == Status::indexOutOfRange);
  CHECK(status({1, 2}, 3, -1) == Status::indexOutOfRange);
  CHECK(std::string(lastErrorMessage()).find("target length -1 at position 0") !=
        std::string::npos);
}

}  // namespace testing
}  // namespace kindling
