// Accuracy of the vector functions against the C library in double precision, over the whole range
// of float32, at every level.

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

// Sanitizers look at steps and conversions, not at digits, and are slow.
#ifdef __SANITIZE_ADDRESS__
constexpr uint32_t kCoarser = 16;
#else
constexpr uint32_t kCoarser = 1;
#endif

/// Every 1009th float32 of either sign, and every 97th whose magnitude is between 2^-6 and 2^7,
/// where most of the functions bend: 6.5 million in all.
const TestTensor& sweep() {
  static const TestTensor values = [] {
    std::vector<float> found;
    for (uint64_t bits = 0; bits < uint64_t{1} << 32; bits += 1009 * kCoarser) {
      found.push_back(floatOf(static_cast<uint32_t>(bits)));
    }
    for (uint32_t bits = 0x3c800000u; bits < 0x43000000u; bits += 97 * kCoarser) {
      found.push_back(floatOf(bits));
      found.push_back(-floatOf(bits));
    }
    TestTensor tensor(DType::float32, {static_cast<int64_t>(found.size())});
    std::memcpy(tensor.floatData(), found.data(), found.size() * sizeof(float));
    return tensor;
  }();
  return values;
}

/// Newton's method on erf, on erfc where x is near 1. Digits of 1 - x are exact.
double erfinv(double x) {
  const double a = std::fabs(x);
  if (!(a < 1)) return a == 1 ? std::copysign(kInf, x) : kNaN;
  const double w = -std::log((1 - a) * (1 + a));
  double y = w < 2 ? 0.886 * a : std::sqrt(w) - 0.3;
  for (int step = 0; step < 20; ++step) {
    const double error = y > 0.5 ? (1 - a) - std::erfc(y) : std::erf(y) - a;
    const double change = error / (1.1283791670955126 * std::exp(-y * y));
    y -= change;
    if (std::fabs(change) <= 1e-10 * y) break;  // the next change would be its square
  }
  return std::copysign(y, x);
}

struct Function {
  Op op;
  double (*reference)(double);
  double ulps;
};

// The bounds are what a run over every float32 in the range where the function is neither constant
// nor linear has shown (at the scalar level and at AVX-512), rounded up; none may pass 2.
const Function kFunctions[] = {
    {Op::exp, [](double x) { return std::exp(x); }, 1.1},
    {Op::expm1, [](double x) { return std::expm1(x); }, 1.1},
    {Op::log, [](double x) { return std::log(x); }, 1},
    {Op::log1p, [](double x) { return std::log1p(x); }, 1.5},
    {Op::log2, [](double x) { return std::log2(x); }, 1.5},
    {Op::rsqrt, [](double x) { return 1 / std::sqrt(x); }, 1.5},
    {Op::sin, [](double x) { return std::sin(x); }, 1.1},
    {Op::cos, [](double x) { return std::cos(x); }, 1.1},
    {Op::tan, [](double x) { return std::tan(x); }, 2},
    {Op::asin, [](double x) { return std::asin(x); }, 1.25},
    {Op::acos, [](double x) { return std::acos(x); }, 1.25},
    {Op::atan, [](double x) { return std::atan(x); }, 1.5},
    {Op::sinh, [](double x) { return std::sinh(x); }, 1.75},
    {Op::cosh, [](double x) { return std::cosh(x); }, 1.5},
    {Op::tanh, [](double x) { return std::tanh(x); }, 1.5},
    {Op::sigmoid, [](double x) { return 1 / (1 + std::exp(-x)); }, 2},
    {Op::softplus, [](double x) { return (x > 0 ? x : 0) + std::log1p(std::exp(-std::fabs(x))); },
     1.75},
    {Op::erf, [](double x) { return std::erf(x); }, 1.5},
    {Op::erfinv, erfinv, 2},
    {Op::floor, [](double x) { return std::floor(x); }, 0},
    {Op::ceil, [](double x) { return std::ceil(x); }, 0},
    {Op::round, [](double x) { return std::nearbyint(x); }, 0},
    {Op::trunc, [](double x) { return std::trunc(x); }, 0},
};

struct Worst {
  double ulps = 0;
  int64_t at = 0;
};

/// A zero of the wrong sign counts as wrong altogether.
Worst worstDistance(const TestTensor& y, const std::vector<double>& reference) {
  Worst worst;
  for (int64_t i = 0; i < y.size(); ++i) {
    const float value = y.floatData()[i];
    const double want = reference[static_cast<size_t>(i)];
    const bool otherZero = value == 0 && std::signbit(value) != std::signbit(want);
    const double distance = otherZero ? 1e30 : ulpDistance(value, want);
    if (distance > worst.ulps) worst = {distance, i};
  }
  return worst;
}

