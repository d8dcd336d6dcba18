#pragma once
// What a reduction combines with. A reducer takes elements of type T into a State, merges states,
// and makes the result of one.

#include <cstdint>

#include "cuda/convert.cuh"
#include "cuda/unary_ops.cuh"

namespace kindling {
namespace cuda {

template <typename N>
__host__ __device__ constexpr N lowest() {
  if constexpr (std::is_floating_point<N>::value) {
    return static_cast<N>(-INFINITY);
  } else {
    return Range<N>::least;
  }
}
template <typename N>
__host__ __device__ constexpr N highest() {
  if constexpr (std::is_floating_point<N>::value) {
    return static_cast<N>(INFINITY);
  } else {
    return Range<N>::greatest;
  }
}

/// The value of another lane; small types travel as int.
template <typename N>
__device__ __forceinline__ N shuffleXor(N value, int offset) {
  if constexpr (sizeof(N) == 1) {
    return static_cast<N>(__shfl_xor_sync(0xffffffffu, static_cast<int>(value), offset));
  } else if constexpr (std::is_same<N, int64_t>::value) {
    return static_cast<N>(__shfl_xor_sync(0xffffffffu, static_cast<long long>(value), offset));
  } else {
    return __shfl_xor_sync(0xffffffffu, value, offset);
  }
}

/// A reducer whose state is a value: F has identity and combine.
template <class F, typename N>
struct ValueReducer {
  using T = N;
  using State = N;
  using Out = N;
  static constexpr bool hasPosition = false;
  static __device__ __forceinline__ State first() { return F::identity(); }
  static __device__ __forceinline__ void add(State& state, T x, int64_t) {
    state = F::combine(state, x);
  }
  static __device__ __forceinline__ State merge(State a, State b) { return F::combine(a, b); }
  static __device__ __forceinline__ State exchange(State state, int offset) {
    return shuffleXor(state, offset);
  }
  /// `count` elements; divided by for a mean.
  static __device__ __forceinline__ Out result(State state, bool isMean, int64_t count) {
    if constexpr (std::is_floating_point<N>::value) {
      return isMean ? state / static_cast<N>(count) : state;
    } else {
      return state;
    }
  }
};

template <typename N>
struct SumOf : ValueReducer<SumOf<N>, N> {
  static __device__ __forceinline__ N identity() { return 0; }
  static __device__ __forceinline__ N combine(N a, N b) { return wrappingAdd(a, b); }
};
template <typename N>
struct ProductOf : ValueReducer<ProductOf<N>, N> {
  static __device__ __forceinline__ N identity() { return 1; }
  static __device__ __forceinline__ N combine(N a, N b) { return wrappingMul(a, b); }
};
/// NaN wins.
template <typename N>
struct MaxOf : ValueReducer<MaxOf<N>, N> {
  static __device__ __forceinline__ N identity() { return lowest<N>(); }
  static __device__ __forceinline__ N combine(N a, N b) { return a != a || a > b ? a : b; }
};
template <typename N>
struct MinOf : ValueReducer<MinOf<N>, N> {
  static __device__ __forceinline__ N identity() { return highest<N>(); }
  static __device__ __forceinline__ N combine(N a, N b) { return a != a || a < b ? a : b; }
};
/// Of nothing all are true.
struct AllOf : ValueReducer<AllOf, uint8_t> {
  static __device__ __forceinline__ uint8_t identity() { return 1; }
  static __device__ __forceinline__ uint8_t combine(uint8_t a, uint8_t b) { return a < b ? a : b; }
};

template <typename N>
struct Candidate {
  N value;
  int32_t at;  // -1 for none yet
};

/// The position of the first best element, or of the first NaN.
template <typename N, bool kMax>
struct ArgReducer {
  using T = N;
  using State = Candidate<N>;
  using Out = int32_t;
  static constexpr bool hasPosition = true;
  static __device__ __forceinline__ State first() { return {N(0), -1}; }
  static __device__ __forceinline__ bool isBetter(N candidate, N best) {
    const bool above = kMax ? best < candidate : candidate < best;
    return above || (candidate != candidate && best == best);
  }
  static __device__ __forceinline__ void add(State& state, N x, int64_t position) {
    // A thread takes its elements in order.
    if (state.at < 0 || isBetter(x, state.value)) state = {x, static_cast<int32_t>(position)};
  }
  static __device__ __forceinline__ State merge(State a, State b) {
    if (a.at < 0) return b;
    if (b.at < 0) return a;
    if (isBetter(b.value, a.value)) return b;
    return b.at < a.at && !isBetter(a.value, b.value) ? b : a;
  }
  static __device__ __forceinline__ State exchange(State state, int offset) {
    return {shuffleXor(state.value, offset), shuffleXor(state.at, offset)};
  }
  static __device__ __forceinline__ Out result(State state, bool, int64_t) { return state.at; }
};

}  // namespace cuda
}  // namespace kindling
