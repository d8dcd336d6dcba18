#pragma once
// The cells of the recurrent layers, one unit of one row at one step, forward and back; and the
// walk over a padded batch. A row takes part in the steps below its length; elsewhere its state
// stays and its output is 0. The arithmetic is that of native/cpu/recurrent_cells.h.

#include <cstdint>

#include "cuda/gpu.h"
#include "cuda/runtime.h"

namespace kindling {
namespace cuda {

struct LstmCell {
  static constexpr Op kForward = Op::lstm, kBackward = Op::lstmBackward;
  static constexpr int kGates = 4, kSaved = 4;
  static constexpr bool kHasCell = true, kHasHiddenBias = false;
};
struct GruCell {
  static constexpr Op kForward = Op::gru, kBackward = Op::gruBackward;
  static constexpr int kGates = 3, kSaved = 4;
  static constexpr bool kHasCell = false, kHasHiddenBias = true;
};
struct RnnCell {
  static constexpr Op kForward = Op::rnn, kBackward = Op::rnnBackward;
  static constexpr int kGates = 1, kSaved = 1;
  static constexpr bool kHasCell = false, kHasHiddenBias = false;
};

/// The dimensions of a run over a padded batch.
struct RecurrentSize {
  int64_t steps, rows, width;
  bool reverse, relu;
  const int32_t* lengths;
  int64_t lengthStride;
  IndexError* slot;

