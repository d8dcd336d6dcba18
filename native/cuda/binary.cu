// Elementwise ops of two inputs, comparisons and where.

#include "cuda/binary_ops.cuh"
#include "cuda/elementwise.cuh"
#include "cuda/kernel_table.h"

namespace kindling {
namespace cuda {

template <typename T>
struct BinaryNumber : Elementwise<BinaryNumber<T>, 2, T, T, T> {
  static __device__ __forceinline__ void apply(const ElementwiseContext& context,
                                               const T (&a)[kLanes], const T (&rest)[2][kLanes],
                                               T (&out)[kLanes]) {
    if constexpr (std::is_floating_point<T>::value) {
      binary::applyCheap(context.op, a, rest[1], out);
    } else {
      binary::applyNumber(context.op, a, rest[1], out);
    }
  }
};

/// pow, atan2, remainder, floorDivide of floats.
template <typename T>
struct BinaryFunction : Elementwise<BinaryFunction<T>, 2, T, T, T> {
  static __device__ __forceinline__ void apply(const ElementwiseContext& context,
                                               const T (&a)[kLanes], const T (&rest)[2][kLanes],
                                               T (&out)[kLanes]) {
    switch (context.op) {
      case Op::pow:
        return binary::each<binary::Pow>(a, rest[1], out);
      case Op::atan2:
        return binary::each<binary::Atan2>(a, rest[1], out);
      case Op::remainder:
        return binary::each<binary::Remainder>(a, rest[1], out);
      default:
        return binary::each<binary::FloorDivide>(a, rest[1], out);
    }
  }
};

/// An integer has no quotient by 0: the host is told, and the result is 0.
template <typename T>
struct IntegerDivision : Elementwise<IntegerDivision<T>, 2, T, T, T> {
  static __device__ __forceinline__ void apply(const ElementwiseContext& context,
                                               const T (&a)[kLanes], const T (&rest)[2][kLanes],
                                               T (&out)[kLanes]) {
    bool isBroken = false;
#pragma unroll
    for (int lane = 0; lane < kLanes; ++lane) {
      const T divisor = rest[1][lane];
      isBroken = isBroken || divisor == 0;
      if (divisor == 0) {
        out[lane] = 0;
      } else if (context.op == Op::remainder) {
        out[lane] = binary::Remainder::apply(a[lane], divisor);
      } else {
        out[lane] = binary::FloorDivide::apply(a[lane], divisor);
      }
    }
    if (isBroken) gpu::reportIndex(context.errors, context.op, 0, 0, 0, IndexKind::zeroDivisor);
  }
};

struct Logical : Elementwise<Logical, 2, uint8_t, uint8_t, uint8_t> {
  static __device__ __forceinline__ void apply(const ElementwiseContext& context,
                                               const uint8_t (&a)[kLanes],
                                               const uint8_t (&rest)[2][kLanes],
                                               uint8_t (&out)[kLanes]) {
#pragma unroll
    for (int lane = 0; lane < kLanes; ++lane) {
      const uint8_t x = a[lane], y = rest[1][lane];
      out[lane] = static_cast<uint8_t>(context.op == Op::logicalAnd  ? x & y
                                       : context.op == Op::logicalOr ? x | y
                                                                     : x ^ y);
    }
  }
};

template <typename T>
struct Compare : Elementwise<Compare<T>, 2, T, T, uint8_t> {
  static __device__ __forceinline__ void apply(const ElementwiseContext& context,
                                               const T (&a)[kLanes], const T (&rest)[2][kLanes],
                                               uint8_t (&out)[kLanes]) {
    switch (context.op) {
      case Op::equal:
        return binary::each<binary::Equal>(a, rest[1], out);
      case Op::notEqual:
        return binary::each<binary::NotEqual>(a, rest[1], out);
      case Op::less:
        return binary::each<binary::Less>(a, rest[1], out);
      case Op::lessEqual:
        return binary::each<binary::LessEqual>(a, rest[1], out);
      case Op::greater:
        return binary::each<binary::Less>(rest[1], a, out);
      default:
        return binary::each<binary::LessEqual>(rest[1], a, out);
    }
  }
};

/// Elements as plain bits of their width.
template <typename W>
struct Where : Elementwise<Where<W>, 3, uint8_t, W, W> {
  static __device__ __forceinline__ void apply(const ElementwiseContext&,
                                               const uint8_t (&condition)[kLanes],
                                               const W (&rest)[3][kLanes], W (&out)[kLanes]) {
#pragma unroll
    for (int lane = 0; lane < kLanes; ++lane) {
      out[lane] = condition[lane] ? rest[1][lane] : rest[2][lane];
    }
  }
};

namespace {

Status numbers(const OpCall& call) {
  switch (call.inputs[0].dtype) {
    case DType::float32:
      return runElementwise<BinaryNumber<float>>(call);
    case DType::float64:
      return runElementwise<BinaryNumber<double>>(call);
    case DType::int32:
      return runElementwise<BinaryNumber<int32_t>>(call);
    case DType::int64:
      return runElementwise<BinaryNumber<int64_t>>(call);
    case DType::uint8:
      return runElementwise<BinaryNumber<uint8_t>>(call);
    default:
      return noKernel();
  }
}

Status functions(const OpCall& call) {
  switch (call.inputs[0].dtype) {
    case DType::float32:
      return runElementwise<BinaryFunction<float>>(call);
    case DType::float64:
      return runElementwise<BinaryFunction<double>>(call);
    case DType::int32:
      return runElementwise<IntegerDivision<int32_t>>(call);
    case DType::int64:
      return runElementwise<IntegerDivision<int64_t>>(call);
    default:
      return noKernel();
  }
}

Status compare(const OpCall& call) {
  switch (call.inputs[0].dtype) {
    case DType::float32:
      return runElementwise<Compare<float>>(call);
    case DType::float64:
      return runElementwise<Compare<double>>(call);
    case DType::int32:
      return runElementwise<Compare<int32_t>>(call);
    case DType::int64:
      return runElementwise<Compare<int64_t>>(call);
    default:
      return runElementwise<Compare<uint8_t>>(call);
  }
}

Status where(const OpCall& call) {
  switch (elementBytes(call.outputs[0].dtype)) {
    case 1:
      return runElementwise<Where<uint8_t>>(call);
    case 2:
      return runElementwise<Where<uint16_t>>(call);
    case 4:
      return runElementwise<Where<uint32_t>>(call);
    default:
      return runElementwise<Where<uint64_t>>(call);
  }
}

}  // namespace

void registerBinary(Kernel* kernels) {
  const auto set = [&](Kernel kernel, std::initializer_list<Op> ops) {
    for (const Op op : ops) kernels[static_cast<int>(op)] = kernel;
  };
  set(numbers, {Op::add, Op::sub, Op::mul, Op::div, Op::maximum, Op::minimum, Op::reluBackward});
  set(functions, {Op::pow, Op::atan2, Op::remainder, Op::floorDivide});
  set(runElementwise<Logical>, {Op::logicalAnd, Op::logicalOr, Op::logicalXor});
  set(compare, {Op::equal, Op::notEqual, Op::less, Op::lessEqual, Op::greater, Op::greaterEqual});
  set(where, {Op::where});
}

}  // namespace cuda
}  // namespace kindling
