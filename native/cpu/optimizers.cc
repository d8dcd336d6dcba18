// In-place updates of parameters, one pass over the parameter, its gradient and the state. The
// formulas and their order are PyTorch's; scalars are computed in double.

#include <cmath>

#include "cpu/optimizer_update.h"

namespace kindling {
namespace KINDLING_ISA {
namespace {

/// ints: nesterov, first step. floats: lr, momentum, dampening, weight decay.
template <class V>
Status sgd(const OpCall& call) {
  const Elements<V> param(call.inputs[0]), velocity(call.inputs[2]);
  const V lr = splat<V>(call.floats[0]), momentum = splat<V>(call.floats[1]);
  const V keep = splat<V>(1.0 - call.floats[2]), decay = splat<V>(call.floats[3]);
  const bool useMomentum = call.floats[1] != 0, first = call.ints[1] != 0;
  const bool nesterov = call.ints[0] != 0;
  return updateAll<V>(call, [=](int64_t i, int lanes, V grad) {
    const V p = param.get(i, lanes);
    V g = fma(decay, p, grad);
    if (useMomentum) {
      V v = g;
      if (!first) v = fma(momentum, velocity.get(i, lanes), keep * g);
      velocity.put(v, i, lanes);
      g = nesterov ? fma(momentum, v, g) : v;
    }
    param.put(fnma(lr, g, p), i, lanes);
  });
}

/// ints: step, decoupled. floats: lr, beta1, beta2, eps, weight decay.
template <class V>
Status adam(const OpCall& call) {
  const double lr = call.floats[0], b1 = call.floats[1], b2 = call.floats[2];
  const int32_t step = call.ints[0];
  if (step < 1) return fail(Status::badArgument, "adamStep: step %d is not positive", step);
  const bool decoupled = call.ints[1] != 0;
  const Elements<V> param(call.inputs[0]), m(call.inputs[2]), v(call.inputs[3]);
  const V shrink = splat<V>(decoupled ? 1.0 - lr * call.floats[4] : 1.0);
  const V decay = splat<V>(decoupled ? 0.0 : call.floats[4]);
  const V beta1 = splat<V>(b1), rest1 = splat<V>(1.0 - b1);
  const V beta2 = splat<V>(b2), rest2 = splat<V>(1.0 - b2);
  const V stepSize = splat<V>(lr / (1.0 - ::pow(b1, step)));
  const V rootCorrection = splat<V>(1.0 / ::sqrt(1.0 - ::pow(b2, step)));
  const V eps = splat<V>(call.floats[3]);
  return updateAll<V>(call, [=](int64_t i, int lanes, V grad) {
    const V p = param.get(i, lanes) * shrink;
    const V g = fma(decay, p, grad);
    const V m1 = fma(beta1, m.get(i, lanes), rest1 * g);
    const V v1 = fma(beta2, v.get(i, lanes), rest2 * g * g);
    m.put(m1, i, lanes);
    v.put(v1, i, lanes);
    param.put(p - stepSize * m1 / fma(sqrt(v1), rootCorrection, eps), i, lanes);
  });
}

/// floats: lr, alpha, eps, weight decay, momentum.
template <class V>
Status rmsprop(const OpCall& call) {
  const Elements<V> param(call.inputs[0]), average(call.inputs[2]), velocity(call.inputs[3]);
  const V lr = splat<V>(call.floats[0]), alpha = splat<V>(call.floats[1]);
  const V rest = splat<V>(1.0 - call.floats[1]), eps = splat<V>(call.floats[2]);
  const V decay = splat<V>(call.floats[3]), momentum = splat<V>(call.floats[4]);
  const bool useMomentum = call.floats[4] != 0;
  return updateAll<V>(call, [=](int64_t i, int lanes, V grad) {
    const V p = param.get(i, lanes), g = fma(decay, p, grad);
    const V square = fma(alpha, average.get(i, lanes), rest * g * g);
    average.put(square, i, lanes);
    V change = g / (sqrt(square) + eps);
    if (useMomentum) {
      change = fma(momentum, velocity.get(i, lanes), change);
      velocity.put(change, i, lanes);
    }
    param.put(fnma(lr, change, p), i, lanes);
  });
}

/// A moving average. floats: decay. An average that equals the parameter stays exactly.
template <class V>
Status average(const OpCall& call) {
  const Elements<V> average(call.inputs[0]);
  const V rest = splat<V>(1.0 - call.floats[0]);
  return updateAll<V>(call, [=](int64_t i, int lanes, V parameter) {
    const V before = average.get(i, lanes);
    average.put(fma(rest, parameter - before, before), i, lanes);
  });
}

template <Kernel float32, Kernel float64>
Status either(const OpCall& call) {
  return byFloat(call, float32, float64);
}

}  // namespace

void registerOptimizers(Kernel* kernels) {
  kernels[static_cast<int>(Op::sgdStep)] = either<sgd<VecF>, sgd<VecD>>;
  kernels[static_cast<int>(Op::adamStep)] = either<adam<VecF>, adam<VecD>>;
  kernels[static_cast<int>(Op::rmspropStep)] = either<rmsprop<VecF>, rmsprop<VecD>>;
  kernels[static_cast<int>(Op::averageStep)] = either<average<VecF>, average<VecD>>;
}

}  // namespace KINDLING_ISA
}  // namespace kindling
