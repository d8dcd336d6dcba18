// Recurrent layers over a whole sequence: LSTM, GRU and the plain RNN. The projections of the
// inputs come from one product outside; here each step is one product with the state and one pass
// over the gates. A block of rows goes through all steps before anything else sees it, so that no
// step waits for a thread and the states stay in the first-level cache.

#include "cpu/recurrent.h"

#include "core/op_info.h"
#include "core/status.h"
#include "cpu/gemm.h"
#include "cpu/kernel_table.h"
#include "cpu/recurrent_cells.h"

namespace kindling {
namespace KINDLING_ISA {
namespace {

Status noMemory(const OpCall& call) {
  return fail(Status::outOfMemory, "%s: no scratch memory", opInfo(call.op).name);
}

// Forward. Inputs: projections [t, n, gates*h], weight [gates*h, h], lengths [n], h0 [n, h], then
// c0 (LSTM) or the hidden bias [h] (GRU). Outputs: y [t, n, h], final h [n, h], saved
// [t, n, saved*h], then for LSTM final c [n, h], c [t, n, h]. What is kept for the way back, saved
// and c, may have 0 steps instead.
template <class Cell>
class Forward {
 public:
  explicit Forward(const OpCall& call)
      : call_(call),
        s_(call.outputs[0], call.ints[0] != 0),
        order_(call.inputs[2], s_.steps),
        input_(call.inputs[0]),
        h0_(call.inputs[3]),
        extra_(call.inputs[Cell::hasCell || Cell::hasHiddenBias ? 4 : 3]),
        weight_(call.inputs[1], true),
        bias_(Cell::hasHiddenBias ? static_cast<size_t>(gates()) * sizeof(float) : 0),
        keeps_(call.outputs[2].shape[0] > 0) {}

  Status run() {
    if (!order_.ok() || !input_.ok() || !h0_.ok() || !extra_.ok() || !weight_.ok() || !bias_.ok()) {
      return noMemory(call_);
    }
    if (Cell::hasHiddenBias) {
      float* bias = bias_.template as<float>();
      clearFloats(bias, 2 * s_.width);
      copyFloats(bias + 2 * s_.width, extra_.floats(), s_.width);
    }
    const bool done = forBlocks(s_.rows, s_.steps * gates() * s_.width,
                                [&](int64_t begin, int64_t end) { return block(begin, end); });
    return done ? Status::ok : noMemory(call_);
  }

 private:
  int64_t gates() const { return Cell::gates * s_.width; }

  /// The memory of a block.
  struct Block {
    int64_t begin, count;
    float *product, *h, *c;  // [count, gates], [count, width] each
    float* spare;            // where a step's results go that nobody keeps
  };

  bool block(int64_t begin, int64_t end) const {
    const int64_t n = s_.width, count = end - begin;
    const int64_t floats = count * (gates() + 2 * n) + (Cell::saved + 1) * n;
    const Scratch memory(static_cast<size_t>(floats) * sizeof(float));
    if (!memory.ok()) return false;
    float* product = memory.as<float>();
    float* h = product + count * gates();
    const Block b = {begin, count, product, h, h + count * n, h + 2 * count * n};
    for (int64_t i = 0; i < count; ++i) {
      const int64_t row = order_.row(begin + i);
      copyFloats(b.h + i * n, h0_.floats() + row * n, n);
      if (Cell::hasCell) copyFloats(b.c + i * n, extra_.floats() + row * n, n);
    }
    for (int64_t k = 0; k < s_.steps; ++k) {
      if (!advance(b, s_.time(k))) return false;
    }
    for (int64_t i = 0; i < count; ++i) {
      const int64_t row = order_.row(begin + i);
      copyFloats(floatsAt(call_.outputs[1], row * n), b.h + i * n, n);
      if (Cell::hasCell) copyFloats(floatsAt(call_.outputs[3], row * n), b.c + i * n, n);
    }
    return true;
  }

