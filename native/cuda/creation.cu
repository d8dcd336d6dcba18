// Tensors from nothing: full, arange, eye. Random numbers are in random.cu.

#include <cmath>

#include "cuda/convert.cuh"
#include "cuda/copies.h"
#include "cuda/indexing.cuh"
#include "cuda/kernel_table.h"

namespace kindling {
namespace cuda {

/// Eight bytes of an element repeated.
template <typename T>
__device__ __forceinline__ uint2 patternOf(T value) {
  union {
    T elements[8 / sizeof(T)];
    uint2 words;
  } bits;
#pragma unroll
  for (unsigned i = 0; i < 8 / sizeof(T); ++i) bits.elements[i] = value;
  return bits.words;
}

/// One value everywhere: 16 bytes at a time, what is left byte by byte.
template <typename T>
__global__ void __launch_bounds__(kBlockThreads)
    fillKernel(unsigned char* out, double value, int64_t bytes, bool aligned) {
  const uint2 pattern = patternOf(narrow<T>(value));
  const int64_t vectors = aligned ? bytes / 16 : 0;
  uint4* const wide = reinterpret_cast<uint4*>(out);
  for (int64_t i = firstOfThread(); i < vectors; i += strideOfGrid()) {
    wide[i] = make_uint4(pattern.x, pattern.y, pattern.x, pattern.y);
  }
  for (int64_t i = vectors * 16 + firstOfThread(); i < bytes; i += strideOfGrid()) {
    const uint32_t word = i & 4 ? pattern.y : pattern.x;
    out[i] = static_cast<unsigned char>(word >> (8 * (i & 3)));
  }
}

/// start + i * step in double, each operation rounded, as on the CPU.
template <typename T>
__global__ void __launch_bounds__(kBlockThreads)
    arangeKernel(T* out, double start, double step, int64_t n, bool vectorized) {
  for (int64_t i = firstOfThread() * kLanes; i < n; i += strideOfGrid() * kLanes) {
    T value[kLanes];
#pragma unroll
    for (int lane = 0; lane < kLanes; ++lane) {
      value[lane] = narrow<T>(__dadd_rn(start, __dmul_rn(static_cast<double>(i + lane), step)));
    }
    storeLanes(out + i, value, static_cast<uint32_t>(n - i < kLanes ? n - i : kLanes), vectorized);
  }
}

/// Ones at a distance of `stride` in a matrix that is zero.
template <typename T>
__global__ void __launch_bounds__(kBlockThreads)
    diagonalKernel(T* out, int64_t stride, int64_t ones) {
  for (int64_t i = firstOfThread(); i < ones; i += strideOfGrid()) {
    out[i * stride] = narrow<T>(int64_t{1});
  }
}

namespace {

Status full(const OpCall& call) {
  const TensorView& out = call.outputs[0];
  const double value = call.floats[0];
  if (out.size == 0) return Status::ok;
  if (value == 0 && !std::signbit(value)) return fillZero(out);
  return withType(out.dtype, [&](auto element) {
    using T = decltype(element);
    const int64_t bytes = out.size * static_cast<int64_t>(sizeof(T));
    const bool aligned = reinterpret_cast<uintptr_t>(out.data) % 16 == 0;
    return launch(fillKernel<T>, gridFor(aligned ? bytes / 16 : bytes, kBlockThreads),
                  dim3(kBlockThreads), 0, static_cast<unsigned char*>(out.data), value, bytes,
                  aligned);
  });
}

Status arange(const OpCall& call) {
  const TensorView& out = call.outputs[0];
  if (out.size == 0) return Status::ok;
  return withType(out.dtype, [&](auto element) {
    using T = decltype(element);
    if constexpr (std::is_arithmetic<T>::value) {
      return launch(arangeKernel<T>, gridFor(out.size, kBlockThreads * kLanes), dim3(kBlockThreads),
                    0, static_cast<T*>(out.data), call.floats[0], call.floats[1], out.size,
                    isAlignedForFour<T>(out.data));
    } else {
      return fail(Status::badDtype, "no kernel for this dtype");
    }
  });
}

Status eye(const OpCall& call) {
  const TensorView& out = call.outputs[0];
  const Status cleared = fillZero(out);
  if (cleared != Status::ok || out.size == 0) return cleared;
  const int64_t columns = out.shape[1];
  const int64_t ones = out.shape[0] < columns ? out.shape[0] : columns;
  return withType(out.dtype, [&](auto element) {
    using T = decltype(element);
    return launch(diagonalKernel<T>, gridFor(ones, kBlockThreads), dim3(kBlockThreads), 0,
                  static_cast<T*>(out.data), columns + 1, ones);
  });
}

}  // namespace

void registerCreation(Kernel* kernels) {
  kernels[static_cast<int>(Op::full)] = full;
  kernels[static_cast<int>(Op::arange)] = arange;
  kernels[static_cast<int>(Op::eye)] = eye;
}

}  // namespace cuda
}  // namespace kindling