  __host__ __device__ __forceinline__ int64_t time(int64_t step) const {
    return reverse ? steps - 1 - step : step;
  }
  __device__ __forceinline__ int64_t timeBefore(int64_t t) const { return reverse ? t + 1 : t - 1; }
  /// The length of a row; one out of range is reported by who `reports`, and counts as 0.
  __device__ __forceinline__ int64_t length(int64_t row, Op op, bool reports) const {
    const int64_t length = lengths[row * lengthStride];
    if (length >= 0 && length <= steps) return length;
    if (reports) gpu::reportIndex(slot, op, length, steps, row, IndexKind::length);
    return 0;
  }
  __device__ __forceinline__ int64_t firstTime(int64_t length) const {
    return reverse ? length - 1 : 0;
  }
};

struct RecurrentForwardPlan {
  RecurrentSize size;
  const float* input;  // projections [t, n, gates * h]
  int64_t inputTime, inputRow, inputColumn;
  const float* bias;  // of the hidden products of a GRU's third gate
  int64_t biasStride;
  float* y;
  float* h;  // [n, h], the running state
  float* c;
  float* saved;  // nullptr where nothing is kept
  float* cells;
};

struct RecurrentBackwardPlan {
  RecurrentSize size;
  const float* grad;  // of y
  int64_t gradTime, gradRow, gradColumn;
  const float* saved;
  const float* y;
  const float* cells;
  const float* h0;
  int64_t h0Row, h0Column;
  const float* c0;
  int64_t c0Row, c0Column;
  float* inputGrads;    // [t, n, gates * h]
  float* productGrads;  // the same memory where the cell makes no difference
  float* dh;            // [n, h], of the running state
  float* dc;
};

__device__ __forceinline__ float sigmoidOf(float x) { return 1.0f / (1.0f + expf(-x)); }

/// The state of a unit after a step, from its products with the state before.
template <class Cell>
__device__ __forceinline__ float recurrentForward(const RecurrentForwardPlan& plan, int64_t t,
                                                  int64_t row, int64_t unit, bool isActive,
                                                  const float (&products)[Cell::kGates]) {
  const RecurrentSize& s = plan.size;
  const int64_t at = t * s.rows + row, own = row * s.width + unit, n = s.width;
  const float before = plan.h[own];
  if (!isActive) {
    plan.y[at * n + unit] = 0;
    return before;
  }
  const float* const input = plan.input + t * plan.inputTime + row * plan.inputRow;
  float in[Cell::kGates];
#pragma unroll
  for (int gate = 0; gate < Cell::kGates; ++gate) {
    in[gate] = input[(gate * n + unit) * plan.inputColumn];
  }
  float* const saved = plan.saved == nullptr ? nullptr : plan.saved + at * Cell::kSaved * n + unit;
  float h;
  if constexpr (Cell::kHasCell) {
    const float i = sigmoidOf(in[0] + products[0]), f = sigmoidOf(in[1] + products[1]);
    const float g = tanhf(in[2] + products[2]), o = sigmoidOf(in[3] + products[3]);
    const float c = fmaf(f, plan.c[own], i * g);
    h = o * tanhf(c);
    plan.c[own] = c;
    if (saved != nullptr) {
      saved[0] = i;
      saved[n] = f;
      saved[2 * n] = g;
      saved[3 * n] = o;
      plan.cells[at * n + unit] = c;
    }
  } else if constexpr (Cell::kHasHiddenBias) {
    const float reset = sigmoidOf(in[0] + products[0]), update = sigmoidOf(in[1] + products[1]);
    const float hidden = products[2] + plan.bias[unit * plan.biasStride];
    const float fresh = tanhf(fmaf(reset, hidden, in[2]));
    h = fmaf(update, before - fresh, fresh);
    if (saved != nullptr) {
      saved[0] = reset;
      saved[n] = update;
      saved[2 * n] = fresh;
      saved[3 * n] = hidden;
    }
  } else {
    const float sum = in[0] + products[0];
    h = s.relu ? (0.0f > sum ? 0.0f : sum) : tanhf(sum);
    if (saved != nullptr) saved[0] = h;
  }
  plan.h[own] = h;
  plan.y[at * n + unit] = h;
  return h;
}

/// The gradients of a unit's products at a step, from that of its state, in which what goes around
/// the products remains. They are returned too.
template <class Cell>
__device__ __forceinline__ void recurrentBackward(const RecurrentBackwardPlan& plan, int64_t t,
                                                  int64_t row, int64_t unit, int64_t length,
                                                  float (&products)[Cell::kGates]) {
  const RecurrentSize& s = plan.size;
  const int64_t at = t * s.rows + row, own = row * s.width + unit, n = s.width;
  float inputs[Cell::kGates];
  if (t < length) {
    const bool isFirst = t == s.firstTime(length);
    const int64_t before = (s.timeBefore(t) * s.rows + row) * n + unit;
    const float* const saved = plan.saved + at * Cell::kSaved * n + unit;
    const float dh =
        plan.dh[own] + plan.grad[t * plan.gradTime + row * plan.gradRow + unit * plan.gradColumn];
    if constexpr (Cell::kHasCell) {
      const float i = saved[0], f = saved[n], g = saved[2 * n], o = saved[3 * n];
      const float cellBefore =
          isFirst ? plan.c0[row * plan.c0Row + unit * plan.c0Column] : plan.cells[before];
      const float th = tanhf(plan.cells[at * n + unit]);
      const float dc = fmaf(dh * o, 1.0f - th * th, plan.dc[own]);
      inputs[0] = products[0] = dc * g * i * (1.0f - i);
      inputs[1] = products[1] = dc * cellBefore * f * (1.0f - f);
      inputs[2] = products[2] = dc * i * (1.0f - g * g);
      inputs[3] = products[3] = dh * th * o * (1.0f - o);
      plan.dc[own] = dc * f;
      plan.dh[own] = 0;
    } else if constexpr (Cell::kHasHiddenBias) {
      const float reset = saved[0], update = saved[n], fresh = saved[2 * n], hidden = saved[3 * n];
      const float stateBefore =
          isFirst ? plan.h0[row * plan.h0Row + unit * plan.h0Column] : plan.y[before];
      const float dFresh = dh * (1.0f - update) * (1.0f - fresh * fresh);
      inputs[0] = products[0] = dFresh * hidden * reset * (1.0f - reset);
      inputs[1] = products[1] = dh * (stateBefore - fresh) * update * (1.0f - update);
      inputs[2] = dFresh;
      products[2] = dFresh * reset;
      plan.dh[own] = dh * update;
    } else {
      const float h = saved[0];
      inputs[0] = products[0] = dh * (s.relu ? (0.0f < h ? 1.0f : 0.0f) : 1.0f - h * h);
      plan.dh[own] = 0;
    }
  } else {
#pragma unroll
    for (int gate = 0; gate < Cell::kGates; ++gate) inputs[gate] = products[gate] = 0;
  }
  const int64_t first = at * Cell::kGates * n + unit;
#pragma unroll
  for (int gate = 0; gate < Cell::kGates; ++gate) {
    plan.inputGrads[first + gate * n] = inputs[gate];
    if (Cell::kHasHiddenBias) plan.productGrads[first + gate * n] = products[gate];
  }
}

}  // namespace cuda
}  // namespace kindling
