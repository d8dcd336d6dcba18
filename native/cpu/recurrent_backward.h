#pragma once
// The way back through all steps of a recurrent layer.

#include "cpu/gemm.h"
#include "cpu/recurrent_cells.h"
#include "cpu/recurrent_few.h"

namespace kindling {
namespace KINDLING_ISA {
namespace {

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
        weight_(call.inputs[4], false, !isFew(s_.rows)),
        plainWeight_(call.inputs[4]),
        products_(Cell::hasHiddenBias ? static_cast<size_t>(call.outputs[0].size) * sizeof(float)
                                      : 0) {}

  Status run() {
    if (!order_.ok() || !grad_.ok() || !gradH_.ok() || !h0_.ok() || !c0_.ok() || !gradC_.ok() ||
        !weight_.ok() || !plainWeight_.ok() || !products_.ok()) {
      return noMemory(call_);
    }
    const bool done =
        isFew(s_.rows) ? together()
                       : forBlocks(s_.rows, s_.steps * gates() * s_.width, gates() * s_.width,
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
  float* productGrads(int64_t t, int64_t position) const {
    return productGrads() + (t * s_.rows + order_.row(position)) * gates();
  }

  /// Some rows at a step, and the memory that they go through all steps with: the gradients of the
  /// running states, and of a step's products.
  struct Block {
    int64_t begin, count;
    float *dh, *dc, *gathered;
  };

  void begin(const Block& b) const {
    const int64_t n = s_.width;
    for (int64_t i = 0; i < b.count; ++i) {
      const int64_t row = order_.row(b.begin + i);
      copyFloats(b.dh + i * n, gradH_.floats() + row * n, n);
      if (Cell::hasCell) copyFloats(b.dc + i * n, gradC_.floats() + row * n, n);
    }
  }

  void end(const Block& b) const {
    const int64_t n = s_.width;
    for (int64_t i = 0; i < b.count; ++i) {
      const int64_t row = order_.row(b.begin + i);
      copyFloats(floatsAt(call_.outputs[1], row * n), b.dh + i * n, n);
      if (Cell::hasCell) copyFloats(floatsAt(call_.outputs[3], row * n), b.dc + i * n, n);
    }
  }

  /// Some rows through all steps, on their own.
  bool block(int64_t first, int64_t last) const {
    const int64_t n = s_.width, count = last - first;
    const Scratch memory(static_cast<size_t>(count * (2 * n + gates())) * sizeof(float));
    if (!memory.ok()) return false;
    float* dh = memory.as<float>();
    const Block b = {first, count, dh, dh + count * n, dh + 2 * count * n};
    begin(b);
    for (int64_t k = s_.steps; k-- > 0;) {
      goBack(b, s_.time(k));
    }
    end(b);
    return true;
  }

  void goBack(const Block& b, int64_t t) const {
    const int64_t n = s_.width, active = order_.active(t, b.begin, b.begin + b.count);
    for (int64_t i = 0; i < b.count; ++i) {
      rowBack(b, t, i, i < active, {0, n});
      if (i >= active || order_.isSorted()) continue;
      copyFloats(b.gathered + i * gates(), productGrads(t, b.begin + i), gates());
    }
    if (active == 0) return;
    const float* grads = order_.isSorted() ? productGrads(t, b.begin) : b.gathered;
    weight_.multiply(active, grads, nullptr, Cell::hasCarry, b.dh);
  }

  /// All rows, step by step, the units shared out.
  bool together() const {
    const int64_t n = s_.width, rows = s_.rows;
    const Scratch memory(static_cast<size_t>(rows * 2 * n) * sizeof(float));
    if (!memory.ok()) return false;
    float* dh = memory.as<float>();
    struct Steps {
      const Backward* layer;
      Block block;
      UnitParts units;
    };
    const Block block = {0, rows, dh, dh + rows * n, nullptr};
    Steps steps = {this, block, UnitParts(n, rows * gates() * n)};
    begin(block);
    // A state's gradient, from the products of the step after it, leads to the gates' of its own
    // step, which all parts need next: so they meet once a step.
    parallelSteps(
        steps.units.parts, s_.steps + 1,
        [](void* context, int64_t k, int part) {
          const Steps& all = *static_cast<const Steps*>(context);
          const Sequence& s = all.layer->s_;
          const Units units = all.units[part];
          if (k > 0) all.layer->stateBack(all.block, s.time(s.steps - k), units);
          if (k < s.steps) all.layer->gatesBack(all.block, s.time(s.steps - 1 - k), units);
        },
        &steps);
    end(block);
    return true;
  }

  void gatesBack(const Block& b, int64_t t, Units units) const {
    const int64_t active = order_.active(t, 0, b.count);
    for (int64_t i = 0; i < b.count; ++i) rowBack(b, t, i, i < active, units);
  }

  void stateBack(const Block& b, int64_t t, Units units) const {
    const int64_t n = s_.width, active = order_.active(t, 0, b.count);
    const float* rows[kMostFew];
    float* sums[kMostFew];
    for (int64_t i = 0; i < active; ++i) {
      rows[i] = productGrads(t, i);
      sums[i] = b.dh + i * n;
    }
    rowsTimesWeight({gates(), rows, plainWeight_.floats(), n, sums, Cell::hasCarry}, active,
                    units.begin, units.end);
  }

  /// A row's gradients of the products of a step, from that of its state.
  void rowBack(const Block& b, int64_t t, int64_t i, bool isActive, Units units) const {
    const int64_t n = s_.width, from = units.begin;
    const int64_t row = order_.row(b.begin + i), at = t * s_.rows + row;
    BackRow r = {};
    r.inputGrad = floatsAt(call_.outputs[0], at * gates() + from);
    r.productGrad = productGrads(t, b.begin + i) + from;
    if (!isActive) {
      for (int gate = 0; gate < Cell::gates; ++gate) {
        clearFloats(r.inputGrad + gate * n, units.count());
        if (Cell::hasHiddenBias) clearFloats(r.productGrad + gate * n, units.count());
      }
      return;
    }
    const bool first = t == s_.firstTime(order_.length(row));
    const int64_t before = (s_.timeBefore(t) * s_.rows + row) * n + from;
    r.width = units.count();
    r.stride = n;
    r.saved = floatsAt(call_.inputs[2], at * Cell::saved * n + from);
    r.grad = gradZero_ ? nullptr : grad_.floats() + at * n + from;
    r.dh = b.dh + i * n + from;
    r.stateBefore = first ? h0_.floats() + row * n + from : floatsAt(call_.inputs[3], before);
    if (Cell::hasCell) {
      r.dc = b.dc + i * n + from;
      r.cell = floatsAt(call_.inputs[7], at * n + from);
      r.cellBefore = first ? c0_.floats() + row * n + from : floatsAt(call_.inputs[7], before);
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
  const StepWeight weight_;  // of blocks
  const Contiguous plainWeight_;
  const Scratch products_;
};

}  // namespace
}  // namespace KINDLING_ISA
}  // namespace kindling
