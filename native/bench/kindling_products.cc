// Matrix products, convolution and attention: the ops that lib/ops issues for them.

#include <cmath>

#include "bench/geometry.h"
#include "bench/workload.h"

namespace kindling::bench {

// Operands: a, b.
void buildMatmul(const Spec& s, Workload* w) {
  const int64_t m = s.number("m"), n = s.number("n"), k = s.number("k");
  const DType dtype = s.number("f64") ? DType::float64 : DType::float32;
  const bool ta = s.number("ta") != 0, tb = s.number("tb") != 0;
  const TensorView a = w->input(ta ? Shape{k, m} : Shape{m, k}, 1, 1, dtype);
  const TensorView b = w->input(tb ? Shape{n, k} : Shape{k, n}, 2, 1, dtype);
  w->result("c", w->made(Op::matmul, {ta ? transposed(a) : a, tb ? transposed(b) : b}, {m, n}, {},
                         {}, dtype));
}

// Operands: x, weight, the gradient of y.
void buildConv(const Spec& s, Workload* w) {
  const ConvGeometry g(s);
  const auto i = [](int64_t value) { return static_cast<int32_t>(value); };
  const std::vector<int32_t> ints = {1,        i(g.stride), i(g.stride), 0, i(g.pad), i(g.pad),   0,
                                     i(g.pad), i(g.pad),    1,           1, 1,        i(g.groups)};
  const Shape xShape = {g.n, g.c, g.size, g.size};
  const Shape weightShape = {g.o, g.c / g.groups, g.kernel, g.kernel};
  const Shape yShape = {g.n, g.o, g.out, g.out};
  const TensorView x = w->input(xShape, 1), weight = w->input(weightShape, 2);
  w->result("y", w->made(Op::conv, {x, weight}, yShape, ints));
  if (s.pass() == "forward") return;
  const TensorView grad = w->input(yShape, 3);
  if (s.number("dx", 1)) {
    w->result("dx", w->made(Op::convBackwardInput, {grad, weight}, xShape, ints));
  }
  w->result("dw", w->made(Op::convBackwardWeight, {grad, x}, weightShape, ints));
}

namespace {

/// The operands of attention and what forward leaves for the way back.
struct Attention {
  Shape heads, square;
  TensorView q, k, v, scale;
  TensorView scaled, weights, seen;
  bool causal;
};

void attentionForward(Attention* a, Workload* w) {
  const int64_t t = a->heads[2];
  a->scaled = w->made(Op::mul, {a->q, a->scale}, a->heads);
  TensorView scores = w->made(Op::matmul, {a->scaled, transposed(a->k)}, a->square);
  if (a->causal) {
    const TensorView keys = w->made(Op::arange, {}, {t}, {}, {0, 1});
    TensorView queries = w->made(Op::arange, {}, {t}, {}, {0, 1});
    queries = viewOf(queries.data, DType::float32, {t, 1});
    a->seen = w->made(Op::lessEqual, {keys, queries}, {t, t}, {}, {}, DType::boolean);
    const TensorView hidden = w->made(Op::full, {}, {}, {}, {-1e30});
    scores = w->made(Op::where, {a->seen, scores, hidden}, a->square);
  }
  a->weights = w->made(Op::softmax, {scores}, a->square);
  TensorView used = a->weights;
  if (a->causal) {
    const TensorView zero = w->made(Op::full, {}, {}, {}, {0});
    used = w->made(Op::where, {a->seen, a->weights, zero}, a->square);
  }
  w->result("y", w->made(Op::matmul, {used, a->v}, a->heads));
}

void attentionBackward(const Attention& a, const TensorView& grad, Workload* w) {
  w->result("dv", w->made(Op::matmul, {transposed(a.weights), grad}, a.heads));
  TensorView back = w->made(Op::matmul, {grad, transposed(a.v)}, a.square);
  const TensorView zero = w->made(Op::full, {}, {}, {}, {0});
  if (a.causal) back = w->made(Op::where, {a.seen, back, zero}, a.square);
  back = w->made(Op::softmaxBackward, {back, a.weights}, a.square);
  if (a.causal) back = w->made(Op::where, {a.seen, back, zero}, a.square);
  const TensorView scaled = w->made(Op::matmul, {back, a.k}, a.heads);
  w->result("dq", w->made(Op::mul, {scaled, a.scale}, a.heads));
  const Shape columns = {a.heads[0], a.heads[1], a.heads[3], a.heads[2]};
  w->result("dk", w->made(Op::matmul, {transposed(a.scaled), back}, columns));
}

}  // namespace

// Operands: q, k, v, the gradient of y.
void buildAttention(const Spec& s, Workload* w) {
  const int64_t b = s.number("b"), h = s.number("heads"), t = s.number("t"), d = s.number("d");
  Attention a = {};
  a.heads = {b, h, t, d};
  a.square = {b, h, t, t};
  a.causal = s.number("causal") != 0;
  a.q = w->input(a.heads, 1);
  a.k = w->input(a.heads, 2);
  a.v = w->input(a.heads, 3);
  a.scale = w->constant({}, 1 / std::sqrt(static_cast<double>(d)));
  attentionForward(&a, w);
  if (s.pass() != "forward") attentionBackward(a, w->input(a.heads, 4), w);
}

}  // namespace kindling::bench
