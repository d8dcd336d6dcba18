// matmul, linear and linearEpilogue of the device against the CPU's.

#include <cmath>
#include <vector>

#include "cuda/compare.h"

namespace kindling {
namespace testing {
namespace {

TestTensor numbers(DType dtype, const Shape& shape, int seed) {
  return TestTensor::generate(dtype, shape, [=](int64_t i) {
    return static_cast<double>((i * 37 + seed * 11) % 101) / 50 - 1;
  });
}

Tolerance toleranceOf(DType dtype) {
  // Sums of 16-bit floats are rounded once, so that they may fall on neighbours.
  if (dtype == DType::bfloat16) return {1.0 / 128, 1e-5};
  if (dtype == DType::float16) return {1.0 / 1024, 1e-5};
  return dtype == DType::float64 ? Tolerance{1e-13, 1e-13} : kFloatTolerance;
}

const DType kTypes[] = {DType::float32, DType::float64, DType::bfloat16, DType::float16};

TEST_CASE("cuda matmul: shapes and batches") {
  struct Shapes {
    Shape a, b, out;
  };
  const Shapes all[] = {{{1, 1}, {1, 1}, {1, 1}},
                        {{3, 5}, {5, 7}, {3, 7}},
                        {{130, 70}, {70, 65}, {130, 65}},
                        {{0, 5}, {5, 7}, {0, 7}},
                        {{4, 0}, {0, 7}, {4, 7}},
                        {{6, 9, 20}, {6, 20, 12}, {6, 9, 12}},
                        {{2, 3, 33, 17}, {2, 3, 17, 40}, {2, 3, 33, 40}},
                        {{0, 9, 20}, {0, 20, 12}, {0, 9, 12}}};
  for (const DType dtype : kTypes) {
    for (const Shapes& s : all) {
      compare(Op::matmul, {numbers(dtype, s.a, 1), numbers(dtype, s.b, 2)}, {{dtype, s.out}}, {},
              {}, toleranceOf(dtype));
    }
  }
}

TEST_CASE("cuda matmul: broadcast batches") {
  for (const DType dtype : kTypes) {
    const auto run = [&](const Shape& a, const Shape& b, const Shape& batch) {
      Shape outA = batch, outB = batch, out = batch;
      outA.insert(outA.end(), a.end() - 2, a.end());
      outB.insert(outB.end(), b.end() - 2, b.end());
      out.push_back(a[a.size() - 2]);
      out.push_back(b[b.size() - 1]);
      compare(Op::matmul,
              {numbers(dtype, a, 1).expanded(outA), numbers(dtype, b, 2).expanded(outB)},
              {{dtype, out}}, {}, {}, toleranceOf(dtype));
    };
    run({4, 1, 9, 20}, {3, 20, 12}, {4, 3});
    run({9, 20}, {5, 20, 12}, {5});
    run({5, 9, 20}, {20, 12}, {5});
    run({2, 1, 3, 8, 6}, {1, 4, 1, 6, 5}, {2, 4, 3});
  }
}

TEST_CASE("cuda matmul: every layout") {
  for (const DType dtype : kTypes) {
    for (const NamedTensor& a : inEveryLayout(numbers(dtype, {3, 20, 36}, 1))) {
      for (const NamedTensor& b : inEveryLayout(numbers(dtype, {3, 36, 28}, 2))) {
        CAPTURE(a.layout);
        CAPTURE(b.layout);
        compare(Op::matmul, {a.tensor, b.tensor}, {{dtype, {3, 20, 28}}}, {}, {},
                toleranceOf(dtype));
      }
    }
  }
}

TEST_CASE("cuda matmul: infinities and NaN stay where they are") {
  TestTensor a = numbers(DType::float32, {70, 40}, 1);
  a.set(3 * 40 + 5, NAN);
  a.set(9 * 40 + 1, INFINITY);
  compare(Op::matmul, {a, numbers(DType::float32, {40, 30}, 2)}, {{DType::float32, {70, 30}}});
}

TEST_CASE("cuda matmul: TF32 where the user allows it") {
  // Multiples of 1/64 below 2 are exact in TF32; with more digits operands are rounded.
  const auto exact = [](const Shape& shape, int seed) {
    return TestTensor::generate(DType::float32, shape, [=](int64_t i) {
      return static_cast<double>((i * 37 + seed * 11) % 127 - 63) / 64;
    });
  };
  const TestTensor a = exact({2, 70, 90}, 1), b = exact({2, 90, 66}, 2);
  const TestTensor fine = numbers(DType::float32, {2, 70, 90}, 1);
  const TestTensor rounded(DType::float32, {2, 70, 66}), single(DType::float32, {2, 70, 66});
  REQUIRE(runOnDevice(Op::matmul, {fine, b}, {single}) == Status::ok);
  cudaApi().setAllowTf32(1);
  compare(Op::matmul, {a, b}, {{DType::float32, {2, 70, 66}}}, {}, {}, {1e-6, 1e-5});
  REQUIRE(runOnDevice(Op::matmul, {fine, b}, {rounded}) == Status::ok);
  cudaApi().setAllowTf32(0);
  requireClose("rounded operands", rounded, single, {0, 2e-2});
  double worst = 0;
  for (int64_t i = 0; i < single.size(); ++i) {
    worst = std::fmax(worst, std::fabs(rounded.at(i) - single.at(i)));
  }
  CHECK((worst > 1e-5) == hasTensorCores());  // so they did run
}

TEST_CASE("cuda linear: layouts of the input, bias and weight") {
  for (const DType dtype : kTypes) {
    for (const NamedTensor& x : inEveryLayout(numbers(dtype, {4, 9, 24}, 1))) {
      for (const NamedTensor& weight : inEveryLayout(numbers(dtype, {10, 24}, 2))) {
        CAPTURE(x.layout);
        CAPTURE(weight.layout);
        const TestTensor bias = numbers(dtype, {20}, 3).sliced(0, 0, 10, 2);
        compare(Op::linear, {x.tensor, weight.tensor, bias}, {{dtype, {4, 9, 10}}}, {}, {},
                toleranceOf(dtype));
      }
    }
    compare(Op::linear,
            {numbers(dtype, {24}, 1), numbers(dtype, {10, 24}, 2), numbers(dtype, {10}, 3)},
            {{dtype, {10}}}, {}, {}, toleranceOf(dtype));
    compare(Op::linear,
            {numbers(dtype, {0, 24}, 1), numbers(dtype, {10, 24}, 2), numbers(dtype, {10}, 3)},
            {{dtype, {0, 10}}}, {}, {}, toleranceOf(dtype));
    compare(Op::linear,
            {numbers(dtype, {5, 0}, 1), numbers(dtype, {10, 0}, 2), numbers(dtype, {10}, 3)},
            {{dtype, {5, 10}}}, {}, {}, toleranceOf(dtype));
  }
}

TEST_CASE("cuda linearEpilogue: residual and ReLU") {
  TestTensor x = numbers(DType::float32, {33, 24}, 1);
  x.set(50, NAN);
  const TestTensor weight = numbers(DType::float32, {41, 24}, 2);
  const TestTensor bias = numbers(DType::float32, {41}, 3);
  for (const NamedTensor& residual : inEveryLayout(numbers(DType::float32, {33, 41}, 4))) {
    for (int bits = 0; bits < 4; ++bits) {
      compare(Op::linearEpilogue, {x, weight, bias, residual.tensor}, {{DType::float32, {33, 41}}},
              {bits & 1, bits >> 1});
    }
  }
}

}  // namespace
}  // namespace testing
}  // namespace kindling
