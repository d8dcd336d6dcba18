// Softmax and its losses on the device against the CPU's.

#include <vector>

#include "cuda/compare.h"

namespace kindling {
namespace testing {
namespace {

TestTensor numbers(DType dtype, const Shape& shape, int seed, double size = 3) {
  return TestTensor::generate(dtype, shape, [=](int64_t i) {
    return (static_cast<double>((i * 7919 + seed * 131) % 1009) / 504.5 - 1) * size;
  });
}

Tolerance toleranceOf(DType dtype) {
  return dtype == DType::float64 ? Tolerance{1e-13, 1e-14} : Tolerance{2e-5, 2e-6};
}

constexpr DType kBoth[] = {DType::float32, DType::float64};
const std::vector<Shape>& shapes() {
  // Around a lane's four, a warp's and a block's share, with and without a rest.
  static const std::vector<Shape> all = {{},        {1},       {5, 1},     {7, 3},     {3, 4},
                                         {2, 127},  {2, 128},  {3, 2, 33}, {19, 1024}, {2, 1025},
                                         {3, 1028}, {1, 4099}, {2, 20000}, {0, 8},     {4, 0}};
  return all;
}

TEST_CASE("cuda softmax: forward and back") {
  for (const DType dtype : kBoth) {
    for (const Shape& shape : shapes()) {
      for (const Op op : {Op::softmax, Op::logSoftmax}) {
        compare(op, {numbers(dtype, shape, 1)}, {{dtype, shape}}, {}, {}, toleranceOf(dtype));
      }
      for (const Op op : {Op::softmaxBackward, Op::logSoftmaxBackward}) {
        compare(op, {numbers(dtype, shape, 1, 1), numbers(dtype, shape, 2, 0.3)}, {{dtype, shape}},
                {}, {}, {1e-4, dtype == DType::float64 ? 1e-12 : 1e-4});
      }
    }
  }
}

TEST_CASE("cuda softmax: every layout") {
  for (const DType dtype : kBoth) {
    for (const NamedTensor& x : inEveryLayout(numbers(dtype, {5, 6, 36}, 1))) {
      CAPTURE(x.layout);
      compare(Op::softmax, {x.tensor}, {{dtype, {5, 6, 36}}}, {}, {}, toleranceOf(dtype));
      compare(Op::softmaxBackward, {numbers(dtype, {5, 6, 36}, 3), x.tensor}, {{dtype, {5, 6, 36}}},
              {}, {}, {1e-4, 1e-4});
    }
  }
}

TEST_CASE("cuda softmax: values that are not finite") {
  for (const DType dtype : kBoth) {
    for (const int64_t width : {5, 36, 1500}) {
      TestTensor x = numbers(dtype, {8, width}, 1);
      x.set(0 * width + 1, NAN);
      x.set(1 * width + width - 1, INFINITY);
      x.set(2 * width + 2, -INFINITY);
      for (int64_t i = 0; i < width; ++i) {
        x.set(3 * width + i, -INFINITY);
        x.set(4 * width + i, i < width / 2 ? -INFINITY : 1e4);
        x.set(5 * width + i, i == width - 1 ? -1e30 : -INFINITY);
        x.set(6 * width + i, NAN);
      }
      compare(Op::softmax, {x}, {{dtype, {8, width}}}, {}, {}, toleranceOf(dtype));
      compare(Op::logSoftmax, {x}, {{dtype, {8, width}}}, {}, {}, {2e-5, 2e-5});
      const TestTensor labels = TestTensor::ints({8}, {0, 1, 2, 3, 4, 4, 1, 0});
      compare(Op::crossEntropy, {x, labels}, {{dtype, {8}}}, {}, {}, {2e-5, 2e-5});
    }
  }
}

TEST_CASE("cuda crossEntropy: forward and back") {
  for (const DType dtype : kBoth) {
    for (const Shape& shape : shapes()) {
      if (shape.size() != 2 || (shape[0] > 0 && shape[1] == 0)) continue;
      const TestTensor labels = TestTensor::generate(DType::int32, {2 * shape[0]}, [&](int64_t i) {
        return static_cast<double>(i * 31 % shape[1]);
      });
      const TestTensor every = shape[0] > 0 ? labels.sliced(0, 0, shape[0], 2) : labels;
      for (const NamedTensor& x : inEveryLayout(numbers(dtype, shape, 1))) {
        if (shape[0] * shape[1] > 5000 && x.layout != "contiguous") continue;
        CAPTURE(x.layout);
        compare(Op::crossEntropy, {x.tensor, every}, {{dtype, {shape[0]}}}, {}, {},
                {2e-5, dtype == DType::float64 ? 1e-12 : 1e-5});
        const TestTensor grad = numbers(dtype, {shape[0]}, 5, 1);
        compare(Op::crossEntropyBackward, {x.tensor, every, grad}, {{dtype, shape}}, {}, {},
                toleranceOf(dtype));
        const TestTensor one = numbers(dtype, {1}, 6, 1).expanded({shape[0]});
        compare(Op::crossEntropyBackward, {x.tensor, every, one}, {{dtype, shape}}, {}, {},
                toleranceOf(dtype));
      }
    }
  }
}

TEST_CASE("cuda crossEntropy: a label out of range is an error") {
  for (const double wrong : {5.0, -1.0}) {
    const TestTensor labels = TestTensor::ints({3}, {0, wrong, 4});
    const TestTensor x = numbers(DType::float32, {3, 5}, 1);
    compare(Op::crossEntropy, {x, labels}, {{DType::float32, {3}}});
    compare(Op::crossEntropyBackward, {x, labels, numbers(DType::float32, {3}, 2)},
            {{DType::float32, {3, 5}}});
  }
}

}  // namespace
}  // namespace testing
}  // namespace kindling
