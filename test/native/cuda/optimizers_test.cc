// Steps of every optimizer on the emulated device, one parameter and many in one launch.

#include "cuda/optimizers.h"
#include "cuda/compare.h"

using namespace kindling;
using namespace kindling::testing;

namespace {

struct Case {
  Op op;
  std::vector<int32_t> ints;
  std::vector<double> floats;
};

const std::vector<Case> kCases = {
    {Op::sgdStep, {0, 1}, {0.1, 0, 0, 0}},
    {Op::sgdStep, {0, 1}, {0.1, 0.9, 0.1, 0.01}},
    {Op::sgdStep, {0, 0}, {0.1, 0.9, 0.1, 0.01}},
    {Op::sgdStep, {1, 0}, {0.1, 0.9, 0, 0.01}},
    {Op::adamStep, {1, 0}, {0.01, 0.9, 0.999, 1e-8, 0.1}},
    {Op::adamStep, {7, 1}, {0.01, 0.9, 0.999, 1e-8, 0.1}},
    {Op::adamStep, {0, 0}, {0.01, 0.9, 0.999, 1e-8, 0.1}},
    {Op::rmspropStep, {}, {0.01, 0.99, 1e-8, 0.01, 0}},
    {Op::rmspropStep, {}, {0.01, 0.99, 1e-8, 0.01, 0.9}},
    {Op::amsgradStep, {3, 0}, {0.01, 0.9, 0.999, 1e-8, 0.1}},
    {Op::amsgradStep, {3, 1}, {0.01, 0.9, 0.999, 1e-8, 0.1}},
    {Op::nadamStep, {3}, {0.01, 0.9, 0.999, 1e-8, 0.1, 0.02, 0.03}},
    {Op::radamStep, {3}, {0.01, 0.9, 0.999, 1e-8, 0.1, 0}},
    {Op::radamStep, {9}, {0.01, 0.9, 0.999, 1e-8, 0.1, 0.4}},
    {Op::radamStep, {0}, {0.01, 0.9, 0.999, 1e-8, 0.1, 0.4}},
    {Op::adamaxStep, {3}, {0.01, 0.9, 0.999, 1e-8, 0.1}},
    {Op::lambDirection, {3}, {0.01, 0.9, 0.999, 1e-6, 0.1}},
    {Op::adagradStep, {}, {0.1, 1e-10, 0.01}},
    {Op::adadeltaStep, {}, {1, 0.9, 1e-6, 0.01}},
    {Op::lionStep, {}, {0.01, 0.9, 0.99, 0.1}},
    {Op::rmspropCenteredStep, {}, {0.01, 0.99, 1e-8, 0.01, 0.9}},
    {Op::averageStep, {}, {0.99}},
};

/// Parameter, gradient and state; second moments and sums are not negative.
std::vector<TestTensor> operands(Op op, DType dtype, const Shape& shape, int64_t seed) {
  std::vector<TestTensor> result;
  for (int k = 0; k < opInfo(op).inputs; ++k) {
    result.push_back(TestTensor::generate(dtype, shape, [=](int64_t i) {
      const double x = std::sin(0.7 * static_cast<double>(i + seed) + 2.0 * k);
      return k < 2 ? x : 0.5 * x * x + 0.51;
    }));
  }
  return result;
}

Tolerance toleranceOf(DType dtype) {
  return dtype == DType::float32 ? Tolerance{2e-6, 1e-6} : Tolerance{1e-13, 1e-13};
}

}  // namespace

TEST_CASE("cuda optimizer steps") {
  for (const Case& test : kCases) {
    CompareOptions options;
    options.inPlace = opInfo(test.op).inputs;
    for (const DType dtype : {DType::float32, DType::float64}) {
      for (const Shape& shape :
           {Shape{}, Shape{1}, Shape{5}, Shape{1024}, Shape{4099}, Shape{9, 20}, Shape{0}}) {
        compare(test.op, operands(test.op, dtype, shape, 1), {}, test.ints, test.floats,
                toleranceOf(dtype), options);
      }
      // Gradients of any strides: the state must be the same whatever the gradient's layout.
      const auto dense = operands(test.op, dtype, {6, 8}, 2);
      for (const NamedTensor& grad : inEveryLayout(dense[1])) {
        auto expected = operands(test.op, dtype, {6, 8}, 2), actual = expected;
        actual[1] = grad.tensor;
        const Status status =
            execute(cpuBackend(), recordOf(test.op, expected, {}, test.ints, test.floats));
        REQUIRE(runOnDevice(test.op, actual, {}, test.ints, test.floats) == status);
        if (status != Status::ok) continue;
        CAPTURE(grad.layout);
        for (size_t k = 0; k < actual.size(); ++k) {
          requireClose(nameOf(test.op), actual[k], expected[k], toleranceOf(dtype));
        }
      }
    }
  }
}

