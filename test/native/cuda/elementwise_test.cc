// Elementwise ops on the emulated device: every op and dtype, layouts and broadcasts around the
// width of a vector and of a block, and special values.

#include <limits>

#include "cuda/compare.h"

using namespace kindling;
using namespace kindling::testing;

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
const double kSpecial[] = {0.0, -0.0,      1,          -1,           0.5,   -0.5,   2,  3,   -2.5,
                           1.5, kInfinity, -kInfinity, std::nan(""), 1e-30, -1e-30, 88, -88, 1e30};
constexpr int64_t kSpecialCount = 18;

double wave(int64_t i) { return 3 * std::sin(0.7 * static_cast<double>(i) + 0.1); }
double integers(int64_t i) { return static_cast<double>(i * 37 % 23 - 11); }
double inside(int64_t i) { return 0.99 * std::sin(0.7 * static_cast<double>(i) + 0.1); }
double positive(int64_t i) { return std::fabs(wave(i)) + 0.01; }
double special(int64_t i) { return kSpecial[i % kSpecialCount]; }

bool isFloat(DType dtype) { return dtype == DType::float32 || dtype == DType::float64; }
Tolerance toleranceOf(DType dtype) {
  return dtype == DType::float32   ? Tolerance{4e-6, 1e-30}
         : dtype == DType::float64 ? Tolerance{1e-13, 1e-300}
                                   : kExact;
}

TestTensor numbers(DType dtype, const Shape& shape, double (*value)(int64_t)) {
  return TestTensor::generate(dtype, shape, isFloat(dtype) ? value : integers);
}

std::vector<DType> dtypesOf(Op op) {
  std::vector<DType> found;
  for (const DType dtype :
       {DType::float32, DType::int32, DType::boolean, DType::float64, DType::int64, DType::uint8}) {
    if (opInfo(op).dtypes >> static_cast<int>(dtype) & 1) found.push_back(dtype);
  }
  return found;
}

struct UnaryCase {
  Op op;
  double (*values)(int64_t);
};
const UnaryCase kUnary[] = {
    {Op::neg, wave},       {Op::abs, wave},      {Op::sign, wave},      {Op::exp, wave},
    {Op::log, positive},   {Op::sqrt, positive}, {Op::square, wave},    {Op::reciprocal, wave},
    {Op::tanh, wave},      {Op::sigmoid, wave},  {Op::rsqrt, positive}, {Op::expm1, wave},
    {Op::log1p, positive}, {Op::log2, positive}, {Op::sin, wave},       {Op::cos, wave},
    {Op::tan, inside},     {Op::asin, inside},   {Op::acos, inside},    {Op::atan, wave},
    {Op::sinh, wave},      {Op::cosh, wave},     {Op::erf, wave},       {Op::erfinv, inside},
    {Op::softplus, wave},  {Op::floor, wave},    {Op::ceil, wave},      {Op::round, wave},
    {Op::trunc, wave},     {Op::relu, wave},     {Op::logicalNot, wave}};
const Op kTests[] = {Op::isNaN, Op::isInf, Op::isFinite};
const Op kBinary[] = {Op::add,          Op::sub,        Op::mul,         Op::div,       Op::pow,
                      Op::atan2,        Op::remainder,  Op::floorDivide, Op::maximum,   Op::minimum,
                      Op::reluBackward, Op::logicalAnd, Op::logicalOr,   Op::logicalXor};
const Op kComparisons[] = {Op::equal,     Op::notEqual, Op::less,
                           Op::lessEqual, Op::greater,  Op::greaterEqual};

const Shape kShapes[] = {{}, {1}, {3}, {4}, {5}, {1023}, {1024}, {1027}, {0}, {7, 12}, {5, 3, 8}};

}  // namespace

TEST_CASE("cuda unary ops") {
  for (const UnaryCase& test : kUnary) {
    for (const DType dtype : dtypesOf(test.op)) {
      for (const Shape& shape : kShapes) {
        const TestTensor x = numbers(dtype, shape, test.values);
        compare(test.op, {x}, {x}, {}, {}, toleranceOf(dtype));
      }
      const TestTensor x = numbers(dtype, {6, 5, 8}, test.values);
      for (const NamedTensor& input : inEveryLayout(x)) {
        CAPTURE(input.layout);
        compare(test.op, {input.tensor}, {x}, {}, {}, toleranceOf(dtype));
      }
    }
  }
}

