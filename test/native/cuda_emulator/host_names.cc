// The texts of errors, the names of kernels, and how many blocks fit.

#include <algorithm>
#include <cstdio>

#include "cuda_emulator/device.h"
#include "cuda_emulator/report.h"

using namespace kindling::cuda::emulator;

namespace {

struct ErrorRow {
  cudaError_t error;
  const char* name;
  const char* text;
};
#define KINDLING_ERROR_ROW(name, text) \
  { name, #name, text }
constexpr ErrorRow kErrors[] = {
    KINDLING_ERROR_ROW(cudaSuccess, "no error"),
    KINDLING_ERROR_ROW(cudaErrorInvalidValue, "invalid argument"),
    KINDLING_ERROR_ROW(cudaErrorMemoryAllocation, "out of memory"),
    KINDLING_ERROR_ROW(cudaErrorInitializationError, "initialization error"),
    KINDLING_ERROR_ROW(cudaErrorInvalidConfiguration, "invalid configuration argument"),
    KINDLING_ERROR_ROW(cudaErrorInsufficientDriver,
                       "CUDA driver version is insufficient for CUDA runtime version"),
    KINDLING_ERROR_ROW(cudaErrorNoDevice, "no CUDA-capable device is detected"),
    KINDLING_ERROR_ROW(cudaErrorInvalidDevice, "invalid device ordinal"),
    KINDLING_ERROR_ROW(cudaErrorInvalidResourceHandle, "invalid resource handle"),
    KINDLING_ERROR_ROW(cudaErrorNotReady, "device not ready"),
    KINDLING_ERROR_ROW(cudaErrorPeerAccessAlreadyEnabled, "peer access is already enabled"),
    KINDLING_ERROR_ROW(cudaErrorLaunchFailure, "unspecified launch failure"),
    KINDLING_ERROR_ROW(cudaErrorCooperativeLaunchTooLarge, "too many blocks in cooperative launch"),
    KINDLING_ERROR_ROW(cudaErrorStreamCaptureUnsupported,
                       "operation not permitted when stream is capturing"),
    KINDLING_ERROR_ROW(cudaErrorStreamCaptureInvalidated,
                       "operation failed due to a previous error during capture"),
    KINDLING_ERROR_ROW(cudaErrorCapturedEvent,
                       "operation not permitted on an event last recorded "
                       "in a capturing stream"),
    KINDLING_ERROR_ROW(cudaErrorGraphExecUpdateFailure,
                       "the graph update was not performed because it included changes which "
                       "violated constraints specific to instantiated graph update"),
};
#undef KINDLING_ERROR_ROW

const ErrorRow& rowOf(cudaError_t error) {
  for (const ErrorRow& row : kErrors) {
    if (row.error == error) return row;
  }
  return kErrors[1];
}

}  // namespace

const char* cudaGetErrorName(cudaError_t error) { return rowOf(error).name; }

/// With what the emulator found, which a device would not know.
const char* cudaGetErrorString(cudaError_t error) {
  if (error != cudaErrorLaunchFailure) return rowOf(error).text;
  static thread_local char text[2200];
  snprintf(text, sizeof text, "%s: %s", rowOf(error).text, lastFinding());
  return text;
}

cudaError_t cudaFuncGetName(const char** name, const void* kernel) {
  static thread_local char text[512];
  snprintf(text, sizeof text, "%s", describeFunction(kernel));
  *name = text;
  return cudaSuccess;
}

/// As far as threads and shared memory allow; the emulator knows nothing of registers.
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, const void*, int threads,
                                                          size_t sharedBytes) {
  int shared = 0;
  cudaDeviceGetAttribute(&shared, cudaDevAttrMaxSharedMemoryPerMultiprocessor, currentDevice());
  if (threads <= 0) return failed(cudaErrorInvalidValue);
  const int whole = (threads + 31) / 32 * 32;
  *blocks = std::min({maxBlocksPerProcessor(), maxThreadsPerProcessor() / whole,
                      static_cast<int>(static_cast<size_t>(shared) / (sharedBytes + 1024))});
  return cudaSuccess;
}
