// Copies on the emulated device: every layout, dtype and width of access, against the CPU.

#include <cstring>

#include "cuda/compare.h"

using namespace kindling;
using namespace kindling::testing;

namespace {

double counting(int64_t i) { return static_cast<double>(i % 251); }

const DType kPlainTypes[] = {DType::float32, DType::float64, DType::int32,
                             DType::int64,   DType::uint8,   DType::boolean};

/// Halves, which test tensors have no numbers for: the bits 0, 1, 2, ... of contiguous tensors.
TestTensor bitsOf(DType dtype, const Shape& shape) {
  TestTensor tensor(dtype, shape);
  auto* const bits = static_cast<uint16_t*>(tensor.view().data);
  for (int64_t i = 0; i < tensor.size(); ++i) bits[i] = static_cast<uint16_t>(i * 977);
  return tensor;
}

void requireSameBytes(const TestTensor& a, const TestTensor& b) {
  const size_t bytes = static_cast<size_t>(a.size()) * kDTypeBytes[static_cast<int>(a.dtype())];
  REQUIRE(std::memcmp(a.view().data, b.view().data, bytes) == 0);
}

/// An op on tensors whose elements are compared as bytes.
void compareBytes(Op op, const std::vector<TestTensor>& inputs, DType dtype, const Shape& shape,
                  const std::vector<int32_t>& ints = {}) {
  const TestTensor device(dtype, shape), cpu(dtype, shape);
  REQUIRE(execute(cpuBackend(), recordOf(op, inputs, {cpu}, ints, {})) == Status::ok);
  REQUIRE(runOnDevice(op, inputs, {device}, ints) == Status::ok);
  requireSameBytes(device, cpu);
}

}  // namespace

TEST_CASE("cuda copy: every layout and dtype") {
  const std::vector<Shape> shapes = {{},       {1},         {7},       {1024},         {3, 5},
                                     {33, 40}, {64, 128},   {2, 3, 4}, {5, 16, 8},     {3, 9, 35},
                                     {0, 4},   {70, 1, 36}, {8, 8},    {2, 3, 4, 5, 6}};
  for (const DType dtype : kPlainTypes) {
    for (const Shape& shape : shapes) {
      const TestTensor source = TestTensor::generate(dtype, shape, counting);
      for (const NamedTensor& input : inEveryLayout(source)) {
        CAPTURE(input.layout);
        compare(Op::copy, {input.tensor}, {source}, {}, {}, kExact);
      }
    }
  }
}

TEST_CASE("cuda copy: broadcast, permuted and many elements") {
  const TestTensor row = TestTensor::generate(DType::float32, {1, 130}, counting);
  const TestTensor column = TestTensor::generate(DType::float32, {90, 1}, counting);
  const TestTensor out(DType::float32, {90, 130});
  compare(Op::copy, {row.expanded({90, 130})}, {out}, {}, {}, kExact);
  compare(Op::copy, {column.expanded({90, 130})}, {out}, {}, {}, kExact);
  // [n, c, h, w] to channels last and back: tiles with two batch axes.
  const TestTensor image = TestTensor::generate(DType::float32, {3, 20, 9, 33}, counting);
  const TestTensor last = image.transposed(1, 2).transposed(2, 3);
  compare(Op::copy, {last}, {TestTensor(DType::float32, {3, 9, 33, 20})}, {}, {}, kExact);
  const TestTensor large = TestTensor::generate(DType::float32, {1000, 1001}, counting);
  compare(Op::copy, {large.transposed(0, 1)}, {TestTensor(DType::float32, {1001, 1000})}, {}, {},
          kExact);
  compare(Op::copy, {large.sliced(1, 1, 1000)}, {TestTensor(DType::float32, {1000, 1000})}, {}, {},
          kExact);
}

TEST_CASE("cuda copy: halves") {
  for (const DType dtype : {DType::float16, DType::bfloat16}) {
    for (const Shape& shape : {Shape{1}, Shape{7}, Shape{12, 24}, Shape{33, 65}}) {
      const TestTensor source = bitsOf(dtype, shape);
      compareBytes(Op::copy, {source}, dtype, shape);
      if (shape.size() < 2) continue;
      compareBytes(Op::copy, {source.transposed(0, 1)}, dtype, {shape[1], shape[0]});
      compareBytes(Op::copy, {source.sliced(1, 1, shape[1] - 1)}, dtype, {shape[0], shape[1] - 1});
    }
  }
}

