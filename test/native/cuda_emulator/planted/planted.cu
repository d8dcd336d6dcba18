#include "cuda_emulator/planted/planted.h"

#include "cuda/async_copy.cuh"

namespace kindling {
namespace cuda {
namespace planted {

constexpr unsigned kFull = 0xffffffffu;

template <bool Right>
__global__ void reduceWithoutBarrier(float* sums, const float* x) {
  GPU_SHARED(float, tile, [kThreads]);
  tile[threadIdx.x] = x[blockIdx.x * kThreads + threadIdx.x];
  if (Right) __syncthreads();
  if (threadIdx.x == 0) {
    float sum = 0;
    for (int i = 0; i < kThreads; ++i) sum += tile[i];
    sums[blockIdx.x] = sum;
  }
}

template <bool Right>
__global__ void copyTooMany(float* y, const float* x, int n) {
  const int i = static_cast<int>(blockIdx.x * kThreads + threadIdx.x);
  if (Right ? i < n : i <= n) y[i] = x[i];
}

template <bool Right>
__global__ void shiftBeyondShared(float* y, const float* x) {
  GPU_SHARED(float, tile, [kThreads]);
  const unsigned next = threadIdx.x + 1;
  if (threadIdx.x == 0) tile[0] = 0;
  if (!Right || next < kThreads) tile[next] = x[threadIdx.x];
  __syncthreads();
  y[threadIdx.x] = tile[threadIdx.x];
}

template <bool Right>
__global__ void sumUnwrittenShared(float* y, const float* x, int n) {
  GPU_SHARED(float, tile, [kThreads]);
  const int i = static_cast<int>(threadIdx.x);
  if (Right || i < n) tile[i] = i < n ? x[i] : 0.0f;
  __syncthreads();
  float sum = 0;
  for (int k = 0; k < kThreads; ++k) sum += tile[k];
  y[i] = sum;
}

template <bool Right>
__global__ void copyMisaligned(float* y, const float* x) {
  const float* const from = x + (Right ? 4 : 1);
  *reinterpret_cast<float4*>(y + 4 * threadIdx.x) =
      *reinterpret_cast<const float4*>(from + 4 * threadIdx.x);
}

template <bool Right>
__global__ void readUnwrittenGlobal(float* y, float* unwritten) {
  if (Right) unwritten[threadIdx.x] = 0;
  y[threadIdx.x] = unwritten[threadIdx.x] + 1;
}

template <bool Right>
__global__ void barrierOfSome(float* y, const float* x) {
  GPU_SHARED(float, tile, [kThreads]);
  tile[threadIdx.x] = x[threadIdx.x];
  if (Right || threadIdx.x < kThreads / 2) __syncthreads();
  y[threadIdx.x] = Right ? tile[kThreads - 1 - threadIdx.x] : 0;
}

template <bool Right>
__global__ void barrierAfterReturn(float* y, const float* x, int n) {
  GPU_SHARED(float, tile, [kThreads]);
  const int i = static_cast<int>(threadIdx.x);
  if (!Right && i >= n) return;
  tile[i] = i < n ? x[i] : 0.0f;
  __syncthreads();
  if (i < n) y[i] = tile[n - 1 - i];
}

template <bool Right>
__global__ void twoBarriers(float* y, const float* x) {
  GPU_SHARED(float, tile, [kThreads]);
  tile[threadIdx.x] = x[threadIdx.x];
  if (Right || threadIdx.x < kThreads / 2) {
    __syncthreads();
  } else {
    __syncthreads();
  }
  y[threadIdx.x] = tile[kThreads - 1 - threadIdx.x];
}

template <bool Right>
__global__ void reuseWithoutBarrier(float* y, const float* x, int tiles) {
  GPU_SHARED(float, tile, [kThreads]);
  for (int t = 0; t < tiles; ++t) {
    const int first = (static_cast<int>(blockIdx.x) * tiles + t) * kThreads;
    tile[threadIdx.x] = x[first + static_cast<int>(threadIdx.x)];
    __syncthreads();
    y[first + static_cast<int>(threadIdx.x)] = tile[kThreads - 1 - threadIdx.x];
    if (Right) __syncthreads();
  }
}

template <bool Right>
__global__ void copyWithoutWait(float* y, const float* x) {
  GPU_SHARED(float, tile, [4 * kThreads]);
  gpu::cpAsync16(&tile[4 * threadIdx.x], x + 4 * threadIdx.x);
  gpu::cpAsyncCommit();
  if (Right) gpu::cpAsyncWait<0>();
  __syncthreads();
  for (int i = 0; i < 4; ++i) y[4 * threadIdx.x + i] = tile[4 * (kThreads - 1 - threadIdx.x) + i];
}

template <bool Right>
__global__ void waitForTooFew(float* y, const float* x) {
  GPU_SHARED(float, tile, [2][kThreads]);
  for (int stage = 0; stage < 2; ++stage) {
    gpu::cpAsync4(&tile[stage][threadIdx.x], x + stage * kThreads + threadIdx.x);
    gpu::cpAsyncCommit();
  }
  gpu::cpAsyncWait<1>();
  __syncthreads();
  y[threadIdx.x] = tile[0][kThreads - 1 - threadIdx.x];
  gpu::cpAsyncWait<Right ? 0 : 1>();
  __syncthreads();
  y[kThreads + threadIdx.x] = tile[1][kThreads - 1 - threadIdx.x];
}

template <bool Right>
__global__ void shuffleOfHalf(float* y, const float* x) {
  float value = x[threadIdx.x];
  if (threadIdx.x % 32 < 16) {
    value = __shfl_xor_sync(Right ? 0x0000ffffu : kFull, value, 1);
  }
  y[threadIdx.x] = value;
}

template <bool Right>
__global__ void shuffleWithWrongMask(float* y, const float* x) {
  y[threadIdx.x] = __shfl_xor_sync(Right ? kFull : 0x7fffffffu, x[threadIdx.x], 1);
}

template <bool Right>
__global__ void shuffleAsFence(float* y, const float* x) {
  GPU_SHARED(float, tile, [kThreads]);
  tile[threadIdx.x] = x[threadIdx.x];
  if (Right) {
    __syncwarp();
  } else {
    __shfl_xor_sync(kFull, 0, 1);
  }
  y[threadIdx.x] = tile[threadIdx.x ^ 1];
}

template <bool Right>
__global__ void countInGlobal(int* count) {
  if (threadIdx.x != 0) return;
  if (Right) {
    atomicAdd(count, 1);
  } else {
    *count += 1;
  }
}

template <bool Right>
__global__ void exchangeBetweenBlocks(float* y, float* between, unsigned* counter) {
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x, n = gridDim.x * blockDim.x;
  between[i] = static_cast<float>(i);
  if (Right) gpu::gridBarrier(counter);
  y[i] = between[n - 1 - i];
}

__global__ void addBias(float* y, const float* x, const float* bias) {
  y[threadIdx.x] = x[threadIdx.x] + bias[threadIdx.x];
}

__global__ void tooMuchShared(float* y) {
  GPU_SHARED(float, first, [8192]);
  GPU_SHARED(float, second, [8192]);
  first[threadIdx.x] = second[threadIdx.x] = 0;
  y[threadIdx.x] = first[threadIdx.x];
}

__global__ void addOne(float* y, const float* x) { y[threadIdx.x] = x[threadIdx.x] + 1; }

__global__ void readRows(float* y, const float* x) {
  GPU_SHARED(float, tile, [32][32]);
  for (int i = 0; i < 32; ++i) tile[i][threadIdx.x] = x[i * 32 + static_cast<int>(threadIdx.x)];
  __syncthreads();
  for (int i = 0; i < 32; ++i) y[i * 32 + static_cast<int>(threadIdx.x)] = tile[i][threadIdx.x];
}

__global__ void readColumns(float* y, const float* x) {
  GPU_SHARED(float, tile, [32][32]);
  for (int i = 0; i < 32; ++i) tile[threadIdx.x][i] = x[static_cast<int>(threadIdx.x) * 32 + i];
  __syncthreads();
  for (int i = 0; i < 32; ++i) y[static_cast<int>(threadIdx.x) * 32 + i] = tile[threadIdx.x][i];
}

#define KINDLING_PLANTED(name, ...)          \
  template void name<false>(__VA_ARGS__); \
  template void name<true>(__VA_ARGS__)
KINDLING_PLANTED(reduceWithoutBarrier, float*, const float*);
KINDLING_PLANTED(copyTooMany, float*, const float*, int);
KINDLING_PLANTED(shiftBeyondShared, float*, const float*);
KINDLING_PLANTED(sumUnwrittenShared, float*, const float*, int);
KINDLING_PLANTED(copyMisaligned, float*, const float*);
KINDLING_PLANTED(readUnwrittenGlobal, float*, float*);
KINDLING_PLANTED(barrierOfSome, float*, const float*);
KINDLING_PLANTED(barrierAfterReturn, float*, const float*, int);
KINDLING_PLANTED(twoBarriers, float*, const float*);
KINDLING_PLANTED(reuseWithoutBarrier, float*, const float*, int);
KINDLING_PLANTED(copyWithoutWait, float*, const float*);
KINDLING_PLANTED(waitForTooFew, float*, const float*);
KINDLING_PLANTED(shuffleOfHalf, float*, const float*);
KINDLING_PLANTED(shuffleWithWrongMask, float*, const float*);
KINDLING_PLANTED(shuffleAsFence, float*, const float*);
KINDLING_PLANTED(countInGlobal, int*);
KINDLING_PLANTED(exchangeBetweenBlocks, float*, float*, unsigned*);
#undef KINDLING_PLANTED

}  // namespace planted
}  // namespace cuda
}  // namespace kindling
