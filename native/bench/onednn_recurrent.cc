// oneDNN's LSTM, and its GRU with the reset gate behind the product, as PyTorch has it.

#include "bench/fill.h"
#include "bench/onednn.h"

namespace kindling::bench {

using namespace dnnl;

namespace {

constexpr auto kDirection = rnn_direction::unidirectional_left2right;

/// The dimensions and plain layouts of a layer. `order[g]`: PyTorch's number of oneDNN's gate g.
struct Layer {
  Layer(const Spec& s, std::vector<int64_t> gates, int64_t biases)
      : t(s.number("t")),
        n(s.number("n")),
        in(s.number("in")),
        h(s.number("h")),
        count(static_cast<int64_t>(gates.size())),
        order(std::move(gates)),
        trains(s.pass() != "forward"),
        x(layoutOf({t, n, in}, Tag::tnc)),
        y(layoutOf({t, n, h}, Tag::tnc)),
        state(layoutOf({1, 1, n, h}, Tag::ldnc)),
        weightIh(layoutOf({1, 1, in, count, h}, Tag::ldigo)),
        weightHh(layoutOf({1, 1, h, count, h}, Tag::ldigo)),
        bias(layoutOf({1, 1, biases, h}, Tag::ldgo)) {}

  prop_kind kind() const {
    return trains ? prop_kind::forward_training : prop_kind::forward_inference;
  }
  static Layout any(const Layout& layout) { return layoutOf(layout.dims(), Tag::any); }

