// Attention on the device against the CPU's: tiles and their rests, causal or not, both kinds of
// products, with all of the rows in shared memory and without.

#include <cmath>
#include <vector>

#include "cuda/compare.h"

namespace kindling {
namespace testing {
namespace {

constexpr DType F = DType::float32;

/// Multiples of 1/32 below 1, which TF32 holds exactly.
TestTensor numbers(const Shape& shape, int seed) {
  return TestTensor::generate(F, shape, [=](int64_t i) {
    return static_cast<double>((i * 7919 + seed * 131) % 61 - 30) / 32;
  });
}

struct Sizes {
  int64_t outer, heads, queries, keys, d, features;
};
const std::vector<Sizes>& sizes() {
  static const std::vector<Sizes> all = {
      {1, 1, 1, 1, 1, 1},       {1, 2, 5, 7, 3, 6},       {2, 2, 64, 64, 32, 32},
      {1, 1, 65, 63, 33, 31},   {1, 2, 130, 70, 64, 64},  {1, 1, 63, 200, 40, 72},
      {1, 1, 70, 100, 65, 128}, {1, 1, 96, 65, 128, 130}, {1, 1, 20, 40, 300, 8},
      {1, 2, 3, 0, 8, 8},       {0, 2, 3, 4, 8, 8},       {1, 2, 0, 4, 8, 8},
      {1, 1, 4, 5, 0, 8},       {1, 1, 4, 5, 8, 0}};
  return all;
}

struct Operands {
  TestTensor grad, q, k, v;
};
Operands operandsOf(const Sizes& s) {
  return {numbers({s.outer, s.heads, s.queries, s.features}, 1),
          numbers({s.outer, s.heads, s.queries, s.d}, 2),
          numbers({s.outer, s.heads, s.keys, s.d}, 3),
          numbers({s.outer, s.heads, s.keys, s.features}, 4)};
}

void forward(const Operands& o, const Sizes& s, int causal, double scale, Tolerance tolerance) {
  compare(Op::attention, {o.q, o.k, o.v},
          {{F, {s.outer, s.heads, s.queries, s.features}}, {F, {s.outer, s.heads, s.queries, 1}}},
          {causal}, {scale}, tolerance);
}

/// With the CPU's own outputs of the way forward.
void backward(const Operands& o, const Sizes& s, int causal, double scale, Tolerance tolerance) {
  const TestTensor y(F, {s.outer, s.heads, s.queries, s.features}),
      logs(F, {s.outer, s.heads, s.queries, 1});
  REQUIRE(execute(cpuBackend(), recordOf(Op::attention, {o.q, o.k, o.v}, {y, logs}, {causal},
                                         {scale})) == Status::ok);
  compare(Op::attentionBackward, {o.grad, o.q, o.k, o.v, y, logs},
          {{F, {s.outer, s.heads, s.queries, s.d}},
           {F, {s.outer, s.heads, s.keys, s.d}},
           {F, {s.outer, s.heads, s.keys, s.features}}},
          {causal}, {scale}, tolerance);
}

TEST_CASE("cuda attention: forward and back over sizes around the tiles") {
  for (const Sizes& s : sizes()) {
    for (const int causal : {0, 1}) {
      CAPTURE(s.queries);
      CAPTURE(s.keys);
      CAPTURE(s.d);
      CAPTURE(s.features);
      CAPTURE(causal);
      const Operands o = operandsOf(s);
      const double scale = 1 / std::sqrt(static_cast<double>(s.d) + 1);
      forward(o, s, causal, scale, {2e-5, 1e-5});
      backward(o, s, causal, scale, {5e-5, 5e-5});
    }
  }
}

TEST_CASE("cuda attention: every layout") {
  const Sizes s = {2, 3, 20, 36, 12, 16};
  const Operands o = operandsOf(s);
  const auto grads = inEveryLayout(o.grad), qs = inEveryLayout(o.q), ks = inEveryLayout(o.k),
             vs = inEveryLayout(o.v);
  for (size_t i = 0; i < qs.size(); ++i) {
    CAPTURE(qs[i].layout);
    const Operands laid = {grads[i].tensor, qs[i].tensor, ks[i].tensor, vs[i].tensor};
    forward(laid, s, 1, 0.3, {2e-5, 1e-5});
    backward(laid, s, 1, 0.3, {5e-5, 5e-5});
  }
  const Operands one = {o.grad, o.q, numbers({1, 1, 36, 12}, 3).expanded({2, 3, 36, 12}),
                        numbers({1, 1, 36, 16}, 4).expanded({2, 3, 36, 16})};
  forward(one, s, 0, 0.3, {2e-5, 1e-5});
  backward(one, s, 0, 0.3, {5e-5, 5e-5});
}

TEST_CASE("cuda attention: by the tensor cores") {
  cudaApi().setAllowTf32(1);
  // Queries, keys, values and gradients are exact in TF32; the weights between the products are
  // not.
  for (const Sizes& s : sizes()) {
    for (const int causal : {0, 1}) {
      CAPTURE(s.queries);
      CAPTURE(s.keys);
      const Operands o = operandsOf(s);
      const double scale = 1 / std::sqrt(static_cast<double>(s.d) + 1);
      forward(o, s, causal, scale, {1e-3, 5e-4});
      backward(o, s, causal, scale, {1e-3, 2e-3});
    }
  }
  cudaApi().setAllowTf32(0);
}

TEST_CASE("cuda attention: large scores, infinities and NaN") {
  const Sizes s = {1, 1, 70, 130, 8, 8};
  Operands o = operandsOf(s);
  forward(o, s, 0, 100, {2e-4, 1e-4});
  o.q.set(3 * 8 + 1, NAN);
  forward(o, s, 0, 1, {2e-5, 1e-5});
  o.v.set(5 * 8 + 2, INFINITY);
  forward(o, s, 1, 1, {2e-5, 1e-5});
}

}  // namespace
}  // namespace testing
}  // namespace kindling
