#pragma once
// The one place where the CUDA backend meets CUDA. nvcc sees the real headers; the tests' emulator
// gives g++ the same vocabulary (test/native/cuda_emulator), so kernels may use only what is named
// in docs/cuda-emulator.md. No kernel is launched but through launch() and launchCooperative().

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <tuple>
#include <utility>

#include "core/status.h"

#ifdef KINDLING_CUDA_EMULATOR
#include "cuda_emulator/emulator.h"
#else
#include <cuda_runtime.h>

/// A static array in shared memory: GPU_SHARED(float, tile, [64][65]).
#define GPU_SHARED(type, name, ...) __shared__ __align__(16) type name __VA_ARGS__
/// The launch's dynamic shared memory, as bytes; cast it where it is used.
#define GPU_DYNAMIC_SHARED(name) extern __shared__ __align__(16) unsigned char name[]
#endif

namespace kindling {
namespace cuda {
namespace gpu {

/// The stream that the op running on this thread launches on (runtime.h).
cudaStream_t currentStream();

/// Status::ok for cudaSuccess, else a message that names the op and the kernel.
Status checkLaunch(const char* kernel, cudaError_t error);

inline Status checkLaunch(const void* kernel, cudaError_t error) {
  if (error == cudaSuccess) return Status::ok;
  const char* name = nullptr;
  if (cudaFuncGetName(&name, kernel) != cudaSuccess || name == nullptr) name = "a kernel";
  return checkLaunch(name, error);
}

#ifdef KINDLING_CUDA_EMULATOR
using emulator::launchKernel;
#else
template <typename... Parameters>
cudaError_t launchKernel(void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t sharedBytes,
                         cudaStream_t stream, bool cooperative, Parameters... parameters) {
  void* pointers[] = {static_cast<void*>(&parameters)..., nullptr};
  const void* const function = reinterpret_cast<const void*>(kernel);
  return cooperative
             ? cudaLaunchCooperativeKernel(function, grid, block, pointers, sharedBytes, stream)
             : cudaLaunchKernel(function, grid, block, pointers, sharedBytes, stream);
}
#endif

}  // namespace gpu

/// Launches `kernel` on the current stream of the current device. No blocks: nothing to do.
template <typename... Parameters, typename... Arguments>
Status launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t sharedBytes,
              Arguments&&... arguments) {
  static_assert(sizeof...(Parameters) == sizeof...(Arguments), "a kernel needs all its arguments");
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return Status::ok;
  return gpu::checkLaunch(reinterpret_cast<const void*>(kernel),
                          gpu::launchKernel<Parameters...>(
                              kernel, grid, block, sharedBytes, gpu::currentStream(), false,
                              static_cast<Parameters>(std::forward<Arguments>(arguments))...));
}

/// The same with all blocks resident at once, so that they may meet in gpu::gridBarrier(). Fails if
/// there are more than residentBlocks().
template <typename... Parameters, typename... Arguments>
Status launchCooperative(void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t sharedBytes,
                         Arguments&&... arguments) {
  static_assert(sizeof...(Parameters) == sizeof...(Arguments), "a kernel needs all its arguments");
  return gpu::checkLaunch(reinterpret_cast<const void*>(kernel),
                          gpu::launchKernel<Parameters...>(
                              kernel, grid, block, sharedBytes, gpu::currentStream(), true,
                              static_cast<Parameters>(std::forward<Arguments>(arguments))...));
}

namespace gpu {

/// How many blocks of a kernel fit on the current device at once; 0 where none does.
template <typename... Parameters>
int residentBlocks(void (*kernel)(Parameters...), int threads, size_t sharedBytes) {
  int device = 0, processors = 0, blocks = 0;
  if (cudaGetDevice(&device) != cudaSuccess ||
      cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, device) != cudaSuccess ||
      cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, reinterpret_cast<const void*>(kernel),
                                                    threads, sharedBytes) != cudaSuccess) {
    return 0;
  }
  return blocks * processors;
}

#ifndef KINDLING_CUDA_EMULATOR

/// All threads of all blocks of a cooperative launch meet here; what each wrote before is seen by
/// all after. `counter` is in global memory, zero before the launch and used by nothing else.
__device__ __forceinline__ void gridBarrier(unsigned* counter) {
  __syncthreads();
  if (threadIdx.x == 0 && threadIdx.y == 0 && threadIdx.z == 0) {
    const unsigned blocks = gridDim.x * gridDim.y * gridDim.z;
    __threadfence();
    const unsigned arrived = atomicAdd(counter, 1u);
    const unsigned all = (arrived / blocks + 1) * blocks;
    unsigned seen = 0;
    do {
      asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(seen) : "l"(counter) : "memory");
    } while (seen < all);
    __threadfence();
  }
  __syncthreads();
}

/// IEEE binary16 and bfloat16 as bits. Rounded to nearest, ties to even; NaN stays NaN.
__device__ __forceinline__ float halfToFloat(uint16_t bits) {
  float value;
  asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(bits));
  return value;
}

__device__ __forceinline__ uint16_t floatToHalf(float value) {
  uint16_t bits;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value));
  return bits;
}

__device__ __forceinline__ float bfloat16ToFloat(uint16_t bits) {
  return __uint_as_float(static_cast<unsigned>(bits) << 16);
}

__device__ __forceinline__ uint16_t floatToBfloat16(float value) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  uint16_t bits;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(bits) : "f"(value));
  return bits;
#else
  const unsigned bits = __float_as_uint(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>((bits >> 16) | 0x40u);
  return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
#endif
}

#endif

}  // namespace gpu
}  // namespace cuda
}  // namespace kindling
