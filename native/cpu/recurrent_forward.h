#pragma once
// The way forward through all steps of a recurrent layer.

#include "cpu/gemm.h"
#include "cpu/recurrent_cells.h"
#include "cpu/recurrent_few.h"

namespace kindling {
namespace KINDLING_ISA {
namespace {

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
        weight_(call.inputs[1], true, !isFew(s_.rows)),
        plainWeight_(call.inputs[1]),
        bias_(Cell::hasHiddenBias ? static_cast<size_t>(gates()) * sizeof(float) : 0),
        keeps_(call.outputs[2].shape[0] > 0) {}

  Status run() {
    if (!order_.ok() || !input_.ok() || !h0_.ok() || !extra_.ok() || !weight_.ok() ||
        !plainWeight_.ok() || !bias_.ok()) {
      return noMemory(call_);
    }
    if (Cell::hasHiddenBias) {
      float* bias = bias_.template as<float>();
      clearFloats(bias, 2 * s_.width);
      copyFloats(bias + 2 * s_.width, extra_.floats(), s_.width);
    }
    const bool done =
        isFew(s_.rows) ? together()
                       : forBlocks(s_.rows, s_.steps * gates() * s_.width, gates() * s_.width,
                                   [&](int64_t begin, int64_t end) { return block(begin, end); });
    return done ? Status::ok : noMemory(call_);
  }

 private:
  int64_t gates() const { return Cell::gates * s_.width; }

  /// Some rows at a step, and the memory that they go through all steps with.
  struct Block {
    int64_t begin, count;
    float *product, *c;    // [count, gates], [count, width]
    float* spare;          // where a step's results go that nobody keeps
    const float* hBefore;  // [count, width]
    float* h;              // the same, or of the same size
  };

  static int64_t spareFloats(int64_t width) { return (Cell::saved + 1) * width; }

  void begin(const Block& b) const {
    const int64_t n = s_.width;
    for (int64_t i = 0; i < b.count; ++i) {
      const int64_t row = order_.row(b.begin + i);
      copyFloats(b.h + i * n, h0_.floats() + row * n, n);
      if (Cell::hasCell) copyFloats(b.c + i * n, extra_.floats() + row * n, n);
    }
  }

  void end(const Block& b) const {
    const int64_t n = s_.width;
    for (int64_t i = 0; i < b.count; ++i) {
      const int64_t row = order_.row(b.begin + i);
      copyFloats(floatsAt(call_.outputs[1], row * n), b.h + i * n, n);
      if (Cell::hasCell) copyFloats(floatsAt(call_.outputs[3], row * n), b.c + i * n, n);
    }
  }

  /// Some rows through all steps, on their own.
  bool block(int64_t first, int64_t last) const {
    const int64_t n = s_.width, count = last - first;
    const int64_t floats = count * (gates() + 2 * n) + spareFloats(n);
    const Scratch memory(static_cast<size_t>(floats) * sizeof(float));
    if (!memory.ok()) return false;
    float* product = memory.as<float>();
    float* h = product + count * gates();
    const Block b = {first, count, product, h + count * n, h + 2 * count * n, h, h};
    begin(b);
    for (int64_t k = 0; k < s_.steps; ++k) {
      advance(b, s_.time(k));
    }
    end(b);
    return true;
  }

  void advance(const Block& b, int64_t t) const {
    const int64_t n = s_.width, active = order_.active(t, b.begin, b.begin + b.count);
    const float* bias = Cell::hasHiddenBias ? bias_.template as<float>() : nullptr;
    weight_.multiply(active, b.h, bias, false, b.product);
    for (int64_t i = 0; i < b.count; ++i) finish(b, t, i, i < active, {0, n});
  }

  /// All rows, step by step, the units shared out.
  bool together() const {
    const int64_t n = s_.width, rows = s_.rows;
    const int64_t floats = rows * (gates() + 3 * n) + spareFloats(n);
    const Scratch memory(static_cast<size_t>(floats) * sizeof(float));
    if (!memory.ok()) return false;
    float* product = memory.as<float>();
    float* c = product + rows * gates();
    float* h = c + rows * n;
    struct Steps {
      const Forward* layer;
      Block block;
      float* h;  // [2, rows, width]: a step reads one and writes the other
      UnitParts units;
    };
    const Block block = {0, rows, product, c, h + 2 * rows * n, h, h};
    Steps steps = {this, block, h, UnitParts(n, rows * gates() * n)};
    begin(block);
    parallelSteps(
        steps.units.parts, s_.steps,
        [](void* context, int64_t k, int part) {
          const Steps& all = *static_cast<const Steps*>(context);
          const int64_t size = all.block.count * all.layer->s_.width;
          Block now = all.block;
          now.hBefore = all.h + k % 2 * size;
          now.h = all.h + (k + 1) % 2 * size;
          all.layer->advanceUnits(now, all.layer->s_.time(k), all.units[part]);
        },
        &steps);
    steps.block.h = h + s_.steps % 2 * rows * n;
    end(steps.block);
    return true;
  }

  void advanceUnits(const Block& b, int64_t t, Units units) const {
    const int64_t n = s_.width, active = order_.active(t, 0, b.count);
    for (int gate = 0; gate < Cell::gates; ++gate) {
      const float* bias = Cell::hasHiddenBias ? bias_.template as<float>() + gate * n : nullptr;
      dotRange(DotProblem{active, n, n, b.hBefore, n, plainWeight_.floats() + gate * n * n, n,
                          b.product + gate * n, gates(), 1, bias, 0, 1, false},
               units.begin, units.end);
    }
    for (int64_t i = 0; i < b.count; ++i) finish(b, t, i, i < active, units);
  }

  /// A row's state after the step, from its products.
  void finish(const Block& b, int64_t t, int64_t i, bool isActive, Units units) const {
    const int64_t n = s_.width, at = t * s_.rows + order_.row(b.begin + i);
    const int64_t from = units.begin, own = i * n + from;
    StepRow r = {};
    r.y = floatsAt(call_.outputs[0], at * n + from);
    r.hBefore = b.hBefore + own;
    r.h = b.h + own;
    if (!isActive) {
      clearFloats(r.y, units.count());
      if (r.h != r.hBefore) copyFloats(r.h, r.hBefore, units.count());
      return;
    }
    r.width = units.count();
    r.stride = n;
    r.input = input_.floats() + at * gates() + from;
    r.product = b.product + i * gates() + from;
    r.saved = (keeps_ ? floatsAt(call_.outputs[2], at * Cell::saved * n) : b.spare) + from;
    if (Cell::hasCell) {
      r.c = b.c + own;
      r.cells = (keeps_ ? floatsAt(call_.outputs[4], at * n) : b.spare + Cell::saved * n) + from;
    }
    step(Cell(), r);
  }

  const OpCall& call_;
  const Sequence s_;
  const RowOrder order_;
  const Contiguous input_, h0_, extra_;
  const StepWeight weight_;  // of blocks
  const Contiguous plainWeight_;
  const Scratch bias_;
  const bool keeps_;
};

}  // namespace
}  // namespace KINDLING_ISA
}  // namespace kindling
