// What hosts prepare for kernels: division by multiplication, merged axes, and loops cut into
// pieces that 32 bits can count. Runs on the host.

#include <random>

#include "cuda/compare.h"

#include "cuda/indexing.cuh"

using namespace kindling;
using namespace kindling::cuda;
using kindling::testing::Shape;

namespace {

template <typename Index>
void checkDivision(Index divisor, Index most, std::mt19937_64& random) {
  const FastDivisor<Index> fast(divisor);
  const auto check = [&](Index n) {
    if (n > most) return;
    REQUIRE(fast.divide(n) == n / divisor);
  };
  for (Index n = 0; n < 20; ++n) {
    check(n);
    check(most - n);
    check(divisor * n);
    check(divisor * n - 1);
    check(divisor - n);
    check(static_cast<Index>(random()) & most);
  }
}

/// Every position of a loop: the offsets of its operands, in order.
template <int kOperands>
std::vector<std::vector<int64_t>> walk(const LoopAxes<kOperands>& axes) {
  const StridedPlan<kOperands, uint64_t> plan(axes);
  const StridedPlan<kOperands> narrow(axes);
  std::vector<std::vector<int64_t>> result;
  for (int64_t i = 0; i < axes.size; ++i) {
    int64_t at[kOperands];
    int32_t narrowAt[kOperands];
    plan.offsets(static_cast<uint64_t>(i), at);
    narrow.offsets(static_cast<uint32_t>(i), narrowAt);
    std::vector<int64_t> offsets;
    for (int k = 0; k < kOperands; ++k) {
      REQUIRE(at[k] == narrowAt[k]);
      offsets.push_back(at[k] + axes.start[k]);
    }
    result.push_back(offsets);
  }
  return result;
}

LoopAxes<2> loopOf(const Shape& shape, const Shape& a, const Shape& b) {
  LoopAxes<2> axes;
  for (size_t i = 0; i < shape.size(); ++i) axes.add(shape[i], {a[i], b[i]});
  return axes;
}

}  // namespace

TEST_CASE("cuda division by multiplication") {
  std::mt19937_64 random(5);
  for (uint32_t d = 1; d < 300; ++d) {
    checkDivision<uint32_t>(d, INT32_MAX, random);
    checkDivision<uint64_t>(d, INT64_MAX, random);
  }
  for (int round = 0; round < 2000; ++round) {
    const int bits = static_cast<int>(random() % 31) + 1;
    checkDivision<uint32_t>((static_cast<uint32_t>(random()) >> (32 - bits)) + 1u, INT32_MAX,
                            random);
    const int wide = static_cast<int>(random() % 62) + 1;
    checkDivision<uint64_t>((random() >> (64 - wide)) + 1u, INT64_MAX, random);
  }
  checkDivision<uint32_t>(INT32_MAX, INT32_MAX, random);
}

TEST_CASE("cuda loops: axes that memory continues are merged") {
  CHECK(loopOf({3, 4, 5}, {20, 5, 1}, {20, 5, 1}).rank == 1);
  CHECK(loopOf({3, 1, 5}, {5, 99, 1}, {5, 7, 1}).rank == 1);
  CHECK(loopOf({3, 4, 5}, {20, 5, 1}, {0, 5, 1}).rank == 2);
  CHECK(loopOf({3, 4}, {4, 1}, {-4, -1}).rank == 1);
  CHECK(loopOf({3, 4}, {4, 1}, {1, 3}).rank == 2);
  CHECK(loopOf({}, {}, {}).rank == 0);
  CHECK(loopOf({3, 4}, {4, 1}, {0, 0}).isSingle(1));
  CHECK(!loopOf({3, 4}, {4, 1}, {1, 3}).isDense(1));
}

TEST_CASE("cuda loops: pieces cover the loop in order, each within bounds") {
  const std::vector<LoopAxes<2>> loops = {
      loopOf({60}, {1}, {1}), loopOf({5, 12}, {12, 1}, {1, 5}),
      loopOf({3, 4, 5}, {20, 5, 1}, {-20, 7, 0}),
      loopOf({1, 2, 3, 4, 5, 6}, {720, 360, 120, 30, 6, 1}, {1, 1, 2, 6, 24, 120})};
  for (const LoopAxes<2>& loop : loops) {
    const auto whole = walk(loop);
    for (const int64_t most : {1000000, 700, 200, 130}) {
      std::vector<std::vector<int64_t>> together;
      int pieces = 0;
      REQUIRE(forPieces(
                  loop,
                  [&](const LoopAxes<2>& piece) {
                    CHECK(fitsWithin(piece, most));
                    for (const auto& offsets : walk(piece)) together.push_back(offsets);
                    ++pieces;
                    return Status::ok;
                  },
                  most) == Status::ok);
      CHECK(together == whole);
      CHECK((most < 1000000 || pieces == 1));
    }
  }
}

TEST_CASE("cuda grids are never empty and never larger than the device's") {
  kindling::testing::cudaBackend();
  CHECK(gridFor(0, 256).x == 1);
  CHECK(gridFor(257, 256).x == 2);
  CHECK(gridFor(int64_t{1} << 40, 256).x ==
        static_cast<unsigned>(gpu::deviceInfo().multiProcessors) * 8);
}
