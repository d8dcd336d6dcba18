// LSTM and GRU: the ops that lib/nn/recurrent.ts and its gradients issue.

#include "bench/workload.h"

namespace kindling::bench {

namespace {

struct Layer {
  int64_t t, n, in, h, gates;
  bool isLstm, trains;
  TensorView x, weightIh, weightHh, lengths, zeros, hiddenBias;
  TensorView y, projections, saved, cells;
};

void forward(Layer* l, const TensorView& bias, Workload* w) {
  const int64_t rows = l->t * l->n, kept = l->trains ? l->t : 0;
  const TensorView flat = w->made(Op::linear, {l->x, l->weightIh, bias}, {rows, l->gates});
  l->projections = viewOf(flat.data, DType::float32, {l->t, l->n, l->gates});
  l->y = w->output({l->t, l->n, l->h});
  l->saved = w->output({kept, l->n, 4 * l->h});
  const TensorView last = w->output({l->n, l->h});
  std::vector<TensorView> inputs = {l->projections, l->weightHh, l->lengths, l->zeros};
  std::vector<TensorView> outputs = {l->y, last, l->saved};
  inputs.push_back(l->isLstm ? l->zeros : l->hiddenBias);
  if (l->isLstm) {
    l->cells = w->output({kept, l->n, l->h});
    outputs.push_back(w->output({l->n, l->h}));
    outputs.push_back(l->cells);
  }
  w->op(l->isLstm ? Op::lstm : Op::gru, inputs, outputs, {0});
  w->result("y", l->y);
}

void backward(const Layer& l, const TensorView& grad, Workload* w) {
  const int64_t rows = l.t * l.n;
  const TensorView projections = w->output({l.t, l.n, l.gates});
  const TensorView weightHh = w->output({l.gates, l.h}), state = w->output({l.n, l.h});
  std::vector<TensorView> inputs = {grad, l.zeros, l.saved, l.y, l.weightHh, l.lengths, l.zeros};
  std::vector<TensorView> outputs = {projections, state, weightHh};
  if (l.isLstm) {
    inputs.insert(inputs.end(), {l.cells, l.zeros, l.zeros});
    outputs.push_back(w->output({l.n, l.h}));
  } else {
    outputs.push_back(w->output({l.h}));
  }
  w->op(l.isLstm ? Op::lstmBackward : Op::gruBackward, inputs, outputs, {0});
  const TensorView flat = viewOf(projections.data, DType::float32, {rows, l.gates});
  w->result("dx", w->made(Op::matmul, {flat, l.weightIh}, {rows, l.in}));
  w->result("dw_ih", w->made(Op::matmul, {transposed(flat), l.x}, {l.gates, l.in}));
  w->result("dw_hh", weightHh);
  w->result("db", w->made(Op::sum, {flat}, {l.gates}, {1}));
}

}  // namespace

// Operands: x, weight_ih, weight_hh, bias_ih (bias_hh is 0), the gradient of y.
void buildRecurrent(const Spec& s, Workload* w) {
  Layer l = {};
  l.isLstm = s.kind() == "lstm";
  l.trains = s.pass() != "forward";
  l.t = s.number("t");
  l.n = s.number("n");
  l.in = s.number("in");
  l.h = s.number("h");
  l.gates = (l.isLstm ? 4 : 3) * l.h;
  l.x = w->input({l.t * l.n, l.in}, 1);
  l.weightIh = w->input({l.gates, l.in}, 2, 0.1);
  l.weightHh = w->input({l.gates, l.h}, 3, 0.1);
  l.lengths = w->constant({l.n}, static_cast<double>(l.t), DType::int32);
  l.zeros = w->constant({l.n, l.h}, 0);
  l.hiddenBias = w->constant({l.h}, 0);
  forward(&l, w->input({l.gates}, 4), w);
  if (l.trains) backward(l, w->input({l.t, l.n, l.h}, 5), w);
}

}  // namespace kindling::bench
