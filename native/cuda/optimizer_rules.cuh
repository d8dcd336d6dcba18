#pragma once
// The rules of the optimizers for one element: x[0] is the parameter, x[1] and on the state, in the
// order of the op's inputs without the gradient. Formulas and their order are those of
// native/cpu/optimizers*.cc; scalars are computed in double on the host.

#include <cmath>

#include "core/op_call.h"
#include "cuda/gpu.h"

namespace kindling {
namespace cuda {
namespace rules {

__device__ __forceinline__ float multiplyAdd(float a, float b, float c) { return fmaf(a, b, c); }
__device__ __forceinline__ double multiplyAdd(double a, double b, double c) { return fma(a, b, c); }
__device__ __forceinline__ float rootOf(float x) { return sqrtf(x); }
__device__ __forceinline__ double rootOf(double x) { return sqrt(x); }
__device__ __forceinline__ float sizeOf(float x) { return fabsf(x); }
__device__ __forceinline__ double sizeOf(double x) { return fabs(x); }
/// The second where either is NaN.
template <typename T>
__device__ __forceinline__ T larger(T a, T b) {
  return a > b ? a : b;
}

inline double correction(double beta, int32_t step) { return 1.0 - std::pow(beta, step); }

/// Operands that are read, and those that are written, where that is not all of them.
constexpr uint32_t kAll = ~0u;

template <typename Number>
struct Sgd {
  using T = Number;
  static constexpr int operands = 2;
  T lr, momentum, keep, decay;
  bool useMomentum, first, nesterov;
  explicit Sgd(const OpCall& call)
      : lr(static_cast<T>(call.floats[0])),
        momentum(static_cast<T>(call.floats[1])),
        keep(static_cast<T>(1.0 - call.floats[2])),
        decay(static_cast<T>(call.floats[3])),
        useMomentum(call.floats[1] != 0),
        first(call.ints[1] != 0),
        nesterov(call.ints[0] != 0) {}
  uint32_t reads() const { return useMomentum && !first ? kAll : 1; }
  uint32_t writes() const { return useMomentum ? kAll : 1; }
  __device__ __forceinline__ void apply(T grad, T (&x)[operands]) const {
    T g = multiplyAdd(decay, x[0], grad);
    if (useMomentum) {
      const T v = first ? g : multiplyAdd(momentum, x[1], keep * g);
      x[1] = v;
      g = nesterov ? multiplyAdd(momentum, v, g) : v;
    }
    x[0] = multiplyAdd(-lr, g, x[0]);
  }
};

/// lr, beta1, beta2, eps, weight decay: what all relatives of Adam have.
template <typename Number>
struct Moments {
  using T = Number;
  T decay, beta1, rest1, beta2, rest2, eps;
  explicit Moments(const OpCall& call)
      : decay(static_cast<T>(call.floats[4])),
        beta1(static_cast<T>(call.floats[1])),
        rest1(static_cast<T>(1.0 - call.floats[1])),
        beta2(static_cast<T>(call.floats[2])),
        rest2(static_cast<T>(1.0 - call.floats[2])),
        eps(static_cast<T>(call.floats[3])) {}
  uint32_t reads() const { return kAll; }
  uint32_t writes() const { return kAll; }
  __device__ __forceinline__ void advance(T g, T& m, T& v) const {
    m = multiplyAdd(beta1, m, rest1 * g);
    v = multiplyAdd(beta2, v, rest2 * g * g);
  }
};

/// Adam, and with ints[1] AdamW's decoupled decay.
template <typename Number>
struct Adam : Moments<Number> {
  using T = Number;
  static constexpr int operands = 3;
  T shrink, stepSize, root;
  explicit Adam(const OpCall& call) : Moments<T>(call) {
    const bool decoupled = call.ints[1] != 0;
    const double lr = call.floats[0];
    shrink = static_cast<T>(decoupled ? 1.0 - lr * call.floats[4] : 1.0);
    if (decoupled) this->decay = 0;
    stepSize = static_cast<T>(lr / correction(call.floats[1], call.ints[0]));
    root = static_cast<T>(1.0 / std::sqrt(correction(call.floats[2], call.ints[0])));
  }
  __device__ __forceinline__ void apply(T grad, T (&x)[operands]) const {
    const T p = x[0] * shrink;
    this->advance(multiplyAdd(this->decay, p, grad), x[1], x[2]);
    x[0] = p - stepSize * x[1] / multiplyAdd(rootOf(x[2]), root, this->eps);
  }
};

/// Adam with the largest second moment so far (Reddi et al., 2018).
template <typename Number>
struct Amsgrad : Adam<Number> {
  using T = Number;
  static constexpr int operands = 4;
  explicit Amsgrad(const OpCall& call) : Adam<T>(call) {}
  __device__ __forceinline__ void apply(T grad, T (&x)[operands]) const {
    const T p = x[0] * this->shrink;
    this->advance(multiplyAdd(this->decay, p, grad), x[1], x[2]);
    x[3] = larger(x[3], x[2]);
    x[0] = p - this->stepSize * x[1] / multiplyAdd(rootOf(x[3]), this->root, this->eps);
  }
};

/// floats[5], [6]: the factors of the gradient and of the first moment.
template <typename Number>
struct Nadam : Moments<Number> {
  using T = Number;
  static constexpr int operands = 3;
  T ofGrad, ofMoment, root;
  explicit Nadam(const OpCall& call)
      : Moments<T>(call),
        ofGrad(static_cast<T>(call.floats[5])),
        ofMoment(static_cast<T>(call.floats[6])),
        root(static_cast<T>(1.0 / std::sqrt(correction(call.floats[2], call.ints[0])))) {}
  __device__ __forceinline__ void apply(T grad, T (&x)[operands]) const {
    const T g = multiplyAdd(this->decay, x[0], grad);
    this->advance(g, x[1], x[2]);
    const T denominator = multiplyAdd(rootOf(x[2]), root, this->eps);
    x[0] = x[0] - (ofGrad * g + ofMoment * x[1]) / denominator;
  }
};

/// floats[5]: the rectification, or 0 where the variance is not tractable yet.
template <typename Number>
struct Radam : Moments<Number> {
  using T = Number;
  static constexpr int operands = 3;
  T scale;
  bool rectified;
  explicit Radam(const OpCall& call) : Moments<T>(call), rectified(call.floats[5] > 0) {
    const double stepSize = call.floats[0] / correction(call.floats[1], call.ints[0]);
    const double root = std::sqrt(correction(call.floats[2], call.ints[0]));
    scale = static_cast<T>(rectified ? stepSize * call.floats[5] * root : stepSize);
  }
  __device__ __forceinline__ void apply(T grad, T (&x)[operands]) const {
    this->advance(multiplyAdd(this->decay, x[0], grad), x[1], x[2]);
    const T change = rectified ? x[1] / (rootOf(x[2]) + this->eps) : x[1];
    x[0] = multiplyAdd(-scale, change, x[0]);
  }
};

template <typename Number>
struct Adamax : Moments<Number> {
  using T = Number;
  static constexpr int operands = 3;
  T stepSize;
  explicit Adamax(const OpCall& call)
      : Moments<T>(call),
        stepSize(static_cast<T>(call.floats[0] / correction(call.floats[1], call.ints[0]))) {}
  __device__ __forceinline__ void apply(T grad, T (&x)[operands]) const {
    const T g = multiplyAdd(this->decay, x[0], grad);
    x[1] = multiplyAdd(this->beta1, x[1], this->rest1 * g);
    x[2] = larger(this->beta2 * x[2], sizeOf(g) + this->eps);
    x[0] = x[0] - stepSize * x[1] / x[2];
  }
};

/// LAMB's direction into x[3]; the trust ratio and the step are the caller's.
template <typename Number>
struct Lamb : Moments<Number> {
  using T = Number;
  static constexpr int operands = 4;
  T first, root;
  explicit Lamb(const OpCall& call)
      : Moments<T>(call),
        first(static_cast<T>(1.0 / correction(call.floats[1], call.ints[0]))),
        root(static_cast<T>(1.0 / std::sqrt(correction(call.floats[2], call.ints[0])))) {}
  uint32_t reads() const { return 7; }
  uint32_t writes() const { return 14; }
  __device__ __forceinline__ void apply(T grad, T (&x)[operands]) const {
    this->advance(grad, x[1], x[2]);
    const T change = x[1] * first / multiplyAdd(rootOf(x[2]), root, this->eps);
    x[3] = multiplyAdd(this->decay, x[0], change);
  }
};

/// State that is read and written whole.
struct Plain {
  uint32_t reads() const { return kAll; }
  uint32_t writes() const { return kAll; }
};

template <typename Number>
struct Rmsprop {
  using T = Number;
  static constexpr int operands = 3;
  T lr, alpha, rest, eps, decay, momentum;
  bool useMomentum;
  explicit Rmsprop(const OpCall& call)
      : lr(static_cast<T>(call.floats[0])),
        alpha(static_cast<T>(call.floats[1])),
        rest(static_cast<T>(1.0 - call.floats[1])),
        eps(static_cast<T>(call.floats[2])),
        decay(static_cast<T>(call.floats[3])),
        momentum(static_cast<T>(call.floats[4])),
        useMomentum(call.floats[4] != 0) {}
  uint32_t reads() const { return useMomentum ? kAll : 3; }
  uint32_t writes() const { return useMomentum ? kAll : 3; }
  __device__ __forceinline__ void apply(T grad, T (&x)[operands]) const {
    const T g = multiplyAdd(decay, x[0], grad);
    x[1] = multiplyAdd(alpha, x[1], rest * g * g);
    T change = g / (rootOf(x[1]) + eps);
    if (useMomentum) x[2] = change = multiplyAdd(momentum, x[2], change);
    x[0] = multiplyAdd(-lr, change, x[0]);
  }
};

/// x[1] squares, x[2] velocity, x[3] average.
template <typename Number>
struct RmspropCentered : Rmsprop<Number> {
  using T = Number;
  static constexpr int operands = 4;
  explicit RmspropCentered(const OpCall& call) : Rmsprop<T>(call) {}
  uint32_t reads() const { return kAll; }
  uint32_t writes() const { return kAll; }
  __device__ __forceinline__ void apply(T grad, T (&x)[operands]) const {
    const T g = multiplyAdd(this->decay, x[0], grad);
    x[1] = multiplyAdd(this->alpha, x[1], this->rest * g * g);
    x[3] = multiplyAdd(this->alpha, x[3], this->rest * g);
    const T variance = larger(T(0), multiplyAdd(-x[3], x[3], x[1]));
    x[2] = multiplyAdd(this->momentum, x[2], g / (rootOf(variance) + this->eps));
    x[0] = multiplyAdd(-this->lr, x[2], x[0]);
  }
};

template <typename Number>
struct Adagrad : Plain {
  using T = Number;
  static constexpr int operands = 2;
  T lr, eps, decay;
  explicit Adagrad(const OpCall& call)
      : lr(static_cast<T>(call.floats[0])),
        eps(static_cast<T>(call.floats[1])),
        decay(static_cast<T>(call.floats[2])) {}
  __device__ __forceinline__ void apply(T grad, T (&x)[operands]) const {
    const T g = multiplyAdd(decay, x[0], grad);
    x[1] = multiplyAdd(g, g, x[1]);
    x[0] = x[0] - lr * g / (rootOf(x[1]) + eps);
  }
};

template <typename Number>
struct Adadelta : Plain {
  using T = Number;
  static constexpr int operands = 3;
  T lr, rho, rest, eps, decay;
  explicit Adadelta(const OpCall& call)
      : lr(static_cast<T>(call.floats[0])),
        rho(static_cast<T>(call.floats[1])),
        rest(static_cast<T>(1.0 - call.floats[1])),
        eps(static_cast<T>(call.floats[2])),
        decay(static_cast<T>(call.floats[3])) {}
  __device__ __forceinline__ void apply(T grad, T (&x)[operands]) const {
    const T g = multiplyAdd(decay, x[0], grad);
    x[1] = multiplyAdd(rho, x[1], rest * g * g);
    const T change = rootOf(x[2] + eps) / rootOf(x[1] + eps) * g;
    x[2] = multiplyAdd(rho, x[2], rest * change * change);
    x[0] = multiplyAdd(-lr, change, x[0]);
  }
};

template <typename Number>
struct Lion : Plain {
  using T = Number;
  static constexpr int operands = 2;
  T lr, beta1, rest1, beta2, rest2, shrink;
  explicit Lion(const OpCall& call)
      : lr(static_cast<T>(call.floats[0])),
        beta1(static_cast<T>(call.floats[1])),
        rest1(static_cast<T>(1.0 - call.floats[1])),
        beta2(static_cast<T>(call.floats[2])),
        rest2(static_cast<T>(1.0 - call.floats[2])),
        shrink(static_cast<T>(1.0 - call.floats[0] * call.floats[3])) {}
  __device__ __forceinline__ void apply(T grad, T (&x)[operands]) const {
    const T blend = multiplyAdd(beta1, x[1], rest1 * grad);
    const T sign = T(0) < blend ? T(1) : blend < T(0) ? T(-1) : blend;
    x[1] = multiplyAdd(beta2, x[1], rest2 * grad);
    x[0] = multiplyAdd(-lr, sign, x[0] * shrink);
  }
};

/// A moving average, which stands where the parameter does; the parameter is the "gradient". An
/// average that equals the parameter stays exactly.
template <typename Number>
struct Average : Plain {
  using T = Number;
  static constexpr int operands = 1;
  T rest;
  explicit Average(const OpCall& call) : rest(static_cast<T>(1.0 - call.floats[0])) {}
  __device__ __forceinline__ void apply(T parameter, T (&x)[operands]) const {
    x[0] = multiplyAdd(rest, parameter - x[0], x[0]);
  }
};

}  // namespace rules
}  // namespace cuda
}  // namespace kindling
