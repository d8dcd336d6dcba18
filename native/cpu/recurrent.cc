// Recurrent layers over a whole sequence: LSTM, GRU and the plain RNN. The projections of the
// inputs come from one product outside; here each step is one product with the state and one pass
// over the gates. Threads take rows of the batch through all steps, so that none waits for another.

#include "cpu/recurrent.h"

#include <cmath>
#include <cstring>

#include "core/status.h"
#include "cpu/gemm.h"
#include "cpu/kernel_table.h"
#include "cpu/parallel.h"

namespace kindling {
namespace KINDLING_ISA {
namespace {

Status noMemory(const char* op) { return fail(Status::outOfMemory, "%s: no scratch memory", op); }

VecF one() { return VecF::set1(1.0f); }

/// The cells. `gates`: products per step; `saved`: what forward keeps of a step, in widths.
/// step(): from the products and the previous state to the next. back(): from the gradient of the
/// new state to those of the products, and what goes on to the previous state directly.
struct Lstm {
  static constexpr int gates = 4, saved = 4;
  static constexpr bool hasCell = true, hasHiddenBias = false;
};
struct Gru {
  static constexpr int gates = 3, saved = 4;
  static constexpr bool hasCell = false, hasHiddenBias = true;
};
template <bool relu>
struct Rnn {
  static constexpr int gates = 1, saved = 1;
  static constexpr bool hasCell = false, hasHiddenBias = false;
};

/// Pointers of one row at one step.
struct StepRow {
  int64_t width;
  const float* input;    // the inputs' projections
  const float* product;  // the state's
  float* saved;
  float* h;
  float* c;
  float* y;
  float* cells;  // c of all steps, kept
};

void step(Lstm, const StepRow& r) {
  const int64_t n = r.width;
  forLanes(n, [&](int64_t j, int lanes) {
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

void step(Gru, const StepRow& r) {
  const int64_t n = r.width;
  forLanes(n, [&](int64_t j, int lanes) {
    const VecF reset = sigmoid(get(r.input + j, lanes) + get(r.product + j, lanes));
    const VecF update = sigmoid(get(r.input + n + j, lanes) + get(r.product + n + j, lanes));
    const VecF hidden = get(r.product + 2 * n + j, lanes);
    const VecF fresh = tanh(fma(reset, hidden, get(r.input + 2 * n + j, lanes)));
    const VecF h = fma(update, get(r.h + j, lanes) - fresh, fresh);
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

/// Pointers of one row at one step on the way back.
struct BackRow {
  int64_t width;
  const float* saved;
  const float* cell;  // after the step
  const float* cellBefore;
  const float* stateBefore;
  const float* grad;  // of this step's output, or nullptr
  float* dh;          // in: of the state after; out: what goes around the products
  float* dc;
  float* inputGrad;    // of the inputs' projections
  float* productGrad;  // of the state's, where they differ
};

KINDLING_INLINE VecF stateGradient(const BackRow& r, int64_t j, int lanes) {
  const VecF dh = get(r.dh + j, lanes);
  return r.grad ? dh + get(r.grad + j, lanes) : dh;
}

void back(Lstm, const BackRow& r) {
  const int64_t n = r.width;
  forLanes(n, [&](int64_t j, int lanes) {
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
    put(VecF::zero(), r.dh + j, lanes);
  });
}

void back(Gru, const BackRow& r) {
  const int64_t n = r.width;
  forLanes(n, [&](int64_t j, int lanes) {
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
    put(VecF::zero(), r.dh + j, lanes);
  });
}

/// The batch's initial state as rows of memory.
void copyState(const Contiguous& from, float* to, int64_t begin, int64_t end, int64_t width) {
  memcpy(to, from.floats() + begin * width, static_cast<size_t>((end - begin) * width) * 4);
}

// Forward. Inputs: projections [t, n, gates*h], weight [gates*h, h], lengths [n], h0 [n, h], then
// c0 (LSTM) or the hidden bias [h] (GRU). Outputs: y [t, n, h], final h [n, h], saved
// [t, n, saved*h], then for LSTM final c [n, h], c [t, n, h].
template <class Cell>
class Forward {
 public:
  explicit Forward(const OpCall& call)
      : call_(call),
        s_(call.outputs[0], call.inputs[2], call.ints[0] != 0),
        input_(call.inputs[0]),
        h0_(call.inputs[3]),
        extra_(Cell::hasCell || Cell::hasHiddenBias ? Contiguous(call.inputs[4])
                                                    : Contiguous(call.inputs[3])),
        weight_(static_cast<size_t>(call.inputs[1].size) * 4),
        bias_(Cell::hasHiddenBias ? static_cast<size_t>(Cell::gates * s_.width) * 4 : 0) {}

  Status run() {
    if (!input_.ok() || !h0_.ok() || !extra_.ok() || !weight_.ok() || !bias_.ok()) {
      return noMemory("recurrent");
    }
    transposeWeight(call_.inputs[1], weight_.template as<float>());
    if (Cell::hasHiddenBias) {
      float* bias = bias_.template as<float>();
      memset(bias, 0, static_cast<size_t>(2 * s_.width) * 4);
      memcpy(bias + 2 * s_.width, extra_.floats(), static_cast<size_t>(s_.width) * 4);
    }
    bool ok = true;
    parallelFor(s_.rows, s_.grain(), 1, [&](int64_t begin, int64_t end) {
      if (!rows(begin, end)) __atomic_store_n(&ok, false, __ATOMIC_RELAXED);
    });
    return ok ? Status::ok : noMemory("recurrent");
  }

 private:
  bool rows(int64_t begin, int64_t end) {
    const int64_t n = s_.width, gates = Cell::gates * n, count = end - begin;
    const Scratch products(static_cast<size_t>(count * gates) * 4);
    if (!products.ok()) return false;
    float* product = products.as<float>();
    // The final states are where the running states live.
    float* h = floatsAt(call_.outputs[1], begin * n);
    copyState(h0_, h, begin, end, n);
    float* c = nullptr;
    if constexpr (Cell::hasCell) {
      c = floatsAt(call_.outputs[3], begin * n);
      copyState(extra_, c, begin, end, n);
    }
    GemmEpilogue epilogue;
    if (Cell::hasHiddenBias) epilogue.bias = bias_.template as<float>();
    for (int64_t k = 0; k < s_.steps; ++k) {
      const int64_t t = s_.time(k);
      bool all = true;
      const int64_t active = s_.activeRows(t, begin, end, &all);
      if (active > 0 && !gemm(active, gates, n, h, n, 1, weight_.template as<float>(), gates, 1,
                              product, gates, epilogue)) {
        return false;
      }
      for (int64_t row = 0; row < count; ++row) {
        const int64_t at = t * s_.rows + begin + row;
        float* y = floatsAt(call_.outputs[0], at * n);
        if (!s_.active(t, begin + row)) {
          memset(y, 0, static_cast<size_t>(n) * 4);
          continue;
        }
        StepRow r = {};
        r.width = n;
        r.input = input_.floats() + at * gates;
        r.product = product + row * gates;
        r.saved = floatsAt(call_.outputs[2], at * Cell::saved * n);
        r.h = h + row * n;
        r.y = y;
        if constexpr (Cell::hasCell) {
          r.c = c + row * n;
          r.cells = floatsAt(call_.outputs[4], at * n);
        }
        step(Cell(), r);
      }
    }
    return true;
  }

  const OpCall& call_;
  const Sequence s_;
  const Contiguous input_, h0_, extra_;
  const Scratch weight_, bias_;
};

// Backward. Inputs: grad of y [t, n, h], grad of the final h [n, h], saved, y, weight, lengths, h0,
// then for LSTM c, c0 and the grad of the final c. Outputs: grads of the projections
// [t, n, gates*h], of h0, of the weight, then of c0 (LSTM) or the hidden bias (GRU).
template <class Cell>
class Backward {
 public:
  explicit Backward(const OpCall& call)
      : call_(call),
        s_(call.inputs[3], call.inputs[5], call.ints[0] != 0),
        gradZero_(isZero(call.inputs[0])),
        grad_(gradZero_ ? call.inputs[1] : call.inputs[0]),
        gradH_(call.inputs[1]),
        weight_(call.inputs[4]),
        h0_(call.inputs[6]),
        c0_(Cell::hasCell ? call.inputs[8] : call.inputs[6]),
        gradC_(Cell::hasCell ? call.inputs[9] : call.inputs[1]),
        products_(Cell::hasHiddenBias ? static_cast<size_t>(call.outputs[0].size) * 4 : 0) {}

  Status run() {
    if (!grad_.ok() || !gradH_.ok() || !weight_.ok() || !h0_.ok() || !c0_.ok() || !gradC_.ok() ||
        !products_.ok()) {
      return noMemory("recurrent");
    }
    bool ok = true;
    parallelFor(s_.rows, s_.grain(), 1, [&](int64_t begin, int64_t end) {
      if (!rows(begin, end)) __atomic_store_n(&ok, false, __ATOMIC_RELAXED);
    });
    return ok && weightGradient() ? Status::ok : noMemory("recurrent");
  }

 private:
  /// A broadcast 0: nobody asked for the outputs of the steps.
  static bool isZero(const TensorView& view) {
    for (int axis = 0; axis < view.rank; ++axis) {
      if (view.strides[axis] != 0 && view.shape[axis] > 1) return false;
    }
    return view.size > 0 && *static_cast<const float*>(view.data) == 0;
  }

  /// Of the state's products; the inputs' where the cell makes no difference.
  float* productGrads() const {
    return Cell::hasHiddenBias ? products_.template as<float>() : floatsAt(call_.outputs[0]);
  }

  bool rows(int64_t begin, int64_t end) {
    const int64_t n = s_.width, gates = Cell::gates * n, count = end - begin;
    const Scratch carried(static_cast<size_t>(count * n) * 4);
    if (!carried.ok()) return false;
    float* dh = floatsAt(call_.outputs[1], begin * n);
    copyState(gradH_, dh, begin, end, n);
    float* dc = nullptr;
    if constexpr (Cell::hasCell) {
      dc = floatsAt(call_.outputs[3], begin * n);
      copyState(gradC_, dc, begin, end, n);
    }
    for (int64_t k = s_.steps; k-- > 0;) {
      const int64_t t = s_.time(k);
      bool all = true;
      const int64_t active = s_.activeRows(t, begin, end, &all);
      for (int64_t row = 0; row < count; ++row) backRow(t, begin, row, dh, dc);
      if (active == 0) continue;
      const float* grads = productGrads() + (t * s_.rows + begin) * gates;
      if (all) {
        GemmEpilogue add;
        add.accumulate = true;
        if (!gemm(active, n, gates, grads, gates, 1, weight_.floats(), n, 1, dh, n, add))
          return false;
        continue;
      }
      float* sum = carried.as<float>();
      if (!gemm(active, n, gates, grads, gates, 1, weight_.floats(), n, 1, sum, n,
                GemmEpilogue())) {
        return false;
      }
      for (int64_t row = 0; row < active; ++row) {
        if (!s_.active(t, begin + row)) continue;
        forLanes(n, [&](int64_t j, int lanes) {
          put(get(dh + row * n + j, lanes) + get(sum + row * n + j, lanes), dh + row * n + j,
              lanes);
        });
      }
    }
    return true;
  }

  void backRow(int64_t t, int64_t begin, int64_t row, float* dh, float* dc) {
    const int64_t n = s_.width, gates = Cell::gates * n;
    const int64_t at = t * s_.rows + begin + row;
    float* inputGrad = floatsAt(call_.outputs[0], at * gates);
    float* productGrad = productGrads() + at * gates;
    if (!s_.active(t, begin + row)) {
      memset(inputGrad, 0, static_cast<size_t>(gates) * 4);
      if (Cell::hasHiddenBias) memset(productGrad, 0, static_cast<size_t>(gates) * 4);
      return;
    }
    const bool first = t == s_.firstTime(begin + row);
    const int64_t before = (s_.timeBefore(t) * s_.rows + begin + row) * n;
    BackRow r = {};
    r.width = n;
    r.saved = floatsAt(call_.inputs[2], at * Cell::saved * n);
    r.grad = gradZero_ ? nullptr : grad_.floats() + at * n;
    r.dh = dh + row * n;
    r.inputGrad = inputGrad;
    r.productGrad = productGrad;
    r.stateBefore = first ? h0_.floats() + (begin + row) * n : floatsAt(call_.inputs[3], before);
    if constexpr (Cell::hasCell) {
      r.dc = dc + row * n;
      r.cell = floatsAt(call_.inputs[7], at * n);
      r.cellBefore = first ? c0_.floats() + (begin + row) * n : floatsAt(call_.inputs[7], before);
    }
    back(Cell(), r);
  }

  /// Of all steps in two products: with the states between steps, and with the initial states.
  bool weightGradient() {
    const int64_t n = s_.width, gates = Cell::gates * n, between = (s_.steps - 1) * s_.rows;
    const Scratch firsts(static_cast<size_t>(s_.rows * gates) * 4);
    if (!firsts.ok()) return false;
    float* first = firsts.as<float>();
    const float* grads = productGrads();
    for (int64_t row = 0; row < s_.rows; ++row) {
      const int64_t t = s_.firstTime(row);
      if (t >= 0) {
        memcpy(first + row * gates, grads + (t * s_.rows + row) * gates,
               static_cast<size_t>(gates) * 4);
      } else {
        memset(first + row * gates, 0, static_cast<size_t>(gates) * 4);
      }
    }
    float* weight = floatsAt(call_.outputs[2]);
    if (!gemm(gates, n, s_.rows, first, 1, gates, h0_.floats(), n, 1, weight, n, GemmEpilogue())) {
      return false;
    }
    // Outputs are 0 where a row has not started, so that those steps add nothing.
    const int64_t shift = s_.rows;
    const float* later = s_.reverse ? grads : grads + shift * gates;
    const float* states = floatsAt(call_.inputs[3], s_.reverse ? shift * n : 0);
    GemmEpilogue add;
    add.accumulate = true;
    if (between > 0 && !gemm(gates, n, between, later, 1, gates, states, n, 1, weight, n, add)) {
      return false;
    }
    if (Cell::hasHiddenBias) biasGradient();
    return true;
  }

  void biasGradient() {
    const int64_t n = s_.width, gates = Cell::gates * n, all = s_.steps * s_.rows;
    float* bias = floatsAt(call_.outputs[3]);
    memset(bias, 0, static_cast<size_t>(n) * 4);
    for (int64_t i = 0; i < all; ++i) {
      const float* grads = productGrads() + i * gates + 2 * n;
      forLanes(n, [&](int64_t j, int lanes) {
        put(get(bias + j, lanes) + get(grads + j, lanes), bias + j, lanes);
      });
    }
  }

  const OpCall& call_;
  const Sequence s_;
  const bool gradZero_;
  const Contiguous grad_, gradH_, weight_, h0_, c0_, gradC_;
  const Scratch products_;
};

template <class Cell>
Status forward(const OpCall& call) {
  Forward<Cell> run(call);
  return run.run();
}

template <class Cell>
Status backward(const OpCall& call) {
  Backward<Cell> run(call);
  return run.run();
}

}  // namespace

void registerRecurrent(Kernel* kernels) {
  const auto set = [&](Op op, Kernel kernel) { kernels[static_cast<int>(op)] = kernel; };
  set(Op::lstm, forward<Lstm>);
  set(Op::lstmBackward, backward<Lstm>);
  set(Op::gru, forward<Gru>);
  set(Op::gruBackward, backward<Gru>);
  set(Op::rnn, [](const OpCall& call) {
    return call.ints[1] ? forward<Rnn<true>>(call) : forward<Rnn<false>>(call);
  });
  set(Op::rnnBackward, [](const OpCall& call) {
    return call.ints[1] ? backward<Rnn<true>>(call) : backward<Rnn<false>>(call);
  });
}

}  // namespace KINDLING_ISA
}  // namespace kindling
