#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "doctest/doctest.h"
#include "op_testing.h"

namespace kindling {
namespace testing {
namespace {

// One vector and a tail of every ISA level, and enough for two threads.
const std::vector<int64_t> kSizes = {0, 1, 7, 16, 37, 100, 40001};

double paramAt(int64_t i) { return std::sin(static_cast<double>(i)) * 2; }
/// Away from zero: where a gradient and the weight decay cancel, any formula magnifies roundings.
double gradAt(int64_t i, int step) {
  const double wave = std::cos(static_cast<double>(i * 3 + step)) * 0.4;
  return wave < 0 ? wave - 0.5 : wave + 0.5;
}

TestTensor zeros(int64_t n) {
  return TestTensor::generate(DType::float32, {n}, [](int64_t) { return 0.0; });
}

TestTensor gradient(int64_t n, int step) {
  return TestTensor::generate(DType::float32, {n}, [&](int64_t i) { return gradAt(i, step); });
}

/// The values of `actual` are `reference` but for a few roundings.
void checkState(const TestTensor& actual, const std::vector<double>& reference) {
  for (int64_t i = 0; i < actual.size(); ++i) {
    const double expected = reference[static_cast<size_t>(i)];
    if (std::fabs(actual.at(i) - expected) <= 2e-6 * std::fabs(expected) + 1e-6) continue;
    FAIL_CHECK("element ", i, " is ", actual.at(i), ", not ", expected);
  }
}

struct SgdOptions {
  double lr, momentum, dampening, weightDecay;
  bool nesterov;
};

TEST_CASE("sgdStep follows PyTorch's formula") {
  const std::vector<SgdOptions> all = {{0.1, 0, 0, 0, false},
                                       {0.1, 0, 0, 0.01, false},
                                       {0.05, 0.9, 0, 0.01, false},
                                       {0.05, 0.9, 0.3, 0, false},
                                       {0.05, 0.9, 0, 0.02, true}};
  for (const IsaLevel& level : isaLevels()) {
    for (const SgdOptions& o : all) {
      for (const int64_t n : kSizes) {
        const auto param = TestTensor::generate(DType::float32, {n}, paramAt);
        const TestTensor velocity = zeros(n);
        std::vector<double> p = param.values(), v(static_cast<size_t>(n));
        for (int step = 0; step < 3; ++step) {
          const TestTensor grad = gradient(n, step);
          REQUIRE(run(level, Op::sgdStep, {param, grad, velocity}, {}, {o.nesterov, step == 0},
                      {o.lr, o.momentum, o.dampening, o.weightDecay}) == Status::ok);
          for (size_t i = 0; i < p.size(); ++i) {
            double g = grad.at(static_cast<int64_t>(i)) + o.weightDecay * p[i];
            if (o.momentum != 0) {
              v[i] = step == 0 ? g : o.momentum * v[i] + (1 - o.dampening) * g;
              g = o.nesterov ? g + o.momentum * v[i] : v[i];
            }
            p[i] -= o.lr * g;
          }
        }
        CAPTURE(nameOf(level));
        CAPTURE(n);
        CAPTURE(o.momentum);
        checkState(param, p);
        checkState(velocity, v);
      }
    }
  }
}

struct AdamOptions {
  double lr, beta1, beta2, eps, weightDecay;
  bool decoupled;
};

TEST_CASE("adamStep follows PyTorch's formulas of Adam and AdamW") {
  const std::vector<AdamOptions> all = {{0.001, 0.9, 0.999, 1e-8, 0, false},
                                        {0.01, 0.8, 0.99, 1e-3, 0.1, false},
                                        {0.01, 0.9, 0.999, 1e-8, 0.1, true}};
  for (const IsaLevel& level : isaLevels()) {
    for (const AdamOptions& o : all) {
      for (const int64_t n : kSizes) {
        const auto param = TestTensor::generate(DType::float32, {n}, paramAt);
        const TestTensor m = zeros(n), v = zeros(n);
        std::vector<double> p = param.values(), m1(p.size()), v1(p.size());
        for (int step = 1; step <= 4; ++step) {
          const TestTensor grad = gradient(n, step);
          REQUIRE(run(level, Op::adamStep, {param, grad, m, v}, {}, {step, o.decoupled},
                      {o.lr, o.beta1, o.beta2, o.eps, o.weightDecay}) == Status::ok);
          for (size_t i = 0; i < p.size(); ++i) {
            double g = grad.at(static_cast<int64_t>(i));
            if (o.decoupled) {
              p[i] *= 1 - o.lr * o.weightDecay;
            } else {
              g += o.weightDecay * p[i];
            }
            m1[i] = o.beta1 * m1[i] + (1 - o.beta1) * g;
            v1[i] = o.beta2 * v1[i] + (1 - o.beta2) * g * g;
            const double denominator =
                std::sqrt(v1[i]) / std::sqrt(1 - std::pow(o.beta2, step)) + o.eps;
            p[i] -= o.lr / (1 - std::pow(o.beta1, step)) * m1[i] / denominator;
          }
        }
        CAPTURE(nameOf(level));
        CAPTURE(n);
        checkState(param, p);
        checkState(m, m1);
        checkState(v, v1);
      }
    }
  }
}

TEST_CASE("adamStep refuses a step that is not positive") {
  const TestTensor x = zeros(3);
  for (const IsaLevel& level : isaLevels()) {
    CHECK(run(level, Op::adamStep, {zeros(3), x, zeros(3), zeros(3)}, {}, {0, 0},
              {0.1, 0.9, 0.999, 1e-8, 0}) == Status::badArgument);
  }
}

struct RmspropOptions {
  double lr, alpha, eps, weightDecay, momentum;
};

TEST_CASE("rmspropStep follows PyTorch's formula") {
  const std::vector<RmspropOptions> all = {
      {0.01, 0.99, 1e-8, 0, 0}, {0.01, 0.9, 1e-3, 0.1, 0}, {0.01, 0.99, 1e-8, 0.1, 0.9}};
  for (const IsaLevel& level : isaLevels()) {
    for (const RmspropOptions& o : all) {
      for (const int64_t n : kSizes) {
        const auto param = TestTensor::generate(DType::float32, {n}, paramAt);
        const TestTensor square = zeros(n), velocity = zeros(n);
        std::vector<double> p = param.values(), s(p.size()), v(p.size());
        for (int step = 0; step < 3; ++step) {
          const TestTensor grad = gradient(n, step);
          REQUIRE(run(level, Op::rmspropStep, {param, grad, square, velocity}, {}, {},
                      {o.lr, o.alpha, o.eps, o.weightDecay, o.momentum}) == Status::ok);
          for (size_t i = 0; i < p.size(); ++i) {
            const double g = grad.at(static_cast<int64_t>(i)) + o.weightDecay * p[i];
            s[i] = o.alpha * s[i] + (1 - o.alpha) * g * g;
            const double change = g / (std::sqrt(s[i]) + o.eps);
            if (o.momentum != 0) v[i] = o.momentum * v[i] + change;
            p[i] -= o.lr * (o.momentum != 0 ? v[i] : change);
          }
        }
        CAPTURE(nameOf(level));
        CAPTURE(n);
        checkState(param, p);
        checkState(square, s);
        checkState(velocity, v);
      }
    }
  }
}

TEST_CASE("without momentum the velocity may be the gradient itself") {
  for (const IsaLevel& level : isaLevels()) {
    const TestTensor grad = gradient(37, 1);
    const std::vector<double> before = grad.values();
    const TestTensor param = zeros(37), square = zeros(37);
    REQUIRE(run(level, Op::sgdStep, {param, grad, grad}, {}, {0, 1}, {0.1, 0, 0, 0}) == Status::ok);
    CHECK(grad.values() == before);
    CHECK(std::fabs(param.at(5) + 0.1 * before[5]) < 1e-7);
    REQUIRE(run(level, Op::rmspropStep, {param, grad, square, grad}, {}, {},
                {0.1, 0.9, 1e-8, 0, 0}) == Status::ok);
    CHECK(grad.values() == before);
  }
}

TEST_CASE("a gradient of any layout gives the same step") {
  const Shape shape = {30, 41};
  const auto source =
      TestTensor::generate(DType::float32, shape, [](int64_t i) { return gradAt(i, 0); });
  const auto fresh = [&] {
    return TestTensor::generate(DType::float32, shape, [](int64_t) { return 0.5; });
  };
  for (const IsaLevel& level : isaLevels()) {
    std::vector<double> first;
    for (const NamedTensor& grad : inEveryLayout(source)) {
      const TestTensor param = fresh(), m = fresh(), v = fresh();
      REQUIRE(run(level, Op::adamStep, {param, grad.tensor, m, v}, {}, {3, 1},
                  {0.1, 0.9, 0.999, 1e-8, 0.01}) == Status::ok);
      if (first.empty()) first = param.values();
      CAPTURE(grad.layout);
      CHECK(param.values() == first);
    }
  }
}

TEST_CASE("optimizer steps do not depend on the number of threads") {
  const int threads = numThreads();
  const int64_t n = 100352;
  for (const IsaLevel& level : isaLevels()) {
    std::vector<double> first;
    for (const int count : {1, 2, 3}) {
      setNumThreads(count);
      const auto param = TestTensor::generate(DType::float32, {n}, paramAt);
      const TestTensor m = zeros(n), v = zeros(n);
      REQUIRE(run(level, Op::adamStep, {param, gradient(n, 0), m, v}, {}, {1, 0},
                  {0.1, 0.9, 0.999, 1e-8, 0.01}) == Status::ok);
      if (first.empty()) first = param.values();
      CHECK(param.values() == first);
    }
    setNumThreads(threads);
  }
}

TEST_CASE("parameters and state must be contiguous") {
  const auto strided = TestTensor::generate(DType::float32, {4, 3}, paramAt).transposed(0, 1);
  const TestTensor dense(DType::float32, {3, 4});
  for (const IsaLevel& level : isaLevels()) {
    CHECK(run(level, Op::sgdStep, {strided, dense, dense}, {}, {0, 1}, {0.1, 0, 0, 0}) ==
          Status::badShape);
    CHECK(run(level, Op::sgdStep, {dense, dense, strided}, {}, {0, 1}, {0.1, 0.9, 0, 0}) ==
          Status::badShape);
  }
}

}  // namespace
}  // namespace testing
}  // namespace kindling
