// What the device can do at most, measured: multiply-adds from registers (float32, TF32 and BF16 on
// the tensor cores) and copies within its memory. Prints one JSON object, GFLOP/s and GB/s.
#include <cuda_runtime.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>

namespace {

constexpr int kThreads = 256, kBlocksPerProcessor = 8, kSteps = 4096, kChains = 8;

__global__ void floatKernel(float* out, float seed) {
  float sums[kChains];
  for (int i = 0; i < kChains; ++i) sums[i] = seed + static_cast<float>(i);
  for (int step = 0; step < kSteps; ++step) {
#pragma unroll
    for (int i = 0; i < kChains; ++i) sums[i] = fmaf(sums[i], seed, 1.0f);
  }
  float sum = 0;
  for (int i = 0; i < kChains; ++i) sum += sums[i];
  if (sum == 12345.0f) out[threadIdx.x] = sum;
}

template <bool Tf32>
__global__ void tensorKernel(float* out, uint32_t seed) {
#if __CUDA_ARCH__ >= 800
  float d[kChains][4] = {};
  for (int step = 0; step < kSteps; ++step) {
#pragma unroll
    for (int i = 0; i < kChains; ++i) {
      if (Tf32) {
        asm volatile(
            "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
            "{%0,%1,%2,%3}, {%4,%4,%4,%4}, {%4,%4}, {%0,%1,%2,%3};"
            : "+f"(d[i][0]), "+f"(d[i][1]), "+f"(d[i][2]), "+f"(d[i][3])
            : "r"(seed));
      } else {
        asm volatile(
            "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
            "{%0,%1,%2,%3}, {%4,%4,%4,%4}, {%4,%4}, {%0,%1,%2,%3};"
            : "+f"(d[i][0]), "+f"(d[i][1]), "+f"(d[i][2]), "+f"(d[i][3])
            : "r"(seed));
      }
    }
  }
  float sum = 0;
  for (int i = 0; i < kChains; ++i) sum += d[i][0] + d[i][1] + d[i][2] + d[i][3];
  if (sum == 12345.0f) out[threadIdx.x] = sum;
#else
  if (seed == 12345) out[0] = 0;
#endif
}

__global__ void copyKernel(float4* to, const float4* from, size_t count) {
  for (size_t i = blockIdx.x * size_t{blockDim.x} + threadIdx.x; i < count;
       i += size_t{gridDim.x} * blockDim.x) {
    to[i] = from[i];
  }
}

/// The shortest of ten times, in seconds.
template <typename Work>
double shortest(const Work& work) {
  cudaEvent_t start, end;
  cudaEventCreate(&start);
  cudaEventCreate(&end);
  float best = 1e30f;
  for (int round = 0; round < 11; ++round) {
    cudaEventRecord(start);
    work();
    cudaEventRecord(end);
    cudaEventSynchronize(end);
    float milliseconds = 0;
    cudaEventElapsedTime(&milliseconds, start, end);
    if (round > 0) best = std::min(best, milliseconds);
  }
  return static_cast<double>(best) / 1e3;
}

}  // namespace

int main() {
  int processors = 0, major = 0;
  cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, 0);
  cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0);
  const int blocks = processors * kBlocksPerProcessor;
  const double chains = double(blocks) * kThreads * kSteps * kChains;
  const size_t bytes = size_t{1} << 29;
  float *from = nullptr, *to = nullptr;
  if (cudaMalloc(&from, bytes) != cudaSuccess || cudaMalloc(&to, bytes) != cudaSuccess) return 1;
  const double simple = shortest([&] { floatKernel<<<blocks, kThreads>>>(to, 0.5f); });
  const double copy = shortest([&] {
    copyKernel<<<blocks, kThreads>>>(reinterpret_cast<float4*>(to),
                                     reinterpret_cast<const float4*>(from), bytes / 16);
  });
  const double single = shortest([&] { tensorKernel<true><<<blocks, kThreads>>>(to, 0u); });
  const double half = shortest([&] { tensorKernel<false><<<blocks, kThreads>>>(to, 0u); });
  if (cudaDeviceSynchronize() != cudaSuccess) return 1;
  const double warps = chains / 32;
  printf("{\"float32\": %.0f, \"tf32\": %.0f, \"bfloat16\": %.0f, \"memory\": %.1f}\n",
         2 * chains / simple / 1e9, major >= 8 ? 2 * warps * 16 * 8 * 8 / single / 1e9 : 0,
         major >= 8 ? 2 * warps * 16 * 8 * 16 / half / 1e9 : 0,
         2 * static_cast<double>(bytes) / copy / 1e9);
  return 0;
}
