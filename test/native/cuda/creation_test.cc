// Tensors from nothing and random numbers on the emulated device: the CPU's numbers.

#include <cstring>
#include <limits>

#include "cuda/compare.h"

using namespace kindling;
using namespace kindling::testing;

namespace {

const DType kTypes[] = {DType::float32, DType::int32, DType::boolean,
                        DType::float64, DType::int64, DType::uint8};
const int64_t kSizes[] = {0, 1, 3, 4, 15, 16, 17, 1024, 4099};

}  // namespace

TEST_CASE("cuda full") {
  for (const DType dtype : kTypes) {
    for (const int64_t size : kSizes) {
      for (const double value : {0.0, 1.0, -2.75, 300.0, 3e9}) {
        compare(Op::full, {}, {TestTensor(dtype, {size})}, {}, {value}, kExact);
      }
    }
  }
  compare(Op::full, {}, {TestTensor(DType::float32, {7})}, {}, {std::nan("")}, kExact);
  const TestTensor zero(DType::float32, {5});
  REQUIRE(runOnDevice(Op::full, {}, {zero}, {}, {-0.0}) == Status::ok);
  CHECK(std::signbit(zero.at(4)));
  for (const DType half : {DType::float16, DType::bfloat16}) {
    const TestTensor a(half, {37}), b(half, {37});
    REQUIRE(runOnDevice(Op::full, {}, {a}, {}, {0.3}) == Status::ok);
    REQUIRE(execute(cpuBackend(), recordOf(Op::full, {}, {b}, {}, {0.3})) == Status::ok);
    CHECK(std::memcmp(a.view().data, b.view().data, 74) == 0);
  }
}

TEST_CASE("cuda arange and eye") {
  for (const DType dtype : kTypes) {
    if (dtype == DType::boolean) continue;
    for (const int64_t size : kSizes) {
      compare(Op::arange, {}, {TestTensor(dtype, {size})}, {}, {0, 1}, kExact);
      compare(Op::arange, {}, {TestTensor(dtype, {size})}, {}, {2.5, -0.3}, kExact);
    }
  }
  for (const DType dtype : {DType::float32, DType::int32, DType::boolean, DType::float64,
                            DType::int64, DType::uint8, DType::float16, DType::bfloat16}) {
    for (const Shape& shape :
         {Shape{0, 3}, Shape{1, 1}, Shape{5, 5}, Shape{3, 70}, Shape{300, 7}}) {
      compare(Op::eye, {}, {TestTensor(dtype, shape)}, {}, {}, kExact);
    }
  }
}

TEST_CASE("cuda random numbers are the CPU's") {
  for (const int64_t size : {int64_t{0}, int64_t{1}, int64_t{5}, int64_t{1024}, int64_t{100003}}) {
    const TestTensor out(DType::float32, {size});
    for (const std::vector<int32_t>& ints :
         {std::vector<int32_t>{1, 2, 3, 4}, std::vector<int32_t>{-7, 9, -2, 0}}) {
      compare(Op::randomUniform, {}, {out}, ints, {0, 1}, kExact);
      compare(Op::randomUniform, {}, {out}, ints, {-3, 7.7}, kExact);
      compare(Op::randomBernoulli, {}, {out}, ints, {0.3, 2.5}, kExact);
      compare(Op::randomBernoulli, {}, {out}, ints, {1, 2.5}, kExact);
      compare(Op::randomBernoulli, {}, {out}, ints, {0, 2.5}, kExact);
      compare(Op::randomNormal, {}, {out}, ints, {0, 1}, {1e-6, 1e-7});
      compare(Op::randomNormal, {}, {out}, ints, {10, 0.5}, {1e-6, 1e-7});
    }
  }
}
