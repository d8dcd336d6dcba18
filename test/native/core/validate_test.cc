// Records that TypeScript would never make: native code must refuse each before a kernel sees it.

#include <cstring>

#include "core/execute.h"
#include "doctest/doctest.h"
#include "op_testing.h"

namespace kindling {
namespace {

using testing::TestTensor;

struct Record {
  OpCall call = {};

  Record(Op op, std::initializer_list<TestTensor> inputs, std::initializer_list<TestTensor> outputs,
         std::initializer_list<int32_t> ints = {}) {
    call.op = op;
    int i = 0;
    for (const TestTensor& input : inputs) call.inputs[i++] = input.view();
    i = 0;
    for (const TestTensor& output : outputs) call.outputs[i++] = output.view();
    i = 0;
    for (int32_t value : ints) call.ints[i++] = value;
  }
};

TestTensor floats(const testing::Shape& shape) { return {DType::float32, shape}; }
TestTensor ints(const testing::Shape& shape) { return {DType::int32, shape}; }
TestTensor bools(const testing::Shape& shape) { return {DType::boolean, shape}; }

bool accepted(const Record& record) { return validate(record.call) == Status::ok; }

}  // namespace

TEST_CASE("an op that does not exist") {
  OpCall call = {};
  call.op = static_cast<Op>(kOpCount);
  CHECK(validate(call) == Status::badArgument);
  call.op = static_cast<Op>(-1);
  CHECK(validate(call) == Status::badArgument);
}

TEST_CASE("elementwise") {
  CHECK(accepted(Record(Op::exp, {floats({2})}, {floats({2})})));
  CHECK_FALSE(accepted(Record(Op::exp, {floats({2})}, {floats({3})})));
  CHECK_FALSE(accepted(Record(Op::exp, {ints({2})}, {ints({2})})));
  CHECK(accepted(Record(Op::add, {floats({2, 1}), floats({3})}, {floats({2, 3})})));
  CHECK_FALSE(accepted(Record(Op::add, {floats({2}), floats({3})}, {floats({3})})));
  CHECK_FALSE(accepted(Record(Op::add, {floats({2, 3}), floats({3})}, {floats({3})})));
  CHECK_FALSE(accepted(Record(Op::add, {floats({3}), ints({3})}, {floats({3})})));
  CHECK_FALSE(accepted(Record(Op::less, {floats({3}), floats({3})}, {floats({3})})));
  CHECK(accepted(Record(Op::where, {bools({3}), floats({1}), floats({})}, {floats({3})})));
  CHECK_FALSE(accepted(Record(Op::where, {floats({3}), floats({3}), floats({3})}, {floats({3})})));
}

TEST_CASE("reductions") {
  CHECK(accepted(Record(Op::sum, {floats({2, 3})}, {floats({2})}, {2})));
  CHECK(accepted(Record(Op::sum, {floats({2, 3})}, {floats({2, 1})}, {2})));
  CHECK_FALSE(accepted(Record(Op::sum, {floats({2, 3})}, {floats({3})}, {2})));
  CHECK_FALSE(accepted(Record(Op::sum, {floats({2, 3})}, {floats({2})}, {4})));
  CHECK_FALSE(accepted(Record(Op::sum, {floats({2, 3})}, {floats({1, 2})}, {2})));
  CHECK_FALSE(accepted(Record(Op::max, {floats({2, 0})}, {floats({2})}, {2})));
  CHECK_FALSE(accepted(Record(Op::argmax, {floats({2, 3})}, {ints({2})}, {2})));
  CHECK_FALSE(accepted(Record(Op::argmax, {floats({2, 3})}, {floats({2})}, {1})));
}

TEST_CASE("products") {
  CHECK(accepted(Record(Op::matmul, {floats({2, 3}), floats({3, 4})}, {floats({2, 4})})));
  CHECK_FALSE(accepted(Record(Op::matmul, {floats({2, 3}), floats({4, 4})}, {floats({2, 4})})));
  CHECK_FALSE(accepted(Record(Op::matmul, {floats({2, 3}), floats({3, 4})}, {floats({2, 5})})));
  CHECK_FALSE(accepted(Record(Op::matmul, {floats({3}), floats({3})}, {floats({})})));
  CHECK_FALSE(accepted(
      Record(Op::linear, {floats({2, 3}), floats({4, 3}), floats({3})}, {floats({2, 4})})));
}

TEST_CASE("indices and slices") {
  CHECK(accepted(Record(Op::indexSelect, {floats({5, 2}), ints({3})}, {floats({3, 2})})));
  CHECK_FALSE(accepted(Record(Op::indexSelect, {floats({5, 2}), ints({4})}, {floats({3, 2})})));
  CHECK_FALSE(accepted(Record(Op::indexSelect, {floats({5, 2}), ints({3})}, {floats({3, 3})})));
  CHECK(accepted(Record(Op::sliceBackward, {floats({2})}, {floats({5})}, {1, 4, -2})));
  CHECK_FALSE(accepted(Record(Op::sliceBackward, {floats({2})}, {floats({5})}, {1, 4, 1})));
  CHECK_FALSE(accepted(Record(Op::sliceBackward, {floats({2})}, {floats({5})}, {1, -1, 1})));
  CHECK_FALSE(accepted(Record(Op::concat, {floats({2}), floats({3})}, {floats({4})}, {0})));
  CHECK_FALSE(accepted(Record(Op::concat, {floats({2}), floats({3})}, {floats({5})}, {1})));
}

TEST_CASE("connectionist temporal classification") {
  const TestTensor x = floats({5, 2, 4}), y = ints({2, 3}), n = ints({2});
  const TestTensor loss = floats({2});
  CHECK(accepted(Record(Op::ctcLoss, {x, y, n, n}, {loss, x}, {0, 0})));
  CHECK(accepted(Record(Op::ctcLoss, {x, y, n, n}, {loss, floats({0})}, {3, 1})));
  CHECK_FALSE(accepted(Record(Op::ctcLoss, {x, y, n, n}, {loss, x}, {4, 0})));
  CHECK_FALSE(accepted(Record(Op::ctcLoss, {x, y, n, n}, {loss, x}, {-1, 0})));
  CHECK_FALSE(accepted(Record(Op::ctcLoss, {x, y, n, n}, {loss, floats({5, 2, 3})}, {0, 0})));
  CHECK_FALSE(accepted(Record(Op::ctcLoss, {x, y, n, n}, {floats({3}), x}, {0, 0})));
  CHECK_FALSE(accepted(Record(Op::ctcLoss, {x, y, n, n}, {loss, ints({0})}, {0, 0})));
  CHECK_FALSE(accepted(Record(Op::ctcLoss, {x, ints({3, 3}), n, n}, {loss, x}, {0, 0})));
  CHECK_FALSE(accepted(Record(Op::ctcLoss, {x, floats({2, 3}), n, n}, {loss, x}, {0, 0})));
  CHECK_FALSE(accepted(Record(Op::ctcLoss, {x, y, ints({3}), n}, {loss, x}, {0, 0})));
  CHECK_FALSE(accepted(Record(Op::ctcLoss, {x, y, n, floats({2})}, {loss, x}, {0, 0})));
  CHECK_FALSE(accepted(Record(Op::ctcLoss, {floats({5, 2}), y, n, n}, {loss, x}, {0, 0})));
}

TEST_CASE("updates in place") {
  const TestTensor p = floats({4});
  CHECK(accepted(Record(Op::adamStep, {p, p, p, p}, {}, {1, 0})));
  CHECK_FALSE(accepted(Record(Op::adamStep, {p, floats({3}), p, p}, {}, {1, 0})));
  CHECK_FALSE(accepted(Record(Op::assign, {floats({1}).expanded({3}), floats({3})}, {})));
  const TestTensor strided = floats({8}).sliced(0, 0, 4, 2);
  CHECK_FALSE(accepted(Record(Op::sgdStep, {strided, p, p}, {})));
  CHECK(accepted(Record(Op::sgdStep, {p, strided, p}, {})));
}

}  // namespace kindling