TEST_CASE("cuda unary ops and tests: special values") {
  for (const DType dtype : {DType::float32, DType::float64}) {
    const TestTensor x = TestTensor::generate(dtype, {3 * kSpecialCount}, special);
    for (const UnaryCase& test : kUnary) {
      if (test.op == Op::logicalNot) continue;
      // Of 1e30 the CPU's vector code leaves the sine to the C library, as the device does.
      compare(test.op, {x}, {x}, {}, {}, toleranceOf(dtype));
    }
    for (const Op op : kTests) {
      compare(op, {x}, {TestTensor(DType::boolean, x.shape())}, {}, {}, kExact);
      compare(op, {x.flipped(0)}, {TestTensor(DType::boolean, x.shape())}, {}, {}, kExact);
    }
  }
}

TEST_CASE("cuda casts between all dtypes") {
  for (int from = 0; from < 6; ++from) {
    for (int to = 0; to < 6; ++to) {
      const DType source = static_cast<DType>(from), target = static_cast<DType>(to);
      for (const Shape& shape : kShapes) {
        const TestTensor x = TestTensor::generate(
            source, shape, [](int64_t i) { return i % 5 == 4 ? 1e3 * wave(i) : wave(i); });
        compare(Op::cast, {x}, {TestTensor(target, shape)}, {}, {}, kExact);
      }
      if (!isFloat(source)) continue;
      const TestTensor x = TestTensor::generate(source, {kSpecialCount}, special);
      compare(Op::cast, {x}, {TestTensor(target, x.shape())}, {}, {}, kExact);
      const TestTensor edges = TestTensor::from(
          source, {8},
          {2147483648.0, -2147483648.0, 2147483520.0, 9.3e18, -9.3e18, 255.5, 256, -1});
      compare(Op::cast, {edges}, {TestTensor(target, edges.shape())}, {}, {}, kExact);
    }
  }
}

TEST_CASE("cuda casts to and from halves") {
  // Values on both sides of every rounding boundary, of subnormal halves and of the largest.
  const TestTensor x = TestTensor::generate(DType::float32, {4000}, [](int64_t i) {
    return (i % 2 ? -1 : 1) * std::ldexp(1.0 + static_cast<double>(i * 2049 % 65536) / 65536,
                                         static_cast<int>(i % 45) - 28);
  });
  for (const DType half : {DType::float16, DType::bfloat16}) {
    const TestTensor device(half, x.shape()), cpu(half, x.shape());
    REQUIRE(execute(cpuBackend(), recordOf(Op::cast, {x}, {cpu}, {}, {})) == Status::ok);
    REQUIRE(runOnDevice(Op::cast, {x}, {device}) == Status::ok);
    const auto* const a = static_cast<const uint16_t*>(device.view().data);
    const auto* const b = static_cast<const uint16_t*>(cpu.view().data);
    int64_t wrong = 0;
    for (int64_t i = 0; i < x.size(); ++i) wrong += a[i] != b[i];
    CHECK(wrong == 0);
    for (const DType target : {DType::float32, DType::float64, DType::int32, DType::boolean}) {
      compare(Op::cast, {cpu}, {TestTensor(target, x.shape())}, {}, {}, kExact);
    }
    TestTensor all(half, {65536});
    for (int i = 0; i < 65536; ++i) {
      static_cast<uint16_t*>(all.view().data)[i] = static_cast<uint16_t>(i);
    }
    compare(Op::cast, {all}, {TestTensor(DType::float32, all.shape())}, {}, {}, kExact);
  }
}

