// Every elementwise op against a scalar reference, at every ISA level, over memory layouts.

#include <algorithm>
#include <cmath>
#include <limits>

#include "op_testing.h"

using namespace kindling;
using namespace kindling::testing;

namespace {

const double kInf = std::numeric_limits<double>::infinity();
const double kNaN = std::numeric_limits<double>::quiet_NaN();

double propagatingMax(double a, double b) { return a != a || b != b ? kNaN : std::max(a, b); }
double propagatingMin(double a, double b) { return a != a || b != b ? kNaN : std::min(a, b); }

int32_t wrap(int64_t x) { return static_cast<int32_t>(static_cast<uint32_t>(x)); }

struct UnaryCase {
  Op op;
  double (*onFloat)(double);
  int64_t (*onInt)(int64_t);  // nullptr where the op has no int32 form; the result is wrapped
  double ulps;                // 0: correctly rounded
};

const UnaryCase kUnary[] = {
    {Op::neg, [](double x) { return -x; }, [](int64_t x) { return -x; }, 0},
    {Op::abs, [](double x) { return std::fabs(x); }, [](int64_t x) { return x < 0 ? -x : x; }, 0},
    {Op::sign, [](double x) { return x > 0   ? 1.0
                                     : x < 0 ? -1.0
                                             : x; },
     [](int64_t x) { return int64_t{x > 0} - int64_t{x < 0}; }, 0},
    {Op::relu, [](double x) { return x < 0 ? 0.0 : x; }, [](int64_t x) { return x < 0 ? 0 : x; },
     0},
    {Op::square, [](double x) { return x * x; }, [](int64_t x) { return x * x; }, 0},
    {Op::sqrt, [](double x) { return std::sqrt(x); }, nullptr, 0},
    {Op::reciprocal, [](double x) { return 1 / x; }, nullptr, 0},
    {Op::exp, [](double x) { return std::exp(x); }, nullptr, 1},
    {Op::log, [](double x) { return std::log(x); }, nullptr, 1},
    {Op::tanh, [](double x) { return std::tanh(x); }, nullptr, 1.5},
    {Op::sigmoid, [](double x) { return 1 / (1 + std::exp(-x)); }, nullptr, 2.5},
};

struct BinaryCase {
  Op op;
  double (*onFloat)(double, double);
  int64_t (*onInt)(int64_t, int64_t);
  double ulps;
};

const BinaryCase kBinary[] = {
    {Op::add, [](double a, double b) { return a + b; }, [](int64_t a, int64_t b) { return a + b; },
     0},
    {Op::sub, [](double a, double b) { return a - b; }, [](int64_t a, int64_t b) { return a - b; },
     0},
    {Op::mul, [](double a, double b) { return a * b; }, [](int64_t a, int64_t b) { return a * b; },
     0},
    {Op::div, [](double a, double b) { return a / b; }, nullptr, 0},
    {Op::pow, [](double a, double b) { return std::pow(a, b); }, nullptr, 5},
    {Op::maximum, propagatingMax, [](int64_t a, int64_t b) { return std::max(a, b); }, 0},
    {Op::minimum, propagatingMin, [](int64_t a, int64_t b) { return std::min(a, b); }, 0},
    {Op::reluBackward, [](double g, double y) { return y <= 0 ? 0 : g; }, nullptr, 0},
};

struct CompareCase {
  Op op;
  bool (*holds)(double, double);
  bool onBool;
};

const CompareCase kCompare[] = {
    {Op::equal, [](double a, double b) { return a == b; }, true},
    {Op::notEqual, [](double a, double b) { return a != b; }, true},
    {Op::less, [](double a, double b) { return a < b; }, false},
    {Op::lessEqual, [](double a, double b) { return a <= b; }, false},
    {Op::greater, [](double a, double b) { return a > b; }, false},
    {Op::greaterEqual, [](double a, double b) { return a >= b; }, false},
};

const double kSpecial[] = {0.0,  -0.0,   1,     -1,       kInf,   -kInf, kNaN,     0.5, 2,
                           -2,   3,      -3.5,  1e-40,    -1e-40, 1e38,  -3e38,    88,  -88,
                           89.5, -103.9, 1e-10, 0.699999, 1.5,    -7.25, 16777216, 100, 0.1};
const int64_t kSpecialInts[] = {0,          1, -1, 2,          -7,     46341,
                                2147483647, 3, 12, 2147483646, -65536, -2147483647 - 1};

double floatValue(int64_t i) {
  constexpr int64_t kCount = sizeof(kSpecial) / sizeof(kSpecial[0]);
  if (i % 3 == 0) return static_cast<float>(kSpecial[i / 3 % kCount]);
  return static_cast<float>(std::sin(static_cast<double>(i) * 1.7) * (1 + i % 11));
}

double intValue(int64_t i) {
  constexpr int64_t kCount = sizeof(kSpecialInts) / sizeof(kSpecialInts[0]);
  return static_cast<double>(i % 2 ? kSpecialInts[i / 2 % kCount] : (i * 7919) % 200 - 100);
}

TestTensor makeInput(DType dtype, const Shape& shape, int64_t seed) {
  return TestTensor::generate(dtype, shape, [&](int64_t i) {
    if (dtype == DType::float32) return floatValue(i + seed);
    if (dtype == DType::int32) return intValue(i + seed);
    return static_cast<double>((i + seed) * 2654435761u >> 7 & 1);
  });
}

/// `reference(i)` is exact or within `ulps` for every element.
void checkAll(const TestTensor& result, double ulps, const std::string& where,
              const std::function<double(int64_t)>& reference) {
  for (int64_t i = 0; i < result.size(); ++i) {
    const double got = result.at(i), want = reference(i);
    const double distance =
        result.dtype() == DType::float32 ? ulpDistance(got, want) : std::fabs(got - want);
    if (!(distance <= ulps)) {
      FAIL_CHECK(where << ": element " << i << " is " << got << ", not " << want << " (" << distance
                       << " ulp)");
      return;
    }
  }
}

std::string label(Op op, const IsaLevel& level, const std::string& layout) {
  return nameOf(op) + " at " + nameOf(level) + ", " + layout;
}

const Shape kShapes[] = {{},
                         {0},
                         {1},
                         {2},
                         {7},
                         {8},
                         {9},
                         {15},
                         {16},
                         {17},
                         {31},
                         {33},
                         {100},
                         {3, 0},
                         {4, 7},
                         {17, 33},
                         {70, 65},
                         {5, 1},
                         {1, 5},
                         {2, 3, 5},
                         {3, 1, 40},
                         {40, 3, 2},
                         {2, 2, 2, 2, 2, 2, 2, 2}};

/// Two inputs and the shape they broadcast to.
struct BroadcastCase {
  Shape a, b, out;
};

const BroadcastCase kBroadcast[] = {
    {{}, {}, {}},
    {{}, {5}, {5}},
    {{1}, {33}, {33}},
    {{33}, {1}, {33}},
    {{1, 1}, {1}, {1, 1}},
    {{0}, {1}, {0}},
    {{4, 0}, {1, 1}, {4, 0}},
    {{32, 128}, {128}, {32, 128}},
    {{128}, {9, 128}, {9, 128}},
    {{9, 40}, {9, 1}, {9, 40}},
    {{9, 1}, {1, 40}, {9, 40}},
    {{700, 3}, {3}, {700, 3}},
    {{700, 3}, {700, 1}, {700, 3}},
    {{2, 3, 4, 5}, {3, 1, 1}, {2, 3, 4, 5}},
    {{2, 3, 50}, {3, 1}, {2, 3, 50}},
    {{2, 1, 5, 1}, {3, 1, 7}, {2, 3, 5, 7}},
    {{2, 1, 2, 1, 2, 1, 2, 1}, {1, 2, 1, 2, 1, 2, 1, 2}, {2, 2, 2, 2, 2, 2, 2, 2}},
};

/// The layouts in which a pair of inputs is tried: each alone, both alike, and `b` or `a` as
/// stride-0 views of the output's shape.
struct Pair {
  std::string layout;
  TestTensor a, b;
};

std::vector<Pair> pairsOf(const TestTensor& a, const TestTensor& b, const Shape& out) {
  std::vector<Pair> pairs;
  for (const NamedTensor& x : inEveryLayout(a)) pairs.push_back({"a " + x.layout, x.tensor, b});
  for (const NamedTensor& y : inEveryLayout(b)) pairs.push_back({"b " + y.layout, a, y.tensor});
  for (const NamedTensor& x : inEveryLayout(a)) {
    for (const NamedTensor& y : inEveryLayout(b)) {
      if (x.layout == y.layout) pairs.push_back({"both " + x.layout, x.tensor, y.tensor});
    }
  }
  pairs.push_back({"a expanded", a.expanded(out), b});
  pairs.push_back({"both expanded", a.expanded(out), b.expanded(out)});
  return pairs;
}

void checkBinary(const BinaryCase& test, const IsaLevel& level, DType dtype,
                 const BroadcastCase& shapes) {
  const TestTensor a = makeInput(dtype, shapes.a, 0), b = makeInput(dtype, shapes.b, 5);
  const TestTensor wideA = a.expanded(shapes.out), wideB = b.expanded(shapes.out);
  for (const Pair& pair : pairsOf(a, b, shapes.out)) {
    const TestTensor result = runOp(level, test.op, {pair.a, pair.b}, dtype, shapes.out);
    checkAll(result, test.ulps, label(test.op, level, pair.layout), [&](int64_t i) -> double {
      if (dtype == DType::float32) return test.onFloat(wideA.at(i), wideB.at(i));
      return wrap(test.onInt(static_cast<int64_t>(wideA.at(i)), static_cast<int64_t>(wideB.at(i))));
    });
  }
}

}  // namespace

