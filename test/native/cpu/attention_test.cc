#include <cmath>
#include <string>
#include <vector>

#include "cpu/attention_reference.h"
#include "doctest/doctest.h"
#include "op_testing.h"

namespace kindling {
namespace testing {
namespace {

using namespace attention;

double valueAt(int64_t i) { return static_cast<double>((i * 7919 + 13) % 1009) / 504.5 - 1.0; }

TestTensor generate(const Shape& shape, int64_t from) {
  return TestTensor::generate(DType::float32, shape, [=](int64_t i) { return valueAt(i + from); });
}

/// grad, q, k, v
std::vector<TestTensor> inputsOf(const Case& c) {
  return {generate({c.outer, c.heads, c.queries, c.features}, 5),
          generate({c.outer, c.heads, c.queries, c.d}, 0),
          generate({c.outer, c.heads, c.keys, c.d}, 100),
          generate({c.outer, c.heads, c.keys, c.features}, 200)};
}

void checkClose(const TestTensor& actual, const std::vector<double>& expected) {
  REQUIRE(static_cast<size_t>(actual.size()) == expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    const double value = actual.at(static_cast<int64_t>(i));
    if (std::fabs(value - expected[i]) <= 2e-5 * (1 + std::fabs(expected[i]))) continue;
    FAIL_CHECK("element ", i, " is ", value, ", not ", expected[i]);
  }
}

/// y, logs, dq, dk, dv
std::vector<TestTensor> runBoth(const IsaLevel& level, const Case& c,
                                const std::vector<TestTensor>& in, bool causal, double scale) {
  const auto like = [](const TestTensor& x) { return TestTensor(DType::float32, x.shape()); };
  const TestTensor y = like(in[0]), logs(DType::float32, {c.outer, c.heads, c.queries, 1});
  const std::vector<TestTensor> slopes = {like(in[1]), like(in[2]), like(in[3])};
  REQUIRE(run(level, Op::attention, {in[1], in[2], in[3]}, {y, logs}, {causal}, {scale}) ==
          Status::ok);
  REQUIRE(run(level, Op::attentionBackward, {in[0], in[1], in[2], in[3], y, logs}, slopes, {causal},
              {scale}) == Status::ok);
  return {y, logs, slopes[0], slopes[1], slopes[2]};
}

TEST_CASE("attention and its gradients, whatever the number of threads") {
  // Around the widths of vectors and the blocks of queries; with more and fewer keys than queries.
  const std::vector<Case> cases = {
      {1, 1, 1, 1, 1, 1},     {2, 3, 5, 7, 3, 2},     {1, 2, 16, 15, 16, 4},
      {2, 2, 17, 33, 8, 17},  {1, 3, 127, 64, 4, 5},  {1, 2, 128, 128, 16, 16},
      {1, 4, 129, 130, 8, 8}, {1, 1, 70, 1100, 4, 4}, {1, 2, 300, 3, 4, 4},
      {1, 2, 4, 0, 3, 3},     {1, 2, 0, 4, 3, 3},     {0, 2, 4, 4, 3, 3}};
  const int before = numThreads();
  for (const Case& c : cases) {
    for (const bool causal : {false, true}) {
      const double scale = 0.7;
      const std::vector<TestTensor> in = inputsOf(c);
      const Reference wanted(c, in, causal, scale);
      for (const IsaLevel& level : isaLevels()) {
        CAPTURE(nameOf(level));
        CAPTURE(c.queries);
        CAPTURE(c.keys);
        CAPTURE(causal);
        setNumThreads(1);
        const std::vector<TestTensor> one = runBoth(level, c, in, causal, scale);
        checkClose(one[0], wanted.y);
        checkClose(one[1], wanted.logs);
        checkClose(one[2], wanted.dq);
        checkClose(one[3], wanted.dk);
        checkClose(one[4], wanted.dv);
        for (const int threads : {2, 3, 8}) {
          CAPTURE(threads);
          setNumThreads(threads);
          const std::vector<TestTensor> same = runBoth(level, c, in, causal, scale);
          for (size_t i = 0; i < same.size(); ++i) CHECK(same[i].values() == one[i].values());
        }
      }
    }
  }
  setNumThreads(before);
}

TEST_CASE("attention in every layout") {
  const Case c = {2, 3, 5, 18, 4, 6};
  const std::vector<TestTensor> in = inputsOf(c);
  const Reference wanted(c, in, true, 0.5);
  for (const IsaLevel& level : isaLevels()) {
    for (size_t i = 0; i < in.size(); ++i) {
      for (const NamedTensor& x : inEveryLayout(in[i])) {
        CAPTURE(nameOf(level));
        CAPTURE(i);
        CAPTURE(x.layout);
        std::vector<TestTensor> other = in;
        other[i] = x.tensor;
        const std::vector<TestTensor> got = runBoth(level, c, other, true, 0.5);
        checkClose(got[0], wanted.y);
        checkClose(got[2], wanted.dq);
        checkClose(got[3], wanted.dk);
        checkClose(got[4], wanted.dv);
      }
    }
  }
}

TEST_CASE("attention with large scores, and with NaN and infinity") {
  for (const IsaLevel& level : isaLevels()) {
    CAPTURE(nameOf(level));
    const Case c = {1, 1, 3, 40, 1, 1};
    std::vector<TestTensor> in = inputsOf(c);
    // Scores of 1000 overflow without the shift by the largest.
    for (int64_t j = 0; j < 40; ++j) in[2].set(j, j == 20 ? 1000 : 900);
    for (int64_t i = 0; i < 3; ++i) in[1].set(i, 1);
    in[1].set(2, NAN);
    const TestTensor y(DType::float32, {1, 1, 3, 1}), logs(DType::float32, {1, 1, 3, 1});
    REQUIRE(run(level, Op::attention, {in[1], in[2], in[3]}, {y, logs}, {0}, {1}) == Status::ok);
    CHECK(y.at(0) == doctest::Approx(in[3].at(20)));
    CHECK(logs.at(0) == doctest::Approx(1000));
    CHECK(std::isnan(y.at(2)));
    in[2].set(3, INFINITY);
    REQUIRE(run(level, Op::attention, {in[1], in[2], in[3]}, {y, logs}, {0}, {1}) == Status::ok);
    CHECK(std::isnan(y.at(0)));
  }
}

TEST_CASE("attention refuses what does not fit") {
  const IsaLevel& level = isaLevels().front();
  const Case c = {2, 3, 5, 7, 4, 6};
  const std::vector<TestTensor> in = inputsOf(c), out = runBoth(level, c, in, false, 1);
  const std::vector<TestTensor> forward[] = {{in[1], in[2], in[3]}, {out[0], out[1]}};
  const std::vector<TestTensor> backward[] = {{in[0], in[1], in[2], in[3], out[0], out[1]},
                                              {out[2], out[3], out[4]}};
  for (const bool isBack : {false, true}) {
    const std::vector<TestTensor>* operands = isBack ? backward : forward;
    for (int side = 0; side < 2; ++side) {
      for (size_t i = 0; i < operands[side].size(); ++i) {
        for (size_t axis = 0; axis < 5; ++axis) {
          // Beyond the axes: another dtype, which the table refuses for the first input.
          if (axis == 4 && side == 0 && i == 0) continue;
          std::vector<TestTensor> wrong[] = {operands[0], operands[1]};
          Shape shape = wrong[side][i].shape();
          if (axis < 4) ++shape[axis];
          wrong[side][i] = TestTensor(axis < 4 ? DType::float32 : DType::float64, shape);
          CAPTURE(isBack);
          CAPTURE(side);
          CAPTURE(i);
          CAPTURE(axis);
          CHECK(run(level, isBack ? Op::attentionBackward : Op::attention, wrong[0], wrong[1], {0},
                    {1}) == Status::badShape);
        }
      }
    }
  }
}

}  // namespace
}  // namespace testing
}  // namespace kindling
