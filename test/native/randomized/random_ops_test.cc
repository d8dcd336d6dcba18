// Every op of ops.def on random shapes, layouts and values, at every ISA level and several numbers
// of threads, with guard pages around all operands. KINDLING_TEST_ROUNDS=n makes n times as many
// cases, KINDLING_TEST_SEED=n others; a failure names the op and the seed of its case.

#include <cstdlib>

#include "core/cpu_features.h"
#include "randomized/driver.h"
#include "randomized/makers.h"

namespace kindling {
namespace testing {
namespace {

uint64_t numberFrom(const char* variable, uint64_t otherwise) {
  const char* const text = getenv(variable);
  return text ? strtoull(text, nullptr, 10) : otherwise;
}

/// Under a sanitizer every case takes many times as long.
uint64_t roundsOf(uint64_t rounds) {
#if defined(__SANITIZE_ADDRESS__)
  rounds = rounds / 5 + 1;
#endif
  return rounds * numberFrom("KINDLING_TEST_ROUNDS", 1);
}

/// The seeds of an op's cases, apart from those of every other op.
uint64_t seedOf(Op op, uint64_t round) {
  return numberFrom("KINDLING_TEST_SEED", 1) * 1000003 + static_cast<uint64_t>(op) * 1009 + round;
}

/// In one round of five so many elements that threads share them.
int64_t sizeOf(uint64_t round) { return round % 5 == 4 ? 150000 : 2500; }

std::string describe(const RandomCase& c, uint64_t seed) {
  std::string text = nameOf(c.op) + ", seed " + std::to_string(seed) + ", inputs";
  for (const TestTensor& input : c.inputs) {
    text += " [";
    for (const int64_t extent : input.shape()) text += std::to_string(extent) + " ";
    text += "]";
  }
  text += ", ints";
  for (const int32_t value : c.ints) text += " " + std::to_string(value);
  return text;
}

/// Has results of any size written past the caches while it lives, or none but very large ones.
struct PastCaches {
  explicit PastCaches(bool all) { setLargeResultBytes(all ? 1 : 0); }
  ~PastCaches() { setLargeResultBytes(0); }
};

void checkCase(const RandomCase& c, uint64_t seed) {
  Random random(seed, 1, false);
  for (const IsaLevel& level : isaLevels()) {
    for (const Side side : {Side::start, Side::end}) {
      const int threads = side == Side::start ? 1 : static_cast<int>(random.pick(2, 8));
      setNumThreads(threads);
      const PastCaches pastCaches(random.pick(0, 1) == 1);
      const std::string name =
          describe(c, seed) + ", " + nameOf(level) + ", " + std::to_string(threads) + " threads";
      nameRunningCase(name);
      const PlacedCase placed(c, side, static_cast<uint64_t>(random.pick(0, 1 << 20)));
      CAPTURE(name);
      const Status status = placed.run(level);
      if (status != Status::ok) {
        FAIL_CHECK("failed: ", std::string(lastErrorMessage()));
        continue;
      }
      const std::string problem = placed.problem();
      if (!problem.empty()) FAIL_CHECK(problem);
    }
  }
}

/// Whether the kernel chooses the order in which an element is computed from many.
bool ordersFreely(Op op) {
  switch (opInfo(op).kind) {
    case OpKind::create:
    case OpKind::unary:
    case OpKind::test:
    case OpKind::cast:
    case OpKind::binary:
    case OpKind::compare:
    case OpKind::where:
    case OpKind::fused:
    case OpKind::argReduce:
    case OpKind::concat:
    case OpKind::indexSelect:
    case OpKind::gather:
    case OpKind::sort:
    case OpKind::assignRows:
      return false;
    default:
      return op != Op::assign && op != Op::max && op != Op::min && op != Op::maxPool;
  }
}

/// What a NaN in one place does to the results of these is not defined element by element: which of
/// a bin's two parts it reaches, which pivots it leaves, whether a path still has a probability.
bool hasSpecials(Op op) {
  const OpKind kind = opInfo(op).kind;
  // The slope of ReLU is multiplied, so that a gradient of NaN passes a unit that is off.
  if (op == Op::rnnBackward) return false;
  return kind != OpKind::fft && kind != OpKind::linalg && kind != OpKind::ctcLoss;
}

/// Rounds of all ops.
void checkAllOps(uint64_t rounds, bool specials) {
  const int before = numThreads();
  for (int code = 0; code < kOpCount; ++code) {
    const Op op = static_cast<Op>(code);
    const CaseMaker maker = caseMakers()[static_cast<size_t>(code)];
    if (!maker || (specials && !hasSpecials(op))) continue;
    for (uint64_t round = 0; round < roundsOf(rounds); ++round) {
      const uint64_t seed = seedOf(op, round);
      Random random(seed, sizeOf(round), specials);
      RandomCase c = maker(op, random);
      if (specials && ordersFreely(op)) c.letOrderFree();
      checkCase(c, seed);
    }
  }
  setNumThreads(before);
}

/// Every op's bits with one thread and with more, in the same memory, through the caches and past
/// them.
void checkThreadCounts(const RandomCase& c, uint64_t seed) {
  Random random(seed, 1, false);
  const uint64_t layout = static_cast<uint64_t>(random.pick(0, 1 << 20));
  for (const IsaLevel& level : isaLevels()) {
    std::vector<unsigned char> first;
    for (const int threads : {1, 2, 3, 4, 5, 6, 7, 8}) {
      setNumThreads(threads);
      const PastCaches pastCaches(threads % 2 == 0);
      const std::string name =
          describe(c, seed) + ", " + nameOf(level) + ", " + std::to_string(threads) + " threads";
      nameRunningCase(name);
      const PlacedCase placed(c, Side::end, layout);
      CAPTURE(name);
      CHECK(placed.run(level) == Status::ok);
      const std::vector<unsigned char> bytes = placed.resultBytes();
      if (threads == 1) first = bytes;
      CHECK_MESSAGE(bytes == first, "other bits than with one thread");
    }
  }
}

}  // namespace

TEST_SUITE_BEGIN("randomized");

TEST_CASE("randomized: every op has its cases") {
  for (int code = 0; code < kOpCount; ++code) {
    CAPTURE(opInfo(static_cast<Op>(code)).name);
    CHECK((caseMakers()[static_cast<size_t>(code)] != nullptr));
  }
}

TEST_CASE("randomized: every op against plain references in double") { checkAllOps(15, false); }

TEST_CASE("randomized: NaN and infinities go where IEEE arithmetic takes them") {
  checkAllOps(10, true);
}

TEST_CASE("randomized: every op gives the same bits for 1 to 8 threads") {
  const int before = numThreads();
  for (int code = 0; code < kOpCount; ++code) {
    const CaseMaker maker = caseMakers()[static_cast<size_t>(code)];
    if (!maker) continue;
    for (uint64_t round = 0; round < roundsOf(4); ++round) {
      const uint64_t seed = seedOf(static_cast<Op>(code), 1000 + round);
      Random random(seed, 300000, false);
      checkThreadCounts(maker(static_cast<Op>(code), random), seed);
    }
  }
  setNumThreads(before);
}

TEST_SUITE_END();

}  // namespace testing
}  // namespace kindling