  bool advance(const Block& b, int64_t t) const {
    const int64_t n = s_.width, active = order_.active(t, b.begin, b.begin + b.count);
    GemmEpilogue epilogue;
    if (Cell::hasHiddenBias) epilogue.bias = bias_.template as<float>();
    if (active > 0 && !gemm(active, gates(), n, b.h, n, 1, weight_.floats(), weight_.step(), 1,
                            b.product, gates(), epilogue)) {
      return false;
    }
    for (int64_t i = 0; i < b.count; ++i) {
      const int64_t at = t * s_.rows + order_.row(b.begin + i);
      StepRow r = {};
      r.y = floatsAt(call_.outputs[0], at * n);
      if (i >= active) {
        clearFloats(r.y, n);
        continue;
      }
      r.width = n;
      r.input = input_.floats() + at * gates();
      r.product = b.product + i * gates();
      r.saved = keeps_ ? floatsAt(call_.outputs[2], at * Cell::saved * n) : b.spare;
      r.h = b.h + i * n;
      if (Cell::hasCell) {
        r.c = b.c + i * n;
        r.cells = keeps_ ? floatsAt(call_.outputs[4], at * n) : b.spare + Cell::saved * n;
      }
      step(Cell(), r);
    }
    return true;
  }

  const OpCall& call_;
  const Sequence s_;
  const RowOrder order_;
  const Contiguous input_, h0_, extra_;
  const StepWeight weight_;
  const Scratch bias_;
  const bool keeps_;
};

// Backward. Inputs: grad of y [t, n, h], grad of the final h [n, h], saved, y, weight, lengths, h0,
// then for LSTM c, c0 and the grad of the final c. Outputs: grads of the projections
// [t, n, gates*h], of h0, of the weight, then of c0 (LSTM) or the hidden bias (GRU).
template <class Cell>
class Backward {
 public:
  explicit Backward(const OpCall& call)
      : call_(call),
        s_(call.inputs[3], call.ints[0] != 0),
        order_(call.inputs[5], s_.steps),
        gradZero_(isZero(call.inputs[0])),
        grad_(call.inputs[gradZero_ ? 1 : 0]),
        gradH_(call.inputs[1]),
        h0_(call.inputs[6]),
        c0_(call.inputs[Cell::hasCell ? 8 : 6]),
        gradC_(call.inputs[Cell::hasCell ? 9 : 1]),
        weight_(call.inputs[4], false),
        products_(Cell::hasHiddenBias ? static_cast<size_t>(call.outputs[0].size) * sizeof(float)
                                      : 0) {}

  Status run() {
    if (!order_.ok() || !grad_.ok() || !gradH_.ok() || !h0_.ok() || !c0_.ok() || !gradC_.ok() ||
        !weight_.ok() || !products_.ok()) {
      return noMemory(call_);
    }
    const bool done = forBlocks(s_.rows, s_.steps * gates() * s_.width,
                                [&](int64_t begin, int64_t end) { return block(begin, end); });
    return done && weightGradient() ? Status::ok : noMemory(call_);
  }

 private:
  int64_t gates() const { return Cell::gates * s_.width; }

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

  /// The memory of a block: the gradients of the running states, and of a step's products.
  struct Block {
    int64_t begin, count;
    float *dh, *dc, *gathered;
  };

  bool block(int64_t begin, int64_t end) const {
    const int64_t n = s_.width, count = end - begin;
    const Scratch memory(static_cast<size_t>(count * (2 * n + gates())) * sizeof(float));
    if (!memory.ok()) return false;
    float* dh = memory.as<float>();
    const Block b = {begin, count, dh, dh + count * n, dh + 2 * count * n};
    for (int64_t i = 0; i < count; ++i) {
      const int64_t row = order_.row(begin + i);
      copyFloats(b.dh + i * n, gradH_.floats() + row * n, n);
      if (Cell::hasCell) copyFloats(b.dc + i * n, gradC_.floats() + row * n, n);
    }
    for (int64_t k = s_.steps; k-- > 0;) {
      if (!goBack(b, s_.time(k))) return false;
    }
    for (int64_t i = 0; i < count; ++i) {
      const int64_t row = order_.row(begin + i);
      copyFloats(floatsAt(call_.outputs[1], row * n), b.dh + i * n, n);
      if (Cell::hasCell) copyFloats(floatsAt(call_.outputs[3], row * n), b.dc + i * n, n);
    }
    return true;
  }