TEST_CASE("cuda: steps of many parameters in one launch are those one by one") {
  const Backend& backend = cudaBackend();
  for (const Case& test : {kCases[2], kCases[5], kCases[9]}) {
    constexpr int kCount = 60;  // more than one launch takes
    std::vector<std::vector<TestTensor>> host;
    std::vector<std::unique_ptr<OnDevice>> device;
    std::vector<OpCall> calls;
    for (int i = 0; i < kCount; ++i) {
      const int64_t size = i % 7 == 6 ? 9000 + i : i % 7 == 5 ? 0 : 3 * i;
      host.push_back(operands(test.op, DType::float32, {size}, i));
      OpCall call = recordOf(test.op, host.back(), {}, test.ints, test.floats);
      for (int k = 0; k < opInfo(test.op).inputs; ++k) {
        device.push_back(std::make_unique<OnDevice>(backend, call.inputs[k], true));
        call.inputs[k] = device.back()->view();
      }
      calls.push_back(call);
    }
    // The first parameter steps twice: the second step must see the first.
    calls.push_back(calls[1]);
    std::vector<const OpCall*> pointers;
    for (const OpCall& call : calls) {
      CHECK(cuda::stepsJoin(calls[0], call));
      pointers.push_back(&call);
    }
    REQUIRE(cuda::stepTogether(pointers.data(), static_cast<int>(pointers.size())) == Status::ok);
    REQUIRE(backend.synchronize(backend.device) == Status::ok);
    for (int i = 0; i <= kCount; ++i) {
      const OpCall call = recordOf(test.op, host[static_cast<size_t>(i == kCount ? 1 : i)], {},
                                   test.ints, test.floats);
      REQUIRE(execute(cpuBackend(), call) == Status::ok);
    }
    size_t next = 0;
    for (const auto& tensors : host) {
      for (const TestTensor& expected : tensors) {
        const TestTensor actual = copyOf(expected);
        const OnDevice& there = *device[next++];
        if (expected.size() == 0) continue;
        REQUIRE(backend.copyToHost(backend.device, actual.view().data, there.view().data,
                                   static_cast<size_t>(expected.size()) * 4) == Status::ok);
        requireClose(nameOf(test.op), actual, expected, toleranceOf(DType::float32));
      }
    }
    OpCall other = calls[0];
    other.floats[0] = 0.5;
    CHECK(!cuda::stepsJoin(calls[0], other));
    other = calls[0];
    other.op = Op::adagradStep;
    CHECK(!cuda::stepsJoin(calls[0], other));
  }
}

TEST_CASE("cuda: a step after an error updates nothing") {
  const Backend& backend = cudaBackend();
  const auto host = operands(Op::sgdStep, DType::float32, {50}, 1);
  const TestTensor param = copyOf(host[0]);
  OnDevice p(backend, param.view(), true), g(backend, host[1].view(), true);
  OnDevice v(backend, host[2].view(), true);
  const TestTensor index = TestTensor::ints({1}, {99});
  const TestTensor row(DType::float32, {1});
  OnDevice badIndex(backend, index.view(), true), selected(backend, row.view(), false);
  OpCall select = recordOf(Op::indexSelect, {host[0], index}, {row}, {}, {});
  select.inputs[0] = p.view();
  select.inputs[1] = badIndex.view();
  select.outputs[0] = selected.view();
  OpCall step = recordOf(Op::sgdStep, host, {}, {0, 1}, {0.1, 0, 0, 0});
  step.inputs[0] = p.view();
  step.inputs[1] = g.view();
  step.inputs[2] = v.view();
  REQUIRE(runKernel(backend, select) == Status::ok);
  REQUIRE(runKernel(backend, step) == Status::ok);
  REQUIRE(backend.synchronize(backend.device) == Status::indexOutOfRange);
  REQUIRE(p.fetch() == Status::ok);
  requireClose("sgdStep", param, host[0], kExact);
  REQUIRE(runKernel(backend, step) == Status::ok);
  REQUIRE(backend.synchronize(backend.device) == Status::ok);
  REQUIRE(p.fetch() == Status::ok);
  CHECK(param.at(0) != host[0].at(0));
}
