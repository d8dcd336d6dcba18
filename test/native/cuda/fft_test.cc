#include <vector>

#include "cuda/compare.h"
#include "cuda/numbers.h"
#include "doctest/doctest.h"

namespace kindling {
namespace testing {
namespace {

/// The CPU and the device each err by a few units times the logarithm of the length; elements are
/// up to the root of the length.
Tolerance toleranceOf(DType dtype, int64_t n) {
  const double unit = dtype == DType::float64 ? 1.2e-15 : 6e-7;
  return {unit, unit * std::sqrt(static_cast<double>(n))};
}

const std::vector<DType>& floatTypes() {
  static const std::vector<DType> types = {DType::float32, DType::float64};
  return types;
}

TEST_CASE("cuda: fft, rfft and irfft of every length to 40 and some beyond") {
  Numbers random(1);
  std::vector<int64_t> lengths;
  for (int64_t n = 1; n <= 40; ++n) lengths.push_back(n);
  for (int64_t n :
       {64, 77, 100, 127, 128, 243, 256, 289, 341, 512, 961, 1000, 1021, 1024, 2310, 4096}) {
    lengths.push_back(n);
  }
  for (int64_t n : lengths) {
    for (DType dtype : floatTypes()) {
      CAPTURE(n);
      const int32_t length = static_cast<int32_t>(n);
      const double scale = 1.0 / std::sqrt(static_cast<double>(n));
      const Tolerance tolerance = toleranceOf(dtype, n);
      const TestTensor x = random.tensor(dtype, {3, n, 2}), real = random.tensor(dtype, {3, n});
      const TestTensor half = random.tensor(dtype, {3, n / 2 + 1, 2});
      for (int32_t inverse : {0, 1}) {
        compare(Op::fft, {x}, {TestTensor(dtype, {3, n, 2})}, {1, length, inverse}, {1.0},
                tolerance);
      }
      compare(Op::rfft, {real}, {TestTensor(dtype, {3, n / 2 + 1, 2})}, {1, length}, {scale, 1.0},
              tolerance);
      compare(Op::irfft, {half}, {TestTensor(dtype, {3, n})}, {1, length}, {scale, 0.5}, tolerance);
    }
  }
}

TEST_CASE("cuda: transforms too long for shared memory") {
  Numbers random(2);
  for (int64_t n : {8192, 12000, 16384, 10007}) {
    for (DType dtype : floatTypes()) {
      CAPTURE(n);
      const int32_t length = static_cast<int32_t>(n);
      compare(Op::fft, {random.tensor(dtype, {2, n, 2})}, {TestTensor(dtype, {2, n, 2})},
              {1, length, 0}, {1.0}, toleranceOf(dtype, n));
      compare(Op::rfft, {random.tensor(dtype, {n, 2})}, {TestTensor(dtype, {n / 2 + 1, 2, 2})},
              {0, length}, {0.01, 1.0}, toleranceOf(dtype, n));
      compare(Op::irfft, {random.tensor(dtype, {2, n / 2 + 1, 2})}, {TestTensor(dtype, {2, n})},
              {1, length}, {0.01, 1.0}, toleranceOf(dtype, n));
    }
  }
}

TEST_CASE("cuda: transforms along any axis, in any layout, padded and cut") {
  Numbers random(3);
  for (int i = 0; i < 60; ++i) {
    const DType dtype = random.oneOf({DType::float32, DType::float64});
    const int axes = static_cast<int>(random.between(1, 4));
    const int axis = static_cast<int>(random.between(0, axes - 1));
    const int64_t n = random.oneOf<int64_t>({1, 2, 5, 8, 12, 17, 32, 37, 60});
    Shape in, out;
    for (int j = 0; j < axes; ++j) in.push_back(random.between(j == axis ? 0 : 1, 5));
    out = in;
    in[static_cast<size_t>(axis)] = n + random.between(-1, 2);
    out[static_cast<size_t>(axis)] = n + random.between(-1, 2);
    const auto complexOf = [](Shape shape) {
      shape.push_back(2);
      return shape;
    };
    const int32_t length = static_cast<int32_t>(n);
    const Tolerance tolerance = toleranceOf(dtype, n);
    CAPTURE(axes);
    CAPTURE(axis);
    CAPTURE(n);
    const TestTensor real = random.inSomeLayout(random.tensor(dtype, in));
    const TestTensor pairs = random.inSomeLayout(random.tensor(dtype, complexOf(in)));
    compare(Op::fft, {pairs}, {TestTensor(dtype, complexOf(out))}, {axis, length, i % 2}, {0.5},
            tolerance);
    compare(Op::rfft, {real}, {TestTensor(dtype, complexOf(out))}, {axis, length}, {0.5, 2.0},
            tolerance);
    compare(Op::irfft, {pairs}, {TestTensor(dtype, out)}, {axis, length}, {0.5, 0.5}, tolerance);
  }
}

}  // namespace
}  // namespace testing
}  // namespace kindling
