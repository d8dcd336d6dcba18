#pragma once
// The tensor cores: one function for each PTX shape. All lanes of a warp call it together. With
// g = lane / 4 and t = lane % 4, a lane holds (PTX ISA, "Matrix fragments for mma"):
//
//   m16n8k8, TF32      a[0..3] = A[g][t], A[g+8][t], A[g][t+4], A[g+8][t+4]
//                      b[0..1] = B[t][g], B[t+4][g]
//   m16n8k16, 16 bits  a[0..3] = A[g][2t..], A[g+8][2t..], A[g][2t+8..], A[g+8][2t+8..], two a register
//                      b[0..1] = B[2t..][g], B[2t+8..][g], two a register, the lower k in the lower half
//   all                d[0..3] = D[g][2t], D[g][2t+1], D[g+8][2t], D[g+8][2t+1]
//
// TF32 and BF16 need compute capability 8.0: the host takes another kernel below.

#include "cuda/gpu.h"

namespace kindling {
namespace cuda {
namespace gpu {

/// What a block may have on every device with TF32: 99 KiB on 8.6, 8.9 and 12.0, more on others.
constexpr size_t kSharedBytesWithTf32 = size_t{99} << 10;

#ifdef KINDLING_CUDA_EMULATOR

using emulator::ldmatrixX4;
using emulator::ldmatrixX4Trans;
using emulator::mmaBf16;
using emulator::mmaF16;
using emulator::mmaTf32;
using emulator::toTf32;

#else

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
#define KINDLING_HAS_MMA_80 1
#else
#define KINDLING_HAS_MMA_80 0
#endif

/// Rounds to TF32's ten bits of mantissa, ties away from zero. The tensor core cuts off the rest.
__device__ __forceinline__ uint32_t toTf32(float value) {
#if KINDLING_HAS_MMA_80
  uint32_t bits;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(value));
  return bits;
#else
  return __float_as_uint(value);
#endif
}

/// d += a · b, m16n8k8.
__device__ __forceinline__ void mmaTf32(float d[4], const uint32_t a[4], const uint32_t b[2]) {
#if KINDLING_HAS_MMA_80
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
      "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
  (void)d, (void)a, (void)b;
  __trap();
#endif
}

/// d += a · b, m16n8k16.
__device__ __forceinline__ void mmaBf16(float d[4], const uint32_t a[4], const uint32_t b[2]) {
#if KINDLING_HAS_MMA_80
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
      "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
  (void)d, (void)a, (void)b;
  __trap();
#endif
}

/// d += a · b, m16n8k16; two of m16n8k8 where compute capability 7.5 has no longer one.
__device__ __forceinline__ void mmaF16(float d[4], const uint32_t a[4], const uint32_t b[2]) {
#if KINDLING_HAS_MMA_80
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
      "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    asm volatile(
        "mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 "
        "{%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[2 * half]), "r"(a[2 * half + 1]), "r"(b[half]));
  }
#endif
}

/// Four 8×8 matrices of 16-bit elements: lane i gives the address of row i % 8 of matrix i / 8 (16
/// bytes, aligned to 16) and gets elements 2t and 2t + 1 of row g of each.
__device__ __forceinline__ void ldmatrixX4(uint32_t r[4], const void* shared) {
  const unsigned address = static_cast<unsigned>(__cvta_generic_to_shared(shared));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(address)
               : "memory");
}

/// The same of the transposed matrices: elements [2t][g] and [2t + 1][g].
__device__ __forceinline__ void ldmatrixX4Trans(uint32_t r[4], const void* shared) {
  const unsigned address = static_cast<unsigned>(__cvta_generic_to_shared(shared));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(address)
               : "memory");
}

#endif

}  // namespace gpu
}  // namespace cuda
}  // namespace kindling