TEST_CASE("elementwise: one input, every op, dtype, shape and layout") {
  for (const IsaLevel& level : isaLevels()) {
    for (const UnaryCase& test : kUnary) {
      for (const Shape& shape : kShapes) {
        const TestTensor x = makeInput(DType::float32, shape, 0);
        for (const NamedTensor& in : inEveryLayout(x)) {
          const TestTensor y = runOp(level, test.op, {in.tensor}, DType::float32, shape);
          checkAll(y, test.ulps, label(test.op, level, in.layout),
                   [&](int64_t i) { return test.onFloat(x.at(i)); });
        }
        if (!test.onInt) continue;
        const TestTensor n = makeInput(DType::int32, shape, 0);
        for (const NamedTensor& in : inEveryLayout(n)) {
          const TestTensor y = runOp(level, test.op, {in.tensor}, DType::int32, shape);
          checkAll(y, 0, label(test.op, level, in.layout), [&](int64_t i) -> double {
            return wrap(test.onInt(static_cast<int64_t>(n.at(i))));
          });
        }
      }
    }
  }
}

TEST_CASE("elementwise: one input that is a repeated element") {
  for (const IsaLevel& level : isaLevels()) {
    for (const UnaryCase& test : kUnary) {
      const TestTensor x = TestTensor::floats({1}, {0.375}).expanded({3, 21});
      const TestTensor y = runOp(level, test.op, {x}, DType::float32, {3, 21});
      checkAll(y, test.ulps, label(test.op, level, "expanded"),
               [&](int64_t) { return test.onFloat(0.375); });
    }
  }
}

