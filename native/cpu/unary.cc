// Elementwise ops of one input: a functor and a line in registerUnary each.

#include "cpu/elementwise_ops.h"
#include "cpu/kernel_table.h"
#include "cpu/vec_math.h"
#include "cpu/vec_special.h"
#include "cpu/vec_trig.h"

namespace kindling {
namespace KINDLING_ISA {

namespace {

struct Neg : Cheap {
  template <class V>
  static KINDLING_INLINE V apply(V x) {
    return V::set1(static_cast<typename V::Scalar>(-0.0)) - x;
  }
};

struct Abs : Cheap {
  static KINDLING_INLINE VecF apply(VecF x) { return abs(x); }
  static KINDLING_INLINE VecD apply(VecD x) { return abs(x); }
  template <class V>
  static KINDLING_INLINE V apply(V x) {
    return max(x, V::set1(0) - x);
  }
};

struct Sign : Cheap {
  template <class V>
  static KINDLING_INLINE V apply(V x) {
    const V zero = V::set1(0), one = V::set1(1);
    return select(zero < x, one, select(x < zero, zero - one, x));  // zero and NaN stay
  }
};

struct Relu : Cheap {
  // maxRaw gives its second operand where that is NaN.
  static KINDLING_INLINE VecF apply(VecF x) { return maxRaw(VecF::zero(), x); }
  static KINDLING_INLINE VecD apply(VecD x) { return maxRaw(VecD::zero(), x); }
  template <class V>
  static KINDLING_INLINE V apply(V x) {
    return max(V::set1(0), x);
  }
};

struct Square : Cheap {
  template <class V>
  static KINDLING_INLINE V apply(V x) {
    return x * x;
  }
};

struct Reciprocal : Costly {
  template <class V>
  static KINDLING_INLINE V apply(V x) {
    return V::set1(1) / x;
  }
};

/// A functor for a function of vec_math.h.
#define KINDLING_FUNCTION(Name, function) \
  struct Name : Costly {                  \
    template <class V>                    \
    static KINDLING_INLINE V apply(V x) { \
      return function(x);                 \
    }                                     \
  };
KINDLING_FUNCTION(Sqrt, sqrt)
KINDLING_FUNCTION(Rsqrt, rsqrt)
KINDLING_FUNCTION(Exp, exp)
KINDLING_FUNCTION(Expm1, expm1)
KINDLING_FUNCTION(Log, log)
KINDLING_FUNCTION(Log1p, log1p)
KINDLING_FUNCTION(Log2, log2)
KINDLING_FUNCTION(Sin, sin)
KINDLING_FUNCTION(Cos, cos)
KINDLING_FUNCTION(Tan, tan)
KINDLING_FUNCTION(Asin, asin)
KINDLING_FUNCTION(Acos, acos)
KINDLING_FUNCTION(Atan, atan)
KINDLING_FUNCTION(Sinh, sinh)
KINDLING_FUNCTION(Cosh, cosh)
KINDLING_FUNCTION(Tanh, tanh)
KINDLING_FUNCTION(Erf, erf)
KINDLING_FUNCTION(Erfinv, erfinv)
KINDLING_FUNCTION(Sigmoid, sigmoid)
KINDLING_FUNCTION(Softplus, softplus)
KINDLING_FUNCTION(Floor, floor)
KINDLING_FUNCTION(Ceil, ceil)
KINDLING_FUNCTION(Round, round)
KINDLING_FUNCTION(Trunc, trunc)
#undef KINDLING_FUNCTION

struct IsNaN : Cheap {
  template <typename T>
  static KINDLING_INLINE uint8_t apply(T x) {
    return x != x;
  }
};

struct IsInf : Cheap {
  template <typename T>
  static KINDLING_INLINE uint8_t apply(T x) {
    return x == static_cast<T>(INFINITY) || x == -static_cast<T>(INFINITY);
  }
};

struct IsFinite : Cheap {
  template <typename T>
  static KINDLING_INLINE uint8_t apply(T x) {
    return x - x == 0;
  }
};

template <class F, typename T>
Status typedKernel(const OpCall& call) {
  return runElementwise(call, 1, unaryLoop<F, T, T>, F::kGrain);
}

template <class F>
Status floatKernel(const OpCall& call) {
  return byFloat(call, typedKernel<F, float>, typedKernel<F, double>);
}

template <class F>
Status numberKernel(const OpCall& call) {
  return byNumber(call, call.inputs[0].dtype, typedKernel<F, float>, typedKernel<F, int32_t>,
                  typedKernel<F, double>, typedKernel<F, int64_t>, typedKernel<F, uint8_t>);
}

template <class F, typename T>
Status typedTest(const OpCall& call) {
  return runElementwise(call, 1, elementUnaryLoop<F, T, uint8_t>, F::kGrain);
}

template <class F>
Status testKernel(const OpCall& call) {
  return byFloat(call, typedTest<F, float>, typedTest<F, double>);
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
  const auto number = [&](Op op, auto functor) {
    set(op, numberKernel<decltype(functor)>);
    setFloatLoop(op, {1, unaryLoop<decltype(functor), float, float>});
  };
  const auto real = [&](Op op, auto functor) {
    set(op, floatKernel<decltype(functor)>);
    setFloatLoop(op, {1, unaryLoop<decltype(functor), float, float>});
  };
  number(Op::neg, Neg{});
  number(Op::abs, Abs{});
  number(Op::sign, Sign{});
  number(Op::relu, Relu{});
  number(Op::square, Square{});
  real(Op::reciprocal, Reciprocal{});
  real(Op::sqrt, Sqrt{});
  real(Op::rsqrt, Rsqrt{});
  real(Op::exp, Exp{});
  real(Op::expm1, Expm1{});
  real(Op::log, Log{});
  real(Op::log1p, Log1p{});
  real(Op::log2, Log2{});
  real(Op::sin, Sin{});
  real(Op::cos, Cos{});
  real(Op::tan, Tan{});
  real(Op::asin, Asin{});
  real(Op::acos, Acos{});
  real(Op::atan, Atan{});
  real(Op::sinh, Sinh{});
  real(Op::cosh, Cosh{});
  real(Op::tanh, Tanh{});
  real(Op::erf, Erf{});
  real(Op::erfinv, Erfinv{});
  real(Op::sigmoid, Sigmoid{});
  real(Op::softplus, Softplus{});
  real(Op::floor, Floor{});
  real(Op::ceil, Ceil{});
  real(Op::round, Round{});
  real(Op::trunc, Trunc{});
  set(Op::isNaN, testKernel<IsNaN>);
  set(Op::isInf, testKernel<IsInf>);
  set(Op::isFinite, testKernel<IsFinite>);
  set(Op::logicalNot, logicalNot);
}

}  // namespace KINDLING_ISA
}  // namespace kindling