  bool goBack(const Block& b, int64_t t) const {
    const int64_t n = s_.width, active = order_.active(t, b.begin, b.begin + b.count);
    for (int64_t i = 0; i < b.count; ++i) {
      const int64_t row = order_.row(b.begin + i), at = t * s_.rows + row;
      float* const grads = productGrads() + at * gates();
      if (i < active) {
        rowBack(b, t, i, row);
        if (!order_.isSorted()) copyFloats(b.gathered + i * gates(), grads, gates());
      } else {
        clearFloats(floatsAt(call_.outputs[0], at * gates()), gates());
        if (Cell::hasHiddenBias) clearFloats(grads, gates());
      }
    }
    if (active == 0) return true;
    const float* grads =
        order_.isSorted() ? productGrads() + (t * s_.rows + b.begin) * gates() : b.gathered;
    GemmEpilogue epilogue;
    epilogue.accumulate = Cell::hasCarry;
    return gemm(active, n, gates(), grads, gates(), 1, weight_.floats(), weight_.step(), 1, b.dh, n,
                epilogue);
  }

  void rowBack(const Block& b, int64_t t, int64_t i, int64_t row) const {
    const int64_t n = s_.width, at = t * s_.rows + row;
    const bool first = t == s_.firstTime(order_.length(row));
    const int64_t before = (s_.timeBefore(t) * s_.rows + row) * n;
    BackRow r = {};
    r.width = n;
    r.saved = floatsAt(call_.inputs[2], at * Cell::saved * n);
    r.grad = gradZero_ ? nullptr : grad_.floats() + at * n;
    r.dh = b.dh + i * n;
    r.inputGrad = floatsAt(call_.outputs[0], at * gates());
    r.productGrad = productGrads() + at * gates();
    r.stateBefore = first ? h0_.floats() + row * n : floatsAt(call_.inputs[3], before);
    if (Cell::hasCell) {
      r.dc = b.dc + i * n;
      r.cell = floatsAt(call_.inputs[7], at * n);
      r.cellBefore = first ? c0_.floats() + row * n : floatsAt(call_.inputs[7], before);
    }
    back(Cell(), r);
  }

  /// Of all steps in two products: with the states between steps, and with the initial states.
  bool weightGradient() const {
    const int64_t n = s_.width, between = (s_.steps - 1) * s_.rows;
    const Scratch firsts(static_cast<size_t>(s_.rows * gates()) * sizeof(float));
    if (!firsts.ok()) return false;
    float* first = firsts.as<float>();
    const float* grads = productGrads();
    for (int64_t row = 0; row < s_.rows; ++row) {
      const int64_t t = s_.firstTime(order_.length(row));
      if (t >= 0) {
        copyFloats(first + row * gates(), grads + (t * s_.rows + row) * gates(), gates());
      } else {
        clearFloats(first + row * gates(), gates());
      }
    }
    float* weight = floatsAt(call_.outputs[2]);
    if (!gemm(gates(), n, s_.rows, first, 1, gates(), h0_.floats(), n, 1, weight, n,
              GemmEpilogue())) {
      return false;
    }
    // Outputs are 0 where a row has not started, so that those steps add nothing.
    const int64_t shift = s_.rows;
    const float* later = s_.reverse ? grads : grads + shift * gates();
    const float* states = floatsAt(call_.inputs[3], s_.reverse ? shift * n : 0);
    GemmEpilogue add;
    add.accumulate = true;
    if (between > 0 &&
        !gemm(gates(), n, between, later, 1, gates(), states, n, 1, weight, n, add)) {
      return false;
    }
    if (Cell::hasHiddenBias) biasGradient(first);
    return true;
  }

  /// Step by step, so that rounding errors grow with the rows plus the steps, not their product.
  void biasGradient(float* sums) const {
    const int64_t n = s_.width;
    float* bias = floatsAt(call_.outputs[3]);
    clearFloats(bias, n);
    const auto addTo = [&](float* total, const float* part) {
      forLanes(n, [&](int64_t j, int lanes) {
        put(get(total + j, lanes) + get(part + j, lanes), total + j, lanes);
      });
    };
    for (int64_t t = 0; t < s_.steps; ++t) {
      clearFloats(sums, s_.rows > 0 ? n : 0);
      for (int64_t row = 0; row < s_.rows; ++row) {
        addTo(sums, productGrads() + (t * s_.rows + row) * gates() + 2 * n);
      }
      if (s_.rows > 0) addTo(bias, sums);
    }
  }

  const OpCall& call_;
  const Sequence s_;
  const RowOrder order_;
  const bool gradZero_;
  const Contiguous grad_, gradH_, h0_, c0_, gradC_;
  const StepWeight weight_;
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
