// Elementwise ops of two inputs, comparisons and where: a functor and a line in registerBinary
// each.

#include "cpu/elementwise_ops.h"
#include "cpu/tile_copy.h"
#include "cpu/vec_math.h"

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
  static KINDLING_INLINE VecF apply(VecF a, VecF b) { return a / b; }
};

// NaN in either operand gives NaN: the raw forms already keep the second operand's.
struct Maximum : Cheap {
  static KINDLING_INLINE VecF apply(VecF a, VecF b) { return select(a.isNaN(), a, maxRaw(a, b)); }
  static KINDLING_INLINE VecI apply(VecI a, VecI b) { return max(a, b); }
};

struct Minimum : Cheap {
  static KINDLING_INLINE VecF apply(VecF a, VecF b) { return select(a.isNaN(), a, minRaw(a, b)); }
  static KINDLING_INLINE VecI apply(VecI a, VecI b) { return min(a, b); }
};

struct ReluBackward : Cheap {
  static KINDLING_INLINE VecF apply(VecF grad, VecF y) {
    return select(y <= VecF::zero(), VecF::zero(), grad);
  }
};

struct Pow {
  static constexpr int64_t kGrain = 8192;
  static KINDLING_INLINE VecF apply(VecF a, VecF b) { return pow(a, b); }
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

template <class F>
Status floatKernel(const OpCall& call) {
  return runElementwise(call, 2, binaryLoop<F, float>, F::kGrain);
}

template <class F>
Status numberKernel(const OpCall& call) {
  if (call.inputs[0].dtype == DType::float32) return floatKernel<F>(call);
  return runElementwise(call, 2, binaryLoop<F, int32_t>, F::kGrain);
}

/// The exponent is a single number more often than not.
Status power(const OpCall& call) {
  const TensorView& exponent = call.inputs[1];
  if (exponent.size == 1) {
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

template <class F>
Status compareKernel(const OpCall& call) {
  switch (call.inputs[0].dtype) {
    case DType::float32:
      return runElementwise(call, 2, elementLoop<F, float, uint8_t>, F::kGrain);
    case DType::int32:
      return runElementwise(call, 2, elementLoop<F, int32_t, uint8_t>, F::kGrain);
    default:
      return runElementwise(call, 2, elementLoop<F, uint8_t, uint8_t>, F::kGrain);
  }
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
  const bool bytes = call.outputs[0].dtype == DType::boolean;
  return runElementwise(call, 3, bytes ? whereLoop<Byte> : whereLoop<Word>, Cheap::kGrain);
}

}  // namespace

void registerBinary(Kernel* kernels) {
  const auto set = [&](Op op, Kernel kernel) { kernels[static_cast<int>(op)] = kernel; };
  set(Op::add, numberKernel<Add>);
  set(Op::sub, numberKernel<Sub>);
  set(Op::mul, numberKernel<Mul>);
  set(Op::div, floatKernel<Div>);
  set(Op::pow, power);
  set(Op::maximum, numberKernel<Maximum>);
  set(Op::minimum, numberKernel<Minimum>);
  set(Op::reluBackward, floatKernel<ReluBackward>);
  set(Op::logicalAnd, boolKernel<And>);
  set(Op::logicalOr, boolKernel<Or>);
  set(Op::equal, compareKernel<Equal>);
  set(Op::notEqual, compareKernel<NotEqual>);
  set(Op::less, compareKernel<Less>);
  set(Op::lessEqual, compareKernel<LessEqual>);
  set(Op::greater, exchangedCompareKernel<Less>);
  set(Op::greaterEqual, exchangedCompareKernel<LessEqual>);
  set(Op::where, where);
}

}  // namespace KINDLING_ISA
}  // namespace kindling