TEST_CASE("elementwise: two inputs, every op, dtype and layout, broadcast") {
  for (const IsaLevel& level : isaLevels()) {
    for (const BinaryCase& test : kBinary) {
      for (const BroadcastCase& shapes : kBroadcast) {
        checkBinary(test, level, DType::float32, shapes);
        if (test.onInt) checkBinary(test, level, DType::int32, shapes);
      }
      for (const Shape& shape : kShapes) {
        checkBinary(test, level, DType::float32, {shape, shape, shape});
      }
    }
  }
}

TEST_CASE("elementwise: every pair of special values") {
  constexpr int64_t kCount = sizeof(kSpecial) / sizeof(kSpecial[0]);
  const auto value = [](int64_t i) { return static_cast<double>(static_cast<float>(kSpecial[i])); };
  const TestTensor a = TestTensor::generate(DType::float32, {kCount, 1}, value);
  const TestTensor b = TestTensor::generate(DType::float32, {kCount}, value);
  const auto left = [&](int64_t i) { return value(i / kCount); };
  const auto right = [&](int64_t i) { return value(i % kCount); };
  for (const IsaLevel& level : isaLevels()) {
    for (const BinaryCase& test : kBinary) {
      const TestTensor result = runOp(level, test.op, {a, b}, DType::float32, {kCount, kCount});
      checkAll(result, test.ulps, label(test.op, level, "specials"),
               [&](int64_t i) { return test.onFloat(left(i), right(i)); });
    }
    for (const CompareCase& test : kCompare) {
      const TestTensor result = runOp(level, test.op, {a, b}, DType::boolean, {kCount, kCount});
      checkAll(result, 0, label(test.op, level, "specials"),
               [&](int64_t i) { return test.holds(left(i), right(i)); });
    }
  }
}

