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

// Operands: q, k, v, the gradient of y.
void buildAttention(const Spec& s, Workload* w) {
  const int64_t b = s.number("b"), h = s.number("heads"), t = s.number("t"), d = s.number("d");
  const Shape heads = {b, h, t, d};
  const std::vector<int32_t> causal = {s.number("causal") != 0};
  const std::vector<double> scale = {1 / std::sqrt(static_cast<double>(d))};
  const TensorView q = w->input(heads, 1), k = w->input(heads, 2), v = w->input(heads, 3);
  const TensorView y = w->output(heads), logs = w->output({b, h, t, 1});
  w->op(Op::attention, {q, k, v}, {y, logs}, causal, scale);
  w->result("y", y);
  if (s.pass() == "forward") return;
  const TensorView dq = w->output(heads), dk = w->output(heads), dv = w->output(heads);
  w->op(Op::attentionBackward, {w->input(heads, 4), q, k, v, y, logs}, {dq, dk, dv}, causal, scale);
  w->result("dv", dv);
  w->result("dq", dq);
  w->result("dk", dk);
}

}  // namespace kindling::bench
