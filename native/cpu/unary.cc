// Elementwise ops of one input: a functor and a line in registerUnary each.

#include "cpu/elementwise_ops.h"
#include "cpu/vec_math.h"

namespace kindling {
namespace KINDLING_ISA {

namespace {

struct Neg : Cheap {
  static KINDLING_INLINE VecF apply(VecF x) { return VecF::set1(-0.0f) - x; }
  static KINDLING_INLINE VecI apply(VecI x) { return VecI::set1(0) - x; }
};

struct Abs : Cheap {
  static KINDLING_INLINE VecF apply(VecF x) { return abs(x); }
  static KINDLING_INLINE VecI apply(VecI x) { return max(x, VecI::set1(0) - x); }
};

struct Sign : Cheap {
  static KINDLING_INLINE VecF apply(VecF x) {
    const VecF zero = VecF::zero(), one = VecF::set1(1.0f);
    return select(zero < x, one, select(x < zero, zero - one, x));  // zero and NaN stay
  }
  static KINDLING_INLINE VecI apply(VecI x) { return min(max(x, VecI::set1(-1)), VecI::set1(1)); }
};

struct Relu : Cheap {
  // maxRaw gives its second operand where that is NaN.
  static KINDLING_INLINE VecF apply(VecF x) { return maxRaw(VecF::zero(), x); }
  static KINDLING_INLINE VecI apply(VecI x) { return max(VecI::set1(0), x); }
};

struct Square : Cheap {
  template <class V>
  static KINDLING_INLINE V apply(V x) {
    return x * x;
  }
};

struct Reciprocal : Costly {
  static KINDLING_INLINE VecF apply(VecF x) { return VecF::set1(1.0f) / x; }
};

struct Sqrt : Costly {
  static KINDLING_INLINE VecF apply(VecF x) { return sqrt(x); }
};

struct Exp : Costly {
  static KINDLING_INLINE VecF apply(VecF x) { return exp(x); }
};

struct Log : Costly {
  static KINDLING_INLINE VecF apply(VecF x) { return log(x); }
};

struct Tanh : Costly {
  static KINDLING_INLINE VecF apply(VecF x) { return tanh(x); }
};

struct Sigmoid : Costly {
  static KINDLING_INLINE VecF apply(VecF x) { return sigmoid(x); }
};

template <class F>
Status floatKernel(const OpCall& call) {
  return runElementwise(call, 1, unaryLoop<F, float, float>, F::kGrain);
}

template <class F>
Status numberKernel(const OpCall& call) {
  if (call.inputs[0].dtype == DType::float32) return floatKernel<F>(call);
  return runElementwise(call, 1, unaryLoop<F, int32_t, int32_t>, F::kGrain);
}

struct Not : Cheap {
  static KINDLING_INLINE uint8_t apply(uint8_t x) { return x ^ 1; }
};

Status logicalNot(const OpCall& call) {
  return runElementwise(call, 1, elementUnaryLoop<Not, uint8_t, uint8_t>, Not::kGrain);
}

}  // namespace

void registerUnary(Kernel* kernels) {
  const auto set = [&](Op op, Kernel kernel) { kernels[static_cast<int>(op)] = kernel; };
  set(Op::neg, numberKernel<Neg>);
  set(Op::abs, numberKernel<Abs>);
  set(Op::sign, numberKernel<Sign>);
  set(Op::relu, numberKernel<Relu>);
  set(Op::square, numberKernel<Square>);
  set(Op::exp, floatKernel<Exp>);
  set(Op::log, floatKernel<Log>);
  set(Op::sqrt, floatKernel<Sqrt>);
  set(Op::reciprocal, floatKernel<Reciprocal>);
  set(Op::tanh, floatKernel<Tanh>);
  set(Op::sigmoid, floatKernel<Sigmoid>);
  set(Op::logicalNot, logicalNot);
}

}  // namespace KINDLING_ISA
}  // namespace kindling
