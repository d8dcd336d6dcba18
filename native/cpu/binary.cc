// Elementwise ops of two inputs, comparisons and where: a functor and a line in registerBinary
// each.

#include "core/status.h"
#include "cpu/elementwise_ops.h"
#include "cpu/kernel_table.h"
#include "cpu/scratch.h"
#include "cpu/tile_copy.h"
#include "cpu/vec_math.h"
#include "cpu/vec_special.h"
#include "cpu/vec_trig.h"

namespace kindling {
namespace KINDLING_ISA {

namespace {

struct Add : Cheap {
  template <class V>
  static KINDLING_INLINE V apply(V a, V b) {
    return a + b;
  }
};

struct Sub : Cheap {
  template <class V>
  static KINDLING_INLINE V apply(V a, V b) {
    return a - b;
  }
};

struct Mul : Cheap {
  template <class V>
  static KINDLING_INLINE V apply(V a, V b) {
    return a * b;
  }
};

struct Div : Cheap {
  template <class V>
  static KINDLING_INLINE V apply(V a, V b) {
    return a / b;
  }
};

// NaN in either operand gives NaN: the raw forms already keep the second operand's.
struct Maximum : Cheap {
  template <class V>
  static KINDLING_INLINE V apply(V a, V b) {
    return select(a.isNaN(), a, maxRaw(a, b));
  }
  static KINDLING_INLINE VecI apply(VecI a, VecI b) { return max(a, b); }
};

struct Minimum : Cheap {
  template <class V>
  static KINDLING_INLINE V apply(V a, V b) {
    return select(a.isNaN(), a, minRaw(a, b));
  }
  static KINDLING_INLINE VecI apply(VecI a, VecI b) { return min(a, b); }
};

struct ReluBackward : Cheap {
  template <class V>
  static KINDLING_INLINE V apply(V grad, V y) {
    return select(y <= V::zero(), V::zero(), grad);
  }
};

struct Pow {
  static constexpr int64_t kGrain = 8192;
  template <class V>
  static KINDLING_INLINE V apply(V a, V b) {
    return pow(a, b);
  }
};

struct Atan2 {
  static constexpr int64_t kGrain = 8192;
  template <class V>
  static KINDLING_INLINE V apply(V y, V x) {
    return atan2(y, x);
  }
};

/// With the sign of the divisor, as Python's %: a - b * floor(a / b).
struct Remainder : Costly {
  static KINDLING_INLINE float apply(float a, float b) {
    const float r = __builtin_fmodf(a, b);
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
  }
  static KINDLING_INLINE double apply(double a, double b) {
    const double r = __builtin_fmod(a, b);
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
  }
  /// b is not 0: the kernel has looked.
  template <typename T>
  static KINDLING_INLINE T apply(T a, T b) {
    if (b == T(-1)) return 0;  // the smallest integer's quotient would overflow
    const T r = static_cast<T>(a % b);
    return r != 0 && (r < 0) != (b < 0) ? static_cast<T>(r + b) : r;
  }
};

/// Rounded toward minus infinity.
struct FloorDivide : Costly {
  static KINDLING_INLINE float apply(float a, float b) {
    const float r = __builtin_fmodf(a, b);
    return b == 0 ? a / b : __builtin_floorf((a - r) / b + 0.5f) - isBelow(r, b);
  }
  static KINDLING_INLINE double apply(double a, double b) {
    const double r = __builtin_fmod(a, b);
    return b == 0 ? a / b : __builtin_floor((a - r) / b + 0.5) - isBelow(r, b);
  }
  /// 1 where the quotient rounded toward 0, with remainder r, is one too many.
  template <typename T>
  static KINDLING_INLINE T isBelow(T r, T b) {
    return r != 0 && (r < 0) != (b < 0) ? 1 : 0;
  }
  template <typename T>
  static KINDLING_INLINE T apply(T a, T b) {
    if (b == T(-1)) return (Lane<T>::set1(0) - Lane<T>::set1(a)).v;
    const T quotient = static_cast<T>(a / b);
    return a % b != 0 && (a < 0) != (b < 0) ? static_cast<T>(quotient - 1) : quotient;
  }
};

// x^y for the y that networks use. pow's special values hold: pow(-0, 1/2) is 0, pow(-inf, 1/2)
// inf.
struct PowTwo : Cheap {
  static KINDLING_INLINE VecF apply(VecF x) { return x * x; }
};

struct PowThree : Cheap {
  static KINDLING_INLINE VecF apply(VecF x) { return x * x * x; }
};

struct PowMinusOne : Cheap {
  static KINDLING_INLINE VecF apply(VecF x) { return VecF::set1(1.0f) / x; }
};

struct PowHalf : Cheap {
  static KINDLING_INLINE VecF apply(VecF x) {
    const VecF infinity = VecF::set1(INFINITY);
    return select(x == VecF::zero() - infinity, infinity, sqrt(x + VecF::zero()));
  }
};

struct And : Cheap {
  static KINDLING_INLINE uint8_t apply(uint8_t a, uint8_t b) { return a & b; }
};

struct Or : Cheap {
  static KINDLING_INLINE uint8_t apply(uint8_t a, uint8_t b) { return a | b; }
};

struct Xor : Cheap {
  static KINDLING_INLINE uint8_t apply(uint8_t a, uint8_t b) { return a ^ b; }
};

struct Equal : Cheap {
  template <typename T>
  static KINDLING_INLINE uint8_t apply(T a, T b) {
    return a == b;
  }
};

struct NotEqual : Cheap {
  template <typename T>
  static KINDLING_INLINE uint8_t apply(T a, T b) {
    return a != b;
  }
};

struct Less : Cheap {
  template <typename T>
  static KINDLING_INLINE uint8_t apply(T a, T b) {
    return a < b;
  }
};

struct LessEqual : Cheap {
  template <typename T>
  static KINDLING_INLINE uint8_t apply(T a, T b) {
    return a <= b;
  }
};

template <class F, typename T>
Status typedKernel(const OpCall& call) {
  return runElementwise(call, 2, binaryLoop<F, T>, F::kGrain);
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
Status elementKernel(const OpCall& call) {
  return runElementwise(call, 2, elementLoop<F, T, T>, F::kGrain);
}

/// An integer has no quotient by 0, and the processor would stop the process.
template <class F, typename T>
Status integerDivision(const OpCall& call) {
  const Contiguous divisor(call.inputs[1]);
  if (!divisor.ok()) return fail(Status::outOfMemory, "division: no scratch memory");
  const T* b = divisor.as<T>();
  for (int64_t i = 0; i < divisor.view().size; ++i) {
    if (b[i] == 0) return fail(Status::badArgument, "an integer cannot be divided by 0");
  }
  return elementKernel<F, T>(call);
}

template <class F>
Status divisionKernel(const OpCall& call) {
  return byNumber(call, call.inputs[0].dtype, elementKernel<F, float>, integerDivision<F, int32_t>,
                  elementKernel<F, double>, integerDivision<F, int64_t>, nullptr);
}

/// The exponent is a single number more often than not.
Status power(const OpCall& call) {
  const TensorView& exponent = call.inputs[1];
  if (exponent.size == 1 && exponent.dtype == DType::float32) {
    const float y = *static_cast<const float*>(exponent.data);
    const auto run = [&](RunLoop loop) { return runElementwise(call, 1, loop, Cheap::kGrain); };
    if (y == 2.0f) return run(unaryLoop<PowTwo, float, float>);
    if (y == 3.0f) return run(unaryLoop<PowThree, float, float>);
    if (y == -1.0f) return run(unaryLoop<PowMinusOne, float, float>);
    if (y == 0.5f) return run(unaryLoop<PowHalf, float, float>);
  }
  return floatKernel<Pow>(call);
}

template <class F>
Status boolKernel(const OpCall& call) {
  return runElementwise(call, 2, elementLoop<F, uint8_t, uint8_t>, F::kGrain);
}

template <class F, typename T>
Status typedCompare(const OpCall& call) {
  return runElementwise(call, 2, elementLoop<F, T, uint8_t>, F::kGrain);
}

template <class F>
Status compareKernel(const OpCall& call) {
  return byNumber(call, call.inputs[0].dtype, typedCompare<F, float>, typedCompare<F, int32_t>,
                  typedCompare<F, double>, typedCompare<F, int64_t>, typedCompare<F, uint8_t>);
}

/// a > b is b < a: with the inputs exchanged, two comparisons serve four ops.
template <class F>
Status exchangedCompareKernel(const OpCall& call) {
  OpCall exchanged = call;
  exchanged.inputs[0] = call.inputs[1];
  exchanged.inputs[1] = call.inputs[0];
  return compareKernel<F>(exchanged);
}

template <typename T, bool kRepeatedA, bool kRepeatedB>
inline void whereRun(T* __restrict out, const void* const* inputs, int64_t n) {
  const uint8_t* condition = static_cast<const uint8_t*>(inputs[0]);
  const T* a = static_cast<const T*>(inputs[1]);
  const T* b = static_cast<const T*>(inputs[2]);
  const T firstA = *a, firstB = *b;
  for (int64_t i = 0; i < n; ++i) {
    const T chosen = kRepeatedA ? firstA : a[i];
    const T other = kRepeatedB ? firstB : b[i];
    out[i] = condition[i] ? chosen : other;
  }
}

template <typename T>
void whereLoop(void* out, const void* const* inputs, uint32_t repeated, int64_t n) {
  T* to = static_cast<T*>(out);
  if (repeated & 1) {
    const int chosen = *static_cast<const uint8_t*>(inputs[0]) ? 1 : 2;
    const T* from = static_cast<const T*>(inputs[chosen]);
    repeated >> chosen & 1 ? fillRun(to, *from, n) : copyRun(to, from, n);
    return;
  }
  switch (repeated >> 1) {
    case 0:
      return whereRun<T, false, false>(to, inputs, n);
    case 1:
      return whereRun<T, true, false>(to, inputs, n);
    case 2:
      return whereRun<T, false, true>(to, inputs, n);
    default:
      return whereRun<T, true, true>(to, inputs, n);
  }
}

Status where(const OpCall& call) {
  RunLoop loop = nullptr;
  withElement(call.outputs[0].dtype, [&](auto element) { loop = whereLoop<decltype(element)>; });
  return runElementwise(call, 3, loop, Cheap::kGrain);
}

}  // namespace

void registerBinary(Kernel* kernels) {
  const auto set = [&](Op op, Kernel kernel) { kernels[static_cast<int>(op)] = kernel; };
  const auto number = [&](Op op, auto functor) {
    set(op, numberKernel<decltype(functor)>);
    setFloatLoop(op, {2, binaryLoop<decltype(functor), float>});
  };
  const auto real = [&](Op op, auto functor) {
    set(op, floatKernel<decltype(functor)>);
    setFloatLoop(op, {2, binaryLoop<decltype(functor), float>});
  };
  number(Op::add, Add{});
  number(Op::sub, Sub{});
  number(Op::mul, Mul{});
  real(Op::div, Div{});
  set(Op::pow, power);
  number(Op::maximum, Maximum{});
  number(Op::minimum, Minimum{});
  real(Op::reluBackward, ReluBackward{});
  real(Op::atan2, Atan2{});
  set(Op::remainder, divisionKernel<Remainder>);
  set(Op::floorDivide, divisionKernel<FloorDivide>);
  set(Op::logicalXor, boolKernel<Xor>);
  set(Op::logicalAnd, boolKernel<And>);
  set(Op::logicalOr, boolKernel<Or>);
  set(Op::equal, compareKernel<Equal>);
  set(Op::notEqual, compareKernel<NotEqual>);
  set(Op::less, compareKernel<Less>);
  set(Op::lessEqual, compareKernel<LessEqual>);
  set(Op::greater, exchangedCompareKernel<Less>);
  set(Op::greaterEqual, exchangedCompareKernel<LessEqual>);
  set(Op::where, where);
  setFloatLoop(Op::where, {3, whereLoop<Word>});
}

}  // namespace KINDLING_ISA
}  // namespace kindling
