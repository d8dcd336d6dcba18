// oneDNN's convolution and pooling.

#include "bench/geometry.h"
#include "bench/onednn.h"

namespace kindling::bench {

using namespace dnnl;

namespace {

struct Shapes {
  explicit Shapes(const ConvGeometry& g)
      : strides({g.stride, g.stride}),
        pads({g.pad, g.pad}),
        x({g.n, g.c, g.size, g.size}),
        y({g.n, g.o, g.out, g.out}) {
    const bool isGrouped = g.groups > 1;
    weight = isGrouped ? Dims{g.groups, g.o / g.groups, g.c / g.groups, g.kernel, g.kernel}
                       : Dims{g.o, g.c, g.kernel, g.kernel};
    weightTag = isGrouped ? Tag::goihw : Tag::oihw;
  }
  Dims strides, pads, x, y, weight;
  Tag weightTag;
};

void planBy(algorithm how, const Spec& spec, OneDnnPlan* plan) {
  const Shapes s((ConvGeometry(spec)));
  const bool trains = spec.pass() != "forward";
  const auto any = [](const Dims& dims) { return layoutOf(dims, Tag::any); };
  const Layout xPlain = layoutOf(s.x, Tag::nchw), yPlain = layoutOf(s.y, Tag::nchw);
  const Layout wPlain = layoutOf(s.weight, s.weightTag);
  const auto x = any(s.x), w = any(s.weight), y = any(s.y);

  const convolution_forward::primitive_desc forward(
      {trains ? prop_kind::forward_training : prop_kind::forward_inference, how, x, w, y, s.strides,
       s.pads, s.pads},
      plan->engine());
  const memory result = plan->zeros(forward.dst_desc());
  plan->step(convolution_forward(forward),
             {{DNNL_ARG_SRC, plan->input(xPlain, forward.src_desc(), 1)},
              {DNNL_ARG_WEIGHTS, plan->input(wPlain, forward.weights_desc(), 2)},
              {DNNL_ARG_DST, result}});
  plan->result("y", result, yPlain);
  if (!trains) return;

  if (spec.number("dx", 1)) {
    const convolution_backward_data::primitive_desc pd({how, x, w, y, s.strides, s.pads, s.pads},
                                                       plan->engine(), forward);
    const memory dx = plan->zeros(pd.diff_src_desc());
    plan->step(convolution_backward_data(pd),
               {{DNNL_ARG_DIFF_DST, plan->input(yPlain, pd.diff_dst_desc(), 3)},
                {DNNL_ARG_WEIGHTS, plan->input(wPlain, pd.weights_desc(), 2)},
                {DNNL_ARG_DIFF_SRC, dx}});
    plan->result("dx", dx, xPlain);
  }
  const convolution_backward_weights::primitive_desc pd({how, x, w, y, s.strides, s.pads, s.pads},
                                                        plan->engine(), forward);
  const memory dw = plan->zeros(pd.diff_weights_desc());
  plan->step(convolution_backward_weights(pd),
             {{DNNL_ARG_DIFF_DST, plan->input(yPlain, pd.diff_dst_desc(), 3)},
              {DNNL_ARG_SRC, plan->input(xPlain, pd.src_desc(), 1)},
              {DNNL_ARG_DIFF_WEIGHTS, dw}});
  plan->result("dw", dw, wPlain);
}

}  // namespace

void planConv(const Spec& spec, OneDnnPlan* plan) {
  planBy(algorithm::convolution_direct, spec, plan);
}

void planConvAuto(const Spec& spec, OneDnnPlan* plan) {
  planBy(algorithm::convolution_auto, spec, plan);
}

void planMaxPool(const Spec& spec, OneDnnPlan* plan) {
  const ConvGeometry g(spec);
  const Dims in = {g.n, g.c, g.size, g.size}, out = {g.n, g.c, g.out, g.out};
  const Dims kernel = {g.kernel, g.kernel}, strides = {g.stride, g.stride}, pads = {g.pad, g.pad};
  // What a convolution before it would leave; plain layouts have no fast kernels.
  const Layout x = layoutOf(in, Tag::nChw16c), y = layoutOf(out, Tag::nChw16c);
  const Layout xPlain = layoutOf(in, Tag::nchw), yPlain = layoutOf(out, Tag::nchw);
  const pooling_forward::primitive_desc forward(
      {prop_kind::forward_training, algorithm::pooling_max, x, y, strides, kernel, pads, pads},
      plan->engine());
  const memory positions = plan->zeros(forward.workspace_desc()), result = plan->zeros(y);
  plan->step(pooling_forward(forward), {{DNNL_ARG_SRC, plan->input(xPlain, x, 1)},
                                        {DNNL_ARG_DST, result},
                                        {DNNL_ARG_WORKSPACE, positions}});
  if (spec.pass() == "forward") return plan->result("y", result, yPlain);
  plan->prepare();
  const pooling_backward::primitive_desc pd(
      {algorithm::pooling_max, x, y, strides, kernel, pads, pads}, plan->engine(), forward);
  const memory dx = plan->zeros(x);
  plan->step(pooling_backward(pd), {{DNNL_ARG_DIFF_DST, plan->input(yPlain, y, 2)},
                                    {DNNL_ARG_WORKSPACE, positions},
                                    {DNNL_ARG_DIFF_SRC, dx}});
  plan->result("dx", dx, xPlain);
}

}  // namespace kindling::bench
