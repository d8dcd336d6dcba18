// Philox4x32-10 against the published known answers, and what the two kernels make of it.

#include <cmath>

#include "op_testing.h"

using namespace kindling;
using namespace kindling::testing;

namespace {

TestTensor draw(Op op, int64_t count, const std::vector<int32_t>& stream, double a, double b) {
  return runOp(isaLevels().front(), op, {}, DType::float32, {count}, stream, {a, b});
}

struct Moments {
  double mean, variance, skewness, kurtosis;
};

Moments momentsOf(const TestTensor& x) {
  const double n = static_cast<double>(x.size());
  double mean = 0, second = 0, third = 0, fourth = 0;
  for (int64_t i = 0; i < x.size(); ++i) mean += x.floatData()[i] / n;
  for (int64_t i = 0; i < x.size(); ++i) {
    const double d = x.floatData()[i] - mean;
    second += d * d / n;
    third += d * d * d / n;
    fourth += d * d * d * d / n;
  }
  return {mean, second, third / std::pow(second, 1.5), fourth / (second * second)};
}

}  // namespace

TEST_CASE("random: Philox4x32-10 gives the known answers of its authors") {
  struct Row {
    uint32_t counter[4], key[2], expected[4];
  };
  const Row rows[] = {
      {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
      {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
       {0xffffffff, 0xffffffff},
       {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
      {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
       {0xa4093822, 0x299f31d0},
       {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
  };
  for (const Row& row : rows) {
    uint32_t result[4];
    philox4x32(row.counter, row.key, result);
    for (int i = 0; i < 4; ++i) CHECK(result[i] == row.expected[i]);
  }
}

TEST_CASE("random: elements are the generator's numbers, in order") {
  const uint32_t key[2] = {7, 0x80000001u};
  const TestTensor x = draw(Op::randomUniform, 300, {7, static_cast<int32_t>(key[1]), -1, 2}, 0, 1);
  const TestTensor n = draw(Op::randomNormal, 300, {7, static_cast<int32_t>(key[1]), -1, 2}, 3, 2);
  for (int64_t i = 0; i < 300; ++i) {
    const uint64_t block = 0x2ffffffffull + static_cast<uint64_t>(i / 4);
    const uint32_t counter[4] = {static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32),
                                 0, 0};
    uint32_t bits[4];
    philox4x32(counter, key, bits);
    CHECK(x.at(i) == (bits[i % 4] >> 8) / 16777216.0);
    const int pair = static_cast<int>(i % 4 / 2) * 2;
    const double radius = std::sqrt(-2 * std::log((bits[pair] + 0.5) / 4294967296.0));
    const double angle = (bits[pair + 1] + 0.5) / 4294967296.0 * 6.283185307179586;
    const double standard = radius * (i % 2 ? std::sin(angle) : std::cos(angle));
    CHECK(n.at(i) == doctest::Approx(3 + 2 * standard).epsilon(1e-6));
  }
}

TEST_CASE("random: a stream continues where its offset says, whatever the size and the threads") {
  const int threads = numThreads();
  for (Op op : {Op::randomUniform, Op::randomNormal}) {
    setNumThreads(1);
    const TestTensor serial = draw(op, 100003, {5, 6, 100, 0}, 0, 1);
    setNumThreads(3);
    const TestTensor parallel = draw(op, 100003, {5, 6, 100, 0}, 0, 1);
    setNumThreads(threads);
    const TestTensor later = draw(op, 1001, {5, 6, 350, 0}, 0, 1);
    for (int64_t i = 0; i < serial.size(); ++i) {
      REQUIRE(serial.floatData()[i] == parallel.floatData()[i]);
    }
    for (int64_t i = 0; i < later.size(); ++i) REQUIRE(later.at(i) == serial.at(i + 1000));
    for (int64_t size : {0, 1, 2, 3, 4, 5, 63}) {
      const TestTensor small = draw(op, size, {5, 6, 100, 0}, 0, 1);
      for (int64_t i = 0; i < size; ++i) CHECK(small.at(i) == serial.at(i));
    }
  }
}

TEST_CASE("random: seeds and offsets give different numbers") {
  const TestTensor first = draw(Op::randomUniform, 64, {1, 0, 0, 0}, 0, 1);
  for (const std::vector<int32_t>& other :
       std::vector<std::vector<int32_t>>{{2, 0, 0, 0}, {1, 1, 0, 0}, {1, 0, 16, 0}, {1, 0, 0, 1}}) {
    const TestTensor second = draw(Op::randomUniform, 64, other, 0, 1);
    int same = 0;
    for (int64_t i = 0; i < 64; ++i) same += first.at(i) == second.at(i);
    CHECK(same == 0);
  }
}

TEST_CASE("random: uniform numbers fill [low, high)") {
  constexpr int64_t kCount = 1000000;
  const TestTensor x = draw(Op::randomUniform, kCount, {42, 0, 0, 0}, -2, 3);
  int64_t counts[50] = {};
  for (int64_t i = 0; i < kCount; ++i) {
    REQUIRE(x.floatData()[i] >= -2);
    REQUIRE(x.floatData()[i] < 3);
    ++counts[static_cast<int>((x.floatData()[i] + 2) * 10)];
  }
  double chiSquare = 0;
  for (int64_t count : counts) {
    const double expected = kCount / 50.0;
    chiSquare += (static_cast<double>(count) - expected) * (static_cast<double>(count) - expected) /
                 expected;
  }
  CHECK(chiSquare < 94.98);  // 49 degrees of freedom: exceeded once in 10,000
  const Moments moments = momentsOf(x);
  CHECK(moments.mean == doctest::Approx(0.5).epsilon(0.01));
  CHECK(moments.variance == doctest::Approx(25.0 / 12).epsilon(0.005));
}

TEST_CASE("random: rounding never reaches the upper end") {
  // Between 1e8 and 1e8 + 8 there is no other float: most numbers would round up.
  const TestTensor x = draw(Op::randomUniform, 1000, {3, 0, 0, 0}, 1e8, 1e8 + 8);
  for (int64_t i = 0; i < x.size(); ++i) CHECK(x.at(i) == 1e8);
  const TestTensor y = draw(Op::randomUniform, 1000, {3, 0, 0, 0}, 0.5, 0.5);
  for (int64_t i = 0; i < y.size(); ++i) CHECK(y.at(i) == 0.5);
}

TEST_CASE("random: normal numbers have the moments and tails of the normal distribution") {
  constexpr int64_t kCount = 1000000;
  const TestTensor x = draw(Op::randomNormal, kCount, {42, 1, 0, 0}, 1.5, 0.5);
  const Moments moments = momentsOf(x);
  // Four standard errors each.
  CHECK(std::fabs(moments.mean - 1.5) < 4 * 0.5 / 1000);
  CHECK(std::fabs(moments.variance - 0.25) < 4 * 0.25 * std::sqrt(2.0) / 1000);
  CHECK(std::fabs(moments.skewness) < 4 * std::sqrt(6.0) / 1000);
  CHECK(std::fabs(moments.kurtosis - 3) < 4 * std::sqrt(24.0) / 1000);
  const double outside[] = {0.317310508, 0.045500264, 0.002699796};
  for (int sigmas = 1; sigmas <= 3; ++sigmas) {
    int64_t count = 0;
    for (int64_t i = 0; i < kCount; ++i) {
      count += std::fabs(x.floatData()[i] - 1.5) > 0.5 * sigmas;
    }
    const double p = outside[sigmas - 1];
    CHECK(std::fabs(static_cast<double>(count) - kCount * p) < 4 * std::sqrt(kCount * p * (1 - p)));
  }
}
