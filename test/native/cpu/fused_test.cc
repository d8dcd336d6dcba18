// Chains of elementwise ops: against the ops one by one, and against code that is broken.

#include <cstring>
#include <random>

#include "op_testing.h"

using namespace kindling;
using namespace kindling::testing;

namespace {

int32_t bitsOf(float value) {
  int32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

TestTensor codeOf(const std::vector<int32_t>& words) {
  const std::vector<double> values(words.begin(), words.end());
  return TestTensor::from(DType::int32, {static_cast<int64_t>(words.size())}, values);
}

double wave(int64_t i) { return 2 * std::sin(0.7 * static_cast<double>(i)); }

/// Places that are not needed repeat the last operand and the last result.
Status runChain(const IsaLevel& level, const TestTensor& code, std::vector<TestTensor> operands,
                std::vector<TestTensor> results) {
  operands.insert(operands.begin(), code);
  while (operands.size() < 9) operands.push_back(operands.back());
  while (results.size() < 4) results.push_back(results.back());
  return run(level, Op::fused, operands, results);
}

/// r1 = tanh(a * 2 + b), r0 = where(c, r1, a).
const std::vector<int32_t> kChain = {3,
                                     1,
                                     4,
                                     2,
                                     bitsOf(2.0f),
                                     static_cast<int32_t>(Op::mul),
                                     203,
                                     0,
                                     100,
                                     0,
                                     static_cast<int32_t>(Op::add),
                                     200,
                                     203,
                                     1,
                                     0,
                                     static_cast<int32_t>(Op::tanh),
                                     301,
                                     200,
                                     0,
                                     0,
                                     static_cast<int32_t>(Op::where),
                                     300,
                                     2,
                                     301,
                                     0};

void compare(const IsaLevel& level, int64_t rows, int64_t columns, bool broadcast) {
  const Shape shape = {rows, columns};
  const TestTensor a = TestTensor::generate(DType::float32, shape, wave);
  const TestTensor b = TestTensor::generate(DType::float32, broadcast ? Shape{columns} : shape,
                                            [](int64_t i) { return wave(3 * i); });
  const TestTensor c =
      TestTensor::generate(DType::boolean, broadcast ? Shape{rows, 1} : shape,
                           [](int64_t i) { return static_cast<double>(i % 3 == 0); });
  TestTensor chosen(DType::float32, shape), squashed(DType::float32, shape);
  REQUIRE(runChain(level, codeOf(kChain), {a, b, c}, {chosen, squashed}) == Status::ok);
  const TestTensor two = TestTensor::floats({}, {2});
  const TestTensor doubled = runOp(level, Op::mul, {a, two}, DType::float32, shape);
  const TestTensor moved = runOp(level, Op::add, {doubled, b}, DType::float32, shape);
  const TestTensor wanted = runOp(level, Op::tanh, {moved}, DType::float32, shape);
  const TestTensor picked = runOp(level, Op::where, {c, wanted, a}, DType::float32, shape);
  int64_t wrong = 0;
  for (int64_t i = 0; i < rows * columns; ++i) {
    wrong += squashed.at(i) != wanted.at(i) || chosen.at(i) != picked.at(i);
  }
  CHECK_MESSAGE(wrong == 0, nameOf(level) << ' ' << rows << 'x' << columns);
}

}  // namespace

TEST_SUITE_BEGIN("fused");

TEST_CASE("fused: a chain is its ops one after the other") {
  const int before = numThreads();
  for (const IsaLevel& level : isaLevels()) {
    for (const int threads : {1, 3}) {
      setNumThreads(threads);
      for (const int64_t columns : {0, 1, 7, 16, 17, 31, 511, 512, 513, 2000}) {
        for (const int64_t rows : {1, 3, 40}) {
          compare(level, rows, columns, false);
          compare(level, rows, columns, true);
        }
      }
    }
  }
  setNumThreads(before);
}

TEST_CASE("fused: broken code is refused") {
  const IsaLevel& level = isaLevels().back();
  const TestTensor a = TestTensor::generate(DType::float32, {100}, wave);
  const TestTensor c = TestTensor::generate(DType::boolean, {100}, [](int64_t) { return 1.0; });
  const auto runs = [&](const std::vector<int32_t>& words) {
    TestTensor r0(DType::float32, {100}), r1(DType::float32, {100});
    return runChain(level, codeOf(words), {a, a, c}, {r0, r1}) == Status::ok;
  };
  CHECK(runs(kChain));
  std::mt19937 random(3);
  int accepted = 0;
  for (int round = 0; round < 20000; ++round) {
    std::vector<int32_t> words = kChain;
    const int32_t odd[] = {-1, 0, 1, 3, 9, 99, 101, 199, 203, 212, 299, 302, 304, 400, 1 << 30};
    words[random() % words.size()] = odd[random() % 15];
    if (random() % 4 == 0) words.pop_back();
    accepted += runs(words);
  }
  CHECK(accepted > 100);
  CHECK(accepted < 15000);
  std::vector<int32_t> words = kChain;
  words[kChain.size() - 3] = 0;  // a float as the condition
  CHECK_FALSE(runs(words));
  words = kChain;
  words[7] = 2;  // a bool as a number
  CHECK_FALSE(runs(words));
  words = kChain;
  words[12] = 205;  // a slot that nothing was put in
  CHECK_FALSE(runs(words));
}

TEST_SUITE_END();
