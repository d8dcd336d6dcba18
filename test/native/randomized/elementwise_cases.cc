// Creation, conversions and everything that goes element by element.

#include <algorithm>

#include "randomized/makers.h"

namespace kindling {
namespace testing {
namespace {

double maxPropagating(double a, double b) { return a != a || b != b ? NAN : std::max(a, b); }
double minPropagating(double a, double b) { return a != a || b != b ? NAN : std::min(a, b); }

double floorRemainder(double a, double b) {
  const double r = std::fmod(a, b);
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

/// By bisection of erf, which is all that the standard library has.
double inverseErf(double x) {
  if (x == 0) return x;
  if (!(std::fabs(x) < 1)) return std::fabs(x) == 1 ? x * INFINITY : NAN;
  double low = 0, high = 7;
  const double wanted = std::fabs(x);
  for (int i = 0; i < 200 && low < high; ++i) {
    const double middle = (low + high) / 2;
    // Far out the complement has the digits.
    const bool below = wanted < 0.5 ? std::erf(middle) < wanted : std::erfc(middle) > 1 - wanted;
    if (middle == low || middle == high) break;
    (below ? low : high) = middle;
  }
  return std::copysign((low + high) / 2, x);
}

struct Unary {
  Op op;
  double (*apply)(double);
  double ulps;  // 0: correctly rounded
  double low = -4, high = 4;
};

const std::vector<Unary>& unaries() {
  static const std::vector<Unary> all = {
      {Op::copy, [](double x) { return x; }, 0},
      {Op::neg, [](double x) { return -x; }, 0},
      {Op::abs, [](double x) { return std::fabs(x); }, 0},
      {Op::sign, [](double x) { return x > 0   ? 1.0
                                       : x < 0 ? -1.0
                                               : x; }, 0},
      {Op::exp, [](double x) { return std::exp(x); }, 4, -20, 20},
      {Op::log, [](double x) { return std::log(x); }, 4, -0.2, 9},
      {Op::sqrt, [](double x) { return std::sqrt(x); }, 0, -0.2, 9},
      {Op::square, [](double x) { return x * x; }, 0},
      {Op::reciprocal, [](double x) { return 1 / x; }, 0},
      {Op::tanh, [](double x) { return std::tanh(x); }, 4},
      {Op::sigmoid, [](double x) { return 1 / (1 + std::exp(-x)); }, 4, -9, 9},
      {Op::rsqrt, [](double x) { return 1 / std::sqrt(x); }, 4, -0.2, 9},
      {Op::expm1, [](double x) { return std::expm1(x); }, 4},
      {Op::log1p, [](double x) { return std::log1p(x); }, 4, -1.2, 9},
      {Op::log2, [](double x) { return std::log2(x); }, 4, -0.2, 9},
      {Op::sin, [](double x) { return std::sin(x); }, 4, -30, 30},
      {Op::cos, [](double x) { return std::cos(x); }, 4, -30, 30},
      {Op::tan, [](double x) { return std::tan(x); }, 4},
      {Op::asin, [](double x) { return std::asin(x); }, 4, -1.1, 1.1},
      {Op::acos, [](double x) { return std::acos(x); }, 4, -1.1, 1.1},
      {Op::atan, [](double x) { return std::atan(x); }, 4},
      {Op::sinh, [](double x) { return std::sinh(x); }, 4},
      {Op::cosh, [](double x) { return std::cosh(x); }, 4},
      {Op::erf, [](double x) { return std::erf(x); }, 4},
      {Op::erfinv, inverseErf, 8, -1.05, 1.05},
      {Op::softplus,
       [](double x) {
         return std::isinf(x) ? std::fmax(x, 0)
                              : std::fmax(x, 0) + std::log1p(std::exp(-std::fabs(x)));
       },
       4},
      {Op::floor, [](double x) { return std::floor(x); }, 0},
      {Op::ceil, [](double x) { return std::ceil(x); }, 0},
      {Op::round, [](double x) { return std::nearbyint(x); }, 0},
      {Op::trunc, [](double x) { return std::trunc(x); }, 0},
      {Op::relu, [](double x) { return x < 0 ? 0 : x; }, 0},
      {Op::isNaN, [](double x) { return static_cast<double>(std::isnan(x)); }, 0},
      {Op::isInf, [](double x) { return static_cast<double>(std::isinf(x)); }, 0},
      {Op::isFinite, [](double x) { return static_cast<double>(std::isfinite(x)); }, 0},
      {Op::logicalNot, [](double x) { return static_cast<double>(x == 0); }, 0},
  };
  return all;
}

RandomCase unaryCase(Op op, Random& random) {
  const auto& all = unaries();
  const Unary& unary =
      *std::find_if(all.begin(), all.end(), [&](const Unary& u) { return u.op == op; });
  const DType dtype = random.dtypeOf(op);
  const Shape shape = random.shape(0, 5);
  RandomCase result = {op, {random.tensor(dtype, shape, unary.low, unary.high)}};
  const bool isTest = opInfo(op).kind == OpKind::test;
  Expected expected(isTest ? DType::boolean : dtype, shape);
  const std::vector<double> x = result.inputs[0].values();
  for (int64_t i = 0; i < expected.size(); ++i) {
    const double in = x[static_cast<size_t>(i)];
    const double out = in != in && !isTest ? NAN : unary.apply(in);
    expected.setWithin(i, out, unary.ulps);
  }
  result.outputs = {expected};
  return result;
}

struct Binary {
  Op op;
  double (*apply)(double, double);
  double ulps;
};

const std::vector<Binary>& binaries() {
  static const std::vector<Binary> all = {
      {Op::add, [](double a, double b) { return a + b; }, 0},
      {Op::sub, [](double a, double b) { return a - b; }, 0},
      {Op::mul, [](double a, double b) { return a * b; }, 0},
      {Op::div, [](double a, double b) { return a / b; }, 0},
      {Op::pow, [](double a, double b) { return std::pow(a, b); }, 8},
      {Op::atan2, [](double a, double b) { return std::atan2(a, b); }, 4},
      {Op::remainder, floorRemainder, 0},
      {Op::floorDivide, [](double a, double b) { return std::floor(a / b); }, 0},
      {Op::maximum, maxPropagating, 0},
      {Op::minimum, minPropagating, 0},
      {Op::reluBackward, [](double g, double y) { return y <= 0 ? 0 : g; }, 0},
      {Op::logicalAnd, [](double a, double b) { return static_cast<double>(a != 0 && b != 0); }, 0},
      {Op::logicalOr, [](double a, double b) { return static_cast<double>(a != 0 || b != 0); }, 0},
      {Op::logicalXor, [](double a, double b) { return static_cast<double>((a != 0) != (b != 0)); },
       0},
      {Op::equal, [](double a, double b) { return static_cast<double>(a == b); }, 0},
      {Op::notEqual, [](double a, double b) { return static_cast<double>(a != b); }, 0},
      {Op::less, [](double a, double b) { return static_cast<double>(a < b); }, 0},
      {Op::lessEqual, [](double a, double b) { return static_cast<double>(a <= b); }, 0},
      {Op::greater, [](double a, double b) { return static_cast<double>(a > b); }, 0},
      {Op::greaterEqual, [](double a, double b) { return static_cast<double>(a >= b); }, 0},
  };
  return all;
}

/// A shape that broadcasts to the given one.
Shape broadcastable(const Shape& shape, Random& random) {
  Shape result = shape;
  for (int64_t& extent : result) {
    if (random.oneIn(5)) extent = 1;
  }
  if (random.oneIn(4)) {
    result.erase(result.begin(),
                 result.begin() + random.pick(0, static_cast<int64_t>(shape.size())));
  }
  return result;
}

TestTensor broadcasting(DType dtype, const Shape& shape, Random& random, double low, double high) {
  return random.tensor(dtype, broadcastable(shape, random), low, high);
}

RandomCase binaryCase(Op op, Random& random) {
  const auto& all = binaries();
  const Binary& binary =
      *std::find_if(all.begin(), all.end(), [&](const Binary& b) { return b.op == op; });
  const DType dtype = random.dtypeOf(op);
  const Shape shape = random.shape(0, 5);
  const bool divides = op == Op::remainder || op == Op::floorDivide;
  const double low = dtype == DType::uint8 ? 0 : op == Op::pow ? -0.2 : -9;
  TestTensor a = broadcasting(dtype, shape, random, low, 9);
  TestTensor b = broadcasting(dtype, shape, random, low, 9);
  if (divides && !isFloating(dtype)) {
    // Integers refuse a divisor of 0.
    b = TestTensor::generate(dtype, broadcastable(shape, random), [&](int64_t) {
      return static_cast<double>(random.pick(1, 5) * (random.oneIn(2) ? 1 : -1));
    });
  }
  RandomCase result = {op, {a, b}};
  Expected expected(opInfo(op).kind == OpKind::compare ? DType::boolean : dtype, shape);
  const std::vector<double> x = a.expanded(shape).values(), y = b.expanded(shape).values();
  for (int64_t i = 0; i < expected.size(); ++i) {
    const size_t at = static_cast<size_t>(i);
    double value = binary.apply(x[at], y[at]);
    if (dtype == DType::uint8) value = value - 256 * std::floor(value / 256);
    expected.setWithin(i, value, binary.ulps);
    // A quotient next to an integer may fall on either side, as its remainder may.
    if (divides && isFloating(dtype)) {
      const double exact = x[at] / y[at], off = std::fabs(exact - std::nearbyint(exact));
      if (op == Op::floorDivide && off < 1e-5) expected.bounds[at] = 1;
      // As Python: of an infinity there is no whole part, and -1 // inf is -1.
      if (op == Op::floorDivide && std::isinf(x[at]) && y[at] != 0) expected.set(i, NAN);
      if (op == Op::floorDivide && std::isinf(y[at]) && std::isfinite(x[at])) {
        expected.set(i, x[at] != 0 && (x[at] < 0) != (y[at] < 0) ? -1 : 0);
      }
      expected.bounds[at] += 2 * roundingOf(dtype) * std::fabs(y[at]);
      if (op == Op::remainder && off < 1e-5) expected.bounds[at] += std::fabs(y[at]);
      if (std::isinf(y[at])) expected.bounds[at] = 0;
    }
  }
  result.outputs = {expected};
  return result;
}

RandomCase whereCase(Op op, Random& random) {
  const Shape shape = random.shape(0, 5);
  const DType dtype = static_cast<DType>(random.pick(0, kDTypeCount - 1));
  const double low = dtype == DType::uint8 ? 0 : -9;
  RandomCase result = {
      op,
      {broadcasting(DType::boolean, shape, random, 0, 1),
       broadcasting(dtype, shape, random, low, 9), broadcasting(dtype, shape, random, low, 9)}};
  Expected expected(dtype, shape);
  const std::vector<double> c = result.inputs[0].expanded(shape).values();
  const std::vector<double> a = result.inputs[1].expanded(shape).values();
  const std::vector<double> b = result.inputs[2].expanded(shape).values();
  for (size_t i = 0; i < c.size(); ++i) expected.values[i] = c[i] != 0 ? a[i] : b[i];
  result.outputs = {expected};
  return result;
}

double converted(double x, DType from, DType to) {
  if (to == DType::boolean) return x != 0;
  if (isFloating(to)) return TestTensor::from(to, {1}, {x}).at(0);
  if (!isFloating(from)) return to == DType::uint8 ? x - 256 * std::floor(x / 256) : x;
  if (x != x) return 0;
  const double most = to == DType::uint8 ? 255 : to == DType::int32 ? 2147483647.0 : 0x1p63;
  const double least = to == DType::uint8 ? 0 : to == DType::int32 ? -2147483648.0 : -0x1p63;
  return std::trunc(std::min(std::max(x, least), most));
}

RandomCase castCase(Op op, Random& random) {
  const Shape shape = random.shape(0, 5);
  const DType from = random.dtypeOf(op), to = random.dtypeOf(op);
  const double low = from == DType::uint8 ? 0 : -300;
  RandomCase result = {op, {random.tensor(from, shape, low, 255)}};
  Expected expected(to, shape);
  const std::vector<double> x = result.inputs[0].values();
  for (size_t i = 0; i < x.size(); ++i) expected.values[i] = converted(x[i], from, to);
  result.outputs = {expected};
  return result;
}

RandomCase creationCase(Op op, Random& random) {
  const DType dtype = random.dtypeOf(op);
  RandomCase result = {op, {}};
  if (op == Op::full) {
    const double value = random.value(0, 1) * 100;
    result.floats = {value};
    Expected expected(dtype, random.shape(0, 4));
    const double stored = converted(value, DType::float64, dtype);
    for (double& x : expected.values) x = stored;
    result.outputs = {expected};
  } else if (op == Op::arange) {
    const double start = static_cast<double>(random.pick(0, 9)),
                 step = dtype == DType::uint8 ? 0.25 : -1.5;
    result.floats = {start, step};
    Expected expected(dtype, {random.extent(random.most)});
    for (int64_t i = 0; i < expected.size(); ++i) {
      expected.set(i, converted(start + static_cast<double>(i) * step, DType::float64, dtype));
    }
    result.outputs = {expected};
  } else {
    const int64_t rows = random.extent(60), columns = random.extent(60);
    Expected expected(dtype, {rows, columns});
    for (int64_t i = 0; i < std::min(rows, columns); ++i) expected.set(i * (columns + 1), 1);
    result.outputs = {expected};
  }
  return result;
}

/// The numbers of Philox4x32-10, four of a counter.
RandomCase randomNumbers(Op op, Random& random) {
  const uint32_t key[2] = {static_cast<uint32_t>(random.pick(0, 1 << 30)), 77};
  const uint64_t offset = static_cast<uint64_t>(random.pick(0, 1 << 20));
  const bool isUniform = op == Op::randomUniform, isNormal = op == Op::randomNormal;
  const double a = isNormal ? 3 : isUniform ? -2 : 0.4, b = isUniform ? 5 : 2.5;
  RandomCase result = {op, {}};
  result.ints = {static_cast<int32_t>(key[0]), static_cast<int32_t>(key[1]),
                 static_cast<int32_t>(offset), 0};
  result.floats = {a, b};
  Expected expected(DType::float32, random.shape(0, 3));
  for (int64_t i = 0; i < expected.size(); ++i) {
    const uint64_t block = offset + static_cast<uint64_t>(i / 4);
    const uint32_t counter[4] = {static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32),
                                 0, 0};
    uint32_t bits[4];
    philox4x32(counter, key, bits);
    const double fraction = (bits[i % 4] >> 8) / 16777216.0;
    if (isNormal) {
      const int64_t pair = i % 4 / 2 * 2;
      const double radius = std::sqrt(-2 * std::log((bits[pair] + 0.5) / 4294967296.0));
      const double angle = (bits[pair + 1] + 0.5) / 4294967296.0 * 6.283185307179586;
      expected.set(i, a + b * radius * (i % 2 ? std::sin(angle) : std::cos(angle)), 2e-5);
    } else if (isUniform) {
      expected.set(i, a + (b - a) * fraction, 1e-6);
    } else {
      expected.set(i, bits[i % 4] < a * 4294967296.0 ? b : 0);
    }
  }
  result.outputs = {expected};
  return result;
}

/// r2 = a * 2, r3 = r2 + b, r1 = tanh(r3), r0 = where(c, r1, a).
RandomCase fusedCase(Op op, Random& random) {
  const Shape shape = random.shape(1, 3);
  const auto number = [](Op code) { return static_cast<double>(code); };
  int32_t two;
  const float factor = 2;
  std::memcpy(&two, &factor, 4);
  const std::vector<double> code = {3,
                                    1,
                                    4,
                                    4,
                                    static_cast<double>(two),
                                    number(Op::mul),
                                    302,
                                    0,
                                    100,
                                    0,
                                    number(Op::add),
                                    303,
                                    302,
                                    1,
                                    0,
                                    number(Op::tanh),
                                    301,
                                    303,
                                    0,
                                    0,
                                    number(Op::where),
                                    300,
                                    2,
                                    301,
                                    0};
  const TestTensor words = TestTensor::ints({static_cast<int64_t>(code.size())}, code);
  const TestTensor a = broadcasting(DType::float32, shape, random, -1, 1);
  const TestTensor b = broadcasting(DType::float32, shape, random, -1, 1);
  const TestTensor c = broadcasting(DType::boolean, shape, random, 0, 1);
  RandomCase result = {op, {words, a, b, c, c, c, c, c, c}};
  result.dense = 1;
  const Expected empty(DType::float32, shape);
  result.outputs = {empty, empty, empty, empty};
  const std::vector<double> x = a.expanded(shape).values(), y = b.expanded(shape).values();
  const std::vector<double> z = c.expanded(shape).values();
  for (int64_t i = 0; i < empty.size(); ++i) {
    const size_t at = static_cast<size_t>(i);
    const double sum = static_cast<float>(x[at] * 2 + y[at]), squashed = std::tanh(sum);
    result.outputs[2].set(i, x[at] * 2);
    result.outputs[3].set(i, sum);
    result.outputs[1].setWithin(i, squashed, 4);
    result.outputs[0].setWithin(i, z[at] != 0 ? squashed : x[at], z[at] != 0 ? 4 : 0);
  }
  return result;
}

}  // namespace

void addElementwiseMakers(CaseMakers& makers) {
  for (const Unary& unary : unaries()) setMaker(makers, {unary.op}, unaryCase);
  for (const Binary& binary : binaries()) setMaker(makers, {binary.op}, binaryCase);
  setMaker(makers, {Op::where}, whereCase);
  setMaker(makers, {Op::cast}, castCase);
  setMaker(makers, {Op::full, Op::arange, Op::eye}, creationCase);
  setMaker(makers, {Op::randomUniform, Op::randomNormal, Op::randomBernoulli}, randomNumbers);
  setMaker(makers, {Op::fused}, fusedCase);
}

}  // namespace testing
}  // namespace kindling
