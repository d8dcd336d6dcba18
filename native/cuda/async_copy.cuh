#pragma once
// Copies from global to shared memory that go on while the thread does other work (cp.async). Before
// compute capability 8.0 they happen at once, so the same kernels are right there too.

#include "cuda/gpu.h"

namespace kindling {
namespace cuda {
namespace gpu {

#ifdef KINDLING_CUDA_EMULATOR

/// Copies 16 bytes, both addresses aligned to 16; writes zeros and reads nothing if not `valid`.
inline void cpAsync16(void* shared, const void* global, bool valid = true) {
  emulator::asyncCopy(shared, global, 16, valid);
}
inline void cpAsync8(void* shared, const void* global, bool valid = true) {
  emulator::asyncCopy(shared, global, 8, valid);
}
inline void cpAsync4(void* shared, const void* global, bool valid = true) {
  emulator::asyncCopy(shared, global, 4, valid);
}
/// Closes a group: the copies since the last commit of this thread.
inline void cpAsyncCommit() { emulator::asyncCommit(); }
/// Waits until all but the latest `Pending` groups of this thread have arrived. Other threads see
/// them after a barrier.
template <int Pending>
inline void cpAsyncWait() {
  emulator::asyncWait(Pending);
}

#else

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
#define KINDLING_HAS_ASYNC_COPY 1
#else
#define KINDLING_HAS_ASYNC_COPY 0
#endif

__device__ __forceinline__ unsigned sharedAddress(const void* shared) {
  return static_cast<unsigned>(__cvta_generic_to_shared(shared));
}

/// Copies 16 bytes, both addresses aligned to 16; writes zeros and reads nothing if not `valid`.
/// Goes past the first-level cache.
__device__ __forceinline__ void cpAsync16(void* shared, const void* global, bool valid = true) {
#if KINDLING_HAS_ASYNC_COPY
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
               :
               : "r"(sharedAddress(shared)), "l"(global), "r"(valid ? 16 : 0)
               : "memory");
#else
  *static_cast<int4*>(shared) = valid ? *static_cast<const int4*>(global) : make_int4(0, 0, 0, 0);
#endif
}

__device__ __forceinline__ void cpAsync8(void* shared, const void* global, bool valid = true) {
#if KINDLING_HAS_ASYNC_COPY
  asm volatile("cp.async.ca.shared.global [%0], [%1], 8, %2;"
               :
               : "r"(sharedAddress(shared)), "l"(global), "r"(valid ? 8 : 0)
               : "memory");
#else
  *static_cast<int2*>(shared) = valid ? *static_cast<const int2*>(global) : make_int2(0, 0);
#endif
}

__device__ __forceinline__ void cpAsync4(void* shared, const void* global, bool valid = true) {
#if KINDLING_HAS_ASYNC_COPY
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;"
               :
               : "r"(sharedAddress(shared)), "l"(global), "r"(valid ? 4 : 0)
               : "memory");
#else
  *static_cast<int*>(shared) = valid ? *static_cast<const int*>(global) : 0;
#endif
}

/// Closes a group: the copies since the last commit of this thread.
__device__ __forceinline__ void cpAsyncCommit() {
#if KINDLING_HAS_ASYNC_COPY
  asm volatile("cp.async.commit_group;" : : : "memory");
#endif
}

/// Waits until all but the latest `Pending` groups of this thread have arrived. Other threads see
/// them after a barrier.
template <int Pending>
__device__ __forceinline__ void cpAsyncWait() {
#if KINDLING_HAS_ASYNC_COPY
  asm volatile("cp.async.wait_group %0;" : : "n"(Pending) : "memory");
#endif
}

#endif

}  // namespace gpu
}  // namespace cuda
}  // namespace kindling
