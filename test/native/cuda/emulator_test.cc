#include "cuda/compare.h"
#include "doctest/doctest.h"

namespace kindling {
namespace testing {

TEST_CASE("the emulated device copies") {
  const TestTensor x =
      TestTensor::generate(DType::float32, {5, 7}, [](int64_t i) { return double(i); });
  compare(Op::copy, {x.transposed(0, 1)}, {TestTensor(DType::float32, {7, 5})});
}

}  // namespace testing
}  // namespace kindling
