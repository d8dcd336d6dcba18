// How much work a case is. For memory-bound cases: the bytes that must be read and written if
// nothing is kept in a cache and nothing is written that is not asked for.

#include "bench/cases.h"
#include "bench/geometry.h"

namespace kindling::bench {

namespace {

Work flops(double amount, const char* counts) { return {amount, false, counts}; }

/// `floats` of four bytes.
Work bytes(double floats, const char* counts) { return {4 * floats, true, counts}; }

Work matmulWork(const Spec& s) {
  return flops(2.0 * s.number("m") * s.number("n") * s.number("k"), "2mnk");
}

Work convWork(const Spec& s) {
  const ConvGeometry g(s);
  const double once = 2.0 * g.n * g.o * g.out * g.out * (g.c / g.groups) * g.kernel * g.kernel;
  if (s.pass() == "forward") return flops(once, "forward");
  return s.number("dx", 1) ? flops(3 * once, "forward + dx + dw") : flops(2 * once, "forward + dw");
}

Work recurrentWork(const Spec& s) {
  const double gates = s.kind() == "lstm" ? 4 : 3;
  const double h = s.number("h");
  const double once = 2 * gates * h * (s.number("in") + h) * s.number("t") * s.number("n");
  return s.pass() == "forward" ? flops(once, "products of all steps")
                               : flops(3 * once, "products: forward, of states and x, of weights");
}

Work attentionWork(const Spec& s) {
  const double t = s.number("t");
  const double once = 4.0 * s.number("b") * s.number("heads") * t * t * s.number("d");
  return s.pass() == "forward" ? flops(once, "two products, nothing left out for causal")
                               : flops(3 * once, "six products, nothing left out for causal");
}

Work rowsWork(const Spec& s) {
  const double n = static_cast<double>(s.number("rows")) * s.number("cols");
  return s.pass() == "forward" ? bytes(2 * n, "x read, y written")
                               : bytes(3 * n, "two read, dx written");
}

Work poolWork(const Spec& s) {
  const ConvGeometry g(s);
  const double planes = static_cast<double>(g.n) * g.c;
  const double in = planes * g.size * g.size, out = planes * g.out * g.out;
  return s.pass() == "forward" ? bytes(in + 2 * out, "x read, values and positions written")
                               : bytes(in + 2 * out, "dy and positions read, dx written");
}

Work embeddingWork(const Spec& s) {
  const double width = s.number("width"), taken = s.number("count") * width;
  return s.pass() == "forward"
             ? bytes(2 * taken, "rows read and written")
             : bytes(taken + s.number("rows") * width, "dy read, whole gradient written");
}

}  // namespace

Work workOf(const Spec& s) {
  const std::string& kind = s.kind();
  const double size = static_cast<double>(s.number("size"));
  if (kind == "matmul") return matmulWork(s);
  if (kind == "conv") return convWork(s);
  if (kind == "lstm" || kind == "gru") return recurrentWork(s);
  if (kind == "attention") return attentionWork(s);
  if (kind == "add") return bytes(3 * size, "two read, one written");
  if (kind == "sum") return bytes(size, "one read");
  if (kind == "softmax" || kind == "layerNorm") return rowsWork(s);
  if (kind == "adam") return bytes(7 * size, "four read, three written");
  if (kind == "maxPool") return poolWork(s);
  if (kind == "embedding") return embeddingWork(s);
  return bytes(2 * size, "one read, one written");
}

}  // namespace kindling::bench
