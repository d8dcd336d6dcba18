// Chains of elementwise ops on the emulated device, against the CPU's; and the translation of their
// code.

#include <cstring>
#include <memory>
#include <random>

#include "cuda/compare.h"
#include "cuda/fused_code.h"

using namespace kindling;
using namespace kindling::testing;

namespace {

constexpr int32_t kConstant = 100, kSlot = 200, kResult = 300;

int32_t bitsOf(float value) {
  int32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

struct Chain {
  int32_t operands = 0, results = 0;
  std::vector<float> constants;
  std::vector<int32_t> code;

  Chain& then(Op op, int32_t target, int32_t a, int32_t b = 0, int32_t c = 0) {
    code.insert(code.end(), {static_cast<int32_t>(op), target, a, b, c});
    return *this;
  }
  std::vector<int32_t> words() const {
    std::vector<int32_t> result = {operands, static_cast<int32_t>(constants.size()),
                                   static_cast<int32_t>(code.size() / 5), results};
    for (const float constant : constants) result.push_back(bitsOf(constant));
    result.insert(result.end(), code.begin(), code.end());
    return result;
  }
};

double wave(int64_t i) { return 2 * std::sin(0.7 * static_cast<double>(i)); }

/// What is compared: code that is changed may leave results unwritten.
enum class Comparison { results, status };

/// Places that are not needed repeat the last operand and the last result.
void compareChain(const std::vector<int32_t>& words, std::vector<TestTensor> operands,
                  const Shape& shape, int results, Comparison comparison = Comparison::results) {
  const std::vector<double> values(words.begin(), words.end());
  operands.insert(operands.begin(),
                  TestTensor::from(DType::int32, {static_cast<int64_t>(words.size())}, values));
  while (operands.size() < 9) operands.push_back(operands.back());
  std::vector<TestTensor> outputs[2];
  for (auto& side : outputs) {
    for (int k = 0; k < results; ++k) side.emplace_back(DType::float32, shape);
    while (side.size() < 4) side.push_back(side.back());
  }
  const Status expected = execute(cpuBackend(), recordOf(Op::fused, operands, outputs[0], {}, {}));
  // On the device too the places that are not needed repeat the last result.
  const Backend& backend = cudaBackend();
  std::vector<std::unique_ptr<OnDevice>> inputs, own;
  OpCall call = recordOf(Op::fused, operands, outputs[1], {}, {});
  for (size_t k = 1; k < operands.size(); ++k) {
    inputs.push_back(std::make_unique<OnDevice>(backend, operands[k].view(), true));
    call.inputs[k] = inputs.back()->view();
  }
  for (size_t k = 0; k < 4; ++k) {
    if (k < static_cast<size_t>(results)) {
      own.push_back(std::make_unique<OnDevice>(backend, outputs[1][k].view(), false));
    }
    call.outputs[k] = own.back()->view();
  }
  Status status = validate(call);
  if (status == Status::ok) status = runKernel(backend, call);
  if (status == Status::ok) status = backend.synchronize(backend.device);
  REQUIRE(status == expected);
  if (status != Status::ok || comparison == Comparison::status) return;
  for (int k = 0; k < results; ++k) {
    const size_t at = static_cast<size_t>(k);
    REQUIRE(own[at]->fetch() == Status::ok);
    requireClose("fused, result " + std::to_string(k), outputs[1][at], outputs[0][at],
                 {4e-6, 1e-6});
  }
}

/// r1 = tanh(a * 2 + b), r0 = where(c, r1, a).
Chain chosen() {
  Chain chain;
  chain.operands = 3;
  chain.results = 2;
  chain.constants = {2.0f};
  chain.then(Op::mul, kSlot + 3, 0, kConstant)
      .then(Op::add, kSlot, kSlot + 3, 1)
      .then(Op::tanh, kResult + 1, kSlot)
      .then(Op::where, kResult, 2, kResult + 1, 0);
  return chain;
}

TestTensor floats(const Shape& shape, int64_t step = 1) {
  return TestTensor::generate(DType::float32, shape, [=](int64_t i) { return wave(step * i); });
}
TestTensor flags(const Shape& shape) {
  return TestTensor::generate(DType::boolean, shape,
                              [](int64_t i) { return static_cast<double>(i % 3 == 0); });
}

}  // namespace

TEST_CASE("cuda fused: a chain over shapes and layouts") {
  const auto words = chosen().words();
  for (const Shape& shape : {Shape{}, Shape{1}, Shape{3}, Shape{1024}, Shape{1029}, Shape{0},
                             Shape{6, 8}, Shape{5, 7}, Shape{300, 100}}) {
    compareChain(words, {floats(shape), floats(shape, 3), flags(shape)}, shape, 2);
    compareChain(words, {floats(shape), floats({}, 3), flags(shape)}, shape, 2);
  }
  compareChain(words, {floats({6, 8}), floats({8}, 3), flags({6, 1})}, {6, 8}, 2);
  compareChain(words, {floats({6, 1}), floats({8}, 3), flags({6, 8})}, {6, 8}, 2);
  compareChain(words, {floats({5, 7}), floats({7}, 3), flags({5, 1})}, {5, 7}, 2);
  for (const NamedTensor& input : inEveryLayout(floats({6, 5, 8}))) {
    CAPTURE(input.layout);
    compareChain(words, {input.tensor, floats({6, 5, 8}, 3), flags({5, 1})}, {6, 5, 8}, 2);
  }
}

TEST_CASE("cuda fused: every op") {
  for (int op = 0; op < kOpCount; ++op) {
    const int inputs = cuda::fusedInputs(op);
    if (inputs == 0) continue;
    CAPTURE(opInfo(static_cast<Op>(op)).name);
    Chain chain;
    chain.operands = 3;
    chain.results = 1;
    chain.then(static_cast<Op>(op), kResult, inputs == 3 ? 2 : 0, inputs == 3 ? 0 : 1, 1);
    const TestTensor a = TestTensor::generate(
        DType::float32, {37}, [](int64_t i) { return 0.05 + 0.9 * std::fabs(std::sin(1.3 * i)); });
    compareChain(chain.words(), {a, floats({37}, 2), flags({37})}, {37}, 1);
  }
}

TEST_CASE("cuda fused: random chains that use slots, results and constants in every way") {
  std::mt19937 random(7);
  const auto below = [&](int32_t n) {
    return static_cast<int32_t>(random() % static_cast<unsigned>(n));
  };
  const Op ops[] = {Op::add, Op::sub, Op::mul, Op::maximum, Op::neg, Op::tanh, Op::where};
  for (int round = 0; round < 200; ++round) {
    Chain chain;
    chain.operands = 1 + below(8);
    chain.results = 1 + below(4);
    const bool hasBool = chain.operands > 1;
    const int32_t constants = below(4);
    for (int32_t k = 0; k < constants; ++k)
      chain.constants.push_back(0.25f * static_cast<float>(k + 1));
    std::vector<int32_t> readable;
    for (int32_t k = hasBool ? 1 : 0; k < chain.operands; ++k) readable.push_back(k);
    for (int32_t k = 0; k < constants; ++k) readable.push_back(kConstant + k);
    const int32_t instructions = chain.results + below(32 - chain.results + 1);
    for (int32_t i = 0; i < instructions; ++i) {
      const Op op = ops[below(hasBool ? 7 : 6)];
      const auto source = [&] {
        return readable[static_cast<size_t>(below(static_cast<int32_t>(readable.size())))];
      };
      const int32_t last = instructions - 1 - i;
      const int32_t target = last < chain.results ? kResult + last
                             : below(4) == 0      ? kResult + below(chain.results)
                                                  : kSlot + below(12);
      if (op == Op::where) {
        chain.then(op, target, 0, source(), source());
      } else {
        chain.then(op, target, source(), source());
      }
      readable.push_back(target);
    }
    std::vector<TestTensor> operands;
    for (int32_t k = 0; k < chain.operands; ++k) {
      operands.push_back(k == 0 && hasBool ? flags({77}) : floats({77}, k + 1));
    }
    compareChain(chain.words(), operands, {77}, chain.results);
  }
}

TEST_CASE("cuda fused: broken code is refused as on the CPU") {
  const auto words = chosen().words();
  const TestTensor a = floats({8}), c = flags({8});
  for (size_t at = 0; at < words.size(); ++at) {
    if (at == 4) continue;  // the constant may be anything
    for (const int32_t value : {-1, 2, 99, 101, 150, 211, 212, 304, 399, 400, 100000}) {
      auto broken = words;
      broken[at] = value;
      CAPTURE(at);
      CAPTURE(value);
      compareChain(broken, {a, a, c}, {8}, 2, Comparison::status);
    }
  }
  auto shorter = words;
  shorter.pop_back();
  compareChain(shorter, {a, a, c}, {8}, 2);
}