TEST_CASE("elementwise: pow with one exponent for all") {
  const TestTensor x = makeInput(DType::float32, {9, 40}, 0);
  for (const IsaLevel& level : isaLevels()) {
    for (double exponent : {0.0, 1.0, 2.0, 3.0, -1.0, 0.5, -0.5, 1.5, 4.0, -2.0, kInf, kNaN}) {
      const TestTensor y = TestTensor::floats({}, {exponent});
      for (const NamedTensor& in : inEveryLayout(x)) {
        const TestTensor z = runOp(level, Op::pow, {in.tensor, y}, DType::float32, {2, 9, 40});
        checkAll(z, 5, label(Op::pow, level, in.layout + " to the " + std::to_string(exponent)),
                 [&](int64_t i) { return std::pow(x.at(i % x.size()), exponent); });
      }
    }
    const TestTensor zeros = TestTensor::floats({2}, {0.0, -0.0});
    for (double exponent : {2.0, 0.5}) {
      const TestTensor y = TestTensor::floats({1}, {exponent});
      const TestTensor z = runOp(level, Op::pow, {zeros, y}, DType::float32, {2});
      CHECK_FALSE(std::signbit(z.at(1)));
    }
  }
}

TEST_CASE("elementwise: signs of zero") {
  for (const IsaLevel& level : isaLevels()) {
    const TestTensor x = TestTensor::floats({2}, {0.0, -0.0});
    const TestTensor negated = runOp(level, Op::neg, {x}, DType::float32, {2});
    CHECK(std::signbit(negated.at(0)));
    CHECK_FALSE(std::signbit(negated.at(1)));
    for (Op op : {Op::tanh, Op::sqrt}) {
      const TestTensor kept = runOp(level, op, {x}, DType::float32, {2});
      CHECK_FALSE(std::signbit(kept.at(0)));
      CHECK(std::signbit(kept.at(1)));
    }
    const TestTensor inverse = runOp(level, Op::reciprocal, {x}, DType::float32, {2});
    CHECK(inverse.at(0) == kInf);
    CHECK(inverse.at(1) == -kInf);
  }
}

TEST_CASE("elementwise: comparisons, every dtype and layout, broadcast") {
  for (const IsaLevel& level : isaLevels()) {
    for (const CompareCase& test : kCompare) {
      for (const BroadcastCase& shapes : kBroadcast) {
        for (DType dtype : {DType::float32, DType::int32, DType::boolean}) {
          if (dtype == DType::boolean && !test.onBool) continue;
          const TestTensor a = makeInput(dtype, shapes.a, 0), b = makeInput(dtype, shapes.b, 6);
          const TestTensor wideA = a.expanded(shapes.out), wideB = b.expanded(shapes.out);
          for (const Pair& pair : pairsOf(a, b, shapes.out)) {
            const TestTensor result =
                runOp(level, test.op, {pair.a, pair.b}, DType::boolean, shapes.out);
            checkAll(result, 0, label(test.op, level, pair.layout),
                     [&](int64_t i) { return test.holds(wideA.at(i), wideB.at(i)); });
          }
        }
      }
    }
  }
}

TEST_CASE("elementwise: logical ops") {
  for (const IsaLevel& level : isaLevels()) {
    for (const BroadcastCase& shapes : kBroadcast) {
      const TestTensor a = makeInput(DType::boolean, shapes.a, 0);
      const TestTensor b = makeInput(DType::boolean, shapes.b, 3);
      const TestTensor wideA = a.expanded(shapes.out), wideB = b.expanded(shapes.out);
      for (const Pair& pair : pairsOf(a, b, shapes.out)) {
        const auto result = [&](Op op) {
          return runOp(level, op, {pair.a, pair.b}, DType::boolean, shapes.out);
        };
        checkAll(result(Op::logicalAnd), 0, label(Op::logicalAnd, level, pair.layout),
                 [&](int64_t i) { return wideA.at(i) != 0 && wideB.at(i) != 0; });
        checkAll(result(Op::logicalOr), 0, label(Op::logicalOr, level, pair.layout),
                 [&](int64_t i) { return wideA.at(i) != 0 || wideB.at(i) != 0; });
      }
      for (const NamedTensor& in : inEveryLayout(a)) {
        const TestTensor result =
            runOp(level, Op::logicalNot, {in.tensor}, DType::boolean, shapes.a);
        checkAll(result, 0, label(Op::logicalNot, level, in.layout),
                 [&](int64_t i) { return a.at(i) == 0; });
      }
    }
  }
}

