#pragma once
// The cells of the recurrent layers: one row of the batch at one step, forward and back, one pass
// over the gates each.

#include <cstdint>

#include "cpu/recurrent.h"

namespace kindling {
namespace KINDLING_ISA {
namespace {

KINDLING_INLINE VecF one() { return VecF::set1(1.0f); }

/// The cells. `gates`: products per step; `saved`: what forward keeps of a step, in widths;
/// `hasCarry`: the state goes on to the next step also by another way than the products.
/// step(): from the products and the previous state to the next. back(): from the gradient of the
/// new state to those of the products, and what goes on to the previous state directly.
struct Lstm {
  static constexpr int gates = 4, saved = 4;
  static constexpr bool hasCell = true, hasHiddenBias = false, hasCarry = false;
};
struct Gru {
  static constexpr int gates = 3, saved = 4;
  static constexpr bool hasCell = false, hasHiddenBias = true, hasCarry = true;
};
template <bool relu>
struct Rnn {
  static constexpr int gates = 1, saved = 1;
  static constexpr bool hasCell = false, hasHiddenBias = false, hasCarry = false;
};

/// Pointers of one row at one step, or of some of its units.
struct StepRow {
  int64_t width;         // units
  int64_t stride;        // from gate to gate
  const float* input;    // the inputs' projections
  const float* product;  // the state's
  float* saved;
  const float* hBefore;
  float* h;
  float* c;
  float* y;
  float* cells;  // c of all steps, kept
};

inline void step(Lstm, const StepRow& r) {
  const int64_t n = r.stride;
  forLanes(r.width, [&](int64_t j, int lanes) {
    const auto gate = [&](int k) {
      return get(r.input + k * n + j, lanes) + get(r.product + k * n + j, lanes);
    };
    const VecF i = sigmoid(gate(0)), f = sigmoid(gate(1)), g = tanh(gate(2)), o = sigmoid(gate(3));
    const VecF c = fma(f, get(r.c + j, lanes), i * g);
    const VecF h = o * tanh(c);
    put(i, r.saved + j, lanes);
    put(f, r.saved + n + j, lanes);
    put(g, r.saved + 2 * n + j, lanes);
    put(o, r.saved + 3 * n + j, lanes);
    put(c, r.c + j, lanes);
    put(c, r.cells + j, lanes);
    put(h, r.h + j, lanes);
    put(h, r.y + j, lanes);
  });
}

inline void step(Gru, const StepRow& r) {
  const int64_t n = r.stride;
  forLanes(r.width, [&](int64_t j, int lanes) {
    const VecF reset = sigmoid(get(r.input + j, lanes) + get(r.product + j, lanes));
    const VecF update = sigmoid(get(r.input + n + j, lanes) + get(r.product + n + j, lanes));
    const VecF hidden = get(r.product + 2 * n + j, lanes);
    const VecF fresh = tanh(fma(reset, hidden, get(r.input + 2 * n + j, lanes)));
    const VecF h = fma(update, get(r.hBefore + j, lanes) - fresh, fresh);
    put(reset, r.saved + j, lanes);
    put(update, r.saved + n + j, lanes);
    put(fresh, r.saved + 2 * n + j, lanes);
    put(hidden, r.saved + 3 * n + j, lanes);
    put(h, r.h + j, lanes);
    put(h, r.y + j, lanes);
  });
}

template <bool relu>
void step(Rnn<relu>, const StepRow& r) {
  forLanes(r.width, [&](int64_t j, int lanes) {
    const VecF sum = get(r.input + j, lanes) + get(r.product + j, lanes);
    const VecF h = relu ? maxRaw(VecF::zero(), sum) : tanh(sum);
    put(h, r.saved + j, lanes);
    put(h, r.h + j, lanes);
    put(h, r.y + j, lanes);
  });
}

/// Pointers of one row at one step on the way back, or of some of its units.
struct BackRow {
  int64_t width, stride;
  const float* saved;
  const float* cell;  // after the step
  const float* cellBefore;
  const float* stateBefore;
  const float* grad;  // of this step's output, or nullptr
  float* dh;          // of the state after; with a carry, out: what goes around the products
  float* dc;
  float* inputGrad;    // of the inputs' projections
  float* productGrad;  // of the state's, where they differ
};

KINDLING_INLINE VecF stateGradient(const BackRow& r, int64_t j, int lanes) {
  const VecF dh = get(r.dh + j, lanes);
  return r.grad ? dh + get(r.grad + j, lanes) : dh;
}

inline void back(Lstm, const BackRow& r) {
  const int64_t n = r.stride;
  forLanes(r.width, [&](int64_t j, int lanes) {
    const VecF i = get(r.saved + j, lanes), f = get(r.saved + n + j, lanes);
    const VecF g = get(r.saved + 2 * n + j, lanes), o = get(r.saved + 3 * n + j, lanes);
    const VecF dh = stateGradient(r, j, lanes);
    const VecF t = tanh(get(r.cell + j, lanes));
    const VecF dc = fma(dh * o, one() - t * t, get(r.dc + j, lanes));
    put(dc * g * i * (one() - i), r.inputGrad + j, lanes);
    put(dc * get(r.cellBefore + j, lanes) * f * (one() - f), r.inputGrad + n + j, lanes);
    put(dc * i * (one() - g * g), r.inputGrad + 2 * n + j, lanes);
    put(dh * t * o * (one() - o), r.inputGrad + 3 * n + j, lanes);
    put(dc * f, r.dc + j, lanes);
  });
}

inline void back(Gru, const BackRow& r) {
  const int64_t n = r.stride;
  forLanes(r.width, [&](int64_t j, int lanes) {
    const VecF reset = get(r.saved + j, lanes), update = get(r.saved + n + j, lanes);
    const VecF fresh = get(r.saved + 2 * n + j, lanes), hidden = get(r.saved + 3 * n + j, lanes);
    const VecF dh = stateGradient(r, j, lanes);
    const VecF dFresh = dh * (one() - update) * (one() - fresh * fresh);
    const VecF dUpdate = dh * (get(r.stateBefore + j, lanes) - fresh) * update * (one() - update);
    const VecF dReset = dFresh * hidden * reset * (one() - reset);
    put(dReset, r.inputGrad + j, lanes);
    put(dUpdate, r.inputGrad + n + j, lanes);
    put(dFresh, r.inputGrad + 2 * n + j, lanes);
    put(dReset, r.productGrad + j, lanes);
    put(dUpdate, r.productGrad + n + j, lanes);
    put(dFresh * reset, r.productGrad + 2 * n + j, lanes);
    put(dh * update, r.dh + j, lanes);
  });
}

template <bool relu>
void back(Rnn<relu>, const BackRow& r) {
  forLanes(r.width, [&](int64_t j, int lanes) {
    const VecF h = get(r.saved + j, lanes), dh = stateGradient(r, j, lanes);
    const VecF slope = relu ? select(VecF::zero() < h, one(), VecF::zero()) : one() - h * h;
    put(dh * slope, r.inputGrad + j, lanes);
  });
}

}  // namespace
}  // namespace KINDLING_ISA
}  // namespace kindling
