// More updates in place: the relatives of Adam, Adagrad, Adadelta, Lion and LAMB's direction. The
// formulas and their order are PyTorch's where it has them; scalars are computed in double.

#include <cmath>

#include "cpu/optimizer_update.h"

namespace kindling {
namespace KINDLING_ISA {
namespace {

/// Attributes: the step, counted from 1; then by op.
Status checkStep(const OpCall& call) {
  return call.ints[0] >= 1 ? Status::ok
                           : fail(Status::badArgument, "step %d is not positive", call.ints[0]);
}

/// lr, beta1, beta2, eps, weight decay: what all relatives of Adam have.
template <class V>
struct Moments {
  Elements<V> param, m, v;
  V decay, beta1, rest1, beta2, rest2, eps;
  explicit Moments(const OpCall& call)
      : param(call.inputs[0]),
        m(call.inputs[2]),
        v(call.inputs[3]),
        decay(splat<V>(call.floats[4])),
        beta1(splat<V>(call.floats[1])),
        rest1(splat<V>(1.0 - call.floats[1])),
        beta2(splat<V>(call.floats[2])),
        rest2(splat<V>(1.0 - call.floats[2])),
        eps(splat<V>(call.floats[3])) {}
  /// Moves both moments on.
  KINDLING_INLINE void advance(int64_t i, int lanes, V g, V* m1, V* v1) const {
    *m1 = fma(beta1, m.get(i, lanes), rest1 * g);
    *v1 = fma(beta2, v.get(i, lanes), rest2 * g * g);
    m.put(*m1, i, lanes);
    v.put(*v1, i, lanes);
  }
};

double correction(double beta, int32_t step) { return 1.0 - ::pow(beta, step); }

/// Adam with the largest second moment so far (Reddi et al., 2018). ints[1]: decoupled decay.
template <class V>
Status amsgrad(const OpCall& call) {
  const Moments<V> a(call);
  const Elements<V> largest(call.inputs[4]);
  const double lr = call.floats[0];
  const bool decoupled = call.ints[1] != 0;
  const V shrink = splat<V>(decoupled ? 1.0 - lr * call.floats[4] : 1.0);
  const V decay = decoupled ? V::zero() : a.decay;
  const V stepSize = splat<V>(lr / correction(call.floats[1], call.ints[0]));
  const V root = splat<V>(1.0 / ::sqrt(correction(call.floats[2], call.ints[0])));
  return updateAll<V>(call, [=](int64_t i, int lanes, V grad) {
    const V p = a.param.get(i, lanes) * shrink;
    V m, v;
    a.advance(i, lanes, fma(decay, p, grad), &m, &v);
    const V top = maxRaw(largest.get(i, lanes), v);
    largest.put(top, i, lanes);
    a.param.put(p - stepSize * m / fma(sqrt(top), root, a.eps), i, lanes);
  });
}

/// floats[5], [6]: the factors of the gradient and of the first moment.
template <class V>
Status nadam(const OpCall& call) {
  const Moments<V> a(call);
  const V ofGrad = splat<V>(call.floats[5]), ofMoment = splat<V>(call.floats[6]);
  const V root = splat<V>(1.0 / ::sqrt(correction(call.floats[2], call.ints[0])));
  return updateAll<V>(call, [=](int64_t i, int lanes, V grad) {
    const V p = a.param.get(i, lanes), g = fma(a.decay, p, grad);
    V m, v;
    a.advance(i, lanes, g, &m, &v);
    const V denominator = fma(sqrt(v), root, a.eps);
    a.param.put(p - (ofGrad * g + ofMoment * m) / denominator, i, lanes);
  });
}

/// floats[5]: the rectification, or 0 where the variance is not tractable yet.
template <class V>
Status radam(const OpCall& call) {
  const Moments<V> a(call);
  const double stepSize = call.floats[0] / correction(call.floats[1], call.ints[0]);
  const double root = ::sqrt(correction(call.floats[2], call.ints[0]));
  const bool rectified = call.floats[5] > 0;
  const V scale = splat<V>(rectified ? stepSize * call.floats[5] * root : stepSize);
  return updateAll<V>(call, [=](int64_t i, int lanes, V grad) {
    const V p = a.param.get(i, lanes);
    V m, v;
    a.advance(i, lanes, fma(a.decay, p, grad), &m, &v);
    const V change = rectified ? m / (sqrt(v) + a.eps) : m;
    a.param.put(fnma(scale, change, p), i, lanes);
  });
}

template <class V>
Status adamax(const OpCall& call) {
  const Moments<V> a(call);
  const V stepSize = splat<V>(call.floats[0] / correction(call.floats[1], call.ints[0]));
  return updateAll<V>(call, [=](int64_t i, int lanes, V grad) {
    const V p = a.param.get(i, lanes), g = fma(a.decay, p, grad);
    const V m = fma(a.beta1, a.m.get(i, lanes), a.rest1 * g);
    const V norm = maxRaw(a.beta2 * a.v.get(i, lanes), abs(g) + a.eps);
    a.m.put(m, i, lanes);
    a.v.put(norm, i, lanes);
    a.param.put(p - stepSize * m / norm, i, lanes);
  });
}

/// LAMB's direction into inputs[4]; the trust ratio and the step are the caller's.
template <class V>
Status lamb(const OpCall& call) {
  const Moments<V> a(call);
  const Elements<V> direction(call.inputs[4]);
  const V first = splat<V>(1.0 / correction(call.floats[1], call.ints[0]));
  const V root = splat<V>(1.0 / ::sqrt(correction(call.floats[2], call.ints[0])));
  return updateAll<V>(call, [=](int64_t i, int lanes, V g) {
    V m, v;
    a.advance(i, lanes, g, &m, &v);
    const V change = m * first / fma(sqrt(v), root, a.eps);
    direction.put(fma(a.decay, a.param.get(i, lanes), change), i, lanes);
  });
}

/// floats: lr, eps, weight decay.
template <class V>
Status adagrad(const OpCall& call) {
  const Elements<V> param(call.inputs[0]), sum(call.inputs[2]);
  const V lr = splat<V>(call.floats[0]), eps = splat<V>(call.floats[1]);
  const V decay = splat<V>(call.floats[2]);
  return updateAll<V>(call, [=](int64_t i, int lanes, V grad) {
    const V p = param.get(i, lanes), g = fma(decay, p, grad);
    const V total = fma(g, g, sum.get(i, lanes));
    sum.put(total, i, lanes);
    param.put(p - lr * g / (sqrt(total) + eps), i, lanes);
  });
}

/// floats: lr, rho, eps, weight decay.
template <class V>
Status adadelta(const OpCall& call) {
  const Elements<V> param(call.inputs[0]), average(call.inputs[2]), changes(call.inputs[3]);
  const V lr = splat<V>(call.floats[0]), rho = splat<V>(call.floats[1]);
  const V rest = splat<V>(1.0 - call.floats[1]), eps = splat<V>(call.floats[2]);
  const V decay = splat<V>(call.floats[3]);
  return updateAll<V>(call, [=](int64_t i, int lanes, V grad) {
    const V p = param.get(i, lanes), g = fma(decay, p, grad);
    const V square = fma(rho, average.get(i, lanes), rest * g * g);
    const V past = changes.get(i, lanes);
    const V change = sqrt(past + eps) / sqrt(square + eps) * g;
    average.put(square, i, lanes);
    changes.put(fma(rho, past, rest * change * change), i, lanes);
    param.put(fnma(lr, change, p), i, lanes);
  });
}

/// floats: lr, beta1, beta2, weight decay.
template <class V>
Status lion(const OpCall& call) {
  const Elements<V> param(call.inputs[0]), m(call.inputs[2]);
  const V lr = splat<V>(call.floats[0]), beta1 = splat<V>(call.floats[1]);
  const V rest1 = splat<V>(1.0 - call.floats[1]), beta2 = splat<V>(call.floats[2]);
  const V rest2 = splat<V>(1.0 - call.floats[2]);
  const V shrink = splat<V>(1.0 - call.floats[0] * call.floats[3]);
  return updateAll<V>(call, [=](int64_t i, int lanes, V g) {
    const V moment = m.get(i, lanes), zero = V::zero(), one = V::set1(1);
    const V blend = fma(beta1, moment, rest1 * g);
    const V sign = select(zero < blend, one, select(blend < zero, zero - one, blend));
    m.put(fma(beta2, moment, rest2 * g), i, lanes);
    param.put(fnma(lr, sign, param.get(i, lanes) * shrink), i, lanes);
  });
}

/// floats: lr, alpha, eps, weight decay, momentum. Inputs: square average, velocity, average.
template <class V>
Status rmspropCentered(const OpCall& call) {
  const Elements<V> param(call.inputs[0]), squares(call.inputs[2]), velocity(call.inputs[3]);
  const Elements<V> average(call.inputs[4]);
  const V lr = splat<V>(call.floats[0]), alpha = splat<V>(call.floats[1]);
  const V rest = splat<V>(1.0 - call.floats[1]), eps = splat<V>(call.floats[2]);
  const V decay = splat<V>(call.floats[3]), momentum = splat<V>(call.floats[4]);
  return updateAll<V>(call, [=](int64_t i, int lanes, V grad) {
    const V p = param.get(i, lanes), g = fma(decay, p, grad);
    const V square = fma(alpha, squares.get(i, lanes), rest * g * g);
    const V mean = fma(alpha, average.get(i, lanes), rest * g);
    const V change = fma(momentum, velocity.get(i, lanes),
                         g / (sqrt(maxRaw(V::zero(), fnma(mean, mean, square))) + eps));
    squares.put(square, i, lanes);
    average.put(mean, i, lanes);
    velocity.put(change, i, lanes);
    param.put(fnma(lr, change, p), i, lanes);
  });
}

template <Kernel float32, Kernel float64, bool counts>
Status either(const OpCall& call) {
  const Status valid = counts ? checkStep(call) : Status::ok;
  return valid == Status::ok ? byFloat(call, float32, float64) : valid;
}

}  // namespace

void registerAdaptiveOptimizers(Kernel* kernels) {
  const auto set = [&](Op op, Kernel kernel) { kernels[static_cast<int>(op)] = kernel; };
  set(Op::amsgradStep, either<amsgrad<VecF>, amsgrad<VecD>, true>);
  set(Op::nadamStep, either<nadam<VecF>, nadam<VecD>, true>);
  set(Op::radamStep, either<radam<VecF>, radam<VecD>, true>);
  set(Op::adamaxStep, either<adamax<VecF>, adamax<VecD>, true>);
  set(Op::lambDirection, either<lamb<VecF>, lamb<VecD>, true>);
  set(Op::adagradStep, either<adagrad<VecF>, adagrad<VecD>, false>);
  set(Op::adadeltaStep, either<adadelta<VecF>, adadelta<VecD>, false>);
  set(Op::lionStep, either<lion<VecF>, lion<VecD>, false>);
  set(Op::rmspropCenteredStep, either<rmspropCentered<VecF>, rmspropCentered<VecD>, false>);
}

}  // namespace KINDLING_ISA
}  // namespace kindling
