// Rows and elements by number on the emulated device, in both modes of adding, with repeated, bad
// and no numbers.

#include <algorithm>

#include "cuda/compare.h"

using namespace kindling;
using namespace kindling::testing;

namespace {

const DType kTypes[] = {DType::float32, DType::int32, DType::boolean, DType::float64,
                        DType::int64,   DType::uint8, DType::float16, DType::bfloat16};
const DType kSummed[] = {DType::float32, DType::int32, DType::float64, DType::int64};

double values(int64_t i) { return static_cast<double>(i * 31 % 61) - 20.25; }

TestTensor positions(const Shape& shape, int64_t extent, int64_t step = 7) {
  return TestTensor::generate(DType::int32, shape, [=](int64_t i) {
    return static_cast<double>((i * i + step * i) % extent);
  });
}

/// The same sums with atomics and in deterministic mode, where they are the CPU's to the bit.
template <typename Body>
void inBothModes(const Body& body) {
  for (const bool deterministic : {false, true}) {
    cudaApi().setDeterministic(deterministic);
    body(deterministic ? kExact : kFloatTolerance);
  }
  cudaApi().setDeterministic(0);
}

}  // namespace

TEST_CASE("cuda indexSelect") {
  for (const DType dtype : kTypes) {
    for (const Shape& shape : {Shape{5}, Shape{9, 16}, Shape{9, 7}, Shape{6, 3, 4}, Shape{4, 0}}) {
      const TestTensor x = TestTensor::generate(dtype, shape, values);
      for (const int64_t entries : {0, 1, 13, 300}) {
        Shape out = shape;
        out[0] = entries;
        const TestTensor index = positions({entries}, shape[0]);
        for (const NamedTensor& input : inEveryLayout(x)) {
          CAPTURE(input.layout);
          compare(Op::indexSelect, {input.tensor, index}, {TestTensor(dtype, out)}, {}, {}, kExact);
        }
        const TestTensor every = positions({2 * entries}, shape[0]).sliced(0, 0, entries, 2);
        compare(Op::indexSelect, {x, every}, {TestTensor(dtype, out)}, {}, {}, kExact);
      }
    }
  }
}

TEST_CASE("cuda indexAdd") {
  inBothModes([](Tolerance tolerance) {
    for (const DType dtype : kSummed) {
      for (const Shape& shape :
           {Shape{5}, Shape{9, 16}, Shape{9, 7}, Shape{6, 3, 4}, Shape{4, 0}}) {
        const TestTensor out(dtype, shape);
        for (const int64_t entries : {0, 1, 13, 3000}) {
          Shape rows = shape;
          rows[0] = entries;
          const TestTensor grad = TestTensor::generate(dtype, rows, values);
          const TestTensor index = positions({entries}, shape[0]);
          compare(Op::indexAdd, {grad, index}, {out}, {}, {}, tolerance);
          if (shape.size() == 2) {
            const TestTensor turned =
                TestTensor::generate(dtype, {shape[1], entries}, values).transposed(0, 1);
            compare(Op::indexAdd, {turned, index.flipped(0)}, {out}, {}, {}, tolerance);
          }
        }
      }
    }
    // A large table needs more than one digit of the sort.
    const TestTensor grad = TestTensor::generate(DType::float32, {5000, 3}, values);
    compare(Op::indexAdd, {grad, positions({5000}, 70001, 977)},
            {TestTensor(DType::float32, {70001, 3})}, {}, {}, tolerance);
  });
}

TEST_CASE("cuda assignRows: of equal numbers the last counts") {
  CompareOptions first;
  first.inPlace = 1;
  for (const DType dtype : {DType::float32, DType::float64}) {
    for (const Shape& shape : {Shape{5}, Shape{9, 16}, Shape{9, 7}, Shape{6, 3, 4}}) {
      for (const int64_t entries : {0, 1, 4, 700}) {
        Shape rows = shape;
        rows[0] = entries;
        const TestTensor target = TestTensor::generate(dtype, shape, values);
        const TestTensor source =
            TestTensor::generate(dtype, rows, [](int64_t i) { return values(5 * i + 2); });
        const TestTensor index = positions({entries}, shape[0]);
        for (const NamedTensor& input : inEveryLayout(source)) {
          compare(Op::assignRows, {target, index, input.tensor}, {}, {}, {}, kExact, first);
        }
      }
    }
  }
}

TEST_CASE("cuda gather") {
  for (const DType dtype : kTypes) {
    for (int axis = 0; axis < 3; ++axis) {
      const Shape shape = {6, 5, 8};
      Shape taken = {4, 5, 6};
      taken[static_cast<size_t>(axis)] = 11;
      const TestTensor x = TestTensor::generate(dtype, shape, values);
      const TestTensor index = positions(taken, shape[static_cast<size_t>(axis)]);
      for (const NamedTensor& input : inEveryLayout(x)) {
        CAPTURE(input.layout);
        compare(Op::gather, {input.tensor, index}, {TestTensor(dtype, taken)}, {axis}, {}, kExact);
      }
      for (const NamedTensor& input : inEveryLayout(index)) {
        compare(Op::gather, {x, input.tensor}, {TestTensor(dtype, taken)}, {axis}, {}, kExact);
      }
    }
    const TestTensor single = TestTensor::generate(dtype, {}, values);
    compare(Op::gather, {single, TestTensor::ints({}, {0})}, {single}, {0}, {}, kExact);
    const TestTensor line = TestTensor::generate(dtype, {50}, values);
    compare(Op::gather, {line, positions({4000}, 50)}, {TestTensor(dtype, {4000})}, {0}, {},
            kExact);
    compare(Op::gather, {line, positions({0}, 50)}, {TestTensor(dtype, {0})}, {0}, {}, kExact);
  }
}