TEST_CASE("elementwise: where, every dtype and layout, broadcast") {
  for (const IsaLevel& level : isaLevels()) {
    for (const BroadcastCase& shapes : kBroadcast) {
      for (DType dtype : {DType::float32, DType::int32, DType::boolean}) {
        const TestTensor a = makeInput(dtype, shapes.a, 0), b = makeInput(dtype, shapes.b, 4);
        const TestTensor wideA = a.expanded(shapes.out), wideB = b.expanded(shapes.out);
        for (const Shape& conditionShape : {shapes.out, shapes.a, Shape{}}) {
          const TestTensor condition = makeInput(DType::boolean, conditionShape, 1);
          const TestTensor wide = condition.expanded(shapes.out);
          const auto check = [&](const TestTensor& c, const TestTensor& x, const TestTensor& y,
                                 const std::string& layout) {
            const TestTensor result = runOp(level, Op::where, {c, x, y}, dtype, shapes.out);
            checkAll(result, 0, label(Op::where, level, layout),
                     [&](int64_t i) { return wide.at(i) != 0 ? wideA.at(i) : wideB.at(i); });
          };
          for (const Pair& pair : pairsOf(a, b, shapes.out)) {
            check(condition, pair.a, pair.b, pair.layout);
          }
          for (const NamedTensor& c : inEveryLayout(condition)) {
            check(c.tensor, a, b, "condition " + c.layout);
          }
        }
      }
    }
  }
}

TEST_CASE("elementwise: large tensors, in parallel, in every layout") {
  const Shape shapes[] = {{200003}, {401, 503}, {3, 259, 257}, {70000, 3}};
  for (const IsaLevel& level : isaLevels()) {
    for (const Shape& shape : shapes) {
      const TestTensor a = makeInput(DType::float32, shape, 0);
      const TestTensor b = makeInput(DType::float32, shape, 8);
      const TestTensor row = makeInput(DType::float32, {shape.back()}, 2);
      const TestTensor wide = row.expanded(shape);
      for (const NamedTensor& in : inEveryLayout(a)) {
        checkAll(runOp(level, Op::add, {in.tensor, b}, DType::float32, shape), 0,
                 label(Op::add, level, in.layout), [&](int64_t i) { return a.at(i) + b.at(i); });
        checkAll(runOp(level, Op::mul, {row, in.tensor}, DType::float32, shape), 0,
                 label(Op::mul, level, in.layout), [&](int64_t i) { return wide.at(i) * a.at(i); });
        checkAll(runOp(level, Op::relu, {in.tensor}, DType::float32, shape), 0,
                 label(Op::relu, level, in.layout),
                 [&](int64_t i) { return a.at(i) < 0 ? 0 : a.at(i); });
      }
    }
  }
}

TEST_CASE("elementwise: results do not depend on the place of an element or on the threads") {
  const int threads = numThreads();
  for (const IsaLevel& level : isaLevels()) {
    const TestTensor x = makeInput(DType::float32, {100001}, 0);
    for (Op op : {Op::exp, Op::log, Op::tanh, Op::sigmoid}) {
      setNumThreads(1);
      const TestTensor serial = runOp(level, op, {x}, DType::float32, {100001});
      setNumThreads(3);
      const TestTensor parallel = runOp(level, op, {x}, DType::float32, {100001});
      const TestTensor shifted =
          runOp(level, op, {x.sliced(0, 1, 100000)}, DType::float32, {100000});
      setNumThreads(threads);
      checkAll(parallel, 0, label(op, level, "three threads"),
               [&](int64_t i) { return serial.at(i); });
      checkAll(shifted, 0, label(op, level, "shifted"),
               [&](int64_t i) { return serial.at(i + 1); });
    }
  }
}
