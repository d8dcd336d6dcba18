// Accuracy of the vector functions against double precision, over the whole range of float32.

#include <cmath>
#include <limits>

#include "op_testing.h"

using namespace kindling;
using namespace kindling::testing;

namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

float floatOf(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

/// Every 1009th float32 of either sign, 4.2 million in all.
const TestTensor& sweep() {
  static const TestTensor values = [] {
    constexpr int64_t kStep = 1009, kCount = (int64_t{1} << 32) / kStep;
    TestTensor tensor(DType::float32, {kCount});
    for (int64_t i = 0; i < kCount; ++i) {
      tensor.floatData()[i] = floatOf(static_cast<uint32_t>(i * kStep));
    }
    return tensor;
  }();
  return values;
}

struct Function {
  Op op;
  double (*reference)(double);
  double ulps;
};

const Function kFunctions[] = {
    {Op::exp, [](double x) { return std::exp(x); }, 1},
    {Op::log, [](double x) { return std::log(x); }, 1},
    {Op::tanh, [](double x) { return std::tanh(x); }, 1.5},
    {Op::sigmoid, [](double x) { return 1 / (1 + std::exp(-x)); }, 2.5},
};

double worstDistance(const TestTensor& x, const TestTensor& y, double (*reference)(double),
                     float* at) {
  double worst = 0;
  for (int64_t i = 0; i < x.size(); ++i) {
    const double distance = ulpDistance(y.floatData()[i], reference(x.floatData()[i]));
    if (distance <= worst) continue;
    worst = distance;
    *at = x.floatData()[i];
  }
  return worst;
}

}  // namespace

TEST_CASE("vec_math: exp, log, tanh and sigmoid over all of float32") {
  for (const IsaLevel& level : isaLevels()) {
    for (const Function& function : kFunctions) {
      const TestTensor y = runOp(level, function.op, {sweep()}, DType::float32, {sweep().size()});
      float at = 0;
      const double worst = worstDistance(sweep(), y, function.reference, &at);
      CHECK_MESSAGE(worst <= function.ulps, nameOf(function.op), " at ", nameOf(level), ": ", worst,
                    " ulp at ", at);
    }
  }
}

TEST_CASE("vec_math: special values") {
  struct Row {
    Op op;
    float x, y;
  };
  const Row rows[] = {
      {Op::exp, 0.0f, 1.0f},      {Op::exp, -0.0f, 1.0f},       {Op::exp, kInf, kInf},
      {Op::exp, -kInf, 0.0f},     {Op::exp, 88.8f, kInf},       {Op::exp, -104.0f, 0.0f},
      {Op::exp, 1e30f, kInf},     {Op::exp, -1e30f, 0.0f},      {Op::exp, kNaN, kNaN},
      {Op::log, 0.0f, -kInf},     {Op::log, -0.0f, -kInf},      {Op::log, 1.0f, 0.0f},
      {Op::log, kInf, kInf},      {Op::log, -kInf, kNaN},       {Op::log, -1e-45f, kNaN},
      {Op::log, -1.0f, kNaN},     {Op::log, kNaN, kNaN},        {Op::tanh, kInf, 1.0f},
      {Op::tanh, -kInf, -1.0f},   {Op::tanh, kNaN, kNaN},       {Op::tanh, 1e-45f, 1e-45f},
      {Op::tanh, 100.0f, 1.0f},   {Op::sigmoid, 0.0f, 0.5f},    {Op::sigmoid, kInf, 1.0f},
      {Op::sigmoid, -kInf, 0.0f}, {Op::sigmoid, -200.0f, 0.0f}, {Op::sigmoid, kNaN, kNaN},
  };
  for (const IsaLevel& level : isaLevels()) {
    for (const Row& row : rows) {
      const TestTensor y =
          runOp(level, row.op, {TestTensor::floats({1}, {row.x})}, DType::float32, {1});
      CHECK_MESSAGE(ulpDistance(y.at(0), row.y) == 0, nameOf(row.op), "(", row.x, ") at ",
                    nameOf(level), " is ", y.at(0));
    }
  }
}

TEST_CASE("vec_math: subnormal results are rounded, not lost") {
  for (const IsaLevel& level : isaLevels()) {
    for (double x = -87.5; x > -103.9; x -= 0.01) {
      const double in = static_cast<float>(x);
      const TestTensor argument = TestTensor::floats({1}, {in});
      const TestTensor e = runOp(level, Op::exp, {argument}, DType::float32, {1});
      REQUIRE(ulpDistance(e.at(0), std::exp(in)) <= 1);
      const TestTensor s = runOp(level, Op::sigmoid, {argument}, DType::float32, {1});
      REQUIRE(ulpDistance(s.at(0), 1 / (1 + std::exp(-in))) <= 2.5);
    }
  }
}

TEST_CASE("vec_math: pow") {
  constexpr int64_t kCount = 1000000;
  TestTensor x(DType::float32, {kCount}), y(DType::float32, {kCount});
  uint32_t state = 1;
  const auto next = [&] { return state = state * 1664525u + 1013904223u; };
  for (int64_t i = 0; i < kCount; ++i) {
    // Bases over all magnitudes, or near 1 where exponents may be large; results over all of
    // float32.
    const float base = i % 2 ? floatOf(0x00800000u + next() % 0x7f000000u)
                             : 1 + static_cast<float>(next() >> 8) / 16777216.0f / (1 + i % 64);
    const double span = 160 / (std::fabs(std::log2(base)) + 1e-6);
    x.floatData()[i] = i % 7 == 0 ? -base : base;
    y.floatData()[i] = static_cast<float>((next() / 4294967296.0 * 2 - 1) * span);
    if (i % 7 == 0) y.floatData()[i] = std::rint(y.floatData()[i]);
  }
  for (const IsaLevel& level : isaLevels()) {
    const TestTensor z = runOp(level, Op::pow, {x, y}, DType::float32, {kCount});
    double worst = 0;
    int64_t at = 0;
    for (int64_t i = 0; i < kCount; ++i) {
      const double want = std::pow(double{x.floatData()[i]}, double{y.floatData()[i]});
      const double distance = ulpDistance(z.floatData()[i], want);
      if (distance > worst) {
        worst = distance;
        at = i;
      }
    }
    CHECK_MESSAGE(worst <= 5, "pow at ", nameOf(level), ": ", worst, " ulp at ", x.floatData()[at],
                  ", ", y.floatData()[at]);
  }
}
