// What moves more than it computes: the ops that lib/ops issues for them.

#include <map>

#include "bench/geometry.h"
#include "bench/workload.h"

namespace kindling::bench {

// Operands: x, and for add a second.
void buildElementwise(const Spec& s, Workload* w) {
  static const std::map<std::string, Op> ops = {
      {"add", Op::add}, {"relu", Op::relu}, {"exp", Op::exp}, {"tanh", Op::tanh}, {"sum", Op::sum}};
  const Shape shape = {s.number("size")};
  const Op op = ops.at(s.kind());
  std::vector<TensorView> inputs = {w->input(shape, 1)};
  if (op == Op::add) inputs.push_back(w->input(shape, 2));
  const TensorView out = op == Op::sum ? w->made(op, inputs, {}, {1}) : w->made(op, inputs, shape);
  w->result("y", out);
}

// Operands: x or, for the way back, y (positive) and its gradient.
void buildSoftmax(const Spec& s, Workload* w) {
  const Shape shape = {s.number("rows"), s.number("cols")};
  const TensorView x = w->input(shape, 1);
  if (s.pass() == "forward") {
    w->result("y", w->made(Op::softmax, {x}, shape));
  } else {
    w->result("dx", w->made(Op::softmaxBackward, {w->input(shape, 2), x}, shape));
  }
}

// Operands: x, weight, bias, the gradient of y. On the way back the forward pass is run once, not
// measured.
void buildLayerNorm(const Spec& s, Workload* w) {
  const bool affine = s.number("affine") != 0, forward = s.pass() == "forward";
  const int64_t rows = s.number("rows"), cols = s.number("cols");
  const Shape flat = {rows, cols}, grouped = {1, rows, cols};
  const TensorView x = w->input(grouped, 1), y = w->output(grouped);
  const TensorView mean = w->output({rows}), variance = w->output({rows});
  TensorView weight = {};
  if (affine) {
    weight = w->input({cols}, 2);
    w->op(Op::normalizeAffine, {x, weight, w->input({cols}, 3)}, {y, mean, variance}, {1, 1},
          {1e-5});
  } else {
    w->op(Op::normalize, {x}, {y, mean, variance}, {1}, {1e-5});
  }
  if (forward) return w->result("y", viewOf(y.data, DType::float32, flat));
  w->run();
  w->clearOps();
  const TensorView grad = w->input(grouped, 4);
  if (!affine) {
    w->result("dx", w->made(Op::normalizeBackward, {grad, y, variance}, grouped, {1}, {1e-5}));
    return;
  }
  const TensorView dx = w->output(grouped), dw = w->output({cols}), db = w->output({cols});
  w->op(Op::normalizeAffineBackward, {grad, x, weight, mean, variance}, {dx, dw, db}, {1, 1},
        {1e-5});
  w->result("dw", dw);
  w->result("db", db);
  w->result("dx", dx);
}

// Operands: the parameter, its gradient. The first step, from moments of 0, is what is compared.
void buildAdam(const Spec& s, Workload* w) {
  const Shape shape = {s.number("size")};
  const TensorView parameter = w->input(shape, 1);
  const TensorView m = w->constant(shape, 0), v = w->constant(shape, 0);
  w->op(Op::adamStep, {parameter, w->input(shape, 2), m, v}, {}, {1, 0},
        {1e-3, 0.9, 0.999, 1e-8, 0});
  w->result("parameter", parameter);
  w->result("m", m);
}

// Operand: x.
void buildDropout(const Spec& s, Workload* w) {
  const Shape shape = {s.number("size")};
  const TensorView mask = w->made(Op::randomBernoulli, {}, shape, {1, 2, 3, 4}, {0.5, 2});
  w->made(Op::mul, {w->input(shape, 1), mask}, shape);
}

// Operands: x, the gradient of y.
void buildMaxPool(const Spec& s, Workload* w) {
  const ConvGeometry g(s);
  const auto i = [](int64_t value) { return static_cast<int32_t>(value); };
  const std::vector<int32_t> ints = {1, i(g.kernel), i(g.kernel), 1, i(g.stride), i(g.stride),
                                     0, i(g.pad),    i(g.pad),    1, 1,           1};
  const Shape in = {g.n, g.c, g.size, g.size}, out = {g.n, g.c, g.out, g.out};
  const TensorView y = w->output(out), positions = w->output(out, DType::int32);
  w->op(Op::maxPool, {w->input(in, 1)}, {y, positions}, ints);
  if (s.pass() == "forward") return w->result("y", y);
  w->run();
  w->clearOps();
  w->result("dx", w->made(Op::maxPoolBackward, {w->input(out, 2), positions}, in));
}

// Operands: the table or, for the way back, the gradient of the rows; the rows' numbers.
void buildEmbedding(const Spec& s, Workload* w) {
  const int64_t rows = s.number("rows"), width = s.number("width"), count = s.number("count");
  const TensorView index = w->index(count, 2, rows);
  if (s.pass() == "forward") {
    w->result("y", w->made(Op::indexSelect, {w->input({rows, width}, 1), index}, {count, width}));
  } else {
    w->result("dw", w->made(Op::indexAdd, {w->input({count, width}, 1), index}, {rows, width}));
  }
}

}  // namespace kindling::bench