void checkEverywhere(const Function& function, const TestTensor& x) {
  std::vector<double> reference;
  reference.reserve(static_cast<size_t>(x.size()));
  for (int64_t i = 0; i < x.size(); ++i) {
    reference.push_back(function.reference(double{x.floatData()[i]}));
  }
  for (const IsaLevel& level : isaLevels()) {
    const TestTensor y = runOp(level, function.op, {x}, DType::float32, {x.size()});
    const Worst worst = worstDistance(y, reference);
    CHECK_MESSAGE(worst.ulps <= function.ulps, nameOf(function.op), " at ", nameOf(level), ": ",
                  worst.ulps, " ulp at ", x.at(worst.at), ", which gives ", y.at(worst.at));
  }
}

}  // namespace

TEST_CASE("vec_math: functions of one argument over all of float32") {
  for (const Function& function : kFunctions) checkEverywhere(function, sweep());
}

TEST_CASE("vec_math: the lanes of a vector do not disturb each other") {
  // Zeros, infinities, subnormal, tiny, ordinary and huge numbers next to each other: what takes
  // the C library's way lies between what does not.
  std::vector<double> values;
  const double ends[] = {0.0, kInf, kNaN, 1e-45, 1e-40, 1.17549435e-38, 1.0, 3.40282347e38, 1e30};
  for (int i = 0; i < 999; ++i) {
    const double magnitude =
        i % 5 == 0 ? ends[i / 5 % 9] : std::ldexp(1 + i / 999.0, i * 7 % 40 - 20);
    values.push_back(i % 2 ? magnitude : -magnitude);
  }
  const TestTensor x = TestTensor::floats({static_cast<int64_t>(values.size())}, values);
  for (const Function& function : kFunctions) checkEverywhere(function, x);
}

TEST_CASE("vec_math: special values") {
  struct Row {
    Op op;
    float x, y;
  };
  const Row rows[] = {
      {Op::exp, 0.0f, 1.0f},       {Op::exp, -0.0f, 1.0f},       {Op::exp, kInf, kInf},
      {Op::exp, -kInf, 0.0f},      {Op::exp, 88.8f, kInf},       {Op::exp, -104.0f, 0.0f},
      {Op::exp, 1e30f, kInf},      {Op::exp, -1e30f, 0.0f},      {Op::exp, kNaN, kNaN},
      {Op::log, 0.0f, -kInf},      {Op::log, -0.0f, -kInf},      {Op::log, 1.0f, 0.0f},
      {Op::log, kInf, kInf},       {Op::log, -kInf, kNaN},       {Op::log, -1e-45f, kNaN},
      {Op::log, -1.0f, kNaN},      {Op::log, kNaN, kNaN},        {Op::tanh, kInf, 1.0f},
      {Op::tanh, -kInf, -1.0f},    {Op::tanh, kNaN, kNaN},       {Op::tanh, 1e-45f, 1e-45f},
      {Op::tanh, 100.0f, 1.0f},    {Op::sigmoid, 0.0f, 0.5f},    {Op::sigmoid, kInf, 1.0f},
      {Op::sigmoid, -kInf, 0.0f},  {Op::sigmoid, -200.0f, 0.0f}, {Op::sigmoid, kNaN, kNaN},
      {Op::expm1, kInf, kInf},     {Op::expm1, -kInf, -1.0f},    {Op::expm1, -100.0f, -1.0f},
      {Op::expm1, 88.8f, kInf},    {Op::log1p, kInf, kInf},      {Op::log1p, -1.0f, -kInf},
      {Op::log1p, -1.5f, kNaN},    {Op::log1p, -kInf, kNaN},     {Op::log2, 1e-45f, -149.0f},
      {Op::log2, 8.0f, 3.0f},      {Op::log2, 0.0f, -kInf},      {Op::log2, -2.0f, kNaN},
      {Op::rsqrt, 0.0f, kInf},     {Op::rsqrt, -0.0f, -kInf},    {Op::rsqrt, kInf, 0.0f},
      {Op::rsqrt, -1.0f, kNaN},    {Op::rsqrt, 0.25f, 2.0f},     {Op::sin, kInf, kNaN},
      {Op::cos, -kInf, kNaN},      {Op::tan, kInf, kNaN},        {Op::cos, 0.0f, 1.0f},
      {Op::sin, 1e-45f, 1e-45f},   {Op::asin, 1.5f, kNaN},       {Op::acos, -1.5f, kNaN},
      {Op::acos, 1.0f, 0.0f},      {Op::asin, -kInf, kNaN},      {Op::acos, kInf, kNaN},
      {Op::sinh, -kInf, -kInf},    {Op::sinh, 90.0f, kInf},      {Op::cosh, -kInf, kInf},
      {Op::cosh, 0.0f, 1.0f},      {Op::cosh, 90.0f, kInf},      {Op::erf, kInf, 1.0f},
      {Op::erf, -kInf, -1.0f},     {Op::erfinv, 1.0f, kInf},     {Op::erfinv, -1.0f, -kInf},
      {Op::erfinv, 1.5f, kNaN},    {Op::erfinv, -kInf, kNaN},    {Op::softplus, kInf, kInf},
      {Op::softplus, -kInf, 0.0f}, {Op::softplus, 1e30f, 1e30f}, {Op::softplus, kNaN, kNaN},
      {Op::round, 0.5f, 0.0f},     {Op::round, 1.5f, 2.0f},      {Op::round, -2.5f, -2.0f},
      {Op::floor, kInf, kInf},     {Op::ceil, kNaN, kNaN},       {Op::trunc, -kInf, -kInf},
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
      REQUIRE(ulpDistance(s.at(0), 1 / (1 + std::exp(-in))) <= 2);
    }
  }
}

