// In-place updates of parameters, one pass over the parameter, its gradient and the state. The
// formulas and their order are PyTorch's; scalars are computed in double.

#include <cmath>

#include "core/status.h"
#include "cpu/kernel_table.h"
#include "cpu/parallel.h"
#include "cpu/scratch.h"
#include "cpu/vec.h"

namespace kindling {
namespace KINDLING_ISA {
namespace {

// Below two of these a second thread does not pay.
constexpr int64_t kGrain = 16384;

float* floatsOf(const TensorView& view) { return static_cast<float*>(view.data); }

/// Calls update(index, lanes) for vectors of elements; the last may have fewer lanes.
template <typename Update>
Status updateAll(const OpCall& call, const Update& update) {
  const Contiguous grad(call.inputs[1]);
  if (!grad.ok()) return fail(Status::outOfMemory, "no memory for a contiguous gradient");
  parallelFor(call.inputs[0].size, kGrain, 64, [&](int64_t begin, int64_t end) {
    // A copy that no store can alias stays in registers.
    const Update local = update;
    const float* g = grad.floats();
    int64_t i = begin;
    for (; i + VecF::width <= end; i += VecF::width) local.template apply<true>(i, g, 0);
    if (i < end) local.template apply<false>(i, g, static_cast<int>(end - i));
  });
  return Status::ok;
}

template <bool full>
KINDLING_INLINE VecF load(const float* p, int lanes) {
  return full ? VecF::load(p) : VecF::loadPartial(p, lanes);
}
template <bool full>
KINDLING_INLINE void store(VecF x, float* p, int lanes) {
  if (full) {
    x.store(p);
  } else {
    x.storePartial(p, lanes);
  }
}
KINDLING_INLINE VecF splat(double x) { return VecF::set1(static_cast<float>(x)); }

struct Sgd {
  float* param;
  float* velocity;
  VecF lr, momentum, keep, decay;
  bool useMomentum, first, nesterov;

  template <bool full>
  KINDLING_INLINE void apply(int64_t i, const float* grad, int lanes) const {
    const VecF p = load<full>(param + i, lanes);
    VecF g = fma(decay, p, load<full>(grad + i, lanes));
    if (useMomentum) {
      VecF v = g;
      if (!first) v = fma(momentum, load<full>(velocity + i, lanes), keep * g);
      store<full>(v, velocity + i, lanes);
      g = nesterov ? fma(momentum, v, g) : v;
    }
    store<full>(fnma(lr, g, p), param + i, lanes);
  }
};

Status sgdStep(const OpCall& call) {
  const double momentum = call.floats[1];
  const Sgd update = {floatsOf(call.inputs[0]),
                      floatsOf(call.inputs[2]),
                      splat(call.floats[0]),
                      splat(momentum),
                      splat(1.0 - call.floats[2]),
                      splat(call.floats[3]),
                      momentum != 0,
                      call.ints[1] != 0,
                      call.ints[0] != 0};
  return updateAll(call, update);
}

struct Adam {
  float* param;
  float* m;
  float* v;
  VecF shrink, decay, beta1, rest1, beta2, rest2, stepSize, rootCorrection, eps;

  template <bool full>
  KINDLING_INLINE void apply(int64_t i, const float* grad, int lanes) const {
    const VecF p = load<full>(param + i, lanes) * shrink;
    const VecF g = fma(decay, p, load<full>(grad + i, lanes));
    const VecF m1 = fma(beta1, load<full>(m + i, lanes), rest1 * g);
    const VecF v1 = fma(beta2, load<full>(v + i, lanes), rest2 * g * g);
    store<full>(m1, m + i, lanes);
    store<full>(v1, v + i, lanes);
    const VecF denominator = fma(sqrt(v1), rootCorrection, eps);
    store<full>(p - stepSize * m1 / denominator, param + i, lanes);
  }
};

Status adamStep(const OpCall& call) {
  const double lr = call.floats[0], beta1 = call.floats[1], beta2 = call.floats[2];
  const double decay = call.floats[4];
  const int32_t step = call.ints[0];
  if (step < 1) return fail(Status::badArgument, "adamStep: step %d is not positive", step);
  const bool decoupled = call.ints[1] != 0;
  const Adam update = {floatsOf(call.inputs[0]),
                       floatsOf(call.inputs[2]),
                       floatsOf(call.inputs[3]),
                       splat(decoupled ? 1.0 - lr * decay : 1.0),
                       splat(decoupled ? 0.0 : decay),
                       splat(beta1),
                       splat(1.0 - beta1),
                       splat(beta2),
                       splat(1.0 - beta2),
                       splat(lr / (1.0 - ::pow(beta1, step))),
                       splat(1.0 / ::sqrt(1.0 - ::pow(beta2, step))),
                       splat(call.floats[3])};
  return updateAll(call, update);
}

struct Rmsprop {
  float* param;
  float* average;
  float* velocity;
  VecF lr, alpha, rest, eps, decay, momentum;
  bool useMomentum;

  template <bool full>
  KINDLING_INLINE void apply(int64_t i, const float* grad, int lanes) const {
    const VecF p = load<full>(param + i, lanes);
    const VecF g = fma(decay, p, load<full>(grad + i, lanes));
    const VecF square = fma(alpha, load<full>(average + i, lanes), rest * g * g);
    store<full>(square, average + i, lanes);
    VecF change = g / (sqrt(square) + eps);
    if (useMomentum) {
      change = fma(momentum, load<full>(velocity + i, lanes), change);
      store<full>(change, velocity + i, lanes);
    }
    store<full>(fnma(lr, change, p), param + i, lanes);
  }
};

Status rmspropStep(const OpCall& call) {
  const double* f = call.floats;
  const Rmsprop update = {floatsOf(call.inputs[0]),
                          floatsOf(call.inputs[2]),
                          floatsOf(call.inputs[3]),
                          splat(f[0]),
                          splat(f[1]),
                          splat(1.0 - f[1]),
                          splat(f[2]),
                          splat(f[3]),
                          splat(f[4]),
                          f[4] != 0};
  return updateAll(call, update);
}

}  // namespace

void registerOptimizers(Kernel* kernels) {
  kernels[static_cast<int>(Op::sgdStep)] = sgdStep;
  kernels[static_cast<int>(Op::adamStep)] = adamStep;
  kernels[static_cast<int>(Op::rmspropStep)] = rmspropStep;
}

}  // namespace KINDLING_ISA
}  // namespace kindling
