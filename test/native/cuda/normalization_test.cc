// Normalization on the device against the CPU's: groups that a warp, a block or several blocks
// share, and groups beside each other.

#include <vector>

#include "cuda/compare.h"

namespace kindling {
namespace testing {
namespace {

TestTensor numbers(DType dtype, const Shape& shape, int seed, double middle = 0) {
  return TestTensor::generate(dtype, shape, [=](int64_t i) {
    return middle + static_cast<double>((i * 7919 + seed * 131) % 1009) / 504.5 - 1;
  });
}

Tolerance toleranceOf(DType dtype) {
  return dtype == DType::float64 ? Tolerance{1e-11, 1e-11} : Tolerance{5e-5, 5e-5};
}

constexpr DType kBoth[] = {DType::float32, DType::float64};
constexpr double kEps = 1e-5;

const std::vector<Shape>& shapes() {
  static const std::vector<Shape> all = {
      {1, 1, 1},  {1, 5, 7},    {1, 33, 64},   {1, 3, 1030}, {1, 2, 9000}, {4, 3, 5},
      {3, 5, 16}, {2, 4, 4100}, {2, 1, 20001}, {64, 3, 1},   {70, 33, 1},  {300, 40, 1},
      {1, 40, 1}, {9, 1, 1},    {0, 3, 4},     {2, 0, 4},    {2, 3, 0},    {3, 2, 8192}};
  return all;
}

TEST_CASE("cuda normalize: forward and back") {
  for (const DType dtype : kBoth) {
    for (const Shape& shape : shapes()) {
      for (const int centred : {1, 0}) {
        CAPTURE(shape[0]);
        CAPTURE(shape[1]);
        CAPTURE(shape[2]);
        const Shape groups = {shape[1]};
        compare(Op::normalize, {numbers(dtype, shape, 1, 2)},
                {{dtype, shape}, {dtype, groups}, {dtype, groups}}, {centred}, {kEps},
                toleranceOf(dtype));
        const TestTensor variance = numbers(dtype, groups, 3, 1.5);
        compare(Op::normalizeBackward,
                {numbers(dtype, shape, 1), numbers(dtype, shape, 2), variance}, {{dtype, shape}},
                {centred}, {kEps}, toleranceOf(dtype));
      }
    }
  }
}

TEST_CASE("cuda normalizeAffine: parameters of groups and of positions") {
  for (const DType dtype : kBoth) {
    for (const Shape& shape : shapes()) {
      for (const int byPosition : {0, 1}) {
        if (byPosition && shape[0] != 1) continue;
        for (const int centred : {1, 0}) {
          CAPTURE(shape[0]);
          CAPTURE(shape[1]);
          CAPTURE(shape[2]);
          CAPTURE(byPosition);
          const Shape groups = {shape[1]}, of = {shape[byPosition ? 2 : 1]};
          const TestTensor weight = numbers(dtype, {2 * of[0]}, 5, 1);
          const TestTensor every = of[0] > 0 ? weight.sliced(0, 0, of[0], 2) : weight;
          compare(Op::normalizeAffine, {numbers(dtype, shape, 1, 2), every, numbers(dtype, of, 6)},
                  {{dtype, shape}, {dtype, groups}, {dtype, groups}}, {centred, byPosition}, {kEps},
                  toleranceOf(dtype));
          // Sums of as many terms as there are elements lose as many digits more.
          Tolerance back = toleranceOf(dtype);
          if (dtype == DType::float32) back.absolute = 5e-4;
          compare(Op::normalizeAffineBackward,
                  {numbers(dtype, shape, 1), numbers(dtype, shape, 2, 1), every,
                   numbers(dtype, groups, 3, 1), numbers(dtype, groups, 4, 1.5)},
                  {{dtype, shape}, {dtype, of}, {dtype, of}}, {centred, byPosition}, {kEps}, back);
        }
      }
    }
  }
}

TEST_CASE("cuda normalize: every layout") {
  for (const DType dtype : kBoth) {
    for (const NamedTensor& x : inEveryLayout(numbers(dtype, {3, 5, 12}, 1))) {
      CAPTURE(x.layout);
      compare(Op::normalizeAffine, {x.tensor, numbers(dtype, {5}, 2), numbers(dtype, {5}, 3)},
              {{dtype, {3, 5, 12}}, {dtype, {5}}, {dtype, {5}}}, {1, 0}, {kEps},
              toleranceOf(dtype));
      compare(Op::normalizeAffineBackward,
              {x.tensor, x.tensor, numbers(dtype, {5}, 2), numbers(dtype, {5}, 3),
               numbers(dtype, {5}, 4, 2)},
              {{dtype, {3, 5, 12}}, {dtype, {5}}, {dtype, {5}}}, {1, 0}, {kEps},
              toleranceOf(dtype));
    }
  }
}

TEST_CASE("cuda normalize: far from zero the variance keeps its digits") {
  for (const Shape& shape : {Shape{1, 4, 3000}, Shape{2, 2, 8192}, Shape{500, 3, 1}}) {
    compare(Op::normalize, {numbers(DType::float32, shape, 1, 1000)},
            {{DType::float32, shape}, {DType::float32, {shape[1]}}, {DType::float32, {shape[1]}}},
            {1}, {kEps}, {2e-4, 2e-4});
  }
}

TEST_CASE("cuda normalize: a NaN spoils its own group only") {
  for (const Shape& shape : {Shape{1, 5, 40}, Shape{4, 5, 2000}, Shape{70, 5, 1}}) {
    TestTensor x = numbers(DType::float32, shape, 1);
    x.set(shape[2] * 2, NAN);
    compare(Op::normalize, {x},
            {{DType::float32, shape}, {DType::float32, {5}}, {DType::float32, {5}}}, {1}, {kEps},
            toleranceOf(DType::float32));
  }
}

}  // namespace
}  // namespace testing
}  // namespace kindling