namespace {

/// Every pair of the values at the ends and the edges of float32.
void fillEdges(float* x, float* y, int64_t room) {
  const float edges[] = {0.0f,   1.0f,   0.99999994f, 1.0000001f, 0.5f,        2.0f,  3.0f,  1.5f,
                         1e-45f, 1e-40f, 1e-38f,      1e30f,      3.40282e38f, kInf,  kNaN,  33.0f,
                         1e-20f, 64.5f,  8388609.0f,  16777217.f, 33554431.f,  0.25f, 127.f, 128.f};
  constexpr int64_t kEdges = 2 * sizeof(edges) / sizeof(*edges);
  REQUIRE(kEdges * kEdges <= room);
  for (int64_t i = 0; i < kEdges * kEdges; ++i) {
    const int64_t a = i / kEdges, b = i % kEdges;
    x[i] = a % 2 ? -edges[a / 2] : edges[a / 2];
    y[i] = b % 2 ? -edges[b / 2] : edges[b / 2];
  }
}

struct Random {
  uint32_t state = 1;
  uint32_t operator()() { return state = state * 1664525u + 1013904223u; }
};

void checkPairs(Op op, const TestTensor& a, const TestTensor& b, double (*function)(double, double),
                double ulps) {
  std::vector<double> reference;
  for (int64_t i = 0; i < a.size(); ++i) {
    reference.push_back(function(double{a.floatData()[i]}, double{b.floatData()[i]}));
  }
  for (const IsaLevel& level : isaLevels()) {
    const TestTensor z = runOp(level, op, {a, b}, DType::float32, {a.size()});
    const Worst worst = worstDistance(z, reference);
    CHECK_MESSAGE(worst.ulps <= ulps, nameOf(op), " at ", nameOf(level), ": ", worst.ulps,
                  " ulp at ", a.at(worst.at), ", ", b.at(worst.at), ", which gives ",
                  z.at(worst.at));
  }
}

}  // namespace

TEST_CASE("vec_math: pow") {
  constexpr int64_t kCount = 1000000;
  TestTensor x(DType::float32, {kCount}), y(DType::float32, {kCount});
  Random next;
  for (int64_t i = 0; i < kCount; ++i) {
    // Bases over all magnitudes, or near 1 where exponents may be large; results over all of
    // float32.
    const float base = i % 2 ? floatOf(next() % 0x7f800000u)
                             : 1 + static_cast<float>(next() >> 8) / 16777216.0f / (1 + i % 64);
    const double span = 160 / (std::fabs(std::log2(base)) + 1e-6);
    x.floatData()[i] = i % 7 == 0 ? -base : base;
    y.floatData()[i] = static_cast<float>((next() / 4294967296.0 * 2 - 1) * span);
    if (i % 7 == 0) y.floatData()[i] = std::rint(y.floatData()[i]);
  }
  fillEdges(x.floatData(), y.floatData(), kCount);
  checkPairs(
      Op::pow, x, y, [](double a, double b) { return std::pow(a, b); }, 1.25);
}

TEST_CASE("vec_math: atan2") {
  constexpr int64_t kCount = 1000000;
  TestTensor y(DType::float32, {kCount}), x(DType::float32, {kCount});
  Random next;
  for (int64_t i = 0; i < kCount; ++i) {
    // Any pair, or two numbers whose magnitudes differ by less than 2^16, of any sign.
    y.floatData()[i] = floatOf(next());
    const uint32_t near = 0x08000000u + next() % 0x70000000u;
    const uint32_t other = near + next() % 0x10000000u - 0x08000000u;
    if (i % 4) y.floatData()[i] = floatOf(near | (next() & 0x80000000u));
    x.floatData()[i] = floatOf(i % 4 ? other | (next() & 0x80000000u) : next());
  }
  fillEdges(y.floatData(), x.floatData(), kCount);
  checkPairs(
      Op::atan2, y, x, [](double a, double b) { return std::atan2(a, b); }, 1.75);
}
