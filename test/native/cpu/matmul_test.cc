#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "core/cpu_features.h"
#include "doctest/doctest.h"
#include "op_testing.h"

namespace kindling {
namespace testing {
namespace {

double valueAt(int64_t i) { return static_cast<double>((i * 7919 + 13) % 1009) / 504.0 - 1.0; }

TestTensor generate(const Shape& shape) {
  return TestTensor::generate(DType::float32, shape, valueAt);
}

struct Reference {
  std::vector<double> values, tolerances;
};

/// The product of two batches of matrices in double; a float32 product may differ by a rounding of
/// every multiply-add.
Reference multiply(const TestTensor& a, const TestTensor& b) {
  const Shape left = a.shape(), right = b.shape();
  const int64_t m = left[left.size() - 2], k = left.back(), n = right.back();
  Reference result;
  for (int64_t row = 0; row < elementCount(left) / (k > 0 ? k : 1) && k > 0; ++row) {
    for (int64_t column = 0; column < n; ++column) {
      double total = 0, magnitude = 0;
      for (int64_t i = 0; i < k; ++i) {
        const double term = a.at(row * k + i) * b.at(row / m * k * n + i * n + column);
        total += term;
        magnitude += std::fabs(term);
      }
      result.values.push_back(total);
      result.tolerances.push_back(1e-6 * magnitude);
    }
  }
  return result;
}

void check(const TestTensor& actual, const Reference& expected) {
  REQUIRE(static_cast<size_t>(actual.size()) == expected.values.size());
  for (size_t i = 0; i < expected.values.size(); ++i) {
    const double value = actual.at(static_cast<int64_t>(i));
    if (std::fabs(value - expected.values[i]) <= expected.tolerances[i]) continue;
    FAIL_CHECK("element ", i, " is ", value, ", not ", expected.values[i]);
  }
}

Shape productShape(const TestTensor& a, const TestTensor& b) {
  Shape shape = a.shape();
  shape.back() = b.shape().back();
  return shape;
}

void checkMatmul(const IsaLevel& level, const TestTensor& a, const TestTensor& b) {
  check(runOp(level, Op::matmul, {a, b}, DType::float32, productShape(a, b)), multiply(a, b));
}

TEST_CASE("matmul of one pair, in every layout") {
  const std::vector<std::pair<Shape, Shape>> cases = {{{1, 1}, {1, 1}},     {{3, 4}, {4, 5}},
                                                      {{1, 33}, {33, 7}},   {{17, 9}, {9, 1}},
                                                      {{37, 20}, {20, 41}}, {{70, 65}, {65, 66}}};
  for (const IsaLevel& level : isaLevels()) {
    for (const auto& [left, right] : cases) {
      const TestTensor a = generate(left), b = generate(right);
      const auto as = inEveryLayout(a), bs = inEveryLayout(b);
      for (size_t i = 0; i < as.size(); ++i) {
        for (size_t j = 0; j < bs.size(); ++j) {
          CAPTURE(nameOf(level));
          CAPTURE(as[i].layout);
          CAPTURE(bs[j].layout);
          checkMatmul(level, as[i].tensor, bs[j].tensor);
        }
      }
    }
  }
}

TEST_CASE("matmul of batches: small and large, with any axes") {
  const std::vector<std::pair<Shape, Shape>> cases = {
      {{2, 3, 4}, {2, 4, 5}},       {{500, 4, 4}, {500, 4, 4}},
      {{3, 40, 50}, {3, 50, 60}},   {{12, 40, 40}, {12, 40, 40}},
      {{2, 3, 5, 7}, {2, 3, 7, 2}}, {{2, 1, 3, 5, 7}, {2, 1, 3, 7, 2}}};
  for (const IsaLevel& level : isaLevels()) {
    for (const auto& [left, right] : cases) {
      const auto as = inEveryLayout(generate(left)), bs = inEveryLayout(generate(right));
      for (size_t i = 0; i < as.size(); ++i) {
        CAPTURE(nameOf(level));
        CAPTURE(as[i].layout);
        checkMatmul(level, as[i].tensor, bs[(i + 1) % bs.size()].tensor);
      }
    }
  }
}

TEST_CASE("matmul broadcasts batch axes of stride 0") {
  const TestTensor many = generate({4, 3, 6, 5}), one = generate({5, 7});
  const TestTensor column = generate({4, 1, 5, 7}), left = generate({6, 5});
  for (const IsaLevel& level : isaLevels()) {
    checkMatmul(level, many, one.expanded({4, 3, 5, 7}));
    checkMatmul(level, many, column.expanded({4, 3, 5, 7}));
    checkMatmul(level, left.expanded({4, 3, 6, 5}), column.expanded({4, 3, 5, 7}));
    checkMatmul(level, left.expanded({4, 3, 6, 5}), one.expanded({4, 3, 5, 7}));
    // The shared matrix with a batch that is not evenly spaced rows.
    checkMatmul(level, generate({3, 4, 6, 5}).transposed(0, 1), one.expanded({4, 3, 5, 7}));
    checkMatmul(level, generate({4, 3, 5, 6}).transposed(2, 3), one.expanded({4, 3, 5, 7}));
  }
}

TEST_CASE("matmul of heads, as attention lays them out") {
  const TestTensor queries = generate({2, 9, 3, 8}).transposed(1, 2);
  const TestTensor keys = generate({2, 9, 3, 8}).transposed(1, 2).transposed(2, 3);
  for (const IsaLevel& level : isaLevels()) checkMatmul(level, queries, keys);
}

TEST_CASE("matmul of empty matrices") {
  for (const IsaLevel& level : isaLevels()) {
    const TestTensor zero = runOp(level, Op::matmul, {generate({2, 3, 0}), generate({2, 0, 4})},
                                  DType::float32, {2, 3, 4});
    CHECK(zero.values() == std::vector<double>(24, 0.0));
    const TestTensor none =
        runOp(level, Op::matmul, {generate({0, 3}), generate({3, 4})}, DType::float32, {0, 4});
    CHECK(none.size() == 0);
    CHECK(runOp(level, Op::matmul, {generate({0, 2, 3}), generate({0, 3, 4})}, DType::float32,
                {0, 2, 4})
              .size() == 0);
  }
}

TEST_CASE("matmul does not depend on the number of threads") {
  const int threads = numThreads();
  const TestTensor a = generate({16, 40, 70}), b = generate({16, 70, 40});
  for (const IsaLevel& level : isaLevels()) {
    setNumThreads(1);
    const auto expected = runOp(level, Op::matmul, {a, b}, DType::float32, {16, 40, 40}).values();
    for (const int count : {2, 3}) {
      setNumThreads(count);
      CHECK(runOp(level, Op::matmul, {a, b}, DType::float32, {16, 40, 40}).values() == expected);
    }
    setNumThreads(threads);
  }
}

/// x as a matrix times weight^T, plus bias.
Reference linearReference(const TestTensor& x, const TestTensor& weight, const TestTensor& bias) {
  const int64_t k = weight.shape()[1], n = weight.shape()[0];
  const int64_t rows = k > 0 ? x.size() / k : 0;
  const TestTensor matrix =
      TestTensor::generate(DType::float32, {rows, k}, [&](int64_t i) { return x.at(i); });
  Reference result = multiply(matrix, weight.transposed(0, 1));
  for (size_t i = 0; i < result.values.size(); ++i) {
    const double b = bias.at(static_cast<int64_t>(i) % n);
    result.values[i] += b;
    result.tolerances[i] += 1e-6 * std::fabs(b);
  }
  return result;
}

TEST_CASE("linear in every layout") {
  const std::vector<std::pair<Shape, int64_t>> cases = {
      {{5}, 3}, {{1, 7}, 1}, {{32, 20}, 10}, {{33, 65}, 40}, {{2, 3, 9}, 5}, {{2, 3, 4, 6}, 17}};
  for (const IsaLevel& level : isaLevels()) {
    for (const auto& [shape, n] : cases) {
      const TestTensor weight = generate({n, shape.back()});
      const TestTensor bias = TestTensor::generate(
          DType::float32, {n}, [](int64_t i) { return 10.0 + static_cast<double>(i); });
      const TestTensor x = generate(shape);
      const Reference expected = linearReference(x, weight, bias);
      const auto xs = inEveryLayout(x), weights = inEveryLayout(weight);
      const auto biases = inEveryLayout(bias);
      Shape outShape = shape;
      outShape.back() = n;
      for (size_t i = 0; i < xs.size() * weights.size(); ++i) {
        CAPTURE(nameOf(level));
        CAPTURE(xs[i % xs.size()].layout);
        CAPTURE(weights[i / xs.size()].layout);
        check(runOp(level, Op::linear,
                    {xs[i % xs.size()].tensor, weights[i / xs.size()].tensor,
                     biases[i % biases.size()].tensor},
                    DType::float32, outShape),
              expected);
      }
    }
  }
}

TestTensor cast(const IsaLevel& level, const TestTensor& x, DType dtype) {
  return runOp(level, Op::cast, {x}, dtype, x.shape());
}

/// The sums are those of float32; then each is rounded once, to 8 or 11 significant bits.
Reference rounded(Reference sums, DType dtype) {
  const double unit = dtype == DType::bfloat16 ? 1.0 / 256 : 1.0 / 2048;
  for (size_t i = 0; i < sums.values.size(); ++i) {
    sums.tolerances[i] += unit * (std::fabs(sums.values[i]) + sums.tolerances[i]) + 1e-7;
  }
  return sums;
}

TEST_CASE("matmul and linear of halves: sums of float32, rounded once") {
  const std::vector<std::pair<Shape, Shape>> cases = {
      {{1, 1}, {1, 1}},         {{1, 70}, {70, 40}},
      {{2, 33}, {33, 50}},      {{7, 9}, {9, 1}},
      {{37, 20}, {20, 41}},     {{70, 600}, {600, 66}},
      {{61, 1601}, {1601, 35}}, {{2, 3, 5, 17}, {2, 3, 17, 4}},
      {{2, 0}, {0, 3}}};
  const int threads = numThreads();
  for (const IsaLevel& level : isaLevels()) {
    // bfloat16 in pairs where the CPU has AVX512-BF16, and as on CPUs that lack it.
    for (const auto& [dtype, inPairs] : std::vector<std::pair<DType, bool>>{
             {DType::bfloat16, true}, {DType::bfloat16, false}, {DType::float16, false}}) {
      allowBrainDots(inPairs);
      for (const auto& [left, right] : cases) {
        CAPTURE(nameOf(level));
        CAPTURE(static_cast<int>(dtype));
        CAPTURE(inPairs);
        CAPTURE(left.front());
        setNumThreads(left.front() % 3 + 1);
        const TestTensor a = cast(level, generate(left), dtype),
                         b = cast(level, generate(right), dtype);
        const TestTensor plainA = cast(level, a, DType::float32);
        const TestTensor plainB = cast(level, b, DType::float32);
        const Shape shape = productShape(a, b);
        // Over no steps of k the reference makes no values.
        Reference expected = multiply(plainA, plainB);
        if (left.back() == 0) expected = {{0, 0, 0, 0, 0, 0}, std::vector<double>(6, 0.0)};
        const auto as = inEveryLayout(a), bs = inEveryLayout(b);
        for (size_t i = 0; i < as.size(); ++i) {
          CAPTURE(as[i].layout);
          const TestTensor& other = bs[(i + 1) % bs.size()].tensor;
          const TestTensor out = runOp(level, Op::matmul, {as[i].tensor, other}, dtype, shape);
          CHECK(out.dtype() == dtype);
          check(cast(level, out, DType::float32), rounded(expected, dtype));
        }
        if (right.size() != 2 || left.back() == 0) continue;
        const TestTensor weight = b.transposed(0, 1),
                         bias = cast(level, generate({right[1]}), dtype);
        const Reference sums =
            linearReference(plainA, plainB.transposed(0, 1), cast(level, bias, DType::float32));
        const TestTensor out = runOp(level, Op::linear, {a, weight, bias}, dtype, shape);
        check(cast(level, out, DType::float32), rounded(sums, dtype));
      }
    }
  }
  allowBrainDots(true);
  setNumThreads(threads);
}

TEST_CASE("linear of a repeated row, of rows of different spacing, of nothing") {
  const TestTensor weight = generate({4, 6}), bias = generate({4});
  const TestTensor row = generate({6}).expanded({3, 2, 6});
  const TestTensor swapped = generate({2, 3, 6}).transposed(0, 1);
  for (const IsaLevel& level : isaLevels()) {
    for (const TestTensor& x : {row, swapped}) {
      check(runOp(level, Op::linear, {x, weight, bias}, DType::float32, {3, 2, 4}),
            linearReference(x, weight, bias));
    }
    const TestTensor onlyBias = runOp(level, Op::linear, {generate({3, 0}), generate({4, 0}), bias},
                                      DType::float32, {3, 4});
    for (int64_t i = 0; i < 12; ++i) CHECK(onlyBias.at(i) == bias.at(i % 4));
    CHECK(
        runOp(level, Op::linear, {generate({0, 6}), weight, bias}, DType::float32, {0, 4}).size() ==
        0);
  }
}

}  // namespace
}  // namespace testing
}  // namespace kindling
