#pragma once
// From a functor to a kernel. A functor is a struct with `apply`, for vectors (VecF and VecI, or a
// template over both) or, where bool elements are read or written, for single elements; its base
// says how many elements make a parallel part worthwhile.

#include "cpu/elementwise_loop.h"
#include "cpu/vec.h"

namespace kindling {
namespace KINDLING_ISA {

/// An op that is done before its operands have come from memory.
struct Cheap {
  static constexpr int64_t kGrain = kCheapGrain;
};
/// A division, a root or a polynomial.
struct Costly {
  static constexpr int64_t kGrain = KINDLING_ISA_LEVEL == 0 ? 8192 : 24576;
};

template <typename T>
struct VectorOf;
template <>
struct VectorOf<float> {
  using Type = VecF;
};
template <>
struct VectorOf<int32_t> {
  using Type = VecI;
};
template <>
struct VectorOf<double> {
  using Type = VecD;
};
template <>
struct VectorOf<int64_t> {
  using Type = VecL;
};
template <>
struct VectorOf<uint8_t> {
  using Type = VecU;
};

/// An input of a run: n elements, or one element n times.
template <typename T, bool kRepeated>
class VectorInput {
 public:
  using Vec = typename VectorOf<T>::Type;
  KINDLING_INLINE explicit VectorInput(const void* data)
      : data_(static_cast<const T*>(data)), first_(kRepeated ? Vec::set1(*data_) : Vec{}) {}
  KINDLING_INLINE Vec load(int64_t i) const { return kRepeated ? first_ : Vec::load(data_ + i); }
  KINDLING_INLINE Vec loadPartial(int64_t i, int n) const {
    return kRepeated ? first_ : Vec::loadPartial(data_ + i, n);
  }

 private:
  const T* data_;
  Vec first_;
};

template <class F, typename In, typename Out, bool kRepeated>
inline void unaryRun(Out* __restrict out, const void* input, int64_t n) {
  using Vec = typename VectorOf<Out>::Type;
  const VectorInput<In, kRepeated> a(input);
  int64_t i = 0;
  for (; i + Vec::width <= n; i += Vec::width) F::apply(a.load(i)).store(out + i);
  if (Vec::width > 1 && i < n) {
    const int rest = static_cast<int>(n - i);
    F::apply(a.loadPartial(i, rest)).storePartial(out + i, rest);
  }
}

template <class F, typename In, typename Out>
inline void unaryLoop(void* out, const void* const* inputs, uint32_t repeated, int64_t n) {
  Out* to = static_cast<Out*>(out);
  if (repeated & 1) {
    unaryRun<F, In, Out, true>(to, inputs[0], n);
  } else {
    unaryRun<F, In, Out, false>(to, inputs[0], n);
  }
}

template <class F, typename T, bool kRepeatedA, bool kRepeatedB>
inline void binaryRun(T* __restrict out, const void* const* inputs, int64_t n) {
  using Vec = typename VectorOf<T>::Type;
  const VectorInput<T, kRepeatedA> a(inputs[0]);
  const VectorInput<T, kRepeatedB> b(inputs[1]);
  int64_t i = 0;
  for (; i + Vec::width <= n; i += Vec::width) F::apply(a.load(i), b.load(i)).store(out + i);
  if (Vec::width > 1 && i < n) {
    const int rest = static_cast<int>(n - i);
    F::apply(a.loadPartial(i, rest), b.loadPartial(i, rest)).storePartial(out + i, rest);
  }
}

template <class F, typename T>
inline void binaryLoop(void* out, const void* const* inputs, uint32_t repeated, int64_t n) {
  T* to = static_cast<T*>(out);
  switch (repeated) {
    case 0:
      return binaryRun<F, T, false, false>(to, inputs, n);
    case 1:
      return binaryRun<F, T, true, false>(to, inputs, n);
    case 2:
      return binaryRun<F, T, false, true>(to, inputs, n);
    default:
      return binaryRun<F, T, true, true>(to, inputs, n);
  }
}

// Element by element with a functor over elements, for the compiler to vectorize: where bool
// elements are involved.

template <class F, typename In, typename Out>
inline void elementUnaryLoop(void* out, const void* const* inputs, uint32_t repeated, int64_t n) {
  Out* __restrict to = static_cast<Out*>(out);
  const In* a = static_cast<const In*>(inputs[0]);
  if (repeated & 1) {
    const Out value = F::apply(*a);
    for (int64_t i = 0; i < n; ++i) to[i] = value;
  } else {
    for (int64_t i = 0; i < n; ++i) to[i] = F::apply(a[i]);
  }
}

template <class F, typename In, typename Out, bool kRepeatedA, bool kRepeatedB>
inline void elementRun(Out* __restrict out, const void* const* inputs, int64_t n) {
  const In* a = static_cast<const In*>(inputs[0]);
  const In* b = static_cast<const In*>(inputs[1]);
  const In firstA = *a, firstB = *b;
  for (int64_t i = 0; i < n; ++i) {
    out[i] = F::apply(kRepeatedA ? firstA : a[i], kRepeatedB ? firstB : b[i]);
  }
}

template <class F, typename In, typename Out>
inline void elementLoop(void* out, const void* const* inputs, uint32_t repeated, int64_t n) {
  Out* to = static_cast<Out*>(out);
  switch (repeated) {
    case 0:
      return elementRun<F, In, Out, false, false>(to, inputs, n);
    case 1:
      return elementRun<F, In, Out, true, false>(to, inputs, n);
    case 2:
      return elementRun<F, In, Out, false, true>(to, inputs, n);
    default:
      return elementRun<F, In, Out, true, true>(to, inputs, n);
  }
}

}  // namespace KINDLING_ISA
}  // namespace kindling