TEST_CASE("cuda concat") {
  for (const DType dtype : kPlainTypes) {
    for (int axis = 0; axis < 3; ++axis) {
      for (const int64_t extent : {0, 1, 4, 5}) {
        Shape a = {3, 4, 8}, b = a, out = a;
        b[static_cast<size_t>(axis)] = extent;
        out[static_cast<size_t>(axis)] += extent;
        const TestTensor first = TestTensor::generate(dtype, a, counting);
        const TestTensor second = TestTensor::generate(dtype, b, counting);
        compare(Op::concat, {first, second}, {TestTensor(dtype, out)}, {axis}, {}, kExact);
      }
    }
  }
  const TestTensor wide = TestTensor::generate(DType::float32, {40, 30}, counting);
  compare(Op::concat, {wide.transposed(0, 1), wide.transposed(0, 1).flipped(0)},
          {TestTensor(DType::float32, {60, 40})}, {0}, {}, kExact);
  compareBytes(Op::concat, {bitsOf(DType::float16, {3, 5}), bitsOf(DType::float16, {3, 2})},
               DType::float16, {3, 7}, {1});
}

TEST_CASE("cuda sliceBackward") {
  for (const DType dtype : {DType::float32, DType::int32, DType::float64, DType::int64}) {
    const TestTensor grad = TestTensor::generate(dtype, {3, 4, 8}, counting);
    const std::vector<std::vector<int32_t>> slices = {
        {3, 0, 1, 0, 1, 0, 1}, {3, 2, 2, 3, 1, 0, 1}, {3, 6, -3, 0, 2, 15, -2}};
    for (const auto& ints : slices) {
      const bool whole = &ints == &slices[0];
      const TestTensor out(dtype, whole ? Shape{3, 4, 8} : Shape{7, 9, 17});
      compare(Op::sliceBackward, {grad}, {out}, ints, {}, kExact);
      compare(Op::sliceBackward,
              {TestTensor::generate(dtype, {3, 8, 4}, counting).transposed(1, 2)}, {out}, ints, {},
              kExact);
    }
    const TestTensor none(dtype, {0, 3});
    compare(Op::sliceBackward, {none}, {TestTensor(dtype, {5, 3})}, {2, 0, 1, 0, 1}, {}, kExact);
    compare(Op::sliceBackward, {TestTensor::generate(dtype, {2}, counting)},
            {TestTensor(dtype, {5})}, {1, 0, 0}, {}, kExact);
  }
}

TEST_CASE("cuda assign") {
  CompareOptions first;
  first.inPlace = 1;
  for (const DType dtype : kPlainTypes) {
    for (const Shape& shape : {Shape{}, Shape{5}, Shape{1024}, Shape{33, 36}, Shape{0}}) {
      const TestTensor target = TestTensor::generate(dtype, shape, counting);
      const TestTensor source =
          TestTensor::generate(dtype, shape, [](int64_t i) { return counting(3 * i + 1); });
      for (const NamedTensor& input : inEveryLayout(source)) {
        compare(Op::assign, {target, input.tensor}, {}, {}, {}, kExact, first);
      }
    }
  }
}

TEST_CASE("cuda assign: targets of any strides, and one that overlaps its source") {
  const auto run = [](const TestTensor& memory, const TestTensor& target, const TestTensor& source,
                      bool onDevice) {
    // Both views lie in `memory`, which goes to the device as a whole.
    if (!onDevice) {
      REQUIRE(execute(cpuBackend(), recordOf(Op::assign, {target, source}, {}, {}, {})) ==
              Status::ok);
      return;
    }
    const Backend& backend = cudaBackend();
    const OnDevice there(backend, memory.view(), true);
    OpCall call = recordOf(Op::assign, {target, source}, {}, {}, {});
    for (int k = 0; k < 2; ++k) {
      const auto offset =
          static_cast<char*>(call.inputs[k].data) - static_cast<char*>(memory.view().data);
      call.inputs[k].data = static_cast<char*>(there.view().data) + offset;
    }
    REQUIRE(runKernel(backend, call) == Status::ok);
    REQUIRE(backend.synchronize(backend.device) == Status::ok);
    REQUIRE(there.fetch() == Status::ok);
  };
  TestTensor results[2] = {TestTensor(DType::float32, {40, 40}),
                           TestTensor(DType::float32, {40, 40})};
  for (int device = 0; device < 2; ++device) {
    const TestTensor m = TestTensor::generate(DType::float32, {40, 40}, counting);
    run(m, m, m.transposed(0, 1), device == 1);
    run(m, m.sliced(0, 0, 20), m.sliced(0, 39, 20, -1), device == 1);
    run(m, m.sliced(1, 1, 13, 3).flipped(0), m.sliced(1, 0, 13, 2), device == 1);
    results[device] = m;
  }
  requireClose("assign", results[1], results[0], kExact);
}