  int64_t t, n, in, h, count;
  std::vector<int64_t> order;
  bool trains;
  Layout x, y, state, weightIh, weightHh, bias;
};

/// PyTorch keeps [gates, h, in], oneDNN [in, gates, h].
memory weightOf(const Layer& l, const Layout& plain, const Layout& layout, uint32_t salt,
                OneDnnPlan* plan) {
  const int64_t inputs = plain.dims()[2];
  return plan->valued(plain, layout, [&](int64_t i) {
    const int64_t unit = i % l.h, gate = i / l.h % l.count, input = i / l.h / l.count;
    const int64_t row = l.order[static_cast<size_t>(gate)] * l.h + unit;
    return 0.1 * valueAt(row * inputs + input, salt);
  });
}

/// What the GRU has more of biases than gates belongs to the state and is 0.
memory biasOf(const Layer& l, OneDnnPlan* plan) {
  return plan->valued(l.bias, l.bias, [&](int64_t i) {
    const int64_t gate = i / l.h;
    if (gate >= l.count) return 0.0;
    return valueAt(l.order[static_cast<size_t>(gate)] * l.h + i % l.h, 4);
  });
}

/// The steps of a layer whose primitives have been described.
template <typename Forward>
OneDnnPlan::Arguments addForward(const Layer& l, const typename Forward::primitive_desc& pd,
                                 const OneDnnPlan::Arguments& states, OneDnnPlan* plan) {
  OneDnnPlan::Arguments arguments = {
      {DNNL_ARG_SRC_LAYER, plan->input(l.x, 1)},
      {DNNL_ARG_WEIGHTS_LAYER, weightOf(l, l.weightIh, pd.weights_layer_desc(), 2, plan)},
      {DNNL_ARG_WEIGHTS_ITER, weightOf(l, l.weightHh, pd.weights_iter_desc(), 3, plan)},
      {DNNL_ARG_BIAS, biasOf(l, plan)},
      {DNNL_ARG_DST_LAYER, plan->zeros(l.y)}};
  arguments.insert(states.begin(), states.end());
  if (l.trains) arguments.insert({DNNL_ARG_WORKSPACE, plan->zeros(pd.workspace_desc())});
  plan->step(Forward(pd), arguments);
  plan->result("y", arguments.at(DNNL_ARG_DST_LAYER), l.y);
  return arguments;
}

template <typename Backward>
void addBackward(const Layer& l, const typename Backward::primitive_desc& pd,
                 OneDnnPlan::Arguments arguments, OneDnnPlan* plan) {
  const memory dx = plan->zeros(l.x), dwIh = plan->zeros(pd.diff_weights_layer_desc());
  const memory dwHh = plan->zeros(pd.diff_weights_iter_desc()), db = plan->zeros(l.bias);
  arguments[DNNL_ARG_WEIGHTS_LAYER] = weightOf(l, l.weightIh, pd.weights_layer_desc(), 2, plan);
  arguments[DNNL_ARG_WEIGHTS_ITER] = weightOf(l, l.weightHh, pd.weights_iter_desc(), 3, plan);
  arguments.insert({{DNNL_ARG_DIFF_SRC_LAYER, dx},
                    {DNNL_ARG_DIFF_WEIGHTS_LAYER, dwIh},
                    {DNNL_ARG_DIFF_WEIGHTS_ITER, dwHh},
                    {DNNL_ARG_DIFF_BIAS, db},
                    {DNNL_ARG_DIFF_DST_LAYER, plan->input(l.y, 5)}});
  plan->step(Backward(pd), arguments);
  plan->result("dx", dx, l.x);
  plan->result("dw_ih", dwIh, l.weightIh);
  plan->result("dw_hh", dwHh, l.weightHh);
  plan->result("db", db, l.bias, l.count * l.h);
}

}  // namespace

void planLstm(const Spec& spec, OneDnnPlan* plan) {
  const Layer l(spec, {0, 1, 2, 3}, 4);
  // oneDNN 2.6 adds something to the gradient of the recurrent weights if no initial state is
  // given.
  const Layout none, first = l.state, wIh = Layer::any(l.weightIh), wHh = Layer::any(l.weightHh);
  const lstm_forward::primitive_desc forward(
      {l.kind(), kDirection, l.x, first, first, wIh, wHh, l.bias, l.y, none, none}, plan->engine());
  OneDnnPlan::Arguments states = {{DNNL_ARG_SRC_ITER, plan->zeros(first)},
                                  {DNNL_ARG_SRC_ITER_C, plan->zeros(first)}};
  const OneDnnPlan::Arguments arguments = addForward<lstm_forward>(l, forward, states, plan);
  if (!l.trains) return;
  const lstm_backward::primitive_desc backward({prop_kind::backward,
                                                kDirection,
                                                l.x,
                                                first,
                                                first,
                                                wIh,
                                                wHh,
                                                l.bias,
                                                l.y,
                                                none,
                                                none,
                                                l.x,
                                                first,
                                                first,
                                                wIh,
                                                wHh,
                                                l.bias,
                                                l.y,
                                                none,
                                                none},
                                               plan->engine(), forward);
  states = {{DNNL_ARG_DIFF_SRC_ITER, plan->zeros(first)},
            {DNNL_ARG_DIFF_SRC_ITER_C, plan->zeros(first)}};
  states.insert(arguments.begin(), arguments.end());
  addBackward<lstm_backward>(l, backward, states, plan);
}

void planGru(const Spec& spec, OneDnnPlan* plan) {
  const Layer l(spec, {1, 0, 2}, 4);  // update, reset, new; PyTorch: reset, update, new
  const Layout none, wIh = Layer::any(l.weightIh), wHh = Layer::any(l.weightHh);
  const lbr_gru_forward::primitive_desc forward(
      {l.kind(), kDirection, l.x, none, wIh, wHh, l.bias, l.y, none}, plan->engine());
  const OneDnnPlan::Arguments arguments = addForward<lbr_gru_forward>(l, forward, {}, plan);
  if (!l.trains) return;
  const lbr_gru_backward::primitive_desc backward(
      {prop_kind::backward, kDirection, l.x, none, wIh, wHh, l.bias, l.y, none, l.x, none, wIh, wHh,
       l.bias, l.y, none},
      plan->engine(), forward);
  addBackward<lbr_gru_backward>(l, backward, arguments, plan);
}

}  // namespace kindling::bench
