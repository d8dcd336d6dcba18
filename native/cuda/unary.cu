// Elementwise ops of one input: numbers, functions, tests and conversions.

#include "cuda/convert.cuh"
#include "cuda/elementwise.cuh"
#include "cuda/kernel_table.h"
#include "cuda/unary_ops.cuh"

namespace kindling {
namespace cuda {

template <typename T>
struct UnaryNumber : Elementwise<UnaryNumber<T>, 1, T, T, T> {
  static __device__ __forceinline__ void apply(const ElementwiseContext& context,
                                               const T (&a)[kLanes], const T (&)[1][kLanes],
                                               T (&out)[kLanes]) {
    if constexpr (std::is_floating_point<T>::value) {
      unary::applyCheap(context.op, a, out);
    } else {
      unary::applyNumber(context.op, a, out);
    }
  }
};

template <typename T>
struct UnaryExponential : Elementwise<UnaryExponential<T>, 1, T, T, T> {
  static __device__ __forceinline__ void apply(const ElementwiseContext& context,
                                               const T (&a)[kLanes], const T (&)[1][kLanes],
                                               T (&out)[kLanes]) {
    unary::applyExponential(context.op, a, out);
  }
};

template <typename T>
struct UnaryTrigonometric : Elementwise<UnaryTrigonometric<T>, 1, T, T, T> {
  static __device__ __forceinline__ void apply(const ElementwiseContext& context,
                                               const T (&a)[kLanes], const T (&)[1][kLanes],
                                               T (&out)[kLanes]) {
    unary::applyTrigonometric(context.op, a, out);
  }
};

/// isNaN, isInf, isFinite.
template <typename T>
struct UnaryTest : Elementwise<UnaryTest<T>, 1, T, T, uint8_t> {
  static __device__ __forceinline__ void apply(const ElementwiseContext& context,
                                               const T (&a)[kLanes], const T (&)[1][kLanes],
                                               uint8_t (&out)[kLanes]) {
#pragma unroll
    for (int lane = 0; lane < kLanes; ++lane) {
      const bool isNaN = a[lane] != a[lane], isFinite = a[lane] - a[lane] == T(0);
      out[lane] = context.op == Op::isNaN      ? isNaN
                  : context.op == Op::isFinite ? isFinite
                                               : !isNaN && !isFinite;
    }
  }
};

struct LogicalNot : Elementwise<LogicalNot, 1, uint8_t, uint8_t, uint8_t> {
  static __device__ __forceinline__ void apply(const ElementwiseContext&,
                                               const uint8_t (&a)[kLanes],
                                               const uint8_t (&)[1][kLanes],
                                               uint8_t (&out)[kLanes]) {
#pragma unroll
    for (int lane = 0; lane < kLanes; ++lane) out[lane] = a[lane] ^ 1;
  }
};

/// To the output's dtype, which is chosen in the kernel.
template <typename From>
struct Cast {
  static constexpr int inputs = 1;
  using First = From;
  using Rest = From;
  static __device__ __forceinline__ void finish(const ElementwiseContext& context,
                                                const ElementwisePlan<1>& plan, uint32_t first,
                                                uint32_t count, const From (&a)[kLanes],
                                                const From (&)[1][kLanes]) {
    switch (context.outputType) {
      case DType::float32:
        return store<float>(plan, first, count, a);
      case DType::int32:
        return store<int32_t>(plan, first, count, a);
      case DType::boolean:
        return store<Bool>(plan, first, count, a);
      case DType::float64:
        return store<double>(plan, first, count, a);
      case DType::int64:
        return store<int64_t>(plan, first, count, a);
      case DType::uint8:
        return store<uint8_t>(plan, first, count, a);
      case DType::float16:
        return store<Half>(plan, first, count, a);
      case DType::bfloat16:
        return store<Brain>(plan, first, count, a);
    }
  }

 private:
  template <typename To>
  static __device__ __forceinline__ void store(const ElementwisePlan<1>& plan, uint32_t first,
                                               uint32_t count, const From (&a)[kLanes]) {
    To out[kLanes];
#pragma unroll
    for (int lane = 0; lane < kLanes; ++lane) out[lane] = narrow<To>(widen(a[lane]));
    storeLanes(static_cast<To*>(plan.output) + first, out, count, plan.outputVectorized);
  }
};

namespace {

Status numbers(const OpCall& call) {
  switch (call.inputs[0].dtype) {
    case DType::float32:
      return runElementwise<UnaryNumber<float>>(call);
    case DType::float64:
      return runElementwise<UnaryNumber<double>>(call);
    case DType::int32:
      return runElementwise<UnaryNumber<int32_t>>(call);
    case DType::int64:
      return runElementwise<UnaryNumber<int64_t>>(call);
    default:
      return noKernel();
  }
}

template <template <typename> class F>
Status byFloat(const OpCall& call) {
  switch (call.inputs[0].dtype) {
    case DType::float32:
      return runElementwise<F<float>>(call);
    case DType::float64:
      return runElementwise<F<double>>(call);
    default:
      return noKernel();
  }
}

Status cast(const OpCall& call) {
  if (call.inputs[0].dtype == call.outputs[0].dtype) {
    return copyView(call.outputs[0], call.inputs[0]);
  }
  return withType(call.inputs[0].dtype,
                  [&](auto from) { return runElementwise<Cast<decltype(from)>>(call); });
}

}  // namespace

Status castView(const TensorView& target, const TensorView& source) {
  OpCall call = {};
  call.op = Op::cast;
  call.inputs[0] = source;
  call.outputs[0] = target;
  return cast(call);
}

void registerUnary(Kernel* kernels) {
  const auto set = [&](Kernel kernel, std::initializer_list<Op> ops) {
    for (const Op op : ops) kernels[static_cast<int>(op)] = kernel;
  };
  set(numbers, {Op::neg, Op::abs, Op::sign, Op::relu, Op::square, Op::reciprocal, Op::sqrt,
                Op::rsqrt, Op::floor, Op::ceil, Op::round, Op::trunc});
  set(byFloat<UnaryExponential>, {Op::exp, Op::expm1, Op::log, Op::log1p, Op::log2, Op::tanh,
                                  Op::sigmoid, Op::softplus, Op::erf, Op::sinh, Op::cosh});
  set(byFloat<UnaryTrigonometric>,
      {Op::sin, Op::cos, Op::tan, Op::asin, Op::acos, Op::atan, Op::erfinv});
  set(byFloat<UnaryTest>, {Op::isNaN, Op::isInf, Op::isFinite});
  set(runElementwise<LogicalNot>, {Op::logicalNot});
  set(cast, {Op::cast});
}

}  // namespace cuda
}  // namespace kindling
