// oneDNN's elementwise operations, reductions and normalizations.

#include <map>

#include "bench/onednn.h"

namespace kindling::bench {

using namespace dnnl;

void planElementwise(const Spec& spec, OneDnnPlan* plan) {
  const Layout data = layoutOf({spec.number("size")}, Tag::a);
  const memory x = plan->input(data, 1);
  const std::string& kind = spec.kind();
  if (kind == "sum") {
    const Layout one = layoutOf({1}, Tag::a);
    const memory y = plan->zeros(one);
    const reduction::primitive_desc pd({algorithm::reduction_sum, data, one, 0, 0}, plan->engine());
    plan->step(reduction(pd), {{DNNL_ARG_SRC, x}, {DNNL_ARG_DST, y}});
    return plan->result("y", y, one);
  }
  const memory y = plan->zeros(data);
  if (kind == "add") {
    const binary::primitive_desc pd({algorithm::binary_add, data, data, data}, plan->engine());
    plan->step(binary(pd),
               {{DNNL_ARG_SRC_0, x}, {DNNL_ARG_SRC_1, plan->input(data, 2)}, {DNNL_ARG_DST, y}});
  } else {
    static const std::map<std::string, algorithm> algorithms = {{"relu", algorithm::eltwise_relu},
                                                                {"exp", algorithm::eltwise_exp},
                                                                {"tanh", algorithm::eltwise_tanh}};
    const eltwise_forward::primitive_desc pd(
        {prop_kind::forward_inference, algorithms.at(kind), data, 0.0f}, plan->engine());
    plan->step(eltwise_forward(pd), {{DNNL_ARG_SRC, x}, {DNNL_ARG_DST, y}});
  }
  plan->result("y", y, data);
}

void planSoftmax(const Spec& spec, OneDnnPlan* plan) {
  const Layout data = layoutOf({spec.number("rows"), spec.number("cols")}, Tag::ab);
  const memory x = plan->input(data, 1), out = plan->zeros(data);
  const softmax_forward::primitive_desc forward({prop_kind::forward_training, data, 1},
                                                plan->engine());
  if (spec.pass() == "forward") {
    plan->step(softmax_forward(forward), {{DNNL_ARG_SRC, x}, {DNNL_ARG_DST, out}});
    return plan->result("y", out, data);
  }
  const softmax_backward::primitive_desc pd({data, data, 1}, plan->engine(), forward);
  plan->step(
      softmax_backward(pd),
      {{DNNL_ARG_DST, x}, {DNNL_ARG_DIFF_DST, plan->input(data, 2)}, {DNNL_ARG_DIFF_SRC, out}});
  plan->result("dx", out, data);
}

void planLayerNorm(const Spec& spec, OneDnnPlan* plan) {
  const int64_t rows = spec.number("rows"), cols = spec.number("cols");
  const bool affine = spec.number("affine") != 0;
  const Layout data = layoutOf({rows, cols}, Tag::ab), vector = layoutOf({cols}, Tag::a);
  const auto flags = affine ? normalization_flags::use_scale | normalization_flags::use_shift
                            : normalization_flags::none;
  const layer_normalization_forward::primitive_desc forward(
      {prop_kind::forward_training, data, 1e-5f, flags}, plan->engine());
  const memory x = plan->input(data, 1), y = plan->zeros(data);
  const memory weight = plan->input(vector, 2), bias = plan->input(vector, 3);
  const memory mean = plan->zeros(forward.mean_desc());
  const memory variance = plan->zeros(forward.variance_desc());
  OneDnnPlan::Arguments arguments = {
      {DNNL_ARG_SRC, x}, {DNNL_ARG_DST, y}, {DNNL_ARG_MEAN, mean}, {DNNL_ARG_VARIANCE, variance}};
  if (affine) {
    arguments.insert({{DNNL_ARG_SCALE, weight}, {DNNL_ARG_SHIFT, bias}});
  }
  plan->step(layer_normalization_forward(forward), arguments);
  if (spec.pass() == "forward") return plan->result("y", y, data);
  plan->prepare();
  const layer_normalization_backward::primitive_desc pd(
      {affine ? prop_kind::backward : prop_kind::backward_data, data, data, 1e-5f, flags},
      plan->engine(), forward);
  const memory dx = plan->zeros(data);
  arguments = {{DNNL_ARG_SRC, x},
               {DNNL_ARG_DIFF_DST, plan->input(data, 4)},
               {DNNL_ARG_MEAN, mean},
               {DNNL_ARG_VARIANCE, variance},
               {DNNL_ARG_DIFF_SRC, dx}};
  if (affine) {
    const memory dw = plan->zeros(vector), db = plan->zeros(vector);
    arguments.insert({{DNNL_ARG_SCALE, weight},
                      {DNNL_ARG_SHIFT, bias},
                      {DNNL_ARG_DIFF_SCALE, dw},
                      {DNNL_ARG_DIFF_SHIFT, db}});
    plan->result("dw", dw, vector);
    plan->result("db", db, vector);
  }
  plan->step(layer_normalization_backward(pd), arguments);
  plan->result("dx", dx, data);
}

}  // namespace kindling::bench