TEST_CASE("cuda binary ops and comparisons") {
  const auto both = [](Op op, DType dtype, const TestTensor& a, const TestTensor& b,
                       const Shape& shape) {
    const bool isComparison = opInfo(op).kind == OpKind::compare;
    compare(op, {a, b}, {TestTensor(isComparison ? DType::boolean : dtype, shape)}, {}, {},
            isComparison ? kExact : toleranceOf(dtype));
  };
  std::vector<Op> ops(std::begin(kBinary), std::end(kBinary));
  ops.insert(ops.end(), std::begin(kComparisons), std::end(kComparisons));
  for (const Op op : ops) {
    const bool divides = op == Op::remainder || op == Op::floorDivide;
    for (const DType dtype : dtypesOf(op)) {
      const auto first = [&](const Shape& shape) {
        return numbers(dtype, shape, op == Op::pow ? positive : wave);
      };
      const auto second = [&](const Shape& shape) {
        return TestTensor::generate(dtype, shape, [&](int64_t i) {
          const double value = isFloat(dtype) ? wave(3 * i + 1) : integers(2 * i + 1);
          return divides && value == 0 ? 5 : value;
        });
      };
      for (const Shape& shape : kShapes) {
        both(op, dtype, first(shape), second(shape), shape);
        both(op, dtype, first(shape), second({}), shape);
        both(op, dtype, first({1}), second(shape), shape.empty() ? Shape{1} : shape);
      }
      // Rows in fours, rows that are not, columns, and operands of any strides.
      both(op, dtype, first({7, 12}), second({12}), {7, 12});
      both(op, dtype, first({7, 12}), second({7, 1}), {7, 12});
      both(op, dtype, first({7, 1}), second({12}), {7, 12});
      both(op, dtype, first({7, 13}), second({13}), {7, 13});
      both(op, dtype, first({3, 5, 8}), second({5, 1}), {3, 5, 8});
      both(op, dtype, first({3, 1, 4, 6}), second({5, 1, 6}), {3, 5, 4, 6});
      for (const NamedTensor& input : inEveryLayout(second({6, 8}))) {
        CAPTURE(input.layout);
        both(op, dtype, first({6, 8}), input.tensor, {6, 8});
        both(op, dtype, input.tensor, second({8}), {6, 8});
      }
    }
  }
}

TEST_CASE("cuda binary ops: special values meet") {
  for (const DType dtype : {DType::float32, DType::float64}) {
    const TestTensor a = TestTensor::generate(dtype, {kSpecialCount, 1}, special);
    const TestTensor b = TestTensor::generate(dtype, {kSpecialCount}, special);
    const Shape shape = {kSpecialCount, kSpecialCount};
    for (const Op op : kBinary) {
      if (!(opInfo(op).dtypes & 1)) continue;
      compare(op, {a, b}, {TestTensor(dtype, shape)}, {}, {}, toleranceOf(dtype));
    }
    for (const Op op : kComparisons) {
      compare(op, {a, b}, {TestTensor(DType::boolean, shape)}, {}, {}, kExact);
    }
    for (const double exponent : {2.0, 3.0, -1.0, 0.5, 0.0, 1.7}) {
      const TestTensor y = TestTensor::from(dtype, {}, {exponent});
      compare(Op::pow, {b, y}, {b}, {}, {}, toleranceOf(dtype));
    }
  }
}

TEST_CASE("cuda integer division") {
  for (const DType dtype : {DType::int32, DType::int64}) {
    const double least = dtype == DType::int32 ? -2147483648.0 : -9223372036854775808.0;
    const TestTensor a = TestTensor::from(dtype, {6}, {7, -7, least, least, 0, 5});
    const TestTensor b = TestTensor::from(dtype, {6}, {-2, 2, -1, 3, 9, -5});
    for (const Op op : {Op::remainder, Op::floorDivide}) {
      compare(op, {a, b}, {a}, {}, {}, kExact);
      const TestTensor zero = TestTensor::from(dtype, {6}, {1, 2, 0, 3, 4, 5});
      compare(op, {a, zero}, {a});  // the same status and message
      compare(op, {a, b}, {a}, {}, {}, kExact);
    }
  }
}

TEST_CASE("cuda where") {
  const auto every = [](int64_t step) {
    return [step](int64_t i) { return static_cast<double>(i % step == 0); };
  };
  for (const DType dtype :
       {DType::float32, DType::int32, DType::boolean, DType::float64, DType::int64, DType::uint8}) {
    for (const Shape& shape : kShapes) {
      const TestTensor condition = TestTensor::generate(DType::boolean, shape, every(3));
      const TestTensor a = numbers(dtype, shape, wave);
      compare(Op::where, {condition, a, numbers(dtype, {}, wave)}, {a}, {}, {}, kExact);
    }
    const TestTensor condition = TestTensor::generate(DType::boolean, {5, 1, 8}, every(2));
    const TestTensor a = numbers(dtype, {3, 1}, wave), b = numbers(dtype, {5, 3, 8}, wave);
    compare(Op::where, {condition, a, b.flipped(1)}, {b}, {}, {}, kExact);
  }
}
