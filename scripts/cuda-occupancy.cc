// How many blocks of a kernel are resident on one multiprocessor of an H100, by NVIDIA's
// calculator. Reads "registers sharedBytes threads" a line, prints the blocks.
#include <cuda_occupancy.h>
#include <cstdio>

int main() {
  cudaOccDeviceProp device = {};
  device.computeMajor = 9;
  device.computeMinor = 0;
  device.maxThreadsPerBlock = 1024;
  device.maxThreadsPerMultiprocessor = 2048;
  device.regsPerBlock = 65536;
  device.regsPerMultiprocessor = 65536;
  device.warpSize = 32;
  device.sharedMemPerBlock = 48 << 10;
  device.sharedMemPerMultiprocessor = 228 << 10;
  device.numSms = 132;
  device.sharedMemPerBlockOptin = 227 << 10;
  device.reservedSharedMemPerBlock = 1024;
  cudaOccDeviceState state = {};
  int registers, threads;
  size_t shared;
  while (scanf("%d %zu %d", &registers, &shared, &threads) == 3) {
    cudaOccFuncAttributes kernel = {};
    kernel.maxThreadsPerBlock = 1024;
    kernel.numRegs = registers;
    kernel.sharedSizeBytes = shared;
    kernel.partitionedGCConfig = PARTITIONED_GC_OFF;
    kernel.shmemLimitConfig = FUNC_SHMEM_LIMIT_OPTIN;
    kernel.maxDynamicSharedSizeBytes = 227 << 10;
    kernel.numBlockBarriers = 1;
    cudaOccResult result = {};
    const cudaOccError error =
        cudaOccMaxActiveBlocksPerMultiprocessor(&result, &device, &kernel, &state, threads, 0);
    printf("%d\n", error == CUDA_OCC_SUCCESS ? result.activeBlocksPerMultiprocessor : 0);
  }
  return 0;
}