TEST_CASE("cuda scatter: writes and sums, by lines and by entries") {
  inBothModes([](Tolerance tolerance) {
    for (const DType dtype : kTypes) {
      const bool sums =
          std::find(std::begin(kSummed), std::end(kSummed), dtype) != std::end(kSummed);
      for (int32_t add = 0; add <= (sums ? 1 : 0); ++add) {
        const Tolerance bound = add ? tolerance : kExact;
        const auto test = [&](const Shape& shape, const Shape& taken, int axis) {
          const TestTensor x = TestTensor::generate(dtype, shape, values);
          const int64_t extent = shape.empty() ? 1 : shape[static_cast<size_t>(axis)];
          const TestTensor index = positions(taken, extent);
          const TestTensor source =
              TestTensor::generate(dtype, taken, [](int64_t i) { return values(3 * i + 1); });
          compare(Op::scatter, {x, index, source}, {x}, {axis, add}, {}, bound);
          if (taken.empty()) return;
          for (const NamedTensor& input : inEveryLayout(source)) {
            compare(Op::scatter, {x, index, input.tensor}, {x}, {axis, add}, {}, bound);
          }
          for (const NamedTensor& input : inEveryLayout(x)) {
            compare(Op::scatter, {input.tensor, index, source}, {x}, {axis, add}, {}, bound);
          }
        };
        test({}, {}, 0);
        test({20}, {300}, 0);
        test({20}, {0}, 0);
        for (int axis = 0; axis < 3; ++axis) {
          Shape taken = {4, 5, 6};
          taken[static_cast<size_t>(axis)] = 11;
          test({6, 5, 8}, taken, axis);
        }
        if (dtype == DType::float32 || dtype == DType::int64) test({9000, 3}, {8200, 5}, 1);
        test({9000, 3}, {8200, 1}, 1);
      }
    }
  });
}

TEST_CASE("cuda: a number out of range is reported as on the CPU, and what was there stays") {
  const TestTensor x = TestTensor::generate(DType::float32, {5, 4}, values);
  for (const double bad : {-1.0, 5.0, 1e9}) {
    const TestTensor index = TestTensor::ints({6}, {0, 1, 2, bad, 4, 0});
    const TestTensor rows = TestTensor::generate(DType::float32, {6, 4}, values);
    inBothModes([&](Tolerance) {
      compare(Op::indexSelect, {x, index}, {rows});
      compare(Op::indexAdd, {rows, index}, {x});
      const TestTensor places = TestTensor::ints({3, 2}, {0, 1, 2, bad, 4, 0});
      compare(Op::gather, {x, places}, {TestTensor(DType::float32, {3, 2})}, {0});
      const TestTensor source = TestTensor::generate(DType::float32, {3, 2}, values);
      for (const int32_t add : {0, 1}) compare(Op::scatter, {x, places, source}, {x}, {0, add});
      const TestTensor column = TestTensor::ints({3, 1}, {0, bad, 3});
      const TestTensor one = TestTensor::generate(DType::float32, {3, 1}, values);
      for (const int32_t add : {0, 1}) compare(Op::scatter, {x, column, one}, {x}, {1, add});
    });
    const Backend& backend = cudaBackend();
    const TestTensor target = copyOf(x);
    OnDevice there(backend, target.view(), true), on(backend, index.view(), true);
    OnDevice from(backend, rows.view(), true);
    OpCall call = recordOf(Op::assignRows, {target, index, rows}, {}, {}, {});
    call.inputs[0] = there.view();
    call.inputs[1] = on.view();
    call.inputs[2] = from.view();
    REQUIRE(runKernel(backend, call) == Status::ok);
    REQUIRE(backend.synchronize(backend.device) == Status::indexOutOfRange);
    REQUIRE(there.fetch() == Status::ok);
    requireClose("assignRows", target, x, kExact);
  }
}

TEST_CASE("cuda nonzero") {
  for (const int64_t size : {0, 1, 5, 1024, 1025, 5000}) {
    for (const int64_t step : {1, 2, 7, 6000}) {
      const TestTensor mask = TestTensor::generate(
          DType::boolean, {size}, [=](int64_t i) { return static_cast<double>(i % step == 0); });
      const int64_t found = (size + step - 1) / step;
      const TestTensor out(DType::int32, {found});
      compare(Op::nonzero, {mask}, {out}, {}, {}, kExact);
      compare(Op::nonzero, {mask.flipped(0)}, {out}, {}, {}, kExact);
      compare(Op::nonzero, {mask}, {TestTensor(DType::int32, {found + 1})});
      if (found > 0) compare(Op::nonzero, {mask}, {TestTensor(DType::int32, {found - 1})});
    }
  }
  const TestTensor square = TestTensor::generate(
      DType::boolean, {40, 50}, [](int64_t i) { return static_cast<double>(i % 3 == 1); });
  const TestTensor out(DType::int32, {667});
  compare(Op::nonzero, {square.transposed(0, 1)}, {out}, {}, {}, kExact);
}
